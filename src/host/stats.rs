//! What the host counts, and how it tells.

use std::fmt;
use std::sync::atomic::Ordering;

use crate::atomic::AtomicU64;
use crate::http::CloseReason;

/// How a host is doing: a look at its counters.
///
/// Its `Display` is the text format of Prometheus; see [`Control`](crate::Control).
///
/// ```
/// use brooklet::{CloseReason, Host, Layout};
///
/// let host = Host::new(Layout::new()).bind("127.0.0.1:0").start()?;
/// let stats = host.stats();
/// assert_eq!((stats.connections, stats.streams, stats.failures), (0, 0, 0));
/// assert_eq!(stats.ended_by(CloseReason::PeerClosed), 0);
/// assert!(stats.to_string().contains("\nbrooklet_streams 0\n"));
/// # Ok::<(), brooklet::StartError>(())
/// ```
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
    /// Requests refused so far because they were malformed, too large or too slow.
    pub refused: u64,
    /// Requests refused so far by the rules for [access](crate::guide::access).
    pub forbidden: u64,
    /// Connections sent away so far because the limit was reached.
    pub turned_away: u64,
    /// Connections closed so far to make room for others, while they were idle or slow to begin.
    pub gave_way: u64,
    /// Events sent so far.
    pub events: u64,
    /// Bytes sent so far.
    pub bytes: u64,
    /// Handlers and generators that returned an error so far.
    pub failures: u64,
    /// Handlers and generators that panicked so far.
    pub panics: u64,
    ended: [u64; CloseReason::COUNT],
}

impl Stats {
    /// How many streams have ended so far for a reason.
    pub fn ended_by(&self, reason: CloseReason) -> u64 {
        self.ended[reason as usize]
    }
}

/// The text format of Prometheus, version 0.0.4.
impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        gauge(f, "connections", "Connections that are open, streams included.", self.connections as u64)?;
        gauge(f, "streams", "Event streams that are open.", self.streams)?;
        counter(f, "connections_accepted", "Connections accepted.", self.accepted)?;
        counter(f, "requests_answered", "Requests answered, refused ones included.", self.answered)?;
        head(f, "refused_total", "counter", "Connections and requests refused, by cause.")?;
        let causes = [
            ("malformed", self.refused),
            ("forbidden", self.forbidden),
            ("full", self.turned_away),
            ("gave_way", self.gave_way),
        ];
        for (cause, count) in causes {
            writeln!(f, "brooklet_refused_total{{cause=\"{cause}\"}} {count}")?;
        }
        head(f, "streams_ended_total", "counter", "Event streams that have ended, by reason.")?;
        let ends = CloseReason::all().filter(|reason| *reason != CloseReason::HandedOver);
        for reason in ends {
            let label = reason.as_str().replace(' ', "_");
            writeln!(f, "brooklet_streams_ended_total{{reason=\"{label}\"}} {}", self.ended_by(reason))?;
        }
        counter(f, "events_sent", "Events sent.", self.events)?;
        counter(f, "bytes_sent", "Bytes sent.", self.bytes)?;
        counter(f, "failures", "Handlers and generators that returned an error.", self.failures)?;
        counter(f, "panics", "Handlers and generators that panicked.", self.panics)
    }
}

fn gauge(f: &mut fmt::Formatter<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    head(f, name, "gauge", help)?;
    writeln!(f, "brooklet_{name} {value}")
}

fn counter(f: &mut fmt::Formatter<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    let name = format!("{name}_total");
    head(f, &name, "counter", help)?;
    writeln!(f, "brooklet_{name} {value}")
}

fn head(f: &mut fmt::Formatter<'_>, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(f, "# HELP brooklet_{name} {help}\n# TYPE brooklet_{name} {kind}")
}

/// The counters behind [`Stats`]; the open connections are counted by their slots.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) streams: Counter,
    /// Connections in the midst of a head.
    pub(super) heads: Counter,
    pub(super) accepted: Counter,
    pub(super) answered: Counter,
    pub(super) refused: Counter,
    pub(super) forbidden: Counter,
    pub(super) turned_away: Counter,
    pub(super) gave_way: Counter,
    pub(super) events: Counter,
    pub(super) bytes: Counter,
    pub(super) failures: Counter,
    pub(super) panics: Counter,
    ended: [Counter; CloseReason::COUNT],
    /// What was told last. A connection that is just ending is not open any more, and may not have been added yet.
    told_events: Counter,
    told_bytes: Counter,
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    /// Returns what it was before.
    pub(super) fn add(&self, count: u64) -> u64 {
        self.0.fetch_add(count, Ordering::Relaxed)
    }

    pub(super) fn subtract_one(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// Raises it to a value, and returns the higher of both.
    fn raise_to(&self, value: u64) -> u64 {
        self.0.fetch_max(value, Ordering::Relaxed).max(value)
    }

    pub(super) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(super) fn ended_by(&self, reason: CloseReason) -> &Counter {
        &self.ended[reason as usize]
    }

    /// The counters, and what the open connections have sent so far.
    pub(super) fn stats(&self, connections: usize, open_events: u64, open_bytes: u64) -> Stats {
        let mut ended = [0; CloseReason::COUNT];
        for (value, counter) in ended.iter_mut().zip(&self.ended) {
            *value = counter.value();
        }
        Stats {
            connections,
            streams: self.streams.value(),
            accepted: self.accepted.value(),
            answered: self.answered.value(),
            refused: self.refused.value(),
            forbidden: self.forbidden.value(),
            turned_away: self.turned_away.value(),
            gave_way: self.gave_way.value(),
            events: self.told_events.raise_to(self.events.value() + open_events),
            bytes: self.told_bytes.raise_to(self.bytes.value() + open_bytes),
            failures: self.failures.value(),
            panics: self.panics.value(),
            ended,
        }
    }
}
