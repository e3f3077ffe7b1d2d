//! Stops that come from the host's own threads: they must not wait for themselves.

use super::{again, ask, deaf, here, host, open, retry, start, GET, LONG};
use crate::example::nobody_listens;
use crate::patience::{eventually, in_time, unhurried, Gate, DEADLINE};
use brooklet::{
    Channel, CloseReason, Control, EventSource, Handler, Layout, Notice, Request, Response, RunningHost,
    SendError, StopReport,
};
use std::sync::{mpsc, Arc};
use std::time::Duration;

/// A host with a control that its own handlers have.
fn controlled(control: &Control, handler: impl Handler) -> RunningHost {
    host(handler).control(control).start().unwrap()
}

#[track_caller]
fn check(report: StopReport) {
    assert_eq!(report.forced, 0);
}

#[test]
fn a_handler_asks_for_a_stop() {
    let control = Control::new();
    let within = control.clone();
    let host = controlled(
        &control,
        Layout::new().add("wait", here(|c| c.wait(LONG))).add("stop", move |_: Request| {
            within.request_stop(); // returns at once
            Response::text("stopping")
        }),
    );
    let mut stream = open(&host, "/wait");
    let mut wire = ask(&host, &GET.replace("/ ", "/stop "));
    assert_eq!(wire.answer(false).unwrap().body, b"stopping");
    wire.end().unwrap();
    retry(&stream.rest().unwrap());
    in_time(move || host.stop_within(LONG));
}

#[test]
fn a_handler_stops_and_waits() {
    let (sender, stopped) = mpsc::sync_channel(1);
    let control = Control::new();
    let within = control.clone();
    let app = Layout::new().index(|_: Request| Response::text("hello")).add("wait", here(|c| c.wait(LONG)));
    let host = controlled(
        &control,
        app.add("stop", move |_: Request| {
            sender.send(within.stop_within(LONG)).unwrap();
            Response::text("stopped")
        }),
    );
    let mut idle = ask(&host, "");
    assert_eq!(again(&mut idle, GET).status, 200);
    let mut stream = open(&host, "/wait");
    let mut wire = ask(&host, &GET.replace("/ ", "/stop "));
    assert_eq!(wire.answer(false).unwrap().body, b"stopped"); // its own answer still arrives
    wire.end().unwrap();
    idle.end().unwrap();
    retry(&stream.rest().unwrap());
    check(stopped.recv_timeout(DEADLINE).unwrap());
}

#[test]
fn a_generator_stops_and_waits() {
    let (sender, stopped) = mpsc::sync_channel(1);
    let control = Control::new();
    let within = control.clone();
    let app = Layout::new().add("wait", here(|c| c.wait(LONG)));
    let host = controlled(
        &control,
        app.add(
            "stop",
            here(move |c| {
                let report = within.stop_within(LONG);
                assert_eq!(c.data("x"), Err(SendError::Closed(CloseReason::Stopped)));
                sender.send(report).unwrap();
                Ok(())
            }),
        ),
    );
    let mut stream = open(&host, "/wait");
    let mut stopping = open(&host, "/stop");
    retry(&stream.rest().unwrap());
    retry(&stopping.rest().unwrap()); // told like all others
    check(stopped.recv_timeout(DEADLINE).unwrap());
    in_time(move || host.stop_within(LONG));
}

#[test]
fn a_generator_asks_for_a_stop() {
    let control = Control::new();
    let within = control.clone();
    let host = controlled(
        &control,
        here(move |c| {
            within.request_stop();
            assert!(!c.connected());
            c.wait(LONG)
        }),
    );
    let mut stream = open(&host, "/");
    retry(&stream.rest().unwrap());
    in_time(move || host.stop_within(LONG));
}

/// The log runs on the host's threads as well, the one that accepts among them.
#[test]
fn a_log_asks_for_a_stop() {
    let control = Control::new();
    let host = host(here(|c| c.wait(LONG))).control(&control).log(move |notice| {
        if matches!(notice, Notice::StreamOpened { .. }) {
            control.request_stop();
        }
    });
    let host = host.start().unwrap();
    let mut wire = ask(&host, GET);
    assert_eq!(wire.head().unwrap().status, 200);
    retry(&wire.rest().unwrap());
    in_time(move || host.stop_within(LONG));
}

/// That a follower has left is told on a thread of no connection. A listener that stops the host there must not wait for
/// the slot, which is given back when the listener has returned.
#[test]
fn who_is_told_of_an_end_stops_and_waits() {
    let (sender, stopped) = mpsc::sync_channel(1);
    let control = Control::new();
    let within = control.clone();
    let channel = Channel::new();
    let source = EventSource::channel(&channel);
    let host =
        host(Layout::new().add("news", source).add("wait", here(|c| c.wait(LONG)))).log(move |notice| {
            if matches!(notice, Notice::StreamEnded { request, .. } if request.path() == "/news") {
                sender.send(within.stop_within(LONG)).unwrap();
            }
        });
    let host = host.control(&control).start().unwrap();
    let mut stream = open(&host, "/wait");
    let follower = ask(&host, &GET.replace("/ ", "/news "));
    eventually("it follows", || channel.subscribers() == 1);
    drop(follower);
    retry(&stream.rest().unwrap());
    check(stopped.recv_timeout(DEADLINE).unwrap());
    in_time(move || host.stop_within(LONG));
}

/// What is the user's own may take its time to be dropped; nobody listens meanwhile.
#[test]
fn the_port_is_closed_before_the_handler_is_dropped() {
    struct Slow(Gate, mpsc::SyncSender<()>);
    impl Drop for Slow {
        fn drop(&mut self) {
            self.1.send(()).unwrap();
            self.0.pass();
        }
    }
    let gate = Gate::default();
    let (sender, dropping) = mpsc::sync_channel(1);
    let slow = Slow(gate.clone(), sender);
    let host = start(move |_: Request| {
        let _held = &slow;
        Response::text("hello")
    });
    let address = host.address();
    host.control().request_stop();
    dropping.recv_timeout(DEADLINE).unwrap();
    nobody_listens(address);
    gate.open();
    in_time(move || host.stop_within(LONG));
}

#[test]
fn all_the_time_in_the_world() {
    let host = start(here(|c| c.wait(LONG)));
    let mut stream = open(&host, "/");
    let report = in_time(move || host.stop_within(Duration::MAX));
    assert_eq!((report.ended, report.forced), (1, 0));
    retry(&stream.rest().unwrap());
}

/// A stop by the thread that tells of the limit does not wait for that thread.
#[test]
fn the_accept_loop_stops_and_waits() {
    let (sender, stopped) = mpsc::sync_channel(1);
    let control = Control::new();
    let within = control.clone();
    let host = host(here(|c| c.wait(LONG))).limits(unhurried().max_connections(1)).log(move |notice| {
        if matches!(notice, Notice::Full { .. }) {
            sender.send(within.stop_within(LONG)).unwrap();
        }
    });
    let host = host.control(&control).start().unwrap();
    let mut stream = open(&host, "/");
    let _too_many = ask(&host, GET);
    retry(&stream.rest().unwrap());
    check(stopped.recv_timeout(DEADLINE).unwrap());
    in_time(move || host.stop_within(LONG));
}

/// Who cuts off the others at the deadline does not cut off itself: its answer still arrives.
#[test]
fn a_stop_by_force_spares_its_own_connection() {
    let gate = Gate::default();
    let control = Control::new();
    let within = control.clone();
    let host = controlled(
        &control,
        Layout::new().add("deaf", deaf(&gate)).add("stop", move |_: Request| {
            let report = within.stop_within(Duration::from_millis(100));
            Response::text(format!("{} forced", report.forced))
        }),
    );
    let mut stream = open(&host, "/deaf");
    let mut wire = ask(&host, &GET.replace("/ ", "/stop "));
    let answer = wire.answer(false);
    gate.open();
    stream.end().unwrap();
    assert_eq!(String::from_utf8(answer.unwrap().body).unwrap(), "1 forced");
    in_time(move || host.stop_within(LONG));
}

/// Who serves a connection of one host stops another as anybody does: what that serves is none of its own.
#[test]
fn a_handler_stops_another_host() {
    let gate = Gate::default();
    let other = start(deaf(&gate));
    let control = other.control();
    let host = start(move |_: Request| {
        Response::text(format!("{} forced", control.stop_within(Duration::ZERO).forced))
    });
    let _held = open(&other, "/");
    let answer = ask(&host, GET).answer(false);
    gate.open();
    assert_eq!(String::from_utf8(answer.unwrap().body).unwrap(), "1 forced");
}

/// Two that wait for each other would wait for ever: a stop never takes longer than it was given.
#[test]
fn two_handlers_stop_at_once() {
    let (sender, stopped) = mpsc::sync_channel(2);
    let control = Control::new();
    let within = control.clone();
    let together = Arc::new(std::sync::Barrier::new(2));
    let host = controlled(&control, move |_: Request| {
        together.wait();
        let report = within.stop_within(Duration::from_millis(300));
        sender.send(report).unwrap();
        Response::text("stopped")
    });
    let _wires = [ask(&host, GET), ask(&host, GET)];
    for _ in 0..2 {
        stopped.recv_timeout(DEADLINE).expect("a stop returns");
    }
    in_time(move || host.stop_within(LONG));
}
