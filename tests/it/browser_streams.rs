//! Event streams in Chromium and in Firefox: what arrives and when, and when `EventSource` comes back or stays away.
//!
//! Run it with `cargo test -- --ignored`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use brooklet::{
    Admission, Content, Cors, Event, EventConnection, EventSource, Host, Layout, Request, RunningHost,
};

use crate::patience::DEADLINE;
use crate::random::Random;
use crate::webdriver::{in_each_browser, Browser, Kind};
use crate::wire_law::AWKWARD;

/// `listen` gathers what a source gives: each message as `type|data|last event id`, and when it was opened.
const PAGE: &str = "<!DOCTYPE html><meta charset=utf-8><title>Streams</title><link rel=icon href=data:,>
<script src=shared.js></script><script>
    function listen(url, ...types) {
        window.got = [];
        window.opened = 0;
        window.source = new EventSource(url);
        source.onopen = () => opened++;
        for (const type of ['message', ...types]) {
            source.addEventListener(type, event => got.push(`${event.type}|${event.data}|${event.lastEventId}`));
        }
    }
</script>";

const IS_CLOSED: &str = "return source.readyState === EventSource.CLOSED";

in_each_browser!(each);

fn each(kind: Kind) {
    a_silent_stream_is_open(kind);
    a_browser_reads_what_was_sent(kind);
    a_browser_resumes_and_stops(kind);
    a_browser_comes_back_when_it_is_told_to(kind);
    one_bad_moment_is_over_when_it_is_over(kind);
    pages_of_other_origins(kind);
}

/// Firefox takes a stream for open, and fetch for answered, when the first byte of the body is there.
fn a_silent_stream_is_open(kind: Kind) {
    let host = start(Layout::new().add("silent", silent()));
    let browser = open(kind, &host);
    browser.execute("window.fetched = 0; listen('silent'); fetch('silent').then(() => fetched++)");
    browser.wait_until("return opened === 1 && fetched === 1");
    assert_eq!(browser.execute("return source.readyState + got.length"), "1");
    assert_eq!(host.stats().streams, 2);
}

/// It says nothing before the test is over, not even to keep the connection.
fn silent() -> EventSource {
    EventSource::new(|connection| Ok(connection.wait(Duration::MAX)?)).keep_alive(Duration::ZERO)
}

/// The law of the wire, judged by a browser and by what reads streams for all of its tabs: each text is sent twice, bare
/// and as JSON.
fn a_browser_reads_what_was_sent(kind: Kind) {
    const TEXTS: usize = 2000;
    let source = EventSource::new(move |connection| {
        let mut random = Random::new(6);
        for number in 0..TEXTS {
            let text = random.text(&AWKWARD, 12);
            let event_type = random.text(&["tick", ":", " ", "ü", "\u{2028}", "data"], 2);
            let id = random.text(&["7", ":", " ", "漢", "\u{85}", "id"], 3);
            connection.comment(&text)?;
            connection.send(Event::new(&text).event_type(&*event_type).id(&*id))?;
            let mut with_lf = text.replace("\r\n", "\n").replace('\r', "\n");
            if kind == Kind::Firefox && connection.request().query("by") == Some("EventSource") {
                with_lf = with_lf.replace('\0', ""); // the one character that it leaves out
            }
            let listened = if event_type.is_empty() { "message" } else { &event_type };
            connection.event("expected", (number, listened, with_lf, id))?;
        }
        Ok(connection.finish()?)
    });
    let host = start(Layout::new().add("events", source));
    let browser = open(kind, &host);
    for reader in ["EventSource", "SharedEventSource"] {
        // A listener for each of the types that can be: `addEventListener` takes no pattern.
        browser.execute(&format!("window.reader = {reader}"));
        browser.execute(
            "const parts = ['', 'tick', ':', ' ', 'ü', '\\u2028', 'data'];
        const types = new Set(parts.flatMap(first => parts.map(second => first + second)));
        types.delete('');
        types.add('message');
        window.wrong = [];
        window.right = 0;
        window.source = new reader(`events?by=${reader.name}`);
        let last;
        for (const type of types) {
            source.addEventListener(type, event => last = [event.type, event.data, event.lastEventId]);
        }
        source.addEventListener('expected', event => {
            const [number, ...expected] = JSON.parse(event.data);
            if (JSON.stringify(last) === JSON.stringify(expected) && number === right) right++;
            else wrong.push([last, expected]);
        });",
        );
        browser.wait_until(IS_CLOSED); // by the 204 after `finish`
        assert_eq!(browser.execute("return JSON.stringify(wrong.slice(0, 3))"), "[]");
        assert_eq!(browser.execute("return right"), TEXTS.to_string(), "{reader}");
    }
}

fn a_browser_resumes_and_stops(kind: Kind) {
    let next = |last: Option<&str>| last.map_or(1, |id| id.parse::<u32>().expect("one of our own") + 1);
    let resume = EventSource::new(move |connection| {
        let first = next(connection.last_event_id());
        for id in (first..=23).take(5) {
            connection.send(Event::new(id).id(id.to_string()))?;
        }
        Ok(())
    })
    .inspector(move |_, last| if next(last) > 23 { Admission::NoContent } else { Admission::Accept })
    .retry(Duration::from_millis(20));
    let none = EventSource::new(|_| Ok(())).inspector(|_, _| Admission::NoContent);
    let finish = EventSource::new(|connection| {
        connection.event("step", 1)?;
        Ok(connection.finish()?)
    });
    let host = start(Layout::new().add("resume", resume).add("none", none).add("finish", finish));
    let browser = open(kind, &host);

    // Over ended streams, nothing is lost and nothing comes twice.
    browser.execute("listen('resume')");
    browser.wait_until(IS_CLOSED);
    let all: Vec<_> = (1..=23).map(|id| format!("message|{id}|{id}")).collect();
    assert_eq!(browser.execute("return got.join()"), all.join(","));
    assert_eq!(browser.execute("return opened"), "5");

    // 204: a browser that was told so does not ask again.
    browser.execute("listen('none')");
    browser.wait_until(IS_CLOSED);
    assert_eq!(browser.execute("return got.length + opened"), "0");

    // After `finish` it asks once more, and gets 204.
    browser.execute("listen('finish', 'step', 'finish')");
    browser.wait_until(IS_CLOSED);
    assert_eq!(browser.execute("return got.join()"), "step|1|,finish||brooklet-finished");
    assert_eq!(browser.execute("return opened"), "1");
    assert_eq!(host.stats().failures, 0);
}

fn a_browser_comes_back_when_it_is_told_to(kind: Kind) {
    // Later than by any default, since a busy browser may be late, but never comes too soon.
    const LATE: Duration = Duration::from_secs(12);
    let (by_retry, retried) = arrivals(|connection| Ok(connection.retry(LATE)?));
    let (by_event, returned) = arrivals(|connection| Ok(connection.send(Event::new(1).retry(LATE))?));
    let (by_failure, failed) = arrivals(|_| Err("it was asked to fail".into()));
    let by_failure = by_failure.error_retry(LATE);
    let host = start(Layout::new().add("retry", by_retry).add("event", by_event).add("failure", by_failure));
    let browser = open(kind, &host);
    browser.execute("window.all = ['retry', 'event', 'failure'].map(name => new EventSource(name))");
    for (name, arrivals) in [("retry", retried), ("event", returned), ("failure", failed)] {
        let [first, second] = [(); 2].map(|()| arrivals.recv_timeout(DEADLINE).expect(name));
        let pause = second - first;
        assert!(pause > LATE - Duration::from_secs(1), "{name}: {pause:?}");
    }

    /// A source that says when each of its streams begins.
    fn arrivals(
        generate: impl Fn(&mut EventConnection<'_>) -> brooklet::Result + Send + Sync + 'static,
    ) -> (EventSource, Receiver<Instant>) {
        let (sender, receiver) = mpsc::channel();
        let sender = Mutex::new(sender);
        let source = EventSource::new(move |connection| {
            sender.lock().expect("nobody panics in here").send(Instant::now()).ok(); // the test may be over
            generate(connection)
        });
        (source, receiver)
    }
}

/// A failure says when to come back, which a browser heeds from then on, until it is told otherwise.
fn one_bad_moment_is_over_when_it_is_over(kind: Kind) {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let source = EventSource::new(move |connection| match counter.fetch_add(1, Ordering::Relaxed) {
        0 => Err("it was asked to fail".into()),
        number => Ok(connection.data(number)?),
    })
    .error_retry(Duration::from_secs(8))
    .retry(Duration::from_millis(20));
    let host = start(Layout::new().add("moment", source));
    let browser = open(kind, &host);
    // Ten times eight seconds would be over the deadline. Firefox waits half a second at least.
    browser.execute("listen('moment')");
    browser.wait_until("return got.length >= 10");
    browser.execute("source.close()");
    assert_eq!(host.stats().failures, 1);
}

fn pages_of_other_origins(kind: Kind) {
    let page = start(Layout::new());
    let origin = format!("http://{}", page.address());
    let layout = || {
        let stream = EventSource::new(|connection| {
            let last = connection.last_event_id().unwrap_or("none");
            connection.send(Event::new(last).id("é<1>:2").retry(Duration::from_millis(20)))?;
            Ok(())
        })
        .inspector(|request, last| match request.query("once") {
            Some(_) if last.is_some() => Admission::NoContent,
            _ => Admission::Accept,
        });
        Layout::new().add("stream", stream).add("text", |_: Request| brooklet::Response::text("text"))
    };
    let serve = |host: Host| host.bind("127.0.0.1:0").start().expect("loopback has free ports");
    let listed = serve(Host::new(layout()).cors(Cors::origins([origin])));
    let any = serve(Host::new(layout()).cors(Cors::any_origin()));
    let with_credentials =
        serve(Host::new(layout()).cors(Cors::origins([format!("http://{}", page.address())]).credentials()));
    let other = serve(Host::new(layout()).cors(Cors::origins(["http://other.example"])));
    let without = serve(Host::new(layout()));
    let browser = open(kind, &page);

    for allowed in [&listed, &any, &with_credentials] {
        // It reads the stream, comes back with an id that is more than ASCII, and takes the 204.
        browser.execute(&format!("listen('http://{}/stream?once')", allowed.address()));
        browser.wait_until(IS_CLOSED);
        assert_eq!(browser.execute("return got.join()"), "message|none|é<1>:2");
        browser.execute(&format!("listen('http://{}/stream')", allowed.address()));
        browser.wait_until("return got.length >= 2");
        assert_eq!(browser.execute("source.close(); return got[1]"), "message|é<1>:2|é<1>:2");
    }
    for refused in [&other, &without] {
        browser.execute(&format!("listen('http://{}/stream')", refused.address()));
        browser.wait_until(IS_CLOSED);
        assert_eq!(browser.execute("return got.length + opened"), "0");
    }

    // Credentials only where they were said to be welcome.
    for (host, answer) in [(&with_credentials, "text"), (&listed, "refused"), (&any, "refused")] {
        let url = format!("http://{}/text", host.address());
        browser.execute(&format!(
            "window.answer = '';
            fetch('{url}', {{ credentials: 'include' }}).then(response => response.text())
                .then(text => answer = text, () => answer = 'refused')"
        ));
        browser.wait_until("return answer !== ''");
        assert_eq!(browser.execute("return answer"), answer, "{url}");
    }

    // A request that the browser asks about first: OPTIONS, then POST.
    for (host, answer) in [(&listed, "text"), (&other, "refused")] {
        let url = format!("http://{}/text", host.address());
        browser.execute(&format!(
            "window.answer = '';
            fetch('{url}', {{ method: 'POST', headers: {{ 'Content-Type': 'application/json' }}, body: '{{}}' }})
                .then(response => response.text()).then(text => answer = text, () => answer = 'refused')"
        ));
        browser.wait_until("return answer !== ''");
        assert_eq!(browser.execute("return answer"), answer, "{url}");
    }
}

fn start(layout: Layout) -> RunningHost {
    let layout = layout.index(Content::html(PAGE)).add("shared.js", Content::event_source_script());
    let host = Host::new(layout).bind("127.0.0.1:0");
    host.start().expect("loopback has free ports")
}

fn open(kind: Kind, host: &RunningHost) -> Browser {
    Browser::start(kind, &format!("http://{}/", host.address()))
}
