//! Reading a channel on the reader's own thread: for a generator that mixes, filters or changes its events, and for threads
//! without a connection.

use std::collections::VecDeque;
use std::fmt;
use std::iter;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::reader::{Gap, Reader, Step};
use super::shared::Shared;
use super::view::View;
use super::Channel;
use crate::clock::{Clock, NEVER};
use crate::event::connection::EventConnection;
use crate::event::stream::Stream;
use crate::event::wire::{self, SendError};
use crate::http::{CloseReason, Connection, Request};

/// The longest that a reader without a connection sleeps before it looks again.
const LOOK: Duration = Duration::from_secs(60);

/// An event of a channel as a value: what a client would get.
///
/// For an example see [`Channel::messages`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Message {
    /// `message`, where the event names none.
    pub event_type: String,
    /// Its id.
    pub id: String,
    /// Its text.
    pub data: String,
}

impl Message {
    /// Reads an event as it was written by this crate.
    fn read(text: &str) -> Self {
        let first = |name| wire::values(text, name).next();
        let event_type = first("event: ").filter(|name| !name.is_empty());
        Self {
            event_type: event_type.unwrap_or("message").to_owned(),
            id: first("id: ").unwrap_or_default().to_owned(),
            data: wire::values(text, "data: ").collect::<Vec<_>>().join("\n"),
        }
    }
}

/// A subscriber that no writer has, until it is dropped or handed to one.
pub(super) struct Feed {
    shared: Arc<Shared>,
    reader: Option<Reader>,
    view: View,
    /// Texts that come before the events.
    told: VecDeque<Arc<str>>,
}

impl Feed {
    /// Joins a channel where a client begins that has seen `last_event_id`.
    pub(super) fn join(
        channel: &Channel,
        topics: Option<&[String]>,
        last_event_id: Option<&str>,
    ) -> (Self, Gap) {
        let shared = &channel.shared;
        let joined = shared.join(topics, |log, interest| {
            Some(Gap::greeting(log, &shared.settings, last_event_id, interest))
        });
        let (reader, gap) = joined.expect("every client has a position to begin at");
        (Self::new(channel, reader), gap)
    }

    pub(super) fn new(channel: &Channel, reader: Reader) -> Self {
        let shared = Arc::clone(&channel.shared);
        Self { shared, reader: Some(reader), view: View::default(), told: VecDeque::new() }
    }

    /// The position, for a writer to have it, with the snapshot if that is still to be sent.
    pub(super) fn into_parts(mut self) -> Option<(Arc<Shared>, Reader, Option<Arc<str>>)> {
        Some((Arc::clone(&self.shared), self.reader.take()?, self.told.pop_front()))
    }

    /// Sends the texts that come before the events, or else the events in view; returns how many of these there were.
    fn send(&mut self, stream: &mut Stream<'_>) -> Result<u64, SendError> {
        let out = stream.begin()?;
        match &self.reader {
            Some(reader) if self.told.is_empty() => {
                let batch = self.view.batch(reader.cursor, u64::MAX, &reader.interest);
                let (events, next) = (batch.events, batch.next);
                out.push_str(batch.text);
                stream.flush(events)?;
                self.advance(next);
                Ok(events)
            }
            _ => {
                self.told.iter().for_each(|text| out.push_str(text));
                stream.flush(self.told.len() as u64)?;
                self.told.clear();
                Ok(0)
            }
        }
    }

    /// Notes the text about a gap, and the snapshot if one belongs there.
    pub(super) fn tell(
        &mut self,
        gap: Gap,
        tick: impl FnMut() -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        if !gap.text.is_empty() {
            self.told.push_back(gap.text.into());
        }
        // Before the snapshot is made: if that fails, the next call would find the same gap again.
        self.advance(gap.next);
        let settings = &self.shared.settings;
        if let (Some(id), Some(snapshots)) = (gap.snapshot_id, &settings.snapshots) {
            let text = snapshots.get(&settings.formatting, gap.next - 1, id.as_deref(), tick)?;
            self.told.push_back(text);
        }
        Ok(())
    }

    fn advance(&mut self, cursor: u64) {
        if let Some(reader) = &mut self.reader {
            reader.cursor = cursor;
            self.shared.report(reader);
        }
    }

    /// What comes next, waiting for it until then; `None` when the channel is closed.
    fn look(&mut self, until: Instant, clock: &Clock) -> Option<Step> {
        let reader = self.reader.as_ref()?;
        let mut state = self.shared.state();
        loop {
            let remaining = until.saturating_duration_since(clock.now());
            match reader.look(&state.log, &self.shared.settings, &mut self.view) {
                Step::Nothing if state.is_closed => return None,
                Step::Nothing if !remaining.is_zero() => {}
                step => return Some(step),
            }
            state = match clock {
                Clock::System => self.shared.wait_for_news(state, remaining),
                Clock::Virtual(time) => {
                    drop(state); // a thread may publish meanwhile
                    time.advance(until);
                    self.shared.state()
                }
            };
        }
    }

    /// Waits until there is something to take, or until then; whether there is, or `None` when the channel is closed.
    /// `tick` looks after a stream meanwhile, and says until when that can be left alone.
    fn wait(
        &mut self,
        deadline: Instant,
        clock: &Clock,
        mut tick: impl FnMut() -> Result<Instant, SendError>,
    ) -> Result<Option<bool>, SendError> {
        loop {
            let until = tick()?.min(deadline);
            if !self.told.is_empty() {
                return Ok(Some(true));
            }
            match self.look(until, clock) {
                None => return Ok(None),
                Some(Step::Events) => return Ok(Some(true)),
                Some(Step::Gap(gap)) => self.tell(gap, || tick().map(drop))?,
                Some(Step::Nothing) if clock.now() >= deadline => {
                    clock.note_idle_call();
                    return Ok(Some(false));
                }
                Some(Step::Nothing) => {}
            }
        }
    }

    /// Takes the next text that comes before the events, or else the next event in view.
    fn take(&mut self) -> Option<Message> {
        if let Some(text) = self.told.pop_front() {
            return Some(Message::read(&text));
        }
        let reader = self.reader.as_ref()?;
        let found = self.view.first(reader.cursor, &reader.interest);
        let next = found.as_ref().map_or(self.view.end, |(_, sequence)| sequence + 1);
        self.advance(next);
        found.map(|(text, _)| Message::read(&text))
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.take() {
            self.shared.leave(&reader);
        }
    }
}

/// A generator's own position in a channel, for streams that mix its events with others.
///
/// ```
/// use brooklet::{testing::Client, Channel, Event, EventSource};
/// use std::time::Duration;
///
/// let news = Channel::new();
/// let published = news.clone();
/// let source = EventSource::new(move |connection| {
///     let mut subscription = news.subscribe(connection)?;
///     let mut weather = 20;
///     while subscription.forward(connection, Duration::from_secs(60))? {
///         connection.event("weather", weather)?; // without an id, which would hide the channel's
///         weather += 1;
///     }
///     Ok(())
/// });
/// let publish = move || drop(published.publish(Event::new("rain")));
/// let stream = Client::get("/").in_memory(&source).at(Duration::from_secs(30), publish).leave_after(3).run();
/// assert_eq!(stream.event_types(), ["message", "weather", "weather"]); // after 30, 30 and 90 s
/// ```
pub struct Subscription {
    feed: Feed,
    /// It knows why the stream has ended, when it has.
    connection: Arc<Connection>,
    request: Option<Request>,
    /// When it may send again that has a pace.
    due: Option<Instant>,
}

impl Subscription {
    pub(super) fn new(mut feed: Feed, connection: &mut EventConnection<'_>) -> Result<Self, SendError> {
        if !feed.told.is_empty() {
            feed.send(&mut connection.stream)?;
        }
        let request = feed.shared.watchers.tell_joined(connection.request());
        Ok(Self { feed, connection: Arc::clone(&connection.stream.connection), request, due: None })
    }

    /// Sends the events that the client has not seen yet, as soon as there are some. It waits for them up to `patience`,
    /// and keeps the stream alive meanwhile. Returns whether there can be more: `false` when the channel is closed; then
    /// the stream has been [finished](EventConnection::finish).
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
        let deadline = connection.now() + patience.min(NEVER);
        if let Some(due) = self.due {
            connection.wait_until(due.min(deadline))?;
        }
        while let Some(has_something) = self.wait(connection, deadline)? {
            if !has_something {
                return Ok(true);
            }
            // After the text about a gap it goes on: only events end the call.
            if self.feed.send(&mut connection.stream)? > 0 {
                self.due = connection.pace.map(|pace| connection.now() + pace);
                return Ok(true);
            }
        }
        connection.finish()?;
        Ok(false)
    }

    /// Takes the next event as a value, to be filtered or changed before it is sent. It waits for it up to `patience`, and
    /// keeps the stream alive meanwhile; `None` when there was none. A `reset` and a snapshot are events as well.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] when the stream is over; also when the channel is closed, and the stream has been
    /// [finished](EventConnection::finish) for that.
    ///
    /// ```
    /// use brooklet::{testing::Client, Channel, Event, EventSource};
    /// use std::time::Duration;
    ///
    /// let news = Channel::setup().replay(u64::MAX).open();
    /// news.publish(Event::new("for all"))?;
    /// news.publish(Event::new("for few").event_type("secret"))?;
    /// news.close();
    /// let source = EventSource::new(move |connection| {
    ///     let mut subscription = news.subscribe(connection)?;
    ///     loop {
    ///         if let Some(message) = subscription.next(connection, Duration::from_secs(60))? {
    ///             if message.event_type != "secret" {
    ///                 connection.send(Event::new(message.data).id(message.id))?;
    ///             }
    ///         }
    ///     }
    /// });
    /// let stream = Client::get("/").in_memory(&source).run();
    /// let types: Vec<_> = stream.events().iter().map(|event| &*event.event_type).collect();
    /// assert_eq!(types, ["message", "finish"]);
    /// # Ok::<(), brooklet::SendError>(())
    /// ```
    pub fn next(
        &mut self,
        connection: &mut EventConnection<'_>,
        patience: Duration,
    ) -> Result<Option<Message>, SendError> {
        let deadline = connection.now() + patience.min(NEVER);
        while let Some(has_something) = self.wait(connection, deadline)? {
            if !has_something {
                return Ok(None);
            }
            if let Some(message) = self.feed.take() {
                return Ok(Some(message));
            }
        }
        connection.finish()?;
        Err(SendError::Closed(CloseReason::Finished))
    }

    /// Waits until there is something, or until then; whether there is, or `None` when the channel is closed.
    fn wait(
        &mut self,
        connection: &mut EventConnection<'_>,
        deadline: Instant,
    ) -> Result<Option<bool>, SendError> {
        let clock = connection.stream.clock.clone();
        self.feed.wait(deadline, &clock, || connection.stream.tick())
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(request) = self.request.take() {
            let reason = self.connection.ended().unwrap_or(CloseReason::Returned);
            self.feed.shared.watchers.tell_left(&request, reason);
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("request", &self.request).finish_non_exhaustive()
    }
}

/// See [`Channel::messages`].
pub(super) fn messages(channel: &Channel) -> impl Iterator<Item = Message> + Send {
    let (mut feed, gap) = Feed::join(channel, None, None);
    // A position is of no use to a reader that does not come back, and a snapshot that cannot be made is left out.
    let gap = Gap { text: String::new(), ..gap };
    let _ = feed.tell(gap, || Ok(()));
    iter::from_fn(move || loop {
        let until = Instant::now() + LOOK;
        match feed.wait(until, &Clock::System, || Ok(until)) {
            Ok(None) => return None,
            Ok(Some(true)) => match feed.take() {
                None => {}
                message => return message,
            },
            Ok(Some(false)) | Err(_) => {}
        }
    })
}
