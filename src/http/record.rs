//! The [`Record`] of a connection: why it ended, and how much was sent. Its [`Registration`], a slot of a host say, keeps the
//! record beside the connection, so that it can be read after the connection has ended.

use std::sync::atomic::{AtomicU8, Ordering};

use super::close_reason::CloseReason;
use crate::atomic::AtomicU64;
use crate::clock::Clock;

/// What became of a connection.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(super) reason: AtomicU8,
    pub(super) bytes: AtomicU64,
    pub(super) events: AtomicU64,
}

impl Record {
    pub(crate) fn reason(&self) -> Option<CloseReason> {
        CloseReason::from_number(self.reason.load(Ordering::Acquire))
    }

    /// Bytes handed to the socket, those of a write under way included.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Events of a stream.
    pub(crate) fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }
}

/// The entry of a connection with its host, or with a simulation. The connection holds it until its own last handle is
/// dropped. It keeps the record.
pub(crate) trait Registration: Send + Sync {
    fn record(&self) -> &Record;

    /// The clock that a stream on this connection waits by.
    fn clock(&self) -> Clock {
        Clock::System
    }
}
