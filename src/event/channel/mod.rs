//! Publish once, reach everyone: one log of encoded events, a cursor for each subscriber.
//!
//! A connection that follows hands its socket to a few writer threads, which send to each what it has not seen yet. Nothing
//! that the user wrote runs under the log's lock.

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
use log::{Numbering, Resume};
use setup::Settings;
use shared::Shared;
use subscription::Messages;
use topics::Interest;

pub use presence::Presence;
pub use setup::ChannelSetup;
pub use subscription::{Message, Subscription};

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
/// prices.publish(Event::new(129.5).event_type("AAPL"))?; // from any thread; waits for no client
/// # Ok::<(), brooklet::SendError>(())
/// ```
///
/// What it remembers, and what fresh clients get, is said before it is opened: [`Channel::setup`].
///
/// A client that follows costs no thread: a few writer threads send to all of them, to each in one write
/// whatever it has not seen. All see the same events in the same order.
///
/// # Topics
///
/// An event may say [what it is about](Event::topic), and clients may follow
/// [some topics](crate::EventConnection::follow_topics) only: they get the events of those, and the events without a topic. That
/// is how each of thousands of clients has events of its own, and how a page has many sources in one stream. Topics are
/// compared by name. All events have one order, and one kind of ids.
///
/// # Resuming
///
/// Events have ids, `<epoch>-<sequence>` by default, with an epoch of each channel's own. A client that comes back
/// with one after which nothing of its topics has left the [history](ChannelSetup::history_events) continues exactly
/// after it. With any other id, too old or of an earlier run of the program, it is sent a visible event of type `reset`,
/// whose data says why and how many events are gone, as far as that is known: `{"reason":"expired","missed":12}`, with
/// `null` where it is not. Then it gets what is there: the history, or the [`snapshot`](ChannelSetup::snapshot) if there
/// is one, and what is published from now on.
///
/// A client that brings no id is fresh: it gets what [`replay`](ChannelSetup::replay) says, or a first block with the
/// current id, so that nothing is missed should it be cut off before its first event. (Some client libraries ignore an
/// id that comes without data, and keep that one gap.) One for whose topics nothing is published while much else is, is
/// sent such a block now and then.
///
/// # Slow subscribers
///
/// They delay no other. One that falls behind what is kept, which is the history or 256 KiB, is told so by a `reset`
/// with the reason `lagged` and goes on with the oldest event that is there; in a channel with a snapshot, or after
/// [`follow_after`](crate::EventConnection::follow_after), it is closed instead, and gets what it lacks when it comes back.
/// A [`Subscription`] is not closed: it gets the `reset` and the snapshot in place.
/// One whose socket is full, and that takes less than 64 KiB within the host's [write
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

    fn of(settings: Settings) -> Self {
        Self { shared: Arc::new(Shared::new(settings)) }
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
        let settings = &self.shared.settings;
        let (own_id, topic) = (event.take_id()?, event.take_topic());
        let is_id_right = match (&settings.numbering, &own_id) {
            (Numbering::Publisher, Some(id)) => !id.is_empty(),
            (Numbering::Publisher, None) => false,
            (Numbering::Epoch(_), id) => id.is_none(),
        };
        if !is_id_right {
            return Err(SendError::InvalidId);
        }
        let mut encoded = String::with_capacity(USUAL_EVENT);
        event.write(&mut encoded, &settings.formatting)?;
        let mut audience = self.shared.append(&encoded, topic.as_deref(), own_id.as_deref())?;
        writer::deliver(&self.shared, &mut audience);
        Ok(Published { id: audience.id, subscribers: audience.subscribers })
    }

    /// Takes the newest event of a topic out of a channel that keeps the [latest](ChannelSetup::latest) of each: who is
    /// fresh does not get it any more. No client is told.
    pub fn forget(&self, topic: &str) {
        self.shared.state().log.forget(topic);
    }

    /// Waits until every subscriber has all but the last `events`, or for `patience`; returns whether they have.
    ///
    /// For publishers that must not outrun their subscribers, or they would fall behind the history.
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
    /// # assert!(lines.catch_up(0, Duration::ZERO));
    /// # Ok::<(), brooklet::SendError>(())
    /// ```
    pub fn catch_up(&self, events: u64, patience: Duration) -> bool {
        self.shared.wait_until(patience.min(NEVER), |state| state.is_within(events))
    }

    /// Reads the channel without a connection, for a terminal or another thread: what a fresh client would get, as it is
    /// published, until the channel is closed. It blocks where there is nothing, and counts as a subscriber until it is
    /// dropped.
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
        Messages::new(self)
    }

    /// How many subscribers there are, true to about a second.
    pub fn subscribers(&self) -> usize {
        self.shared.state().subscribers
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
    /// of [`finish`](crate::EventConnection::finish), so that browsers stay away. A client that comes later gets what it
    /// has missed, and then the end. [`EventSource::channel`](crate::EventSource::channel) answers `204` at once to one
    /// that has missed nothing; a generator that follows the channel sends `finish` alone.
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

    /// Closes the channel, and waits until everybody has everything and is gone, or for `patience`; returns whether they
    /// are. What a program does before it ends.
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
