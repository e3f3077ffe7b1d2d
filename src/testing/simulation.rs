//! One request and its stream, in memory and by a virtual clock.

use std::fmt;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::client::Client;
use super::socket::{MemoryClient, MemorySocket};
use super::timeline::Timeline;
use super::transcript::Transcript;
use crate::clock::{Clock, NEVER};
use crate::http::body::{self, Bodies};
use crate::http::{
    conditional, AnySocket, Connection, Handler, ReadError, Reader, Record, Registration, Request,
    StopSignal, MAX_HEAD,
};

/// A stream that lasts longer, or brings more events, probably never ends.
const MAX_DURATION: Duration = Duration::from_secs(3600);
const MAX_EVENTS: usize = 100_000;

const STUCK: &str =
    "the generator goes on and on without waiting: it polls for something that no time brings, \
                     or ignores that its stream is over";

/// One request to a handler in memory, and what happens meanwhile.
///
/// Nothing happens before [`run`](Self::run), and all of it happens on the thread that calls `run`. What is scheduled for
/// a time is done when a wait of the generator reaches that time, before the wait goes on. What is scheduled for the same
/// time is done in the order of the calls.
///
/// ```
/// use brooklet::testing::Client;
/// use brooklet::EventSource;
/// use std::sync::{mpsc, Mutex};
/// use std::time::Duration;
///
/// let (sender, receiver) = mpsc::channel();
/// let receiver = Mutex::new(receiver);
/// let progress = EventSource::new(move |connection| {
///     while let Some(percent) = connection.receive(&receiver.lock().unwrap())? {
///         connection.event("percent", percent)?;
///     }
///     Ok(connection.finish()?)
/// });
///
/// let stream = Client::get("/")
///     .in_memory(&progress)
///     .at(Duration::from_secs(7), move || sender.send(50).unwrap())
///     .stop_at(Duration::from_secs(9))
///     .run();
/// assert_eq!(stream.timeline()[0], "7s percent: 50");
/// ```
#[must_use = "a simulation begins when it is run"]
pub struct Simulation<'h> {
    client: MemoryClient,
    handler: &'h dyn Handler,
    schedule: Vec<(Duration, Task)>,
    max_duration: Duration,
}

/// What happens at a time, to the connection and to the host.
type Task = Box<dyn FnOnce(&MemorySocket, &StopSignal) + Send>;

impl Client {
    /// Asks a handler in memory and by a virtual clock: a source, or a layout of them, or whatever else answers.
    pub fn in_memory(self, handler: &dyn Handler) -> Simulation<'_> {
        let client = MemoryClient::new(self.request("localhost"), MAX_EVENTS);
        Simulation { client, handler, schedule: Vec::new(), max_duration: MAX_DURATION }
    }
}

impl<'h> Simulation<'h> {
    /// Lets the client leave as soon as it has got so many events; comments do not count.
    pub fn leave_after(mut self, events: usize) -> Self {
        self.client.leave_after = Some(events);
        self
    }

    /// Lets the client leave at a time, counted from its request: before what is sent at that very time.
    pub fn leave_at(mut self, time: Duration) -> Self {
        self.max_duration = self.max_duration.max(time);
        self.schedule(time, |socket, _| socket.client().has_left = true)
    }

    /// Lets the host stop at a time.
    pub fn stop_at(mut self, time: Duration) -> Self {
        self.max_duration = self.max_duration.max(time);
        self.schedule(time, |socket, stop| {
            stop.request();
            socket.client().is_shut = true;
        })
    }

    /// Does something at a time: sends a value that the generator
    /// [receives](crate::EventConnection::receive), publishes to a [`Channel`](crate::Channel), changes what
    /// the generator looks at.
    ///
    /// It runs in the midst of a wait, on the same thread: it must not wait for the generator, nor for a lock
    /// that the generator holds. What is scheduled for the time zero is done before the request.
    ///
    /// ```
    /// use brooklet::testing::Client;
    /// use brooklet::{Channel, Event, EventSource};
    /// use std::time::Duration;
    ///
    /// let news = Channel::new();
    /// let publisher = news.clone();
    /// let stream = Client::get("/")
    ///     .in_memory(&EventSource::channel(&news))
    ///     .at(Duration::from_secs(40), move || drop(publisher.publish(Event::new("rain"))))
    ///     .leave_after(1)
    ///     .run();
    /// assert_eq!(stream.timeline()[1..3], ["15s :", "30s :"]);
    /// assert_eq!(stream.events()[0].data, "rain");
    /// ```
    pub fn at(self, time: Duration, call: impl FnOnce() + Send + 'static) -> Self {
        self.schedule(time, |socket, _| {
            // In the generator's place it would be taken for a panic of the generator.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(call)) {
                let mut client = socket.client();
                client.panic = Some(panic);
                client.has_left = true;
            }
        })
    }

    fn schedule(
        mut self,
        at: Duration,
        task: impl FnOnce(&MemorySocket, &StopSignal) + Send + 'static,
    ) -> Self {
        self.schedule.push((at, Box::new(task)));
        self
    }

    /// Bounds the time that may pass: an hour, unless set.
    pub fn max_duration(mut self, duration: Duration) -> Self {
        self.max_duration = duration;
        self
    }

    /// Bounds how many events there may be: 100,000, unless set.
    pub fn max_events(mut self, events: usize) -> Self {
        self.client.max_events = events;
        self
    }

    /// Makes the request, runs the stream to its end, and says what the client has got.
    ///
    /// # Panics
    ///
    /// If the stream does not end within its bounds, if no client could send the request, and if something that was
    /// scheduled, or the handler itself, panics. A panic of a generator is caught [as on a host](Transcript::error).
    #[track_caller]
    pub fn run(self) -> Transcript {
        let (stop, time) = (StopSignal::default(), Arc::new(Timeline::new()));
        let socket = MemorySocket { client: Arc::new(Mutex::new(self.client)), time: Arc::clone(&time) };
        let most = self.max_duration;
        let give_up = move |socket: &MemorySocket, _: &_| {
            let mut client = socket.client();
            if client.is_there() {
                client.give_up(format!(
                    "after {most:?} of virtual time the stream has no end yet: \
                     let the client leave (leave_after, leave_at), or have patience (max_duration)"
                ));
            }
        };
        for (at, task) in self.schedule.into_iter().chain([(most, Box::new(give_up) as Task)]) {
            let (socket, stop) = (socket.clone(), stop.clone());
            time.schedule(at, Box::new(move || task(&socket, &stop)));
        }
        let clock = Clock::Virtual(Arc::clone(&time) as _);
        let registration = Arc::new(MemoryRegistration { record: Record::default(), clock });
        let connection =
            Connection::new(AnySocket::Other(Box::new(socket.clone())), stop, NEVER, registration)
                .expect("a socket in memory can be set to everything");
        let connection = Arc::new(connection);
        let request = match read_request(&connection) {
            Ok(request) => request,
            Err(why) => panic!("no client can send this request: {why}"),
        };

        time.run_due_tasks(); // those for the time zero
        let mut transcript = answer(self.handler, &request, &connection, &socket);
        time.clear_schedule();

        let mut client = socket.client();
        transcript.received = std::mem::take(&mut client.received);
        let (panic, fault) = (client.panic.take(), client.fault.take());
        drop(client);
        transcript.duration = time.elapsed();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
        let is_stuck = time.is_stuck().then(|| String::from(STUCK));
        if let Some(fault) = fault.or(is_stuck) {
            panic!("{fault}\nThe last of it:\n  {}", transcript.last_lines(5).join("\n  "));
        }
        transcript
    }
}

/// Lets the handler answer, and its stream run to its end.
fn answer(
    handler: &dyn Handler,
    request: &Request,
    connection: &Arc<Connection>,
    socket: &MemorySocket,
) -> Transcript {
    let mut response = conditional::apply(request, handler.handle(request.clone()));
    let mut transcript = Transcript::new(&response);
    transcript.error = response.error.take();
    match response.body_length() {
        _ if !response.has_body(request.method()) => {}
        Some(length) => {
            if response.read_body(&mut socket.client().received.bytes, length as usize).is_err() {
                transcript.error = response.error.take();
            }
        }
        None => {
            let first = response.stream_start().map_or("", |start| &start.first);
            socket.client().begin_stream(first.as_bytes());
            let stream = response.into_stream().expect("what has no length is a stream");
            transcript.error = stream(Arc::clone(connection)).err();
            transcript.reason = connection.ended();
        }
    }
    transcript
}

/// Reads the request as the host does, and by the same rules.
fn read_request(connection: &Arc<Connection>) -> Result<Request, String> {
    let mut reader = Reader::new(Arc::clone(connection), MAX_HEAD);
    let why = |error| match error {
        ReadError::Refused(refusal) => refusal.row().1.to_owned(),
        other => format!("{other:?}"),
    };
    let head = reader.read_head(NEVER, NEVER, &|| {}).map_err(why)?;
    let body = body::read(&mut reader, &head, u64::MAX, NEVER, &Bodies::new(u64::MAX)).map_err(why)?;
    Ok(Request::new(head, body, None))
}

/// The registration of a connection that is in no host's table.
struct MemoryRegistration {
    record: Record,
    clock: Clock,
}

impl Registration for MemoryRegistration {
    fn record(&self) -> &Record {
        &self.record
    }

    fn clock(&self) -> Clock {
        self.clock.clone()
    }
}

impl fmt::Debug for Simulation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation").field("max_duration", &self.max_duration).finish_non_exhaustive()
    }
}
