//! What a host says of itself, gathered as short lines that tests can compare.

use brooklet::{Host, Notice, Request};
use std::sync::mpsc::{self, Receiver};

use crate::patience::DEADLINE;

pub(crate) struct Notes(Receiver<String>);

/// Listens to a host.
pub(crate) fn noted(host: Host) -> (Host, Notes) {
    let (sender, receiver) = mpsc::channel();
    let host = host.log(move |notice| {
        sender.send(line(notice)).ok(); // the test may be over
    });
    (host, Notes(receiver))
}

/// Leaves out what differs from run to run: addresses and times.
fn line(notice: &Notice<'_>) -> String {
    match notice {
        Notice::Listening { .. } => "listening".to_owned(),
        Notice::Answered { request, status, bytes, .. } => {
            format!("answered {} {}, {bytes} bytes", asked(request), status.code())
        }
        Notice::Refused { status, why, .. } => format!("refused {}: {why}", status.code()),
        Notice::StreamOpened { request, .. } => format!("opened {}", asked(request)),
        Notice::StreamEnded { request, reason, events, .. } => {
            format!("ended {} {reason:?}, {events} events", asked(request))
        }
        Notice::Failed { request, error, .. } => format!("failed {}: {error}", asked(request)),
        Notice::CannotAccept { .. } => "cannot accept".to_owned(),
        Notice::Full { connections, .. } => format!("full {connections}"),
        other => format!("{other:?}"),
    }
}

fn asked(request: &Request) -> String {
    format!("{} {}", request.method(), request.raw_target())
}

impl Notes {
    /// What was said and not yet read, without waiting.
    pub(crate) fn so_far(&self) -> Vec<String> {
        self.0.try_iter().collect()
    }

    /// The next line that starts so; what comes before is skipped.
    #[track_caller]
    pub(crate) fn next(&self, start: &str) -> String {
        let mut skipped = Vec::new();
        loop {
            match self.0.recv_timeout(DEADLINE) {
                Ok(line) if line.starts_with(start) => return line,
                Ok(line) => skipped.push(line),
                Err(error) => panic!("no {start:?}: {error}; there was {skipped:?}"),
            }
        }
    }
}
