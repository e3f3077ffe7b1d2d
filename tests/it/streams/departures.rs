//! Clients that leave, and clients that talk into a stream.

use super::{ask, endless, host, open, reason, start, start_noted, telling, GET};
use crate::memory::Memory;
use crate::notes::noted;
use crate::patience::{in_time, Gate, LONG};
use brooklet::{CloseReason, EventConnection, EventSource, SendError};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Opens a stream, leaves when the generator has sent something, and says what that noticed: without writing, since
/// nobody is kept alive, and long before it would have ended by itself.
#[track_caller]
fn leave(
    generate: fn(&mut EventConnection<'_>) -> Result<(), SendError>,
    depart: fn(crate::wire::Wire) -> Option<crate::wire::Wire>,
) -> CloseReason {
    let (source, told) = telling(move |c| {
        c.data("here").unwrap();
        let result = generate(c);
        assert!(!c.connected(), "a stream that is over is not connected");
        reason(result)
    });
    let host = start(source.keep_alive(Duration::ZERO));
    let mut wire = open(&host);
    wire.exactly(b"data: here\n\n").unwrap();
    let _half = depart(wire);
    told.next()
}

#[test]
fn departures_are_noticed() {
    check(|c| c.wait(LONG));
    check(|c| c.wait_until(Instant::now() + LONG));
    check(|c| c.receive(&endless()).map(drop));
    // In the middle of values that keep coming, while nothing is sent.
    check(busy);
    check(|c| by_looking(c, Duration::ZERO));
    check(|c| by_looking(c, Duration::from_millis(1)));
    check(by_sending);

    #[track_caller]
    fn check(generate: fn(&mut EventConnection<'_>) -> Result<(), SendError>) {
        let reason = leave(generate, |wire| {
            drop(wire);
            None
        });
        // By writing, the answer to a write may be a reset.
        assert!(matches!(reason, CloseReason::PeerClosed | CloseReason::Reset), "{reason:?}");
        // A client that ends its side only has left a stream, too, as in Go.
        let reason = leave(generate, |wire| {
            wire.finish();
            Some(wire)
        });
        assert_eq!(reason, CloseReason::PeerClosed);
    }

    fn busy(c: &mut EventConnection<'_>) -> Result<(), SendError> {
        let (sender, receiver) = mpsc::sync_channel(0);
        thread::spawn(move || while sender.send(()).is_ok() {});
        loop {
            c.receive(&receiver)?;
        }
    }

    fn by_looking(c: &mut EventConnection<'_>, pause: Duration) -> Result<(), SendError> {
        loop {
            c.wait(pause)?;
        }
    }

    fn by_sending(c: &mut EventConnection<'_>) -> Result<(), SendError> {
        loop {
            c.data("x")?;
            c.wait(Duration::from_millis(1))?;
        }
    }
}

#[test]
fn a_departure_is_logged() {
    let (host, notes) = start_noted(EventSource::new(|c| {
        c.data(1)?;
        Ok(c.wait(LONG)?)
    }));
    let mut wire = ask(&host, &GET.replace("/ ", "/stock?a=b "));
    wire.head().unwrap();
    wire.exactly(b"data: 1\n\n").unwrap();
    assert_eq!(notes.next("opened"), "opened GET /stock?a=b");
    assert_eq!((host.stats().streams, host.stats().connections), (1, 1));
    drop(wire);
    assert_eq!(notes.next(""), "ended GET /stock?a=b PeerClosed, 1 events"); // and no failure in between
}

/// `connected()` looks at what is known; looking for more is for `wait`.
#[test]
fn connected_is_what_is_known() {
    let (source, told) = telling(|c| {
        let before = c.connected();
        let looked = c.wait(Duration::ZERO);
        (before, looked, c.connected())
    });
    Memory::new([GET]).ended().serve(&host(source));
    assert_eq!(told.next(), (true, Err(SendError::Closed(CloseReason::PeerClosed)), false));

    let (source, told) = telling(|c| (c.connected(), c.wait(Duration::ZERO), c.connected()));
    Memory::new([GET]).serve(&host(source)); // the client stays
    assert_eq!(told.next(), (true, Ok(()), true));
}

/// After its request a client has nothing to say. What comes nevertheless is thrown away, up to a bound.
#[test]
fn stray_bytes() {
    const BOUND: usize = 64 * 1024;
    check(0, Ok(()));
    check(1, Ok(()));
    check(1000, Ok(()));
    check(BOUND, Ok(()));
    check(BOUND + 1, Err(SendError::Closed(CloseReason::UnexpectedInput)));
    check(10 * BOUND, Err(SendError::Closed(CloseReason::UnexpectedInput)));

    #[track_caller]
    fn check(stray: usize, expected: Result<(), SendError>) {
        let (source, told) = telling(|c| {
            let looks = 2000; // enough for all that is allowed, if each look takes 33 bytes
            let result = (0..looks).try_for_each(|_| c.wait(Duration::ZERO));
            result.and_then(|()| c.data("still here"))
        });
        let memory = Memory::new([GET.as_bytes(), &vec![b'x'; stray]]).serve(&host(source));
        assert_eq!(told.next(), expected, "{stray} bytes");
        // What comes at a stream's end is not answered by a reset, which would take the last events from the client.
        assert_eq!(memory.is_half_closed(), stray > 0 && expected.is_ok(), "{stray} bytes");
        let written = memory.written();
        assert_eq!(
            written.ends_with(b"\r\n\r\nretry: 3000\ndata: still here\n\n"),
            expected.is_ok(),
            "{stray} bytes"
        );
        assert_eq!(written.ends_with(b"\r\n\r\nretry: 3000\n"), expected.is_err(), "{stray} bytes");
    }
}

/// A pipelined request is stray as well: a stream is the last answer of its connection.
#[test]
fn requests_into_a_stream_are_not_answered() {
    let gate = Gate::default();
    let all_are_sent = gate.clone();
    let source = EventSource::new(move |c| {
        all_are_sent.pass();
        c.wait(Duration::from_millis(1))?;
        Ok(c.data("x")?)
    });
    let host = start(source);
    let mut wire = ask(&host, &GET.repeat(3));
    assert_eq!(wire.head().unwrap().status, 200);
    wire.send(GET.as_bytes());
    gate.open();
    assert_eq!(wire.rest().unwrap(), b"data: x\n\n");
}

#[test]
fn a_flood_ends_a_stream() {
    let (host, notes) = start_noted(EventSource::new(|c| Ok(c.wait(LONG)?)));
    let wire = open(&host);
    let sending = in_time(move || {
        wire.send(&[b'x'; 300 * 1024]); // as far as it is taken
        wire
    });
    assert_eq!(notes.next("ended"), "ended GET / UnexpectedInput, 0 events");
    drop(sending);
}

/// However many there were before, a departure is noticed and told.
#[test]
fn a_thousand_departures() {
    let (host, notes) = noted(host(EventSource::new(|c| Ok(c.wait(LONG)?))));
    for _ in 0..1000 {
        Memory::new([GET]).ended().serve(&host);
    }
    let log = notes.so_far();
    assert_eq!(log.iter().filter(|line| *line == "ended GET / PeerClosed, 0 events").count(), 1000);
}
