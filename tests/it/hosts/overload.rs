//! More connections than there are slots.

use super::{ask, here, host, open, retry, start, GET, GET_EVENTS, LONG};
use crate::example::nobody_listens;
use crate::notes::{noted, Notes};
use crate::patience::{eventually, unhurried, Gate};
use crate::wire::{insist, Wire};
use brooklet::{Cors, EventSource, Handler, Host, Layout, Notice, Request, Response, RunningHost};
use std::net::TcpListener;

/// A host with so many slots.
fn small(slots: usize, handler: impl Handler) -> (RunningHost, Notes) {
    let (host, notes) = noted(host(handler).limits(unhurried().max_connections(slots)));
    (host.start().unwrap(), notes)
}

fn app() -> Layout {
    Layout::new().index(|_: Request| Response::text("hello")).add("wait", here(|c| c.wait(LONG)))
}

/// Any status but 200 ends a browser's `EventSource` for good, so that is what it gets: a time to come back,
/// and the end. Everybody else is told plainly.
#[test]
fn whoever_is_too_many_is_told() {
    let (host, notes) = small(2, app());
    let _streams = [open(&host, "/wait"), open(&host, "/wait")];

    let (mut events, answer) = insist(&host, GET_EVENTS);
    assert_eq!((answer.status, answer.closes()), (200, true));
    assert_eq!(answer.field("Content-Type"), Some("text/event-stream; charset=utf-8"));
    assert!((1000..=10_000).contains(&retry(&answer.body)), "{answer:?}");
    events.end().unwrap();
    assert_eq!(notes.next("full"), "full 2");

    let post = "POST / HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nContent-Length: 0\r\n\r\n";
    for request in [GET, post, "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"] {
        let (mut wire, answer) = insist(&host, request);
        assert_eq!((answer.status, answer.closes()), (503, true), "{request:?}");
        let after = answer.field("Retry-After").and_then(|seconds| seconds.parse().ok());
        assert!(matches!(after, Some(1_u64..=10)), "{answer:?}");
        wire.end().unwrap();
    }
    let stats = host.stats();
    assert_eq!((stats.answered, stats.streams), (2 + 5, 2));
    assert!(stats.turned_away >= 5, "{stats}"); // those who came too late with their request as well
}

/// It is the thread that accepts which finds that the host is full. No listener may keep it from accepting.
#[test]
fn a_listener_that_blocks_keeps_nobody_out() {
    let (reached, gate) = (Gate::default(), Gate::default());
    let (reaches, waits) = (reached.clone(), gate.clone());
    let host = host(app()).limits(unhurried().max_connections(1)).log(move |notice| {
        if matches!(notice, Notice::Full { .. }) {
            reaches.open();
            waits.pass();
        }
    });
    let host = host.start().unwrap();
    let stream = open(&host, "/wait");
    assert_eq!(insist(&host, GET).1.status, 503);
    reached.pass();
    drop(stream);
    eventually("there is room", || insist(&host, GET).1.status == 200);
    gate.open();
}

/// A stream is what the client names among others, too, and pages of other origins may read what they may read otherwise.
#[test]
fn whoever_wants_events_is_told_so() {
    let origin = "https://friend.example";
    let listed = || Cors::origins([origin]);
    check(None, "text/event-stream", "200");
    check(None, "application/json, text/event-stream", "200");
    check(None, "text/html;q=0.9|TEXT/Event-Stream;q=0.5", "200");
    check(None, "*/*", "503 same-origin");
    check(None, "text/event-streams, x/text/event-stream", "503 same-origin");
    check(Some(Cors::any_origin()), "text/event-stream", "200 *");
    check(Some(listed()), "text/event-stream", "200 https://friend.example");
    check(Some(listed().credentials()), "text/event-stream", "200 https://friend.example true");
    check(Some(listed().credentials()), "*/*", "503 https://friend.example true");
    check(Some(Cors::origins(["https://other.example"])), "text/event-stream", "200");

    #[track_caller]
    fn check(cors: Option<Cors>, accept: &str, expected: &str) {
        let host = host(app()).limits(unhurried().max_connections(1));
        let host = cors.into_iter().fold(host, Host::cors).start().unwrap();
        let _stream = open(&host, "/wait");
        let accept: String = accept.split('|').map(|line| format!("Accept: {line}\r\n")).collect();
        let fields = format!("Host: localhost\r\nOrigin: https://friend.example\r\n{accept}");
        let answer = insist(&host, &format!("GET / HTTP/1.1\r\n{fields}\r\n")).1;
        let mut found = answer.status.to_string();
        for name in [
            "Access-Control-Allow-Origin",
            "Access-Control-Allow-Credentials",
            "Cross-Origin-Resource-Policy",
        ] {
            found.extend(answer.field(name).map(|value| format!(" {value}")));
        }
        assert_eq!(found, expected, "{fields}");
    }
}

#[test]
fn times_to_come_back_differ() {
    let (host, _notes) = small(1, app());
    let _stream = open(&host, "/wait");
    let mut delays: Vec<_> = (0..10).map(|_| retry(&insist(&host, GET_EVENTS).1.body)).collect();
    delays.sort_unstable();
    delays.dedup();
    assert!(delays.len() >= 5, "too much alike: {delays:?}");
}

#[test]
fn service_resumes_when_somebody_leaves() {
    let (host, _notes) = small(1, app());
    for _ in 0..3 {
        let stream = open(&host, "/wait");
        assert_eq!(insist(&host, GET).1.status, 503);
        drop(stream);
        eventually("the slot is free", || host.stats().connections == 0);
        let mut wire = ask(&host, GET);
        assert_eq!(wire.answer(false).unwrap().status, 200);
        drop(wire);
        eventually("the slot is free", || host.stats().connections == 0);
    }
}

/// A client that is told to come back holds no slot, however long that takes: else a few clients that linger would
/// keep everybody else out of a host that serves nobody.
#[test]
fn those_who_are_turned_away_take_no_slot() {
    let (host, _notes) = small(1, app());
    let stream = open(&host, "/wait");
    let turned_away: Vec<_> = (0..3).map(|_| insist(&host, GET)).collect();
    assert!(turned_away.iter().all(|(_, answer)| answer.status == 503));
    // They do not close their side: the host waits a moment for that.
    drop(stream);
    eventually("the stream's slot is free", || host.stats().connections <= turned_away.len() as u64);
    assert_eq!(ask(&host, GET).answer(false).unwrap().status, 200, "nobody is served, and yet it is full");
    drop(turned_away);
}

/// Accepting never waits for those who are turned away.
#[test]
fn silent_connections_do_not_block() {
    let (host, _notes) = small(1, app());
    let stream = open(&host, "/wait");
    let _silent: Vec<Wire> = (0..10).map(|_| ask(&host, "")).collect();
    let _half: Vec<Wire> = (0..10).map(|_| ask(&host, "GET / HT")).collect();
    assert_eq!(insist(&host, GET).1.status, 503);
    drop(stream);
}

/// A stop ends those who are being turned away as well.
#[test]
fn those_who_are_turned_away_do_not_delay_a_stop() {
    let (host, _notes) = small(1, app());
    let _stream = open(&host, "/wait");
    let (_lingering, answer) = insist(&host, GET);
    assert_eq!(answer.status, 503);
    let before = host.stats().turned_away;
    let _silent = ask(&host, "");
    eventually("it is turned away", || host.stats().turned_away == before + 1);
    let report = crate::patience::in_time(move || host.stop_within(LONG));
    assert_eq!(report.forced, 0);
}

/// Streams and requests count alike, at their beginning and at their end.
#[test]
fn what_is_counted() {
    let host = start(
        app()
            .add("fail", |_: Request| -> Response { panic!("boom") })
            .add("events", EventSource::new(|c| Ok(c.send_all((0..5).map(brooklet::Event::new))?))),
    );
    let before = host.stats();
    assert_eq!((before.connections, before.streams, before.accepted, before.answered), (0, 0, 0, 0));
    let mut wire = ask(&host, GET);
    wire.answer(false).unwrap();
    assert_eq!(host.stats().answered, 1, "what has arrived is counted");
    let stream = open(&host, "/wait");
    let now = host.stats();
    assert_eq!((now.answered, now.events), (2, 1), "what has arrived is counted");
    assert_eq!((now.connections, now.streams, now.accepted), (2, 1, 2));
    drop((wire, stream));
    let body = ask(&host, &GET.replace("/ ", "/events ")).answer(false).unwrap().body;
    ask(&host, &GET.replace("/ ", "/fail ")).answer(false).unwrap();
    eventually("all have left", || host.stats().connections == 0);
    let after = host.stats();
    assert_eq!((after.streams, after.accepted, after.answered), (0, 4, 4));
    assert_eq!((after.events, after.panics, after.turned_away), (6, 1, 0));
    assert!(after.bytes > body.len() as u64 + b"data: here\n\n".len() as u64);
}

/// Where no thread can be had, here because nobody can have a stack like that, that is what the error says, and nobody
/// listens.
#[test]
fn no_thread_to_be_had() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (host, notes) = noted(host(app()).listener(listener).stack_size(1 << 46));
    let error = host.start().unwrap_err().to_string();
    assert!(error.starts_with("cannot make a thread to accept connections: "), "{error}");
    nobody_listens(address);
    assert!(notes.so_far().is_empty(), "it has not begun to listen");
}
