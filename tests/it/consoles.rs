//! The console of a host in a process of its own, for as long as nobody reads what that writes to standard error.

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::{env, thread};

use brooklet::{Control, EventSource, Host, Layout, Request, Response};

use crate::example::{ask, free_address};
use crate::patience::{eventually, in_time, unhurried, DEADLINE, LONG};
use crate::wire::Wire;

/// Set where this program runs itself as a host: the address.
const VARIABLE: &str = "BROOKLET_CONSOLE";
/// Requests whose lines are more than a pipe and the host's queue hold.
const MANY: usize = 100;

#[test]
fn the_host() {
    let address = match env::var(VARIABLE) {
        Ok(address) => address,
        Err(_) => return,
    };
    let events = EventSource::new(|connection| {
        connection.data("here")?;
        Ok(connection.wait(LONG)?)
    });
    let app = Layout::new().index(|_: Request| Response::text("hello")).add("events", events);
    let control = Control::new();
    let host =
        Host::new(app).bind(address).control(&control).limits(unhurried().max_connections(3)).console();
    thread::spawn(move || {
        io::copy(&mut io::stdin(), &mut io::sink()).unwrap();
        control.request_stop();
    });
    host.run().unwrap();
}

/// Its answers, its streams, what it does when it is full, and its end do not wait for a console.
#[test]
fn nobody_reads() {
    let (host, address) = start(Stdio::piped());
    ask_much(address);
    let mut streams = Vec::new();
    // Connections that have ended may still hold slots.
    eventually("three have room", || {
        let mut wire = Wire::connect(address).unwrap();
        wire.send(get("/events").as_bytes());
        if wire.head().map_or(false, |head| head.status == 200) && wire.exactly(b"data: here\n\n").is_ok() {
            streams.push(wire);
        }
        streams.len() == 3
    });
    let status = |target| {
        let mut wire = Wire::connect(address).unwrap();
        wire.send(get(target).as_bytes());
        wire.answer(false).map(|answer| answer.status)
    };
    eventually("it says that it is full", || status("/") == Ok(503));
    drop(streams);
    eventually("there is room again", || status("/") == Ok(200));
    end(host);
}

/// Who reads late gets all that there was room for, and how much there was not; and the last lines before the end.
#[test]
fn somebody_reads_later() {
    let (mut host, address) = start(Stdio::piped());
    ask_much(address);
    let console = BufReader::new(host.stderr.take().unwrap());
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || console.lines().for_each(|line| sender.send(line.unwrap()).unwrap()));
    let (mut host, mut told, mut last) = (Some(host), 0, String::new());
    while let Ok(line) = lines.recv_timeout(DEADLINE) {
        match line.split_once(" lines are missing here") {
            Some((count, _)) => {
                told += count.parse::<usize>().unwrap();
                if let Some(host) = host.take() {
                    ask(address, get("/last?token=secret"));
                    end(host);
                }
            }
            None if line.contains(" 404, ") => told += 1,
            None => assert!(line.starts_with("listening on http://127.0.0.1:"), "{line:?}"),
        }
        last = line;
    }
    assert!(host.is_none(), "nothing is missing");
    assert_eq!(told, MANY + 1);
    assert!(last.contains(" GET /last?… 404, "), "{last:?}");
}

/// Standard error may refuse lines, and be ready again later: they are counted, too.
#[test]
#[cfg(unix)]
fn it_is_full_and_says_so() {
    use std::os::unix::io::OwnedFd;
    use std::os::unix::net::UnixDatagram;

    let (console, theirs) = UnixDatagram::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    console.set_nonblocking(true).unwrap();
    let (host, address) = start(OwnedFd::from(theirs).into());
    ask_much(address);
    let (mut asked, mut told, mut missing) = (MANY, 0, 0);
    eventually("each line is there, or counted", || {
        let mut line = [0; 8 * 1024];
        match console.recv(&mut line) {
            Ok(length) => {
                match String::from_utf8_lossy(&line[..length]).split_once(" lines are missing here") {
                    Some((count, _)) => missing += count.parse::<usize>().unwrap(),
                    None => told += usize::from(line.windows(6).any(|six| six == b" 404, ")),
                }
            }
            Err(_) if told + missing < asked => {
                ask(address, get("/another"));
                asked += 1;
            }
            Err(_) => {}
        }
        told + missing == asked
    });
    assert!(missing > 0);
    end(host);
}

/// A host, and where it serves. Nobody reads yet what it writes.
fn start(stderr: Stdio) -> (Child, SocketAddr) {
    let address = free_address();
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "consoles::the_host", "--nocapture"]).env(VARIABLE, address.to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(stderr);
    let host = command.spawn().unwrap();
    eventually("it listens", || Wire::connect(address).is_ok());
    (host, address)
}

/// Asks on one connection for what is not there, by names of 4 KiB.
fn ask_much(address: SocketAddr) {
    let mut wire = Wire::connect(address).unwrap();
    for _ in 0..MANY {
        wire.send(get(&format!("/{}", "x".repeat(4096))).as_bytes());
        assert_eq!(wire.answer(false).unwrap().status, 404);
    }
}

/// Has it stop, and waits until `run` has returned and the process is gone.
fn end(mut host: Child) {
    drop(host.stdin.take());
    assert!(in_time(move || host.wait().unwrap()).success());
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}
