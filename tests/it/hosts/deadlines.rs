//! Clients that take their time, and what they are told when it is over.

use super::{again, ask, here, host, GET};
use crate::notes::noted;
use crate::patience::{eventually, unhurried, DEADLINE};
use crate::wire::insist;
use brooklet::{Layout, Limits, Request, Response, RunningHost};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(200);

/// One of the deadlines is short, the others are not.
fn start(limits: impl FnOnce(Limits) -> Limits) -> RunningHost {
    let app = |request: Request| Response::bytes("text/plain", request.body().to_vec());
    host(app).limits(limits(unhurried())).start().unwrap()
}

/// Sends this, and is told that it took too long, when it did.
#[track_caller]
fn check(host: &RunningHost, input: &str) {
    let started = Instant::now();
    let mut wire = ask(host, input);
    let answer = wire.answer(false).unwrap();
    assert_eq!((answer.status, answer.closes()), (408, true), "{input:?}");
    assert!(started.elapsed() >= SHORT, "{input:?}: {:?}", started.elapsed());
    wire.end().unwrap();
}

#[test]
fn heads() {
    let host = start(|limits| limits.head_deadline(SHORT));
    check(&host, "G");
    check(&host, "GET / HTTP/1.1\r\nHost: local");
    check(&host, "GET / HTTP/1.1\r\nHost: localhost\r\n");
    check(&host, "\r\nGET");
    // A second head has a deadline of its own, and the time between two requests is none's.
    let mut wire = ask(&host, GET);
    assert_eq!(wire.answer(false).unwrap().status, 200);
    assert_eq!(again(&mut wire, "GET / HT").status, 408);
}

#[test]
fn bodies() {
    let host = start(|limits| limits.body_deadline(SHORT));
    let head = |field: &str| format!("POST / HTTP/1.1\r\nHost: localhost\r\n{field}\r\n\r\n");
    check(&host, &head("Content-Length: 5"));
    check(&host, &(head("Content-Length: 5") + "hell"));
    check(&host, &head("Transfer-Encoding: chunked"));
    check(&host, &(head("Transfer-Encoding: chunked") + "5"));
    check(&host, &(head("Transfer-Encoding: chunked") + "5\r\nhello\r\n"));
    check(&host, &(head("Transfer-Encoding: chunked") + "5\r\nhello\r\n0\r\n"));
    // Each 500 bytes that have come are a second more.
    let mut wire = ask(&host, &(head("Content-Length: 100001") + &"x".repeat(100_000)));
    thread::sleep(2 * SHORT); // its pace
    assert_eq!(again(&mut wire, "x").status, 200);
}

/// In total, not for each read: one byte now and then never passes a deadline of that kind.
#[test]
fn trickles() {
    let host = start(|limits| limits.head_deadline(SHORT));
    trickle(&host, "GET / HTTP/1.1\r\nHost: localhost\r\nX: ");
    let host = start(|limits| limits.body_deadline(SHORT));
    trickle(&host, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n");

    /// Sends a byte whenever a while has passed without an answer.
    #[track_caller]
    fn trickle(host: &RunningHost, start: &str) {
        let mut stream = TcpStream::connect(host.address()).unwrap();
        stream.set_read_timeout(Some(SHORT / 20)).unwrap();
        stream.write_all(start.as_bytes()).unwrap();
        let started = Instant::now();
        let mut answer = [0; 12];
        while stream.read(&mut answer).is_err() {
            assert!(started.elapsed() < DEADLINE, "it goes on for ever");
            stream.write_all(b"a").unwrap();
        }
        assert_eq!(answer, *b"HTTP/1.1 408");
        assert!(started.elapsed() >= SHORT);
    }
}

/// Who has sent nothing is waiting for nothing: browsers open connections in reserve, and an answer
/// to no request would be taken for that to their first.
#[test]
fn idle_connections_are_closed_without_a_word() {
    let host = start(|limits| limits.idle_deadline(SHORT));
    let started = Instant::now();
    let mut fresh = ask(&host, "");
    fresh.end().unwrap();
    assert!(started.elapsed() >= SHORT);

    let (mut used, answer) = insist(&host, GET);
    assert_eq!(answer.status, 200);
    used.end().unwrap();

    let mut leftover = ask(&host, "\r\n"); // of a client that ends bodies so (RFC 9112 §2.2)
    leftover.end().unwrap();
    eventually("all are gone", || host.stats().connections == 0);
    assert_eq!(host.stats().answered, 1);
}

/// A stream is not idle, and its client has nothing to send.
#[test]
fn no_deadline_is_a_streams() {
    let limits = unhurried().head_deadline(SHORT / 4).body_deadline(SHORT / 4).idle_deadline(SHORT / 4);
    let source = here(|c| c.wait(SHORT).and_then(|()| c.data("still here")));
    let host = host(Layout::new().index(source)).limits(limits).start().unwrap();
    assert_eq!(insist(&host, GET).1.body, b"data: here\n\ndata: still here\n\n");
}

#[test]
fn deadlines_are_logged() {
    let start = |limits: Limits| {
        let (host, notes) = noted(host(Layout::new()).limits(limits));
        (host.start().unwrap(), notes)
    };
    let (host, notes) = start(unhurried().head_deadline(SHORT / 4).body_deadline(SHORT / 4));
    ask(&host, "GET").answer(false).unwrap();
    assert_eq!(notes.next("refused"), "refused 408: the head did not arrive within Limits::head_deadline");
    ask(&host, &GET.replace("\r\n\r\n", "\r\nContent-Length: 1\r\n\r\n")).answer(false).unwrap();
    assert_eq!(notes.next(""), "refused 408: the body did not arrive within Limits::body_deadline");
    let (host, notes) = start(unhurried().idle_deadline(SHORT / 4));
    notes.next("listening");
    ask(&host, "").end().unwrap();
    eventually("all are gone", || host.stats().connections == 0);
    assert!(notes.so_far().is_empty()); // nobody asked anything
}

/// A body that is too large is refused before it is read.
#[test]
fn max_body() {
    let host = start(|limits| limits.max_body(5));
    let post = |length: &str, body: &str| {
        format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    assert_eq!(ask(&host, &post("5", "hello")).answer(false).unwrap().body, b"hello");
    assert_eq!(ask(&host, &post("6", "")).answer(false).unwrap().status, 413);
    let none = start(|limits| limits.max_body(0));
    assert_eq!(ask(&none, GET).answer(false).unwrap().status, 200);
    assert_eq!(ask(&none, &post("1", "")).answer(false).unwrap().status, 413);
}
