//! Ends one stream: from another thread, or at a set time.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::connection::EventConnection;
use crate::clock::NEVER;
use crate::http::{CloseReason, Connection};

/// Ends one stream from anywhere: a logout, a key that was revoked, a page that says goodbye.
///
/// It is cheap to keep and to clone, and keeps nothing open: neither the connection nor its slot. It works as long as
/// the stream lasts, also while that follows a channel. [`EventConnection::handle`] gives it.
///
/// ```
/// use brooklet::{testing::Client, CloseReason, EventSource, StreamHandle};
/// use std::collections::HashMap;
/// use std::sync::{Arc, Mutex};
/// use std::time::Duration;
///
/// let streams: Arc<Mutex<HashMap<String, StreamHandle>>> = Arc::default();
/// let known = Arc::clone(&streams);
/// let source = EventSource::new(move |connection| {
///     let user = connection.request().query("user").unwrap_or("guest");
///     known.lock().unwrap().insert(user.to_owned(), connection.handle());
///     Ok(connection.wait(Duration::MAX)?) // and events, in between
/// });
///
/// let log_out = move || { // in another handler, on another thread
///     if let Some(stream) = streams.lock().unwrap().remove("ada") {
///         stream.end();
///     }
/// };
/// let stream = Client::get("/?user=ada").in_memory(&source).at(Duration::from_secs(60), log_out).run();
/// assert_eq!(stream.reason(), Some(CloseReason::Ended));
/// ```
#[derive(Clone)]
pub struct StreamHandle(Weak<Connection>);

impl StreamHandle {
    /// Ends the stream at once: its client sees the end, and each later call of the generator fails with
    /// [`CloseReason::Ended`]. If the stream has ended already, nothing happens. What was sent before still arrives.
    ///
    /// An `EventSource` in a browser comes back, as after every end. The source's
    /// [inspector](crate::EventSource::inspector) decides whether it gets a stream again.
    pub fn end(&self) {
        if let Some(connection) = self.0.upgrade() {
            if connection.end(CloseReason::Ended) == CloseReason::Ended {
                connection.shutdown();
            }
        }
    }

    /// Whether the stream is open, as far as is known: see [`EventConnection::connected`].
    pub fn is_open(&self) -> bool {
        self.0.upgrade().map_or(false, |connection| !connection.is_over())
    }
}

impl EventConnection<'_> {
    /// A handle by which other threads can end this stream; for an example see [`StreamHandle`].
    pub fn handle(&self) -> StreamHandle {
        StreamHandle(Arc::downgrade(&self.stream.connection))
    }

    /// Ends the stream after this time, counted from now: for a token that expires. A stream that follows a channel ends
    /// within a second after that. If the source has a [`max_age`](crate::EventSource::max_age) as well, the earlier time
    /// counts. After zero the stream ends as soon as the generator waits; for a source, zero means never.
    ///
    /// The client is told to come back in 1.5 to 4.5 seconds.
    ///
    /// ```
    /// use brooklet::testing::Client;
    /// use brooklet::{CloseReason, EventSource};
    /// use std::time::Duration;
    ///
    /// let source = EventSource::new(|connection| {
    ///     connection.max_age(Duration::from_secs(90));
    ///     Ok(connection.wait(Duration::MAX)?)
    /// });
    /// let stream = Client::get("/").in_memory(&source).run();
    /// assert_eq!((stream.reason(), stream.duration().as_secs()), (Some(CloseReason::MaxAge), 90));
    /// ```
    pub fn max_age(&mut self, age: Duration) {
        let expires = self.now() + age.min(NEVER);
        self.stream.expire(expires);
    }
}

impl fmt::Debug for StreamHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamHandle").field("is_open", &self.is_open()).finish()
    }
}
