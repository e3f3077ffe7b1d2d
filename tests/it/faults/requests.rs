//! Faults of clients that ask for something, or say they will.

use super::Fault::{Floods, HalfCloses, Leaves, Resets, Says, Sips, Trickles};
use super::Outcome::{Gone, Silent, Told};
use super::State::{Fresh, Kept};
use super::When::{Body, Head, Idle, Soon, Write};
use super::{check, GET, POST};

const LARGE: &str = "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n";
const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
const HUGE: &str = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n";

#[test]
fn silence() {
    check(Fresh, Says(""), Silent, Idle);
    check(Fresh, Says("\r\n"), Silent, Idle); // of a client that ends bodies so
    check(Kept, Says(""), Silent, Idle);
    check(Kept, Says("\r\n"), Silent, Idle);
}

#[test]
fn slow_heads() {
    check(Fresh, Says("G"), Told(408), Head);
    check(Fresh, Trickles("GET /"), Told(408), Head);
    check(Fresh, Trickles("GET / HTTP/1.1\r\nX: "), Told(408), Head);
    check(Kept, Says("GET / HT"), Told(408), Head);
    check(Kept, Trickles("GET / HTTP/1.1\r\nX: "), Told(408), Head);
}

#[test]
fn slow_bodies() {
    check(Fresh, Says(POST), Told(408), Body);
    check(Fresh, Trickles(POST), Told(408), Body);
    check(Fresh, Says(CHUNKED), Told(408), Body);
    check(Kept, Says(POST), Told(408), Body);
    check(Kept, Trickles(POST), Told(408), Body);
    check(Kept, Says(CHUNKED), Told(408), Body);
}

#[test]
fn half_closes() {
    check(Fresh, HalfCloses(""), Silent, Soon);
    check(Fresh, HalfCloses("GET / HT"), Told(400), Soon);
    check(Fresh, HalfCloses(POST), Told(400), Soon);
    check(Fresh, HalfCloses(CHUNKED), Told(400), Soon);
    check(Fresh, HalfCloses(GET), Told(200), Soon); // what was asked is answered
    check(Kept, HalfCloses(""), Silent, Soon);
    check(Kept, HalfCloses("GET / HT"), Told(400), Soon);
    check(Kept, HalfCloses(POST), Told(400), Soon);
    check(Kept, HalfCloses(GET), Told(200), Soon);
}

#[test]
fn resets() {
    check(Kept, Resets(""), Gone, Soon);
    check(Kept, Resets("GET / HT"), Gone, Soon);
    check(Kept, Resets(POST), Gone, Soon);
    check(Kept, Resets(CHUNKED), Gone, Soon);
    check(Kept, Resets(LARGE), Gone, Soon);
    check(Kept, Leaves, Gone, Soon);
}

/// What has no end is refused as soon as it is too much, not when its time is up.
#[test]
fn floods() {
    check(Fresh, Floods("GET /"), Told(414), Soon);
    check(Fresh, Floods("GET / HTTP/1.1\r\nX: "), Told(431), Soon);
    check(Kept, Floods("GET /"), Told(414), Soon);
    check(Fresh, Floods(HUGE), Told(413), Soon);
    check(Fresh, Floods(CHUNKED), Told(400), Soon);
}

/// An answer that nobody takes.
#[test]
fn unread_answers() {
    check(Fresh, Says(LARGE), Gone, Write);
    check(Fresh, Sips(LARGE), Gone, Write);
    check(Kept, Says(LARGE), Gone, Write);
}
