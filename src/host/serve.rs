//! One connection: head, body, handler, answer, and again, until the client or the host closes it.
//!
//! A stream keeps all pages of its thread's stack that were touched before, and its generator runs below the frames that
//! led to it. So what is done before a stream, or instead of one, is not inlined into those: two pages are enough.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::guard::Rules;
use super::log::Notice;
use super::slots::Slot;
use super::Settings;
use crate::http::answer::{AnswerWriter, Persistence};
use crate::http::{body, conditional, forwarded, is_local};
use crate::http::{AnySocket, Connection, Head, ReadError, Reader, Request, Response, Status, StreamBody};
use crate::panics::{self, Panic};
use crate::random;

/// Above the limit of connections a client gets this long to say what it wants.
const OVERFLOW_HEAD: Duration = Duration::from_secs(1);
/// A thread that waits for the next request yields and polls this often before it sleeps: on a busy host the client has
/// mostly sent it by then.
const TURNS: usize = 4;
/// When clients come back that found no slot: at a random time in this range, so that they do not come together.
const OVERFLOW_RETRY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(6));

/// Serves a connection to its end, or until its stream is handed to a channel, on the calling thread.
pub(super) fn serve(settings: &Settings, slot: Arc<Slot>, socket: AnySocket) {
    let service = &settings.service;
    let _serving = service.slots.serving(slot.number);
    let slot = slot; // dropped before `_serving`: it asks whether this is its own thread
    let registration = Arc::clone(&slot) as _;
    let connection =
        match Connection::new(socket, service.stop.clone(), settings.limits.write_deadline, registration) {
            Ok(connection) => Arc::new(connection),
            Err(_) => return, // it is dead already
        };
    service.slots.enter(&slot, &connection);
    if service.stop.is_requested() {
        connection.finish_reading(); // the stop may have looked before it was there
    }
    match slot.is_turned_away() {
        true => turn_away(settings, &connection),
        false => converse(settings, &slot, connection),
    }
}

fn converse(settings: &Settings, slot: &Slot, connection: Arc<Connection>) {
    let mut conversation = Conversation {
        settings,
        slot,
        peer: connection.peer_address(),
        rules: settings.guard.rules(&connection),
        reader: Reader::new(Arc::clone(&connection), settings.limits.max_head),
        answers: AnswerWriter::new(),
    };
    loop {
        match conversation.exchange() {
            Next::Request => conversation.let_others_run(),
            Next::Close => return,
            Next::CloseGently => return conversation.reader.connection.close_gently(),
            Next::Stream(request, stream) => {
                // An idle stream costs a thread; it need not cost buffers as well.
                drop(conversation);
                return run_stream(settings, connection, &request, stream);
            }
        }
    }
}

/// Tells a client that there is no slot: to come back, if it wants events.
///
/// Any status but 200 would end an `EventSource` for good. The answer says nothing else, so that no rule keeps it from
/// pages that may read the stream.
#[inline(never)]
fn turn_away(settings: &Settings, connection: &Arc<Connection>) {
    let delay = random::between(OVERFLOW_RETRY.0, OVERFLOW_RETRY.1);
    let mut reader = Reader::new(Arc::clone(connection), settings.limits.max_head);
    let head = match reader.read_head(OVERFLOW_HEAD, OVERFLOW_HEAD, &|| {}) {
        Ok(head) => head,
        Err(_) => return,
    };
    let mut response = if head.method() == "GET" && head.accepts("text/event-stream") {
        let retry = format!("retry: {}\n", delay.as_millis() as u64);
        let response = Response::bytes("text/event-stream; charset=utf-8", retry.into_bytes());
        settings.complete(Rules::None, Some(&head), response.header("Cache-Control", "no-store"))
    } else {
        let rules = settings.guard.rules(connection);
        let response = Response::error(Status::SERVICE_UNAVAILABLE);
        let response = response.header("Retry-After", delay.as_secs().max(1).to_string());
        settings.complete(rules, Some(&head), response)
    };
    settings.service.slots.counters.answered.add(1);
    // Whether it arrives or not, the connection is over.
    let _ = AnswerWriter::new().write(connection, head.method(), &mut response, Persistence::Close);
    reader.connection.close_gently();
}

impl Settings {
    /// Logs, once in a while, that connections cannot be accepted or have no thread.
    pub(super) fn report_trouble(&self, error: &io::Error) {
        if self.troubles.is_due() {
            let error = match error.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::new(error.kind(), error.to_string()),
            };
            self.log.write_elsewhere(Notice::CannotAccept { error }, &self.service.deferred);
        }
    }

    /// Counts and logs what a handler or a generator has ended with.
    fn report(&self, request: &Request, error: &(dyn Error + Send + Sync + 'static)) {
        let counters = &self.service.slots.counters;
        match error.is::<Panic>() {
            true => counters.panics.add(1),
            false => counters.failures.add(1),
        };
        self.log.write(&Notice::Failed { request, error });
    }

    /// Adds the fields that all answers of a host have, those of the host itself and those of its handler.
    fn complete(&self, rules: Rules, head: Option<&Head>, mut response: Response) -> Response {
        if self.has_defaults {
            response = or_header(response, "X-Content-Type-Options", "nosniff");
            response = or_header(response, "Cross-Origin-Opener-Policy", "same-origin");
        }
        if rules == Rules::All && !matches!(head, Some(head) if self.guard.allows_origin(head)) {
            response = or_header(response, "Cross-Origin-Resource-Policy", "same-origin");
        }
        match (&self.guard.cors, head) {
            (Some(cors), Some(head)) => cors.apply(head, response),
            _ => response,
        }
    }
}

/// Sets a field unless the handler has.
fn or_header(response: Response, name: &'static str, value: &'static str) -> Response {
    match response.header_value(name) {
        Some(_) => response,
        None => response.header(name, value),
    }
}

/// What to do after an exchange.
enum Next {
    Request,
    Close,
    CloseGently,
    Stream(Request, StreamBody),
}

struct Conversation<'h> {
    settings: &'h Settings,
    slot: &'h Slot,
    peer: Option<SocketAddr>,
    rules: Rules,
    reader: Reader,
    answers: AnswerWriter,
}

impl Conversation<'_> {
    /// Polls for the client's next request, and yields in between. On a busy host it has come by then, and a thread
    /// that does not sleep need not be woken.
    fn let_others_run(&mut self) {
        for _ in 0..TURNS {
            if self.reader.has_news() {
                return;
            }
            thread::yield_now();
        }
    }

    /// One request and its answer.
    fn exchange(&mut self) -> Next {
        match self.receive() {
            Ok((request, started)) => self.answer(&request, started),
            Err(next) => next,
        }
    }

    /// Reads a request.
    #[inline(never)]
    fn receive(&mut self) -> Result<(Request, Instant), Next> {
        let limits = &self.settings.limits;
        let slot = self.slot;
        slot.end_service();
        let begins = || slot.begin_head(limits.max_heads);
        let head = self.reader.read_head(limits.idle_deadline, limits.head_deadline, &begins);
        if !slot.begin_service() {
            return Err(Next::Close);
        }
        let head = match head {
            Ok(head) => head,
            Err(error) => return Err(self.give_up(None, error)),
        };
        let started = Instant::now();
        if let Err(sentence) = self.settings.guard.judge(self.rules, &head) {
            self.settings.service.slots.counters.forbidden.add(1);
            return Err(self.refuse(Some(&head), Status::FORBIDDEN, sentence));
        }
        let (max, patience, all) = (limits.max_body, limits.body_deadline, &self.settings.bodies);
        let body = match body::read(&mut self.reader, &head, max, patience, all) {
            Ok(body) => body,
            Err(error) => return Err(self.give_up(Some(&head), error)),
        };
        let peer = self.peer(Some(&head));
        Ok((Request::new(head, body, peer), started))
    }

    /// Has it answered, by the handler or without.
    #[inline(never)]
    fn answer(&mut self, request: &Request, started: Instant) -> Next {
        let mut has_panicked = false;
        let response = match self.own_answer(request.head()) {
            Some(response) => response,
            None => {
                let outcome = panics::catch(|| self.settings.handler.handle(request.clone()));
                has_panicked = outcome.is_err();
                self.finish(request, outcome)
            }
        };
        let response = self.settings.complete(self.rules, Some(request.head()), response);
        // What a panic has left behind is not known: this connection, at least, is not used again.
        let persistence = match has_panicked || response.stream_start().is_some() {
            true => Persistence::Close,
            false => self.persistence(request.head()),
        };
        self.send(request, response, persistence, started)
    }

    /// Asked after the handler: a client that is answered during a stop is told that nothing follows (RFC 9112 §9.6).
    fn persistence(&self, head: &Head) -> Persistence {
        match head.is_persistent() && !self.settings.service.stop.is_requested() {
            false => Persistence::Close,
            true if head.minor_version == 0 => Persistence::StayByRequest,
            true => Persistence::Stay,
        }
    }

    /// The host's own answer to `OPTIONS *` (RFC 9110 §9.3.7), and to a browser that asks by CORS before it sends.
    fn own_answer(&self, head: &Head) -> Option<Response> {
        match &self.settings.guard.cors {
            _ if head.target() == "*" => Some(Response::new(Status::OK)),
            Some(cors) => cors.preflight(head),
            None => None,
        }
    }

    /// The response that is sent: 500 after a panic, the error told to the log or shown, and conditions of the request
    /// obeyed.
    #[inline(never)]
    fn finish(&self, request: &Request, outcome: Result<Response, Panic>) -> Response {
        let failed = |panic: Panic| Response::error(Status::INTERNAL_SERVER_ERROR).caused_by(panic.into());
        let mut response = outcome.unwrap_or_else(failed);
        if let Some(error) = response.error.take() {
            self.settings.report(request, &*error);
            if self.settings.shows_errors {
                // Its text is the user's own code as well.
                let text = panics::catch(|| error.to_string()).unwrap_or_else(|panic| panic.to_string());
                response = Response::explain(response.status_code(), &text);
            }
        }
        if self.settings.has_defaults {
            response = conditional::tag(request, response);
        }
        conditional::apply(request, response)
    }

    fn send(
        &mut self,
        request: &Request,
        mut response: Response,
        persistence: Persistence,
        started: Instant,
    ) -> Next {
        let connection = &self.reader.connection;
        let opens_stream = response.stream_start().is_some() && response.has_body(request.method());
        // What is counted is counted before its bytes leave: a client that has them may look at the counter.
        self.settings.service.slots.counters.answered.add(1);
        if opens_stream {
            self.slot.open_stream(request, &self.settings.log, &self.settings.service.deferred);
        }
        let bytes = match self.answers.write(connection, request.method(), &mut response, persistence) {
            Ok(bytes) => bytes,
            Err(_) => {
                // The client has left, or a file could not be read to its end.
                if let Some(error) = response.error.take() {
                    self.settings.report(request, &*error);
                }
                return Next::Close;
            }
        };
        if opens_stream {
            let stream = |stream| Next::Stream(request.without_body(), stream);
            return response.into_stream().map_or(Next::Close, stream);
        }
        // Without a log listener, the clock is not read either.
        if !self.settings.log.is_silent() {
            self.settings.log.write(&Notice::Answered {
                request,
                status: response.status_code(),
                bytes,
                duration: started.elapsed(),
            });
        }
        match persistence {
            Persistence::Stay | Persistence::StayByRequest => Next::Request,
            Persistence::Close if self.reader.has_unread() => Next::CloseGently,
            Persistence::Close => Next::Close,
        }
    }

    /// Who sent a request: the client of a proxy, where there is one.
    fn peer(&self, head: Option<&Head>) -> Option<SocketAddr> {
        match head {
            Some(head) if self.settings.is_behind_proxy && is_local(self.peer) => {
                forwarded::client(head).or(self.peer)
            }
            _ => self.peer,
        }
    }

    fn give_up(&mut self, head: Option<&Head>, error: ReadError) -> Next {
        match error {
            ReadError::Refused(refusal) => {
                self.settings.service.slots.counters.refused.add(1);
                let (status, why) = refusal.row();
                self.refuse(head, status, why)
            }
            ReadError::Idle | ReadError::Closed(_) => Next::Close,
        }
    }

    /// Answers a request that no handler saw, and closes: what follows it cannot be told apart from its body.
    fn refuse(&mut self, head: Option<&Head>, status: Status, why: &'static str) -> Next {
        let mut response = self.settings.complete(self.rules, head, Response::explain(status, why));
        if status == Status::SERVICE_UNAVAILABLE {
            response = response.header("Retry-After", "1");
        }
        let connection = &self.reader.connection;
        // Whether it arrives or not, the connection is over.
        let method = head.map_or("", Head::method);
        self.settings.service.slots.counters.answered.add(1);
        let _ = self.answers.write(connection, method, &mut response, Persistence::Close);
        self.settings.log.write(&Notice::Refused { peer: self.peer(head), status, why });
        Next::CloseGently
    }
}

fn run_stream(settings: &Settings, connection: Arc<Connection>, request: &Request, stream: StreamBody) {
    // Held to the end, so that what it sends is counted; its slot takes that over as soon as it is gone.
    let _held = Arc::clone(&connection);
    if let Err(error) = stream(connection) {
        settings.report(request, &*error);
    }
}
