//! Faults of clients that have a stream, whoever sends into it.

use super::check;
use super::Fault::{Floods, HalfCloses, Leaves, Resets, Says, Sips};
use super::Outcome::{Ends, Gone};
use super::State::{Following, Receiving, Sending, Waiting};
use super::When::{Soon, Write};
use brooklet::CloseReason::{PeerClosed, Reset, UnexpectedInput, WriteDeadline};

#[test]
fn departures() {
    check(Waiting, HalfCloses(""), Ends(PeerClosed), Soon);
    check(Receiving, HalfCloses(""), Ends(PeerClosed), Soon);
    check(Following, HalfCloses(""), Ends(PeerClosed), Soon);
    check(Waiting, Leaves, Ends(PeerClosed), Soon);
    check(Receiving, Leaves, Ends(PeerClosed), Soon);
    check(Following, Leaves, Ends(PeerClosed), Soon);
    check(Sending, Leaves, Gone, Soon); // by a reset or not: it depends on what was on its way
}

#[test]
fn resets() {
    check(Waiting, Resets(""), Ends(Reset), Soon);
    check(Receiving, Resets(""), Ends(Reset), Soon);
    check(Following, Resets(""), Ends(Reset), Soon);
    check(Sending, Resets(""), Ends(Reset), Soon);
    check(Waiting, Resets("GET / HTTP/1.1\r\n"), Gone, Soon);
    check(Following, Resets("GET / HTTP/1.1\r\n"), Gone, Soon);
}

#[test]
fn floods() {
    check(Waiting, Floods(""), Ends(UnexpectedInput), Soon);
    check(Receiving, Floods(""), Ends(UnexpectedInput), Soon);
    check(Following, Floods(""), Ends(UnexpectedInput), Soon);
    // A generator that never waits never looks; what is sent into it stays in the client's own buffers.
    check(Sending, Floods(""), Ends(WriteDeadline), Write);
}

#[test]
fn readers_that_do_not_read() {
    check(Sending, Says(""), Ends(WriteDeadline), Write);
    check(Sending, Says("one word"), Ends(WriteDeadline), Write);
    check(Following, Says(""), Ends(WriteDeadline), Write);
    check(Following, Says("one word"), Ends(WriteDeadline), Write);
}

#[test]
fn readers_that_sip() {
    check(Sending, Sips(""), Ends(WriteDeadline), Write);
    check(Following, Sips(""), Ends(WriteDeadline), Write);
}
