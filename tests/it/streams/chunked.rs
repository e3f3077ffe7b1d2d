//! Streams in chunks: their bytes, and which ends are whole.

use super::{host, start, GET};
use crate::memory::Memory;
use brooklet::testing::Client;
use brooklet::{Channel, Event, EventConnection, EventSource};
use std::io::ErrorKind;
use std::sync::mpsc;
use std::sync::Mutex;
use std::time::Duration;

const POST: &str = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
const LAST: &str = "0\r\n\r\n";
const X: &str = "9\r\ndata: x\n\n\r\n";

fn chunked(
    generate: impl Fn(&mut EventConnection<'_>) -> brooklet::Result + Send + Sync + 'static,
) -> EventSource {
    EventSource::new(generate).methods(["GET", "POST"]).chunked()
}

/// A row: what leaves with the head, and the writes behind it.
#[test]
fn every_write_is_a_chunk() {
    check(GET, |_| Ok(()), "c\r\nretry: 3000\n\r\n", &[LAST]);
    check(POST, |_| Ok(()), "", &[LAST]);
    check(POST, |c| Ok(c.data("x")?), "", &[X, LAST]);
    check(
        POST,
        |c| Ok(c.data("x".repeat(200))?),
        "",
        &[&format!("d0\r\ndata: {}\n\n\r\n", "x".repeat(200)), LAST],
    );
    check(POST, |c| Ok(c.comment("é")?), "", &["5\r\n: é\n\r\n", LAST]);
    check(
        POST,
        |c| Ok(c.send_all([Event::new(1), Event::new(2)])?),
        "",
        &["12\r\ndata: 1\n\ndata: 2\n\n\r\n", LAST],
    );
    check(POST, |c| Ok(c.retry(Duration::ZERO)?), "", &["9\r\nretry: 0\n\r\n", LAST]);
    let finish = "2c\r\nevent: finish\nid: brooklet-finished\ndata: \n\n\r\n";
    check(POST, |c| Ok(c.finish()?), "", &[finish, LAST]);
    // What fails is not whole.
    let retry = "d\r\nretry: 10000\n\r\n";
    check(POST, |c| c.data("x").map_err(Into::into).and(Err("boom".into())), "", &[X, retry]);
    check(POST, |_| panic!("boom"), "", &[retry]);
    // What fails once everything was sent is.
    check(POST, |c| c.finish().map_err(Into::into).and(Err("boom".into())), "", &[finish, LAST]);

    #[track_caller]
    fn check(
        request: &str,
        generate: fn(&mut EventConnection<'_>) -> brooklet::Result,
        first: &str,
        expected: &[&str],
    ) {
        let writes = Memory::new([request]).serve(&host(chunked(generate))).writes();
        let mut writes = writes.into_iter().map(|write| String::from_utf8(write).unwrap());
        let begin = writes.next().unwrap();
        let (head, with_head) = begin.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("\r\nTransfer-Encoding: chunked\r\nConnection: close"), "{head}");
        assert_eq!(with_head, first);
        assert_eq!(writes.collect::<Vec<_>>(), expected);
    }
}

/// HTTP/1.0 has no chunks, and HEAD no body.
#[test]
fn who_gets_chunks() {
    let written = |request: &str| {
        let source = chunked(|c| Ok(c.data("x")?));
        String::from_utf8(Memory::new([request]).ended().serve(&host(source)).written()).unwrap()
    };
    assert!(written("GET / HTTP/1.0\r\n\r\n").ends_with("Connection: close\r\n\r\nretry: 3000\ndata: x\n\n"));
    assert!(written(&GET.replace("GET", "HEAD"))
        .ends_with("Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"));
    let refused = written(&GET.replace("GET", "DELETE"));
    assert!(refused.starts_with("HTTP/1.1 405") && !refused.contains("chunked"), "{refused}");
}

/// Whoever reads chunks is told by the end alone that something is missing.
#[test]
fn what_cuts_a_stream_is_an_error() {
    check(
        "the host stops",
        |source| source,
        |host| {
            let _ = host.stop();
        },
    );
    check("its age", |source| source.max_age(Duration::from_millis(20)), |_| {});

    #[track_caller]
    fn check(what: &str, settings: fn(EventSource) -> EventSource, end: fn(brooklet::RunningHost)) {
        let host = start(settings(chunked(|c| {
            c.data("x")?;
            Ok(c.wait(Duration::MAX)?)
        })));
        let mut client = Client::get("/").connect(host.address()).unwrap();
        assert_eq!(client.next_event().unwrap().data, "x");
        end(host);
        assert_eq!(client.events_to_end().unwrap_err().kind(), ErrorKind::UnexpectedEof, "{what}");
        assert!(client.retry().unwrap() > Duration::from_secs(1), "{what}"); // it is told when to come back
    }
}

/// Even where the host stops meanwhile: everything is there.
#[test]
fn a_generator_that_returns_has_sent_everything() {
    let (sender, receiver) = mpsc::channel();
    let receiver = Mutex::new(receiver);
    let host = start(chunked(move |c| {
        c.data("x")?;
        receiver.lock().unwrap().recv()?; // looks at nothing else
        Ok(())
    }));
    let mut client = Client::get("/").connect(host.address()).unwrap();
    assert_eq!(client.next_event().unwrap().data, "x");
    host.control().request_stop();
    sender.send(()).unwrap();
    assert_eq!(client.events_to_end().unwrap(), []);
}

/// Signs of life are chunks as well, and a channel's events.
#[test]
fn channels_in_chunks() {
    let news = Channel::new();
    let source = EventSource::channel(&news).chunked().heartbeat("beat").keep_alive(Duration::from_millis(1));
    let host = start(source);
    let mut client = Client::get("/").connect(host.address()).unwrap();
    assert_eq!(client.next_event().unwrap().event_type, "beat");
    news.publish(Event::new("rain").event_type("news")).unwrap();
    while client.next_event().unwrap().event_type != "news" {}
    news.close();
    let last = client.events_to_end().unwrap();
    assert_eq!(last.last().unwrap().event_type, "finish");
}
