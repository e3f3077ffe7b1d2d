//! What a host says of itself, gathered as short lines that tests can compare.

use brooklet::{Host, Notice};
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
        Notice::Answered { method, target, status, bytes, .. } => {
            format!("answered {method} {target} {}, {bytes} bytes", status.code())
        }
        Notice::Refused { status, why, .. } => format!("refused {}: {why}", status.code()),
        Notice::StreamOpened { method, target, .. } => format!("opened {method} {target}"),
        Notice::StreamEnded { method, target, reason, events, .. } => {
            format!("ended {method} {target} {reason:?}, {events} events")
        }
        Notice::Failed { method, target, error, .. } => format!("failed {method} {target}: {error}"),
        Notice::CannotAccept { .. } => "cannot accept".to_owned(),
        Notice::Full { connections, .. } => format!("full {connections}"),
        other => format!("{other:?}"),
    }
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
