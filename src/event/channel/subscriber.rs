//! One subscriber: a socket, the event it gets next, and the rest of one that its socket took half of.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::greeting::write_reset;
use super::log::{Chunk, CHUNK};
use super::shared::{Settings, State};
use crate::event::wire::{self, KEEP_ALIVE};
use crate::http::{CloseReason, Connection, Request, StopSignal, WRITE_PROGRESS};

/// A socket that was full is tried again after this, and then after twice as long each time.
const FIRST_RETRY: Duration = Duration::from_millis(1);
const LAST_RETRY: Duration = Duration::from_millis(50);

/// What a writer sees of the log: the sealed chunks, without any lock.
#[derive(Debug, Default)]
pub(super) struct View {
    chunks: VecDeque<Arc<Chunk>>,
    /// The event after the last that is in view.
    pub(super) next: u64,
    is_closed: bool,
    /// Events from several chunks, put together for one write; most subscribers want the same.
    gathered: Vec<u8>,
    gathered_events: std::ops::Range<u64>,
}

impl View {
    fn first(&self) -> u64 {
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

    /// Takes in what is new, from the event on that the slowest subscriber needs. What nobody needs is let go: it is
    /// the log that remembers.
    pub(super) fn update(&mut self, state: &State, needed: u64) {
        // What the log has let go nobody gets any more.
        let needed = needed.max(state.log.first_kept());
        let is_known = matches!(self.chunks.front(), Some(front) if front.first() <= needed);
        match is_known {
            true => {
                while matches!(self.chunks.front(), Some(front) if front.next() <= needed) {
                    self.chunks.pop_front();
                }
            }
            false => self.chunks.clear(),
        }
        let known = self.chunks.back().map_or(needed, |back| back.next());
        for chunk in state.log.sealed_from(known) {
            // Chunks are put together as they age: one that begins with what is known replaces that.
            while matches!(self.chunks.back(), Some(back) if back.first() >= chunk.first()) {
                self.chunks.pop_back();
            }
            self.chunks.push_back(Arc::clone(chunk));
        }
        self.next = state.log.next();
        self.is_closed = state.is_closed;
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

/// What a source says of its streams.
#[derive(Debug, Clone, Copy)]
pub(in crate::event) struct Terms {
    pub(in crate::event) keep_alive: Option<Duration>,
    /// When the stream has to end.
    pub(in crate::event) expires: Option<Instant>,
    pub(in crate::event) behind: Behind,
}

/// What a subscriber does when it has fallen behind what is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::event) enum Behind {
    /// With the oldest event that is there, and is told so.
    GoesOn,
    /// Somebody has what it lacks, and it comes back for that.
    Leaves,
}

/// Small, since there may be thousands that do nothing but be there.
pub(super) struct Subscriber {
    connection: Arc<Connection>,
    /// The event that it gets next.
    cursor: u64,
    backlog: Option<Box<Backlog>>,
    extras: Option<Box<Extras>>,
    /// In milliseconds; 0 for none.
    keep_alive: u32,
    /// In milliseconds of the channel's life, modulo 49 days.
    last_write: u32,
    /// What it was sent, until the connection is told.
    events: u64,
    bytes: u64,
}

/// What few subscribers have.
struct Extras {
    /// When its stream has to end.
    expires: Option<Instant>,
    behind: Behind,
    /// Kept where somebody wants to know who leaves.
    request: Option<Request>,
}

/// What a subscriber's socket has not taken, and how much patience is left.
struct Backlog {
    /// The rest of an event that was begun, or of what ends the stream.
    rest: Vec<u8>,
    is_last: bool,
    deadline: Instant,
    retry_at: Instant,
    backoff: Duration,
    /// How many bytes it had taken when the deadline was set, and at the last attempt.
    renewed_at: u64,
    tried_at: u64,
}

impl Subscriber {
    pub(super) fn new(
        connection: Arc<Connection>,
        cursor: u64,
        terms: Terms,
        request: Option<Request>,
        settings: &Settings,
    ) -> Self {
        let Terms { expires, behind, .. } = terms;
        let has_extras = expires.is_some() || behind != Behind::GoesOn || request.is_some();
        let keep_alive =
            terms.keep_alive.map_or(0, |interval| interval.as_millis().clamp(1, u32::MAX.into()) as u32);
        Self {
            connection,
            cursor,
            backlog: None,
            extras: has_extras.then(|| Box::new(Extras { expires, behind, request })),
            keep_alive,
            last_write: settings.millis(Instant::now()),
            events: 0,
            bytes: 0,
        }
    }

    pub(super) fn cursor(&self) -> u64 {
        self.cursor
    }

    pub(super) fn stop_signal(&self) -> &StopSignal {
        self.connection.stop_signal()
    }

    pub(super) fn keep_alive(&self) -> Option<Duration> {
        (self.keep_alive > 0).then(|| Duration::from_millis(self.keep_alive.into()))
    }

    fn behind(&self) -> Behind {
        self.extras.as_ref().map_or(Behind::GoesOn, |extras| extras.behind)
    }

    /// When a blocked one is to be tried again.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.backlog.as_ref().map(|backlog| backlog.retry_at)
    }

    /// Sends what it has not seen yet, as far as its socket takes it.
    pub(super) fn serve(&mut self, view: &mut View, settings: &Settings, now: Instant) -> Outcome {
        if self.connection.stop_signal().is_requested() {
            return Outcome::Over(self.say_goodbye(CloseReason::Stopped));
        }
        match self.send(view, settings, now) {
            Ok(Sent::Everything) => {
                self.backlog = None;
                Outcome::Served
            }
            Ok(Sent::Some) => self.block(now),
            Err(reason) => Outcome::Over(reason),
        }
    }

    fn send(&mut self, view: &mut View, settings: &Settings, now: Instant) -> Result<Sent, CloseReason> {
        loop {
            if let Sent::Some = self.send_rest(settings, now)? {
                return Ok(Sent::Some);
            }
            if self.has_expired(now) {
                return Err(self.say_goodbye(CloseReason::MaxAge));
            }
            if self.cursor < view.first() {
                self.skip(view, settings, now)?;
            } else if self.cursor < view.next {
                if let Sent::Some = self.send_events(view, settings, now)? {
                    return Ok(Sent::Some);
                }
            } else if view.is_closed {
                let mut finish = String::new();
                wire::write_finish(&mut finish);
                self.owe(finish.into_bytes(), now).is_last = true;
            } else {
                return Ok(Sent::Everything);
            }
        }
    }

    fn send_rest(&mut self, settings: &Settings, now: Instant) -> Result<Sent, CloseReason> {
        let backlog = match &mut self.backlog {
            Some(backlog) if backlog.is_last || !backlog.rest.is_empty() => backlog,
            _ => return Ok(Sent::Everything),
        };
        let count = self.connection.try_write(&backlog.rest)?;
        drop(backlog.rest.drain(..count));
        let is_gone = backlog.rest.is_empty();
        let was_last = is_gone && backlog.is_last;
        self.count(count, settings, now);
        match is_gone {
            _ if was_last => Err(CloseReason::Finished),
            true => Ok(Sent::Everything),
            false => Ok(Sent::Some),
        }
    }

    fn send_events(
        &mut self,
        view: &mut View,
        settings: &Settings,
        now: Instant,
    ) -> Result<Sent, CloseReason> {
        let (bytes, end) = view.batch(self.cursor);
        let count = self.connection.try_write(bytes)?;
        if count == bytes.len() {
            self.events += end - self.cursor;
            self.cursor = end;
            self.count(count, settings, now);
            return Ok(Sent::Everything);
        }
        let (cursor, rest) = view.torn(self.cursor, count);
        self.events += cursor - self.cursor;
        self.cursor = cursor;
        self.count(count, settings, now);
        self.owe(rest, now);
        Ok(Sent::Some)
    }

    /// It has fallen behind what is kept. Goes on with the oldest event that is there and says so; where a snapshot
    /// belongs, or somebody has more than the channel, it has to come back for that.
    fn skip(&mut self, view: &View, settings: &Settings, now: Instant) -> Result<(), CloseReason> {
        if settings.snapshot.is_some() || self.behind() == Behind::Leaves {
            return Err(CloseReason::Lagged);
        }
        let first = view.first();
        let id = view.chunks.front().and_then(|chunk| chunk.id_before(&settings.numbering));
        let mut reset = String::new();
        // It cannot fail: the type was judged when the channel was set up.
        let _ = write_reset(&mut reset, settings, id.as_deref(), "lagged", Some(first - self.cursor));
        self.owe(reset.into_bytes(), now);
        self.events += 1;
        self.cursor = first;
        Ok(())
    }

    /// Notes what has to be sent before anything else.
    fn owe(&mut self, rest: Vec<u8>, now: Instant) -> &mut Backlog {
        let (bytes, deadline) = (self.bytes, now + self.connection.write_deadline());
        let backlog = self.backlog.get_or_insert_with(|| {
            Box::new(Backlog {
                rest: Vec::new(),
                is_last: false,
                deadline,
                retry_at: now,
                backoff: FIRST_RETRY,
                renewed_at: bytes,
                tried_at: bytes,
            })
        });
        backlog.rest = rest;
        backlog
    }

    /// Its socket is full: when to try again, and how often that may happen.
    fn block(&mut self, now: Instant) -> Outcome {
        let (bytes, deadline) = (self.bytes, now + self.connection.write_deadline());
        let backlog = match &mut self.backlog {
            Some(backlog) => backlog,
            None => self.owe(Vec::new(), now),
        };
        if bytes - backlog.renewed_at >= WRITE_PROGRESS as u64 {
            (backlog.deadline, backlog.renewed_at) = (deadline, bytes);
        }
        if now >= backlog.deadline {
            return Outcome::Over(CloseReason::WriteDeadline);
        }
        let has_moved = bytes > backlog.tried_at;
        backlog.backoff = if has_moved { FIRST_RETRY } else { (2 * backlog.backoff).min(LAST_RETRY) };
        backlog.tried_at = bytes;
        backlog.retry_at = now + backlog.backoff;
        Outcome::Blocked
    }

    /// Looks whether it is still there, and keeps it alive.
    pub(super) fn tend(&mut self, settings: &Settings, now: Instant) -> Outcome {
        match self.connection.look() {
            Ok(()) => {}
            Err(CloseReason::Stopped) => return Outcome::Over(self.say_goodbye(CloseReason::Stopped)),
            Err(reason) => return Outcome::Over(reason),
        }
        if self.backlog.is_some() {
            return Outcome::Blocked;
        }
        self.tell();
        if self.has_expired(now) {
            return Outcome::Over(self.say_goodbye(CloseReason::MaxAge));
        }
        let quiet = settings.millis(now).wrapping_sub(self.last_write);
        if self.keep_alive == 0 || quiet < self.keep_alive {
            return Outcome::Served;
        }
        match self.connection.try_write(KEEP_ALIVE.as_bytes()) {
            Ok(count) if count == KEEP_ALIVE.len() => {
                self.count(count, settings, now);
                Outcome::Served
            }
            Ok(count) => {
                self.count(count, settings, now);
                self.owe(KEEP_ALIVE.as_bytes()[count..].to_vec(), now);
                Outcome::Blocked
            }
            Err(reason) => Outcome::Over(reason),
        }
    }

    fn has_expired(&self, now: Instant) -> bool {
        let expires = self.extras.as_ref().and_then(|extras| extras.expires);
        matches!(expires, Some(expires) if now >= expires)
    }

    /// Tells the connection what was counted here; where nothing is owed, nobody compares the numbers.
    fn tell(&mut self) {
        self.connection.count_bytes(std::mem::take(&mut self.bytes));
        self.connection.count_events(std::mem::take(&mut self.events));
    }

    fn count(&mut self, bytes: usize, settings: &Settings, now: Instant) {
        self.bytes += bytes as u64;
        if bytes > 0 {
            self.last_write = settings.millis(now);
        }
    }

    /// Says when to come back, if no event has been begun.
    fn say_goodbye(&mut self, reason: CloseReason) -> CloseReason {
        if self.backlog.as_ref().map_or(true, |backlog| backlog.rest.is_empty()) {
            let mut retry = String::new();
            wire::write_comeback(&mut retry);
            // What does not fit now is not worth waiting for.
            self.bytes += self.connection.try_write(retry.as_bytes()).unwrap_or(0) as u64;
        }
        reason
    }

    /// Leaves for good; returns the reason that counts, and the request if somebody wants to know.
    pub(super) fn leave(mut self, reason: CloseReason) -> (CloseReason, Option<Request>) {
        // What it said last is read, or closing would take from it what it has not read yet.
        let _ = self.connection.look();
        self.tell();
        (self.connection.end(reason), self.extras.and_then(|extras| extras.request))
    }
}

/// How far an attempt to send has got.
enum Sent {
    Everything,
    /// The socket is full.
    Some,
}
