//! A stream over TCP, read as a browser reads it.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::chunks::Chunks;
use super::client::Client;
use super::parser::{Item, Message, Parser};
use crate::http::Status;

/// The largest head that is an answer and no accident.
const MAX_HEAD: usize = 64 * 1024;

/// The answer of a host to a [`Client`], read over TCP: a stream of events, or anything else to its end.
///
/// Each call that reads gives up at the client's [deadline](Client::deadline), with an error of the kind `TimedOut`;
/// what has arrived is there for the next call. Dropping it closes the connection: the client leaves.
///
/// ```
/// use brooklet::testing::Client;
/// use brooklet::{Event, EventSource, Host};
///
/// let source = EventSource::new(|connection| {
///     let seen = connection.last_event_id().and_then(|id| id.parse().ok()).unwrap_or(0);
///     Ok(connection.send(Event::new("next").id((seen + 1).to_string()))?)
/// });
/// let host = Host::new(source).bind("127.0.0.1:0").start()?;
///
/// let mut stream = Client::get("/").connect(host.address())?;
/// assert_eq!(stream.next_event()?.to_string(), "message #1: next");
/// stream.reconnect()?; // with the last event id, as a browser does
/// assert_eq!(stream.next_event()?.to_string(), "message #2: next");
/// assert_eq!(stream.next_item()?, None); // the generator has returned
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct EventStream {
    client: Client,
    address: SocketAddr,
    socket: TcpStream,
    status: Status,
    fields: Vec<(String, String)>,
    chunks: Option<Chunks>,
    bytes: Vec<u8>,
    parser: Parser,
    items: VecDeque<Item>,
}

impl Client {
    /// Asks a host over TCP, and returns when the head of the answer is there.
    ///
    /// # Errors
    ///
    /// If there is no connection, or no answer within the [deadline](Self::deadline).
    pub fn connect(self, address: impl ToSocketAddrs) -> io::Result<EventStream> {
        EventStream::open(self, address, Parser::new())
    }
}

impl EventStream {
    fn open(client: Client, address: impl ToSocketAddrs, parser: Parser) -> io::Result<Self> {
        let deadline = Instant::now() + client.deadline;
        let (address, socket) = connect(address, client.deadline)?;
        socket.set_nodelay(true)?;
        socket.set_write_timeout(Some(client.deadline))?;
        match (&socket).write_all(&client.request(&address.to_string())) {
            // A host may refuse before it has read everything: what counts is its answer.
            Err(error) if !is_gone(&error) => return Err(error),
            _ => {}
        }
        let mut stream = Self {
            client,
            address,
            socket,
            status: Status::OK,
            fields: Vec::new(),
            chunks: None,
            bytes: Vec::new(),
            parser,
            items: VecDeque::new(),
        };
        stream.read_head(deadline)?;
        Ok(stream)
    }

    /// The status of the answer.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The value of a field of the answer, the first of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The next item of the stream, be it an event, a comment, a retry or an id; `None` at its end.
    ///
    /// # Errors
    ///
    /// If the connection breaks, or brings nothing within the deadline; and of the kind `UnexpectedEof` if a stream
    /// in [chunks](crate::EventSource::chunked) ends without its last one.
    pub fn next_item(&mut self) -> io::Result<Option<Item>> {
        let deadline = Instant::now() + self.client.deadline;
        self.next_until(deadline)
    }

    /// The next event. Other items before it are left out.
    ///
    /// # Errors
    ///
    /// As [`next_item`](Self::next_item), and of the kind `UnexpectedEof` if the stream ends.
    pub fn next_event(&mut self) -> io::Result<Message> {
        let deadline = Instant::now() + self.client.deadline;
        loop {
            match self.next_until(deadline)? {
                Some(Item::Event(message)) => return Ok(message),
                Some(_) => {}
                None => return Err(ended("the stream has ended")),
            }
        }
    }

    /// The next events.
    ///
    /// # Errors
    ///
    /// As [`next_event`](Self::next_event), each of which has the whole deadline.
    pub fn next_events(&mut self, count: usize) -> io::Result<Vec<Message>> {
        (0..count).map(|_| self.next_event()).collect()
    }

    /// All events that come until the stream ends.
    ///
    /// # Errors
    ///
    /// As [`next_item`](Self::next_item): the stream has to end within the deadline.
    pub fn events_to_end(&mut self) -> io::Result<Vec<Message>> {
        self.read_to_end()?;
        let items = self.items.drain(..);
        Ok(items
            .filter_map(|item| if let Item::Event(message) = item { Some(message) } else { None })
            .collect())
    }

    /// Reads the body to its end and returns all of it: the page of an ordinary answer, or every byte of a stream.
    ///
    /// # Errors
    ///
    /// As [`next_item`](Self::next_item).
    pub fn read_to_end(&mut self) -> io::Result<&[u8]> {
        let deadline = Instant::now() + self.client.deadline;
        while self.fill(deadline)? > 0 {}
        Ok(&self.bytes)
    }

    /// What this client would send as `Last-Event-ID` when it comes back; empty for nothing.
    pub fn last_event_id(&self) -> &str {
        self.parser.last_event_id()
    }

    /// How long a browser would wait before it comes back, if the stream has said so.
    pub fn retry(&self) -> Option<Duration> {
        self.parser.retry()
    }

    /// Closes the connection and comes back as a browser does, with the id of the last event that has arrived; but at
    /// once, without waiting for [`retry`](Self::retry).
    ///
    /// # Errors
    ///
    /// If the host does not answer, and if a browser would not come back: it does so after a stream alone.
    pub fn reconnect(&mut self) -> io::Result<()> {
        let is_stream =
            self.header("Content-Type").map_or(false, |value| value.starts_with("text/event-stream"));
        if self.status != Status::OK || !is_stream {
            let why =
                format!("a browser does not come back after an answer that is no stream: {}", self.status);
            return Err(io::Error::new(ErrorKind::Other, why));
        }
        let client = self.client.clone().last_event_id(self.last_event_id());
        let _ = self.socket.shutdown(Shutdown::Both); // it leaves before it comes back
        *self = Self::open(client, self.address, self.parser.reconnected())?;
        Ok(())
    }

    fn next_until(&mut self, deadline: Instant) -> io::Result<Option<Item>> {
        while self.items.is_empty() {
            if self.fill(deadline)? == 0 {
                return Ok(None);
            }
        }
        Ok(self.items.pop_front())
    }

    /// Reads some of the body; 0 is its end.
    fn fill(&mut self, deadline: Instant) -> io::Result<usize> {
        let mut buffer = [0; 16 * 1024];
        let count = self.read(&mut buffer, deadline)?;
        if count == 0 && matches!(&self.chunks, Some(chunks) if !chunks.is_whole) {
            return Err(ended("the stream was cut off: its last chunk lacks"));
        }
        self.take(&buffer[..count])?;
        Ok(count)
    }

    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        let body = match &mut self.chunks {
            Some(chunks) => Cow::Owned(chunks.feed(bytes)?),
            None => Cow::Borrowed(bytes),
        };
        self.bytes.extend_from_slice(&body);
        self.items.extend(self.parser.feed(&body));
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8], deadline: Instant) -> io::Result<usize> {
        let too_late = || io::Error::new(ErrorKind::TimedOut, "the host has sent nothing more in time");
        loop {
            let remaining = deadline.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                return Err(too_late());
            }
            self.socket.set_read_timeout(Some(remaining))?;
            match self.socket.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                read => return read,
            }
        }
    }

    fn read_head(&mut self, deadline: Instant) -> io::Result<()> {
        let mut head = Vec::new();
        let mut buffer = [0; 4096];
        let end = loop {
            if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            match self.read(&mut buffer, deadline)? {
                0 => return Err(ended("the connection ended without an answer")),
                _ if head.len() > MAX_HEAD => return Err(no_answer()),
                count => head.extend_from_slice(&buffer[..count]),
            }
        };
        let lines = String::from_utf8_lossy(&head[..end]).into_owned();
        let mut lines = lines.split("\r\n");
        self.status = lines.next().and_then(status).ok_or_else(no_answer)?;
        for line in lines {
            let (name, value) = line.split_once(':').ok_or_else(no_answer)?;
            self.fields.push((name.to_owned(), value.trim().to_owned()));
        }
        self.chunks = match self.header("Transfer-Encoding") {
            Some(coding) if coding != "chunked" => {
                let why =
                    format!("bodies are read in chunks or to their connection's end, not as {coding} ones");
                return Err(io::Error::new(ErrorKind::Other, why));
            }
            coding => coding.map(|_| Chunks::default()),
        };
        self.take(&head[end + 4..])
    }
}

/// Connects to the first of the addresses at which a server listens.
fn connect(addresses: impl ToSocketAddrs, deadline: Duration) -> io::Result<(SocketAddr, TcpStream)> {
    let mut found = Err(io::Error::new(ErrorKind::InvalidInput, "this is no address"));
    for address in addresses.to_socket_addrs()? {
        found = TcpStream::connect_timeout(&address, deadline).map(|socket| (address, socket));
        if found.is_ok() {
            break;
        }
    }
    found
}

/// The status in `HTTP/1.1 200 OK`.
fn status(line: &str) -> Option<Status> {
    let mut parts = line.split(' ');
    let version = parts.next()?;
    let code = parts.next()?.parse().ok()?;
    version.starts_with("HTTP/1.").then(|| Status::new(code))?
}

fn ended(why: &str) -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, why)
}

fn no_answer() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "this is no answer in HTTP/1")
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}
