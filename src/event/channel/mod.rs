//! Publish once, reach everyone: one log of encoded events, a cursor for each subscriber.
//!
//! A connection that follows a channel is handed to one of a few writer threads, which sends to each of its connections
//! what that has not seen yet. Nothing that the user wrote runs under the log's lock.

mod topics;
mod log;
mod view;
mod setup;
mod reader;
mod follower;
mod followers;
mod presence;
mod snapshot;
mod shared;
mod writer;
mod subscription;
mod following;

use std::fmt;
use std::sync::mpsc::Receiver;
use std::sync::Arc;
use std::time::Duration;

use super::wire::{Event, SendError};
use crate::clock::NEVER;
use crate::data::Data;
use log::{Log, Resume};
use setup::Settings;
use shared::Shared;
use topics::Interest;

pub use presence::Presence;
pub use setup::ChannelSetup;
pub use subscription::{Message, Subscription};

/// Bytes that are allocated for an event: most fit, so their text is allocated once.
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
/// use brooklet::{testing::Client, Channel, Event, EventSource, Layout};
/// use std::time::Duration;
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
/// // From any thread; it waits for no client:
/// let publish = move || drop(prices.publish(Event::new(129.5).event_type("AAPL")));
/// let stream = Client::get("/prices").in_memory(&app).at(Duration::from_secs(1), publish).leave_after(1).run();
/// assert_eq!(stream.event_types(), ["AAPL"]);
/// ```
///
/// [`Channel::setup`] sets, before the channel is opened, what it remembers and what fresh clients get.
///
/// A client that follows takes no thread: a few writer threads send to all clients, to each in one write up to 64 KiB of
/// what it has not seen. All clients see the same events in the same order.
///
/// # Topics
///
/// An event may name its [topic](Event::topic), and a client may follow [some
/// topics](crate::EventConnection::follow_topics): it gets the events of these topics, and the events without a topic. So
/// each of thousands of clients can have events of its own, and a page can have many sources in one stream. Topics are
/// compared by name. All events have one order, and one kind of ids.
///
/// # Resuming
///
/// Events have ids, `<epoch>-<sequence>` by default, with an epoch of each channel's own. A client that comes back
/// with one after which nothing of its topics has left the [history](ChannelSetup::history_events) continues exactly
/// after it. With any other id, too old or of an earlier run of the program, it is sent a visible event of type `reset`.
/// The data of that event says why, and how many events are missed: `{"reason":"expired","missed":12}`, with `null`
/// where the number is not known. Then the client gets the history, or the [`snapshot`](ChannelSetup::snapshot) if there
/// is one, and after that what is published from now on.
///
/// A client that brings no id is fresh. It gets what [`replay`](ChannelSetup::replay) says, or else a first block with
/// the current id alone: so it misses nothing if it is cut off before its first event. (Some client libraries ignore an
/// id that comes without data. They do miss what is published between that and their return.) A client that follows
/// topics is sent such a block, too, when nothing was published for its topics, but much for others.
///
/// # Slow subscribers
///
/// A slow subscriber delays no other. The channel keeps its history, and at least 256 KiB. A subscriber that falls behind
/// that gets a `reset` with the reason `lagged`, and goes on with the oldest event that is kept. In a channel with a
/// snapshot, or after [`follow_after`](crate::EventConnection::follow_after), its stream is closed instead, and the client
/// gets what it lacks when it comes back. A [`Subscription`] is not closed: it gets the `reset` and the snapshot in place.
///
/// A subscriber whose socket is full, and that takes less than 64 KiB within the host's [write
/// deadline](crate::Limits::write_deadline), is closed.
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
        Self::setup().open()
    }

    /// Begins to set a channel up.
    pub fn setup() -> ChannelSetup {
        ChannelSetup::new()
    }

    fn from_parts(settings: Settings, log: Log) -> Self {
        Self { shared: Arc::new(Shared::new(settings, log)) }
    }

    /// Publishes an event. It never waits for a subscriber, and all subscribers see the same order.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] when the channel is closed; [`SendError::InvalidEventType`] and [`SendError::InvalidId`] as
    /// when an event is sent. It is also `InvalidId` if an event has an id although the channel gives the ids, or has none
    /// although the [publisher gives them](ChannelSetup::own_ids). Nothing is published then.
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
        let settings = &self.shared.settings;
        let (own_id, topic) = (event.take_id()?, event.take_topic());
        match &own_id {
            Some(id) if settings.has_own_ids && !id.is_empty() => {}
            None if !settings.has_own_ids => {}
            _ => return Err(SendError::InvalidId),
        }
        let mut encoded = String::with_capacity(USUAL_EVENT);
        event.write(&mut encoded, &settings.formatting)?;
        let mut audience = self.shared.append(&encoded, topic.as_deref(), own_id.as_deref())?;
        writer::deliver(&self.shared, &mut audience);
        Ok(Published { id: audience.id, subscribers: audience.subscribers })
    }

    /// Takes the newest event of a topic out of the history, in a channel that keeps the [latest](ChannelSetup::latest) of
    /// each: a fresh client does not get it any more. No client is told.
    pub fn forget(&self, topic: &str) {
        self.shared.state().log.forget(topic);
    }

    /// Waits until every subscriber has all but the last `events`, or for `patience`; returns whether they have.
    ///
    /// It is for a publisher that is faster than its subscribers, which would fall behind the history.
    ///
    /// ```
    /// use brooklet::{Channel, Event};
    /// use std::time::Duration;
    ///
    /// let lines = Channel::new();
    /// for line in "a\nb\nc".lines() {
    ///     lines.publish(Event::new(line))?;
    ///     lines.catch_up(500, Duration::from_secs(5)); // for the slowest, but not for ever
    /// }
    /// assert!(lines.catch_up(0, Duration::ZERO)); // there is no subscriber
    /// # Ok::<(), brooklet::SendError>(())
    /// ```
    pub fn catch_up(&self, events: u64, patience: Duration) -> bool {
        self.shared.wait_until(patience.min(NEVER), |state| state.is_within(events))
    }

    /// Reads the channel without a connection, for a terminal or another thread. The iterator has what a fresh client
    /// would get, and ends when the channel is closed. It blocks until there is an event, and counts as a subscriber until
    /// it is dropped.
    ///
    /// ```
    /// use brooklet::{Channel, Event};
    ///
    /// let news = Channel::setup().replay(10).open();
    /// news.publish(Event::new("hello").event_type("greeting"))?;
    /// let messages = news.messages();
    /// news.publish(Event::new("two\nlines"))?;
    /// news.close();
    /// let lines: Vec<_> = messages.map(|message| format!("{}: {}", message.event_type, message.data)).collect();
    /// assert_eq!(lines, ["greeting: hello", "message: two\nlines"]);
    /// # Ok::<(), brooklet::SendError>(())
    /// ```
    pub fn messages(&self) -> impl Iterator<Item = Message> + Send {
        subscription::messages(self)
    }

    /// How many subscribers there are. A client that has left counts until that is noticed, which takes about a second.
    pub fn subscribers(&self) -> usize {
        self.shared.state().subscribers
    }

    /// Tells of each client that joins and leaves from now on, exactly once each.
    ///
    /// The queue has no bound: what the program does not receive stays in memory. Drop the receiver when it is not
    /// wanted any more.
    ///
    /// For an example see [`Presence`].
    pub fn presence(&self) -> Receiver<Presence> {
        self.shared.watchers.add()
    }

    /// The id of the event that was published last; before the first event `<epoch>-0`, or `None` where the publisher
    /// gives the ids.
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

    /// Ends the channel for good. Each stream gets everything that was published, and then ends with the event of
    /// [`finish`](crate::EventConnection::finish), so that browsers stay away. A client that comes later gets what it has
    /// missed, and then `finish`. A client that has missed nothing is answered `204` by
    /// [`EventSource::channel`](crate::EventSource::channel); from a generator that follows the channel it gets `finish`
    /// alone.
    ///
    /// ```
    /// # use brooklet::Channel;
    /// let news = Channel::new();
    /// news.close();
    /// assert!(news.is_closed());
    /// ```
    pub fn close(&self) {
        writer::tell(&self.shared, self.shared.close());
    }

    /// Closes the channel, and waits until all subscribers have everything and are gone, or for `patience`; returns
    /// whether they are gone. A program calls it before it ends.
    ///
    /// ```
    /// # use brooklet::Channel;
    /// # use std::time::Duration;
    /// let news = Channel::new();
    /// assert!(news.close_within(Duration::from_secs(5)));
    /// ```
    pub fn close_within(&self, patience: Duration) -> bool {
        self.close();
        self.shared.wait_until(patience.min(NEVER), |state| state.subscribers == 0)
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
            && match state.log.resume(last_event_id, &Interest::All) {
                Resume::Fresh => true,
                Resume::After(sequence) => sequence + 1 == state.log.next(),
                Resume::Lost(_) => false,
            }
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
