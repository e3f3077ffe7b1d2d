//! From a host to an address, and what is said where there is none.

use super::{ask, host, start, GET};
use crate::notes::noted;
use crate::patience::{in_time, LONG};
use brooklet::{Host, Request, Response, StartError};
use std::error::Error;
use std::net::{TcpListener, TcpStream};

fn hello(_: Request) -> Response {
    Response::text("hello")
}

#[test]
fn a_free_port_is_found_and_named() {
    let (first, second) = (start(hello), start(hello));
    assert!(first.address().ip().is_loopback());
    assert_ne!(first.address().port(), 0);
    assert_ne!(first.address(), second.address());
    for host in [first, second] {
        assert_eq!(ask(&host, GET).answer(false).unwrap().body, b"hello");
    }
}

#[test]
fn what_keeps_a_host_from_starting() {
    let holder = start(hello);
    let taken = holder.address().to_string();
    check(&taken, &format!("cannot listen on {taken}: "));
    check("nonsense", "cannot listen on nonsense: ");
    check("127.0.0.1", "cannot listen on 127.0.0.1: "); // no port
    check("127.0.0.1:99999", "cannot listen on 127.0.0.1:99999: ");
    check("192.0.2.1:0", "cannot listen on 192.0.2.1:0: "); // RFC 5737: nobody's

    /// One line, with the address and the cause; `Debug` is the same, for a `main` that returns it.
    #[track_caller]
    fn check(address: &str, start: &str) {
        let errors: [StartError; 2] = [
            Host::new(hello).bind(address).start().map(drop).unwrap_err(),
            Host::new(hello).bind(address).run().unwrap_err(),
        ];
        for error in errors {
            let line = error.to_string();
            assert!(line.starts_with(start) && line.len() > start.len(), "{line}");
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(format!("{error:?}"), line);
            assert!(line.ends_with(&error.source().expect("there is a cause").to_string()), "{line}");
        }
    }
}

#[test]
fn a_listener_of_ones_own() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let host = Host::new(hello).listener(listener).start().unwrap();
    assert_eq!(host.address(), address);
    assert_eq!(ask(&host, GET).answer(false).unwrap().body, b"hello");
}

#[test]
fn listening_is_logged_and_stops_with_the_host() {
    let (host, notes) = noted(host(hello));
    let host = host.start().unwrap();
    assert_eq!(notes.next(""), "listening");
    let address = host.address();
    TcpStream::connect(address).unwrap();
    host.stop_within(LONG);
    TcpStream::connect(address).expect_err("nobody listens any more");
    drop(host);
}

/// `run` serves on the thread that calls it, until somebody stops it.
#[test]
fn running() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let host = Host::new(|_: Request| Response::text(format!("{:?}", std::thread::current().name())));
    let host = host.listener(listener);
    let stopper = host.stopper();
    assert!(!stopper.is_stopping());
    let client = std::thread::spawn(move || {
        let mut wire = crate::wire::Wire::connect(address).unwrap();
        wire.send(GET.as_bytes());
        let answer = wire.answer(false).unwrap();
        stopper.request_stop();
        wire.end().unwrap();
        assert!(stopper.is_stopping());
        answer.body
    });
    in_time(move || host.run()).unwrap();
    assert_eq!(client.join().unwrap(), b"Some(\"brooklet\")"); // threads are named
    TcpStream::connect(address).expect_err("nobody listens any more");
}

/// A stop that comes first counts all the same.
#[test]
fn stopped_before_it_runs() {
    let host_to_run = host(hello);
    host_to_run.stopper().request_stop();
    in_time(move || host_to_run.run()).unwrap();

    let host_to_start = host(hello);
    let stopper = host_to_start.stopper(); // which outlives it
    stopper.request_stop();
    let host = host_to_start.start().unwrap();
    let address = host.address();
    let report = in_time(move || host.stop_within(LONG));
    assert_eq!((report.ended, report.forced), (0, 0));
    assert!(TcpStream::connect(address).is_err(), "somebody still listens");
}

/// Threads get the stack that was asked for: more for deep handlers, less for many streams.
#[test]
#[cfg(target_os = "linux")]
fn stacks() {
    // So large that the system cannot hand out one that an earlier thread has left.
    const SIZE: usize = 48 * 1024 * 1024;
    let host = host(|_: Request| Response::text(room_below().to_string())).stack_size(SIZE).start().unwrap();
    let answer = ask(&host, GET).answer(false).unwrap();
    let room: usize = String::from_utf8(answer.body).unwrap().parse().unwrap();
    assert!((SIZE - 256 * 1024..=SIZE).contains(&room), "{room} bytes");

    /// How far this thread's stack reaches down from here, as the system's table of mappings says.
    fn room_below() -> usize {
        let local = 0_u8;
        let here = &local as *const u8 as usize;
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let ranges = maps.lines().filter_map(|line| line.split_once(' ')?.0.split_once('-'));
        let hex = |digits: &str| usize::from_str_radix(digits, 16).unwrap();
        let mut starts = ranges.filter(|(start, end)| (hex(start)..hex(end)).contains(&here));
        here - hex(starts.next().expect("a stack is mapped").0)
    }
}
