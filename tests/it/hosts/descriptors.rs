//! Running out of file descriptors, in a process of its own: the limit is the process's.

use super::{ask, here, host, open, start, GET, LONG};
use crate::notes::noted;
use crate::patience::{in_time, DEADLINE};
use crate::wire::Wire;
use brooklet::{Content, Host, Layout, RunningHost};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Instant;
use std::{env, thread};

/// Set in the process with few descriptors.
const VARIABLE: &str = "BROOKLET_FEW_DESCRIPTORS";

/// Runs this program's test `name` again, with 40 descriptors, and with `test` as what it does.
#[track_caller]
fn with_few_descriptors(name: &str, test: fn()) {
    if env::var_os(VARIABLE).is_some() {
        return test();
    }
    let mut command = Command::new("sh");
    command.args(["-c", r#"ulimit -n 40 && exec "$0" --exact "$1" --nocapture"#]);
    command.arg(env::current_exe().unwrap()).arg(format!("hosts::descriptors::{name}"));
    command.env(VARIABLE, "1").stdin(Stdio::null());
    let output = in_time(move || command.output().expect("there is a shell"));
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// Takes every descriptor that is left.
fn take_all() -> Vec<File> {
    let mut files = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        files.push(file);
        assert!(files.len() < 100, "there is no limit");
    }
    files
}

/// Connects with a descriptor that is given back for it. The host may be quicker and take it.
fn connect(host: &RunningHost, files: &mut Vec<File>) -> Wire {
    let started = Instant::now();
    loop {
        files.pop().expect("there were some to give back");
        if let Ok(wire) = Wire::connect(host.address()) {
            return wire;
        }
        assert!(started.elapsed() < DEADLINE);
    }
}

fn app() -> Layout {
    Layout::new().index(Content::text("hello")).add("wait", here(|c| c.wait(LONG)))
}

/// A stop needs it to wake the thread that accepts, which would go on accepting else.
#[test]
#[cfg(target_os = "linux")]
fn no_second_descriptor_for_a_listener() {
    with_few_descriptors("no_second_descriptor_for_a_listener", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let files = take_all();
        let started = Host::new(app()).listener(listener).start();
        drop(files);
        let error = started.map(drop).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot listen on http://{address}: ")), "{error}");
        assert!(TcpStream::connect(address).is_err(), "it still listens");
    });
}

/// Clients that wait already take none of the descriptors that a start needs.
#[test]
#[cfg(target_os = "linux")]
fn starting_with_just_enough() {
    with_few_descriptors("starting_with_just_enough", || {
        let [first, second] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let address = first.local_addr().unwrap();
        let mut clients: Vec<_> = (0..4).map(|_| Wire::connect(address).unwrap()).collect();
        let mut files = take_all();
        files.truncate(files.len() - 2); // a second one for each listener
        let host = Host::new(app()).listener(first).listener(second).start().unwrap();
        drop(files);
        for client in &mut clients {
            client.send(GET.as_bytes());
            assert_eq!(client.answer(false).unwrap().body, b"hello");
        }
        let addresses = host.addresses().to_vec();
        in_time(move || host.stop_within(LONG));
        assert!(
            addresses.iter().all(|address| TcpStream::connect(address).is_err()),
            "somebody still listens"
        );
    });
}

/// Clients that cannot be accepted wait; when there is room again they are served, and so are new ones.
#[test]
#[cfg(target_os = "linux")]
fn accepting_goes_on() {
    with_few_descriptors("accepting_goes_on", || {
        let (host, notes) = noted(host(app()));
        let host = host.start().unwrap();
        let mut stream = open(&host, "/wait");

        let mut files = take_all();
        let mut waiting = connect(&host, &mut files);
        let mut second = connect(&host, &mut files);
        waiting.send(GET.as_bytes());
        second.send(GET.as_bytes());
        notes.next("cannot accept");
        assert!(Wire::connect(host.address()).is_err(), "there is room after all");

        drop(files);
        for wire in [&mut waiting, &mut second] {
            assert_eq!(wire.answer(false).unwrap().body, b"hello");
        }
        for _ in 0..30 {
            assert_eq!(ask(&host, GET).answer(false).unwrap().body, b"hello");
        }
        assert_eq!(host.stats().streams, 1); // it has not been disturbed
        in_time(move || host.stop_within(LONG));
        stream.rest().unwrap();
    });
}

/// Trouble that lasts is waited out, not burned through, and not told thousands of times.
#[test]
#[cfg(target_os = "linux")]
fn trouble_is_told_once() {
    with_few_descriptors("trouble_is_told_once", || {
        let (host, notes) = noted(host(app()));
        let host = host.start().unwrap();
        let stat = File::open("/proc/self/stat").unwrap(); // as long as that can be done
        let mut settled = ask(&host, GET); // what the host opens to listen, it has opened
        assert_eq!(settled.answer(false).unwrap().status, 200);
        notes.next("answered"); // which is told when the client has it
        let mut files = take_all();
        let _first = connect(&host, &mut files); // accepted with what the host had in reserve
        notes.next("cannot accept");
        let before = cpu_ticks(&stat);
        thread::sleep(std::time::Duration::from_millis(500)); // what is measured is this time
        assert!(
            cpu_ticks(&stat) - before <= 20,
            "{} ticks of 10 ms burned in 500 ms",
            cpu_ticks(&stat) - before
        );
        assert!(notes.so_far().is_empty(), "the same again");
        drop(files);
        assert_eq!(ask(&host, GET).answer(false).unwrap().body, b"hello");
    });

    /// User and system time of this process.
    fn cpu_ticks(mut stat: &File) -> u64 {
        let mut text = String::new();
        stat.seek(SeekFrom::Start(0)).and_then(|_| stat.read_to_string(&mut text)).unwrap();
        let fields: Vec<_> = text.rsplit(") ").next().unwrap().split(' ').collect();
        fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum()
    }
}

/// A stop needs no descriptor: an accept that has one in reserve and waits is woken all the same.
#[test]
#[cfg(target_os = "linux")]
fn stopping_without_a_descriptor() {
    with_few_descriptors("stopping_without_a_descriptor", || {
        let idle = start(app());
        // The answer was accepted, so the next accept is under way, or about to be.
        assert_eq!(ask(&idle, GET).answer(false).unwrap().status, 200);
        let files = take_all();
        stop(idle, files);
    });
}

/// The same while accepting is in trouble.
#[test]
#[cfg(target_os = "linux")]
fn stopping_while_in_trouble() {
    with_few_descriptors("stopping_while_in_trouble", || {
        let (host, notes) = noted(host(app()));
        let host = host.start().unwrap();
        let mut settled = ask(&host, GET); // what the host opens to listen, it has opened
        assert_eq!(settled.answer(false).unwrap().status, 200);
        notes.next("answered"); // which is told when the client has it
        let mut files = take_all();
        let _first = connect(&host, &mut files);
        notes.next("cannot accept");
        stop(host, files);
    });
}

/// Stops, and expects that nobody listens any more.
#[track_caller]
fn stop(host: RunningHost, files: Vec<File>) {
    let address = host.address();
    in_time(move || host.stop_within(LONG));
    drop(files); // or nobody could connect anyway
    TcpStream::connect(address).expect_err("somebody listens still");
}
