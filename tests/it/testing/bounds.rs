//! What would never end, and what no client could ask for: a panic that says so, and no test that hangs.

use super::secs;
use crate::patience::in_time;
use brooklet::testing::{Client, Simulation};
use brooklet::{Channel, EventConnection, EventSource};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::mpsc;
use std::time::Duration;

type Generator = fn(&mut EventConnection<'_>) -> brooklet::Result;

/// A row: a simulation that ends with a panic, and what it says.
#[track_caller]
fn check(generate: Generator, set_up: fn(Simulation<'_>) -> Simulation<'_>, expected: &str) {
    let said = in_time(move || {
        let source = EventSource::new(generate);
        let run = || set_up(Client::get("/").in_memory(&source)).run();
        let panic = catch_unwind(AssertUnwindSafe(run)).expect_err("it has an end of its own");
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).expect("it says why")
    });
    assert!(said.contains(expected), "{said}");
}

#[test]
fn waits_without_end() {
    let an_hour = "after 3600s of virtual time the stream has no end yet";
    check(|c| Ok(c.wait(Duration::MAX)?), |r| r, an_hour);
    check(|c| Ok(c.follow(&Channel::new())?), |r| r, an_hour);
    let receive = |c: &mut EventConnection<'_>| {
        let (_sender, receiver) = mpsc::channel::<()>();
        c.receive(&receiver)?;
        Ok(())
    };
    check(receive, |r| r, an_hour);
    let ticking = |c: &mut EventConnection<'_>| loop {
        c.data("tick")?;
        c.wait(secs(1))?;
    };
    check(ticking, |r| r, "\n  3599s message: tick");
    check(ticking, |r| r.max_duration(secs(5)), "after 5s of virtual time");
    check(ticking, |r| r.max_events(7), "more than 7 events");
    // Whoever says when it ends need not say that it may take so long.
    let source = EventSource::new(ticking);
    let run = |time| Client::get("/").in_memory(&source).leave_at(time).run().events().len();
    assert_eq!(run(secs(5000)), 5000);
    assert_eq!(run(secs(3600)), 3600);
}

#[test]
fn streams_without_waits() {
    check(
        |c| loop {
            c.data("x")?
        },
        |r| r,
        "more than 100000 events",
    );
    check(
        |c| loop {
            c.wait(Duration::ZERO)?
        },
        |r| r,
        "without waiting",
    );
}

/// A subscription that is asked again and again, and never given time.
#[test]
fn polling_a_channel() {
    let poll = |c: &mut EventConnection<'_>| {
        let mut subscription = Channel::new().subscribe(c)?;
        while subscription.forward(c, Duration::ZERO)? {}
        Ok(())
    };
    check(poll, |r| r, "without waiting");
}

/// On a host it would take a thread for ever.
#[test]
fn generators_that_ignore_the_end() {
    check(
        |c| loop {
            let _ = c.data("x");
        },
        |r| r.leave_after(1),
        "without waiting",
    );
    check(
        |c| loop {
            let _ = c.wait(secs(1));
        },
        |r| r.leave_after(0),
        "without waiting",
    );
    check(
        |c| loop {
            let _ = c.finish();
        },
        |r| r,
        "without waiting",
    );
}

/// A test that fails while a task of its own is done fails, whatever the generator makes of it.
#[test]
fn tasks_that_panic() {
    let task: fn(Simulation<'_>) -> Simulation<'_> = |r| r.at(secs(1), || panic!("the test's own"));
    check(|c| Ok(c.wait(secs(10))?), task, "the test's own");
    check(
        |c| {
            let _ = c.wait(secs(10));
            Ok(())
        },
        task,
        "the test's own",
    );
}

#[test]
fn requests_that_no_client_can_send() {
    check("a b", "the request line is malformed");
    check("nowhere", "the request target is malformed");
    check("/%", "the request target is malformed");
    let said = catch_unwind(|| Client::get("/").header("a", "b\r\nc: d")).unwrap_err();
    assert!(said.downcast_ref::<String>().unwrap().starts_with("a field is one line"));

    #[track_caller]
    fn check(target: &str, expected: &str) {
        let source = EventSource::new(|_| Ok(()));
        let run = || Client::get(target).in_memory(&source).run();
        let said = catch_unwind(AssertUnwindSafe(run)).expect_err("it was asked");
        let said = said.downcast_ref::<String>().unwrap();
        assert!(said.starts_with("no client can send this request: "), "{said}");
        assert!(said.contains(expected), "{said}");
    }
}
