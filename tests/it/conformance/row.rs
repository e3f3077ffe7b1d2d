//! A row: one request, and what must come of it however its bytes arrive.

use crate::wire::{show, Answer, Wire};
use std::net::SocketAddr;
use std::panic::Location;

/// Sent behind a row: served if the connection goes on, never answered if it does not.
const NEXT: &[u8] = b"GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n";
const NEXT_STATUS: u16 = 204;

/// Rows above this size are fed in larger pieces than single bytes.
const BYTEWISE: usize = 2 * 1024;
const PIECE: usize = 1021; // a prime, so that pieces end at ever other places

#[derive(Clone, Copy, PartialEq)]
enum End {
    /// The connection goes on: the next request is served.
    Serves,
    /// Answered and closed in order, as the request or the answer wants it.
    Closes,
    /// Answered, announced with `Connection: close`, closed in order (RFC 9112 §9.6).
    Refuses,
    /// As `Refuses`, but the client ends its side first.
    Cut,
    /// Either is fine, but the answer says which.
    Says,
}

enum Check {
    Body(Vec<u8>),
    Has(&'static str, &'static str),
    Lacks(&'static str),
    Lists(&'static str),
    Hides(&'static str),
}

pub(super) struct Row {
    input: Vec<u8>,
    status: u16,
    end: End,
    checks: Vec<Check>,
    place: &'static Location<'static>,
}

/// Answered, and the connection serves on.
#[track_caller]
pub(super) fn serves(status: u16, input: impl AsRef<[u8]>) -> Row {
    Row::new(status, input.as_ref(), End::Serves)
}

/// Answered as usual, then closed, since the client or the answer wants it so.
#[track_caller]
pub(super) fn closes(status: u16, input: impl AsRef<[u8]>) -> Row {
    Row::new(status, input.as_ref(), End::Closes)
}

/// Refused: one answer, `Connection: close`, the end. Bytes behind it are no request.
#[track_caller]
pub(super) fn refuses(status: u16, input: impl AsRef<[u8]>) -> Row {
    Row::new(status, input.as_ref(), End::Refuses)
}

/// The client ends its side in the middle of a request: 400.
#[track_caller]
pub(super) fn cut(input: impl AsRef<[u8]>) -> Row {
    Row::new(400, input.as_ref(), End::Cut)
}

/// Answered; whether the connection goes on is what the answer says.
#[track_caller]
pub(super) fn says(status: u16, input: impl AsRef<[u8]>) -> Row {
    Row::new(status, input.as_ref(), End::Says)
}

impl Row {
    #[track_caller]
    fn new(status: u16, input: &[u8], end: End) -> Self {
        Self { input: input.to_vec(), status, end, checks: Vec::new(), place: Location::caller() }
    }

    /// The answer's body is exactly this.
    pub(super) fn body(self, expected: impl AsRef<[u8]>) -> Self {
        self.and(Check::Body(expected.as_ref().to_vec()))
    }

    /// The answer has this field.
    pub(super) fn has(self, name: &'static str, value: &'static str) -> Self {
        self.and(Check::Has(name, value))
    }

    /// The answer has no such field.
    pub(super) fn lacks(self, name: &'static str) -> Self {
        self.and(Check::Lacks(name))
    }

    /// The answer's body has this line.
    pub(super) fn lists(self, line: &'static str) -> Self {
        self.and(Check::Lists(line))
    }

    /// The answer's body has no line that starts so.
    pub(super) fn hides(self, start: &'static str) -> Self {
        self.and(Check::Hides(start))
    }

    fn and(mut self, check: Check) -> Self {
        self.checks.push(check);
        self
    }

    /// Feeds the row whole, in pieces and with a request behind it.
    pub(super) fn run(&self, address: SocketAddr) -> Result<(), String> {
        let size = if self.input.len() > BYTEWISE { PIECE } else { 1 };
        let explain = |feed: &'static str| move |error: String| self.explain(feed, &error);
        self.alone(address, usize::MAX).map_err(explain("whole"))?;
        self.alone(address, size).map_err(explain("in pieces"))?;
        match self.end {
            End::Cut => Ok(()), // nothing can follow the end
            _ => self.tailed(address).map_err(explain("with a request behind it")),
        }
    }

    fn alone(&self, address: SocketAddr, size: usize) -> Result<(), String> {
        let mut wire = Wire::connect(address)?;
        wire.send_in_pieces(&self.input, size);
        if self.end == End::Cut {
            wire.finish();
        }
        if self.judge(&wire.answer(self.is_head())?)? {
            wire.send(NEXT);
            serve_next(&mut wire)?;
        }
        wire.end()
    }

    fn tailed(&self, address: SocketAddr) -> Result<(), String> {
        let mut wire = Wire::connect(address)?;
        wire.send(&[&self.input, NEXT].concat());
        if self.judge(&wire.answer(self.is_head())?)? {
            serve_next(&mut wire)?;
        }
        wire.end()
    }

    /// Whether the answer is the expected one, and whether the connection goes on.
    fn judge(&self, answer: &Answer) -> Result<bool, String> {
        if answer.status != self.status {
            let body = show(&answer.body);
            return Err(format!("expected {}, got {} {body}", self.status, answer.status));
        }
        for check in &self.checks {
            check.judge(answer)?;
        }
        match self.end {
            End::Serves if answer.closes() => Err("Connection: close without need".to_owned()),
            End::Serves => Ok(true),
            End::Says => Ok(!answer.closes()),
            // A 1.0 client expects the end; every other has to be told.
            End::Closes if self.is_old() => Ok(false),
            _ if answer.closes() => Ok(false),
            _ => Err("no Connection: close".to_owned()),
        }
    }

    fn is_head(&self) -> bool {
        self.input.starts_with(b"HEAD ")
    }

    fn is_old(&self) -> bool {
        self.input.windows(10).any(|ten| ten == b" HTTP/1.0\r")
    }

    fn explain(&self, feed: &str, error: &str) -> String {
        format!("{}: {feed}: {error}\n    {}", self.place, show(&self.input))
    }
}

impl Check {
    fn judge(&self, answer: &Answer) -> Result<(), String> {
        let lines = || answer.body.split(|byte| *byte == b'\n');
        let kept = match self {
            Self::Body(expected) => answer.body == *expected,
            Self::Has(name, value) => answer.field(name) == Some(value),
            Self::Lacks(name) => answer.field(name).is_none(),
            Self::Lists(line) => lines().any(|found| found == line.as_bytes()),
            Self::Hides(start) => !lines().any(|found| found.starts_with(start.as_bytes())),
        };
        let rule = match self {
            Self::Body(expected) => format!("body {}", show(expected)),
            Self::Has(name, value) => format!("field {name}: {value}"),
            Self::Lacks(name) => format!("no field {name}"),
            Self::Lists(line) => format!("line {line:?}"),
            Self::Hides(start) => format!("no line {start:?}"),
        };
        if kept {
            Ok(())
        } else {
            Err(format!("expected {rule} in {answer:?}"))
        }
    }
}

/// The connection is in step: the next request is answered, once, and then all is said.
fn serve_next(wire: &mut Wire) -> Result<(), String> {
    let answer = wire.answer(false).map_err(|error| format!("the next request: {error}"))?;
    wire.finish();
    if answer.status == NEXT_STATUS {
        Ok(())
    } else {
        Err(format!("the next request: {}", answer.status))
    }
}
