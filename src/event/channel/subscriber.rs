//! One subscriber: a socket, the event it gets next, and the rest of one that its socket took half of.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::greeting::write_reset;
use super::log::{Chunk, CHUNK};
use super::Settings;
use crate::event::wire::{self, KEEP_ALIVE};
use crate::http::{CloseReason, Connection, Request};

/// A socket that was full is tried again after this, and then after twice as long each time.
const FIRST_RETRY: Duration = Duration::from_millis(1);
const LAST_RETRY: Duration = Duration::from_millis(50);
/// Who takes this much has earned a new deadline, as with all other writes.
const WRITE_PROGRESS: usize = 64 * 1024;

/// What a writer sees of the log: the sealed chunks, without any lock.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) chunks: VecDeque<Arc<Chunk>>,
    /// The event after the last that is in view.
    pub(super) next: u64,
    pub(super) is_closed: bool,
    /// Events from several chunks, put together for one write; most subscribers want the same.
    gathered: Vec<u8>,
    gathered_events: std::ops::Range<u64>,
}

impl View {
    pub(super) fn first(&self) -> u64 {
        self.chunks.front().map_or(self.next, |chunk| chunk.first())
    }

    /// What one write takes of the events from `cursor` on, and the event after those.
    fn batch(&mut self, cursor: u64) -> (&[u8], u64) {
        let at = self.chunks.partition_point(|chunk| chunk.next() <= cursor);
        let is_enough = self.chunks[at].bytes_from(cursor).len() >= CHUNK || at + 1 == self.chunks.len();
        if is_enough {
            return (self.chunks[at].bytes_from(cursor), self.chunks[at].next());
        }
        if self.gathered_events.start != cursor || self.gathered_events.is_empty() {
            self.gather(at, cursor);
        }
        (&self.gathered, self.gathered_events.end)
    }

    fn gather(&mut self, at: usize, cursor: u64) {
        self.gathered.clear();
        self.gathered.extend_from_slice(self.chunks[at].bytes_from(cursor));
        let mut end = self.chunks[at].next();
        for chunk in self.chunks.range(at + 1..) {
            let bytes = chunk.bytes_from(chunk.first());
            if self.gathered.len() + bytes.len() > CHUNK {
                break;
            }
            self.gathered.extend_from_slice(bytes);
            end = chunk.next();
        }
        self.gathered_events = cursor..end;
    }

    /// Forgets what was put together, since there is more by now.
    pub(super) fn has_changed(&mut self) {
        self.gathered_events = 0..0;
    }

    /// Where a write of the events from `cursor` on has ended: the next event, and the rest of one that was torn.
    fn torn(&self, mut cursor: u64, mut written: usize) -> (u64, Vec<u8>) {
        let at = self.chunks.partition_point(|chunk| chunk.next() <= cursor);
        for chunk in self.chunks.range(at..) {
            while written > 0 && cursor < chunk.next() {
                let event = chunk.event(cursor);
                cursor += 1;
                if written < event.len() {
                    return (cursor, event[written..].to_vec());
                }
                written -= event.len();
            }
        }
        (cursor, Vec::new())
    }
}

/// What became of an attempt to serve a subscriber.
#[derive(Debug, Clone, Copy)]
pub(super) enum Outcome {
    /// It has everything.
    Served,
    /// Its socket is full.
    Blocked,
    Over(CloseReason),
}

pub(super) struct Subscriber {
    connection: Arc<Connection>,
    /// The event that it gets next.
    cursor: u64,
    /// What is left of an event that was begun, or of what ends the stream.
    rest: Vec<u8>,
    stall: Option<Box<Stall>>,
    keep_alive: Option<Duration>,
    last_write: Instant,
    is_finishing: bool,
    events: u64,
    bytes: u64,
    /// Kept where somebody wants to know who leaves.
    pub(super) request: Option<Request>,
}

struct Stall {
    deadline: Instant,
    retry_at: Instant,
    backoff: Duration,
    taken: usize,
}

impl Subscriber {
    pub(super) fn new(
        connection: Arc<Connection>,
        cursor: u64,
        keep_alive: Option<Duration>,
        request: Option<Request>,
    ) -> Self {
        Self {
            connection,
            cursor,
            rest: Vec::new(),
            stall: None,
            keep_alive,
            last_write: Instant::now(),
            is_finishing: false,
            events: 0,
            bytes: 0,
            request,
        }
    }

    pub(super) fn cursor(&self) -> u64 {
        self.cursor
    }

    pub(super) fn keep_alive(&self) -> Option<Duration> {
        self.keep_alive
    }

    /// Whether there is something that its socket has not taken yet.
    pub(super) fn is_waiting(&self) -> bool {
        !self.rest.is_empty() || self.stall.is_some()
    }

    /// When a blocked one is to be tried again.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.stall.as_ref().map(|stall| stall.retry_at)
    }

    /// Sends what it has not seen yet, as far as its socket takes it.
    pub(super) fn serve(&mut self, view: &mut View, settings: &Settings, now: Instant) -> Outcome {
        if self.connection.stop_signal().is_requested() {
            return Outcome::Over(self.leave_for_stop());
        }
        loop {
            if !self.rest.is_empty() {
                match self.connection.try_write(&self.rest) {
                    Ok(count) if count == self.rest.len() => {
                        self.rest = Vec::new();
                        self.take(count, now);
                    }
                    Ok(count) => {
                        drop(self.rest.drain(..count));
                        return self.block(count, now);
                    }
                    Err(reason) => return Outcome::Over(reason),
                }
            }
            if self.is_finishing {
                return Outcome::Over(CloseReason::Finished);
            }
            if self.cursor < view.first() {
                match settings.snapshot {
                    Some(_) => return Outcome::Over(CloseReason::Lagged),
                    None => self.skip(view, settings),
                }
            } else if self.cursor < view.next {
                let (bytes, next) = view.batch(self.cursor);
                match self.connection.try_write(bytes) {
                    Ok(count) if count == bytes.len() => {
                        self.events += next - self.cursor;
                        self.cursor = next;
                        self.take(count, now);
                    }
                    Ok(count) => {
                        let (cursor, rest) = view.torn(self.cursor, count);
                        self.events += cursor - self.cursor;
                        self.cursor = cursor;
                        self.rest = rest;
                        return self.block(count, now);
                    }
                    Err(reason) => return Outcome::Over(reason),
                }
            } else if view.is_closed {
                let mut finish = String::new();
                wire::write_finish(&mut finish);
                self.rest = finish.into_bytes();
                self.is_finishing = true;
            } else {
                self.stall = None;
                return Outcome::Served;
            }
        }
    }

    /// Goes on with the oldest event that is there, and says so.
    fn skip(&mut self, view: &View, settings: &Settings) {
        let first = view.first();
        let id = view.chunks.front().and_then(|chunk| chunk.id_before(&settings.numbering));
        let mut reset = String::new();
        // It cannot fail: the type was judged when the channel was set up.
        let _ = write_reset(&mut reset, settings, id.as_deref(), "lagged", Some(first - self.cursor));
        self.rest = reset.into_bytes();
        self.cursor = first;
    }

    fn take(&mut self, count: usize, now: Instant) {
        self.bytes += count as u64;
        self.last_write = now;
        if let Some(stall) = &mut self.stall {
            stall.taken += count;
        }
    }

    fn block(&mut self, count: usize, now: Instant) -> Outcome {
        self.take(count, now);
        let deadline = now + self.connection.write_deadline();
        let stall = self.stall.get_or_insert_with(|| {
            Box::new(Stall { deadline, retry_at: now, backoff: FIRST_RETRY, taken: 0 })
        });
        if stall.taken >= WRITE_PROGRESS {
            (stall.deadline, stall.taken) = (deadline, 0);
        }
        if now >= stall.deadline {
            return Outcome::Over(CloseReason::WriteDeadline);
        }
        stall.backoff = if count > 0 { FIRST_RETRY } else { (2 * stall.backoff).min(LAST_RETRY) };
        stall.retry_at = now + stall.backoff;
        Outcome::Blocked
    }

    /// Looks whether it is still there, and keeps it alive.
    pub(super) fn tend(&mut self, now: Instant) -> Result<(), CloseReason> {
        match self.connection.look_nonblocking() {
            Ok(()) => {}
            Err(CloseReason::Stopped) => return Err(self.leave_for_stop()),
            Err(reason) => return Err(reason),
        }
        let is_idle = self.rest.is_empty() && self.stall.is_none();
        match self.keep_alive {
            Some(interval) if is_idle && now.saturating_duration_since(self.last_write) >= interval => {
                let count = self.connection.try_write(KEEP_ALIVE.as_bytes())?;
                self.rest = KEEP_ALIVE.as_bytes()[count..].to_vec();
                self.take(count, now);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Says when to come back, if no event has been begun.
    fn leave_for_stop(&mut self) -> CloseReason {
        if self.rest.is_empty() {
            let mut retry = String::new();
            wire::write_comeback(&mut retry);
            // What does not fit now is not worth waiting for.
            self.bytes += self.connection.try_write(retry.as_bytes()).unwrap_or(0) as u64;
        }
        CloseReason::Stopped
    }

    /// Leaves for good; returns the reason that counts.
    pub(super) fn leave(self, reason: CloseReason) -> CloseReason {
        // What it said last is read, or closing would take from it what it has not read yet.
        let _ = self.connection.look_nonblocking();
        self.connection.count_bytes(self.bytes);
        self.connection.count_events(self.events);
        self.connection.end(reason)
    }
}
