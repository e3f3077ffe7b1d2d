//! Which names a host on loopback answers to, as far as that depends on how it was set up.

use super::{ask, host};
use crate::patience::LONG;
use brooklet::{Content, Host, RunningHost};
use std::net::SocketAddr;

fn page() -> Content {
    Content::text("hello")
}

#[track_caller]
fn status(host: &RunningHost, name: &str) -> u16 {
    ask(host, &format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n")).answer(false).unwrap().status
}

/// The refusal tells its reader what to do, and repeats nothing that the client sent.
#[test]
fn the_refusal_names_the_remedy() {
    let host = host(page()).start().unwrap();
    let answer = ask(&host, "GET /<x> HTTP/1.1\r\nHost: evil.example\r\n\r\n").answer(false).unwrap();
    assert_eq!(answer.status, 400, "the target is judged first");
    let answer = ask(&host, "GET /x HTTP/1.1\r\nHost: evil.example\r\n\r\n").answer(false).unwrap();
    let body = String::from_utf8(answer.body).unwrap();
    assert_eq!(answer.status, 403);
    assert!(body.contains("allow_host"), "{body}");
    assert_eq!(body.lines().count(), 1, "{body}");
    assert!(!body.contains("evil"), "{body}");
}

#[test]
fn allowed_names() {
    let host = host(page()).allow_host("tool.example").allow_host("Other.Example.:80").start().unwrap();
    for (name, expected) in [
        ("tool.example", 200),
        ("TOOL.example.:8080", 200),
        ("other.example", 200),
        ("OTHER.EXAMPLE", 200),
        ("localhost", 200),
        ("127.0.0.1:1", 200),
        ("sub.tool.example", 403),
        ("tool.example.evil", 403),
        ("example", 403),
    ] {
        assert_eq!(status(&host, name), expected, "{name}");
    }
}

/// An absolute target replaces the Host field (RFC 9112 §3.2.2), here as well.
#[test]
fn absolute_targets_are_judged() {
    let host = host(page()).start().unwrap();
    for (authority, field, expected) in [
        ("evil.example", "localhost", 403),
        ("localhost", "evil.example", 200),
        ("127.0.0.1:80", "localhost", 200),
    ] {
        let request = format!("GET http://{authority}/ HTTP/1.1\r\nHost: {field}\r\n\r\n");
        assert_eq!(ask(&host, &request).answer(false).unwrap().status, expected, "{authority} {field}");
    }
}

/// What counts is where a connection arrives, not what the host was bound to: on all interfaces, that from
/// this machine is guarded.
#[test]
fn bound_to_every_interface() {
    let host = Host::new(page()).bind("0.0.0.0:0").start().unwrap();
    let local = SocketAddr::from(([127, 0, 0, 1], host.address().port()));
    let ask = |name: &str| {
        let mut wire = crate::wire::Wire::connect(local).unwrap();
        wire.send(format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n").as_bytes());
        wire.answer(false).unwrap().status
    };
    assert_eq!(ask("localhost"), 200);
    assert_eq!(ask("evil.example"), 403);
    // And it can be woken where it has no address of its own to connect to.
    assert_eq!(crate::patience::in_time(move || host.stop_within(LONG)).forced, 0);
}

/// Over IPv6, where there is any.
#[test]
fn over_ipv6() {
    let host = match Host::new(page()).bind("[::1]:0").start() {
        Ok(host) => host,
        Err(_) => return,
    };
    assert_eq!(status(&host, &format!("[::1]:{}", host.address().port())), 200);
    assert_eq!(status(&host, "localhost"), 200);
    assert_eq!(status(&host, "evil.example"), 403);
    assert_eq!(crate::patience::in_time(move || host.stop_within(LONG)).forced, 0);
}

/// RFC 9110 §9.3.2: the answer to HEAD has no content, a refusal like any other.
#[test]
fn the_refusal_of_a_head_has_no_body() {
    let host = host(page()).start().unwrap();
    let mut wire = ask(&host, "HEAD / HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert_eq!(wire.answer(true).unwrap().status, 403);
    wire.end().unwrap();
}
