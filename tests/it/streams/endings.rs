//! How streams end, what the client is told of it, and what the log.

use super::{host, writes, GET};
use crate::memory::Memory;
use crate::notes::noted;
use crate::sse::Parser;
use brooklet::{EventConnection, EventSource};
use std::time::Duration;

/// A row: a generator, the writes that its client gets, and what the log says between `opened` and the end.
#[track_caller]
fn check(
    generate: impl Fn(&mut EventConnection<'_>) -> brooklet::Result + Send + Sync + 'static,
    expected: &[&str],
    log: &[&str],
) {
    let (host, notes) = noted(host(EventSource::new(generate)));
    let memory = Memory::new([GET]).serve(&host);
    let writes: Vec<_> = memory.writes().into_iter().map(|write| String::from_utf8(write).unwrap()).collect();
    assert_eq!(writes[1..], *expected);
    let log: Vec<_> = ["opened GET /"].iter().chain(log).map(|line| (*line).to_owned()).collect();
    assert_eq!(notes.so_far(), log);
}

#[test]
fn reasons_and_counts() {
    check(|_| Ok(()), &[], &["ended GET / Returned, 0 events"]);
    check(
        |c| {
            c.comment("no event")?;
            c.data(1)?;
            Ok(c.data(2)?)
        },
        &[": no event\n", "data: 1\n\n", "data: 2\n\n"],
        &["ended GET / Returned, 2 events"],
    );
    check(|c| Ok(c.retry(Duration::ZERO)?), &["retry: 0\n"], &["ended GET / Retry, 0 events"]);
    let finish = "event: finish\nid: brooklet-finished\ndata: \n\n";
    check(|c| Ok(c.finish()?), &[finish], &["ended GET / Finished, 1 events"]);
}

/// The client of a generator that failed comes back later than one whose stream just ended: in ten seconds.
#[test]
fn failures() {
    check(
        |c| {
            c.data("x")?;
            Err("boom".into())
        },
        &["data: x\n\n", "retry: 10000\n"],
        &["failed GET /: boom", "ended GET / Failed, 1 events"],
    );
    check(
        |c| {
            c.data("x")?;
            panic!("boom")
        },
        &["data: x\n\n", "retry: 10000\n"],
        &["failed GET /: panicked: boom", "ended GET / Panicked, 1 events"],
    );
    check(
        |_| panic!("at {}", 1),
        &["retry: 10000\n"],
        &["failed GET /: panicked: at 1", "ended GET / Panicked, 0 events"],
    );
    // An event that cannot be sent is an error like any other, if the generator makes it one.
    check(
        |c| Ok(c.event("\n", 1)?),
        &["retry: 10000\n"],
        &["failed GET /: the event type holds CR or LF", "ended GET / Failed, 0 events"],
    );
}

#[test]
fn error_retry_is_configurable() {
    let failing = || EventSource::new(|_| Err("boom".into())).error_retry(Duration::from_millis(2500));
    assert_eq!(writes(failing()), ["retry: 2500\n"]);
    let panicking = EventSource::new(|_| panic!("boom")).error_retry(Duration::ZERO);
    assert_eq!(writes(panicking), ["retry: 0\n"]);
}

/// What a generator returns after its stream is over is how it noticed, not a failure, whatever type the
/// error has become.
#[test]
fn errors_after_the_end_are_none() {
    let over = "ended GET / Finished, 1 events";
    let finish = "event: finish\nid: brooklet-finished\ndata: \n\n";
    check(
        |c| {
            c.finish()?;
            Err("another".into())
        },
        &[finish],
        &[over],
    );
    check(|c| c.finish().and(c.data(1)).map_err(|error| error.to_string().into()), &[finish], &[over]);

    // The same, where it was the client who left.
    let source = EventSource::new(|c| match c.wait(Duration::from_secs(60)) {
        Err(error) => Err(format!("wrapped: {error}").into()),
        Ok(()) => Ok(()),
    });
    let (host, notes) = noted(host(source));
    Memory::new([GET]).ended().serve(&host);
    assert_eq!(notes.so_far(), ["opened GET /", "ended GET / PeerClosed, 0 events"]);
}

/// A panic is a defect of the program even if nobody was there to see it.
#[test]
fn a_panic_after_the_end_is_logged() {
    check(
        |c| {
            c.finish()?;
            panic!("late")
        },
        &["event: finish\nid: brooklet-finished\ndata: \n\n"],
        &["failed GET /: panicked: late", "ended GET / Finished, 1 events"],
    );
}

/// By the letter of HTML §9.2.6 a block without an id makes a client forget the one that it resumed from. So whatever is
/// said before the first event, or without any, is no block.
#[test]
fn what_was_seen_is_not_forgotten() {
    let check = |source: EventSource, retry: Option<u128>| {
        let mut parser = Parser::default();
        parser.last_event_id = String::from("7"); // it comes back
        writes(source).iter().for_each(|write| parser.feed(write.as_bytes()));
        assert_eq!((parser.last_event_id.as_str(), parser.retry), ("7", retry));
    };
    check(EventSource::new(|c| Ok(c.comment("hello")?)), None);
    check(EventSource::new(|c| Ok(c.comment("hello")?)).retry(Duration::from_secs(2)), None);
    check(EventSource::new(|c| Ok(c.retry(Duration::from_secs(5))?)), Some(5_000));
    check(EventSource::new(|_| Err("boom".into())), Some(10_000));
    check(EventSource::new(|_| panic!("boom")), Some(10_000));
    check(EventSource::new(|c| Ok(c.wait(Duration::ZERO)?)).keep_alive(Duration::from_nanos(1)), None);
}
