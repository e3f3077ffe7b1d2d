//! Waiting: for a time, for a moment, for values of other threads, with a sign of life now and then.

use super::{open, start, telling, Told};
use crate::patience::Gate;
use crate::patience::{eventually, DEADLINE};
use brooklet::testing::Client;
use brooklet::{CloseReason, EventConnection, EventSource};
use std::sync::{mpsc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Lets a generator time itself, and keeps its client until it has.
#[track_caller]
fn timed<T: Send + 'static>(
    generate: impl Fn(&mut EventConnection<'_>) -> T + Send + Sync + 'static,
    settings: impl FnOnce(EventSource) -> EventSource,
) -> T {
    let (source, told): (_, Told<T>) = telling(generate);
    let host = start(settings(source));
    let _client = open(&host);
    told.next()
}

/// Around the tick of the kernel and the end of a wait that is slept.
const DURATIONS: [Duration; 9] = [
    millis(0),
    millis(1),
    millis(9),
    millis(10),
    millis(11),
    millis(14),
    millis(20),
    millis(50),
    millis(120),
];

#[test]
fn no_wait_ends_early() {
    let check = |settings: fn(EventSource) -> EventSource| {
        let waits = |c: &mut EventConnection<'_>| {
            DURATIONS.map(|duration| {
                let started = Instant::now();
                (c.wait(duration), started.elapsed())
            })
        };
        for ((result, elapsed), duration) in timed(waits, settings).into_iter().zip(DURATIONS) {
            assert_eq!(result, Ok(()), "{duration:?}");
            assert!(elapsed >= duration, "{duration:?} took {elapsed:?}");
        }
    };
    check(|source| source);
    check(|source| source.keep_alive(millis(3))); // woken again and again in between
}

/// A wait up to a second is one sleep, as that of a bare thread, and a longer one few.
#[test]
#[cfg(target_os = "linux")]
fn a_wait_is_few_switches() {
    let switches = || {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.unwrap().trim().parse::<u64>().unwrap()
    };
    let counted = move |c: &mut EventConnection<'_>| {
        let before = switches();
        (0..20).for_each(|_| c.wait(millis(20)).unwrap());
        let between = switches();
        c.wait(millis(2_500)).unwrap();
        (between - before, switches() - between)
    };
    let (short, long) = timed(counted, |source| source.keep_alive(Duration::ZERO));
    assert!(short <= 22 && long <= 5, "20 waits: {short} switches, a long one: {long}");
    // a look at /proc is one at times
}

#[test]
fn waiting_until_a_moment() {
    let late = timed(
        |c| {
            let started = Instant::now();
            [millis(0), millis(5), millis(30), millis(60)].map(|duration| {
                let deadline = started + duration;
                c.wait_until(deadline).map(|()| Instant::now().checked_duration_since(deadline))
            })
        },
        |source| source,
    );
    assert!(late.iter().all(|late| matches!(late, Ok(Some(_)))), "one ended early: {late:?}");

    // A moment that has passed is a look at the client, and no wait.
    let result = timed(
        |c| {
            let past = Instant::now();
            c.wait(millis(1)).and_then(|()| c.wait_until(past))
        },
        |source| source,
    );
    assert_eq!(result, Ok(()));
}

/// Comments of one byte and a line end, and nothing else: no blank line, no event. Here it is seen that the system's
/// clock and its sockets bring them about; when they come is tested by a virtual clock, below.
#[test]
fn signs_of_life() {
    let check = |wait: fn(&mut EventConnection<'_>, &Gate) -> brooklet::Result| {
        const INTERVAL: Duration = millis(30);
        let seen = Gate::default();
        let gate = seen.clone();
        let source = EventSource::new(move |c| {
            c.data("first")?;
            wait(c, &gate)?;
            Ok(c.data("last")?)
        });
        let host = start(source.keep_alive(INTERVAL));
        let started = Instant::now();
        let mut wire = open(&host);
        wire.exactly(b"data: first\n\n:\n:\n:\n").unwrap();
        assert!(started.elapsed() >= 3 * INTERVAL, "three intervals took {:?}", started.elapsed());
        seen.open();
        let rest = String::from_utf8(wire.rest().unwrap()).unwrap();
        let end = rest.trim_start_matches(":\n");
        assert_eq!(end, "data: last\n\n", "{rest:?}");
    };
    check(|c, seen| {
        while !seen.is_open() {
            c.wait(millis(100))?;
        }
        Ok(())
    });
    check(|c, seen| {
        let (sender, receiver) = mpsc::channel();
        let seen = seen.clone();
        thread::spawn(move || {
            seen.pass();
            sender.send(()).ok();
        });
        assert_eq!(c.receive(&receiver)?, Some(()));
        Ok(())
    });
}

/// A row: what a generator does, by a virtual clock and with a sign of life every ten seconds, and what comes when.
#[test]
fn when_signs_of_life_come() {
    check(|c| Ok(c.wait(secs(35))?), &["10s :", "20s :", "30s :"]);
    check(|c| Ok(c.wait(millis(10_001))?), &["10s :"]);
    check(|c| Ok(c.wait(secs(10))?), &[]); // the wait is over, and whatever is sent next is one

    // The interval goes on from wait to wait.
    check(|c| (0..5).try_for_each(|_| Ok(c.wait(secs(7))?)), &["10s :", "20s :", "30s :"]);
    check(|c| (0..3_000).try_for_each(|_| Ok(c.wait(millis(7))?)), &["10s :", "20s :"]);
    // Whatever was sent is a sign of life as well.
    check(
        |c| {
            c.wait(secs(4))?;
            c.comment("here")?;
            c.wait(secs(9))?;
            c.event("t", 1)?;
            Ok(c.wait(secs(15))?)
        },
        &["4s : here", "13s t: 1", "23s :"],
    );
    let busy = |c: &mut EventConnection<'_>| {
        for _ in 0..100 {
            c.data("x")?;
            c.wait(millis(9_999))?;
        }
        Ok(())
    };
    assert!(
        !timeline(busy, 10).iter().any(|line| line.ends_with(" :")),
        "a stream that is busy needs no other"
    );
    // Where none is wanted, none comes; unless set, they come every fifteen seconds.
    assert_eq!(timeline(|c| Ok(c.wait(secs(300))?), 0), [""; 0]);
    let unset = EventSource::new(|c| Ok(c.wait(secs(40))?));
    assert_eq!(Client::get("/").in_memory(&unset).run().timeline(), ["15s :", "30s :"]);

    #[track_caller]
    fn check(generate: fn(&mut EventConnection<'_>) -> brooklet::Result, expected: &[&str]) {
        assert_eq!(timeline(generate, 10), expected);
    }

    fn timeline(generate: fn(&mut EventConnection<'_>) -> brooklet::Result, interval: u64) -> Vec<String> {
        let source = EventSource::new(generate).keep_alive(secs(interval));
        let stream = Client::get("/").in_memory(&source).run();
        assert_eq!(stream.reason(), Some(CloseReason::Returned), "{:?}", stream.error());
        stream.timeline()
    }
}

/// The same, while a generator receives what comes at these times: within a slice of that, after it, after many.
#[test]
fn signs_of_life_while_receiving() {
    check(10, &[millis(100)], &["100ms message: x"]);
    check(10, &[millis(300)], &["300ms message: x"]);
    check(10, &[secs(25)], &["10s :", "20s :", "25s message: x"]);
    check(
        10,
        &[secs(6), secs(12), secs(23)],
        &["6s message: x", "12s message: x", "22s :", "23s message: x"],
    );
    check(0, &[secs(300)], &["300s message: x"]);

    #[track_caller]
    fn check(interval: u64, times: &[Duration], expected: &[&str]) {
        let (sender, receiver) = mpsc::channel();
        let receiver = Mutex::new(receiver);
        let source = EventSource::new(move |c| {
            let receiver = receiver.lock().unwrap();
            while let Some(value) = c.receive(&receiver)? {
                c.data(value)?;
            }
            Ok(())
        });
        let source = source.keep_alive(secs(interval));
        let mut simulation = Client::get("/").in_memory(&source);
        for time in times {
            let sender = sender.clone();
            simulation = simulation.at(*time, move || sender.send("x").unwrap());
        }
        drop(sender); // the stream ends behind the last value
        assert_eq!(simulation.run().timeline(), expected);
    }
}

#[test]
fn receiving() {
    let (sender, receiver) = mpsc::channel();
    let receiver = Mutex::new(receiver);
    let source = EventSource::new(move |c| {
        let receiver = receiver.lock().unwrap();
        while let Some(value) = c.receive(&receiver)? {
            c.data(value)?;
        }
        Ok(c.data("all")?)
    });
    let host = start(source);
    sender.send(1).unwrap(); // before anybody receives
    let mut wire = open(&host);
    wire.exactly(b"data: 1\n\n").unwrap();
    for number in 2..100 {
        sender.send(number).unwrap();
        wire.exactly(format!("data: {number}\n\n").as_bytes()).unwrap();
    }
    sender.send(100).unwrap();
    drop(sender); // what was sent before is still received
    assert_eq!(wire.rest().unwrap(), b"data: 100\n\ndata: all\n\n");
}

/// What another thread sends is on its way at once, not at the end of a slice.
#[test]
fn receiving_is_prompt() {
    let (sender, receiver) = mpsc::channel::<Instant>();
    let receiver = Mutex::new(receiver);
    let (tells, told) = mpsc::channel();
    let tells = Mutex::new(tells); // to be shared before Rust 1.72
    let host = start(EventSource::new(move |c| {
        while let Some(sent) = c.receive(&receiver.lock().unwrap())? {
            tells.lock().unwrap().send(sent.elapsed()).unwrap();
        }
        Ok(())
    }));
    let _wire = open(&host);
    // A busy machine delays most of them; polling would delay each.
    eventually("one that nothing delays", || {
        sender.send(Instant::now()).unwrap();
        told.recv_timeout(DEADLINE).unwrap() < millis(60)
    });
}
