//! Connections that the host did not accept itself: Unix sockets, and bytes in memory.

use super::{here, host, retry, GET, LONG};
use crate::memory::{Memory, Taking};
use crate::patience::in_time;
use brooklet::{Control, Layout, Request, Response, Status};

fn app() -> Layout {
    Layout::new()
        .index(|_: Request| Response::text("hello"))
        .add("wait", here(|c| c.wait(LONG)))
        .add("peer", |request: Request| Response::text(format!("{:?}", request.peer())))
        .add("none", |_: Request| Response::new(Status::NO_CONTENT))
}

fn texts(memory: &Memory) -> Vec<String> {
    memory.writes().into_iter().map(|write| String::from_utf8(write).unwrap()).collect()
}

/// Requests one after the other, each answered in one write, until the client ends its side.
#[test]
fn in_memory() {
    let requests =
        [GET, "GET /peer HTTP/1.1\r\nHost: any.example\r\n\r\n", "GET /none HTTP/1.0\r\n\r\n", GET];
    let memory = Memory::new(requests).ended().serve(&host(app()));
    let answers = texts(&memory);
    assert!(answers[0].ends_with("\r\n\r\nhello"), "{answers:?}");
    assert!(answers[1].ends_with("\r\n\r\nNone"), "{answers:?}"); // on another interface, and so any name
    assert!(answers[2].starts_with("HTTP/1.1 204"), "{answers:?}"); // and HTTP/1.0 ends with it
    assert_eq!(answers.len(), 3);
}

/// However the bytes arrive, they are the same requests.
#[test]
fn in_memory_byte_by_byte() {
    let input = GET.repeat(3);
    let memory = Memory::new(input.as_bytes().chunks(1)).ended().serve(&host(app()));
    assert_eq!(texts(&memory).iter().filter(|answer| answer.ends_with("\r\n\r\nhello")).count(), 3);
}

/// A connection that arrives on loopback, or does not tell, is guarded, of whatever it is made.
#[test]
fn in_memory_with_an_address() {
    let ask = |local: &str| {
        let request = "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n";
        let memory = Memory::new([request]).at(local.parse().ok()).ended().serve(&host(app()));
        texts(&memory)[0].split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(ask("127.0.0.1:80"), "403");
    assert_eq!(ask("[::1]:80"), "403");
    assert_eq!(ask("[::ffff:127.0.0.1]:80"), "403");
    assert_eq!(ask("192.0.2.1:80"), "200");
    assert_eq!(ask("none"), "403");
}

/// Where a client has sent more than was asked, the host ends its own side and reads the rest: closing would take the
/// answer from the client.
#[test]
fn in_memory_with_a_rest() {
    let (refused, last) = ("GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.0\r\n\r\n");
    let large = "x".repeat(10_000);
    check(&[last], false);
    check(&[&format!("{last}x")], true);
    check(&[&format!("{last}x"), &large, "x"], true);
    check(&[refused], true);
    check(&[refused, &large, "x"], true);

    #[track_caller]
    fn check(pieces: &[&str], expected: bool) {
        let memory = Memory::new(pieces).serve(&host(app()));
        assert_eq!((memory.is_half_closed(), memory.has_unread()), (expected, false), "{pieces:?}");
    }
}

/// A socket that takes nothing, and does not say why, is not asked for ever.
#[test]
fn in_memory_where_nothing_is_taken() {
    let memory = in_time(|| Memory::new([GET]).taking(Taking::Nothing).serve(&host(app())));
    assert!(memory.written().is_empty());
}

/// `serve` returns when the host stops, and the stream is told as over TCP.
#[test]
fn a_stop_ends_what_is_served_by_hand() {
    let control = Control::new();
    let host = host(app()).control(&control).log(move |notice| {
        if matches!(notice, brooklet::Notice::StreamOpened { .. }) {
            control.request_stop();
        }
    });
    let memory = in_time(move || Memory::new(["GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"]).serve(&host));
    retry(texts(&memory)[1].as_bytes());
}

/// A connection that comes when the stop has looked around already is not forgotten.
#[test]
fn a_stop_ends_what_comes_after_it() {
    let serve = |pieces: &[&str]| {
        let control = Control::new();
        control.request_stop();
        let host = host(app()).control(&control);
        let memory = Memory::new(pieces); // which then waits
        in_time(move || texts(&memory.serve(&host)))
    };
    assert!(serve(&[]).is_empty());
    assert!(serve(&["GET / HT"]).is_empty());
    let answers = serve(&["GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"]);
    retry(answers[1].as_bytes());
}

#[test]
#[cfg(unix)]
fn over_a_unix_socket() {
    use crate::patience::DEADLINE;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    let (mut client, served) = UnixStream::pair().unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    let control = Control::new();
    let host = host(app()).control(&control);
    let serving = std::thread::spawn(move || host.serve(served));
    client.write_all(b"GET / HTTP/1.1\r\nHost: any.example\r\n\r\n").unwrap();
    let mut answer = String::new();
    read_until(&mut client, "hello", &mut answer);
    client.write_all(b"GET /wait HTTP/1.1\r\nHost: any.example\r\n\r\n").unwrap();
    read_until(&mut client, "data: here\n\n", &mut answer);
    control.request_stop();
    let mut rest = String::new();
    client.read_to_string(&mut rest).unwrap();
    retry(rest.as_bytes());
    in_time(move || serving.join()).unwrap();

    #[track_caller]
    fn read_until(client: &mut UnixStream, end: &str, text: &mut String) {
        while !text.ends_with(end) {
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap();
            text.push(char::from(byte[0]));
        }
    }
}

/// The other end leaves: a wait over a Unix socket notices as one over TCP does.
#[test]
#[cfg(unix)]
fn departure_from_a_unix_socket() {
    use std::io::Write;
    use std::net::Shutdown;
    use std::os::unix::net::UnixStream;

    let (mut client, served) = UnixStream::pair().unwrap();
    client.write_all(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    client.shutdown(Shutdown::Write).unwrap(); // the other half stays, or a write would notice
    in_time(move || host(app()).serve(served));
}
