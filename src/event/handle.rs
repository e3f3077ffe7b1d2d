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
/// use brooklet::{EventSource, StreamHandle};
/// use std::collections::HashMap;
/// use std::sync::{Arc, Mutex};
/// use std::time::Duration;
///
/// let streams: Arc<Mutex<HashMap<String, StreamHandle>>> = Arc::default();
/// let known = Arc::clone(&streams);
/// let source = EventSource::new(move |connection| {
///     let user = connection.request().query("user").unwrap_or("nobody");
///     known.lock().unwrap().insert(user.to_owned(), connection.handle());
///     Ok(connection.wait(Duration::MAX)?) // and events, in between
/// });
///
/// // In another handler, on another thread:
/// if let Some(stream) = streams.lock().unwrap().remove("ada") {
///     stream.end();
/// }
/// # drop(source);
/// ```
#[derive(Clone)]
pub struct StreamHandle(Weak<Connection>);

impl StreamHandle {
    /// Ends the stream, at once: its client sees the end, and what the generator does with it next fails with
    /// [`CloseReason::Ended`]. Where it has ended already, nothing happens.
    ///
    /// An `EventSource` in a browser comes back, as after every end: whether it is let in again, the source's
    /// [inspector](crate::EventSource::inspector) decides. What was sent before still arrives.
    pub fn end(&self) {
        if let Some(connection) = self.0.upgrade() {
            if connection.end(CloseReason::Ended) == CloseReason::Ended {
                connection.shutdown();
            }
        }
    }

    /// Whether the stream is open, as far as is known: see [`EventConnection::connected`].
    pub fn is_open(&self) -> bool {
        self.0
            .upgrade()
            .map_or(false, |connection| connection.ended().is_none() && !connection.stop.is_requested())
    }
}

impl EventConnection<'_> {
    /// What ends this stream from elsewhere; for an example see [`StreamHandle`].
    pub fn handle(&mut self) -> StreamHandle {
        StreamHandle(Arc::downgrade(&self.stream.connection))
    }

    /// Ends the stream after this time, exactly, and when it follows a channel within a second after that; for a token
    /// that expires. Where the source has a [`max_age`](crate::EventSource::max_age) as well, what comes first counts.
    ///
    /// The client is told to come back in some seconds.
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
