//! A client as a test describes it: what it asks for.

use std::time::Duration;

use crate::clock::NEVER;

/// The deadline of everything that has to happen. It is long, since a busy machine is no defect.
const DEADLINE: Duration = Duration::from_secs(60);

/// A client of a stream or a page: the request that it sends.
///
/// It asks a handler [in memory](Self::in_memory), or a host [over TCP](Self::connect).
///
/// ```
/// use brooklet::testing::Client;
/// use brooklet::{Layout, Request, Response, Status};
///
/// let app = Layout::new().add("greet", |request: Request| {
///     let name = request.query("name").unwrap_or("world");
///     Response::text(format!("Hello, {name}! {} bytes", request.body().len()))
/// });
///
/// let answer = Client::new("POST", "/greet").query("name", "Ada").body("four").in_memory(&app).run();
/// assert_eq!((answer.status(), &*answer.text()), (Status::OK, "Hello, Ada! 4 bytes"));
/// ```
#[derive(Debug, Clone)]
#[must_use = "a client asks when it is given a handler or an address"]
pub struct Client {
    method: String,
    target: String,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
    pub(super) deadline: Duration,
}

impl Client {
    /// A client that asks by GET for a path, and a query if there is one: `/events/type?user=123`.
    pub fn get(target: impl Into<String>) -> Self {
        Self::new("GET", target)
    }

    /// A client that asks by another method.
    pub fn new(method: impl Into<String>, target: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            target: target.into(),
            fields: vec![(String::from("Accept"), String::from("text/event-stream"))],
            body: Vec::new(),
            deadline: DEADLINE,
        }
    }

    /// Adds a pair to the query, encoded as it has to be.
    pub fn query(mut self, key: &str, value: &str) -> Self {
        self.target.push(if self.target.contains('?') { '&' } else { '?' });
        encode(&mut self.target, key);
        self.target.push('=');
        encode(&mut self.target, value);
        self
    }

    /// Sets a field, in place of those of the same name.
    ///
    /// # Panics
    ///
    /// If name or value hold a line end.
    #[track_caller]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        assert!(
            ![name, value].concat().contains(['\r', '\n']),
            "a field is one line, this is not: {name}: {value}"
        );
        self.fields.retain(|(field, _)| !field.eq_ignore_ascii_case(name));
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Makes it a client that comes back, and has seen the event with this id. An empty id counts as none.
    #[track_caller]
    pub fn last_event_id(self, id: &str) -> Self {
        match id {
            "" => self,
            id => self.header("Last-Event-ID", id),
        }
    }

    /// Sends a body along. Its type is a [field](Self::header).
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// How long each call that waits over TCP may take: a minute, unless set.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline.min(NEVER);
        self
    }

    /// The bytes of the request.
    pub(super) fn request(&self, host: &str) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        let mut field = |name: &str, value: &str| {
            if !self.fields.iter().any(|(set, _)| set.eq_ignore_ascii_case(name)) {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
        };
        field("Host", host);
        field("Connection", "close");
        if !self.body.is_empty() || !["GET", "HEAD"].contains(&self.method.as_str()) {
            field("Content-Length", &self.body.len().to_string());
        }
        for (name, value) in &self.fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        [head.as_bytes(), &self.body].concat()
    }
}

/// Percent-encodes all but what may always stand as it is (RFC 3986 §2.3).
fn encode(out: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
}
