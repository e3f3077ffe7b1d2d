//! Conversations: what a client sends, awaits and sends again on one connection.

use crate::wire::{show, Wire};
use std::net::SocketAddr;
use std::panic::Location;

/// One move in a conversation.
#[derive(Debug)]
pub(super) enum Step {
    /// The client sends this in one write; see [`send`].
    Send(String),
    /// The client ends its side.
    Finish,
    /// An answer with this status.
    Get(u16),
    /// An answer with this status, to a HEAD request.
    Head(u16),
    /// An answer 200 with this body.
    Body(&'static str),
    /// The connection is over, in order.
    Over,
}

/// The client sends these parts in one write.
pub(super) fn send<const N: usize>(parts: [&str; N]) -> Step {
    Step::Send(parts.concat())
}

pub(super) struct Talk {
    steps: Vec<Step>,
    place: &'static Location<'static>,
}

/// The host does exactly this, and nothing is left to read at the end: a conversation
/// without `Over` ends with the client's side, after which nothing may come.
#[track_caller]
pub(super) fn talk<const N: usize>(steps: [Step; N]) -> Talk {
    Talk { steps: Vec::from(steps), place: Location::caller() }
}

impl Talk {
    pub(super) fn run(&self, address: SocketAddr) -> Result<(), String> {
        let mut wire = Wire::connect(address)?;
        for (index, step) in self.steps.iter().enumerate() {
            take(step, &mut wire)
                .map_err(|error| format!("{}: step {index}, {step:?}: {error}", self.place))?;
        }
        wire.finish();
        wire.end().map_err(|error| format!("{}: {error}", self.place))
    }
}

fn take(step: &Step, wire: &mut Wire) -> Result<(), String> {
    let (expected, head_only) = match step {
        Step::Send(text) => {
            wire.send(text.as_bytes());
            return Ok(());
        }
        Step::Finish => {
            wire.finish();
            return Ok(());
        }
        Step::Over => return wire.end(),
        Step::Get(status) => (*status, false),
        Step::Head(status) => (*status, true),
        Step::Body(_) => (200, false),
    };
    let answer = wire.answer(head_only)?;
    if answer.status != expected {
        return Err(format!("got {} {}", answer.status, show(&answer.body)));
    }
    match step {
        Step::Body(text) if answer.body != text.as_bytes() => Err(format!("got {}", show(&answer.body))),
        _ => Ok(()),
    }
}
