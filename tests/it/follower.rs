//! A client that comes back as a browser does, with the last id that it has seen.
//!
//! It takes the standard at its word: each stream begins without an id, and an event before the first id has none.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::patience::DEADLINE;
use crate::sse::{Message, Parser};

/// Sooner than what streams say, so that a test that has many of them does not take minutes.
const COMEBACK: Duration = Duration::from_millis(50);
/// A read ends after so long without a byte, to see whether the follower was dropped.
const READ_TIMEOUT: Duration = Duration::from_millis(200);

/// It follows a stream on a thread of its own, until it is dropped.
pub(crate) struct Follower {
    messages: Receiver<Message>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    connections: AtomicUsize,
    is_dropped: AtomicBool,
}

impl Follower {
    pub(crate) fn start(address: SocketAddr, target: &str, host: &str) -> Self {
        Self::resume(address, target, host, "")
    }

    /// Starts as one that has seen an event before.
    pub(crate) fn resume(address: SocketAddr, target: &str, host: &str, seen: &str) -> Self {
        let (sender, messages) = mpsc::channel();
        let shared = Arc::new(Shared::default());
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n");
        let (mut seen, for_thread) = (seen.to_owned(), Arc::clone(&shared));
        thread::spawn(move || {
            let is_dropped = || for_thread.is_dropped.load(Ordering::Relaxed);
            while !is_dropped() {
                if let Ok(socket) = TcpStream::connect(address) {
                    for_thread.connections.fetch_add(1, Ordering::Relaxed);
                    let id =
                        if seen.is_empty() { String::new() } else { format!("Last-Event-ID: {seen}\r\n") };
                    read(socket, &format!("{request}{id}\r\n"), &mut seen, &is_dropped, |message| {
                        sender.send(message).ok(); // the test may be over
                    });
                }
                thread::sleep(COMEBACK);
            }
        });
        Self { messages, shared }
    }

    /// The next message.
    #[track_caller]
    pub(crate) fn next(&self) -> Message {
        match self.messages.recv_timeout(DEADLINE) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => {
                panic!("nothing within {DEADLINE:?}, on connection {}", self.connections())
            }
            Err(RecvTimeoutError::Disconnected) => panic!("its thread panicked"),
        }
    }

    /// How often it has connected.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.shared.is_dropped.store(true, Ordering::Relaxed);
    }
}

/// Reads a stream to its end, whatever that is. It panics at an answer after which a browser would not come back.
fn read(
    mut socket: TcpStream,
    request: &str,
    seen: &mut String,
    is_dropped: &impl Fn() -> bool,
    mut tell: impl FnMut(Message),
) {
    socket.set_read_timeout(Some(READ_TIMEOUT)).unwrap();
    if socket.write_all(request.as_bytes()).is_err() {
        return;
    }
    let (mut head, mut body) = (Vec::new(), None);
    let mut parser = Parser::default();
    let mut buffer = [0; 16 * 1024];
    while !is_dropped() {
        let count = match socket.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(_) => return,
        };
        let mut bytes = buffer[..count].to_vec();
        let framing = match &mut body {
            Some(framing) => framing,
            None => {
                head.append(&mut bytes);
                let end = match head.windows(4).position(|four| four == b"\r\n\r\n") {
                    Some(end) => end + 4,
                    None => continue,
                };
                bytes = head.split_off(end);
                body.insert(Framing::of(&String::from_utf8_lossy(&head)))
            }
        };
        let is_over = framing.take(&mut bytes);
        parser.feed(&bytes);
        for message in parser.messages.drain(..) {
            seen.clone_from(&message.last_event_id);
            tell(message);
        }
        if is_over {
            return;
        }
    }
}

/// How a body ends (RFC 9112 §6.3).
enum Framing {
    Close,
    Length(usize),
    /// What is left of this chunk, and the line before the next as far as it is there (§7.1).
    Chunked {
        left: usize,
        line: String,
    },
}

impl Framing {
    fn of(head: &str) -> Self {
        let head = head.to_ascii_lowercase();
        let is_stream = head.contains("\r\ncontent-type: text/event-stream");
        let is_one = head.starts_with("http/1.1 200") && is_stream;
        assert!(is_one, "an answer that no browser comes back after: {head}");
        if head.contains("\r\ntransfer-encoding: chunked") {
            return Self::Chunked { left: 0, line: String::new() };
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        length.map_or(Self::Close, |length| Self::Length(length.parse().expect("a length is a number")))
    }

    /// Leaves the data of what was read, and returns whether that was the last of it.
    fn take(&mut self, bytes: &mut Vec<u8>) -> bool {
        let (left, line) = match self {
            Self::Close => return false,
            Self::Length(left) => {
                *left -= bytes.len();
                return *left == 0;
            }
            Self::Chunked { left, line } => (left, line),
        };
        for byte in std::mem::take(bytes) {
            match byte {
                _ if *left > 0 => {
                    *left -= 1;
                    bytes.push(byte);
                }
                // The line that ends a chunk's data is empty.
                b'\n' if line.is_empty() => {}
                b'\n' => {
                    *left = usize::from_str_radix(&std::mem::take(line), 16).expect("a chunk's length");
                    if *left == 0 {
                        return true;
                    }
                }
                b'\r' => {}
                _ => line.push(byte.into()),
            }
        }
        false
    }
}
