//! Hosts of tests, what they serve, and how that is asked for.

use brooklet::{EventConnection, EventSource, Handler, Host, RunningHost, SendError};

use crate::patience::unhurried;
use crate::wire::{ask, Wire};

pub(crate) const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Serves a handler at a free port, by deadlines that do not pass.
pub(crate) fn host(handler: impl Handler) -> Host {
    Host::new(handler).bind("127.0.0.1:0").limits(unhurried())
}

#[track_caller]
pub(crate) fn start(handler: impl Handler) -> RunningHost {
    host(handler).start().unwrap()
}

/// A source that says `here` and then does `rest`.
pub(crate) fn here(
    rest: impl Fn(&mut EventConnection<'_>) -> Result<(), SendError> + Send + Sync + 'static,
) -> EventSource {
    EventSource::new(move |connection| {
        connection.data("here")?;
        Ok(rest(connection)?)
    })
}

/// Opens a stream and reads its head and its first event, `data: here`.
#[track_caller]
pub(crate) fn open(host: &RunningHost, path: &str) -> Wire {
    let mut wire = ask(host, &GET.replace("/ ", &format!("{path} ")));
    assert_eq!(wire.head().unwrap().status, 200, "{path}");
    wire.exactly(b"data: here\n\n").unwrap();
    wire
}

/// The milliseconds of a body that says `before`, then `retry:`, and nothing else.
#[track_caller]
pub(crate) fn comeback(body: &[u8], before: &str) -> u64 {
    let text = std::str::from_utf8(body).unwrap();
    let rest = text.strip_prefix(before).and_then(|rest| rest.strip_prefix("retry: "));
    let digits = rest.and_then(|rest| rest.strip_suffix("\n"));
    digits.and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("no retry alone: {text:?}"))
}
