//! Which pages of other origins may read the answers (Fetch standard §3.2, CORS).
//!
//! Whether a request of such a page is answered at all is decided by the host's guard. Left out: further fields of an
//! answer that a page may read (`Access-Control-Expose-Headers`), and origins by pattern.

use std::borrow::Cow;

use crate::http::{split_scheme, Head, Response, Status};

/// The fields that the script of a page may send. A browser asks before it sends any but the simplest ones.
///
/// `Last-Event-ID` is one of them, because browsers other than Chromium ask before they send a long or unusual id.
const DEFAULT_HEADERS: &str = "Authorization, Cache-Control, Content-Type, Last-Event-ID";
/// What a page may do. Whether a handler serves the method is for the handler to say.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
/// How long a browser may remember the answer, in seconds. Chromium forgets it after two hours in any case.
const MAX_AGE: &str = "7200";

/// Lets pages of other origins read the answers of a [`Host`](crate::Host), streams included.
///
/// Without it browsers keep answers from pages of other origins, which is what most tools want. With it every
/// answer, errors and `204` included, says which origins are allowed, and OPTIONS is answered.
///
/// ```
/// use brooklet::{testing::Client, Cors, Host, Request, Response};
///
/// let cors = Cors::origins(["https://dashboard.example"]).header("X-Request-Id").credentials();
/// let host = Host::new(|_: Request| Response::text("hello")).bind("127.0.0.1:0").cors(cors).start()?;
/// let page = Client::get("/").header("Origin", "https://dashboard.example");
/// let answer = page.connect(host.address())?;
/// assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("https://dashboard.example"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// An origin is sent back only if it is one of those in the list, letter by letter.
#[derive(Debug, Clone)]
#[must_use = "it holds when a Host is given it"]
pub struct Cors {
    origins: Origins,
    credentials: bool,
    headers: Cow<'static, str>,
}

#[derive(Debug, Clone)]
enum Origins {
    Any,
    /// As they are sent back.
    Listed(Vec<String>),
}

impl Cors {
    /// Pages of these origins: scheme, host and port if it is not the scheme's own, as in
    /// `https://dashboard.example`.
    ///
    /// # Panics
    ///
    /// If one of them is no origin, which would never match: an error in the program.
    ///
    /// Origins that come from elsewhere, a configuration say, go through [`try_origins`](Self::try_origins).
    #[track_caller]
    pub fn origins<O: Into<String>>(origins: impl IntoIterator<Item = O>) -> Self {
        match Self::try_origins(origins) {
            Ok(cors) => cors,
            Err(error) => panic!("{error}"),
        }
    }

    /// [`origins`](Self::origins), with an error for what is no origin.
    ///
    /// ```
    /// use brooklet::Cors;
    ///
    /// assert!(Cors::try_origins("https://a.example https://b.example:8443".split(' ')).is_ok());
    /// let error = Cors::try_origins(["https://a.example/"]).unwrap_err();
    /// assert_eq!(error.to_string(), "`https://a.example/` is no origin, such as https://example.com");
    /// ```
    ///
    /// # Errors
    ///
    /// For the first that is no origin.
    pub fn try_origins<O: Into<String>>(origins: impl IntoIterator<Item = O>) -> crate::Result<Self> {
        let origins: Vec<String> = origins.into_iter().map(Into::into).collect();
        match origins.iter().find(|origin| !is_origin(origin)) {
            Some(origin) => Err(format!("`{origin}` is no origin, such as https://example.com").into()),
            None => Ok(Self::new(Origins::Listed(origins))),
        }
    }

    /// Pages of every origin, but without cookies and other credentials.
    ///
    /// On loopback, every page that the user of this machine visits can then read the answers.
    ///
    /// ```
    /// use brooklet::{testing::Client, Cors, Host, Request, Response};
    ///
    /// let prices = |_: Request| Response::json("[129.5]"); // they are no secret
    /// let host = Host::new(prices).bind("127.0.0.1:0").cors(Cors::any_origin()).start()?;
    /// let answer = Client::get("/").header("Origin", "https://any.example").connect(host.address())?;
    /// assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("*"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn any_origin() -> Self {
        Self::new(Origins::Any)
    }

    fn new(origins: Origins) -> Self {
        Self { origins, credentials: false, headers: Cow::Borrowed(DEFAULT_HEADERS) }
    }

    /// Lets the listed origins send cookies and other credentials along (`withCredentials` of an `EventSource`).
    ///
    /// # Panics
    ///
    /// If every origin is allowed: any page could act in the name of its visitors.
    #[track_caller]
    pub fn credentials(mut self) -> Self {
        assert!(matches!(self.origins, Origins::Listed(_)), "credentials need a list of origins");
        self.credentials = true;
        self
    }

    /// Lets pages send one more field, beside `Authorization`, `Cache-Control`, `Content-Type` and
    /// `Last-Event-ID`.
    pub fn header(mut self, name: &'static str) -> Self {
        self.headers = Cow::Owned(format!("{}, {name}", self.headers));
        self
    }

    /// Whether pages of this origin are allowed.
    pub(crate) fn allows(&self, origin: &[u8]) -> bool {
        match &self.origins {
            Origins::Any => true,
            Origins::Listed(origins) => origins.iter().any(|listed| listed.as_bytes() == origin),
        }
    }

    /// The answer to a browser that asks before it sends the real request.
    pub(crate) fn preflight(&self, head: &Head) -> Option<Response> {
        let asks = head.method() == "OPTIONS" && head.field("Access-Control-Request-Method").is_some();
        let is_allowed = matches!(head.field("Origin"), Some(origin) if self.allows(origin));
        (asks && is_allowed).then(|| {
            Response::new(Status::NO_CONTENT)
                .header("Access-Control-Allow-Methods", METHODS)
                .header("Access-Control-Allow-Headers", self.headers.clone())
                .header("Access-Control-Max-Age", MAX_AGE)
        })
    }

    /// Says in an answer who may read it.
    pub(crate) fn apply(&self, head: &Head, response: Response) -> Response {
        let origins = match &self.origins {
            Origins::Any => return response.header("Access-Control-Allow-Origin", "*"),
            Origins::Listed(origins) => origins,
        };
        // Also where the origin is not allowed: caches must not hand one origin's answer to another.
        let response = response.add_header("Vary", "Origin");
        let origin = head.field("Origin").unwrap_or_default();
        let response = match origins.iter().find(|listed| listed.as_bytes() == origin) {
            Some(listed) => response.header("Access-Control-Allow-Origin", listed.clone()),
            None => return response,
        };
        match self.credentials {
            true => response.header("Access-Control-Allow-Credentials", "true"),
            false => response,
        }
    }
}

/// `scheme "://" host [ ":" port ]`, as browsers write it.
fn is_origin(text: &str) -> bool {
    let (scheme, host) = split_scheme(text).unwrap_or_default();
    !scheme.is_empty()
        && !host.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase())
        && !host.contains(['/', '?', '#', '@', ',', '*'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        for good in ["https://a.example", "http://localhost:3000", "http://[::1]:80", "app://local"] {
            assert!(is_origin(good), "{good:?}");
        }
        for bad in [
            "",
            "*",
            "null",
            "a.example",
            "https://",
            "https://a/",
            "https://a b",
            "https://A",
            "https://u@a",
            "https://*.a",
        ] {
            assert!(!is_origin(bad), "{bad:?}");
        }
    }

    #[test]
    #[should_panic(expected = "credentials need a list of origins")]
    fn never_all_with_credentials() {
        let _ = Cors::any_origin().credentials();
    }
}
