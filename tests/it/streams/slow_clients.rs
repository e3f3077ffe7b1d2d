//! Clients that take what is sent slowly, in part, or not at all.

use super::{host, open, reason, start, telling, GET};
use crate::memory::{Memory, Taking};
use crate::notes::noted;
use brooklet::{CloseReason, Event, EventConnection, EventSource, SendError};
use std::time::{Duration, Instant};

/// Everything that writes, once.
fn converse(c: &mut EventConnection<'_>) -> Result<(), SendError> {
    c.comment("hello\nthere")?;
    c.data("plain")?;
    c.wait(Duration::ZERO)?; // one keep-alive, since it is due at once
    c.send(Event::new("a\nb").event_type("typed").id("7"))?;
    c.send_all((0..3).map(Event::new))?;
    c.finish()
}

/// A connection that breaks at any byte: what was written is a prefix of the conversation, the generator is
/// told, and nobody writes again, since what follows a partial write would be torn.
#[test]
fn broken_at_every_byte() {
    let serve = |taking: Taking| {
        let (source, told) = telling(|c| {
            let first = converse(c);
            let later = [c.data("later"), c.comment("later"), c.retry(Duration::ZERO), c.finish()];
            (first, later, c.connected())
        });
        let host = host(source.keep_alive(Duration::from_nanos(1)).retry(Duration::from_secs(3)));
        let memory = Memory::new([GET]).taking(taking).serve(&host);
        let told = told.0.lock().unwrap().try_recv().ok();
        (undated(&memory.written()), told, memory.writes_after_failure())
    };
    let (whole, told, _) = serve(Taking::All);
    assert_eq!(told.map(|(first, ..)| first), Some(Ok(())), "the conversation works");
    let head = whole.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + "\r\n\r\nretry: 3000\n".len();
    assert!(whole.len() > head + 100, "the conversation has become short");
    assert_eq!(String::from_utf8_lossy(&whole).matches("\n:\n").count(), 1, "it is kept alive once");

    for length in 0..whole.len() {
        let (written, told, writes_after_failure) = serve(Taking::Until(length));
        assert_eq!(written.len(), length);
        assert!(whole.starts_with(&written), "not a prefix at {length}");
        assert_eq!(writes_after_failure, 0, "at {length}");
        match told {
            None => assert!(length < head, "no generator ran at {length}"),
            Some((first, later, connected)) => {
                assert!(length >= head, "a generator ran without a head at {length}");
                assert_eq!(first, Err(SendError::Closed(CloseReason::PeerClosed)), "at {length}");
                assert!(later.iter().all(|result| *result == first), "at {length}: {later:?}");
                assert!(!connected, "at {length}");
            }
        }
    }

    /// The one thing that differs from run to run, and not in its length.
    fn undated(bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let start = b"HTTP/1.1 200 OK\r\nDate: ".len();
        let end = (start + "Sun, 06 Nov 1994 08:49:37 GMT".len()).min(bytes.len());
        if start < end {
            bytes[start..end].fill(b'*');
        }
        bytes
    }
}

/// A client that stops reading costs a thread until the deadline, and no longer.
#[test]
fn a_client_that_does_not_read() {
    const WRITE_DEADLINE: Duration = Duration::from_millis(300);
    let (source, told) = telling(|c| {
        let text = "x".repeat(256 * 1024);
        loop {
            let started = Instant::now();
            if let Err(error) = c.data(&text) {
                return (reason::<()>(Err(error)), started.elapsed());
            }
        }
    });
    let (host, notes) =
        noted(host(source).limits(crate::patience::unhurried().write_deadline(WRITE_DEADLINE)));
    let host = host.start().unwrap();
    let _client = open(&host);
    let (reason, blocked) = told.next();
    assert_eq!(reason, CloseReason::WriteDeadline);
    assert!(blocked >= WRITE_DEADLINE, "given up after {blocked:?}");
    let last = notes.next("ended");
    assert!(last.starts_with("ended GET / WriteDeadline, "), "{last}");
}

/// One byte now and then is no progress, although no single write takes long.
#[test]
fn a_client_that_trickles() {
    let slowly = Taking::Slowly(1, Duration::from_millis(1));
    let (source, told) = telling(|c| {
        let started = Instant::now();
        let result = c.data("x".repeat(8 * 1024)); // eight seconds of it
        (reason(result), started.elapsed())
    });
    let host = host(source).limits(crate::patience::unhurried().write_deadline(Duration::from_millis(500)));
    let memory = Memory::new([GET]).taking(slowly).serve(&host);
    let (reason, blocked) = told.next();
    assert_eq!(reason, CloseReason::WriteDeadline);
    assert!(blocked >= Duration::from_millis(500), "given up after {blocked:?}");
    assert_eq!(memory.writes_after_failure(), 0);
}

/// A write may have taken longer than its deadline because the whole process was stopped. What the client takes then at
/// once is not refused.
#[test]
fn a_deadline_that_passed_in_one_call() {
    let slowly = Taking::Slowly(40 * 1024, Duration::from_millis(400));
    let source = EventSource::new(|c| Ok(c.data("x".repeat(60 * 1024))?));
    let host = host(source).limits(crate::patience::unhurried().write_deadline(Duration::from_millis(100)));
    let written = Memory::new([GET]).taking(slowly).serve(&host).written();
    assert!(written.ends_with(b"x\n\n"), "it was cut off");
}

/// Who takes 64 KiB within each deadline may take long for the whole. So may who takes them in one call that is longer
/// than the deadline, as over TCP, where a call takes all that the client reads meanwhile.
#[test]
fn a_client_that_is_slow_but_steady() {
    check(Duration::from_millis(800), Duration::from_secs(4));
    check(Duration::from_millis(150), Duration::from_millis(100));

    fn check(pause: Duration, write_deadline: Duration) {
        let (source, told) = telling(|c| {
            let started = Instant::now();
            c.data("x".repeat(5 * 64 * 1024)).unwrap();
            c.data("done").unwrap();
            started.elapsed()
        });
        let host = host(source).limits(crate::patience::unhurried().write_deadline(write_deadline));
        let memory = Memory::new([GET]).taking(Taking::Slowly(64 * 1024, pause)).serve(&host);
        assert!(memory.written().ends_with(b"x\n\ndata: done\n\n"), "it was cut off");
        assert!(told.next() > write_deadline, "the whole took less than one deadline: nothing was renewed");
    }
}

/// A look does not wait, and what is sent after it does, all the same.
#[test]
fn what_no_buffer_holds_is_sent_after_a_look() {
    const SIZE: usize = 16 * 1024 * 1024;
    let host = start(EventSource::new(|connection| {
        connection.wait(Duration::ZERO)?; // a look
        connection.data("x".repeat(SIZE))?;
        connection.wait(Duration::ZERO)?;
        Ok(connection.data("y".repeat(SIZE))?)
    }));
    let received = open(&host).rest().unwrap();
    assert_eq!(received.len(), 2 * (SIZE + "data: \n\n".len()));
    assert_eq!(host.stop().forced, 0);
}
