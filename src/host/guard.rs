//! Who may speak to a host.
//!
//! A page from anywhere can point its own name at 127.0.0.1 (DNS rebinding) and then read whatever a server there
//! answers, as its own. What such a page cannot do is to change the name that the browser says it asks for:
//! so on loopback only names are answered that no other machine can have.
//!
//! A page from anywhere can send a form to a host, which acts although the page cannot read the answer: so methods that
//! act are answered to our own pages alone. That needs no names and holds on every interface.
//!
//! And a page from anywhere can run a script, show a picture or apply a style sheet of a host, and learn from that what
//! it holds. Browsers say where a request comes from and what for (Fetch Metadata): so on loopback other pages may link
//! to a host and show it in a frame, in which they cannot look, and no more. To browsers that do not say so, and to
//! their caches, the answers say who may use them (`Cross-Origin-Resource-Policy`).

use std::net::IpAddr;

use super::Host;
use crate::cors::Cors;
use crate::http::{split_port, split_scheme, Connection, Head};

const OTHER_NAME: &str = "only localhost and addresses are answered here; other names need Host::allow_host \
                          (--host in the examples)";
const OTHER_PAGE: &str =
    "only pages of this host are answered here; others need Host::cors or Host::allow_host";

/// Which rules hold for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rules {
    None,
    /// The rule for methods that act.
    Acts,
    /// The rule for methods that act, and the rules for names and for reading.
    All,
}

/// Who is answered by a host.
#[derive(Debug, Default)]
pub(super) struct Guard {
    /// Where it was said; else it depends on where a connection arrives.
    pub(super) rules: Option<Rules>,
    names: Vec<String>,
    pub(super) cors: Option<Cors>,
}

impl Host {
    /// Answers to one more name, at every port, and to the pages there: that under which a proxy on this machine serves
    /// this host, say. `*.example` are all names below `example`.
    ///
    /// ```
    /// # use brooklet::{testing::Client, Host, Request, Response, Status};
    /// let host = Host::new(|_: Request| Response::text("hello")).bind("127.0.0.1:0").allow_host("*.example").start()?;
    /// for (name, expected) in [("tool.example", Status::OK), ("elsewhere.test", Status::FORBIDDEN)] {
    ///     assert_eq!(Client::get("/").header("Host", name).connect(host.address())?.status(), expected);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn allow_host(mut self, name: impl AsRef<str>) -> Self {
        self.settings.guard.names.push(normal(split_port(name.as_ref()).0));
        self
    }

    /// Keeps the rules for loopback on every interface: see [Safe on localhost](#safe-on-localhost).
    pub fn guard(mut self) -> Self {
        self.settings.guard.rules = Some(Rules::All);
        self
    }

    /// Answers to every name and to the pages of every origin, on loopback as well.
    ///
    /// For hosts that a proxy guards, or that have nothing to hide: see [Safe on localhost](#safe-on-localhost).
    pub fn any_host(mut self) -> Self {
        self.settings.guard.rules = Some(Rules::None);
        self
    }

    /// Takes the client's address from a proxy on this machine: from the last entry of `X-Forwarded-For`, or of
    /// `Forwarded` where there is none. [`Request::peer`](crate::Request::peer) and the log say it, with port 0 where
    /// the proxy does not say the port.
    ///
    /// Not without a proxy that sets the field itself: a client can send it as well. Connections from other machines,
    /// and addresses that cannot be understood, count as if there were none.
    ///
    /// ```
    /// # use brooklet::{testing::Client, Host, Request, Response};
    /// let who = |request: Request| Response::text(request.peer().map_or(String::new(), |peer| peer.ip().to_string()));
    /// let host = Host::new(who).bind("127.0.0.1:0").behind_proxy().start()?;
    /// let client = Client::get("/").header("X-Forwarded-For", "192.0.2.7");
    /// assert_eq!(client.connect(host.address())?.read_to_end()?, b"192.0.2.7");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn behind_proxy(mut self) -> Self {
        self.settings.is_behind_proxy = true;
        self
    }

    /// Lets pages of other origins read the answers, and act.
    pub fn cors(mut self, cors: Cors) -> Self {
        self.settings.guard.cors = Some(cors);
        self
    }
}

impl Guard {
    /// The rules for a connection.
    pub(super) fn rules(&self, connection: &Connection) -> Rules {
        self.rules.unwrap_or(if connection.is_loopback() { Rules::All } else { Rules::Acts })
    }

    /// Judges a request, and says what would allow it.
    pub(super) fn judge(&self, rules: Rules, head: &Head) -> Result<(), &'static str> {
        match rules {
            Rules::All if !self.is_own_name(head.authority()) => Err(OTHER_NAME),
            Rules::All | Rules::Acts if !self.is_own_page(rules, head) => Err(OTHER_PAGE),
            _ => Ok(()),
        }
    }

    /// Whether `authority`, which was judged to be `host[:port]`, is one that a page elsewhere cannot have.
    ///
    /// Addresses pass, since an address cannot be rebound. HTTP/1.0 without Host passes: browsers always send it.
    fn is_own_name(&self, authority: Option<&str>) -> bool {
        let host = match authority {
            Some(authority) => split_port(authority).0,
            None => return true,
        };
        let name = normal(host);
        host.starts_with('[')
            || host.parse::<IpAddr>().is_ok()
            || name == "localhost"
            || name.ends_with(".localhost")
            || self.allows_name(&name)
    }

    /// Whether a name was allowed, itself or with all below another: `*.example` is what ends with `.example`.
    fn allows_name(&self, name: &str) -> bool {
        self.names.iter().any(|allowed| match allowed.strip_prefix('*') {
            Some(end) => end.starts_with('.') && name.len() > end.len() && name.ends_with(end),
            None => name == allowed,
        })
    }

    /// Whether this is no request of a page that is not ours: one that would act (cross-site request forgery), or where
    /// all rules hold, use the answer. Clients that are no browsers send none of these fields.
    fn is_own_page(&self, rules: Rules, head: &Head) -> bool {
        let reads = matches!(head.method(), "GET" | "HEAD" | "OPTIONS");
        let is_own = match (head.field("Sec-Fetch-Site"), head.field("Origin")) {
            (Some(b"same-origin" | b"none"), _) | (None, None) => true,
            (Some(_), _) => reads && head.field("Sec-Fetch-Mode") == Some(b"navigate"),
            (None, Some(origin)) => {
                let origin = authority(origin).zip(head.authority());
                reads || matches!(origin, Some((origin, own)) if origin.eq_ignore_ascii_case(own))
            }
        };
        is_own || (reads && rules == Rules::Acts) || self.allows_origin(head)
    }

    /// Whether the page that a request comes from may do everything.
    pub(super) fn allows_origin(&self, head: &Head) -> bool {
        let origin = head.field("Origin").unwrap_or_default();
        let name = authority(origin).map(|authority| normal(split_port(authority).0));
        matches!(&self.cors, Some(cors) if cors.allows(origin))
            || matches!(name, Some(name) if self.allows_name(&name))
    }
}

/// The authority of an origin. An opaque origin, `null`, has none, and no page is allowed by it.
fn authority(origin: &[u8]) -> Option<&str> {
    std::str::from_utf8(origin).ok().and_then(split_scheme).map(|(_, authority)| authority)
}

/// A name without what makes no difference: case, and the dot at the end (RFC 3986 §3.2.2).
fn normal(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layout;

    fn guard() -> Guard {
        let host = Host::new(Layout::new()).cors(Cors::origins(["https://friend.example"]));
        let names = ["tool.example", "*.Tail.example.:80", "*", "*."];
        let mut host = names.into_iter().fold(host, |host, name| host.allow_host(name));
        std::mem::take(&mut host.settings.guard)
    }

    #[test]
    fn names() {
        check(None, true); // HTTP/1.0
        check(Some("localhost"), true);
        check(Some("LocalHost:8080"), true);
        check(Some("localhost."), true);
        check(Some("app.localhost:3000"), true);
        check(Some("127.0.0.1"), true);
        check(Some("127.0.0.1:8080"), true);
        check(Some("192.168.1.7"), true);
        check(Some("[::1]:8080"), true);
        check(Some("[::ffff:127.0.0.1]"), true);
        check(Some("tool.example"), true); // allowed below
        check(Some("Tool.Example.:80"), true);
        check(Some("evil.example"), false);
        check(Some("localhost.evil.example"), false);
        check(Some("evil-localhost"), false);
        check(Some("notlocalhost"), false);
        check(Some("127.0.0.1.evil.example"), false);
        check(Some("127.1"), false); // not how a browser writes an address
        check(Some("2130706433"), false);
        check(Some("0x7f000001"), false);
        check(Some("sub.tool.example"), false);
        check(Some("localhost.."), false);
        check(Some("a.tail.example"), true);
        check(Some("A.B.Tail.Example.:8443"), true);
        check(Some("tail.example"), false);
        check(Some(".tail.example"), false);
        check(Some("a.tail.example.evil"), false);
        check(Some("atail.example"), false);

        #[track_caller]
        fn check(authority: Option<&str>, expected: bool) {
            assert_eq!(guard().is_own_name(authority), expected, "{authority:?}");
        }
    }

    /// What holds for acting holds everywhere, what holds for reading where all rules do.
    #[test]
    fn pages() {
        both("GET", "", true); // curl
        both("POST", "", true);
        both("POST", "Origin: http://localhost:8080", true);
        both("POST", "Origin: http://LOCALHOST:8080", true);
        both("POST", "Origin: http://localhost:3000", false); // another tool on this machine
        both("POST", "Origin: https://evil.example", false);
        both("POST", "Origin: null", false);
        both("POST", "Origin: ", false);
        both("DELETE", "Origin: https://evil.example", false);
        both("BREW", "Origin: https://evil.example", false);
        both("POST", "Origin: https://tool.example", true); // allowed by name
        both("POST", "Origin: https://tool.example:8443", true);
        both("POST", "Origin: https://a.tail.example", true);
        both("POST", "Origin: https://tail.example", false);
        both("POST", "Origin: https://tool.example:80:90", false);
        both("POST", "Origin: https://[::1]:8080", false);
        both("POST", "Origin: https://tool.example.evil.example", false);
        both("POST", "Origin: https://friend.example", true); // allowed by Cors
        both("POST", "Origin: http://friend.example", false); // another scheme is another origin
        both("POST", "Sec-Fetch-Site: same-origin|Origin: http://localhost:8080", true);
        both("POST", "Sec-Fetch-Site: none", true);
        both("POST", "Sec-Fetch-Site: cross-site|Origin: https://evil.example", false);
        both("POST", "Sec-Fetch-Site: same-site|Origin: http://localhost:3000", false);
        both("POST", "Sec-Fetch-Site: same-site|Origin: http://localhost:8080", false); // not what the browser says
        both("POST", "Sec-Fetch-Site: cross-site|Origin: https://friend.example", true);
        both("POST", "Sec-Fetch-Site: cross-site", false);
        both("POST", "Sec-Fetch-Site: cross-site|Sec-Fetch-Mode: navigate|Origin: null", false); // a form

        both("GET", "Sec-Fetch-Site: same-origin|Sec-Fetch-Mode: no-cors", true);
        both("GET", "Sec-Fetch-Site: none|Sec-Fetch-Mode: navigate", true); // typed
        both("GET", "Sec-Fetch-Site: cross-site|Sec-Fetch-Mode: navigate|Sec-Fetch-Dest: document", true); // a link
        both("GET", "Sec-Fetch-Site: cross-site|Sec-Fetch-Mode: navigate|Sec-Fetch-Dest: iframe", true);
        reads("GET", "Sec-Fetch-Site: cross-site|Sec-Fetch-Mode: no-cors|Sec-Fetch-Dest: script", false);
        reads("GET", "Sec-Fetch-Site: same-site|Sec-Fetch-Mode: no-cors|Sec-Fetch-Dest: image", false);
        reads("GET", "Sec-Fetch-Site: cross-site|Sec-Fetch-Mode: cors|Origin: https://evil.example", false);
        reads("GET", "Sec-Fetch-Site: cross-site|Sec-Fetch-Mode: websocket|Origin: null", false);
        reads("HEAD", "Sec-Fetch-Site: cross-site|Sec-Fetch-Mode: no-cors", false);
        reads(
            "OPTIONS",
            "Sec-Fetch-Site: cross-site|Sec-Fetch-Mode: cors|Origin: https://evil.example",
            false,
        );
        reads("GET", "Sec-Fetch-Site: cross-site", false);
        reads("GET", "Sec-Fetch-Site: new", false);
        both("GET", "Sec-Fetch-Site: cross-site|Sec-Fetch-Mode: cors|Origin: https://friend.example", true);
        both(
            "OPTIONS",
            "Sec-Fetch-Site: cross-site|Sec-Fetch-Mode: cors|Origin: https://friend.example",
            true,
        );
        both("GET", "Sec-Fetch-Site: same-site|Sec-Fetch-Mode: cors|Origin: https://tool.example", true);
        // A browser that does not say: the answer does.
        both("GET", "Origin: https://evil.example", true);
        both("HEAD", "Origin: https://evil.example", true);
        both("OPTIONS", "Origin: https://evil.example", true);

        #[track_caller]
        fn both(method: &str, fields: &str, expected: bool) {
            check(Rules::Acts, method, fields, expected);
            check(Rules::All, method, fields, expected);
        }

        #[track_caller]
        fn reads(method: &str, fields: &str, expected: bool) {
            check(Rules::Acts, method, fields, true);
            check(Rules::All, method, fields, expected);
        }

        #[track_caller]
        fn check(rules: Rules, method: &str, fields: &str, expected: bool) {
            let fields: String =
                fields.split('|').filter(|line| !line.is_empty()).map(|line| format!("{line}\r\n")).collect();
            let text = format!("{method} / HTTP/1.1\r\nHost: localhost:8080\r\n{fields}\r\n");
            let head = Head::parse(text.as_bytes()).expect("the row is a head");
            assert_eq!(guard().judge(rules, &head).is_ok(), expected, "{rules:?} {text:?}");
            assert_eq!(guard().judge(Rules::None, &head), Ok(()));
        }
    }

    /// To every origin means to pages whose requests do not name theirs as well.
    #[test]
    fn every_origin() {
        let guard = Guard { cors: Some(Cors::any_origin()), ..Guard::default() };
        let text = "GET / HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n\r\n";
        let head = Head::parse(text.as_bytes()).expect("it is a head");
        assert_eq!(guard.judge(Rules::All, &head), Ok(()));
    }
}
