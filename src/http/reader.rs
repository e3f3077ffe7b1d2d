//! What a client sends, read through one buffer for the connection's whole life.
//!
//! One reader, never a second: bytes of the next request that arrive with this one's must not be lost.
//!
//! Bytes are read into a piece of the thread's stack, and copied from there to the buffer. So a connection has no buffer
//! before its first byte. Of thousands that come at once, the C library would keep what these buffers took.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::close_reason::CloseReason;
use super::connection::{Connection, Incoming};
use super::head::{Head, HeadScan};
use super::Refusal;

/// Most heads fit; the buffer grows for those that do not.
///
/// glibc keeps smaller pieces (up to 1032 bytes) for the thread that frees them, however long that sleeps: with less,
/// each idle stream would hold on to what its head was read into.
pub(super) const FIRST_BUFFER: usize = 1536;
/// One read takes this much. A larger piece of the stack would touch a third page of it.
const READ_PIECE: usize = 1024;
/// One read of a body takes this much at most, so that a declared length alone allocates little.
pub(super) const BODY_READ: u64 = 64 * 1024;

/// Why there is no request, or not all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadError {
    /// Not even a first byte came within the idle deadline: no client waits for an answer.
    Idle,
    Closed(CloseReason),
    Refused(Refusal),
}

impl From<Refusal> for ReadError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

pub(crate) struct Reader {
    pub(crate) connection: Arc<Connection>,
    max_head: usize,
    buffer: Vec<u8>,
    /// How many bytes at the start of the buffer requests have used.
    used: usize,
}

impl Reader {
    /// Takes heads of `max_head` bytes at most.
    pub(crate) fn new(connection: Arc<Connection>, max_head: usize) -> Self {
        Self { connection, max_head, buffer: Vec::new(), used: 0 }
    }

    /// Whether the buffer holds bytes that no request has used yet.
    pub(crate) fn has_unread(&self) -> bool {
        self.used < self.buffer.len()
    }

    /// Whether a next request has begun to arrive, or the connection has ended. Does not wait.
    pub(crate) fn has_news(&mut self) -> bool {
        self.has_unread() || self.take(Connection::try_read) != Incoming::Nothing
    }

    /// Waits up to `idle` for the first byte of a head, and then up to `deadline` for all the others.
    ///
    /// `begins` is called when there is a first byte but not all of them.
    pub(crate) fn read_head(
        &mut self,
        idle: Duration,
        deadline: Duration,
        begins: &dyn Fn(),
    ) -> Result<Head, ReadError> {
        let mut scan = HeadScan::new(self.max_head);
        let mut ends_at = None;
        loop {
            if let Some(head) = scan.advance(self.unread())? {
                let end = head.end;
                let head = Head::parse(&self.unread()[head]);
                self.used += end;
                return Ok(head?);
            }
            let has_begun = scan.has_begun(self.unread());
            let found = match ends_at {
                _ if !has_begun => self.fill(idle),
                // In total, not for each read: one byte a second never passes a deadline of that kind.
                None => {
                    begins();
                    ends_at = Some(Instant::now() + deadline);
                    self.fill(deadline)
                }
                Some(ends_at) => self.fill(remaining(ends_at)),
            };
            match found {
                Incoming::Bytes(_) => {}
                Incoming::Nothing if has_begun => return Err(Refusal::HeadDeadline.into()),
                Incoming::Nothing => return Err(ReadError::Idle),
                Incoming::Closed(CloseReason::PeerClosed) if has_begun => {
                    return Err(Refusal::HeadTruncated.into())
                }
                Incoming::Closed(reason) => return Err(ReadError::Closed(reason)),
            }
        }
    }

    /// The next line without its CR LF, of `limit` bytes at most; `too_long` says what a longer one is.
    pub(super) fn read_line(
        &mut self,
        limit: usize,
        too_long: Refusal,
        deadline: Instant,
    ) -> Result<&[u8], ReadError> {
        let mut looked_at = 0;
        loop {
            let line_feed = self.unread()[looked_at..].iter().position(|byte| *byte == b'\n');
            let length = line_feed.map_or(self.unread().len(), |offset| looked_at + offset);
            if length > limit + b"\r".len() {
                return Err(too_long.into());
            }
            if line_feed.is_some() {
                let line = self.used..self.used + length;
                self.used = line.end + b"\n".len();
                return match &self.buffer[line] {
                    [line @ .., b'\r'] if !line.contains(&b'\r') => Ok(line),
                    _ => Err(Refusal::LineEnd.into()),
                };
            }
            looked_at = length;
            body_bytes(self.fill(remaining(deadline)))?;
        }
    }

    /// Appends the next bytes of a body, which has room: `count` at most and at least one.
    pub(super) fn read_some(
        &mut self,
        count: u64,
        body: &mut Vec<u8>,
        deadline: Instant,
    ) -> Result<u64, ReadError> {
        let room = body.capacity() - body.len();
        let most = count.min(BODY_READ).min(room as u64) as usize;
        if self.has_unread() {
            let taken = most.min(self.unread().len());
            body.extend_from_slice(&self.unread()[..taken]);
            self.used += taken;
            return Ok(taken as u64);
        }
        let length = body.len();
        body.resize(length + most, 0);
        let found = self.connection.read(&mut body[length..], remaining(deadline));
        let read = body_bytes(found);
        body.truncate(length + read.unwrap_or(0));
        read.map(|read| read as u64)
    }

    fn unread(&self) -> &[u8] {
        &self.buffer[self.used..]
    }

    fn fill(&mut self, timeout: Duration) -> Incoming {
        self.take(|connection, buffer| connection.read(buffer, timeout))
    }

    /// Callers give up on anything longer than a head or a trailer section, so the buffer stays within twice that.
    fn take(&mut self, read: impl FnOnce(&Connection, &mut [u8]) -> Incoming) -> Incoming {
        let mut piece = [0; READ_PIECE];
        let found = read(&self.connection, &mut piece);
        if let Incoming::Bytes(count) = found {
            self.buffer.drain(..self.used);
            self.used = 0;
            self.buffer.reserve(FIRST_BUFFER.saturating_sub(self.buffer.len()));
            self.buffer.extend_from_slice(&piece[..count]);
        }
        found
    }
}

/// With nothing left, what has arrived is still read: the process may have been stopped while the time passed.
fn remaining(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

fn body_bytes(found: Incoming) -> Result<usize, ReadError> {
    match found {
        Incoming::Bytes(count) => Ok(count),
        Incoming::Nothing => Err(Refusal::BodyDeadline.into()),
        Incoming::Closed(CloseReason::PeerClosed) => Err(Refusal::BodyTruncated.into()),
        Incoming::Closed(reason) => Err(ReadError::Closed(reason)),
    }
}
