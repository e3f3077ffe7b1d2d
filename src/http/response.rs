//! The response as handlers make it: a value, which the connection's loop writes.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use super::close_reason::CloseReason;
use super::connection::Connection;
use super::field::is_token;
use super::Status;

/// An error of any type, as handlers and generators return it with `?`.
pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// What a stream runs once its head is out.
pub(crate) type StreamBody = Box<dyn FnOnce(Arc<Connection>) -> Result<(), BoxError> + Send>;

/// The framing and the life of a connection are the host's.
const FIELDS_OF_THE_HOST: [&str; 5] =
    ["content-length", "transfer-encoding", "connection", "keep-alive", "upgrade"];

/// An answer: status, fields and body.
///
/// ```
/// use brooklet::{Response, Status};
///
/// let moved = Response::new(Status::SEE_OTHER).header("Location", "/elsewhere");
/// let page = Response::html("<h1>It works</h1>");
/// assert_eq!((moved.header_value("Location"), page.status_code()), (Some("/elsewhere"), Status::OK));
/// ```
///
/// The host writes `Date`, `Content-Length` and `Connection`. A client that has the page already, which it says by the
/// `ETag` that was set here, is answered `304 Not Modified` (RFC 9110 §13.1.2). A *field* is a line of the head, which is
/// also called a header.
#[must_use = "a response is sent when a handler returns it"]
pub struct Response {
    status: Status,
    pub(crate) fields: Vec<(&'static str, FieldValue)>,
    body: Body,
    pub(crate) error: Option<BoxError>,
}

enum Body {
    Bytes(Cow<'static, [u8]>),
    Shared(Arc<[u8]>),
    /// Read while it is written; the limit is its length.
    Reader(io::Take<Box<dyn Read + Send>>),
    Stream(StreamStart, StreamBody),
}

/// How a stream begins.
#[derive(Debug, Default)]
pub(crate) struct StreamStart {
    /// What leaves with the head.
    pub(crate) first: String,
    /// Whether it comes in chunks (RFC 9112 §7.1), for a client that understands them.
    pub(crate) is_chunked: bool,
}

impl Response {
    /// An answer with an empty body.
    ///
    /// ```
    /// # use brooklet::{Response, Status};
    /// let gone = Response::new(Status::GONE);
    /// assert_eq!(gone.status_code(), Status::GONE);
    /// ```
    pub fn new(status: Status) -> Self {
        Self { status, fields: Vec::new(), body: Body::Bytes(Cow::Borrowed(&[])), error: None }
    }

    /// `200 OK` with plain text in UTF-8.
    ///
    /// ```
    /// # use brooklet::{Response, Status};
    /// let answer = Response::text("hello");
    /// assert_eq!(answer.status_code(), Status::OK);
    /// assert_eq!(answer.header_value("Content-Type"), Some("text/plain; charset=utf-8"));
    /// ```
    pub fn text(text: impl Into<Cow<'static, str>>) -> Self {
        let bytes = match text.into() {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        };
        Self::bytes("text/plain; charset=utf-8", bytes)
    }

    /// `200 OK` with an HTML page in UTF-8. Nothing is escaped here.
    ///
    /// ```
    /// # use brooklet::Response;
    /// let page = Response::html(format!("<h1>{} streams</h1>", 3));
    /// assert_eq!(page.header_value("content-type"), Some("text/html; charset=utf-8"));
    /// ```
    pub fn html(page: impl Into<Cow<'static, str>>) -> Self {
        Self::text(page).header("Content-Type", "text/html; charset=utf-8")
    }

    /// `200 OK` with JSON that is text already, made by [`to_json`](crate::to_json) say.
    ///
    /// ```
    /// # use brooklet::Response;
    /// let answer = Response::json(r#"{"streams":3}"#);
    /// assert_eq!(answer.header_value("Content-Type"), Some("application/json"));
    /// ```
    pub fn json(json: impl Into<Cow<'static, str>>) -> Self {
        Self::text(json).header("Content-Type", "application/json")
    }

    /// `200 OK` with bytes of a media type.
    ///
    /// ```
    /// # use brooklet::Response;
    /// let picture = Response::bytes("image/png", &b"\x89PNG..."[..]);
    /// assert_eq!(picture.header_value("Content-Type"), Some("image/png"));
    /// ```
    pub fn bytes(media_type: impl Into<FieldValue>, bytes: impl Into<Cow<'static, [u8]>>) -> Self {
        Self::ok(vec![("Content-Type", media_type.into())], Body::Bytes(bytes.into()))
    }

    /// A page of plain text that says the status: `404 Not Found` for [`Status::NOT_FOUND`].
    ///
    /// ```
    /// # use brooklet::{Response, Status};
    /// let missing = Response::error(Status::NOT_FOUND);
    /// assert_eq!(missing.status_code().code(), 404);
    /// ```
    pub fn error(status: Status) -> Self {
        Self::text(format!("{status}\n")).status(status)
    }

    /// The page of [`error`](Self::error), with a sentence that explains it. Do not repeat in it what the client sent.
    ///
    /// ```
    /// # use brooklet::{Response, Status};
    /// let answer = Response::explain(Status::BAD_REQUEST, "the query lacks a room");
    /// // 400 Bad Request: the query lacks a room
    /// # assert_eq!(answer.status_code().code(), 400);
    /// ```
    pub fn explain(status: Status, sentence: &str) -> Self {
        Self::text(format!("{status}: {sentence}\n")).status(status)
    }

    /// The answer to a method that a handler does not serve (RFC 9110 §9.1). A known method is answered `405`, and
    /// OPTIONS, which asks for the methods, `204`; both with `allowed` and OPTIONS in the field `Allow`. A method that is
    /// none of HTTP is answered `501`.
    ///
    /// ```
    /// # use brooklet::{Response, Status};
    /// let answer = Response::method_not_allowed("DELETE", "GET, HEAD");
    /// assert_eq!(answer.status_code(), Status::METHOD_NOT_ALLOWED);
    /// assert_eq!(answer.header_value("Allow"), Some("GET, HEAD, OPTIONS"));
    /// assert_eq!(Response::method_not_allowed("BREW", "GET").status_code(), Status::NOT_IMPLEMENTED);
    /// ```
    pub fn method_not_allowed(method: &str, allowed: &str) -> Self {
        /// RFC 9110 §9.3, and PATCH of RFC 5789.
        const KNOWN: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "TRACE", "PATCH"];
        let response = match method {
            "OPTIONS" => Self::new(Status::NO_CONTENT),
            known if KNOWN.contains(&known) => Self::error(Status::METHOD_NOT_ALLOWED),
            _ => return Self::error(Status::NOT_IMPLEMENTED),
        };
        response.header("Allow", format!("{allowed}, OPTIONS"))
    }

    pub(crate) fn shared(media_type: FieldValue, entity_tag: FieldValue, bytes: Arc<[u8]>) -> Self {
        Self::ok(vec![("Content-Type", media_type), ("ETag", entity_tag)], Body::Shared(bytes))
    }

    /// An answer of so many bytes, which are read while they are written.
    pub(crate) fn reader(media_type: FieldValue, length: u64, reader: Box<dyn Read + Send>) -> Self {
        Self::ok(vec![("Content-Type", media_type)], Body::Reader(reader.take(length)))
    }

    /// An answer that has begun when `body` runs, and lasts as long as that.
    pub(crate) fn begin_stream(
        fields: Vec<(&'static str, FieldValue)>,
        start: StreamStart,
        body: StreamBody,
    ) -> Self {
        Self::ok(fields, Body::Stream(start, body))
    }

    fn ok(fields: Vec<(&'static str, FieldValue)>, body: Body) -> Self {
        Self { status: Status::OK, fields, body, error: None }
    }

    /// Sets the status.
    ///
    /// ```
    /// # use brooklet::{Response, Status};
    /// let made = Response::json(r#"{"id":7}"#).status(Status::CREATED);
    /// assert_eq!(made.status_code(), Status::CREATED);
    /// ```
    pub fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// Sets a field, in place of those of the same name.
    ///
    /// # Panics
    ///
    /// If the name is not a token, or one of the fields that are the host's own: `Content-Length`,
    /// `Transfer-Encoding`, `Connection`, `Keep-Alive`, `Upgrade`. Names come from the program's text, so
    /// that is an error in the program.
    ///
    /// ```
    /// # use brooklet::Response;
    /// let answer = Response::text("a,b\n").header("Content-Type", "text/csv");
    /// assert_eq!(answer.header_value("Content-Type"), Some("text/csv"));
    /// ```
    #[track_caller]
    pub fn header(mut self, name: &'static str, value: impl Into<FieldValue>) -> Self {
        self.remove_fields(name);
        self.add_field(name, value.into());
        self
    }

    /// Adds a field beside those of the same name, as several cookies need it.
    ///
    /// # Panics
    ///
    /// As [`header`](Self::header) does.
    ///
    /// ```
    /// # use brooklet::Response;
    /// let answer = Response::text("hi").add_header("Set-Cookie", "a=1").add_header("Set-Cookie", "b=2");
    /// assert_eq!(answer.header_value("Set-Cookie"), Some("a=1")); // the first
    /// ```
    #[track_caller]
    pub fn add_header(mut self, name: &'static str, value: impl Into<FieldValue>) -> Self {
        self.add_field(name, value.into());
        self
    }

    #[track_caller]
    fn add_field(&mut self, name: &'static str, value: FieldValue) {
        assert!(is_token(name.as_bytes()), "`{name}` is not a field name");
        let is_the_hosts = FIELDS_OF_THE_HOST.iter().any(|field| field.eq_ignore_ascii_case(name));
        assert!(!is_the_hosts, "the host writes {name} itself");
        self.fields.push((name, value));
    }

    fn remove_fields(&mut self, name: &str) {
        self.fields.retain(|(field, _)| !field.eq_ignore_ascii_case(name));
    }

    /// Attaches an error for the log; in [`development`](crate::Host::development) the page shows it too.
    pub(crate) fn caused_by(mut self, error: BoxError) -> Self {
        self.error = Some(error);
        self
    }

    /// The status that was set. For an example see [`status`](Self::status).
    pub fn status_code(&self) -> Status {
        self.status
    }

    /// The value of a field, if it was set; the first, where there are several. The name may be in any case. For an
    /// example see [`header`](Self::header).
    pub fn header_value(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| &*value.0)
    }

    /// Whether an answer to this method has its body (RFC 9110 §6.4.1, §9.3.2).
    pub(crate) fn has_body(&self, method: &str) -> bool {
        method != "HEAD" && !self.status.is_bodiless()
    }

    /// The bytes of the body, where they are in memory.
    pub(crate) fn body_bytes(&self) -> Option<&[u8]> {
        match &self.body {
            Body::Bytes(bytes) => Some(bytes),
            Body::Shared(bytes) => Some(bytes),
            Body::Reader(_) | Body::Stream(..) => None,
        }
    }

    /// How the body begins, if it is a stream.
    pub(crate) fn stream_start(&self) -> Option<&StreamStart> {
        match &self.body {
            Body::Stream(start, _) => Some(start),
            _ => None,
        }
    }

    /// The length of the body, or of what is left to be read of it; `None` for a stream.
    pub(crate) fn body_length(&self) -> Option<u64> {
        match &self.body {
            Body::Reader(reader) => Some(reader.limit()),
            _ => self.body_bytes().map(|bytes| bytes.len() as u64),
        }
    }

    /// Appends so many bytes of the body, from its start or from where the last call ended if it is a reader. Where they
    /// cannot be had, the reason is the answer's error.
    pub(crate) fn read_body(&mut self, buffer: &mut Vec<u8>, count: usize) -> Result<(), CloseReason> {
        if let Some(bytes) = self.body_bytes() {
            buffer.extend_from_slice(&bytes[..count]);
        } else if let Body::Reader(reader) = &mut self.body {
            let start = buffer.len();
            buffer.resize(start + count, 0);
            reader.read_exact(&mut buffer[start..]).map_err(|error| {
                self.error = Some(error.into());
                CloseReason::Failed
            })?;
        }
        Ok(())
    }

    pub(crate) fn into_stream(self) -> Option<StreamBody> {
        match self.body {
            Body::Stream(_, body) => Some(body),
            Body::Bytes(_) | Body::Shared(_) | Body::Reader(_) => None,
        }
    }

    /// Takes the body out, and the field that says its media type.
    pub(super) fn without_content(mut self) -> Self {
        self.body = Body::Bytes(Cow::Borrowed(&[]));
        self.remove_fields("Content-Type");
        self
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("fields", &self.fields)
            .field("body_length", &self.body_length())
            .field("error", &self.error)
            .finish()
    }
}

/// The value of a field, which cannot hold a line end.
///
/// CR, LF, NUL and other control bytes become spaces when the value is made, as RFC 9110 §5.5 has it: no text,
/// wherever it comes from, can add a field or end a head.
///
/// ```
/// use brooklet::FieldValue;
///
/// let value = FieldValue::from("a\r\nSet-Cookie: b");
/// assert_eq!(value.as_str(), "a  Set-Cookie: b");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldValue(Cow<'static, str>);

impl FieldValue {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn new(text: Cow<'static, str>) -> Self {
        let is_control = |char: char| char.is_ascii_control() && char != '\t';
        match text.bytes().any(|byte| is_control(byte.into())) {
            true => Self(text.chars().map(|char| if is_control(char) { ' ' } else { char }).collect()),
            false => Self(text),
        }
    }
}

impl From<&'static str> for FieldValue {
    fn from(text: &'static str) -> Self {
        Self::new(Cow::Borrowed(text))
    }
}

impl From<String> for FieldValue {
    fn from(text: String) -> Self {
        Self::new(Cow::Owned(text))
    }
}

impl From<Cow<'static, str>> for FieldValue {
    fn from(text: Cow<'static, str>) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_can_end_its_line() {
        check("plain", "plain");
        check("tab\tstays", "tab\tstays");
        check("a\r\nb", "a  b");
        check("a\0b\x7f", "a b ");
        check("ü\u{85}", "ü\u{85}"); // not a line end in HTTP

        #[track_caller]
        fn check(text: &'static str, expected: &str) {
            assert_eq!(FieldValue::from(text).as_str(), expected, "{text:?}");
        }
    }

    #[test]
    #[should_panic(expected = "the host writes content-length itself")]
    fn framing_is_the_hosts() {
        let _ = Response::new(Status::OK).header("content-length", "5");
    }

    #[test]
    fn header_replaces_and_add_header_adds() {
        let response =
            Response::text("x").header("content-type", "a/b").add_header("X", "1").add_header("X", "2");
        let fields: Vec<_> = response.fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(fields, [("content-type", "a/b"), ("X", "1"), ("X", "2")]);
    }
}
