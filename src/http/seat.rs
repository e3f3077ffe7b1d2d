//! What is kept beside a connection, for whoever looks after it has ended: its record, and the place that it takes.

use std::sync::atomic::{AtomicU8, Ordering};

use super::close_reason::CloseReason;
use crate::atomic::AtomicU64;
use crate::clock::Clock;

/// What became of a connection, kept beside it for whoever looks after it has ended.
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

/// What a connection is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// It waits for the first byte of a request.
    Idle,
    /// It has begun a request's head.
    Head,
    /// It is being served.
    Busy,
    /// It has given its place to another.
    GivenAway,
}

/// The place that a connection takes, held until its last handle is gone. It keeps the record.
pub(crate) trait Seat: Send + Sync {
    fn record(&self) -> &Record;

    /// Since when it has been in its phase, in microseconds of the host's life.
    fn since(&self) -> u64;

    /// Whether the connection is in that phase, and may give its place away.
    fn may_give_away(&self, from: Phase) -> bool;

    /// Gives the place away, if it may.
    fn give_away(&self, from: Phase) -> bool;

    /// The clock that a stream on this connection waits by.
    fn clock(&self) -> Clock {
        Clock::System
    }
}
