//! An event stream as a browser reads it (HTML §9.2.6).

use std::fmt;
use std::time::Duration;

/// An event, as a listener in a browser gets it.
///
/// ```
/// use brooklet::{testing::Parser, Event};
///
/// let bytes = Event::new("a\r\nb").event_type("note").id("7").encode().unwrap();
/// let items = Parser::new().feed(bytes.as_bytes());
/// let message = items[0].event().unwrap();
/// assert_eq!((&*message.event_type, &*message.data, &*message.last_event_id), ("note", "a\nb", "7"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Message {
    /// `message`, where the stream names none.
    pub event_type: String,
    /// Its `data` lines, joined by LF.
    pub data: String,
    /// Its id, or where it has none of its own, that of an event before it; empty if there was none.
    pub last_event_id: String,
}

/// What a stream brings, in its order.
///
/// ```
/// use brooklet::testing::{Item, Parser};
/// use std::time::Duration;
///
/// let items = Parser::new().feed(b": hello\nretry: 500\n\n");
/// assert_eq!(items, [Item::Comment("hello".into()), Item::Retry(Duration::from_millis(500))]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Item {
    /// An event.
    Event(Message),
    /// A line of a comment, which browsers throw away; a keep-alive is an empty one.
    Comment(String),
    /// How long the client is to wait before it reconnects, from now on. What a stream begins with is no item, since
    /// each stream does: [`Parser::retry`] has it.
    Retry(Duration),
    /// The last event id, in a block without data: clients take it, and dispatch nothing.
    Id(String),
}

/// Reads an event stream, in pieces that may end anywhere.
///
/// ```
/// use brooklet::testing::Parser;
///
/// let mut parser = Parser::new();
/// let mut items = parser.feed(b": hello\nevent: price\nid: 7\ndata: 129");
/// items.extend(parser.feed(b".5\n\ndata: lost, since there is no blank line\n"));
/// let lines: Vec<_> = items.iter().map(|item| item.to_string()).collect();
/// assert_eq!(lines, [": hello", "price #7: 129.5"]);
/// assert_eq!(parser.last_event_id(), "7");
/// ```
#[derive(Debug, Clone, Default)]
pub struct Parser {
    line: Vec<u8>,
    has_line: bool,
    follows_cr: bool,
    data: Option<String>,
    event_type: String,
    id: String,
    last_event_id: String,
    retry: Option<Duration>,
}

impl Parser {
    /// A parser at the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next bytes, and returns the items that they complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Item> {
        bytes.iter().filter_map(|byte| self.push(*byte)).collect()
    }

    /// What a client would send as `Last-Event-ID` if it were cut off here; empty for nothing.
    pub fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    /// How long the client would wait before it comes back, if the stream has said so.
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// The next connection of the same client: what was incomplete is gone, id and retry stay.
    pub(super) fn reconnected(&self) -> Self {
        let id = self.last_event_id.clone();
        Self { last_event_id: id.clone(), id, retry: self.retry, ..Self::default() }
    }

    /// Takes one byte. No more than one thing can end with it.
    pub(super) fn push(&mut self, byte: u8) -> Option<Item> {
        let follows_cr = std::mem::take(&mut self.follows_cr);
        match byte {
            b'\n' if follows_cr => None, // CR LF is one line end
            b'\n' | b'\r' => {
                self.follows_cr = byte == b'\r';
                let bytes = std::mem::take(&mut self.line);
                self.end_line(&bytes)
            }
            _ => {
                self.line.push(byte);
                None
            }
        }
    }

    fn end_line(&mut self, bytes: &[u8]) -> Option<Item> {
        // One byte order mark at the start of the stream belongs to the encoding.
        let is_first = !std::mem::replace(&mut self.has_line, true);
        let bytes = match is_first {
            true => bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes),
            false => bytes,
        };
        if bytes.is_empty() {
            return self.end_block();
        }
        let line = String::from_utf8_lossy(bytes);
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "" => return Some(Item::Comment(value.to_owned())),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            "event" => self.event_type = value.to_owned(),
            "id" if !value.contains('\0') => self.id = value.to_owned(),
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry = Some(Duration::from_millis(value.parse().ok()?)); // no digits are no time
                return self.retry.filter(|_| !is_first).map(Item::Retry);
            }
            _ => {}
        }
        None
    }

    fn end_block(&mut self) -> Option<Item> {
        let event_type = std::mem::take(&mut self.event_type);
        let is_new_id = self.last_event_id != self.id;
        self.last_event_id.clone_from(&self.id);
        match self.data.take() {
            Some(data) => Some(Item::Event(Message {
                event_type: if event_type.is_empty() { String::from("message") } else { event_type },
                data,
                last_event_id: self.id.clone(),
            })),
            None => is_new_id.then(|| Item::Id(self.id.clone())),
        }
    }
}

impl Item {
    /// The event, if it is one.
    pub fn event(&self) -> Option<&Message> {
        match self {
            Self::Event(message) => Some(message),
            _ => None,
        }
    }
}

/// One line for tests: `price #7: 129.5`, or without an id `price: 129.5`. Line ends in the data are `\n`.
impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.event_type)?;
        if !self.last_event_id.is_empty() {
            write!(f, " #{}", self.last_event_id)?;
        }
        write!(f, ": {}", self.data.replace('\n', "\\n"))
    }
}

/// One line for tests: an event as above, `: comment`, `:` for a keep-alive, `retry 10s`, `id 7`.
impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(message) => message.fmt(f),
            Self::Comment(text) if text.is_empty() => f.write_str(":"),
            Self::Comment(text) => write!(f, ": {text}"),
            Self::Retry(delay) => write!(f, "retry {}", Seconds(*delay)),
            Self::Id(id) => write!(f, "id {id}"),
        }
    }
}

/// A time as std shows it, but for zero, which is `0s`.
pub(super) struct Seconds(pub(super) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Duration::ZERO => f.write_str("0s"),
            time => write!(f, "{time:?}"),
        }
    }
}
