//! What a generator sends through: one client's event stream.

use std::borrow::Cow;
use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::stream::{Stream, StreamSettings};
use super::wire::{self, Event, SendError};
use crate::data::Data;
use crate::http::{CloseReason, Connection, Request};

/// `send_all` writes when this much has gathered. Half as much is a tenth slower: a write wakes the reader.
const GATHER: usize = 128 * 1024;

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
///         connection.wait(Duration::from_secs(1))?; // fails when the client has left
///     }
///     Ok(())
/// }
/// # EventSource::new(count);
/// ```
///
/// What was sent has been handed to the operating system; whether the client has it is known only by what it
/// says itself, which is what event ids are for.
///
/// # Errors
///
/// Everything that sends or waits fails with [`SendError::Closed`] when the stream is over, whoever has ended it: the
/// client, the host, the generator itself. Nothing is written then. What else can go wrong is said where it can.
///
/// In the guide: [sending](crate::guide::sending), [resuming](crate::guide::resuming),
/// [lifecycle](crate::guide::lifecycle).
pub struct EventConnection<'r> {
    pub(super) stream: Stream<'r>,
    request: &'r Request,
    last_event_id: Option<&'r str>,
    /// The least time between two writes of a channel's events.
    pub(super) pace: Option<Duration>,
}

impl<'r> EventConnection<'r> {
    pub(super) fn new(
        connection: Arc<Connection>,
        request: &'r Request,
        last_event_id: Option<&'r str>,
        settings: &'r StreamSettings,
        is_chunked: bool,
    ) -> Self {
        Self {
            stream: Stream::new(connection, settings, is_chunked),
            request,
            last_event_id,
            pace: settings.pace,
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
    ///
    /// ```
    /// # brooklet::EventSource::new(|connection| {
    /// let next = match connection.last_event_id() {
    ///     Some(id) => id.parse::<u64>()? + 1, // whatever a client says
    ///     None => 1,
    /// };
    /// connection.send(brooklet::Event::new("an event").id(next.to_string()))?;
    /// # Ok(())
    /// # });
    /// ```
    pub fn last_event_id(&self) -> Option<&'r str> {
        self.last_event_id
    }

    /// Whether events can still be sent, as far as is known. It looks at two flags and costs nothing.
    ///
    /// That a client has left is noticed by [`wait`](Self::wait), [`receive`](Self::receive) and by sending: a
    /// loop that does nothing else can call `wait(Duration::ZERO)`.
    ///
    /// ```
    /// # brooklet::EventSource::new(|connection| {
    /// while connection.connected() {
    ///     let _ = connection.data("tick"); // a failure shows in the loop's condition
    ///     let _ = connection.wait(std::time::Duration::from_secs(1));
    /// }
    /// # Ok(())
    /// # });
    /// ```
    pub fn connected(&self) -> bool {
        self.stream.is_open()
    }

    /// Sends a comment, which clients ignore. Text of several lines becomes several comment lines.
    ///
    /// ```
    /// # brooklet::EventSource::new(|connection| {
    /// connection.comment("two lines\nof comment")?; // ": two lines", ": of comment"
    /// # Ok(())
    /// # });
    /// ```
    pub fn comment(&mut self, text: &str) -> Result<(), SendError> {
        wire::write_comment(self.stream.begin()?, text);
        self.stream.flush(0)
    }

    /// Sends data as an event without a type: `send(Event::new(value))`.
    ///
    /// ```
    /// # brooklet::EventSource::new(|connection| {
    /// connection.data("text")?;           // data: text
    /// connection.data(42.1)?;             // data: 42.1
    /// connection.data(["a", "b"])?;       // data: ["a","b"]
    /// # Ok(())
    /// # });
    /// ```
    pub fn data(&mut self, value: impl Data) -> Result<(), SendError> {
        self.send(Event::new(value))
    }

    /// Sends data as an event of a type: `send(Event::new(value).event_type(event_type))`.
    ///
    /// ```
    /// # brooklet::EventSource::new(|connection| {
    /// connection.event("AAPL", 129.5)?;   // event: AAPL, data: 129.5
    /// # Ok(())
    /// # });
    /// ```
    pub fn event<'e>(
        &mut self,
        event_type: impl Into<Cow<'e, str>>,
        value: impl Data,
    ) -> Result<(), SendError> {
        self.send(Event::new(value).event_type(event_type))
    }

    /// Sends an event, in one write: clients get all of it or none.
    ///
    /// ```
    /// # use brooklet::Event;
    /// # brooklet::EventSource::new(|connection| {
    /// connection.send(Event::new(129.5).event_type("AAPL").id("4711"))?;
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] when the stream is over. An event type or id that cannot be sent has an error of its
    /// own; then nothing was written, and the stream goes on.
    #[allow(clippy::needless_pass_by_value)] // it is built where it is sent
    pub fn send<T: Data>(&mut self, event: Event<'_, T>) -> Result<(), SendError> {
        self.stream.begin()?;
        self.stream.gather(&event)?;
        self.stream.flush(1)
    }

    /// Sends many events in few writes, in their order: a write whenever 128 KiB have gathered, and at the end.
    ///
    /// For events that are there, not for an iterator that waits for them: what has gathered waits with it.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send). At an event that cannot be sent it stops; those before it are sent.
    ///
    /// ```
    /// # use brooklet::Event;
    /// # brooklet::EventSource::new(|connection| {
    /// connection.send_all((1..=1000).map(|number| Event::new(number).id(number.to_string())))?;
    /// # Ok(())
    /// # });
    /// ```
    pub fn send_all<'e, T: Data>(
        &mut self,
        events: impl IntoIterator<Item = Event<'e, T>>,
    ) -> Result<(), SendError> {
        self.stream.begin()?;
        let mut gathered = 0;
        for event in events {
            if let Err(error) = self.stream.gather(&event) {
                self.stream.flush(gathered)?;
                return Err(error);
            }
            gathered += 1;
            if self.stream.buffer.len() >= GATHER {
                self.stream.flush_some(gathered)?;
                self.stream.begin()?;
                gathered = 0;
            }
        }
        self.stream.flush(gathered)
    }

    /// Tells the client to come back after `delay`, and ends the stream: later sends write nothing.
    ///
    /// To set the delay and go on, use [`Event::retry`] or [`EventSource::retry`](super::EventSource::retry).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # brooklet::EventSource::new(|connection| {
    /// connection.event("closed", "back at nine")?;
    /// Ok(connection.retry(Duration::from_secs(3600))?) // the last thing that this generator does
    /// # });
    /// ```
    pub fn retry(&mut self, delay: Duration) -> Result<(), SendError> {
        wire::write_retry(self.stream.begin()?, delay);
        self.stream.flush_last(CloseReason::Retry, 0)
    }

    /// Ends the stream for good: the client is not to come back.
    ///
    /// An `EventSource` in a browser reconnects whenever a stream ends; only an answer that is no stream stops
    /// it. So the last event, of type `finish`, has a reserved id, and the reconnect that brings it is answered
    /// `204 No Content` without asking anybody. A page may as well close its `EventSource` when it sees `finish`.
    /// A client that comes back after 204, or anew without the id, cannot be stopped.
    ///
    /// ```
    /// # brooklet::EventSource::new(|connection| {
    /// for percent in 0..=100 {
    ///     connection.event("progress", percent)?;
    /// }
    /// Ok(connection.finish()?) // a browser that comes back is answered 204
    /// # });
    /// ```
    pub fn finish(&mut self) -> Result<(), SendError> {
        wire::write_finish(self.stream.begin()?);
        self.stream.flush_last(CloseReason::Finished, 1)
    }

    /// Sleeps for `duration`, keeps the stream alive meanwhile, and ends with an error when the client leaves or the
    /// host stops: at once when it stops, within a second when the client leaves.
    ///
    /// It is as exact as `thread::sleep`, and never returns early with `Ok`. `wait(Duration::ZERO)` only looks whether
    /// the client is still there.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # brooklet::EventSource::new(|connection| {
    /// loop {
    ///     connection.data("tick")?;
    ///     connection.wait(Duration::from_secs(1))?; // where `thread::sleep` would notice nothing
    /// }
    /// # });
    /// ```
    pub fn wait(&mut self, duration: Duration) -> Result<(), SendError> {
        self.stream.wait(duration)
    }

    /// [`wait`](Self::wait), until a moment by the stream's [clock](Self::now). For a steady rhythm, whatever the
    /// sending takes:
    ///
    /// ```
    /// # use brooklet::EventSource;
    /// # use std::time::Duration;
    /// EventSource::new(|connection| {
    ///     let mut due = connection.now();
    ///     loop {
    ///         connection.data("tick")?;
    ///         due += Duration::from_secs(1);
    ///         connection.wait_until(due)?;
    ///     }
    /// });
    /// ```
    pub fn wait_until(&mut self, deadline: Instant) -> Result<(), SendError> {
        self.stream.wait_until(deadline)
    }

    /// The time by the stream's clock: the system's, or in a [test](crate::testing) the virtual one.
    pub fn now(&self) -> Instant {
        self.stream.clock.now()
    }

    /// Waits for a value from another thread: `None` when every sender is gone.
    ///
    /// While it waits the stream is kept alive, and a client that leaves, and a stop, are noticed within
    /// a second. The commonest way to embed: the tool's own threads send, the stream's thread receives.
    ///
    /// ```
    /// use brooklet::EventSource;
    /// use std::sync::{mpsc, Mutex};
    ///
    /// let (sender, receiver) = mpsc::channel();
    /// let receiver = Mutex::new(Some(receiver)); // for the first client that comes
    /// let source = EventSource::new(move |connection| {
    ///     let taken = receiver.lock().unwrap().take();
    ///     let receiver = match taken {
    ///         Some(receiver) => receiver,
    ///         None => return Ok(connection.finish()?),
    ///     };
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
            let until = self.stream.tick()?;
            match self.stream.clock.receive(receiver, until) {
                Ok(value) => return Ok(Some(value)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }

    /// Has this client be sent at most one write of a [channel](crate::Channel)'s events in each `interval`, for what
    /// follows: what is published meanwhile goes together, or where the channel keeps the latest of each topic, only the
    /// newest of it. Zero, which is usual, is as soon as there is something.
    ///
    /// ```
    /// # use brooklet::{Channel, EventSource};
    /// # use std::time::Duration;
    /// let sensors = Channel::setup().latest().open();
    /// EventSource::new(move |connection| {
    ///     let pace = connection.request().query("pace").and_then(|millis| millis.parse().ok());
    ///     connection.pace(Duration::from_millis(pace.unwrap_or(0)));
    ///     Ok(connection.follow(&sensors)?)
    /// });
    /// ```
    pub fn pace(&mut self, interval: Duration) {
        self.pace = Some(interval).filter(|interval| !interval.is_zero());
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
