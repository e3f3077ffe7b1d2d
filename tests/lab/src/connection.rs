//! One connection of the load generator: a socket that does not block, the head of an answer, its body in chunks or
//! not, and the lines of an event stream.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{connect, socket_with, sockopt, AddressFamily, SocketFlags, SocketType};

use crate::peers::now;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum State {
    Connecting,
    Head,
    Body,
    Done,
    Failed,
}

/// How the end of a body is found, and how much of it is left.
#[derive(Clone, Copy)]
enum Framing {
    UntilClosed,
    Length(usize),
    /// The line with a chunk's size, of which so much was read.
    ChunkSize(usize),
    /// A chunk's bytes, of which so many are left; none: the end of its line.
    Chunk(usize),
}

pub struct Connection {
    pub socket: TcpStream,
    pub state: State,
    pub status: u16,
    /// When connecting or the latest request began.
    pub since: u64,
    /// Whether the comment came that says so, or the id of where a follower stands in its channel.
    pub is_subscribed: bool,
    /// Whether data is looked at, for latency and losses.
    pub reads_data: bool,
    pub events: u64,
    pub bytes: u64,
    /// The sequence number that is next.
    pub next: u64,
    /// Sequence numbers that were skipped.
    pub lost: u64,
    /// Events that came again, or late.
    pub again: u64,
    /// Events of type `reset`, by which a channel says that others are missing.
    pub resets: u64,
    head: Vec<u8>,
    framing: Framing,
    line: Vec<u8>,
    has_data: bool,
    is_reset: bool,
}

impl Connection {
    pub fn open(port: u16) -> io::Result<Self> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        sockopt::set_tcp_nodelay(&socket, true)?;
        // Closed by a reset: no TIME_WAIT stays here, or a storm would measure the search for a free port.
        sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
        let since = now();
        match connect(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(Self {
            socket: socket.into(),
            state: State::Connecting,
            status: 0,
            since,
            is_subscribed: false,
            reads_data: false,
            events: 0,
            bytes: 0,
            next: 0,
            lost: 0,
            again: 0,
            resets: 0,
            head: Vec::new(),
            framing: Framing::UntilClosed,
            line: Vec::new(),
            has_data: false,
            is_reset: false,
        })
    }

    /// Sends a request, the first one or another on a connection that stays open; whether it went out.
    pub fn ask(&mut self, request: &[u8]) -> bool {
        let is_sent = self.socket.write(request).is_ok_and(|count| count == request.len());
        self.state = if is_sent { State::Head } else { State::Failed };
        is_sent
    }

    /// Reads once, and gives each event's own time, its sequence number and the time of this reading. Whether there may
    /// be more.
    pub fn read(&mut self, buffer: &mut [u8], mut on_data: impl FnMut(u64, u64, u64)) -> bool {
        let count = match self.socket.read(buffer) {
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return true
            }
            Err(_) => {
                self.state = State::Failed;
                return false;
            }
        };
        if count == 0 {
            let is_whole = self.state == State::Body && matches!(self.framing, Framing::UntilClosed);
            self.state = if is_whole || self.state == State::Done { State::Done } else { State::Failed };
            return false;
        }
        self.bytes += count as u64;
        let bytes = &buffer[..count];
        if self.state == State::Head {
            self.head.extend_from_slice(bytes);
            let Some(end) = memchr::memmem::find(&self.head, b"\r\n\r\n") else { return true };
            let head = std::mem::take(&mut self.head);
            self.judge(&head[..end]);
            self.body(&head[end + 4..], now(), &mut on_data);
        } else {
            self.body(bytes, now(), &mut on_data);
        }
        true
    }

    fn judge(&mut self, head: &[u8]) {
        let head = String::from_utf8_lossy(head).to_ascii_lowercase();
        self.status = head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
        let fields = head.lines().filter_map(|line| line.split_once(':'));
        self.framing = Framing::UntilClosed;
        for (name, value) in fields {
            match name {
                "transfer-encoding" => self.framing = Framing::ChunkSize(0),
                "content-length" => self.framing = Framing::Length(value.trim().parse().unwrap_or(0)),
                _ => {}
            }
        }
        let is_empty = self.status == 204 || matches!(self.framing, Framing::Length(0));
        self.state = if is_empty { State::Done } else { State::Body };
    }

    fn body(&mut self, mut bytes: &[u8], now: u64, on_data: &mut impl FnMut(u64, u64, u64)) {
        while self.state == State::Body && !bytes.is_empty() {
            match self.framing {
                Framing::UntilClosed => return self.lines(bytes, now, on_data),
                Framing::Length(left) => {
                    self.framing = Framing::Length(left.saturating_sub(bytes.len()));
                    if left <= bytes.len() {
                        self.state = State::Done;
                    }
                    return;
                }
                Framing::ChunkSize(size) => {
                    match bytes[0] {
                        b'\n' if size == 0 => self.state = State::Done,
                        b'\n' => self.framing = Framing::Chunk(size),
                        digit => {
                            let digit = char::from(digit).to_digit(16); // not of CR
                            self.framing =
                                Framing::ChunkSize(digit.map_or(size, |digit| size * 16 + digit as usize));
                        }
                    }
                    bytes = &bytes[1..];
                }
                Framing::Chunk(0) => {
                    if bytes[0] == b'\n' {
                        self.framing = Framing::ChunkSize(0);
                    }
                    bytes = &bytes[1..];
                }
                Framing::Chunk(left) => {
                    let (part, rest) = bytes.split_at(left.min(bytes.len()));
                    self.framing = Framing::Chunk(left - part.len());
                    self.lines(part, now, on_data);
                    bytes = rest;
                }
            }
        }
    }

    fn lines(&mut self, mut bytes: &[u8], now: u64, on_data: &mut impl FnMut(u64, u64, u64)) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            if self.line.is_empty() {
                self.line(&bytes[..end], now, on_data);
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(&bytes[..end]);
                self.line(&line, now, on_data);
                line.clear();
                self.line = line;
            }
            bytes = &bytes[end + 1..];
        }
        self.line.extend_from_slice(bytes);
    }

    fn line(&mut self, line: &[u8], now: u64, on_data: &mut impl FnMut(u64, u64, u64)) {
        match line {
            [] => {
                self.events += u64::from(self.has_data);
                (self.has_data, self.is_reset) = (false, false);
            }
            b": hi" | [b'i', b'd', b':', ..] => self.is_subscribed = true,
            b"event: reset" => {
                self.resets += 1;
                self.is_reset = true; // what its data says is no event of the load
            }
            [b'd', b'a', b't', b'a', b':', data @ ..] if !self.is_reset => {
                self.has_data = true;
                if self.reads_data {
                    let (published, rest) = number(data.strip_prefix(b" ").unwrap_or(data));
                    let (index, _) = number(rest.get(1..).unwrap_or_default());
                    if index < self.next {
                        self.again += 1;
                    } else {
                        self.lost += index - self.next;
                        self.next = index + 1;
                    }
                    on_data(published, index, now);
                }
            }
            _ => {}
        }
    }
}

/// The decimal number that these bytes begin with, and what follows it.
fn number(bytes: &[u8]) -> (u64, &[u8]) {
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
    let add = |number: u64, digit: &u8| number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
    (bytes[..end].iter().fold(0, add), &bytes[end..])
}
