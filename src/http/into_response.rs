//! What handlers may return in place of a response.

use super::response::BoxError;
use super::{Response, Status};

/// What a handler may return.
///
/// ```
/// use brooklet::{IntoResponse, Response, Status};
///
/// struct Note(String);
///
/// impl IntoResponse for Note {
///     fn into_response(self) -> Response {
///         Response::text(self.0).header("Cache-Control", "no-store")
///     }
/// }
///
/// assert_eq!("text".into_response().header_value("Content-Type"), Some("text/plain; charset=utf-8"));
/// assert_eq!((Status::CREATED, Note("made".into())).into_response().status_code(), Status::CREATED);
/// assert_eq!(Status::GONE.into_response().status_code(), Status::GONE);
/// assert_eq!(().into_response().status_code(), Status::NO_CONTENT);
/// assert_eq!(None::<Note>.into_response().status_code(), Status::NOT_FOUND);
///
/// let found: Result<Note, std::io::Error> = Ok(Note("hello".into()));
/// assert_eq!(found.into_response().status_code(), Status::OK);
/// let failed: Result<Note, &str> = Err("it is not here");
/// assert_eq!(failed.into_response().status_code(), Status::INTERNAL_SERVER_ERROR);
/// ```
pub trait IntoResponse {
    /// Makes the answer.
    fn into_response(self) -> Response;
}

impl IntoResponse for Response {
    fn into_response(self) -> Response {
        self
    }
}

/// An error is answered `500` and logged; only [`development`](crate::Host::development) shows it.
impl<R: IntoResponse, E: Into<BoxError>> IntoResponse for Result<R, E> {
    fn into_response(self) -> Response {
        match self {
            Ok(response) => response.into_response(),
            Err(error) => Response::error(Status::INTERNAL_SERVER_ERROR).caused_by(error.into()),
        }
    }
}

/// From 400 on the page of [`Response::error`], below that an empty body.
impl IntoResponse for Status {
    fn into_response(self) -> Response {
        match self.code() {
            400.. => Response::error(self),
            _ => Response::new(self),
        }
    }
}

/// The answer of the second value, with the status of the first.
impl<R: IntoResponse> IntoResponse for (Status, R) {
    fn into_response(self) -> Response {
        self.1.into_response().status(self.0)
    }
}

/// `204 No Content`.
impl IntoResponse for () {
    fn into_response(self) -> Response {
        Response::new(Status::NO_CONTENT)
    }
}

/// Plain text.
impl IntoResponse for &'static str {
    fn into_response(self) -> Response {
        Response::text(self)
    }
}

/// Plain text.
impl IntoResponse for String {
    fn into_response(self) -> Response {
        Response::text(self)
    }
}

/// `None` is answered `404`.
impl<R: IntoResponse> IntoResponse for Option<R> {
    fn into_response(self) -> Response {
        self.map_or_else(|| Response::error(Status::NOT_FOUND), R::into_response)
    }
}
