//! What the host counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// How a host is doing: a look at its counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections that are open now, streams included.
    pub connections: usize,
    /// Event streams that are open now.
    pub streams: u64,
    /// Connections accepted so far.
    pub accepted: u64,
    /// Requests answered so far, refused ones included.
    pub answered: u64,
    /// Connections sent away so far because the limit was reached.
    pub turned_away: u64,
    /// Events sent so far by streams that have ended.
    pub events: u64,
    /// Bytes sent so far on connections that have ended.
    pub bytes: u64,
    /// Handlers and generators that failed or panicked so far.
    pub failures: u64,
}

/// The counters behind [`Stats`]; the open connections are counted by their places.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) streams: Counter,
    pub(super) accepted: Counter,
    pub(super) answered: Counter,
    pub(super) turned_away: Counter,
    pub(super) events: Counter,
    pub(super) bytes: Counter,
    pub(super) failures: Counter,
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn subtract_one(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(super) fn stats(&self, connections: usize) -> Stats {
        Stats {
            connections,
            streams: self.streams.value(),
            accepted: self.accepted.value(),
            answered: self.answered.value(),
            turned_away: self.turned_away.value(),
            events: self.events.value(),
            bytes: self.bytes.value(),
            failures: self.failures.value(),
        }
    }
}
