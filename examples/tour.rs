//! Every feature at a URL of its own, to be looked at with curl, a browser or any other client.
//!
//! Run `cargo run --example tour` and open <http://127.0.0.1:8080>, a page that goes to each of them; `--help` names the
//! options. In the environment, `CORS_ORIGIN=https://a.example` lets the pages of that origin read the answers,
//! `ANY_HOST=1` answers to every name, and `QUIT=1` lets a request stop it.
//!
//! ```text
//! curl -N  'localhost:8080/stock?ms=200'        typed events without end, M ms apart
//! curl -N  localhost:8080/lines                 one event: the text of the file LINES_FILE, or an awkward one
//! curl -N  'localhost:8080/resume?n=8'          the first five of N events, …
//! curl -N  'localhost:8080/resume?n=8' -H 'Last-Event-ID: 5'      … the rest of them, …
//! curl -i  'localhost:8080/resume?n=8' -H 'Last-Event-ID: 8'      … and 204, which says: do not come back
//! curl -i  localhost:8080/none                  204 from the start
//! curl -N  localhost:8080/retry                 come back in 300 ms
//! curl -N  localhost:8080/fail                  a generator that fails: come back in 10 s
//! curl -N  localhost:8080/panic                 a generator that panics: the same
//! curl -N  localhost:8080/tokens -d '{}'        a POST that is answered word by word
//! curl -N  'localhost:8080/lastid?id=x'         an event with that id, and how soon to come back, …
//! curl -N  localhost:8080/lastid -H 'Last-Event-ID: x'          … then with what the client says it has seen
//! curl -N  'localhost:8080/idle?hb=500'         nothing but what keeps it alive
//! curl -N  'localhost:8080/beat?ms=500'         the same, by events of the type `beat`
//! curl -N  'localhost:8080/held?name=x'         nothing, until somebody ends it; as a follower with &follow=1 …
//! curl -X DELETE 'localhost:8080/held?name=x'   … and that somebody
//! curl -N  'localhost:8080/events?n=3&ms=500'   N events in a steady rhythm
//! curl -N  'localhost:8080/topics?of=a,b'        what is published to topics a and b, and to everybody; without `of` all
//! curl     'localhost:8080/topics?topic=a' -d hello     publishes to a topic; without one, to everybody
//! curl -N  'localhost:8080/latest?of=a&pace=500'        the newest of each topic, and at most a write in so many ms
//! curl     'localhost:8080/latest?topic=a' -d 21        the newest of a topic from now on
//! curl -X DELETE 'localhost:8080/latest?topic=a'        takes it out
//! curl -N  localhost:8080/finish                two events, and the end for good
//! curl -N  localhost:8080/chunked               two events in chunks, so that a cut is none …
//! curl -N  'localhost:8080/chunked?fail=1'      … and such a cut, after the first
//! curl -N  localhost:8080/json                  a struct, a list and a map
//! curl -N  'localhost:8080/ndjson?n=3&ms=500'   N lines of JSON, M ms apart, which are no events
//! curl     localhost:8080/echo -d hello         the body of the request; up to 8 MiB
//! curl -i  localhost:8080/error                 a handler that fails: 500
//! curl     localhost:8080/headers               the fields of the request, as they came
//! curl     'localhost:8080/query?a=b+c&d=%C3%A9'    its query, decoded
//! curl     localhost:8080/shared.js             the script by which all tabs have one stream
//! curl     localhost:8080/metrics               how the host is doing, for Prometheus
//! curl -i  localhost:8080/quit -d ''            the end of this program, if it was started with `QUIT=1`
//! curl -i  localhost:8080/anything              404
//! ```

mod cli;

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{env, fs, panic};

use brooklet::{
    json_object, Admission, Channel, Content, Control, Cors, Event, EventConnection, EventSource, Handler,
    Host, IntoResponse, Layout, Limits, Request, Response, SendError, Status, StreamHandle,
};

const MAX_BODY: u64 = 8 * 1024 * 1024;

/// Every line end there is, line ends that are none, and text that looks like fields.
const AWKWARD: &str = " leading space\r\nCR LF above\rCR above\n\ndata: no field\n: no comment\n\
    NUL \0, VT \x0b, FF \x0c, NEL \u{85}, LS \u{2028}, BOM \u{feff}\nünï 漢字 🦀\n";

fn main() -> brooklet::Result {
    let cli = cli::Cli::read("tour [OPTIONS] [PORT]", "Serves every feature at a URL of its own.", &[]);
    // The host logs what panics. std's own report would be written by the thread that panics, and its stream would have
    // to wait for whoever reads standard error.
    panic::set_hook(Box::new(|_| ()));

    let control = Control::new();
    let app = Layout::new()
        .index(Content::html(include_str!("tour.html")))
        .add("shared.js", Content::event_source_script())
        .add("metrics", control.clone())
        .add("stops", Content::text(stops()))
        .add("stock", EventSource::new(stock))
        .add("lines", lines)
        .add("resume", resume())
        .add("none", EventSource::new(|_| Ok(())).inspector(|_, _| Admission::NoContent))
        .add("retry", EventSource::new(|connection| Ok(connection.retry(Duration::from_millis(300))?)))
        .add("fail", EventSource::new(|_| Err("it was asked to fail".into())))
        .add("panic", EventSource::new(|_| panic!("it was asked to panic")))
        .add("tokens", EventSource::new(tokens).methods(["POST"]))
        .add("lastid", EventSource::new(last_id))
        .add("idle", idle)
        .add("beat", beat)
        .add("held", held())
        .add("events", EventSource::new(events))
        .add("topics", topics(Channel::setup().history_events(100).open(), "GET, HEAD, POST"))
        .add("latest", topics(Channel::setup().latest().open(), "GET, HEAD, POST, DELETE"))
        .add("finish", EventSource::new(finish))
        .add("chunked", EventSource::new(in_chunks).chunked())
        .add("json", EventSource::new(json))
        .add("ndjson", ndjson)
        .add("quit", {
            let control = env::var("QUIT").map_or(false, |value| value == "1").then(|| control.clone());
            move |request: Request| quit(&request, control.as_ref())
        })
        .add("echo", |request: Request| Response::bytes("application/octet-stream", request.body().to_vec()))
        .add("error", |_: Request| Err::<Response, _>("it was asked to fail"))
        .add("headers", headers)
        .add("query", query);

    let mut host = cli
        .apply(Host::new(app))
        .limits(Limits::default().max_body(MAX_BODY))
        .defaults()
        .development()
        .console()
        .control(&control);
    if let Ok(origin) = env::var("CORS_ORIGIN") {
        host = host.cors(Cors::try_origins([origin])?);
    }
    if env::var("ANY_HOST").map_or(false, |value| value == "1") {
        host = host.any_host();
    }
    Ok(host.run()?)
}

/// The lines above that say what there is, for the page.
fn stops() -> String {
    let lines = include_str!("tour.rs").lines().filter_map(|line| line.strip_prefix("//! curl "));
    lines.flat_map(|line| [line, "\n"]).collect()
}

fn stock(connection: &mut EventConnection) -> brooklet::Result {
    let pause = millis(connection.request(), "ms", 1000);
    connection.comment("Sending stock data")?;
    loop {
        let symbol = ["AAPL", "GOOGL", "MSFT"][random(3) as usize];
        connection.event(symbol, 100 + random(900))?;
        connection.wait(pause)?;
    }
}

/// A source may be made for one request: here a file decides first whether there is a stream at all.
fn lines(request: Request) -> io::Result<Response> {
    let text = match env::var_os("LINES_FILE") {
        Some(path) => fs::read_to_string(path)?,
        None => String::from(AWKWARD),
    };
    Ok(EventSource::new(move |connection| Ok(connection.data(&text)?)).handle(request))
}

fn resume() -> EventSource {
    let count = |request: &Request| number(request, "n", 20);
    let next =
        |last: Option<&str>| last.and_then(|id| id.parse().ok()).map_or(1, |id: u64| id.saturating_add(1));
    EventSource::new(move |connection| {
        let first = next(connection.last_event_id());
        for id in (first..=count(connection.request())).take(5) {
            connection.send(Event::new(format_args!("event {id}")).id(id.to_string()))?;
        }
        Ok(()) // the browser comes back for more, …
    })
    // … until there is none.
    .inspector(move |request, last| match next(last) > count(request) {
        true => Admission::NoContent,
        false => Admission::Accept,
    })
    .retry(Duration::from_millis(300))
}

/// As a language model answers; the `tokens` example speaks the interface of one.
fn tokens(connection: &mut EventConnection) -> brooklet::Result {
    for word in "A brook runs through it.".split_inclusive(' ') {
        connection.wait(Duration::from_millis(60))?;
        connection.data(word)?;
    }
    Ok(connection.data("[DONE]")?)
}

fn last_id(connection: &mut EventConnection) -> brooklet::Result {
    let id = connection.request().query("id").unwrap_or("…é漢");
    let seen = connection.last_event_id().unwrap_or("nothing seen yet");
    Ok(connection.send(Event::new(seen).id(id).retry(Duration::from_millis(100)))?)
}

fn idle(request: Request) -> Response {
    let interval = millis(&request, "hb", 15_000);
    EventSource::new(|connection| Ok(connection.wait(Duration::MAX)?)).keep_alive(interval).handle(request)
}

/// What `/idle` has in comments, which a page does not see, as events.
fn beat(request: Request) -> Response {
    let interval = millis(&request, "ms", 15_000);
    let source = EventSource::new(|connection| Ok(connection.wait(Duration::MAX)?));
    source.heartbeat("beat").keep_alive(interval).handle(request)
}

/// Streams that somebody else ends, by their names.
fn held() -> impl Handler {
    let handles = Arc::new(Mutex::new(HashMap::<_, StreamHandle>::new()));
    let (held, silence) = (Arc::clone(&handles), Channel::new());
    let name = |request: &Request| request.query("name").unwrap_or_default().to_owned();
    EventSource::new(move |connection| {
        let request = connection.request();
        let mut handles = lock(&held);
        handles.retain(|_, handle| handle.is_open()); // or the names of all who ever came would stay
        handles.insert(name(request), connection.handle());
        drop(handles);
        match request.query("follow") {
            Some("1") => Ok(connection.follow(&silence)?),
            _ => Ok(connection.wait(Duration::MAX)?),
        }
    })
    .otherwise(move |request: Request| match request.method() {
        "DELETE" => {
            let handle = lock(&handles).remove(&name(&request)).filter(StreamHandle::is_open);
            handle.map(|handle| handle.end()).into_response() // 204, or 404
        }
        method => Response::method_not_allowed(method, "GET, HEAD, DELETE"),
    })
}

/// A wait until a moment, unlike a wait for some time, does not add up what the sending takes.
fn events(connection: &mut EventConnection) -> brooklet::Result {
    let interval = millis(connection.request(), "ms", 1000);
    let mut due = connection.now();
    for number in 0..number(connection.request(), "n", 10) {
        connection.wait_until(due)?;
        connection.send(Event::new(number).id(number.to_string()))?;
        due += interval;
    }
    Ok(())
}

/// A channel at a path: GET follows it, POST publishes, DELETE forgets the newest event of a topic.
fn topics(
    channel: Channel,
    methods: &'static str,
) -> impl Fn(Request) -> Result<Response, SendError> + Send + Sync {
    let followed = channel.clone();
    let source = EventSource::new(move |connection| {
        let request = connection.request();
        connection.pace(millis(request, "pace", 0));
        match request.query("of") {
            Some(of) => Ok(connection.follow_topics(&followed, of.split(','))?),
            None => Ok(connection.follow(&followed)?),
        }
    });
    move |request| match (request.method(), request.query("topic")) {
        ("GET" | "HEAD", _) => Ok(source.handle(request)),
        ("POST", topic) => {
            let mut event = Event::new(String::from_utf8_lossy(request.body()));
            if let Some(topic) = topic {
                event = event.topic(topic);
            }
            Ok(Response::text(channel.publish(event)?.id).status(Status::ACCEPTED))
        }
        ("DELETE", Some(topic)) if methods.contains("DELETE") => {
            channel.forget(topic);
            Ok(Response::new(Status::NO_CONTENT))
        }
        (method, _) => Ok(Response::method_not_allowed(method, methods)),
    }
}

fn finish(connection: &mut EventConnection) -> brooklet::Result {
    connection.data("one")?;
    connection.data("two")?;
    Ok(connection.finish()?)
}

fn in_chunks(connection: &mut EventConnection) -> brooklet::Result {
    connection.send(Event::new("one").id("1"))?;
    if connection.request().query("fail") == Some("1") {
        return Err("it was asked to fail".into());
    }
    Ok(connection.send(Event::new("two").id("2"))?)
}

fn ndjson(request: Request) -> Response {
    let (count, pause) = (number(&request, "n", 3), millis(&request, "ms", 1000));
    Response::stream("application/x-ndjson", move |out| {
        for n in 1..=count {
            writeln!(out, "{{\"n\":{n}}}")?;
            out.flush()?;
            if n < count {
                out.wait(pause)?;
            }
        }
        Ok(())
    })
}

fn quit(request: &Request, control: Option<&Control>) -> Status {
    match (request.method(), control) {
        ("POST", Some(control)) => control.request_stop(), // this answer still goes out
        _ => return Status::NOT_FOUND,
    }
    Status::NO_CONTENT
}

struct Quote {
    symbol: &'static str,
    unit_price: f64,
    history: Vec<f64>,
}
json_object!(Quote { symbol, unit_price as "unitPrice", history });

fn json(connection: &mut EventConnection) -> brooklet::Result {
    connection.data(Quote { symbol: "AAPL", unit_price: 129.5, history: vec![128.0, 131.25] })?;
    connection.data(["a\nb", "\"quoted\"", "漢"])?;
    connection.data(BTreeMap::from([("one", Some(1)), ("none", None)]))?;
    Ok(())
}

/// Values may hold bytes that are no text, so they are passed on as bytes.
fn headers(request: Request) -> Response {
    let mut lines = Vec::new();
    for (name, value) in request.headers() {
        lines.extend_from_slice(&[name.as_bytes(), b": ", value, b"\n"].concat());
    }
    Response::bytes("text/plain", lines)
}

fn query(request: Request) -> Response {
    Response::text(request.query_pairs().map(|(key, value)| format!("{key}={value}\n")).collect::<String>())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn number(request: &Request, key: &str, otherwise: u64) -> u64 {
    request.query(key).and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

fn millis(request: &Request, key: &str, otherwise: u64) -> Duration {
    Duration::from_millis(number(request, key, otherwise))
}

/// A number below `end`, good enough for prices: std's only randomness is in the keys of its hash maps.
fn random(end: u64) -> u64 {
    RandomState::new().build_hasher().finish() % end
}
