//! Who gets a stream: the inspector, the last event id that it sees, and streams that are finished.

use super::{ask, start, tell, GET};
use crate::patience::Gate;
use brooklet::{Admission, EventSource, Response, Status};
use std::sync::mpsc;

const FIELD: &str = "Last-Event-ID";

/// The id comes in the field, or in the query of clients that cannot set one (HTML §9.2.4, and the
/// polyfills). An empty one is none.
#[test]
fn last_event_ids() {
    let (sender, seen) = mpsc::sync_channel(10);
    let host = start(
        EventSource::new(|connection| Ok(connection.data(connection.last_event_id().unwrap_or("none"))?))
            .inspector(move |_, id| {
                tell(&sender, id.map(str::to_owned));
                Admission::Accept
            }),
    );
    let check = |target: &str, field: &[u8], expected: Option<&str>| {
        let head = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n").into_bytes();
        let mut wire = ask(&host, "");
        wire.send(&[&head, field, b"\r\n"].concat());
        assert_eq!(wire.head().unwrap().status, 200, "{target}");
        let data = format!("data: {}\n\n", expected.unwrap_or("none"));
        assert_eq!(wire.rest().unwrap(), data.as_bytes(), "the generator: {target}");
        assert_eq!(seen.try_recv().unwrap().as_deref(), expected, "the inspector: {target}");
    };
    check("/", b"", None);
    check("/", b"Last-Event-ID: 5\r\n", Some("5"));
    check("/", b"last-event-id:  a b:c \r\n", Some("a b:c"));
    check("/", b"Last-Event-ID:\r\n", None);
    check("/", "Last-Event-ID: \u{e4}\u{1f600}\r\n".as_bytes(), Some("\u{e4}\u{1f600}"));
    check("/", b"Last-Event-ID: \xe4\r\n", Some("\u{fffd}")); // no UTF-8, so nobody's id, but not none
    check("/?lastEventId=5", b"", Some("5"));
    check("/?last_event_id=5", b"", Some("5"));
    check("/?a=b&lastEventId=x%20y+z%C3%A4", b"", Some("x y z\u{e4}"));
    check("/?lastEventId=", b"", None);
    check("/?lastEventId", b"", None);
    check("/?LASTEVENTID=5", b"", None);
    check("/?lastEventId=1&last_event_id=2", b"", Some("1"));
    check("/?lastEventId=1", b"Last-Event-ID: 2\r\n", Some("2")); // the URL stays, the field is newer
    check("/?lastEventId=1", b"Last-Event-ID: \r\n", Some("1")); // empty is as good as absent
}

#[test]
fn an_inspector_decides() {
    let ran = Gate::default();
    let runs = ran.clone();
    let host = start(
        EventSource::new(move |connection| {
            runs.open();
            Ok(connection.data("hello")?)
        })
        .inspector(|request, _| match request.query("user") {
            Some("ada") => Admission::Accept,
            Some(_) => Admission::NoContent,
            None => Admission::Reject(
                Response::explain(Status::UNAUTHORIZED, "who?").header("WWW-Authenticate", "Bearer"),
            ),
        }),
    );
    // Both refusals are ordinary answers: the connection serves on.
    let mut wire = ask(&host, GET);
    let answer = wire.answer(false).unwrap();
    assert_eq!((answer.status, answer.closes()), (401, false));
    assert_eq!(answer.field("WWW-Authenticate"), Some("Bearer"));
    assert_eq!(answer.body, b"401 Unauthorized: who?\n");

    wire.send(b"GET /?user=bob HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = wire.answer(false).unwrap();
    assert_eq!((answer.status, answer.closes()), (204, false));
    assert!(!ran.is_open(), "the generator ran for somebody who was refused");

    wire.send(b"GET /?user=ada HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(wire.answer(false).unwrap().body, b"data: hello\n\n");
}

/// A method that opens no stream is not the inspector's business; HEAD is, as GET would be.
#[test]
fn an_inspector_sees_what_opens_a_stream() {
    let (sender, seen) = mpsc::sync_channel(10);
    let source = EventSource::new(|_| Ok(())).inspector(move |request, _| {
        tell(&sender, request.method().to_owned());
        Admission::NoContent
    });
    let host = start(source);
    for method in ["POST", "OPTIONS", "HEAD", "GET"] {
        let mut wire = ask(&host, &format!("{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        wire.answer(method == "HEAD").unwrap();
    }
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), ["HEAD", "GET"]);
}

/// A browser comes back after every stream. Only an answer that is none stops it, and the id that came
/// with `finish` is what asks for it: no state here, no question to the inspector.
#[test]
fn a_finished_stream_stays_finished() {
    let asked = Gate::default();
    let asks = asked.clone();
    let host = start(EventSource::new(|connection| Ok(connection.finish()?)).inspector(move |_, id| {
        if id.is_some() {
            asks.open();
        }
        Admission::Accept
    }));
    let body = ask(&host, GET).answer(false).unwrap().body;
    let body = String::from_utf8(body).unwrap();
    let id = body.lines().find_map(|line| line.strip_prefix("id: ")).expect("finish has an id");
    assert_eq!(body, format!("event: finish\nid: {id}\ndata: \n\n"));

    for (target, field) in [
        ("/".to_owned(), format!("{FIELD}: {id}\r\n")),
        (format!("/?lastEventId={id}"), String::new()),
        (format!("/?last_event_id={id}"), String::new()),
    ] {
        for method in ["GET", "HEAD"] {
            let request = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{field}\r\n");
            let answer = ask(&host, &request).answer(method == "HEAD").unwrap();
            assert_eq!((answer.status, answer.closes()), (204, false), "{request}");
        }
    }
    assert!(!asked.is_open(), "the inspector was asked about a finished stream");
    // Anew, without the id, it is a stream again.
    assert_eq!(ask(&host, GET).answer(false).unwrap().status, 200);
}
