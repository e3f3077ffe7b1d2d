//! What the host has to say, and to whom.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::http::{CloseReason, Status};
use crate::panics;

/// Something that happened. Its `Display` is the line that [`console`](crate::Host::console) writes.
///
/// Targets are printed as they were sent: printable ASCII, so nothing in a line can pass for another line.
///
/// ```
/// use brooklet::{CloseReason, Host, Layout, Notice};
///
/// Host::new(Layout::new()).log(|notice| match notice {
///     Notice::StreamEnded { reason: CloseReason::PeerClosed, .. } => {} // the usual end
///     Notice::Failed { target, error, .. } => eprintln!("{target} failed: {error}"),
///     other => eprintln!("{other}"),
/// });
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice<'a> {
    /// The host accepts connections.
    #[non_exhaustive]
    Listening {
        /// Where.
        address: SocketAddr,
    },
    /// A request was answered.
    #[non_exhaustive]
    Answered {
        /// The client.
        peer: Option<SocketAddr>,
        /// The method.
        method: &'a str,
        /// The target as it was sent.
        target: &'a str,
        /// The status.
        status: Status,
        /// The length of the body.
        bytes: u64,
        /// From the request's head to the end of the answer.
        duration: Duration,
    },
    /// A request was refused before a handler saw it.
    #[non_exhaustive]
    Refused {
        /// The client.
        peer: Option<SocketAddr>,
        /// The status.
        status: Status,
        /// Why, in words that hold nothing of what the client sent.
        why: &'a str,
    },
    /// A stream's head was sent; its generator begins.
    #[non_exhaustive]
    StreamOpened {
        /// The client.
        peer: Option<SocketAddr>,
        /// The method.
        method: &'a str,
        /// The target as it was sent.
        target: &'a str,
    },
    /// A stream has ended.
    #[non_exhaustive]
    StreamEnded {
        /// The client.
        peer: Option<SocketAddr>,
        /// The method.
        method: &'a str,
        /// The target as it was sent.
        target: &'a str,
        /// Why.
        reason: CloseReason,
        /// How many events were sent.
        events: u64,
        /// How long it was open.
        duration: Duration,
    },
    /// A handler or a generator failed or panicked.
    #[non_exhaustive]
    Failed {
        /// The client.
        peer: Option<SocketAddr>,
        /// The method.
        method: &'a str,
        /// The target as it was sent.
        target: &'a str,
        /// How.
        error: &'a (dyn Error + Send + Sync + 'static),
    },
    /// A connection could not be accepted, or no thread be had for it. The host waits a moment and goes on.
    #[non_exhaustive]
    CannotAccept {
        /// Why.
        error: &'a io::Error,
    },
    /// The limit of connections is reached; clients are sent away.
    #[non_exhaustive]
    Full {
        /// How many connections there are.
        connections: usize,
    },
}

impl fmt::Display for Notice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listening { address } => write!(f, "listening on http://{address}"),
            Self::Answered { peer, method, target, status, bytes, duration } => {
                let (peer, code) = (Peer(*peer), status.code());
                write!(f, "{peer} {method} {target} {code}, {bytes} bytes in {}", Short(*duration))
            }
            Self::Refused { peer, status, why } => {
                write!(f, "{} refused {}: {why}", Peer(*peer), status.code())
            }
            Self::StreamOpened { peer, method, target } => {
                write!(f, "{} {method} {target} stream opened", Peer(*peer))
            }
            Self::StreamEnded { peer, method, target, reason, events, duration } => {
                let (peer, duration) = (Peer(*peer), Short(*duration));
                write!(f, "{peer} {method} {target} stream ended after {duration}, {events} events: {reason}")
            }
            Self::Failed { peer, method, target, error } => {
                write!(f, "{} {method} {target} failed: {error}", Peer(*peer))
            }
            Self::CannotAccept { error } => write!(f, "cannot accept connections for a moment: {error}"),
            Self::Full { connections } => write!(f, "full: {connections} connections"),
        }
    }
}

struct Peer(Option<SocketAddr>);

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("-"),
        }
    }
}

/// A duration in the unit that people would use, and no more of it than has passed.
struct Short(Duration);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.0.as_secs(), self.0.subsec_micros());
        match seconds {
            0 => write!(f, "{}.{}ms", micros / 1000, micros / 100 % 10),
            1..=59 => write!(f, "{seconds}.{}s", micros / 100_000),
            _ => write!(f, "{}m{:02}s", seconds / 60, seconds % 60),
        }
    }
}

type Listener = dyn Fn(&Notice<'_>) + Send + Sync;

/// Everybody who listens. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Log {
    last: Option<Arc<Listeners>>,
}

/// A listener, and those who were there before.
struct Listeners {
    earlier: Log,
    listener: Box<Listener>,
}

impl Log {
    pub(super) fn add(&mut self, listener: impl Fn(&Notice<'_>) + Send + Sync + 'static) {
        let earlier = std::mem::take(self);
        self.last = Some(Arc::new(Listeners { earlier, listener: Box::new(listener) }));
    }

    pub(super) fn add_console(&mut self) {
        self.add(|notice| {
            // In one piece, or the lines of two threads mix. A console that is gone is no reason to stop.
            let _ = io::stderr().write_all(format!("{notice}\n").as_bytes());
        });
    }

    pub(super) fn is_silent(&self) -> bool {
        self.last.is_none()
    }

    pub(super) fn write(&self, notice: &Notice<'_>) {
        if let Some(Listeners { earlier, listener }) = self.last.as_deref() {
            earlier.write(notice);
            // There is nobody left whom a log's own panic could be told.
            let _ = panics::catch(|| listener(notice));
        }
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("is_silent", &self.is_silent()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locks::lock;
    use std::sync::Mutex;

    /// In the order in which they were added, whatever one of them does.
    #[test]
    fn all_listeners_hear() {
        let (sender, heard) = std::sync::mpsc::channel();
        let mut log = Log::default();
        assert!(log.is_silent());
        for number in 1..=3 {
            let sender = Mutex::new(sender.clone()); // to be shared before Rust 1.72
            log.add(move |_| {
                lock(&sender).send(number).expect("it is awaited");
                assert_ne!(number, 2, "the second one panics");
            });
        }
        log.clone().write(&Notice::Full { connections: 1 });
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn lines() {
        let peer = Some(SocketAddr::from(([127, 0, 0, 1], 5000)));
        let (method, target) = ("GET", "/stock");
        let answered = |micros| Notice::Answered {
            peer,
            method,
            target,
            status: Status::OK,
            bytes: 5,
            duration: Duration::from_micros(micros),
        };
        check(&answered(1250), "127.0.0.1:5000 GET /stock 200, 5 bytes in 1.2ms");
        check(&answered(1_250_000), "127.0.0.1:5000 GET /stock 200, 5 bytes in 1.2s");
        check(&answered(999_999), "127.0.0.1:5000 GET /stock 200, 5 bytes in 999.9ms");
        check(&answered(59_999_999), "127.0.0.1:5000 GET /stock 200, 5 bytes in 59.9s");
        check(&answered(61_000_000), "127.0.0.1:5000 GET /stock 200, 5 bytes in 1m01s");
        check(&Notice::StreamOpened { peer: None, method, target }, "- GET /stock stream opened");
        let ended = Notice::StreamEnded {
            peer,
            method,
            target,
            reason: CloseReason::PeerClosed,
            events: 3,
            duration: Duration::from_secs(2),
        };
        check(&ended, "127.0.0.1:5000 GET /stock stream ended after 2.0s, 3 events: peer closed");

        #[track_caller]
        fn check(notice: &Notice<'_>, expected: &str) {
            assert_eq!(notice.to_string(), expected);
        }
    }
}
