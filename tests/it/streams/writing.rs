//! Answers of any type that are written as they come.

use super::{host, GET};
use crate::memory::Memory;
use crate::notes::noted;
use crate::patience::{eventually, DEADLINE, LONG};
use crate::wire::ask;
use brooklet::{CloseReason, Host, Request, Response, Status, StreamWriter};
use std::io::Write;
use std::sync::mpsc;
use std::time::Duration;

/// A row: what is written, the writes that the client gets behind the head, and what the log says of it.
#[track_caller]
fn check(write: fn(&mut StreamWriter<'_>) -> brooklet::Result, expected: &[(usize, &str)], log: &[&str]) {
    let (host, notes) = noted(host(move |_: Request| Response::stream("text/x-lines", write)));
    let writes = Memory::new([GET]).serve(&host).writes();
    let head = String::from_utf8(writes[0].clone()).unwrap();
    assert!(
        head.contains("\r\nContent-Type: text/x-lines\r\n") && head.ends_with("Connection: close\r\n\r\n"),
        "{head}"
    );
    let writes: Vec<_> = writes[1..]
        .iter()
        .map(|write| (write.len(), String::from_utf8_lossy(&write[..write.len().min(4)])))
        .collect();
    let expected: Vec<_> = expected.iter().map(|(length, text)| (*length, (*text).into())).collect();
    assert_eq!(writes, expected);
    let log: Vec<_> = ["opened GET /"].iter().chain(log).map(|line| (*line).to_owned()).collect();
    assert_eq!(notes.so_far(), log);
}

#[test]
fn what_is_written_gathers() {
    const RETURNED: &str = "ended GET / Returned, 0 events";
    check(|_| Ok(()), &[], &[RETURNED]);
    check(|out| Ok(write!(out, "{}{}", 1, 2)?), &[(2, "12")], &[RETURNED]);
    check(
        |out| {
            out.write_all(b"a")?;
            out.flush()?;
            out.flush()?; // nothing
            out.write_all(b"b")?;
            out.wait(Duration::ZERO)?;
            Ok(out.write_all(b"c")?)
        },
        &[(1, "a"), (1, "b"), (1, "c")],
        &[RETURNED],
    );
    // Each byte says where it belongs.
    let pieces = [(65_536, "abcd"), (65_536, "jklm"), (8, "stuv")];
    check(|out| Ok(out.write_all(&(0..131_080).map(letter).collect::<Vec<_>>())?), &pieces, &[RETURNED]);
    check(|out| Ok((0..131_080).try_for_each(|at| out.write_all(&[letter(at)]))?), &pieces, &[RETURNED]);
    // No bytes but those that were written, whatever happens.
    check(
        |out| out.write_all(b"a").map_err(Into::into).and(Err("boom".into())),
        &[(1, "a")],
        &["failed GET /: boom", "ended GET / Failed, 0 events"],
    );
    check(|_| panic!("boom"), &[], &["failed GET /: panicked: boom", "ended GET / Panicked, 0 events"]);

    fn letter(at: u32) -> u8 {
        b'a' + (at % 23) as u8
    }
}

#[test]
fn it_ends_as_streams_do() {
    check(CloseReason::PeerClosed, |_| true);
    check(CloseReason::Stopped, |host| {
        host.control().request_stop();
        false
    });

    #[track_caller]
    fn check(expected: CloseReason, end: fn(&brooklet::RunningHost) -> bool) {
        let (sender, told) = mpsc::sync_channel(1);
        let host = Host::new(move |_: Request| {
            let sender = sender.clone();
            Response::stream("text/plain", move |out| {
                out.write_all(b"here")?;
                sender.send(out.wait(LONG))?;
                Ok(writeln!(out, "too late").and_then(|()| out.flush())?) // an end is no failure
            })
        });
        let (host, notes) = noted(host.bind("127.0.0.1:0"));
        let host = host.start().unwrap();
        let mut client = ask(&host, GET);
        client.head().unwrap();
        client.exactly(b"here").unwrap();
        if end(&host) {
            drop(client);
        } else {
            client.end().unwrap(); // without a word
        }
        assert_eq!(super::reason(told.recv_timeout(DEADLINE).unwrap()), expected);
        notes.next("ended GET /");
        eventually("it is counted", || host.stats().ended_by(expected) == 1);
    }
}

/// RFC 9110 §9.3.2 and §6.4.1: an answer to HEAD has no body, and one with 204 or 304 has none.
#[test]
fn answers_without_a_body() {
    check("HEAD", Status::OK);
    check("GET", Status::NO_CONTENT);
    check("GET", Status::NOT_MODIFIED);

    #[track_caller]
    fn check(method: &str, status: Status) {
        let write =
            move |_: Request| Response::stream("text/plain", |_| panic!("it is written")).status(status);
        let (host, notes) = noted(Host::new(write));
        let written = Memory::new([GET.replace("GET", method)]).ended().serve(&host).written();
        let written = String::from_utf8(written).unwrap();
        assert!(written.ends_with("Connection: close\r\n\r\n"), "{written}");
        assert_eq!(notes.so_far(), [format!("answered {method} / {}, 0 bytes", status.code())]);
    }
}
