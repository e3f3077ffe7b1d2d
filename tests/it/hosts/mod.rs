//! Hosts from outside: how they start, serve, refuse and stop.

mod bounds;
mod crowds;
mod deadlines;
mod descriptors;
mod guard;
mod names;
mod reports;
mod sockets;
mod starting;
mod stopping;
mod stopping_from_within;

use brooklet::{EventSource, Handler, Host, RunningHost, SendError};

use crate::patience::{unhurried, LONG};
use crate::wire::{ask, Answer, Wire};

const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const GET_EVENTS: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";

fn host(handler: impl Handler) -> Host {
    Host::new(handler).bind("127.0.0.1:0").limits(unhurried())
}

#[track_caller]
fn start(handler: impl Handler) -> RunningHost {
    host(handler).start().unwrap()
}

/// The answer to one more request on a connection.
#[track_caller]
fn again(wire: &mut Wire, request: &str) -> Answer {
    wire.send(request.as_bytes());
    wire.answer(request.starts_with("HEAD ")).unwrap()
}

/// Opens a stream and reads its head and its first event, `data: here`.
#[track_caller]
fn open(host: &RunningHost, path: &str) -> Wire {
    let mut wire = ask(host, &GET.replace("/ ", &format!("{path} ")));
    assert_eq!(wire.head().unwrap().status, 200);
    wire.exactly(b"data: here\n\n").unwrap();
    wire
}

/// A source that says `here` and then does `rest`.
fn here(
    rest: impl Fn(&mut brooklet::EventConnection<'_>) -> Result<(), SendError> + Send + Sync + 'static,
) -> EventSource {
    EventSource::new(move |connection| {
        connection.data("here")?;
        Ok(rest(connection)?)
    })
}

/// The milliseconds of a body that says `retry:` and nothing else.
#[track_caller]
fn retry(body: &[u8]) -> u64 {
    let text = std::str::from_utf8(body).unwrap();
    let digits = text.strip_prefix("retry: ").and_then(|rest| rest.strip_suffix("\n"));
    digits.and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("no retry alone: {text:?}"))
}
