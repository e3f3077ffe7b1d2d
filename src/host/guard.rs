//! Who may speak to a host on loopback.
//!
//! A page from anywhere can point its own name at 127.0.0.1 (DNS rebinding) and then read whatever a server there
//! answers, as its own. What such a page cannot do is to change the name that the browser says it asks for:
//! so on loopback only names are answered that nobody else can own.
//!
//! And a page from anywhere can send a form to 127.0.0.1, which acts although the page cannot read the answer: so
//! methods that act are answered to our own pages alone.
//!
//! Bound to another interface a host is not guarded: which names are its own is not known here.

use std::net::{IpAddr, SocketAddr};

use crate::cors::Cors;
use crate::http::{split_port, split_scheme, Head};

/// Whether a connection to this address has to be guarded.
pub(super) fn is_loopback(local: Option<SocketAddr>) -> bool {
    match local.map(|address| address.ip()) {
        Some(IpAddr::V6(address)) => {
            address.is_loopback() || matches!(address.to_ipv4_mapped(), Some(mapped) if mapped.is_loopback())
        }
        Some(IpAddr::V4(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether `authority`, which was judged to be `host[:port]`, is one that a page elsewhere cannot have.
///
/// Addresses pass, since an address cannot be rebound. HTTP/1.0 without Host passes: browsers always send it.
pub(super) fn is_own_name(authority: Option<&str>, allowed: &[String]) -> bool {
    let host = match authority {
        Some(authority) => split_port(authority).0,
        None => return true,
    };
    if host.starts_with('[') || host.parse::<IpAddr>().is_ok() {
        return true;
    }
    let name = normal(host);
    name == "localhost" || name.ends_with(".localhost") || allowed.contains(&name)
}

/// Whether a page that is not ours may have sent this request (cross-site request forgery).
///
/// Reading is not refused: without [`Cors`] nobody elsewhere can read what is answered. Methods that act are,
/// unless the browser or the origin says that it is one of our own pages, or one that may. Clients that are no
/// browsers send neither field.
pub(super) fn is_own_page(head: &Head, allowed: &[String], cors: Option<&Cors>) -> bool {
    if matches!(head.method(), "GET" | "HEAD" | "OPTIONS") {
        return true;
    }
    let site = head.field("Sec-Fetch-Site");
    let origin = match (site, head.field("Origin")) {
        (Some(b"same-origin" | b"none"), _) | (None, None) => return true,
        (Some(_), None) => return false,
        (_, Some(origin)) => origin,
    };
    if matches!(cors, Some(cors) if cors.allows(origin)) {
        return true;
    }
    // An opaque origin, `null`, has no authority and belongs to nobody.
    let authority = std::str::from_utf8(origin).ok().and_then(split_scheme);
    match (authority, head.authority(), site) {
        (Some((_, origin)), Some(own), None) if origin.eq_ignore_ascii_case(own) => true,
        (Some((_, origin)), _, _) => allowed.contains(&normal(split_port(origin).0)),
        (None, _, _) => false,
    }
}

/// A name without what makes no difference: case, and the dot at the end (RFC 3986 §3.2.2).
pub(super) fn normal(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

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

        #[track_caller]
        fn check(authority: Option<&str>, expected: bool) {
            assert_eq!(is_own_name(authority, &[String::from("tool.example")]), expected, "{authority:?}");
        }
    }

    #[test]
    fn pages() {
        check("GET", "Origin: https://evil.example", true); // it cannot read the answer
        check("HEAD", "Origin: https://evil.example", true);
        check("OPTIONS", "Origin: https://evil.example", true);
        check("POST", "", true); // curl
        check("POST", "Origin: http://localhost:8080", true);
        check("POST", "Origin: http://LOCALHOST:8080", true);
        check("POST", "Origin: http://localhost:3000", false); // another tool on this machine
        check("POST", "Origin: https://evil.example", false);
        check("POST", "Origin: null", false);
        check("POST", "Origin: ", false);
        check("DELETE", "Origin: https://evil.example", false);
        check("BREW", "Origin: https://evil.example", false);
        check("POST", "Origin: https://tool.example", true); // allowed by name
        check("POST", "Origin: https://tool.example:8443", true);
        check("POST", "Origin: https://tool.example:80:90", false);
        check("POST", "Origin: https://[::1]:8080", false);
        check("POST", "Origin: https://tool.example.evil.example", false);
        check("POST", "Origin: https://friend.example", true); // allowed by Cors
        check("POST", "Origin: http://friend.example", false); // another scheme is another origin
        check("POST", "Sec-Fetch-Site: same-origin|Origin: http://localhost:8080", true);
        check("POST", "Sec-Fetch-Site: none", true);
        check("POST", "Sec-Fetch-Site: cross-site|Origin: https://evil.example", false);
        check("POST", "Sec-Fetch-Site: same-site|Origin: http://localhost:3000", false);
        check("POST", "Sec-Fetch-Site: cross-site|Origin: https://friend.example", true);
        check("POST", "Sec-Fetch-Site: cross-site", false);

        #[track_caller]
        fn check(method: &str, fields: &str, expected: bool) {
            let fields: String =
                fields.split('|').filter(|line| !line.is_empty()).map(|line| format!("{line}\r\n")).collect();
            let text = format!("{method} / HTTP/1.1\r\nHost: localhost:8080\r\n{fields}\r\n");
            let head = Head::parse(text.as_bytes()).expect("the row is a head");
            let cors = Cors::origins(["https://friend.example"]);
            let allowed = [String::from("tool.example")];
            assert_eq!(is_own_page(&head, &allowed, Some(&cors)), expected, "{text:?}");
        }
    }

    #[test]
    fn loopback() {
        check("127.0.0.1:80", true);
        check("127.8.9.1:80", true);
        check("[::1]:80", true);
        check("[::ffff:127.0.0.1]:80", true); // a dual-stack listener sees IPv4 like this
        check("192.168.0.1:80", false);
        check("[::ffff:10.0.0.1]:80", false);
        check("[fe80::1]:80", false);

        #[track_caller]
        fn check(address: &str, expected: bool) {
            assert_eq!(is_loopback(address.parse().ok()), expected, "{address}");
        }
    }
}
