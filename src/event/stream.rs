//! One stream as it is kept: what is being sent, when something was sent last, and how it ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::wire::{self, Event, SendError, KEEP_ALIVE};
use crate::clock::{Clock, NEVER};
use crate::data::{Data, Formatting};
use crate::http::answer::{make_chunk, LAST_CHUNK};
use crate::http::{BoxError, CloseReason, Connection};
use crate::panics::Panic;
use crate::random;

/// A stream that waits for something else than its socket looks this often whether its client is still there.
const LOOK: Duration = Duration::from_secs(1);
/// The least part of a wait that is slept, after the part that reads.
const SLEPT: Duration = Duration::from_millis(900);
/// Winsock counts the timeouts of reads in half seconds, and wakes no reader of another thread.
const IS_READ_COARSE: bool = cfg!(windows);
/// The most that a buffer keeps for the next event: the memory of one large event is given back, since a stream may
/// last long.
const KEPT_BUFFER: usize = 32 * 1024;

/// What a source says of each of its streams.
#[derive(Debug, Clone, Default)]
pub(super) struct StreamSettings {
    pub(super) formatting: Arc<Formatting>,
    pub(super) keep_alive: Option<Duration>,
    /// The event that keeps it alive; a comment, where there is none.
    pub(super) heartbeat: Option<Arc<str>>,
    pub(super) retry: Duration,
    /// When the client comes back after a failure; `None` for a body that is no event stream.
    pub(super) error_retry: Option<Duration>,
    pub(super) max_age: Option<Duration>,
    /// The least time between two writes of a channel's events.
    pub(super) pace: Option<Duration>,
    /// Whether what is sent goes in chunks, where the client knows them.
    pub(super) is_chunked: bool,
}

impl StreamSettings {
    /// What keeps a stream alive.
    pub(super) fn sign_of_life(&self) -> &str {
        self.heartbeat.as_deref().unwrap_or(KEEP_ALIVE)
    }

    /// When a stream that begins now has to end.
    fn expires(&self, clock: &Clock) -> Option<Instant> {
        let age = self.max_age?;
        let age = match clock {
            Clock::System => random::between(age - age / 5, age),
            Clock::Virtual(_) => age, // no other stream ends with it, and what a test sees is the same each time
        };
        clock.now().checked_add(age)
    }
}

pub(super) struct Stream<'r> {
    pub(super) connection: Arc<Connection>,
    pub(super) clock: Clock,
    pub(super) settings: &'r StreamSettings,
    /// The bytes of what is being sent; of no meaning in between.
    pub(super) buffer: String,
    last_write: Instant,
    last_look: Instant,
    /// When the stream has to end.
    pub(super) expires: Option<Instant>,
    /// Whether what is sent goes in chunks; in memory there is no framing.
    is_chunked: bool,
    /// Whether a channel has it now.
    is_handed_over: bool,
    /// Whether everything has been sent that was to be.
    is_whole: bool,
}

impl<'r> Stream<'r> {
    pub(super) fn new(connection: Arc<Connection>, settings: &'r StreamSettings, is_chunked: bool) -> Self {
        let clock = connection.clock();
        let now = clock.now();
        Self {
            expires: settings.expires(&clock),
            connection,
            settings,
            buffer: String::new(),
            last_write: now,
            last_look: now,
            is_chunked: is_chunked && !clock.is_virtual(),
            clock,
            is_handed_over: false,
            is_whole: false,
        }
    }

    /// Has the stream end then, unless it ends before.
    pub(super) fn expire(&mut self, at: Instant) {
        self.expires = Some(self.expires.map_or(at, |expires| expires.min(at)));
    }

    /// Whether it has to stay on its thread: in a test with a virtual clock, and where it is sent in chunks, which
    /// writers do not make.
    pub(super) fn is_bound(&self) -> bool {
        self.is_chunked || self.clock.is_virtual()
    }

    pub(super) fn hand_over(&mut self) {
        self.is_handed_over = true;
    }

    pub(super) fn has_ended(&self) -> bool {
        self.is_handed_over || self.connection.ended().is_some()
    }

    /// Whether something can still be sent, as far as is known.
    pub(super) fn is_open(&self) -> bool {
        !self.is_handed_over && !self.connection.is_over()
    }

    /// Begins something that is to be sent, which goes into the buffer.
    pub(super) fn begin(&mut self) -> Result<&mut String, SendError> {
        self.check()?;
        self.buffer.clear();
        Ok(&mut self.buffer)
    }

    /// Adds an event to what is being sent.
    pub(super) fn gather<T: Data>(&mut self, event: &Event<'_, T>) -> Result<(), SendError> {
        event.write(&mut self.buffer, &self.settings.formatting)
    }

    /// Hands what is being sent to the socket, at once.
    pub(super) fn flush(&mut self, events: u64) -> Result<(), SendError> {
        self.flush_some(events)?;
        self.buffer.clear(); // what is in it would be kept
        self.buffer.shrink_to(KEPT_BUFFER);
        Ok(())
    }

    /// Hands what is being sent to the socket, where more is to come.
    pub(super) fn flush_some(&mut self, events: u64) -> Result<(), SendError> {
        if !self.buffer.is_empty() {
            if self.is_chunked {
                make_chunk(&mut self.buffer);
            }
            // Before they leave: a client that has got one may read the counter.
            self.connection.count_events(events);
            if let Err(reason) = self.connection.write_all(self.buffer.as_bytes()) {
                self.connection.discount_events(events);
                return Err(SendError::Closed(reason));
            }
            self.last_write = self.clock.now();
        }
        Ok(())
    }

    /// Sends bytes, which are no events, at once.
    pub(super) fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        self.check()?;
        if !bytes.is_empty() {
            self.connection.write_all(bytes).map_err(SendError::Closed)?;
            self.last_write = self.clock.now();
        }
        Ok(())
    }

    /// Sends what has been begun, as the last thing that is sent.
    pub(super) fn flush_last(&mut self, reason: CloseReason, events: u64) -> Result<(), SendError> {
        self.flush(events)?;
        self.is_whole = true;
        self.end(reason);
        Ok(())
    }

    /// Ends the stream, and sends the last chunk where the client reads chunks and nothing is missing.
    fn end(&mut self, reason: CloseReason) -> CloseReason {
        if self.is_whole && self.is_chunked {
            // Whether it arrives or not, the stream is over.
            let _ = self.connection.write_all(LAST_CHUNK.as_bytes());
        }
        self.connection.end(reason)
    }

    pub(super) fn wait(&mut self, duration: Duration) -> Result<(), SendError> {
        self.wait_until(self.clock.now() + duration.min(NEVER))
    }

    pub(super) fn wait_until(&mut self, deadline: Instant) -> Result<(), SendError> {
        loop {
            self.check()?;
            let now = self.clock.now();
            self.check_age(now)?;
            let until =
                [self.keep_alive(now)?, self.expires].into_iter().flatten().fold(deadline, Instant::min);
            self.pause(now, until)?;
            if self.clock.now() >= deadline {
                return self.check();
            }
        }
    }

    /// Waits until then, or for a part of that, and sees whether the client is still there.
    ///
    /// A read ends when the client leaves, but the kernel's timers for sockets are late by up to an eighth; its timers
    /// for sleeping threads are late by some microseconds. So a long wait reads first, with a timeout that is over in
    /// time even if it is late. The rest, a second at most, is slept. The host's stop ends both.
    fn pause(&mut self, now: Instant, until: Instant) -> Result<(), SendError> {
        let remaining = until.saturating_duration_since(now);
        match &self.clock {
            Clock::System if remaining > LOOK && !IS_READ_COARSE => {
                let found = self.connection.watch((remaining - SLEPT) / 9 * 8);
                return self.end_by(found);
            }
            Clock::System if !remaining.is_zero() => self.connection.park(remaining.min(LOOK)),
            Clock::System => {}
            Clock::Virtual(time) => {
                let time = Arc::clone(time);
                self.look()?; // as a read does, which ends at once
                time.advance(until); // or less, where something happens meanwhile
            }
        }
        self.look()
    }

    /// For a caller that waits for something else than the socket: looks whether the client is there, sends a
    /// keep-alive when one is due, and returns until when the caller may wait.
    pub(super) fn tick(&mut self) -> Result<Instant, SendError> {
        self.check()?;
        let now = self.clock.now();
        if now.saturating_duration_since(self.last_look) >= LOOK {
            self.look()?;
        }
        let next_look = self.last_look + LOOK;
        self.check_age(now)?;
        Ok(self.keep_alive(now)?.map_or(next_look, |due| due.min(next_look)))
    }

    /// Ends the stream as the host's stop wants it, or says why it has ended already.
    fn check(&mut self) -> Result<(), SendError> {
        let ended = match self.is_handed_over {
            true => Some(CloseReason::HandedOver),
            false => self.connection.ended(),
        };
        if let Some(reason) = ended {
            self.clock.note_idle_call();
            return Err(SendError::Closed(reason));
        }
        if self.connection.stop.is_requested() {
            return Err(self.end_with_comeback(CloseReason::Stopped));
        }
        // The time of the last write will do: a generator that never waits then reads no clock for its age.
        self.check_age(self.last_write)
    }

    fn check_age(&mut self, now: Instant) -> Result<(), SendError> {
        match self.expires {
            Some(expires) if now >= expires => Err(self.end_with_comeback(CloseReason::MaxAge)),
            _ => Ok(()),
        }
    }

    /// Ends the stream, and tells the client when to come back, at a time of its own.
    fn end_with_comeback(&mut self, reason: CloseReason) -> SendError {
        self.buffer.clear();
        if self.settings.error_retry.is_some() {
            wire::write_comeback(&mut self.buffer);
        }
        match self.flush(0) {
            Ok(()) => SendError::Closed(self.end(reason)),
            Err(error) => error,
        }
    }

    /// Sends a keep-alive if it is time, and says when the next one is due; `None` where there are none.
    fn keep_alive(&mut self, now: Instant) -> Result<Option<Instant>, SendError> {
        let due = self.settings.keep_alive.and_then(|interval| self.last_write.checked_add(interval));
        match due {
            Some(due) if due <= now => {
                self.buffer.clear();
                self.buffer.push_str(self.settings.sign_of_life());
                self.flush(0)?;
                Ok(self.settings.keep_alive.and_then(|interval| now.checked_add(interval)))
            }
            due => Ok(due),
        }
    }

    /// Looks at the socket without waiting.
    fn look(&mut self) -> Result<(), SendError> {
        self.last_look = self.clock.now();
        let found = self.connection.look();
        self.end_by(found)
    }

    /// Ends the stream if a look at its socket has found a reason to.
    fn end_by(&mut self, found: Result<(), CloseReason>) -> Result<(), SendError> {
        match found {
            Ok(()) => Ok(()),
            Err(CloseReason::Stopped) => Err(self.end_with_comeback(CloseReason::Stopped)),
            Err(reason) => Err(SendError::Closed(self.connection.end(reason))),
        }
    }

    /// Ends the stream after its generator has returned. Where that failed, the client is told when to come back. The
    /// error that is returned is for the log.
    pub(super) fn conclude(&mut self, outcome: Result<Result<(), BoxError>, Panic>) -> Result<(), BoxError> {
        let (reason, result) = match outcome {
            Ok(Ok(())) => (CloseReason::Returned, Ok(())),
            // Whatever type the error has become on its way through `?`: the stream knows that it ended.
            Ok(Err(_)) if self.has_ended() => return Ok(()),
            Ok(Err(error)) => (CloseReason::Failed, Err(error)),
            Err(panic) => (CloseReason::Panicked, Err(panic.into())),
        };
        self.is_whole = result.is_ok();
        if self.check().is_err() {
            return result; // it had ended before
        }
        if let (Err(_), Some(delay)) = (&result, self.settings.error_retry) {
            self.buffer.clear();
            wire::write_retry(&mut self.buffer, delay);
            // Whether it arrives or not, the stream is over.
            let _ = self.flush(0);
        }
        self.end(reason);
        // The client may be sending: a plain close would then destroy what it has not read yet.
        let _ = self.connection.look();
        if self.connection.has_strayed() {
            self.connection.close_gently();
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ages of days, against which the time that a test takes is nothing.
    #[test]
    fn streams_that_begin_together_do_not_end_together() {
        const AGE: Duration = Duration::from_secs(1_000_000);
        let settings = StreamSettings { max_age: Some(AGE), ..StreamSettings::default() };
        let begun = Instant::now();
        let ends = (0..100).map(|_| settings.expires(&Clock::System).expect("it has an age"));
        let mut ages: Vec<_> = ends.map(|end| end - begun).collect();
        ages.sort_unstable();
        assert!(ages[0] >= AGE - AGE / 5 && ages[99] <= AGE + begun.elapsed(), "{ages:?}");
        assert!(ages[99] - ages[0] > AGE / 10, "all at once: {ages:?}");
        ages.dedup_by_key(|age| age.as_secs());
        assert!(ages.len() > 50, "much alike: {ages:?}");
    }
}
