//! What is sent is what is written: one call, one write, these bytes.

use super::{host, reason, writes, GET};
use crate::memory::Memory;
use brooklet::{CloseReason, Event, EventConnection, EventSource, Formatting, SendError};
use std::time::Duration;

type Sent = Result<(), SendError>;

/// A row: what a generator calls, and the writes that it makes.
#[track_caller]
fn check(call: fn(&mut EventConnection<'_>) -> Sent, expected: &[&str]) {
    let source = EventSource::new(move |connection| Ok(call(connection)?));
    assert_eq!(writes(source), expected);
}

#[test]
fn one_call_is_one_write() {
    check(|c| c.data("x"), &["data: x\n\n"]);
    check(|c| c.data(""), &["data: \n\n"]);
    check(|c| c.data("a\nb\r\nc\rd\n"), &["data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"]);
    check(|c| c.data(vec![1, 2]), &["data: [1,2]\n\n"]);
    check(|c| c.event("tick", 0.5), &["event: tick\ndata: 0.5\n\n"]);
    check(|c| c.comment("hello"), &[": hello\n"]);
    check(|c| c.comment("a\nb"), &[": a\n: b\n"]);
    check(|c| c.data(1).and_then(|()| c.data(2)), &["data: 1\n\n", "data: 2\n\n"]);
    check(|c| c.comment("a").and_then(|()| c.data(1)), &[": a\n", "data: 1\n\n"]);
    let all = Event::new(1).event_type("t").id("7").retry(Duration::from_secs(5));
    assert_eq!(
        writes(EventSource::new(move |c| Ok(c.send(all.clone())?))),
        ["event: t\nid: 7\nretry: 5000\ndata: 1\n\n"]
    );
    check(|c| c.send(Event::without_data().id("7")), &["id: 7\n\n"]);
}

/// However large: a second write would let a proxy or a reader see half an event.
#[test]
fn a_large_event_is_one_write() {
    let text = "0123456789\n".repeat(50_000);
    let expected = format!("{}data: \n\n", text.replace("0123456789\n", "data: 0123456789\n"));
    let written = writes(EventSource::new(move |c| Ok(c.data(&text)?)));
    assert_eq!(written.len(), 1);
    assert!(written[0] == expected, "{} bytes instead of {}", written[0].len(), expected.len());
}

#[test]
fn many_events_are_few_writes() {
    check(|c| c.send_all((1..=3).map(Event::new)), &["data: 1\n\ndata: 2\n\ndata: 3\n\n"]);
    check(|c| c.send_all(Vec::<Event<'_, u8>>::new()), &[]);

    let events = |c: &mut EventConnection<'_>| c.send_all((0..30_000).map(Event::new));
    let written = writes(EventSource::new(move |c| Ok(events(c)?)));
    let expected: String = (0..30_000).map(|number| format!("data: {number}\n\n")).collect();
    assert!(written.concat() == expected, "other events than were sent");
    let (last, full) = written.split_last().unwrap();
    assert!(!full.is_empty() && last.len() <= 129 * 1024);
    for write in full {
        assert!((128 * 1024..=129 * 1024).contains(&write.len()), "a write of {} bytes", write.len());
        assert!(write.ends_with("\n\n"), "a torn event");
    }
}

/// What cannot be sent is not sent, not even in part, and the stream goes on.
#[test]
fn what_cannot_be_sent() {
    #[track_caller]
    fn refused(event: Event<'static, u8>, expected: SendError) {
        let source = EventSource::new(move |c| {
            assert_eq!(c.send(event.clone()), Err(expected));
            assert!(c.connected());
            Ok(c.data("on")?)
        });
        assert_eq!(writes(source), ["data: on\n\n"]);
    }
    refused(Event::new(1).event_type("a\nb"), SendError::InvalidEventType);
    refused(Event::new(1).event_type("a\r"), SendError::InvalidEventType);
    refused(Event::new(1).id("1\ndata: forged"), SendError::InvalidId);
    refused(Event::new(1).id("\r"), SendError::InvalidId);
    refused(Event::new(1).id("1\0"), SendError::InvalidId);
    refused(Event::new(1).id("brooklet-finished"), SendError::InvalidId); // finish() alone says it

    // Of many, those before it are sent, those behind it are not.
    let source = EventSource::new(|c| {
        let ids = ["1", "2", "\n", "4"];
        assert_eq!(c.send_all(ids.map(|id| Event::new(0).id(id))), Err(SendError::InvalidId));
        Ok(c.data("on")?)
    });
    assert_eq!(writes(source), ["id: 1\ndata: 0\n\nid: 2\ndata: 0\n\n", "data: on\n\n"]);
}

#[test]
fn nothing_follows_the_end() {
    check(|c| c.retry(Duration::from_millis(1500)), &["retry: 1500\n"]);
    check(|c| c.retry(Duration::ZERO), &["retry: 0\n"]);
    check(|c| c.finish(), &["event: finish\nid: brooklet-finished\ndata: \n\n"]);
    for (end, expected) in [
        ((|c| c.retry(Duration::from_secs(1))) as fn(&mut EventConnection<'_>) -> Sent, CloseReason::Retry),
        (|c| c.finish(), CloseReason::Finished),
    ] {
        let source = EventSource::new(move |c| {
            end(c)?;
            assert!(!c.connected());
            assert_eq!(reason(c.data("x")), expected);
            assert_eq!(reason(c.event("t", "x")), expected);
            assert_eq!(reason(c.comment("x")), expected);
            assert_eq!(reason(c.send_all([Event::new("x")])), expected);
            assert_eq!(reason(c.retry(Duration::ZERO)), expected);
            assert_eq!(reason(c.finish()), expected);
            assert_eq!(reason(c.wait(Duration::ZERO)), expected);
            assert_eq!(reason(c.wait(Duration::from_secs(60))), expected);
            assert_eq!(reason(c.receive(&std::sync::mpsc::channel::<u8>().1)), expected);
            c.data("told")?; // an error that is none: the stream was over
            Ok(())
        });
        // A failed assertion would add the `retry` of a panic.
        assert_eq!(writes(source).len(), 1, "{expected:?}");
    }
}

#[test]
fn formatting_is_the_sources() {
    let formatting = Formatting::new().add(|price: &f64| format!("{price:.2}"));
    let source = EventSource::new(|c| {
        c.data(42.125)?;
        c.event("prices", vec![1.0, 2.5])?;
        Ok(c.send(Event::new(&7.0))?)
    });
    let expected = ["data: 42.12\n\n", "event: prices\ndata: [1.00,2.50]\n\n", "data: 7.00\n\n"];
    assert_eq!(writes(source.formatting(formatting)), expected);
}

/// What is borrowed from the request does not borrow the connection.
#[test]
fn the_request_is_there_while_sending() {
    let source = EventSource::new(|c| {
        let user = c.request().query("user").unwrap_or("nobody");
        let id = c.last_event_id().unwrap_or("none");
        for segment in c.request().target().segments() {
            c.event(segment, user)?;
        }
        Ok(c.data(id)?)
    });
    let request = GET.replace("/ ", "/a/b?user=ada ").replace("\r\n\r\n", "\r\nLast-Event-ID: 7\r\n\r\n");
    let memory = Memory::new([request]).serve(&host(source));
    assert_eq!(
        memory.writes()[1..],
        [&b"event: a\ndata: ada\n\n"[..], b"event: b\ndata: ada\n\n", b"data: 7\n\n"]
    );
}

/// One large event is no reason to hold on to its memory for the rest of a long stream.
#[test]
#[cfg(target_os = "linux")]
fn a_large_event_leaves_no_memory_behind() {
    use super::telling;
    use crate::alone::resident;
    use crate::patience::DEADLINE;
    use std::io::{self, Write};
    use std::net::TcpStream;

    crate::alone::alone("streams::sending::a_large_event_leaves_no_memory_behind", || {
        const SIZE: usize = 64 << 20;
        let (source, told) = telling(|c| {
            let before = resident();
            c.data("x".repeat(SIZE)).and_then(|()| c.wait(Duration::ZERO)).unwrap();
            resident().saturating_sub(before)
        });
        let host = host(source).start().unwrap();
        let mut client = TcpStream::connect(host.address()).unwrap();
        client.set_read_timeout(Some(DEADLINE)).unwrap();
        client.write_all(GET.as_bytes()).unwrap();
        let sent = io::copy(&mut client, &mut io::sink()).unwrap();
        let grown = told.next();
        assert!(sent > SIZE as u64, "{sent} bytes");
        assert!(grown < SIZE / 4, "{grown} bytes are kept");
    });
}
