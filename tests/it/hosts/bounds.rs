//! What a host takes from its clients, where its bounds were set.

use super::{ask, host, GET};
use crate::patience::{eventually, unhurried, DEADLINE, LONG};
use brooklet::{Channel, EventSource, Layout, Presence, Request, Response};

/// Exactly the bound is served, in one line or in many; one byte more is refused. Cookies know no ports, and
/// single sign-on puts 12 KB there: the default takes them.
#[test]
fn heads() {
    let hello = |_: Request| Response::text("hello");
    let head = |length: usize| {
        let begin = "GET / HTTP/1.1\r\nHost: localhost\r\nCookie: ";
        format!("{begin}{}\r\n\r\n", "c".repeat(length - begin.len() - 4))
    };
    for (max, lengths) in [
        (None, [(12_000, 200), (32 * 1024, 200), (32 * 1024 + 1, 431), (64 * 1024, 431)]),
        (Some(100_000), [(12_000, 200), (64 * 1024, 200), (100_000, 200), (100_001, 431)]),
        (Some(100), [(60, 200), (100, 200), (101, 431), (12_000, 431)]),
    ] {
        let limits = max.map_or_else(unhurried, |max| unhurried().max_head(max));
        let host = host(hello).limits(limits).start().unwrap();
        for (length, status) in lengths {
            assert_eq!(
                ask(&host, &head(length)).answer(false).unwrap().status,
                status,
                "{length} of {max:?}"
            );
        }
    }
}

/// Bodies count as long as their requests are held; a stream that only follows holds none.
#[test]
fn bodies_together() {
    const MIB: usize = 1024 * 1024;
    let channel = Channel::new();
    let presence = channel.presence();
    let held = EventSource::new(|connection| Ok(connection.wait(LONG)?)).methods(["POST"]);
    let app = Layout::new()
        .add("length", |request: Request| Response::text(request.body().len().to_string()))
        .add("follow", EventSource::channel(&channel).methods(["POST"]))
        .add("held", held);
    let limits = unhurried().max_bodies(2 * MIB as u64);
    let host = host(app).log(|_| {}).limits(limits).start().unwrap();
    let post = |path: &str, length: usize| {
        let head = format!("POST /{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n");
        ask(&host, &(head + &"x".repeat(length)))
    };
    let is_served = || {
        let answer = post("length", MIB).answer(false).unwrap();
        assert_eq!(answer.field("Retry-After"), (answer.status == 503).then_some("1"));
        answer.status == 200
    };
    assert!(is_served());
    let mut follower = post("follow", MIB);
    assert_eq!(follower.head().unwrap().status, 200);
    eventually("the follower holds no body", is_served);
    let held = [(), ()].map(|()| {
        let mut held = None;
        // Until a request before it is answered and gone.
        eventually("there is room for a stream", || {
            let mut wire = post("held", MIB);
            let is_served = wire.head().unwrap().status == 200;
            held = is_served.then_some(wire);
            is_served
        });
        held
    });
    for _ in 0..3 {
        assert!(!is_served());
    }
    assert_eq!(ask(&host, GET).answer(false).unwrap().status, 404, "who sends none is served");
    drop(held);
    eventually("there is room", is_served);
    assert!(
        matches!(presence.recv_timeout(DEADLINE).unwrap(), Presence::Joined { request, .. } if request.body().is_empty())
    );
}

/// A body in chunks grows up to its own bound, and takes no more than that of what all may take together.
#[test]
fn one_body_in_chunks() {
    const MAX: usize = 100_000; // no doubling of what a body begins with
    let length = |request: Request| Response::text(request.body().len().to_string());
    let limits = unhurried().max_body(MAX as u64).max_bodies(MAX as u64);
    let host = host(length).limits(limits).start().unwrap();
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (length, status) in [(MAX, 200), (MAX + 1, 413)] {
        let body = format!("{length:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(length));
        assert_eq!(ask(&host, &(head.to_owned() + &body)).answer(false).unwrap().status, status, "{length}");
    }
}
