//! What a generator sends through: one client's event stream.

use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::channel::Channel;
use super::source::StreamSettings;
use super::wire::{self, Event, SendError, KEEP_ALIVE};
use crate::data::Data;
use crate::http::{CloseReason, Connection, Request};

/// A socket's timeout is rounded up to the kernel's tick, so that the end of a wait is slept instead.
const TICK: Duration = Duration::from_millis(10);
/// A queue and a socket cannot be waited for at once: each gets its turn this often.
const SLICE: Duration = Duration::from_millis(250);
/// Where `shutdown` does not wake a reader, the host's stop has to be looked for.
const LONGEST_READ: Duration = if cfg!(windows) { SLICE } else { Duration::MAX };
/// `send_all` writes when this much has gathered.
const GATHER: usize = 16 * 1024;
/// One client's event stream, as the generator sees it.
///
/// Everything that sends returns a `Result`, whose error says that the stream is over. So `?` ends the generator,
/// and a loop needs no condition:
///
/// ```
/// use brooklet::{EventConnection, EventSource};
/// use std::time::Duration;
///
/// fn count(connection: &mut EventConnection) -> brooklet::Result {
///     connection.comment("counting")?;
///     for number in 1.. {
///         connection.event("number", number)?;
///         connection.wait(Duration::from_secs(1))?; // ends at once when the client leaves
///     }
///     Ok(())
/// }
/// # EventSource::new(count);
/// ```
///
/// What was sent has been handed to the operating system; whether the client has it is known only by what it
/// says itself, which is what event ids are for.
pub struct EventConnection<'r> {
    connection: Arc<Connection>,
    request: &'r Request,
    last_event_id: Option<&'r str>,
    settings: &'r StreamSettings,
    /// The source's retry, until an event has taken it along.
    pending_retry: Option<Duration>,
    /// The bytes of what is being sent; empty in between.
    buffer: String,
    last_write: Instant,
    last_look: Instant,
    /// Whether a channel has it now.
    is_handed_over: bool,
}

impl<'r> EventConnection<'r> {
    pub(super) fn new(
        connection: Arc<Connection>,
        request: &'r Request,
        last_event_id: Option<&'r str>,
        settings: &'r StreamSettings,
    ) -> Self {
        let now = Instant::now();
        Self {
            connection,
            request,
            last_event_id,
            settings,
            pending_retry: settings.retry,
            buffer: String::new(),
            last_write: now,
            last_look: now,
            is_handed_over: false,
        }
    }

    /// The request that opened the stream.
    ///
    /// What is borrowed from it does not borrow the connection, so that it can be used while sending:
    ///
    /// ```
    /// # brooklet::EventSource::new(|connection| {
    /// let user = connection.request().query("user").unwrap_or("nobody");
    /// connection.event("greeting", format_args!("hello {user}"))?;
    /// connection.event("goodbye", user)?;
    /// # Ok(())
    /// # });
    /// ```
    pub fn request(&self) -> &'r Request {
        self.request
    }

    /// The id of the last event that the client has seen, when it comes back after a break; never empty.
    ///
    /// It is what the client says, in the `Last-Event-ID` field or, for clients that cannot set one, in the
    /// query as `lastEventId` or `last_event_id`.
    pub fn last_event_id(&self) -> Option<&'r str> {
        self.last_event_id
    }

    /// Whether events can still be sent, as far as is known. It looks at two flags and costs nothing.
    ///
    /// That a client has left is noticed by [`wait`](Self::wait), [`receive`](Self::receive) and by sending: a
    /// loop that does nothing else can call `wait(Duration::ZERO)`.
    pub fn connected(&self) -> bool {
        !self.is_handed_over
            && self.connection.ended().is_none()
            && !self.connection.stop_signal().is_requested()
    }

    /// Sends a comment, which clients ignore.
    pub fn comment(&mut self, text: &str) -> Result<(), SendError> {
        self.check()?;
        self.buffer.clear();
        wire::write_comment(&mut self.buffer, text);
        self.flush(0)
    }

    /// Sends data as an event without a type: `send(Event::new(value))`.
    pub fn data(&mut self, value: impl Data) -> Result<(), SendError> {
        self.send(Event::new(value))
    }

    /// Sends data as an event of a type: `send(Event::new(value).event_type(event_type))`.
    pub fn event(&mut self, event_type: &str, value: impl Data) -> Result<(), SendError> {
        self.send(Event::new(value).event_type(event_type))
    }

    /// Sends an event, in one write: clients get all of it or none.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] when the stream is over. An event type or id that cannot be sent has an error of its
    /// own; then nothing was written, and the stream goes on.
    pub fn send<T: Data>(&mut self, event: Event<'_, T>) -> Result<(), SendError> {
        self.check()?;
        self.buffer.clear();
        self.gather(event)?;
        self.flush(1)
    }

    /// Sends many events in few writes, in their order: a write whenever 16 KiB have gathered, and at the end.
    ///
    /// For events that are there, not for an iterator that waits for them: what has gathered waits with it.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send). At an event that cannot be sent it stops; those before it are sent.
    pub fn send_all<'e, T: Data>(
        &mut self,
        events: impl IntoIterator<Item = Event<'e, T>>,
    ) -> Result<(), SendError> {
        self.check()?;
        self.buffer.clear();
        let mut gathered = 0;
        for event in events {
            if let Err(error) = self.gather(event) {
                self.flush(gathered)?;
                return Err(error);
            }
            gathered += 1;
            if self.buffer.len() >= GATHER {
                self.flush(gathered)?;
                self.check()?;
                self.buffer.clear();
                gathered = 0;
            }
        }
        self.flush(gathered)
    }

    /// Tells the client to come back after `delay`, and ends the stream: later sends write nothing.
    ///
    /// To set the delay and go on, use [`Event::retry`] or [`EventSource::retry`](super::EventSource::retry).
    pub fn retry(&mut self, delay: Duration) -> Result<(), SendError> {
        self.check()?;
        self.buffer.clear();
        wire::write_retry(&mut self.buffer, delay);
        self.flush(0)?;
        self.connection.end(CloseReason::Retry);
        Ok(())
    }

    /// Ends the stream for good: the client is not to come back.
    ///
    /// An `EventSource` in a browser reconnects whenever a stream ends; only an answer that is no stream stops
    /// it. So the last event, of type `finish`, has a reserved id, and the reconnect that brings it is answered
    /// `204 No Content` without asking anybody. A page may as well close its `EventSource` when it sees `finish`.
    /// A client that comes back after 204, or anew without the id, cannot be stopped.
    pub fn finish(&mut self) -> Result<(), SendError> {
        self.check()?;
        self.buffer.clear();
        wire::write_finish(&mut self.buffer);
        self.flush(1)?;
        self.connection.end(CloseReason::Finished);
        Ok(())
    }

    /// Sleeps for `duration`, keeps the stream alive meanwhile, and ends at once with an error when the client
    /// leaves or the host stops.
    ///
    /// It never returns early with `Ok`. `wait(Duration::ZERO)` only looks whether the client is still there.
    pub fn wait(&mut self, duration: Duration) -> Result<(), SendError> {
        let now = Instant::now();
        // A time that the clock cannot hold is as good as never.
        const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
        self.wait_until(now.checked_add(duration).unwrap_or(now + NEVER))
    }

    /// [`wait`](Self::wait), until a moment. For a steady rhythm, whatever the sending takes.
    pub fn wait_until(&mut self, deadline: Instant) -> Result<(), SendError> {
        loop {
            self.check()?;
            let now = Instant::now();
            let until = self.keep_alive(now)?.map_or(deadline, |due| due.min(deadline));
            let remaining = until.saturating_duration_since(now);
            if remaining > TICK {
                self.listen((remaining - TICK).min(LONGEST_READ))?;
                continue;
            }
            if !remaining.is_zero() {
                self.connection.stop_signal().sleep_until(until);
            }
            self.look()?;
            if until == deadline {
                return self.check();
            }
        }
    }

    /// Waits for a value from another thread: `None` when every sender is gone.
    ///
    /// While it waits the stream is kept alive, and a client that leaves is noticed within a quarter of a
    /// second. The commonest way to embed: the tool's own threads send, the stream's thread receives.
    ///
    /// ```
    /// use brooklet::{EventSource, Request};
    /// use std::sync::{mpsc, Mutex};
    ///
    /// let (sender, receiver) = mpsc::channel();
    /// let receiver = Mutex::new(Some(receiver)); // for the first client that comes
    /// let source = EventSource::new(move |connection| {
    ///     let taken = receiver.lock().unwrap().take();
    ///     let Some(receiver) = taken else { return Ok(connection.finish()?) };
    ///     while let Some(progress) = connection.receive(&receiver)? {
    ///         connection.event("progress", progress)?;
    ///     }
    ///     Ok(connection.finish()?)
    /// });
    /// sender.send(0.5).unwrap(); // from any thread
    /// # drop(source);
    /// ```
    ///
    /// A value that was received when the stream is over is lost; keep what must not be in a
    /// queue of your own, or look with [`connected`](Self::connected) first.
    pub fn receive<T>(&mut self, receiver: &Receiver<T>) -> Result<Option<T>, SendError> {
        loop {
            let until = self.tick()?;
            let now = Instant::now();
            match receiver.recv_timeout(until.saturating_duration_since(now)) {
                Ok(value) => return Ok(Some(value)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }

    /// Hands the stream to a channel, as the last thing that a generator does: from here on the client gets what
    /// is published, and its thread ends. Later sends fail.
    ///
    /// Where the client goes on is [told by its last event id](Channel#resuming).
    ///
    /// ```
    /// # use brooklet::{Channel, EventSource};
    /// let news = Channel::new();
    /// EventSource::new(move |connection| {
    ///     connection.comment("the news")?;
    ///     Ok(connection.follow(&news)?)
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`], and what an event of the channel's snapshot cannot be sent for.
    pub fn follow(&mut self, channel: &Channel) -> Result<(), SendError> {
        let cursor = self.greet(channel)?;
        channel.hand_over(&self.connection, self.request, cursor, self.settings.keep_alive)?;
        self.is_handed_over = true;
        Ok(())
    }

    /// Tells the client where in a channel it stands, and returns which event it gets next.
    pub(super) fn greet(&mut self, channel: &Channel) -> Result<u64, SendError> {
        self.check()?;
        let greeting = channel.greet(self.last_event_id);
        self.buffer.clear();
        if let Some(retry) = self.pending_retry.take() {
            // Without a blank line: it belongs to whatever event comes first.
            wire::write_retry_field(&mut self.buffer, retry);
        }
        let events = channel.write_greeting(&greeting, &mut self.buffer)?;
        self.flush(events)?;
        Ok(greeting.cursor())
    }

    /// Sends events that are encoded already.
    pub(super) fn send_encoded(
        &mut self,
        events: u64,
        fill: impl FnOnce(&mut String),
    ) -> Result<(), SendError> {
        self.check()?;
        self.buffer.clear();
        fill(&mut self.buffer);
        self.flush(events)
    }

    /// For those who wait for something else than the socket: looks at it and keeps it alive when it is time, and
    /// says how long they may wait.
    pub(super) fn tick(&mut self) -> Result<Instant, SendError> {
        self.check()?;
        if self.last_look.elapsed() >= SLICE {
            self.look()?;
        }
        let next_look = self.last_look + SLICE;
        let now = Instant::now();
        Ok(self.keep_alive(now)?.map_or(next_look, |due| due.min(next_look)))
    }

    /// Ends the stream as the host's stop wants it, or says why it has ended already.
    fn check(&mut self) -> Result<(), SendError> {
        if self.is_handed_over {
            return Err(SendError::Closed(CloseReason::HandedOver));
        }
        if let Some(reason) = self.connection.ended() {
            return Err(SendError::Closed(reason));
        }
        match self.connection.stop_signal().is_requested() {
            true => Err(self.leave_for_stop()),
            false => Ok(()),
        }
    }

    /// Says when to come back, in a time of this client's own.
    fn leave_for_stop(&mut self) -> SendError {
        self.buffer.clear();
        wire::write_comeback(&mut self.buffer);
        match self.flush(0) {
            Ok(()) => SendError::Closed(self.connection.end(CloseReason::Stopped)),
            Err(error) => error,
        }
    }

    fn gather<T: Data>(&mut self, mut event: Event<'_, T>) -> Result<(), SendError> {
        event.retry_unless_set(self.pending_retry);
        event.write(&mut self.buffer, &self.settings.formatting)?;
        self.pending_retry = None;
        Ok(())
    }

    /// Hands what has gathered to the socket, at once.
    fn flush(&mut self, events: u64) -> Result<(), SendError> {
        if !self.buffer.is_empty() {
            self.connection.write_all(self.buffer.as_bytes()).map_err(SendError::Closed)?;
            self.connection.count_events(events);
            self.last_write = Instant::now();
        }
        // One large event is no reason to hold on to its memory for the rest of a long stream.
        self.buffer.shrink_to(2 * GATHER);
        Ok(())
    }

    /// Sends a keep-alive if it is time, and says when the next one is due; `None` where there are none.
    fn keep_alive(&mut self, now: Instant) -> Result<Option<Instant>, SendError> {
        let interval = match self.settings.keep_alive {
            Some(interval) => interval,
            None => return Ok(None),
        };
        if now.saturating_duration_since(self.last_write) >= interval {
            self.connection.write_all(KEEP_ALIVE.as_bytes()).map_err(SendError::Closed)?;
            self.last_write = now;
        }
        Ok(Some(self.last_write + interval))
    }

    /// Waits on the socket: the read timeout is the sleep.
    fn listen(&mut self, timeout: Duration) -> Result<(), SendError> {
        let found = self.connection.watch(timeout);
        self.part(found)
    }

    /// Looks at the socket without waiting.
    fn look(&mut self) -> Result<(), SendError> {
        self.last_look = Instant::now();
        let found = self.connection.look();
        self.part(found)
    }

    fn part(&mut self, found: Result<(), CloseReason>) -> Result<(), SendError> {
        match found {
            Ok(()) => Ok(()),
            Err(CloseReason::Stopped) => Err(self.leave_for_stop()),
            Err(reason) => Err(SendError::Closed(self.connection.end(reason))),
        }
    }

    /// Ends the stream after the generator: with a time to come back where it failed.
    pub(super) fn conclude(&mut self, reason: CloseReason) {
        if self.check().is_err() {
            return; // it had ended before
        }
        if reason != CloseReason::Returned {
            self.buffer.clear();
            wire::write_retry(&mut self.buffer, self.settings.error_retry);
            // Whether it arrives or not, the stream is over.
            let _ = self.flush(0);
        }
        self.connection.end(reason);
        // Where the client is talking, what it was sent would be lost with a plain close.
        let _ = self.connection.look();
        if self.connection.has_strayed() {
            self.connection.close_gently();
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.is_handed_over || self.connection.ended().is_some()
    }
}

impl fmt::Debug for EventConnection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventConnection")
            .field("request", &self.request)
            .field("last_event_id", &self.last_event_id)
            .field("connected", &self.connected())
            .finish_non_exhaustive()
    }
}
