//! What time it is for a stream: the system's time, or that of a test, which passes only where a stream waits.
//!
//! A stream asks its clock instead of the system whenever it waits, or notes when something happened. The deadlines of
//! heads, bodies and writes keep to the system's time: a socket in memory never makes its writer wait. [`NEVER`], the longest
//! wait of all, stands here as well.

use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The longest wait there is, as good as for ever: a clock may not be able to hold more.
pub(crate) const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The clock of a stream.
#[derive(Clone)]
pub(crate) enum Clock {
    System,
    Virtual(Arc<dyn VirtualTime>),
}

impl Clock {
    pub(crate) fn now(&self) -> Instant {
        match self {
            Self::System => Instant::now(),
            Self::Virtual(time) => time.now(),
        }
    }

    pub(crate) fn is_virtual(&self) -> bool {
        matches!(self, Self::Virtual(_))
    }

    /// Tells a test of a call that has let no time pass; see [`VirtualTime::note_idle_call`].
    pub(crate) fn note_idle_call(&self) {
        if let Self::Virtual(time) = self {
            time.note_idle_call();
        }
    }

    /// Waits for a value until then. In a test it may return earlier: the caller looks at its stream and waits on.
    pub(crate) fn receive<T>(&self, receiver: &Receiver<T>, until: Instant) -> Result<T, RecvTimeoutError> {
        match self {
            Self::System => receiver.recv_timeout(until.saturating_duration_since(Instant::now())),
            Self::Virtual(time) => receiver.try_recv().map_err(|error| match error {
                TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
                TryRecvError::Empty => {
                    time.advance(until);
                    RecvTimeoutError::Timeout
                }
            }),
        }
    }
}

/// A time that stands still until a stream waits, and then has passed. It is a trait, so that a program that does not
/// use `testing` is linked without the code that makes the time pass.
pub(crate) trait VirtualTime: Send + Sync {
    fn now(&self) -> Instant;

    /// Lets time pass until then, or until something has happened that the stream may wait for. Returns whether
    /// it is then.
    fn advance(&self, until: Instant) -> bool;

    /// Counts calls that let no time pass.
    ///
    /// # Panics
    ///
    /// When there are too many, once: the caller would go on for ever.
    fn note_idle_call(&self);
}
