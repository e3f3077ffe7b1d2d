//! Waiting: for a time, for a moment, for values of other threads, with a sign of life now and then.

use super::{open, start, telling, Told};
use crate::patience::Gate;
use brooklet::{EventConnection, EventSource};
use std::sync::{mpsc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
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

/// Comments of one byte and a line end, at the interval, and nothing else: no blank line, no event.
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
            c.wait(millis(100))?; // longer than the interval
        }
        Ok(())
    });
    check(|c, seen| {
        while !seen.is_open() {
            c.wait(millis(7))?; // shorter: the interval goes on from wait to wait
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

/// Whatever was sent is a sign of life as well: a stream that is busy needs no other.
#[test]
fn busy_streams_need_no_sign_of_life() {
    let source = EventSource::new(|c| {
        let started = Instant::now();
        while started.elapsed() < millis(300) {
            c.data("x")?;
            c.wait(millis(2))?;
        }
        Ok(())
    });
    let host = start(source.keep_alive(millis(290)));
    let body = String::from_utf8(open(&host).rest().unwrap()).unwrap();
    assert!(body.lines().all(|line| line == "data: x" || line.is_empty()), "{body:?}");
}

#[test]
fn no_sign_of_life_where_none_is_wanted() {
    let check = |source: EventSource| {
        let host = start(source);
        assert_eq!(open(&host).rest().unwrap(), b"data: x\n\n");
    };
    let waiting = || {
        EventSource::new(|c| {
            c.wait(millis(150))?;
            Ok(c.data("x")?)
        })
    };
    check(waiting().keep_alive(Duration::ZERO));
    check(waiting()); // 15 s is not yet
    let receiving = EventSource::new(|c| {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            // Time itself is what is tested: more of it than a slice of receive, after which it looks around.
            thread::sleep(millis(300));
            sender.send("x").ok()
        });
        while let Some(value) = c.receive(&receiver)? {
            c.data(value)?;
        }
        Ok(())
    });
    check(receiving.keep_alive(Duration::ZERO));
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
    let (source, told) = telling(move |c| {
        let receiver = receiver.lock().unwrap();
        let mut delays = Vec::new();
        while let Ok(Some(sent)) = c.receive(&receiver) {
            delays.push(sent.elapsed());
            c.data("next").unwrap();
        }
        delays
    });
    let host = start(source);
    let mut wire = open(&host);
    for _ in 0..20 {
        sender.send(Instant::now()).unwrap();
        wire.exactly(b"data: next\n\n").unwrap();
    }
    drop(sender);
    let mut delays = told.next();
    delays.sort_unstable();
    // The middle one: a busy machine delays some, polling would delay all.
    assert!(delays[10] < millis(60), "{delays:?}");
}
