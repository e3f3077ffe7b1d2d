//! The head of a stream: what it says, when it leaves, and which requests get one.

use super::{ask, host, start, GET};
use crate::memory::Memory;
use crate::patience::Gate;
use brooklet::{Channel, EventSource, RunningHost};
use std::time::Duration;

fn hello() -> RunningHost {
    start(EventSource::new(|connection| Ok(connection.data("hello")?)))
}

/// Each field is there for somebody: nginx, caches, compressing proxies, clients that count lengths.
#[test]
fn exactly_these_fields() {
    let host = hello();
    for request in [GET, "GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"] {
        let mut wire = ask(&host, request);
        let answer = wire.head().unwrap(); // it checks `Date`, and that there is no transfer coding
        assert_eq!(answer.status, 200, "{request:?}");
        let mut fields: Vec<_> = answer
            .lasting_fields()
            .into_iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        fields.sort_unstable();
        let expected = [
            ("Cache-Control", "no-cache, no-transform"),
            ("Connection", "close"),
            ("Content-Type", "text/event-stream; charset=utf-8"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("X-Accel-Buffering", "no"),
        ];
        assert_eq!(fields, expected, "{request:?}");
        assert_eq!(answer.retry.as_deref(), Some("retry: 3000\n"), "{request:?}");
        assert_eq!(wire.rest().unwrap(), b"data: hello\n\n", "{request:?}");
    }
}

/// One write has the head and the line that says when to come back: a browser that waits for a first byte has it, and
/// what an earlier stream has said is over. What answers another method begins with the first event.
#[test]
fn the_first_line_leaves_with_the_head() {
    let silent = || EventSource::new(|_| Ok(())).methods(["GET", "POST"]);
    let post = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    check(silent(), GET, "retry: 3000\n");
    check(silent(), "GET / HTTP/1.0\r\n\r\n", "retry: 3000\n");
    check(silent().retry(Duration::from_millis(1500)), GET, "retry: 1500\n");
    check(silent().retry(Duration::ZERO), GET, "retry: 0\n");
    check(silent(), post, "");
    check(silent().retry(Duration::from_secs(5)), post, "");
    check(silent(), "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n", "");
    check(EventSource::channel(&Channel::new()), GET, "retry: 3000\n");

    #[track_caller]
    fn check(source: EventSource, request: &str, expected: &str) {
        let writes = Memory::new([request]).ended().serve(&host(source)).writes();
        let first = String::from_utf8(writes[0].clone()).unwrap();
        assert_eq!(first.split_once("\r\n\r\n").map(|(_, line)| line), Some(expected), "{request:?}");
    }
}

/// A browser that is connected says so at once, however long the first event takes.
#[test]
fn it_arrives_before_anything_is_sent() {
    let gate = Gate::default();
    let has_head = gate.clone();
    let host = start(EventSource::new(move |connection| {
        has_head.pass();
        Ok(connection.data("hello")?)
    }));
    let mut wire = ask(&host, GET);
    assert_eq!(wire.head().unwrap().status, 200);
    gate.open();
    assert_eq!(wire.rest().unwrap(), b"data: hello\n\n");
}

/// HEAD is the head alone, and no generator runs for it.
#[test]
fn head_requests() {
    let ran = Gate::default();
    let runs = ran.clone();
    let host = start(EventSource::new(move |_| {
        runs.open();
        Ok(())
    }));
    let mut wire = ask(&host, "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = wire.answer(true).unwrap();
    assert_eq!(
        (answer.status, answer.field("Content-Type")),
        (200, Some("text/event-stream; charset=utf-8"))
    );
    assert_eq!(answer.field("Content-Length"), None);
    wire.end().unwrap();
    host.stop(); // whatever was to run has run
    assert!(!ran.is_open(), "a generator ran for HEAD");
}

#[test]
fn methods() {
    let get = EventSource::new(|connection| Ok(connection.data("hello")?));
    let post = || EventSource::new(|connection| Ok(connection.data(connection.request().method())?));
    check(&start(get), &[("GET", 200), ("HEAD", 200), ("POST", 405), ("OPTIONS", 204), ("BREW", 501)]);
    check(
        &start(post().methods(["POST"])),
        &[("GET", 405), ("HEAD", 405), ("POST", 200), ("OPTIONS", 204), ("get", 501)],
    );
    check(
        &start(post().methods(["POST", "GET"])),
        &[("GET", 200), ("HEAD", 200), ("POST", 200), ("PUT", 405)],
    );
    check(&start(post().methods(["BREW"])), &[("GET", 405), ("HEAD", 405), ("BREW", 200)]);

    #[track_caller]
    fn check(host: &RunningHost, rows: &[(&str, u16)]) {
        for (method, status) in rows {
            let mut wire = ask(host, &format!("{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
            assert_eq!(wire.answer(*method == "HEAD").unwrap().status, *status, "{method}");
        }
    }
}

/// RFC 9110 §10.2.1: what is allowed is what was configured, HEAD with GET, and OPTIONS.
#[test]
fn allowed_methods_are_named() {
    let source = || EventSource::new(|_| Ok(()));
    check(source(), "GET, HEAD, OPTIONS");
    check(source().methods(["POST"]), "POST, OPTIONS");
    check(source().methods(["POST", "GET"]), "POST, GET, HEAD, OPTIONS");
    check(source().methods(["GET", "HEAD"]), "GET, HEAD, OPTIONS");

    #[track_caller]
    fn check(source: EventSource, allow: &str) {
        let host = start(source);
        for (method, status) in [("OPTIONS", 204), ("DELETE", 405)] {
            let mut wire = ask(&host, &format!("{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
            let answer = wire.answer(false).unwrap();
            assert_eq!((answer.status, answer.field("Allow")), (status, Some(allow)), "{method}");
        }
    }
}

/// Clients built on `fetch` may send a question along: all of it is there when the generator begins.
#[test]
fn a_body_is_read_first() {
    let host = start(
        EventSource::new(|connection| {
            let body = String::from_utf8(connection.request().body().to_vec())?;
            Ok(connection.data(body)?)
        })
        .methods(["POST"]),
    );
    let length = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nwhy\n?";
    let chunked =
        "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nwh\r\n3\r\ny\n?\r\n0\r\n\r\n";
    for request in [length, chunked] {
        let mut wire = ask(&host, request);
        assert_eq!(wire.head().unwrap().status, 200);
        assert_eq!(wire.rest().unwrap(), b"data: why\ndata: ?\n\n", "{request:?}");
    }
}
