//! Publish once, reach everyone: one log of encoded events, a cursor for each subscriber.
//!
//! Whoever follows hands its socket to a few writer threads, which send to each what it has not seen yet. Nothing
//! that the user wrote runs under the log's lock.

mod log;
mod shared;
mod greeting;
mod subscriber;
mod writer;
mod presence;
mod subscription;

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::connection::EventConnection;
use super::wire::{Event, SendError};
use crate::clock::NEVER;
use crate::data::{Data, Formatting};
use crate::http::{CloseReason, Connection, Request};
use crate::locks::wait;
use greeting::Greeting;
use log::{History, Numbering, Resume};
use shared::{Settings, Shared, Snapshot};
use subscriber::Subscriber;

pub(super) use subscriber::{Behind, Terms};

pub use greeting::Replay;
pub use presence::Presence;
pub use shared::Lag;
pub use subscription::Subscription;

/// What most events fit in, so that making room for one happens once.
const USUAL_EVENT: usize = 256;

/// What became of an event that was published.
///
/// ```
/// use brooklet::{Channel, Event};
///
/// let news = Channel::new();
/// let published = news.publish(Event::new("rain"))?;
/// assert_eq!(news.last_id(), Some(published.id));
/// assert_eq!(published.subscribers, 0);
/// # Ok::<(), brooklet::SendError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// Its id.
    pub id: String,
    /// How many subscribers it was for.
    pub subscribers: usize,
}

/// One source of events for many clients.
///
/// ```
/// use brooklet::{Channel, Event, EventSource, Layout};
///
/// let prices = Channel::new();
/// let app = Layout::new()
///     .add("prices", EventSource::channel(&prices))
///     .add("vip", EventSource::new({
///         let prices = prices.clone();
///         move |connection| {
///             connection.comment("welcome")?;
///             Ok(connection.follow(&prices)?) // the last thing that a generator does
///         }
///     }));
///
/// prices.publish(Event::new(129.5).event_type("AAPL"))?; // from any thread; waits for nobody
/// # Ok::<(), brooklet::SendError>(())
/// ```
///
/// It is set up before it is cloned or used:
///
/// ```
/// use brooklet::{Channel, Event, Formatting, SendError};
///
/// let prices = Channel::new()
///     .history(10_000, 16 * 1024 * 1024)
///     .formatting(Formatting::new().add(|price: &f64| format!("{price:.2}")))
///     .reset_type("missed")
///     .own_ids();
///
/// let published = prices.publish(Event::new(129.5).id("row 17"))?;
/// assert_eq!((&*published.id, published.subscribers), ("row 17", 0));
/// assert_eq!(prices.publish(Event::new(129.5)), Err(SendError::InvalidId)); // each needs one now
/// # Ok::<(), SendError>(())
/// ```
///
/// A client that follows costs no thread: a few writer threads send to all of them, to each in one write
/// whatever it has not seen. All see the same events in the same order.
///
/// # Resuming
///
/// Events have ids, `<epoch>-<sequence>` by default, with an epoch of each channel's own. A client that comes back
/// with one that is still in the [`history`](Self::history) continues exactly after it. With any other id, too old or
/// of an earlier run of the program, it is sent a visible event of type `reset`, whose data says why and how many
/// events were missed, as far as that is known: `{"reason":"expired","missed":12}`, with `null` where
/// it is not. Then it gets the [`snapshot`](Self::snapshot), if there is one, and what is published from now on.
///
/// A client that brings no id is fresh: it gets what [`replay`](Self::replay) says, or a first block with the current
/// id, so that nothing is missed should it be cut off before its first event. (Some client libraries ignore an id
/// that comes without data, and keep that one gap.)
///
/// # Slow subscribers
///
/// They delay nobody. One that falls behind what is kept, which is the history or 256 KiB, is told so by a `reset`
/// with the reason `lagged` and goes on with the oldest event that is there; in a channel with a snapshot, or after
/// [`follow_after`](EventConnection::follow_after), it is closed instead, and gets what it lacks when it comes back.
/// One that takes nothing for as long as the host's write deadline is closed.
///
/// In the guide: [channels](crate::guide::channels).
#[derive(Clone)]
#[must_use = "a channel is what its subscribers follow"]
pub struct Channel {
    shared: Arc<Shared>,
}

impl Default for Channel {
    fn default() -> Self {
        Self::new()
    }
}

impl Channel {
    /// A channel that remembers 1024 events, or 1 MiB of them, and sends fresh clients nothing of that.
    pub fn new() -> Self {
        Self::of(Settings {
            started: Instant::now(),
            history: History { events: 1024, bytes: 1024 * 1024 },
            numbering: Numbering::fresh(),
            replay: Replay::None,
            reset_type: String::from("reset"),
            formatting: Formatting::new(),
            snapshot: None,
        })
    }

    fn of(settings: Settings) -> Self {
        Self { shared: Arc::new(Shared::new(settings)) }
    }

    /// What it is set up with so far.
    #[track_caller]
    fn into_settings(self) -> Settings {
        // Nobody has it yet: the handles of a channel are its clones.
        match Arc::try_unwrap(self.shared) {
            Ok(shared) if !shared.is_in_use() => shared.settings,
            _ => panic!("a channel is set up before it is cloned or used"),
        }
    }

    /// How much can be resumed from: so many of the last events, and so many bytes of them at most.
    ///
    /// The memory of a channel is that and a constant, however many subscribers there are.
    ///
    /// # Panics
    ///
    /// As all that set a channel up, if it has been cloned or used already: an error in the program.
    #[track_caller]
    pub fn history(self, events: u64, bytes: u64) -> Self {
        Self::of(Settings { history: History { events, bytes }, ..self.into_settings() })
    }

    /// What fresh clients get of the history; nothing, unless set.
    ///
    /// See [`Replay`]. Where there is a [`snapshot`](Self::snapshot), that is sent instead.
    #[track_caller]
    pub fn replay(self, replay: Replay) -> Self {
        Self::of(Settings { replay, ..self.into_settings() })
    }

    /// Uses the ids that published events bring, instead of numbers of the channel's own.
    ///
    /// What several instances behind one address need, so that a client of one can go on with another. Every event
    /// needs an id then, and no two the same.
    #[track_caller]
    pub fn own_ids(self) -> Self {
        Self::of(Settings { numbering: Numbering::Publisher, ..self.into_settings() })
    }

    /// Sets the type of the event that tells of a gap; `reset`, unless set.
    ///
    /// # Panics
    ///
    /// If it is more than one line.
    #[track_caller]
    pub fn reset_type(self, event_type: impl Into<String>) -> Self {
        let event_type = event_type.into();
        assert!(Event::new("").event_type(&*event_type).encode().is_ok(), "an event type is one line");
        Self::of(Settings { reset_type: event_type, ..self.into_settings() })
    }

    /// Overrides the text of values of some types, in what is published and in snapshots.
    #[track_caller]
    pub fn formatting(self, formatting: Formatting) -> Self {
        Self::of(Settings { formatting, ..self.into_settings() })
    }

    /// Sends the state of things to clients that are fresh, or have missed something, in place of a replay.
    ///
    /// The place in the order of events is fixed first, then `snapshot` is called, on the client's own thread; then
    /// everything follows that was published since. So an event may be both in the snapshot and after it, but is
    /// never in neither. Its id is the channel's to give.
    ///
    /// ```
    /// # use brooklet::{Channel, Event};
    /// # use std::sync::{Arc, Mutex};
    /// let score = Arc::new(Mutex::new([0, 0]));
    /// let channel = Channel::new().snapshot({
    ///     let score = Arc::clone(&score);
    ///     move || Event::new(*score.lock().unwrap()).event_type("score")
    /// });
    /// ```
    #[track_caller]
    pub fn snapshot<T: Data>(self, snapshot: impl Fn() -> Event<'static, T> + Send + Sync + 'static) -> Self {
        let snapshot: Box<Snapshot> =
            Box::new(move |out, id, formatting| snapshot().write_with_id(out, id, formatting));
        Self::of(Settings { snapshot: Some(snapshot), ..self.into_settings() })
    }

    /// Follows the channel on the generator's own thread, to mix its events with others; where
    /// [`follow`](EventConnection::follow) will do, it costs less.
    ///
    /// # Errors
    ///
    /// As [`follow`](EventConnection::follow).
    ///
    /// For an example see [`Subscription`].
    pub fn subscribe(&self, connection: &mut EventConnection<'_>) -> Result<Subscription, SendError> {
        let cursor = connection.greet(self)?;
        Ok(self.subscribe_at(connection, cursor))
    }

    /// The same for one that has been told where it stands.
    pub(super) fn subscribe_at(&self, connection: &mut EventConnection<'_>, cursor: u64) -> Subscription {
        let request = self.shared.watchers.tell_joined(connection.request());
        let held = Arc::clone(connection.stream().connection());
        Subscription::new(self.clone(), held, cursor, request)
    }

    /// Publishes an event. It never waits for a subscriber, and all subscribers see the same order.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] when the channel is closed; [`SendError::InvalidEventType`], and
    /// [`SendError::InvalidId`] also for an event that brings an id to a channel that gives them, or none to one that
    /// takes them from the publisher. Nothing is published then.
    ///
    /// ```
    /// use brooklet::{Channel, CloseReason, Event, SendError};
    ///
    /// let news = Channel::new();
    /// news.publish(Event::new("hello").event_type("greeting"))?;
    /// assert_eq!(news.publish(Event::new("x").id("1")), Err(SendError::InvalidId)); // it gives them
    /// news.close();
    /// assert_eq!(news.publish(Event::new("late")), Err(SendError::Closed(CloseReason::Finished)));
    /// # Ok::<(), SendError>(())
    /// ```
    pub fn publish<T: Data>(&self, mut event: Event<'_, T>) -> Result<Published, SendError> {
        let shared = &*self.shared;
        let own_id = event.take_id()?;
        let takes_ids = matches!(shared.settings.numbering, Numbering::Publisher);
        if takes_ids != matches!(&own_id, Some(id) if !id.is_empty()) || (!takes_ids && own_id.is_some()) {
            return Err(SendError::InvalidId);
        }
        let mut encoded = String::with_capacity(USUAL_EVENT);
        event.write(&mut encoded, &shared.settings.formatting)?;

        let mut state = shared.state();
        if state.is_closed {
            return Err(SendError::Closed(CloseReason::Finished));
        }
        let id = state.log.append(&encoded, own_id.as_deref());
        let (called, has_sleepers) = (state.call(), state.sleeping > 0);
        drop(state);
        writer::tell(&self.shared, called);
        if has_sleepers {
            shared.news.notify_all();
        }
        Ok(Published { id, subscribers: self.subscribers() })
    }

    /// Waits until every subscriber is within `lag` of what was published, or for `patience`; returns whether they are.
    ///
    /// For publishers that must not outrun their subscribers, or they would fall behind the history.
    ///
    /// ```
    /// use brooklet::{Channel, Event, Lag};
    /// use std::time::Duration;
    ///
    /// let lines = Channel::new();
    /// for line in "a\nb\nc".lines() {
    ///     lines.publish(Event::new(line))?;
    ///     lines.catch_up(Lag::Events(500), Duration::from_secs(5)); // for the slowest, but not for ever
    /// }
    /// # Ok::<(), brooklet::SendError>(())
    /// ```
    pub fn catch_up(&self, lag: Lag, patience: Duration) -> bool {
        let deadline = Instant::now() + patience.min(NEVER);
        let shared = &*self.shared;
        let mut state = shared.state();
        state.waiting += 1;
        let caught_up = loop {
            if state.is_within(lag) {
                break true;
            }
            let remaining = deadline.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                break false;
            }
            state = wait(&shared.progress, state, remaining);
        };
        state.waiting -= 1;
        caught_up
    }

    /// How many subscribers there are, true to about a second.
    pub fn subscribers(&self) -> usize {
        self.shared.subscribers.load(Ordering::Relaxed)
    }

    /// Tells of everybody who joins and leaves from now on, exactly once each.
    ///
    /// What is not received yet is kept; drop the receiver when it is not wanted any more.
    ///
    /// For an example see [`Presence`].
    pub fn presence(&self) -> Receiver<Presence> {
        self.shared.watchers.add()
    }

    /// The id that an event published now would follow; before the first event `<epoch>-0`, or `None` where the
    /// publisher gives the ids.
    ///
    /// ```
    /// # use brooklet::{Channel, Event};
    /// let news = Channel::new();
    /// assert!(news.last_id().unwrap().ends_with("-0"));
    /// let published = news.publish(Event::new("hello"))?;
    /// assert_eq!(news.last_id(), Some(published.id));
    /// # Ok::<(), brooklet::SendError>(())
    /// ```
    pub fn last_id(&self) -> Option<String> {
        let state = self.shared.state();
        state.log.id_of(state.log.next() - 1)
    }

    /// Ends the channel for good: every stream ends after all that was published has been delivered, with the event
    /// of [`finish`](EventConnection::finish), so that browsers stay away. Who comes later is
    /// answered `204`, but for those who come back for what they have missed: they get it, and then the end.
    ///
    /// ```
    /// # use brooklet::Channel;
    /// let news = Channel::new();
    /// news.close();
    /// assert!(news.is_closed());
    /// ```
    pub fn close(&self) {
        let mut state = self.shared.state();
        state.is_closed = true;
        let called = state.call();
        drop(state);
        writer::tell(&self.shared, called);
        self.shared.news.notify_all();
    }

    /// Whether the channel is closed.
    ///
    /// See [`close`](Self::close).
    pub fn is_closed(&self) -> bool {
        self.shared.state().is_closed
    }

    /// Whether the channel is closed, and a client that comes now has missed nothing.
    pub(super) fn is_over_for(&self, last_event_id: Option<&str>) -> bool {
        let state = self.shared.state();
        state.is_closed
            && match state.log.resume(last_event_id) {
                Resume::Fresh => true,
                Resume::After(sequence) => sequence + 1 == state.log.next(),
                Resume::Lost { .. } => false,
            }
    }

    /// Fixes where a newcomer begins.
    pub(super) fn greet(&self, last_event_id: Option<&str>) -> Greeting {
        Greeting::new(&self.shared.state().log, &self.shared.settings, last_event_id)
    }

    /// The first event that follows the one with this id, or the first of all, if everything from there on is known.
    pub(super) fn cursor_after(&self, id: Option<&str>) -> Option<u64> {
        let state = self.shared.state();
        match (state.log.resume(id), state.log.history_start()) {
            (Resume::After(sequence), _) => Some(sequence + 1),
            (Resume::Fresh, first @ 1) => Some(first),
            _ => None,
        }
    }

    pub(super) fn write_greeting(&self, greeting: &Greeting, out: &mut String) -> Result<u64, SendError> {
        greeting.write(out, &self.shared.settings)
    }

    /// Takes a connection over from its thread.
    pub(super) fn hand_over(
        &self,
        connection: &Arc<Connection>,
        request: &Request,
        cursor: u64,
        terms: Terms,
    ) {
        let request = self.shared.watchers.tell_joined(request);
        self.shared.subscribers.fetch_add(1, Ordering::Relaxed);
        let settings = &self.shared.settings;
        let follower = Subscriber::new(Arc::clone(connection), cursor, terms, request, settings);
        writer::hand_over(&self.shared, follower);
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("last_id", &self.last_id())
            .field("subscribers", &self.subscribers())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
