//! What a channel is set up with, before it can be used.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use super::log::{History, Log, Numbering};
use super::snapshot::Snapshots;
use super::Channel;
use crate::data::{Data, Formatting};
use crate::event::wire::Event;

/// What a channel is set up with, beside its log.
pub(super) struct Settings {
    /// The times of followers count from here.
    pub(super) started: Instant,
    /// Whether the publisher gives the ids.
    pub(super) has_own_ids: bool,
    /// How many events of the history a fresh client gets.
    pub(super) replay: u64,
    pub(super) reset_type: Cow<'static, str>,
    pub(super) formatting: Formatting,
    pub(super) snapshots: Option<Box<Snapshots>>,
}

impl Settings {
    /// Milliseconds of the channel's life, modulo 49 days: half of an `Instant`.
    pub(super) fn millis(&self, now: Instant) -> u32 {
        now.saturating_duration_since(self.started).as_millis() as u32
    }
}

/// A channel that is being set up: what it remembers, and what a client gets that is fresh or has missed something.
///
/// [`Channel::setup`] begins, and [`open`](Self::open) makes the channel, which cannot be changed any more.
///
/// ```
/// use brooklet::{Channel, Event, Formatting, SendError};
///
/// let prices = Channel::setup()
///     .history_events(10_000)
///     .history_bytes(16 * 1024 * 1024)
///     .formatting(Formatting::new().add(|price: &f64| format!("{price:.2}")))
///     .reset_type("missed")
///     .own_ids()
///     .open();
///
/// let published = prices.publish(Event::new(129.5).id("row 17"))?;
/// assert_eq!((&*published.id, published.subscribers), ("row 17", 0));
/// assert_eq!(prices.publish(Event::new(129.5)), Err(SendError::InvalidId)); // each needs one now
/// # Ok::<(), SendError>(())
/// ```
#[must_use = "it is a channel only when it is opened"]
pub struct ChannelSetup {
    settings: Settings,
    history: History,
}

impl ChannelSetup {
    pub(super) fn new() -> Self {
        let settings = Settings {
            started: Instant::now(),
            has_own_ids: false,
            replay: 0,
            reset_type: Cow::Borrowed("reset"),
            formatting: Formatting::new(),
            snapshots: None,
        };
        Self { settings, history: History { events: 1024, bytes: 1024 * 1024, is_latest: false } }
    }

    /// Makes the channel.
    pub fn open(self) -> Channel {
        let numbering = match self.settings.has_own_ids {
            true => Numbering::Publisher(BTreeMap::new()),
            false => Numbering::fresh(),
        };
        Channel::from_parts(self.settings, Log::new(numbering, self.history))
    }

    /// How many of the last events can be resumed from: 1024, unless set.
    ///
    /// The events of a channel take the memory of its history, or 256 KiB if that is more, however many subscribers there
    /// are.
    pub fn history_events(mut self, events: u64) -> Self {
        self.history.events = events;
        self
    }

    /// How many bytes of encoded events can be resumed from at most: 1 MiB, unless set.
    pub fn history_bytes(mut self, bytes: u64) -> Self {
        self.history.bytes = bytes;
        self
    }

    /// How many of the last events of the history a fresh client gets: none, unless set; `u64::MAX` is all of it.
    ///
    /// Where there is a [`snapshot`](Self::snapshot), that is sent instead.
    pub fn replay(mut self, events: u64) -> Self {
        self.settings.replay = events;
        self
    }

    /// Keeps of each [topic](Event::topic) the newest event alone: for sensors, prices, progress, whatever is a state
    /// and no story. Events without a topic are one topic.
    ///
    /// A fresh client gets the newest event of each of its topics. A slow client skips events that were superseded
    /// meanwhile. A client that comes back gets the newest event of each topic that has changed since its id. All get
    /// them in the order in which they were published. No client is told of a gap as long as the newest event of each
    /// topic fits the history.
    ///
    /// ```
    /// use brooklet::{testing::Client, Channel, Event, EventSource};
    ///
    /// let sensors = Channel::setup().latest().open();
    /// sensors.publish(Event::new(20.5).topic("kitchen"))?;
    /// sensors.publish(Event::new(18.0).topic("hall"))?;
    /// sensors.publish(Event::new(20.7).topic("kitchen"))?;
    /// sensors.forget("hall");
    /// sensors.close();
    /// let source = EventSource::new(move |connection| Ok(connection.follow(&sensors)?));
    /// let stream = Client::get("/").in_memory(&source).run();
    /// assert_eq!(stream.events()[0].data, "20.7");
    /// assert_eq!(stream.events()[1].event_type, "finish");
    /// # Ok::<(), brooklet::SendError>(())
    /// ```
    pub fn latest(mut self) -> Self {
        self.history.is_latest = true;
        self.settings.replay = u64::MAX;
        self
    }

    /// Uses the ids that published events bring, instead of numbers of the channel's own.
    ///
    /// Several instances behind one address need that, so that a client of one can go on with another. Every event needs
    /// an id then, and no two the same. The channel has each id a second time, to find it at once.
    ///
    /// An id is known as long as its event is kept: until the event leaves the history or, where the
    /// [latest](Self::latest) is kept, until a newer event of its topic is published. A client that follows topics for
    /// which nothing is published is told a newer id once a second. If it is cut off within a second in which more than
    /// the history is published, it comes back with an id that is no longer known, and gets a `reset` although it may
    /// have missed nothing.
    pub fn own_ids(mut self) -> Self {
        self.settings.has_own_ids = true;
        self
    }

    /// Sets the type of the event that tells of a gap; `reset`, unless set.
    ///
    /// # Panics
    ///
    /// If it is more than one line.
    pub fn reset_type(mut self, event_type: impl Into<Cow<'static, str>>) -> Self {
        self.settings.reset_type = event_type.into();
        let event = Event::new("").event_type(&*self.settings.reset_type);
        assert!(event.encode().is_ok(), "an event type is one line");
        self
    }

    /// Overrides the text of values of some types, in what is published and in snapshots.
    pub fn formatting(mut self, formatting: Formatting) -> Self {
        self.settings.formatting = formatting;
        self
    }

    /// Sends the state of things to clients that are fresh, or have missed something, in place of a replay.
    ///
    /// First the client's position in the order of events is fixed. Then `snapshot` is called, on the thread of a client.
    /// Then the client gets everything that was published since. So an event may be in the snapshot and after it as well,
    /// but is never in neither. The channel gives the snapshot's event its id.
    ///
    /// `snapshot` is called once for each position: all clients that come before the next event is published share one
    /// text. So each change of the state has to be published as well.
    ///
    /// ```
    /// # use brooklet::{testing::Client, Channel, Event, EventSource};
    /// # use std::sync::{Arc, Mutex};
    /// let score = Arc::new(Mutex::new([2, 0]));
    /// let channel = Channel::setup()
    ///     .snapshot({
    ///         let score = Arc::clone(&score);
    ///         move || Event::new(*score.lock().unwrap()).event_type("score")
    ///     })
    ///     .open();
    /// let stream = Client::get("/").in_memory(&EventSource::channel(&channel)).leave_after(1).run();
    /// assert_eq!((&*stream.events()[0].event_type, &*stream.events()[0].data), ("score", "[2,0]"));
    /// ```
    pub fn snapshot<T: Data>(
        mut self,
        snapshot: impl Fn() -> Event<'static, T> + Send + Sync + 'static,
    ) -> Self {
        let make = move |out: &mut String, id: Option<&str>, formatting: &Formatting| {
            snapshot().write_with_id(out, id, formatting)
        };
        self.settings.snapshots = Some(Box::new(Snapshots::new(Box::new(make))));
        self
    }
}

impl fmt::Debug for ChannelSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelSetup").field("history", &self.history).finish_non_exhaustive()
    }
}
