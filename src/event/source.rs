//! The handler that answers with an event stream.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::channel::Channel;
use super::connection::EventConnection;
use super::stream::StreamSettings;
use super::wire::{self, Event, FINISHED_ID};
use crate::clock::NEVER;
use crate::data::Formatting;
use crate::http::{BoxError, Connection, Handler, Request, Response, Status, StreamStart};
use crate::panics;

/// Nginx and HAProxy cut a silent stream after 60 and 50 seconds; axum and sse-starlette also say 15.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The delay of browsers by default. It is sent nevertheless: a page that was told another delay, after a failure or a
/// stop, goes back to this one.
const RETRY: Duration = Duration::from_secs(3);
const ERROR_RETRY: Duration = Duration::from_secs(10);

/// Room for what usually leaves with the head.
const FIRST: usize = 32;

type Generator = dyn Fn(&mut EventConnection<'_>) -> Result<(), BoxError> + Send + Sync;
type Inspector = dyn Fn(&Request, Option<&str>) -> Admission + Send + Sync;
type IsOver = dyn Fn(Option<&str>) -> bool + Send + Sync;

/// Answers with a stream of events that a generator makes, one call of it for each client.
///
/// ```
/// use brooklet::{testing::Client, Admission, EventSource, Formatting, Response, Status};
/// use std::time::Duration;
///
/// let source = EventSource::new(|connection| {
///     connection.event("price", 129.5)?;
///     connection.wait(Duration::from_secs(70))?;
///     Err("the exchange has closed".into())
/// })
/// .inspector(|request, _last_event_id| match request.query("user") {
///     Some(_) => Admission::Accept,
///     None => Admission::Reject(Response::error(Status::UNAUTHORIZED)),
/// })
/// .formatting(Formatting::new().add(|price: &f64| format!("{price:.2}")))
/// .keep_alive(Duration::from_secs(30))
/// .retry(Duration::from_secs(5))
/// .error_retry(Duration::from_secs(60));
///
/// let stream = Client::get("/?user=Ada").in_memory(&source).run();
/// assert_eq!(stream.timeline(), ["0s price: 129.50", "30s :", "60s :", "70s retry 60s"]);
/// assert_eq!(Client::get("/").in_memory(&source).run().status(), Status::UNAUTHORIZED);
/// ```
///
/// The head of the answer leaves before the generator runs, so a client knows at once that it is connected. When a
/// generator returns, its stream ends, and a browser comes back in about three seconds; [`EventConnection::finish`]
/// prevents that. When a generator fails or panics, that is logged, and the client is told to come back in ten seconds. A
/// generator that wants to say more catches its errors itself.
///
/// An `Err` that a generator returns because its client has left is no failure: it is how streams end.
///
/// # What a generator can do wrong
///
/// | it … | then … |
/// |---|---|
/// | sends after [`retry`](EventConnection::retry), [`finish`](EventConnection::finish) or [`follow`](EventConnection::follow) | nothing is written, the call fails |
/// | returns an error, or panics | it is logged, its client told to come back; others notice nothing |
/// | panics in a program with `panic = "abort"` | the program ends, as by a panic of a handler or a listener: all streams break off, no client is told when to come back, and only std's message is printed |
/// | panics while it holds a lock of its own | that lock is poisoned, as always; no lock of this crate is held then |
/// | sends 10 MB in one event | it is sent, in one piece, and the memory given back |
/// | sends without ever waiting | as fast as the client reads; one that reads nothing ends it at the write deadline |
/// | hands its connection to a scoped thread | that thread may send; two at once cannot, by type |
/// | calls nothing of this crate any more | it does not notice that its client has left; a stop goes on without it after its grace |
///
/// In the guide: [lifecycle](crate::guide::lifecycle), [errors](crate::guide::errors).
#[must_use = "a source answers when it is part of a Layout or of a Host"]
pub struct EventSource {
    generator: Arc<Generator>,
    inspector: Option<Box<Inspector>>,
    /// Whether nothing is to come for a client that has seen this id last. It is a closure, so that a program without
    /// channels is linked without their code.
    is_over: Option<Box<IsOver>>,
    otherwise: Option<Box<dyn Handler>>,
    methods: Vec<Cow<'static, str>>,
    settings: Arc<StreamSettings>,
}

/// What an inspector decides before anything is sent.
///
/// ```
/// use brooklet::{testing::Client, Admission, EventSource, Response, Status};
///
/// let source = EventSource::new(|connection| Ok(connection.data("hello")?));
/// let source = source.inspector(|request, last_event_id| match (request.header("Authorization"), last_event_id) {
///     (None, _) => Admission::Reject(Response::error(Status::UNAUTHORIZED)),
///     (Some(_), Some("the last one")) => Admission::NoContent,
///     (Some(_), _) => Admission::Accept,
/// });
/// let client = Client::get("/").header("Authorization", "Bearer x");
/// assert_eq!(client.last_event_id("the last one").in_memory(&source).run().status(), Status::NO_CONTENT);
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Admission {
    /// The generator runs.
    Accept,
    /// `204 No Content`: there is nothing to come, and the client is not to ask again.
    NoContent,
    /// Another answer: `401`, `429` with `Retry-After`, … A browser does not reconnect after it either.
    Reject(Response),
}

impl EventSource {
    /// A source of the events that `generator` sends, one call of it for each client.
    ///
    /// It runs on the connection's own thread and may block as long as it likes, best by
    /// [`wait`](EventConnection::wait) or [`receive`](EventConnection::receive), which notice that the client has left.
    ///
    /// ```
    /// use brooklet::{testing::Client, EventConnection, EventSource};
    /// use std::time::Duration;
    ///
    /// fn ticks(connection: &mut EventConnection) -> brooklet::Result {
    ///     loop {
    ///         connection.data("tick")?;
    ///         connection.wait(Duration::from_secs(1))?;
    ///     }
    /// }
    ///
    /// let by_function = EventSource::new(ticks);
    /// let by_closure = EventSource::new(|connection| Ok(connection.data("once")?));
    /// assert_eq!(Client::get("/").in_memory(&by_function).leave_after(2).run().timeline()[1], "1s message: tick");
    /// assert_eq!(Client::get("/").in_memory(&by_closure).run().timeline(), ["0s message: once"]);
    /// ```
    pub fn new(
        generator: impl Fn(&mut EventConnection<'_>) -> Result<(), BoxError> + Send + Sync + 'static,
    ) -> Self {
        Self::of(Arc::new(generator))
    }

    /// The generator comes in a pointer: without it, the compiler would repeat this for each generator.
    fn of(generator: Arc<Generator>) -> Self {
        Self {
            generator,
            inspector: None,
            is_over: None,
            otherwise: None,
            methods: vec![Cow::Borrowed("GET")],
            settings: Arc::new(StreamSettings {
                formatting: Arc::default(),
                keep_alive: Some(KEEP_ALIVE),
                heartbeat: None,
                retry: RETRY,
                error_retry: Some(ERROR_RETRY),
                max_age: None,
                pace: None,
                is_chunked: false,
            }),
        }
    }

    /// A source whose clients all follow a channel. When the channel is closed, a client that has missed nothing is
    /// answered `204`.
    ///
    /// ```
    /// use brooklet::{testing::Client, Channel, EventSource, Status};
    ///
    /// let news = Channel::new();
    /// let source = EventSource::channel(&news);
    /// news.close();
    /// assert_eq!(Client::get("/").in_memory(&source).run().status(), Status::NO_CONTENT);
    /// ```
    pub fn channel(channel: &Channel) -> Self {
        let (followed, asked) = (channel.clone(), channel.clone());
        let mut source = Self::new(move |connection| Ok(connection.follow(&followed)?));
        source.is_over = Some(Box::new(move |last_event_id| asked.is_over_for(last_event_id)));
        source
    }

    /// Looks at each request, and at the last event id if there is one, before anything is answered.
    ///
    /// For an example see [`Admission`].
    pub fn inspector(
        mut self,
        inspector: impl Fn(&Request, Option<&str>) -> Admission + Send + Sync + 'static,
    ) -> Self {
        self.inspector = Some(Box::new(inspector));
        self
    }

    /// Overrides the text of values of some types, as in the example of [`EventSource`].
    pub fn formatting(mut self, formatting: Formatting) -> Self {
        self.settings().formatting = Arc::new(formatting);
        self
    }

    /// Tells clients how long to wait before they reconnect: three seconds, unless set.
    ///
    /// It is the first line of each stream that answers a GET, and leaves with the head. Streams that answer other
    /// methods have no such line, since their clients expect an event first; [`Event::retry`](crate::Event::retry)
    /// sends it there.
    pub fn retry(mut self, delay: Duration) -> Self {
        self.settings().retry = delay;
        self
    }

    /// How long clients wait before they come back after the generator has failed or panicked: ten seconds, unless set.
    pub fn error_retry(mut self, delay: Duration) -> Self {
        self.settings().error_retry = Some(delay);
        self
    }

    /// Sends a comment line when nothing was sent for so long: fifteen seconds, unless set; never, if zero. It is sent
    /// while the generator waits or receives, and while the stream follows a channel.
    ///
    /// Proxies cut silent streams, and some of them notice only by the next bytes that a client has left. A
    /// [`SharedEventSource`](crate::Content::event_source_script) takes a minute without a byte for a dead connection, and
    /// connects anew.
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.settings().keep_alive = (!interval.is_zero()).then_some(interval.min(NEVER));
        self
    }

    /// Keeps streams alive by an event of this type, with empty data, in place of the comment: a page sees no comments,
    /// so it cannot tell a silent stream from a dead one.
    ///
    /// It comes when nothing else was sent for as long as [`keep_alive`](Self::keep_alive) says. It has no id, is in no
    /// channel's history, and does not count as an event. The first block of a stream repeats the id that the client
    /// came with: clients that follow the standard to the letter would forget it at an event without an id.
    ///
    /// ```
    /// # use brooklet::{testing::Client, EventSource};
    /// # use std::time::Duration;
    /// let source = EventSource::new(|connection| Ok(connection.wait(Duration::from_secs(12))?));
    /// let source = source.heartbeat("beat").keep_alive(Duration::from_secs(5));
    /// assert_eq!(Client::get("/").in_memory(&source).run().timeline(), ["5s beat: ", "10s beat: "]);
    /// ```
    ///
    /// # Panics
    ///
    /// If the type has a line end.
    #[track_caller]
    pub fn heartbeat(mut self, event_type: impl Into<Cow<'static, str>>) -> Self {
        let event = Event::new("").event_type(event_type).encode().expect("an event type is one line");
        self.settings().heartbeat = Some(event.into());
        self
    }

    /// Ends each stream at a random time between four fifths of this age and all of it, so that not all end at once.
    /// Never, if zero or not set.
    ///
    /// The stream ends between two events, and the client is told to come back in 1.5 to 4.5 seconds. So clients move to
    /// another instance behind a balancer, and their credentials are judged again. It is the only bound for a stream
    /// whose client has disappeared without closing its connection, as when a cable is pulled.
    ///
    /// ```
    /// # use brooklet::{testing::Client, CloseReason, EventSource};
    /// # use std::time::Duration;
    /// let source = EventSource::new(|connection| Ok(connection.wait(Duration::MAX)?));
    /// let stream = Client::get("/").in_memory(&source.max_age(Duration::from_secs(600))).run();
    /// assert_eq!(stream.reason(), Some(CloseReason::MaxAge));
    /// ```
    pub fn max_age(mut self, age: Duration) -> Self {
        self.settings().max_age = (!age.is_zero()).then_some(age);
        self
    }

    /// Sends each client at most one write of a channel's events in each `interval`. Unless set, or if zero, an event
    /// leaves as soon as it is published. For an example see [`EventConnection::pace`].
    pub fn pace(mut self, interval: Duration) -> Self {
        self.settings().pace = (!interval.is_zero()).then_some(interval.min(NEVER));
        self
    }

    /// Sends each stream in chunks to clients of HTTP/1.1, so that they can tell an end from a cut.
    ///
    /// A stream ends with its connection, and a stream that breaks off looks the same to a client. A client that comes
    /// back by itself loses nothing by that. Most clients that POST do not come back, and take half an answer for a whole
    /// one: OpenAI's clients end their loop without an error. In chunks, the last one says that everything is there. It
    /// is sent when the generator has returned `Ok`, or has called [`finish`](EventConnection::finish) or
    /// [`retry`](EventConnection::retry). It is not sent when the generator has failed or panicked, the host stops, the
    /// stream is too old, or its [handle](EventConnection::handle) ends it.
    ///
    /// Chunks also help clients that read in blocks, such as Python's `requests`, which otherwise hands out lines late.
    /// They are off unless asked for, because HAProxy holds back chunks for a fifth of a second, unless its
    /// configuration has `option http-no-delay`. A stream in chunks that follows a channel keeps its thread.
    ///
    /// ```
    /// # use brooklet::{testing::Client, EventSource, Host};
    /// let source = EventSource::new(|connection| Ok(connection.data("all there is")?)).methods(["POST"]).chunked();
    /// let host = Host::new(source).bind("127.0.0.1:0").start()?;
    /// let stream = Client::new("POST", "/").connect(host.address())?;
    /// assert_eq!(stream.header("Transfer-Encoding"), Some("chunked"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn chunked(mut self) -> Self {
        self.settings().is_chunked = true;
        self
    }

    /// The methods that open a stream: GET, unless set. HEAD goes with GET.
    ///
    /// Clients that use `fetch` may POST; the body was read before the generator runs.
    ///
    /// ```
    /// use brooklet::{testing::Client, EventSource, Status};
    ///
    /// let source = EventSource::new(|connection| {
    ///     let question = String::from_utf8_lossy(connection.request().body());
    ///     Ok(connection.data(format!("you asked: {question}"))?)
    /// })
    /// .methods(["GET", "POST"]);
    /// let stream = Client::new("POST", "/").body("why?").in_memory(&source).run();
    /// assert_eq!(stream.timeline(), ["0s message: you asked: why?"]);
    /// assert_eq!(Client::new("PUT", "/").in_memory(&source).run().status(), Status::METHOD_NOT_ALLOWED);
    /// ```
    pub fn methods<M: Into<Cow<'static, str>>>(mut self, methods: impl IntoIterator<Item = M>) -> Self {
        self.methods = methods.into_iter().map(Into::into).collect();
        self
    }

    /// Has another handler answer the methods that open no stream: GET streams, say, and POST publishes.
    ///
    /// ```
    /// use brooklet::{testing::Client, Channel, Event, EventSource, Request, Status};
    ///
    /// let room = Channel::new();
    /// let source = EventSource::channel(&room).otherwise(move |request: Request| match request.method() {
    ///     "POST" => match room.publish(Event::new(String::from_utf8_lossy(request.body()))) {
    ///         Ok(_) => Status::NO_CONTENT,
    ///         Err(_) => Status::GONE,
    ///     },
    ///     _ => Status::METHOD_NOT_ALLOWED,
    /// });
    /// let told = Client::new("POST", "/").body("hello").in_memory(&source).run();
    /// assert_eq!(told.status(), Status::NO_CONTENT);
    /// ```
    pub fn otherwise(mut self, handler: impl Handler) -> Self {
        self.otherwise = Some(Box::new(handler));
        self
    }

    /// The settings, to be changed: no stream shares them yet.
    fn settings(&mut self) -> &mut StreamSettings {
        Arc::make_mut(&mut self.settings)
    }

    fn allows(&self, method: &str) -> bool {
        self.methods.iter().any(|allowed| *allowed == method)
    }

    /// The answer to a method that opens no stream.
    fn refuse_method(&self, method: &str) -> Response {
        let with_get = (self.allows("GET") && !self.allows("HEAD")).then_some("HEAD");
        let mut allowed = String::new();
        for method in self.methods.iter().map(Cow::as_ref).chain(with_get) {
            allowed.push_str(if allowed.is_empty() { "" } else { ", " });
            allowed.push_str(method);
        }
        Response::method_not_allowed(method, &allowed)
    }

    fn admit(&self, request: &Request, last_event_id: Option<&str>) -> Admission {
        match (&self.inspector, last_event_id) {
            // Before the inspector, which need not know the reserved id.
            (_, Some(FINISHED_ID)) => Admission::NoContent,
            _ if matches!(&self.is_over, Some(is_over) if is_over(last_event_id)) => Admission::NoContent,
            (Some(inspector), _) => inspector(request, last_event_id),
            (None, _) => Admission::Accept,
        }
    }
}

impl Handler for EventSource {
    fn handle(&self, request: Request) -> Response {
        let method = if request.method() == "HEAD" { "GET" } else { request.method() };
        if !self.allows(method) && !self.allows(request.method()) {
            return match &self.otherwise {
                Some(handler) => handler.handle(request),
                None => self.refuse_method(request.method()),
            };
        }
        let last_event_id = last_event_id(&request);
        match self.admit(&request, last_event_id.as_deref()) {
            Admission::NoContent => return Response::new(Status::NO_CONTENT),
            Admission::Reject(response) => return response,
            Admission::Accept => {}
        }
        let (generator, settings) = (Arc::clone(&self.generator), Arc::clone(&self.settings));
        let is_chunked = settings.is_chunked && request.head().minor_version > 0;
        let mut start = StreamStart { first: String::with_capacity(FIRST), is_chunked };
        // Some browsers say that a stream is open when its first byte is there, and not before.
        if method == "GET" {
            wire::write_retry(&mut start.first, settings.retry);
        }
        if let (Some(_), Some(id)) = (&settings.heartbeat, &last_event_id) {
            wire::write_known_id(&mut start.first, id);
        }
        let fields = vec![
            ("Content-Type", "text/event-stream; charset=utf-8".into()),
            // No proxy may keep or change it. Nginx, which buffers what it passes on, knows only the second of these.
            ("Cache-Control", "no-cache, no-transform".into()),
            ("X-Accel-Buffering", "no".into()),
        ];
        let stream = move |connection: Arc<Connection>| {
            let last_event_id = last_event_id.as_deref();
            let mut events = EventConnection::new(connection, &request, last_event_id, &settings, is_chunked);
            let outcome = panics::catch(|| generator(&mut events));
            events.stream.conclude(outcome)
        };
        Response::begin_stream(fields, start, Box::new(stream))
    }
}

/// The id of the last event that the client has seen; an empty one counts as none (HTML §9.2.6).
///
/// The field holds UTF-8 (HTML §9.2.4). Other bytes are decoded with U+FFFD: that is no id of ours, but the client must
/// not pass for one that has seen nothing. Clients that cannot set fields say the id in the query.
fn last_event_id(request: &Request) -> Option<String> {
    match request.header_bytes("Last-Event-ID") {
        Some(id) if !id.is_empty() => return Some(String::from_utf8_lossy(id).into_owned()),
        _ => {}
    }
    let in_query = ["lastEventId", "last_event_id"].into_iter().filter_map(|key| request.query(key));
    in_query.filter(|id| !id.is_empty()).map(str::to_owned).next()
}

impl fmt::Debug for EventSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventSource")
            .field("methods", &self.methods)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
