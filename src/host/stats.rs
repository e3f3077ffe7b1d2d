//! What the host counts, and how it tells.

use std::fmt;
use std::sync::atomic::Ordering;

use crate::atomic::AtomicU64;
use crate::http::CloseReason;

/// Defines [`Stats`] and the counters behind it: a row for each number, with the names that Prometheus knows it by and
/// the sentence that it is told. Rows of one name stand together, the first of them with the sentence.
macro_rules! numbers {
    ($(#[$meta:meta])* pub struct Stats {
        $($(#[$doc:meta])* pub $field:ident: u64 = $sample:literal, $help:literal;)*
    }) => {
        $(#[$meta])*
        pub struct Stats {
            $($(#[$doc])* pub $field: u64,)*
            ended: [u64; CloseReason::COUNT],
        }

        impl Stats {
            fn rows(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
                [$(($sample, $help, self.$field)),*].into_iter()
            }
        }

        /// The counters behind [`Stats`].
        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub(super) $field: Counter,)*
            /// Connections in the midst of a head.
            pub(super) heads: Counter,
            ended: [Counter; CloseReason::COUNT],
            /// The last values that were reported: see `Counters::stats`.
            told_events: Counter,
            told_bytes: Counter,
        }

        impl Counters {
            fn values(&self) -> Stats {
                let mut ended = [0; CloseReason::COUNT];
                for (value, counter) in ended.iter_mut().zip(&self.ended) {
                    *value = counter.value();
                }
                Stats { $($field: self.$field.value(),)* ended }
            }
        }
    };
}

numbers! {
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
        pub connections: u64 = "connections", "Connections that are open, streams included.";
        /// Event streams that are open now.
        pub streams: u64 = "streams", "Event streams that are open.";
        /// Connections accepted so far.
        pub accepted: u64 = "connections_accepted_total", "Connections accepted.";
        /// Requests answered so far, refused ones included.
        pub answered: u64 = "requests_answered_total", "Requests answered, refused ones included.";
        /// Requests refused so far because they were malformed, too large or too slow.
        pub refused: u64 = "refused_total{cause=\"malformed\"}", "Connections and requests refused, by cause.";
        /// Requests refused so far by the rules for [access](crate::guide::access).
        pub forbidden: u64 = "refused_total{cause=\"forbidden\"}", "";
        /// Connections sent away so far because the limit was reached.
        pub turned_away: u64 = "refused_total{cause=\"full\"}", "";
        /// Connections closed so far to make room for others, while they were idle or slow to begin.
        pub gave_way: u64 = "refused_total{cause=\"gave_way\"}", "";
        /// Events sent so far.
        pub events: u64 = "events_sent_total", "Events sent.";
        /// Bytes sent so far.
        pub bytes: u64 = "bytes_sent_total", "Bytes sent.";
        /// Handlers and generators that returned an error so far.
        pub failures: u64 = "failures_total", "Handlers and generators that returned an error.";
        /// Handlers and generators that panicked so far.
        pub panics: u64 = "panics_total", "Handlers and generators that panicked.";
    }
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
        for (sample, help, value) in self.rows() {
            if !help.is_empty() {
                let name = sample.split('{').next().unwrap_or(sample);
                let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
                writeln!(f, "# HELP brooklet_{name} {help}\n# TYPE brooklet_{name} {kind}")?;
            }
            writeln!(f, "brooklet_{sample} {value}")?;
        }
        f.write_str("# HELP brooklet_streams_ended_total Event streams that have ended, by reason.\n")?;
        f.write_str("# TYPE brooklet_streams_ended_total counter\n")?;
        for reason in CloseReason::all().filter(|reason| *reason != CloseReason::HandedOver) {
            let label = reason.to_string().replace(' ', "_");
            writeln!(f, "brooklet_streams_ended_total{{reason=\"{label}\"}} {}", self.ended_by(reason))?;
        }
        Ok(())
    }
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

    /// The counters, which know only the connections that have ended, and what the open ones have sent so far.
    pub(super) fn stats(&self, connections: usize, open_events: u64, open_bytes: u64) -> Stats {
        let counted = self.values();
        Stats {
            connections: connections as u64,
            // A total is that of the ended connections plus that of the open ones, read at two moments. In between a
            // connection may be in neither. So what was reported last is the least that is reported: no total falls.
            events: self.told_events.raise_to(counted.events + open_events),
            bytes: self.told_bytes.raise_to(counted.bytes + open_bytes),
            ..counted
        }
    }
}
