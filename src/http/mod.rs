//! Bytes to requests, responses to bytes: HTTP/1.1 by hand (RFC 9110, RFC 9112).
//!
//! This folder reads from and writes to a [`Socket`]. It opens no connection and makes no thread, and it uses nothing
//! of the host or of events.

mod byte_class;
mod rows;
mod status;
mod refusal;
mod socket;
mod stop_signal;
mod close_reason;
mod record;
mod connection;
mod field;
mod framing;
mod percent;
mod form;
mod target;

mod head;
mod reader;
pub(crate) mod body;

pub(crate) mod forwarded;
mod request;
mod response;
mod into_response;
pub(crate) mod conditional;

pub(crate) mod answer;

pub use close_reason::CloseReason;
pub use form::Form;
pub use into_response::IntoResponse;
pub use request::{Request, Target};
pub use response::{FieldValue, Response};
pub use socket::Socket;
pub use status::Status;

pub(crate) use connection::{Connection, WRITE_PROGRESS};
pub(crate) use head::{Head, MAX_HEAD};
pub(crate) use reader::{ReadError, Reader};
pub(crate) use record::{Record, Registration};
use refusal::Refusal;
pub(crate) use request::segments;
pub(crate) use response::{BoxError, StreamBody, StreamStart};
pub(crate) use socket::{is_local, AnySocket};
pub(crate) use stop_signal::{StopSignal, Wake};
pub(crate) use target::{split_port, split_scheme};

/// Answers requests.
///
/// A closure is one: `|request: Request| Response::text("hello")`; it may return whatever is [`IntoResponse`], a
/// `Result` among others, whose error is answered `500` and logged. So are [`Layout`](crate::Layout),
/// [`Content`](crate::Content), [`EventSource`](crate::EventSource) and [`Control`](crate::Control).
///
/// A wrapper, for authentication say, is a closure around another handler. (The comparison here takes longer if more of
/// the token is right. The guide has one that does not: [access](crate::guide::access#passwords-and-tokens).)
///
/// ```
/// use brooklet::{Handler, Request, Response, Status};
///
/// fn guarded(token: &'static str, inner: impl Handler) -> impl Handler {
///     move |request: Request| match request.query("token") {
///         Some(given) if given == token => inner.handle(request),
///         _ => Response::error(Status::UNAUTHORIZED).header("WWW-Authenticate", "Bearer"),
///     }
/// }
/// # use brooklet::testing::Client;
/// let app = guarded("secret", |_: Request| Response::text("inside"));
/// assert_eq!(Client::get("/?token=secret").in_memory(&app).run().text(), "inside");
/// assert_eq!(Client::get("/?token=guess").in_memory(&app).run().status(), Status::UNAUTHORIZED);
/// ```
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. It runs on the connection's own thread and may block.
    fn handle(&self, request: Request) -> Response;
}

impl<F, R> Handler for F
where
    F: Fn(Request) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    fn handle(&self, request: Request) -> Response {
        self(request).into_response()
    }
}
