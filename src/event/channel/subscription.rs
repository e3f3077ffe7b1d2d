//! The events of a channel for a generator that keeps its own thread.

use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::greeting::write_reset;
use super::log::{Chunk, CHUNK};
use super::shared::State;
use super::Channel;
use crate::clock::{Clock, NEVER};
use crate::event::connection::EventConnection;
use crate::event::wire::SendError;
use crate::http::{CloseReason, Connection, Request};

/// A generator's own place in a channel, for streams that mix its events with others.
///
/// ```
/// use brooklet::{Channel, EventSource};
/// use std::time::Duration;
///
/// let news = Channel::new();
/// EventSource::new(move |connection| {
///     let mut subscription = news.subscribe(connection)?;
///     let mut weather = 20;
///     while subscription.forward(connection, Duration::from_secs(60))? {
///         connection.event("weather", weather)?; // without an id, which would hide the channel's
///         weather += 1;
///     }
///     Ok(())
/// });
/// ```
#[derive(Debug)]
pub struct Subscription {
    channel: Channel,
    /// It knows why the stream has ended, when it has.
    connection: Arc<Connection>,
    reporter: u64,
    cursor: u64,
    request: Option<Request>,
}

/// What there is for a subscription.
enum Found {
    Chunks(Vec<Arc<Chunk>>),
    /// Some events are gone; it goes on with this one, which follows the one of this id.
    Lagged {
        next: u64,
        id: Option<String>,
    },
    Closed,
    Nothing,
}

impl Subscription {
    pub(super) fn new(
        channel: Channel,
        connection: Arc<Connection>,
        cursor: u64,
        request: Option<Request>,
    ) -> Self {
        let reporter = channel.shared.new_reporter();
        channel.shared.state().report(reporter, Some(cursor));
        channel.shared.subscribers.fetch_add(1, Ordering::Relaxed);
        Self { channel, connection, reporter, cursor, request }
    }

    /// Sends the events that the client has not seen yet, as soon as there are some; waits for them up to
    /// `patience`, and keeps the stream alive meanwhile. Returns whether there can be more: `false` when the channel
    /// is closed, and the stream has been [finished](EventConnection::finish).
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] when the stream is over.
    ///
    /// For an example see [`Subscription`] itself.
    pub fn forward(
        &mut self,
        connection: &mut EventConnection<'_>,
        patience: Duration,
    ) -> Result<bool, SendError> {
        let clock = connection.stream().clock().clone();
        let deadline = clock.now() + patience.min(NEVER);
        loop {
            let until = connection.stream().tick()?.min(deadline);
            match self.find(until, &clock) {
                Found::Chunks(chunks) => return self.send(connection, &chunks).map(|()| true),
                Found::Lagged { next, id } => self.skip(connection, next, id.as_deref())?,
                Found::Closed => {
                    connection.finish()?;
                    return Ok(false);
                }
                Found::Nothing if clock.now() >= deadline => {
                    clock.note_idle_call();
                    return Ok(true);
                }
                Found::Nothing => {}
            }
        }
    }

    /// Waits until there is something, or until then.
    fn find(&self, until: Instant, clock: &Clock) -> Found {
        let shared = &self.channel.shared;
        let mut state = shared.state();
        loop {
            if self.cursor < state.log.first_kept() {
                // With a snapshot, as of now; without, as much as there is.
                let next = match shared.settings.snapshot {
                    Some(_) => state.log.next(),
                    None => state.log.first_kept(),
                };
                return Found::Lagged { next, id: state.log.id_of(next - 1) };
            }
            if self.cursor < state.log.next() {
                return Found::Chunks(self.take(&mut state));
            }
            let remaining = until.saturating_duration_since(clock.now());
            if state.is_closed {
                return Found::Closed;
            }
            if remaining.is_zero() {
                return Found::Nothing;
            }
            state = match clock {
                Clock::System => shared.wait_for_news(state, remaining),
                Clock::Virtual(time) => {
                    drop(state); // what happens meanwhile may be that somebody publishes
                    time.advance(until);
                    shared.state()
                }
            };
        }
    }

    /// As much as goes into one write.
    fn take(&self, state: &mut State) -> Vec<Arc<Chunk>> {
        state.log.seal();
        let mut length = 0;
        let mut chunks = Vec::new();
        for chunk in state.log.sealed_from(self.cursor) {
            length += chunk.bytes_from(self.cursor.max(chunk.first())).len();
            if length > CHUNK && !chunks.is_empty() {
                break;
            }
            chunks.push(Arc::clone(chunk));
        }
        chunks
    }

    fn send(&mut self, connection: &mut EventConnection<'_>, chunks: &[Arc<Chunk>]) -> Result<(), SendError> {
        let next = chunks.last().map_or(self.cursor, |chunk| chunk.next());
        let cursor = self.cursor;
        let out = connection.stream().begin()?;
        for chunk in chunks {
            out.push_str(&String::from_utf8_lossy(chunk.bytes_from(cursor.max(chunk.first()))));
        }
        connection.stream().flush(next - cursor)?;
        self.advance(next);
        Ok(())
    }

    fn skip(
        &mut self,
        connection: &mut EventConnection<'_>,
        next: u64,
        id: Option<&str>,
    ) -> Result<(), SendError> {
        let settings = &self.channel.shared.settings;
        let mut reset = String::new();
        let own_id = id.filter(|_| settings.snapshot.is_none()); // else the snapshot has it
        write_reset(&mut reset, settings, own_id, "lagged", Some(next - self.cursor))?;
        if let Some(snapshot) = &settings.snapshot {
            snapshot(&mut reset, id, &settings.formatting)?;
        }
        let events = 1 + u64::from(settings.snapshot.is_some());
        connection.stream().begin()?.push_str(&reset);
        connection.stream().flush(events)?;
        self.advance(next);
        Ok(())
    }

    fn advance(&mut self, cursor: u64) {
        self.cursor = cursor;
        let mut state = self.channel.shared.state();
        state.report(self.reporter, Some(cursor));
        if state.waiting > 0 {
            self.channel.shared.progress.notify_all();
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let shared = &self.channel.shared;
        shared.state().report(self.reporter, None);
        shared.progress.notify_all();
        shared.subscribers.fetch_sub(1, Ordering::Relaxed);
        if let Some(request) = self.request.take() {
            let reason = self.connection.ended().unwrap_or(CloseReason::Returned);
            shared.watchers.tell_left(&request, reason);
        }
    }
}
