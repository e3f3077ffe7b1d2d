//! Events to bytes: the event stream format (HTML §9.2.5, §9.2.6).
//!
//! A line that says `data:` comes from nowhere but here. Whatever is in a type, an id, a comment or the data
//! of an event, it cannot end its line and begin another one.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::data::{Data, Formatting, Writer};
use crate::digits::Digits;
use crate::http::CloseReason;
use crate::random;

/// The id that says a stream is finished for good; see [`EventConnection::finish`](super::EventConnection::finish).
pub(super) const FINISHED_ID: &str = "brooklet-finished";

/// What keeps an idle stream alive: a comment without text.
///
/// One LF and no blank line, because a blank line after nothing but a comment makes OpenAI's Python client and
/// fetch-event-source dispatch an empty event.
pub(super) const KEEP_ALIVE: &str = ":\n";

/// When clients come back after a stop, or at the end of a stream's age: at a random time in this range, so that they
/// do not come together.
const COMEBACK: (Duration, Duration) = (Duration::from_millis(1500), Duration::from_millis(4500));

/// One event: data, and optionally a type, an id, a comment, a retry delay and a topic.
///
/// ```
/// use brooklet::Event;
/// use std::time::Duration;
///
/// let event = Event::new(129.5).event_type("AAPL").id("4711").retry(Duration::from_secs(5));
/// assert_eq!(event.encode().unwrap(), "event: AAPL\nid: 4711\nretry: 5000\ndata: 129.5\n\n");
/// ```
///
/// The value is made text when the event is sent, by the rules of [`Data`] and the source's [`Formatting`].
/// Text of several lines becomes several `data` lines, which the client joins again with LF: that is what
/// CR LF and lone CR arrive as. Nothing else is changed; empty text and trailing line ends are kept.
#[derive(Debug, Clone)]
#[must_use = "an event is not sent by making it"]
pub struct Event<'a, T> {
    comment: Option<Cow<'a, str>>,
    data: Option<T>,
    event_type: Option<Cow<'a, str>>,
    id: Option<Cow<'a, str>>,
    retry: Option<Duration>,
    topic: Option<Cow<'a, str>>,
}

impl<'a, T: Data> Event<'a, T> {
    /// An event that carries `data`, without type, id or retry.
    ///
    /// ```
    /// # use brooklet::Event;
    /// assert_eq!(Event::new("hello").encode().unwrap(), "data: hello\n\n");
    /// ```
    pub fn new(data: T) -> Self {
        Self { comment: None, data: Some(data), event_type: None, id: None, retry: None, topic: None }
    }

    /// Sets the event type: what `addEventListener` of the browser listens to. Without one, or with an empty
    /// one, it is `message`.
    ///
    /// Avoid `open` and `error`, which an `EventSource` in the browser uses itself.
    ///
    /// ```
    /// # use brooklet::Event;
    /// assert_eq!(Event::new(1).event_type("tick").encode().unwrap(), "event: tick\ndata: 1\n\n");
    /// ```
    pub fn event_type(mut self, event_type: impl Into<Cow<'a, str>>) -> Self {
        self.event_type = Some(event_type.into());
        self
    }

    /// Sets the id, which the client sends back as `Last-Event-ID` when it reconnects. An empty one makes it
    /// forget the last.
    ///
    /// ```
    /// # use brooklet::Event;
    /// assert_eq!(Event::new("x").id(4711.to_string()).encode().unwrap(), "id: 4711\ndata: x\n\n");
    /// ```
    pub fn id(mut self, id: impl Into<Cow<'a, str>>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Puts a comment before the event, in the same block and the same write.
    ///
    /// ```
    /// # use brooklet::Event;
    /// assert_eq!(Event::new("x").comment("first").encode().unwrap(), ": first\ndata: x\n\n");
    /// ```
    pub fn comment(mut self, text: impl Into<Cow<'a, str>>) -> Self {
        self.comment = Some(text.into());
        self
    }

    /// Tells the client how long to wait before it reconnects, from now on; in whole milliseconds.
    ///
    /// ```
    /// # use brooklet::Event;
    /// # use std::time::Duration;
    /// let event = Event::new("x").retry(Duration::from_secs(1));
    /// assert_eq!(event.encode().unwrap(), "retry: 1000\ndata: x\n\n");
    /// ```
    pub fn retry(mut self, retry: Duration) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Sets the topic, for clients that follow [some topics](super::EventConnection::follow_topics) of a channel. It is
    /// not sent. Any text will do, as `"user/17"`; topics are the same if their names are.
    ///
    /// ```
    /// # use brooklet::Event;
    /// assert_eq!(Event::new("x").topic("user/17").encode().unwrap(), "data: x\n\n");
    /// ```
    pub fn topic(mut self, topic: impl Into<Cow<'a, str>>) -> Self {
        self.topic = Some(topic.into());
        self
    }

    /// The bytes that the event is sent as.
    ///
    /// ```
    /// use brooklet::{Event, SendError};
    ///
    /// assert_eq!(Event::new("a\r\nb\n").encode().unwrap(), "data: a\ndata: b\ndata: \n\n");
    /// assert_eq!(Event::new("x").id("1\ndata: forged").encode(), Err(SendError::InvalidId));
    /// ```
    ///
    /// # Errors
    ///
    /// [`SendError::InvalidEventType`] and [`SendError::InvalidId`], as when it is sent; see [`SendError`].
    pub fn encode(self) -> Result<String, SendError> {
        let mut out = String::new();
        self.write(&mut out, &Formatting::new())?;
        Ok(out)
    }

    /// Appends the event, or nothing if it cannot be sent.
    pub(crate) fn write(&self, out: &mut String, formatting: &Formatting) -> Result<(), SendError> {
        self.judge()?;
        if let Some(comment) = &self.comment {
            write_comment(out, comment);
        }
        if let Some(event_type) = &self.event_type {
            field(out, "event: ", event_type);
        }
        if let Some(id) = &self.id {
            field(out, "id: ", id);
        }
        if let Some(retry) = self.retry {
            write_retry(out, retry);
        }
        if let Some(data) = &self.data {
            out.push_str("data: ");
            let start = out.len();
            data.write(&mut Writer::new(out, formatting));
            split_lines(out, start, "data: ");
        }
        out.push('\n');
        Ok(())
    }

    /// Appends the event with this id, which was judged before, in place of its own.
    pub(super) fn write_with_id(
        mut self,
        out: &mut String,
        id: Option<&str>,
        formatting: &Formatting,
    ) -> Result<(), SendError> {
        self.id = None;
        self.judge()?;
        if let Some(id) = id {
            field(out, "id: ", id);
        }
        self.write(out, formatting)
    }

    /// Takes the id out of an event that can be sent.
    pub(super) fn take_id(&mut self) -> Result<Option<Cow<'a, str>>, SendError> {
        self.judge()?;
        Ok(self.id.take())
    }

    pub(super) fn take_topic(&mut self) -> Option<Cow<'a, str>> {
        self.topic.take()
    }

    /// Type and id are single lines, and clients ignore an id with NUL (HTML §9.2.6).
    fn judge(&self) -> Result<(), SendError> {
        if matches!(&self.event_type, Some(event_type) if holds(event_type, is_line_end)) {
            return Err(SendError::InvalidEventType);
        }
        if matches!(&self.id, Some(id) if !is_id(id)) {
            return Err(SendError::InvalidId);
        }
        Ok(())
    }
}

impl<'a> Event<'a, &'a str> {
    /// A block without data: clients take its id and its retry, and dispatch nothing.
    ///
    /// Some clients ignore an id that comes without data; prefer to send it with some.
    ///
    /// ```
    /// # use brooklet::Event;
    /// assert_eq!(Event::without_data().id("7").encode().unwrap(), "id: 7\n\n");
    /// ```
    pub fn without_data() -> Self {
        Self { comment: None, data: None, event_type: None, id: None, retry: None, topic: None }
    }
}

/// Why something was not sent.
///
/// ```
/// use brooklet::{Event, EventSource, SendError};
///
/// assert_eq!(Event::new("x").event_type("a\nb").encode(), Err(SendError::InvalidEventType));
///
/// EventSource::new(|connection| match connection.data("x") {
///     Err(SendError::Closed(reason)) => {
///         println!("gone: {reason}");
///         Ok(()) // or `?`: that a client has left is no failure either way
///     }
///     sent => Ok(sent?),
/// });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SendError {
    /// The stream is over. Nothing more can be sent; `?` is how a generator leaves.
    Closed(CloseReason),
    /// The event type holds CR or LF. Nothing was written, the stream goes on.
    InvalidEventType,
    /// The id holds CR, LF or NUL, or is the one that is reserved for finished streams. Nothing was written,
    /// the stream goes on.
    InvalidId,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(reason) => write!(f, "the stream is over: {reason}"),
            Self::InvalidEventType => f.write_str("the event type holds CR or LF"),
            Self::InvalidId => f.write_str("the event id holds CR, LF or NUL, or is reserved"),
        }
    }
}

impl Error for SendError {}

/// Appends a comment: a line for each line of text.
///
/// No blank line follows, for the reason of [`KEEP_ALIVE`].
pub(super) fn write_comment(out: &mut String, text: &str) {
    out.push_str(": ");
    let start = out.len();
    out.push_str(text);
    split_lines(out, start, ": ");
}

/// Appends a line that says when to come back to a stream that was ended, to each client at a time of its own.
pub(super) fn write_comeback(out: &mut String) {
    write_retry(out, random::between(COMEBACK.0, COMEBACK.1));
}

/// Appends a line that says when to come back: clients take it as soon as it ends.
///
/// A blank line behind it would end a block without an id, and that makes a client forget the id it resumed from
/// (HTML §9.2.6: what is dispatched sets the last event ID, even without data).
pub(super) fn write_retry(out: &mut String, retry: Duration) {
    // Clients read digits, and more than this many are none to JavaScript.
    const FOREVER: u128 = 1 << 53;
    field(out, "retry: ", Digits::of(retry.as_millis().min(FOREVER) as u64).as_str());
}

/// Appends a line with the id that the client came with, as part of the next block. An id that could not be sent is
/// left out: it was not one of this host's.
pub(super) fn write_known_id(out: &mut String, id: &str) {
    if is_id(id) {
        field(out, "id: ", id);
    }
}

/// Appends the block after which the client does not come back.
///
/// With an empty data line, since clients keep only the ids of events that they dispatch.
pub(super) fn write_finish(out: &mut String) {
    field(out, "event: ", "finish");
    field(out, "id: ", FINISHED_ID);
    out.push_str("data: \n\n");
}

/// Appends a line. `name` has the separator's space, too: without it the client would take one from the value
/// (HTML §9.2.6).
#[inline] // names are known where this is called, which makes them one store each
pub(super) fn field(out: &mut String, name: &str, value: &str) {
    out.push_str(name);
    out.push_str(value);
    out.push('\n');
}

/// The values of the lines with this name, in a text that was written here.
pub(super) fn values<'t>(text: &'t str, name: &'t str) -> impl Iterator<Item = &'t str> {
    text.lines().filter_map(move |line| line.strip_prefix(name))
}

/// Most text holds none. So the loop looks at all of it and has no early exit: that lets the compiler compare many
/// bytes at once.
fn holds(text: &str, is_wanted: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(0, |found, byte| found | u8::from(is_wanted(byte))) != 0
}

/// Whether an id can be sent: one line without NUL (HTML §9.2.6), and not the one that says the end.
fn is_id(text: &str) -> bool {
    !holds(text, |byte| byte == 0 || is_line_end(byte)) && text != FINISHED_ID
}

/// What ends a line, and nothing else does (HTML §9.2.5).
fn is_line_end(byte: u8) -> bool {
    (byte == b'\r') | (byte == b'\n')
}

/// Ends the line whose text begins at `start`, and begins a new one with `prefix` at each line end within:
/// CR LF, LF or CR, and at those alone.
fn split_lines(out: &mut String, start: usize, prefix: &str) {
    if holds(&out[start..], is_line_end) {
        let text = out.split_off(start);
        let mut rest = text.as_str();
        while let Some(end) = rest.bytes().position(is_line_end) {
            out.push_str(&rest[..end]);
            out.push('\n');
            out.push_str(prefix);
            rest = rest[end..].strip_prefix("\r\n").unwrap_or(&rest[end + 1..]);
        }
        out.push_str(rest);
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_lines() {
        check("plain", "data: plain\n\n");
        check("", "data: \n\n");
        check(" leading space", "data:  leading space\n\n");
        check("a\nb", "data: a\ndata: b\n\n");
        check("a\rb", "data: a\ndata: b\n\n");
        check("a\r\nb", "data: a\ndata: b\n\n");
        check("a\n\rb", "data: a\ndata: \ndata: b\n\n");
        check("a\r\r\nb", "data: a\ndata: \ndata: b\n\n");
        check("a\n", "data: a\ndata: \n\n");
        check("\n", "data: \ndata: \n\n");
        check("\n\nevent: forged\ndata: x", "data: \ndata: \ndata: event: forged\ndata: data: x\n\n");
        check(
            "\0 \u{b} \u{c} \u{85} \u{2028} \u{2029} \u{feff}",
            "data: \0 \u{b} \u{c} \u{85} \u{2028} \u{2029} \u{feff}\n\n",
        );

        #[track_caller]
        fn check(text: &str, expected: &str) {
            assert_eq!(Event::new(text).encode().as_deref(), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn fields() {
        check(&Event::new("x").event_type("T"), Ok("event: T\ndata: x\n\n"));
        check(&Event::new("x").event_type(""), Ok("event: \ndata: x\n\n"));
        check(&Event::new("x").event_type(" T:1"), Ok("event:  T:1\ndata: x\n\n"));
        check(&Event::new("x").id("4711"), Ok("id: 4711\ndata: x\n\n"));
        check(&Event::new("x").id(""), Ok("id: \ndata: x\n\n"));
        check(&Event::new("x").retry(Duration::from_micros(1500)), Ok("retry: 1\ndata: x\n\n"));
        check(&Event::new("x").retry(Duration::MAX), Ok("retry: 9007199254740992\ndata: x\n\n"));
        check(&Event::without_data().id("7"), Ok("id: 7\n\n"));
        check(&Event::without_data(), Ok("\n"));
        check(&Event::new("x").event_type("a\ndata: forged"), Err(SendError::InvalidEventType));
        check(&Event::new("x").event_type("a\rb"), Err(SendError::InvalidEventType));
        check(&Event::new("x").event_type("a\0"), Ok("event: a\0\ndata: x\n\n")); // clients keep it
        check(&Event::new("x").comment("a\nb"), Ok(": a\n: b\ndata: x\n\n"));
        check(&Event::without_data().comment("a"), Ok(": a\n\n"));
        check(&Event::new("x").id("1\n"), Err(SendError::InvalidId));
        check(&Event::new("x").id("1\r2"), Err(SendError::InvalidId));
        check(&Event::new("x").id("\0"), Err(SendError::InvalidId));
        check(&Event::new("x").id(FINISHED_ID), Err(SendError::InvalidId));

        #[track_caller]
        fn check(event: &Event<'_, &str>, expected: Result<&str, SendError>) {
            assert_eq!(event.clone().encode().as_deref(), expected.as_ref().map(|bytes| *bytes), "{event:?}");
        }
    }

    #[test]
    fn comments() {
        check("hello", ": hello\n");
        check("", ": \n");
        check("a\ndata: forged", ": a\n: data: forged\n");
        check("a\r\rb", ": a\n: \n: b\n");

        #[track_caller]
        fn check(text: &str, expected: &str) {
            let mut out = String::new();
            write_comment(&mut out, text);
            assert_eq!(out, expected, "{text:?}");
        }
    }
}
