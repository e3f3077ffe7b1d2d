//! Channels from outside: what each subscriber gets, byte by byte, and what it costs.

mod archive;
mod costs;
mod ending;
mod isolation;
mod joining;
mod latest;
mod model;
mod own_thread;
mod presence;
mod publishing;
mod runs;
mod slow;
mod slow_latest;
mod stalls;
mod storms;
mod topics;
mod valve;
mod visits;

use std::net::SocketAddr;
use std::time::Duration;

use brooklet::{Channel, EventSource, Host, Limits, RunningHost};

use crate::patience::{eventually, unhurried, DEADLINE, LONG};
use crate::serving::GET;
use crate::sse::{Message, Parser};
use crate::wire::{show, Answer, Wire};

const FINISH: &str = "event: finish\nid: brooklet-finished\ndata: \n\n";

/// A request that says what was seen last.
fn get_after(id: &str) -> String {
    GET.replace("\r\n\r\n", &format!("\r\nLast-Event-ID: {id}\r\n\r\n"))
}

fn host(source: EventSource) -> Host {
    Host::new(source).bind("127.0.0.1:0").limits(patient_for(LONG))
}

/// Serves a channel to every path. Nothing is said to keep a stream alive.
fn start(channel: &Channel) -> RunningHost {
    host(EventSource::channel(channel).keep_alive(LONG)).start().unwrap()
}

/// The same, with each client on a thread of its own.
fn start_forwarding(channel: &Channel) -> RunningHost {
    host(forwarding(channel).keep_alive(LONG)).start().unwrap()
}

fn forwarding(channel: &Channel) -> EventSource {
    let channel = channel.clone();
    EventSource::new(move |connection| {
        let mut subscription = channel.subscribe(connection)?;
        while subscription.forward(connection, DEADLINE)? {}
        Ok(())
    })
}

/// The channel's own part of its ids, with the dash.
fn epoch(channel: &Channel) -> String {
    let id = channel.last_id().unwrap();
    id[..=id.find('-').unwrap()].to_owned()
}

/// A client of a stream, which keeps every byte and reads them as a browser does.
struct Client {
    wire: Wire,
    head: Answer,
    /// Everything behind the head and the line that a stream begins with.
    bytes: Vec<u8>,
    parser: Parser,
    taken: usize,
}

impl Client {
    /// Opens a stream, whose head must have arrived; what a channel does then is not waited for.
    #[track_caller]
    fn open(address: SocketAddr, request: impl AsRef<[u8]>) -> Self {
        Self::try_open(address, request).unwrap()
    }

    fn try_open(address: SocketAddr, request: impl AsRef<[u8]>) -> Result<Self, String> {
        let mut wire = Wire::connect(address)?;
        wire.send(request.as_ref());
        let head = wire.head()?;
        Ok(Self { wire, head, bytes: Vec::new(), parser: Parser::default(), taken: 0 })
    }

    /// Opens a stream of a channel, and returns when it counts as a subscriber.
    #[track_caller]
    fn join(host: &RunningHost, channel: &Channel, request: impl AsRef<[u8]>) -> Self {
        let before = channel.subscribers();
        let client = Self::open(host.address(), request);
        assert_eq!(client.head.status, 200);
        eventually("it has joined", || channel.subscribers() > before);
        client
    }

    /// Takes what has arrived; 0 bytes are the end.
    fn fill(&mut self) -> Result<usize, String> {
        let piece = self.wire.piece()?;
        self.bytes.extend_from_slice(&piece);
        self.parser.feed(&piece);
        Ok(piece.len())
    }

    /// The next message.
    #[track_caller]
    fn next(&mut self) -> Message {
        while self.parser.messages.len() <= self.taken {
            assert_ne!(self.fill().unwrap(), 0, "the stream is over: {}", show(&self.bytes));
        }
        self.taken += 1;
        self.parser.messages[self.taken - 1].clone()
    }

    /// Reads until that is what has arrived.
    #[track_caller]
    fn exactly(&mut self, expected: &str) {
        while self.bytes.len() < expected.len() && expected.as_bytes().starts_with(&self.bytes) {
            assert_ne!(self.fill().unwrap(), 0, "the stream is over: {}", show(&self.bytes));
        }
        assert_eq!(String::from_utf8_lossy(&self.bytes), expected);
    }

    /// Reads until so many comments have arrived, empty ones; those are what keeps a stream alive.
    #[track_caller]
    fn signs_of_life(&mut self, count: usize) {
        while self.parser.comments.len() < count {
            assert_ne!(self.fill().unwrap(), 0, "the stream is over: {}", show(&self.bytes));
        }
        assert!(self.parser.comments.iter().all(String::is_empty), "{:?}", self.parser.comments);
    }

    /// What has arrived, without signs of life.
    fn text_but_comments(&self) -> String {
        let lines = std::str::from_utf8(&self.bytes).unwrap().split_inclusive('\n');
        lines.filter(|line| *line != ":\n").collect()
    }

    /// Reads to the end, which must be an orderly one; returns everything that was in the stream.
    #[track_caller]
    fn rest(&mut self) -> String {
        while self.fill().unwrap() != 0 {}
        String::from_utf8(self.bytes.clone()).unwrap()
    }
}

/// Whether every byte belongs to a whole frame: lines that a channel may write, in blocks that have an end.
#[track_caller]
fn assert_whole(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).unwrap();
    // Nothing but the time to come back, and comments, are whole without a blank line behind them.
    let last_block = text.rsplit("\n\n").next().unwrap_or_default();
    let stands_alone = |line: &str| line.starts_with("retry: ") || line.starts_with(':');
    assert!(
        last_block.is_empty() || last_block.ends_with('\n') && last_block.lines().all(stands_alone),
        "torn: …{:?}",
        &text[text.len().saturating_sub(100)..]
    );
    for line in text.lines() {
        let is_known =
            ["data: ", "id: ", "event: ", "retry: ", ": "].iter().any(|start| line.starts_with(start));
        assert!(is_known || line.is_empty() || line == ":", "torn: {line:?}");
    }
}

/// No deadline passes but this.
fn patient_for(deadline: Duration) -> Limits {
    unhurried().max_connections(5000).write_deadline(deadline)
}
