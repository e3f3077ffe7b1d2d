//! What a generator sends through: one client's event stream.

use std::borrow::Cow;
use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::stream::{Stream, StreamSettings};
use super::wire::{self, Event, SendError};
use crate::clock::NEVER;
use crate::data::Data;
use crate::http::{CloseReason, Connection, Request};

/// `send_all` writes when this many bytes have gathered. With half as many it is a tenth slower: each write wakes the
/// reader.
const GATHER: usize = 128 * 1024;

/// One client's event stream, as the generator sees it.
///
/// Everything that sends returns a `Result`, whose error says that the stream is over. So `?` ends the generator,
/// and a loop needs no condition:
///
/// ```
/// use brooklet::{testing::Client, EventConnection, EventSource};
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
///
/// let stream = Client::get("/").in_memory(&EventSource::new(count)).leave_after(2).run();
/// assert_eq!(stream.timeline(), ["0s : counting", "0s number: 1", "1s number: 2"]);
/// ```
///
/// A send that returns `Ok` has handed the event to the operating system. Only the client knows whether it has arrived:
/// the event id with which it comes back says so.
///
/// # Errors
///
/// Everything that sends or waits fails with [`SendError::Closed`] when the stream is over: the client has left, the
/// host stops, or the generator has ended it. Nothing is written then. Each method says how else it can fail.
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
    /// # use brooklet::{testing::Client, EventSource};
    /// let source = EventSource::new(|connection| {
    ///     let user = connection.request().query("user").unwrap_or("you");
    ///     connection.event("greeting", format_args!("hello {user}"))?;
    ///     Ok(connection.event("goodbye", user)?)
    /// });
    /// let stream = Client::get("/?user=Ada").in_memory(&source).run();
    /// assert_eq!(stream.timeline(), ["0s greeting: hello Ada", "0s goodbye: Ada"]);
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
    /// # use brooklet::{testing::Client, Event, EventSource};
    /// let source = EventSource::new(|connection| {
    ///     let next = match connection.last_event_id() {
    ///         Some(id) => id.parse::<u32>()?.saturating_add(1), // a client may say anything
    ///         None => 1,
    ///     };
    ///     Ok(connection.send(Event::new("an event").id(next.to_string()))?)
    /// });
    /// let stream = Client::get("/").last_event_id("7").in_memory(&source).run();
    /// assert_eq!(stream.timeline(), ["0s message #8: an event"]);
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
    /// # use brooklet::{testing::Client, EventSource};
    /// let source = EventSource::new(|connection| {
    ///     while connection.connected() {
    ///         let _ = connection.data("tick"); // a failure shows in the loop's condition
    ///         let _ = connection.wait(std::time::Duration::from_secs(1));
    ///     }
    ///     Ok(())
    /// });
    /// assert_eq!(Client::get("/").in_memory(&source).leave_after(3).run().events().len(), 3);
    /// ```
    pub fn connected(&self) -> bool {
        self.stream.is_open()
    }

    /// Sends a comment, which clients ignore. Text of several lines becomes several comment lines.
    ///
    /// ```
    /// # use brooklet::{testing::Client, EventSource};
    /// let source = EventSource::new(|connection| Ok(connection.comment("two lines\nof comment")?));
    /// let stream = Client::get("/").in_memory(&source).run();
    /// assert_eq!(stream.timeline(), ["0s : two lines", "0s : of comment"]);
    /// ```
    pub fn comment(&mut self, text: &str) -> Result<(), SendError> {
        wire::write_comment(self.stream.begin()?, text);
        self.stream.flush(0)
    }

    /// Sends data as an event without a type: `send(Event::new(value))`. What a value looks like stands at [`Data`]; a
    /// `Duration` is sent in seconds.
    ///
    /// ```
    /// # use brooklet::{testing::Client, EventSource};
    /// let source = EventSource::new(|connection| {
    ///     connection.data("text")?;
    ///     connection.data(42.1)?;
    ///     Ok(connection.data(["a", "b"])?)
    /// });
    /// let stream = Client::get("/").in_memory(&source).run();
    /// assert_eq!(stream.timeline(), ["0s message: text", "0s message: 42.1", r#"0s message: ["a","b"]"#]);
    /// ```
    pub fn data(&mut self, value: impl Data) -> Result<(), SendError> {
        self.send(Event::new(value))
    }

    /// Sends data as an event of a type: `send(Event::new(value).event_type(event_type))`.
    ///
    /// ```
    /// # use brooklet::{testing::Client, EventSource};
    /// let source = EventSource::new(|connection| Ok(connection.event("AAPL", 129.5)?));
    /// assert_eq!(Client::get("/").in_memory(&source).run().timeline(), ["0s AAPL: 129.5"]);
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
    /// # use brooklet::{testing::Client, Event, EventSource};
    /// let source = EventSource::new(|connection| {
    ///     Ok(connection.send(Event::new(129.5).event_type("AAPL").id("4711"))?)
    /// });
    /// assert_eq!(Client::get("/").in_memory(&source).run().timeline(), ["0s AAPL #4711: 129.5"]);
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
    /// # use brooklet::{testing::Client, Event, EventSource};
    /// let source = EventSource::new(|connection| {
    ///     Ok(connection.send_all((1..=1000).map(|number| Event::new(number).id(number.to_string())))?)
    /// });
    /// assert_eq!(Client::get("/").in_memory(&source).run().events().len(), 1000);
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
    /// # use brooklet::{testing::Client, EventSource};
    /// # use std::time::Duration;
    /// let source = EventSource::new(|connection| {
    ///     connection.event("closed", "back at nine")?;
    ///     Ok(connection.retry(Duration::from_secs(3600))?) // the last thing that this generator does
    /// });
    /// let stream = Client::get("/").in_memory(&source).run();
    /// assert_eq!(stream.retry(), Some(Duration::from_secs(3600)));
    /// ```
    pub fn retry(&mut self, delay: Duration) -> Result<(), SendError> {
        wire::write_retry(self.stream.begin()?, delay);
        self.stream.flush_last(CloseReason::Retry, 0)
    }

    /// Ends the stream for good: the client is not to come back.
    ///
    /// An `EventSource` in a browser reconnects whenever a stream ends; only an answer that is no stream stops it. So
    /// the last event, of type `finish`, has a reserved id, and the reconnect that brings it is answered `204 No
    /// Content` without calling the inspector or the generator. A page may as well close its `EventSource` when it sees
    /// `finish`. A client that comes back after 204, or anew without the id, cannot be stopped.
    ///
    /// ```
    /// # use brooklet::{testing::Client, EventSource, Status};
    /// let source = EventSource::new(|connection| {
    ///     connection.event("progress", 100)?;
    ///     Ok(connection.finish()?)
    /// });
    /// let stream = Client::get("/").in_memory(&source).run();
    /// let back = Client::get("/").last_event_id(stream.last_event_id());
    /// assert_eq!(back.in_memory(&source).run().status(), Status::NO_CONTENT);
    /// ```
    pub fn finish(&mut self) -> Result<(), SendError> {
        wire::write_finish(self.stream.begin()?);
        self.stream.flush_last(CloseReason::Finished, 1)
    }

    /// Sleeps for `duration`, keeps the stream alive meanwhile, and ends with an error when the host stops, at once, or
    /// when the client leaves, within a second.
    ///
    /// It is as exact as `thread::sleep`, and never returns early with `Ok`. `wait(Duration::ZERO)` only looks whether
    /// the client is still there.
    ///
    /// ```
    /// # use brooklet::{testing::Client, CloseReason, EventSource};
    /// # use std::time::Duration;
    /// let source = EventSource::new(|connection| loop {
    ///     connection.data("tick")?;
    ///     connection.wait(Duration::from_secs(1))?; // `thread::sleep` would not notice that the client has left
    /// });
    /// let stream = Client::get("/").in_memory(&source).leave_after(3).run();
    /// assert_eq!(stream.reason(), Some(CloseReason::PeerClosed));
    /// ```
    pub fn wait(&mut self, duration: Duration) -> Result<(), SendError> {
        self.stream.wait(duration)
    }

    /// [`wait`](Self::wait), until a moment by the stream's [clock](Self::now). For a steady rhythm, whatever the
    /// sending takes:
    ///
    /// ```
    /// # use brooklet::{testing::Client, EventSource};
    /// # use std::time::Duration;
    /// let source = EventSource::new(|connection| {
    ///     let mut due = connection.now();
    ///     loop {
    ///         connection.data("tick")?;
    ///         due += Duration::from_secs(1);
    ///         connection.wait_until(due)?;
    ///     }
    /// });
    /// let stream = Client::get("/").in_memory(&source).leave_after(2).run();
    /// assert_eq!(stream.timeline(), ["0s message: tick", "1s message: tick"]);
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
    /// a second. It suits most programs: the program's own threads send, the stream's thread receives.
    ///
    /// ```
    /// use brooklet::{testing::Client, EventSource};
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
    /// drop(sender);
    /// let stream = Client::get("/").in_memory(&source).run();
    /// assert_eq!(stream.event_types(), ["progress", "finish"]);
    /// ```
    ///
    /// A value is taken out of the queue before it is sent. If the send then fails, since the stream is over, the value is
    /// lost: keep values that must not be lost elsewhere, too, until they are sent.
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

    /// Sends this client at most one write of a [channel](crate::Channel)'s events in each `interval` from now on.
    /// Events that are published meanwhile leave together; where the channel keeps the latest of each topic, only the
    /// newest of each leaves. Zero, the default, sends each as soon as it is published.
    ///
    /// ```
    /// # use brooklet::{testing::Client, Channel, Event, EventSource};
    /// # use std::time::Duration;
    /// let sensors = Channel::setup().latest().open();
    /// let followed = sensors.clone();
    /// let source = EventSource::new(move |connection| {
    ///     let pace = connection.request().query("pace").and_then(|seconds| seconds.parse().ok());
    ///     connection.pace(Duration::from_secs(pace.unwrap_or(0)));
    ///     Ok(connection.follow(&followed)?)
    /// });
    /// let mut client = Client::get("/?pace=5").in_memory(&source).leave_after(2);
    /// for second in 1..=10 {
    ///     let sensors = sensors.clone();
    ///     client = client.at(Duration::from_secs(second), move || drop(sensors.publish(Event::new(second))));
    /// }
    /// let stream = client.run();
    /// assert_eq!(stream.events().iter().map(|event| &*event.data).collect::<Vec<_>>(), ["1", "6"]);
    /// ```
    pub fn pace(&mut self, interval: Duration) {
        self.pace = (!interval.is_zero()).then_some(interval.min(NEVER));
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
