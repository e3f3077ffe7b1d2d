//! What a host says of itself: to its log, and to the client of a handler that failed.

use super::{again, ask, host, start, GET};
use crate::notes::noted;
use crate::patience::{DEADLINE, LONG};
use brooklet::{Content, EventSource, Host, Layout, Notice, Request, Response, RunningHost};
use std::io;

fn app() -> Layout {
    Layout::new()
        .index(Content::text("hello"))
        .add("fail", |_: Request| -> Result<Response, io::Error> {
            Err(io::Error::new(io::ErrorKind::Other, "the disk is <full>"))
        })
        .add("panic", |_: Request| -> Response { panic!("number {}", 7) })
        .add("bomb", |_: Request| -> Response { std::panic::panic_any(Bomb) })
        .add("mute", |_: Request| -> Result<Response, Mute> { Err(Mute) })
}

/// An error that cannot even be told.
#[derive(Debug)]
struct Mute;

impl std::fmt::Display for Mute {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("no words")
    }
}

impl std::error::Error for Mute {}

/// A payload that panics when it is dropped, which must not end the thread a second time.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

fn get(path: &str) -> String {
    GET.replace("/ ", &format!("{path} "))
}

#[test]
fn every_answer_is_logged() {
    let (host, notes) = noted(host(app()));
    let host = host.start().unwrap();
    notes.next("listening");
    let other = "refused 403: only localhost and addresses are answered here; \
                 other names need Host::allow_host (--host in the examples)";
    let unencoded = "refused 400: the request target holds a byte that has to be percent-encoded";
    for (request, line) in [
        ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "answered GET / 200, 5 bytes"),
        ("HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n", "answered HEAD / 200, 0 bytes"),
        ("GET /a%20b?c HTTP/1.1\r\nHost: localhost\r\n\r\n", "answered GET /a%20b?c 404, 14 bytes"),
        ("DELETE / HTTP/1.1\r\nHost: localhost\r\n\r\n", "answered DELETE / 405, 23 bytes"),
        ("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", "answered OPTIONS * 200, 0 bytes"),
        ("nonsense\r\n\r\n", "refused 400: the request line is malformed"),
        ("GET /?name=Zoë HTTP/1.1\r\nHost: localhost\r\n\r\n", unencoded),
        ("GET /?{\"a\":1} HTTP/1.1\r\nHost: localhost\r\n\r\n", unencoded),
        ("GET / HTTP/2.0\r\n\r\n", "refused 505: only HTTP/1.0 and HTTP/1.1 are spoken here"),
        ("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", other),
    ] {
        ask(&host, request).answer(request.starts_with("HEAD")).unwrap();
        assert_eq!(notes.next(""), line, "{request:?}");
    }
    host.stop_within(LONG);
    assert!(notes.so_far().is_empty(), "said twice");
}

/// A stream may last for days, and so does what is kept for its last line.
#[test]
fn what_is_told_of_a_request() {
    let (sender, told) = std::sync::mpsc::channel();
    let app = EventSource::new(|c| Ok(c.data(c.request().body().len())?)).methods(["POST"]);
    let host = host(Layout::new().add("echo", app)).log(move |notice| {
        if let Notice::StreamOpened { request, .. } | Notice::StreamEnded { request, .. } = notice {
            sender.send((request.header("X-Name").map(str::to_owned), request.body().len())).unwrap();
        }
    });
    let request = "POST /echo HTTP/1.1\r\nHost: localhost\r\nX-Name: me\r\nContent-Length: 4\r\n\r\n1234";
    let host = host.start().unwrap();
    let answer = ask(&host, request).rest().unwrap();
    assert!(answer.ends_with(b"\r\n\r\ndata: 4\n\n"));
    for length in [4, 0] {
        assert_eq!(told.recv_timeout(DEADLINE), Ok((Some(String::from("me")), length)));
    }
}

/// An error is the log's; the client is told only that there was one.
#[test]
fn errors_are_not_shown() {
    let (host, notes) = noted(host(app()));
    let host = host.start().unwrap();
    let mut wire = ask(&host, "");
    let answer = again(&mut wire, &get("/fail"));
    assert_eq!((answer.status, answer.closes()), (500, false)); // an error is an answer like others
    assert_eq!(answer.body, b"500 Internal Server Error\n");
    assert_eq!(notes.next("failed"), "failed GET /fail: the disk is <full>");
    assert_eq!(notes.next(""), "answered GET /fail 500, 26 bytes");
    assert_eq!(again(&mut wire, GET).status, 200);
    assert_eq!(host.stats().failures, 1);
}

#[test]
fn development_shows_errors() {
    let host = host(app()).development().start().unwrap();
    check(&host, "/fail", "500 Internal Server Error: the disk is <full>\n");
    check(&host, "/panic", "500 Internal Server Error: panicked: number 7\n");
    check(&host, "/mute", "500 Internal Server Error: panicked: no words\n");

    #[track_caller]
    fn check(host: &RunningHost, path: &str, body: &str) {
        let answer = ask(host, &get(path)).answer(false).unwrap();
        assert_eq!(answer.status, 500);
        assert_eq!(String::from_utf8(answer.body.clone()).unwrap(), body);
        assert_eq!(answer.field("Content-Type"), Some("text/plain; charset=utf-8"));
        // `<` is a `<`
    }
}

/// A panic costs its own connection, and nothing else.
#[test]
fn panics_of_handlers() {
    let (host, notes) = noted(host(app()));
    let host = host.start().unwrap();
    let mut other = ask(&host, "");
    assert_eq!(again(&mut other, GET).status, 200);
    for (path, said) in [("/panic", "panicked: number 7"), ("/bomb", "panicked: a payload that is no text")] {
        let mut wire = ask(&host, &get(path));
        let answer = wire.answer(false).unwrap();
        assert_eq!((answer.status, answer.closes()), (500, true), "{path}");
        assert_eq!(answer.body, b"500 Internal Server Error\n", "{path}");
        wire.end().unwrap();
        assert_eq!(notes.next("failed"), format!("failed GET {path}: {said}"));
        assert_eq!(again(&mut other, GET).status, 200, "{path}");
        assert_eq!(ask(&host, GET).answer(false).unwrap().status, 200, "{path}");
    }
    assert_eq!(host.stats().panics, 2);
}

/// A log that panics is no reason to lose an answer.
#[test]
fn panics_of_the_log() {
    let (host, notes) = noted(host(app()).log(|_| panic!("in the log")));
    let host = host.start().unwrap();
    let mut wire = ask(&host, "");
    for _ in 0..3 {
        assert_eq!(again(&mut wire, GET).status, 200);
        assert_eq!(notes.next("answered"), "answered GET / 200, 5 bytes"); // others hear of it, too
    }
}

/// Lines of the log cannot be forged: all of a target is printable, as it was sent.
#[test]
fn a_line_is_a_line() {
    let (sender, lines) = std::sync::mpsc::channel();
    let host: Host = host(app()).log(move |notice| {
        sender.send(notice.to_string()).ok();
    });
    let host = host.start().unwrap();
    for path in ["/a%0D%0A127.0.0.1:1%20GET%20/", "/%1b[2J", "/?\\r\\n"] {
        ask(&host, &get(path)).answer(false).unwrap();
    }
    host.stop_within(LONG);
    let lines: Vec<_> = lines.try_iter().collect();
    assert_eq!(lines.iter().filter(|line| line.contains(" GET /")).count(), 3, "{lines:#?}");
    let is_printable = |line: &String| line.chars().all(|char| (' '..='~').contains(&char) || char == '…');
    assert!(lines.iter().all(is_printable), "{lines:#?}");
}

#[test]
fn defaults_add_what_pages_want() {
    let plain = start(|_: Request| Response::text("hello"));
    let answer = ask(&plain, GET).answer(false).unwrap();
    assert_eq!((answer.field("ETag"), answer.field("X-Content-Type-Options")), (None, None));

    let host = host(|_: Request| Response::text("hello")).defaults().start().unwrap();
    let answer = ask(&host, GET).answer(false).unwrap();
    assert_eq!(answer.field("X-Content-Type-Options"), Some("nosniff"));
    assert_eq!(answer.field("Cross-Origin-Opener-Policy"), Some("same-origin"));
    let tag = answer.field("ETag").expect("pages are tagged").to_owned();
    let again = GET.replace("\r\n\r\n", &format!("\r\nIf-None-Match: {tag}\r\n\r\n"));
    assert_eq!(ask(&host, &again).answer(false).unwrap().status, 304);
    let post = again.replace("GET", "POST"); // which acts, whatever the client has
    assert_eq!(ask(&host, &post).answer(false).unwrap().status, 200);
}
