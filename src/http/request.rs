//! The request as handlers see it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use super::body::Body;
use super::field::without_parameters;
use super::form::Form;
use super::head::Head;

/// A request: method, target, fields and body. A *field* is a line of the head, which is also called a header.
///
/// It is a cheap handle without a lifetime: a clone copies pointers. So a handler may keep it, send it to another thread
/// or pass it on.
///
/// ```
/// use brooklet::{testing::Client, Layout, Request, Response};
///
/// // GET /greet/Ada?lang=fr
/// fn greet(request: Request) -> Response {
///     println!("{} {} from {:?}", request.method(), request.path(), request.peer());
///     let name = request.target().current().unwrap_or("stranger");
///     match request.query("lang") {
///         Some("fr") => Response::text(format!("Bonjour {name}")),
///         _ => Response::text(format!("Hello {name}")),
///     }
/// }
///
/// let app = Layout::new().add("greet", greet);
/// assert_eq!(Client::get("/greet/Ada?lang=fr").in_memory(&app).run().text(), "Bonjour Ada");
/// ```
#[derive(Clone)]
pub struct Request {
    received: Arc<Received>,
    /// `None` where there is none.
    body: Option<Arc<Body>>,
    /// Where in the decoded path the part begins that no layout has taken yet.
    position: usize,
}

struct Received {
    head: Head,
    peer: Option<SocketAddr>,
}

impl Request {
    pub(crate) fn new(head: Head, body: Option<Arc<Body>>, peer: Option<SocketAddr>) -> Self {
        Self { received: Arc::new(Received { head, peer }), body, position: 0 }
    }

    /// This request without its body, for a stream, which may keep it for long.
    pub(crate) fn without_body(&self) -> Self {
        Self { body: None, ..self.clone() }
    }

    pub(crate) fn head(&self) -> &Head {
        &self.received.head
    }

    /// The method, as it was sent: methods are case-sensitive (RFC 9110 §9.1).
    pub fn method(&self) -> &str {
        self.head().method()
    }

    /// The whole path, percent-decoded: `/greet/Ada Lovelace`. It begins with a slash.
    pub fn path(&self) -> &str {
        self.head().path()
    }

    /// The target as it was sent, with its query: `/greet/Ada%20Lovelace?lang=fr`. Printable ASCII, nothing decoded.
    pub fn raw_target(&self) -> &str {
        self.head().target()
    }

    /// What is left of the path for this handler. For `/events/type` and `Layout::new().add("events", handler)`, the
    /// current segment of the handler's target is `type`.
    pub fn target(&self) -> Target<'_> {
        Target { rest: &self.path()[self.position..] }
    }

    /// The same request, one segment further down its path.
    ///
    /// [`Layout`](crate::Layout) does this for the handlers that it passes requests on to.
    ///
    /// ```
    /// use brooklet::{Handler, Request};
    ///
    /// /// Takes the first segment off, whatever it is: `/de/stock` is `/stock` to the inner handler.
    /// fn any_language(inner: impl Handler) -> impl Handler {
    ///     move |request: Request| inner.handle(request.descend())
    /// }
    /// # use brooklet::{testing::Client, Layout, Response};
    /// let app = any_language(Layout::new().add("stock", |_: Request| Response::text("stock")));
    /// assert_eq!(Client::get("/de/stock").in_memory(&app).run().text(), "stock");
    /// ```
    #[must_use]
    pub fn descend(mut self) -> Self {
        let rest = self.target().after_current();
        self.position = self.path().len() - rest.len();
        self
    }

    /// The first value of a key in the query, decoded: `+` is a space, as `%20` is.
    ///
    /// A key without a value (`?debug`) has an empty one. For a key that is not there it is `None`.
    ///
    /// ```
    /// # use brooklet::{testing::Client, Request, Response};
    /// let search = |request: Request| {
    ///     let text = request.query("q").unwrap_or_default();
    ///     let is_debugging = request.query("debug").is_some();
    ///     Response::text(format!("{text}, {is_debugging}"))
    /// };
    /// assert_eq!(Client::get("/?q=green+tea&debug").in_memory(&search).run().text(), "green tea, true");
    /// ```
    pub fn query(&self, key: &str) -> Option<&str> {
        self.head().query.get(key)
    }

    /// All values of a key in the query, in order.
    ///
    /// ```
    /// # use brooklet::{testing::Client, Request, Response};
    /// let quotes = |request: Request| {
    ///     let symbols: Vec<&str> = request.query_all("symbol").collect();
    ///     Response::text(symbols.join(" "))
    /// };
    /// let stream = Client::get("/?symbol=AAPL&symbol=MSFT").in_memory(&quotes).run();
    /// assert_eq!(stream.text(), "AAPL MSFT");
    /// ```
    pub fn query_all<'r>(&'r self, key: &'r str) -> impl Iterator<Item = &'r str> {
        self.head().query.all(key)
    }

    /// The whole query, decoded, in order.
    ///
    /// ```
    /// # use brooklet::{testing::Client, Request, Response};
    /// let list = |request: Request| {
    ///     let pairs = request.query_pairs().map(|(key, value)| format!("{key} is {value}; "));
    ///     Response::text(pairs.collect::<String>())
    /// };
    /// assert_eq!(Client::get("/?a=1&b=two").in_memory(&list).run().text(), "a is 1; b is two; ");
    /// ```
    pub fn query_pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.head().query.pairs()
    }

    /// The form in the body, decoded; empty unless the `Content-Type` is `application/x-www-form-urlencoded`, as
    /// it is when a page submits one.
    ///
    /// ```
    /// # use brooklet::{testing::Client, Request, Response, Status};
    /// let say = |request: Request| match request.form().get("text") {
    ///     Some(text) => Response::text(text.to_owned()),
    ///     None => Response::explain(Status::BAD_REQUEST, "the form lacks a text"),
    /// };
    /// let client = Client::new("POST", "/").header("Content-Type", "application/x-www-form-urlencoded");
    /// assert_eq!(client.body("text=green+tea").in_memory(&say).run().text(), "green tea");
    /// ```
    pub fn form(&self) -> Form {
        let media_type = without_parameters(self.header_bytes("Content-Type").unwrap_or_default());
        match media_type.eq_ignore_ascii_case(b"application/x-www-form-urlencoded") {
            true => Form::decode(self.body()),
            false => Form::default(),
        }
    }

    /// The value of a field, in whatever case its name is given; the first, where there are several.
    ///
    /// `None` where it is not UTF-8: see [`header_bytes`](Self::header_bytes).
    ///
    /// ```
    /// # use brooklet::{testing::Client, Request, Response};
    /// let agent = |request: Request| Response::text(request.header("user-agent").unwrap_or("unknown").to_owned());
    /// assert_eq!(Client::get("/").header("User-Agent", "a test").in_memory(&agent).run().text(), "a test");
    /// ```
    pub fn header(&self, name: &str) -> Option<&str> {
        self.header_bytes(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The value of a field as the bytes that were sent.
    pub fn header_bytes(&self, name: &str) -> Option<&[u8]> {
        self.head().field(name)
    }

    /// The field lines in the order in which they were sent, without the white space around values.
    ///
    /// ```
    /// # use brooklet::{testing::Client, Request, Response};
    /// let names = |request: Request| {
    ///     let names: Vec<&str> = request.headers().map(|(name, _value)| name).collect();
    ///     Response::text(names.join(", "))
    /// };
    /// let stream = Client::get("/").header("X-Room", "7").in_memory(&names).run();
    /// assert!(stream.text().contains("X-Room"));
    /// ```
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.head().fields()
    }

    /// The body, empty where there is none. It was read before the handler was called;
    /// [`Limits::max_body`](crate::Limits) bounds it.
    ///
    /// ```
    /// # use brooklet::{testing::Client, Request, Response};
    /// let count = |request: Request| {
    ///     let text = std::str::from_utf8(request.body())?;
    ///     Ok::<_, std::str::Utf8Error>(Response::text(format!("{} characters", text.chars().count())))
    /// };
    /// assert_eq!(Client::new("POST", "/").body("größer").in_memory(&count).run().text(), "6 characters");
    /// ```
    pub fn body(&self) -> &[u8] {
        self.body.as_deref().map_or(&[], |body| &body.bytes)
    }

    /// The client's address. Behind a proxy it is the proxy's address, unless the host was set up
    /// [`behind_proxy`](crate::Host::behind_proxy). `None` where the socket has no address.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.received.peer
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method())
            .field("target", &self.raw_target())
            .field("peer", &self.peer())
            .finish_non_exhaustive()
    }
}

/// The part of a path that is left for a handler. Empty segments do not count: `//a//` has the one `a`.
///
/// ```
/// use brooklet::{testing::Client, Layout, Request, Response};
///
/// // GET /files/2026/11/notes.txt
/// let app = Layout::new().add("files", |request: Request| {
///     let target = request.target();
///     let year = target.current();                            // Some("2026")
///     let path: Vec<&str> = target.segments().collect();      // ["2026", "11", "notes.txt"]
///     let text = target.as_str();                             // "/2026/11/notes.txt"
///     Response::text(format!("{text}, {} segments, {year:?} first", path.len()))
/// });
/// let answer = Client::get("/files/2026/11/notes.txt").in_memory(&app).run();
/// assert_eq!(answer.text(), "/2026/11/notes.txt, 3 segments, Some(\"2026\") first");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'r> {
    rest: &'r str,
}

impl<'r> Target<'r> {
    /// The next segment; `None` at the end of the path.
    pub fn current(self) -> Option<&'r str> {
        self.segments().next()
    }

    /// All segments that are left.
    pub fn segments(self) -> impl Iterator<Item = &'r str> {
        segments(self.rest)
    }

    /// What is left, with its slashes.
    pub fn as_str(self) -> &'r str {
        self.rest
    }

    fn after_current(self) -> &'r str {
        let from_segment = self.rest.trim_start_matches('/');
        &from_segment[from_segment.find('/').unwrap_or(from_segment.len())..]
    }
}

/// What stands between the slashes of a path, but for what is empty.
pub(crate) fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_below() {
        check("/a/b/c", &["/a/b/c a", "/b/c b", "/c c", " -"]);
        check("/a/", &["/a/ a", "/ -"]);
        check("//a//b//", &["//a//b// a", "//b// b", "// -"]);
        check("/", &["/ -"]);
        check("/%C3%BCber/x", &["/über/x über", "/x x", " -"]);

        #[track_caller]
        fn check(path: &str, expected: &[&str]) {
            let head = Head::parse(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).expect(path);
            let mut request = Request::new(head, None, None);
            for expected in expected {
                let target = request.target();
                assert_eq!(format!("{} {}", target.as_str(), target.current().unwrap_or("-")), *expected);
                request = request.descend();
            }
            assert_eq!(request.target().current(), None, "{path:?}");
        }
    }
}
