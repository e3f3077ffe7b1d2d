//! Hosts from outside: how they start, serve, refuse and stop.

mod bounds;
mod deadlines;
mod descriptors;
mod guard;
mod names;
mod overload;
mod reports;
mod sockets;
mod starting;
mod stopping;
mod stopping_from_within;

use brooklet::EventSource;

use crate::patience::{Gate, LONG};
use crate::serving::{here, host, open, start, GET};
use crate::wire::{ask, Answer, Wire};

const GET_EVENTS: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";

/// The answer to one more request on a connection.
#[track_caller]
fn again(wire: &mut Wire, request: &str) -> Answer {
    wire.send(request.as_bytes());
    wire.answer(request.starts_with("HEAD ")).unwrap()
}

/// A source whose generator calls nothing of ours, and returns when the gate is open.
fn deaf(gate: &Gate) -> EventSource {
    let gate = gate.clone();
    here(move |_| {
        gate.pass();
        Ok(())
    })
}

/// The milliseconds of a body that says `retry:` and nothing else.
#[track_caller]
fn retry(body: &[u8]) -> u64 {
    crate::serving::comeback(body, "")
}
