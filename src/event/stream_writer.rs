//! Answers of any media type that a handler writes bit by bit.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::time::Duration;

use super::stream::{Stream, StreamSettings};
use super::wire::SendError;
use crate::http::{BoxError, Connection, FieldValue, Response, StreamStart};
use crate::panics;

/// Bytes that gather before they are sent.
const GATHER: usize = 64 * 1024;

/// What an answer is written to as it comes: see [`Response::stream`].
///
/// What is written gathers, and is sent by `flush`, by [`wait`](Self::wait), when 64 KiB are there, and at the end.
/// When the client has left, or the host stops, each of them fails, so that `?` ends it.
pub struct StreamWriter<'r> {
    stream: Stream<'r>,
    buffer: Vec<u8>,
}

impl StreamWriter<'_> {
    /// Sends what was written, and then sleeps for `duration`. It is as exact as
    /// [`EventConnection::wait`](crate::EventConnection::wait), and fails as that does when the client leaves or the host
    /// stops.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] when the stream is over.
    pub fn wait(&mut self, duration: Duration) -> Result<(), SendError> {
        self.send()?;
        self.stream.wait(duration)
    }

    fn send(&mut self) -> Result<(), SendError> {
        let sent = self.stream.send_bytes(&self.buffer);
        self.buffer.clear();
        sent
    }
}

impl Write for StreamWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(GATHER);
        self.buffer.extend_from_slice(&bytes[..count]);
        if self.buffer.len() >= GATHER {
            self.flush()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send().map_err(|error| io::Error::new(ErrorKind::BrokenPipe, error))
    }
}

impl Response {
    /// `200 OK` with a body of any type that `write` makes while it is sent: JSON by the line, pictures of a camera, a
    /// large export.
    ///
    /// The answer has no length, and ends with its connection, as event streams do. It has the same deadlines, and ends
    /// when the client leaves or the host stops. An error is logged. To a client, the end of such an answer looks as if
    /// it had broken off: where that matters, say in the last line that it is the last, or send a file by
    /// [`Content::file`](crate::Content::file), which has a length.
    ///
    /// ```
    /// use brooklet::testing::Client;
    /// use brooklet::{Request, Response};
    /// use std::io::Write;
    /// use std::time::Duration;
    ///
    /// let count = |_: Request| {
    ///     Response::stream("application/x-ndjson", |out| {
    ///         for n in 1..=3 {
    ///             writeln!(out, "{{\"n\":{n}}}")?;
    ///             out.wait(Duration::from_secs(1))?; // sends it
    ///         }
    ///         Ok(())
    ///     })
    /// };
    /// let answer = Client::get("/").in_memory(&count).run();
    /// assert_eq!(answer.text(), "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
    /// assert_eq!(answer.duration(), Duration::from_secs(3));
    /// ```
    pub fn stream(
        media_type: impl Into<FieldValue>,
        write: impl FnOnce(&mut StreamWriter<'_>) -> Result<(), BoxError> + Send + 'static,
    ) -> Self {
        let stream = |connection: Arc<Connection>| {
            let settings = StreamSettings::default();
            let mut out =
                StreamWriter { stream: Stream::new(connection, &settings, false), buffer: Vec::new() };
            let outcome = panics::catch(|| {
                let written = write(&mut out);
                // What came before an error may be read as well.
                out.flush().map_err(BoxError::from).and(written)
            });
            out.stream.conclude(outcome)
        };
        let fields = vec![("Content-Type", media_type.into()), ("X-Accel-Buffering", "no".into())];
        Self::begin_stream(fields, StreamStart::default(), Box::new(stream))
    }
}

impl fmt::Debug for StreamWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamWriter").field("gathered", &self.buffer.len()).finish_non_exhaustive()
    }
}
