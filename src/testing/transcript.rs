//! What the client of a simulation has got, and when.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::parser::{Item, Message, Parser, Seconds};
use crate::http::{BoxError, CloseReason, Response, Status};

/// What a client in memory has got, and how its stream ended.
///
/// ```
/// use brooklet::testing::Client;
/// use brooklet::{CloseReason, EventSource};
/// use std::time::Duration;
///
/// let source = EventSource::new(|connection| {
///     connection.event("price", 129.5)?;
///     connection.wait(Duration::from_secs(2))?;
///     Err("the exchange has closed".into())
/// });
/// let stream = Client::get("/").in_memory(&source).run();
///
/// assert_eq!(stream.text(), "retry: 3000\nevent: price\ndata: 129.5\n\nretry: 10000\n");
/// assert_eq!(stream.timeline(), ["0s price: 129.5", "2s retry 10s"]);
/// assert_eq!(stream.event_types(), ["price"]);
/// assert_eq!(stream.events()[0].data, "129.5");
/// assert_eq!(stream.reason(), Some(CloseReason::Failed));
/// assert_eq!(stream.error().unwrap().to_string(), "the exchange has closed");
/// assert_eq!(stream.duration(), Duration::from_secs(2));
/// ```
pub struct Transcript {
    status: Status,
    fields: Vec<(&'static str, String)>,
    pub(super) received: Received,
    pub(super) duration: Duration,
    pub(super) reason: Option<CloseReason>,
    pub(super) error: Option<BoxError>,
}

/// What a client in memory has read.
#[derive(Default)]
pub(super) struct Received {
    pub(super) bytes: Vec<u8>,
    pub(super) items: Vec<(Duration, Item)>,
    pub(super) parser: Parser,
}

impl Transcript {
    pub(super) fn new(response: &Response) -> Self {
        let fields = response.fields.iter().map(|(name, value)| (*name, value.as_str().to_owned()));
        Self {
            status: response.status_code(),
            fields: fields.collect(),
            received: Received::default(),
            duration: Duration::ZERO,
            reason: None,
            error: None,
        }
    }

    /// The status: 200 for a stream; that of an inspector's refusal, or of any other answer.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The value of a field that the handler has set. Those that the host writes are not there.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as bytes: the whole stream, up to where the client has left, or what any other answer holds.
    pub fn bytes(&self) -> &[u8] {
        &self.received.bytes
    }

    /// The body as text. Bytes that are not UTF-8 become U+FFFD; a stream has none of those.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.received.bytes)
    }

    /// The events in their order.
    pub fn events(&self) -> Vec<&Message> {
        self.received.items.iter().filter_map(|(_, item)| item.event()).collect()
    }

    /// The types of the events in their order, for tests that are about nothing else.
    pub fn event_types(&self) -> Vec<&str> {
        self.events().into_iter().map(|message| &*message.event_type).collect()
    }

    /// Everything that came, comments and all, each with the time at which it was sent, counted from the request.
    pub fn items(&self) -> &[(Duration, Item)] {
        &self.received.items
    }

    /// Everything that came as a line each, to be compared as a whole: `20s price: 129.5`.
    pub fn timeline(&self) -> Vec<String> {
        self.last_lines(self.received.items.len())
    }

    /// The last lines of the timeline.
    pub(super) fn last_lines(&self, count: usize) -> Vec<String> {
        let items = &self.received.items[self.received.items.len().saturating_sub(count)..];
        items.iter().map(|(at, item)| format!("{} {item}", Seconds(*at))).collect()
    }

    /// How much virtual time had passed when the stream was over.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// Why the stream ended: `PeerClosed` where the client has left, `Returned`, `Finished`, …; `None` where the answer
    /// is no stream.
    pub fn reason(&self) -> Option<CloseReason> {
        self.reason
    }

    /// What the host would log: the error that the generator or the handler returned, or the generator's panic.
    pub fn error(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        self.error.as_deref()
    }

    /// What the client would send as `Last-Event-ID` when it comes back; empty for nothing.
    pub fn last_event_id(&self) -> &str {
        self.received.parser.last_event_id()
    }

    /// How long the client would wait before it comes back, if the stream has said so.
    pub fn retry(&self) -> Option<Duration> {
        self.received.parser.retry()
    }
}

impl fmt::Debug for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transcript")
            .field("status", &self.status)
            .field("fields", &self.fields)
            .field("timeline", &self.timeline())
            .field("bytes", &self.received.bytes.len())
            .field("duration", &self.duration)
            .field("reason", &self.reason)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}
