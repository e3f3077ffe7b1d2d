//! From a host to an address, and what is said where there is none.

use super::{ask, host, start, GET};
use crate::example::nobody_listens;
use crate::notes::noted;
use crate::patience::{eventually, in_time, DEADLINE, LONG};
use brooklet::testing::Client;
use brooklet::{Channel, Control, EventSource, Host, Layout, Request, Response, StartError};
use std::error::Error;
use std::fmt::Debug;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;

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
    let (free, taken) = (SocketAddr::from(([127, 0, 0, 1], 0)), holder.address().to_string());
    check(&*taken, &format!("cannot listen on {taken}: "));
    check("nonsense", "cannot listen on nonsense: ");
    check("127.0.0.1", "cannot listen on 127.0.0.1: "); // no port
    check("127.0.0.1:99999", "cannot listen on 127.0.0.1:99999: ");
    check("192.0.2.1:0", "cannot listen on 192.0.2.1:0: "); // RFC 5737: nobody's

    // All, but for those that the system does not have.
    check(&[free, holder.address()][..], &format!("cannot listen on {taken}: "));

    /// One line, with the address and the cause; `Debug` is the same, for a `main` that returns it.
    #[track_caller]
    fn check(address: impl ToSocketAddrs + Debug + Copy, start: &str) {
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
    nobody_listens(address);
    drop(host);
}

/// `run` serves on the thread that calls it, until somebody stops it.
#[test]
fn running() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let host = Host::new(|_: Request| Response::text(format!("{:?}", std::thread::current().name())));
    let control = Control::new();
    let host = host.listener(listener).control(&control);
    assert!(!control.is_stopping());
    let client = std::thread::spawn(move || {
        let mut wire = crate::wire::Wire::connect(address).unwrap();
        wire.send(GET.as_bytes());
        let answer = wire.answer(false).unwrap();
        control.request_stop();
        wire.end().unwrap();
        assert!(control.is_stopping());
        answer.body
    });
    in_time(move || host.run()).unwrap();
    assert_eq!(client.join().unwrap(), b"Some(\"brooklet\")"); // threads are named
    nobody_listens(address);
}

/// A stop that comes first counts all the same.
#[test]
fn stopped_before_it_runs() {
    let control = Control::new();
    control.request_stop();
    let host_to_run = host(hello).control(&control);
    in_time(move || host_to_run.run()).unwrap();
    let host = host(hello).control(&control).start().unwrap();
    let address = host.address();
    let report = in_time(move || host.stop_within(LONG));
    assert_eq!((report.ended, report.forced), (0, 0));
    nobody_listens(address);
}

/// All threads get the stack that was asked for: more for deep handlers, less for many streams.
#[test]
#[cfg(target_os = "linux")]
fn stacks() {
    use crate::alone;
    use crate::webdriver::TempFolder;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::process::Command;

    alone::alone("hosts::starting::stacks", || {
        // Memory of its own that the C library keeps for each thread is a sixteenth of that.
        const SIZE: usize = 1 << 30;
        let (count, bytes) = (alone::threads(), address_space());
        let channel = Channel::new();
        let app = Layout::new()
            .index(hello)
            .add("wait", EventSource::new(|connection| Ok(connection.wait(LONG)?)))
            .add("follow", EventSource::channel(&channel));
        let (host, notes) = noted(host(app));
        let host = host.stack_size(SIZE).console().start().unwrap();
        let open = |target| Client::get(target).deadline(DEADLINE).connect(host.address());
        let mut streams = Vec::from(["/wait", "/follow", "/follow", "/wait"].map(open));
        eventually("two follow", || channel.subscribers() == 2);
        // A leader, one for each generator, the console's, and at least one that sends to followers.
        eventually("all have it", || {
            let more = alone::threads() - count;
            // And no more than that.
            more >= 5 && (more * SIZE..(more + 1) * SIZE).contains(&(address_space() - bytes))
        });

        // Nor is there another for the one that has a stop reach a Unix socket: without it the socket is shut down.
        let is_reached = |before_stop: &mut dyn FnMut()| {
            // The C library keeps the stack of a thread that has ended until another one ends.
            eventually("that of the stop before has ended", || alone::threads_named("brooklet-wake") == 0);
            std::thread::spawn(|| ()).join().unwrap();
            let folder = TempFolder::new();
            let path = folder.0.join("socket");
            let listener = UnixListener::bind(&path).unwrap();
            let _still_open = listener.try_clone().unwrap();
            let host = super::host(hello).unix_listener(listener).start().unwrap();
            before_stop();
            host.stop();
            UnixStream::connect(&path).is_ok()
        };
        // What a host asks for in vain is not for others.
        assert!(is_reached(&mut || drop(
            Host::new(hello).bind("127.0.0.1:0").stack_size(1 << 46).start().unwrap_err()
        )));
        assert!(!is_reached(&mut || {
            let limit = format!("--as={}", address_space() + SIZE / 2);
            let mut prlimit = Command::new("prlimit");
            prlimit.args(["--pid", &std::process::id().to_string(), &limit]);
            assert!(prlimit.status().unwrap().success());
            // Idle threads, and stacks of ended ones that the C library keeps, are taken by streams.
            while streams.iter().all(Result::is_ok) {
                streams.push(open("/wait"));
            }
        }));
        drop(streams); // who tells of that may be a thread that is there
        notes.next("cannot accept");
        drop(host);
        eventually("all threads have ended", || alone::threads() == count);
    });

    fn address_space() -> usize {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        pages.split(' ').next().unwrap().parse::<usize>().unwrap() * 4096
    }
}

/// A name is all of its addresses, port 0 the same port for all, and every call adds.
#[test]
fn several_addresses() {
    let loopbacks = || ("localhost", 0).to_socket_addrs().unwrap().count();
    check(host(hello), 1);
    check(host(hello).bind("127.0.0.1:0"), 2);
    check(Host::new(hello).bind("localhost:0"), loopbacks());
    check(Host::new(hello).bind(("127.0.0.1", 0)).bind(SocketAddr::from(([127, 0, 0, 2], 0))), 2);
    check(Host::new(hello).bind(&["127.0.0.1:0".parse().unwrap(), "192.0.2.1:0".parse().unwrap()][..]), 1);

    #[track_caller]
    fn check(host: Host, count: usize) {
        let host = host.start().unwrap();
        let addresses = host.addresses().to_vec();
        assert_eq!((addresses.len(), addresses[0]), (count, host.address()));
        for address in &addresses {
            let mut wire = crate::wire::Wire::connect(*address).unwrap();
            wire.send(GET.as_bytes());
            assert_eq!(wire.answer(false).unwrap().body, b"hello", "{address}");
        }
        in_time(move || host.stop_within(LONG));
        addresses.into_iter().for_each(nobody_listens);
    }
}

#[test]
fn one_free_port_for_both_loopbacks() {
    let host = Host::new(hello).bind("localhost:0").start().unwrap();
    let ports: std::collections::HashSet<_> = host.addresses().iter().map(SocketAddr::port).collect();
    assert_eq!(ports.len(), 1);
    let taken = Host::new(hello).bind(("localhost", host.address().port()));
    assert!(taken.start().is_err(), "an address in use is an error");
}

/// Beside a port, and whether its path is still there when it stops or not.
#[test]
#[cfg(unix)]
fn a_unix_listener() {
    use crate::webdriver::TempFolder;
    use std::io::{Read, Write};
    use std::os::unix::net::{UnixListener, UnixStream};

    for is_removed in [false, true] {
        let folder = TempFolder::new();
        let path = folder.0.join("socket");
        let held = Arc::new("hello");
        let text = Arc::clone(&held);
        let hello = move |_: Request| Response::text(*text);
        let host = host(hello).unix_listener(UnixListener::bind(&path).unwrap()).start().unwrap();
        assert_eq!(host.addresses(), [host.address()]);
        assert_eq!(ask(&host, GET).answer(false).unwrap().body, b"hello");
        let mut client = UnixStream::connect(&path).unwrap();
        client.write_all(b"GET / HTTP/1.0\r\nHost: any.example\r\n\r\n").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("hello"), "{answer}");
        if is_removed {
            std::fs::remove_file(&path).unwrap();
        }
        let port = host.address();
        in_time(move || host.stop_within(LONG));
        nobody_listens(port);
        eventually("nobody listens at the path", || UnixStream::connect(&path).is_err());
        eventually("its threads have ended", || Arc::strong_count(&held) == 1);
    }
}

/// Whoever has the listener as well, another process say, can shut it down.
#[test]
#[cfg(target_os = "linux")]
fn a_listener_that_is_shut_down_elsewhere() {
    use crate::webdriver::TempFolder;
    use std::os::unix::io::OwnedFd;
    use std::os::unix::net::{UnixListener, UnixStream};

    let folder = TempFolder::new();
    let listener = UnixListener::bind(folder.0.join("socket")).unwrap();
    let elsewhere = UnixStream::from(OwnedFd::from(listener.try_clone().unwrap()));
    let (host, notes) = noted(host(hello).unix_listener(listener));
    let host = host.start().unwrap();
    elsewhere.shutdown(std::net::Shutdown::Both).unwrap();
    notes.next("cannot accept");
    in_time(move || host.stop_within(LONG));
}
