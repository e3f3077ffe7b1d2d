//! Stops from outside: everything that waits is woken, every stream is told when to come back.

use super::{again, ask, deaf, here, host, open, retry, start, GET, LONG};
use crate::example::nobody_listens;
use crate::notes::noted;
use crate::patience::{eventually, in_time, Gate};
use brooklet::{EventSource, Layout, Request, Response, RunningHost};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Stops, and expects that nothing had to be forced and nothing took long.
#[track_caller]
fn stop(host: RunningHost) {
    let report = in_time(move || host.stop_within(LONG));
    assert_eq!(report.forced, 0, "cut off");
}

fn app() -> Layout {
    Layout::new()
        .index(|_: Request| Response::text("hello"))
        .add("wait", here(|c| c.wait(LONG)))
        .add("until", here(|c| c.wait_until(Instant::now() + LONG)))
        .add(
            "receive",
            here(|c| {
                let (_sender, receiver) = mpsc::channel::<()>();
                c.receive(&receiver).map(drop)
            }),
        )
        .add(
            "poll",
            here(|c| {
                while c.connected() {
                    std::thread::yield_now(); // it never waits for us
                }
                Ok(())
            }),
        )
        .add("send", here(|c| (0..).try_for_each(|_| c.comment("on").and_then(|()| c.wait(Duration::ZERO)))))
}

#[test]
fn every_wait_ends() {
    for path in ["/wait", "/until", "/receive", "/poll"] {
        let host = start(app());
        let mut wire = open(&host, path);
        stop(host);
        let delay = retry(&wire.rest().unwrap());
        assert!((1500..=4500).contains(&delay), "{path}: retry {delay}");
    }
}

/// A stream that is busy is told as well, at the end of what it was saying.
#[test]
fn busy_streams_are_told() {
    let host = start(app());
    let mut wire = open(&host, "/send");
    let reading = std::thread::spawn(move || wire.rest()); // or the host could not write
    stop(host);
    let rest = reading.join().unwrap().unwrap();
    let rest = std::str::from_utf8(&rest).unwrap();
    let last = rest.trim_start_matches(": on\n");
    assert!((1500..=4500).contains(&retry(last.as_bytes())), "{last:?}");
}

#[test]
fn idle_connections_are_closed() {
    let host = start(app());
    let mut fresh = ask(&host, ""); // a browser's reserve
    let mut used = ask(&host, "");
    assert_eq!(again(&mut used, GET).status, 200);
    let mut begun = ask(&host, "GET / HT");
    eventually("three connections", || host.stats().connections == 3);
    stop(host);
    for wire in [&mut fresh, &mut used, &mut begun] {
        wire.end().unwrap(); // in order, and without an answer
    }
}

/// However many threads wait for the next connection, all of them are woken.
#[test]
fn nobody_listens_any_more() {
    let host = start(app());
    for _ in 0..10 {
        let mut wires: Vec<_> = (0..16).map(|_| ask(&host, GET)).collect();
        wires.iter_mut().for_each(|wire| drop(wire.answer(false).unwrap()));
    }
    let address = host.address();
    stop(host);
    nobody_listens(address);
}

/// What was asked before the stop is answered, and the client told that it was the last answer (RFC 9112 §9.6).
#[test]
fn answers_under_way_are_finished() {
    let (asked, answer) = (Gate::default(), Gate::default());
    let (enters, waits) = (asked.clone(), answer.clone());
    let host = start(move |_: Request| {
        enters.open();
        waits.pass();
        Response::text("finished")
    });
    let mut wire = ask(&host, GET);
    asked.pass();
    let control = host.control();
    let stopping = std::thread::spawn(move || host.stop_within(LONG));
    eventually("a stop", || control.is_stopping());
    answer.open();
    let answer = wire.answer(false).unwrap();
    assert_eq!((&*answer.body, answer.closes()), (&b"finished"[..], true));
    wire.end().unwrap();
    assert_eq!(stopping.join().unwrap().forced, 0);
}

/// All at once they would come back all at once.
#[test]
fn comebacks_are_spread_out() {
    let (host, notes) = noted(host(app()));
    let host = host.start().unwrap();
    let mut wires: Vec<_> = (0..20).map(|_| open(&host, "/wait")).collect();
    assert_eq!(host.stats().streams, 20);
    stop(host);
    let mut delays: Vec<_> = wires.iter_mut().map(|wire| retry(&wire.rest().unwrap())).collect();
    assert!(delays.iter().all(|delay| (1500..=4500).contains(delay)), "{delays:?}");
    delays.sort_unstable();
    delays.dedup();
    assert!(delays.len() >= 10, "too much alike: {delays:?}");
    let ends = notes.so_far();
    let stopped = ends.iter().filter(|line| *line == "ended GET /wait Stopped, 1 events").count();
    assert_eq!(stopped, 20, "{ends:?}");
}

/// A generator that calls nothing of ours cannot be ended by anybody: it is left behind, its client is not.
#[test]
fn a_generator_that_ignores_everything() {
    let gate = Gate::default();
    let host = start(deaf(&gate));
    let mut wire = open(&host, "/");
    let started = Instant::now();
    let (report, host) = in_time(move || (host.stop_within(Duration::from_millis(100)), host));
    let elapsed = started.elapsed();
    assert!(elapsed >= Duration::from_millis(100), "{elapsed:?}");
    assert_eq!((report.ended, report.forced), (0, 1));
    wire.end().unwrap(); // cut off
    assert_eq!(host.stats().connections, 1);
    // What was cut off once is not waited for again.
    let (again, host) = in_time(move || (host.stop_within(Duration::MAX), host));
    assert_eq!((again.ended, again.forced), (0, 0));
    gate.open();
    eventually("the generator ends", || host.stats().connections == 0);
}

/// Some end by themselves, some do not: each is counted once.
#[test]
fn a_report_counts_both() {
    let gate = Gate::default();
    let host = start(app().add("deaf", deaf(&gate)));
    let _wires: Vec<_> = ["/wait", "/deaf", "/receive", "/deaf"].map(|path| open(&host, path)).into();
    let (report, host) = in_time(move || (host.stop_within(Duration::from_secs(2)), host));
    assert_eq!((report.ended, report.forced), (2, 2));
    gate.open();
    drop(host);
}

/// Also those who are gone before anybody has counted.
#[test]
fn a_report_counts_those_who_end_at_once() {
    for _ in 0..20 {
        let host = start(app());
        let _wires = [open(&host, "/poll"), open(&host, "/wait"), ask(&host, "")];
        eventually("three connections", || host.stats().connections == 3);
        let report = in_time(move || host.stop_within(LONG));
        assert_eq!((report.ended, report.forced), (3, 0));
    }
}

#[test]
fn dropping_a_host_stops_it() {
    let host = start(app());
    let address = host.address();
    let mut wire = open(&host, "/wait");
    in_time(move || drop(host));
    retry(&wire.rest().unwrap());
    nobody_listens(address);
}

/// Whoever stops first, everybody gets a report.
#[test]
fn stopping_twice() {
    let host = start(app());
    let mut wire = open(&host, "/wait");
    host.control().request_stop();
    host.control().request_stop();
    retry(&wire.rest().unwrap());
    let report = in_time(move || {
        host.stop_within(LONG);
        host.stop_within(LONG)
    });
    assert_eq!((report.ended, report.forced), (0, 0));
}

/// A stop ends what is there and whatever comes a moment later: no order of the two leaves a stream behind.
#[test]
fn streams_that_open_during_the_stop() {
    let (mut rounds, mut told) = (0, 0);
    // Until the two have met at least once; who comes too late is told nothing.
    while rounds < 50 || told == 0 {
        rounds += 1;
        assert!(rounds < 5000, "nobody was told anything");
        let host = start(EventSource::new(|c| Ok(c.wait(LONG)?)));
        let address = host.address();
        let clients: Vec<_> = (0..4)
            .map(|_| {
                std::thread::spawn(move || match crate::wire::Wire::connect(address) {
                    Ok(mut wire) => {
                        wire.send(GET.as_bytes());
                        let bytes = wire.rest().unwrap_or_default();
                        let last = String::from_utf8_lossy(&bytes).lines().last().map(str::to_owned);
                        assert!(
                            last.iter().all(|line| line.starts_with("retry: ")),
                            "it ended without a word"
                        );
                        usize::from(last.is_some())
                    }
                    Err(_) => 0,
                })
            })
            .collect();
        stop(host);
        for client in clients {
            told += client.join().unwrap();
        }
    }
}
