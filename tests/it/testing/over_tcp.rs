//! The client over TCP: streams, pages, deadlines, and coming back.

use super::secs;
use crate::patience::{eventually, in_time};
use crate::serving::start;
use brooklet::testing::{Client, Item};
use brooklet::{Content, Event, EventSource, Layout, RunningHost};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

fn host() -> RunningHost {
    let count = EventSource::new(|c| {
        let seen = c.last_event_id().and_then(|id| id.parse().ok()).unwrap_or(0);
        c.comment("counting")?;
        for number in seen + 1..=seen + 2 {
            c.send(Event::new(number).event_type("count").id(number.to_string()))?;
        }
        match seen {
            0..=2 => Ok(c.wait(secs(60))?),
            _ => Ok(c.finish()?),
        }
    });
    let app = Layout::new()
        .add("count", count.retry(Duration::from_millis(20)))
        .add("silent", EventSource::new(|c| Ok(c.wait(secs(60))?)).keep_alive(Duration::from_millis(5)))
        .index(Content::html("<h1>Hello</h1>"));
    start(app)
}

#[test]
fn streams() {
    let host = host();
    let mut stream = Client::get("/count").connect(host.address()).unwrap();
    assert_eq!(
        (stream.status().code(), stream.header("cache-control")),
        (200, Some("no-cache, no-transform"))
    );
    let items: Vec<_> = (0..3).map(|_| stream.next_item().unwrap().unwrap().to_string()).collect();
    assert_eq!(items, [": counting", "count #1: 1", "count #2: 2"]);
    assert_eq!((stream.last_event_id(), stream.retry()), ("2", Some(Duration::from_millis(20))));

    // Twice it comes back as a browser does, and is sent away for good.
    for first in [3, 5] {
        stream.reconnect().unwrap();
        let events = stream.next_events(2).unwrap();
        assert_eq!(events[0].to_string(), format!("count #{first}: {first}"));
    }
    assert_eq!(stream.next_event().unwrap().event_type, "finish");
    assert_eq!(stream.next_item().unwrap(), None);
    assert_eq!(stream.next_event().unwrap_err().kind(), ErrorKind::UnexpectedEof);
    stream.reconnect().unwrap();
    assert_eq!(stream.status().code(), 204);
    assert_eq!(stream.retry(), Some(Duration::from_millis(20)), "what it was told holds on");
    let error = stream.reconnect().unwrap_err().to_string();
    assert_eq!(error, "a browser does not come back after an answer that is no stream: 204 No Content");
}

/// An id that a stream has given holds until another gives one, whatever comes in between.
#[test]
fn an_id_survives() {
    let source = EventSource::new(|c| match c.last_event_id() {
        None => Ok(c.send(Event::new(1).id("7"))?),
        Some(_) => Ok(c.data("no id")?),
    });
    let host = start(source);
    let mut stream = Client::get("/").connect(host.address()).unwrap();
    for expected in ["message #7: 1", "message #7: no id", "message #7: no id"] {
        assert_eq!(stream.next_event().unwrap().to_string(), expected);
        stream.reconnect().unwrap();
    }
}

#[test]
fn pages() {
    let host = host();
    let mut page = Client::get("/").connect(host.address()).unwrap();
    assert_eq!(page.header("Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.read_to_end().unwrap(), b"<h1>Hello</h1>");
    let status = |client: Client| client.connect(host.address()).unwrap().status().code();
    assert_eq!(status(Client::get("/nowhere")), 404);
    assert_eq!(status(Client::new("POST", "/count").body("x")), 405);
    assert_eq!(status(Client::get("/").header("Host", "evil.example")), 403);
}

/// Whatever is waited for ends at the deadline, also while keep-alives come in.
#[test]
fn deadlines() {
    const DEADLINE: Duration = Duration::from_millis(200);
    let host = host();
    let mut connected = None;
    eventually("a head within the deadline", || {
        connected = Client::get("/silent").deadline(DEADLINE).connect(host.address()).ok();
        connected.is_some()
    });
    let mut stream = connected.unwrap();
    let started = Instant::now();
    let (mut stream, error) = in_time(move || {
        let error = stream.next_event().unwrap_err();
        (stream, error)
    });
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(started.elapsed() >= DEADLINE, "after {:?}", started.elapsed());
    // It is as good as before, and what arrives is there.
    eventually(
        "a comment",
        || matches!(stream.next_item(), Ok(Some(Item::Comment(text))) if text.is_empty()),
    );
    drop(stream);

    let mut patient = Client::get("/silent").deadline(Duration::MAX).connect(host.address()).unwrap();
    let next = in_time(move || patient.next_item().unwrap());
    assert_eq!(next, Some(Item::Comment(String::new())), "there is such a time");

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let error = in_time(move || Client::get("/").deadline(DEADLINE).connect(address).unwrap_err());
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

/// What is no answer is an error, and no panic.
#[test]
fn answers_that_are_none() {
    check("", ErrorKind::UnexpectedEof);
    check("HTTP/1.1 200 OK\r\nDate:", ErrorKind::UnexpectedEof);
    check("HTTP/2 200 OK\r\n\r\n", ErrorKind::InvalidData);
    check("HTTP/1.1 two OK\r\n\r\n", ErrorKind::InvalidData);
    check("HTTP/1.1\r\n\r\n", ErrorKind::InvalidData);
    check("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", ErrorKind::InvalidData);
    check("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", ErrorKind::Other);
    check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", ErrorKind::UnexpectedEof);
    check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", ErrorKind::InvalidData);
    check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n:\n\r\n", ErrorKind::UnexpectedEof);

    #[track_caller]
    fn check(answer: &'static str, expected: ErrorKind) {
        let address = answering(answer);
        let whole = move || Client::get("/").connect(address)?.read_to_end().map(<[u8]>::to_vec);
        let error = in_time(move || whole().unwrap_err());
        assert_eq!(error.kind(), expected, "{answer:?}: {error}");
    }

    /// A server of one connection and one answer.
    fn answering(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let _ = socket.read(&mut request);
            socket.write_all(answer.as_bytes()).unwrap();
        });
        address
    }
}
