//! The signal by which a host asks everything of its own to end, and who is woken by it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::time::Duration;

use crate::locks::{lock, wait_while};

/// Whether the host is to stop: one flag, which all of its connections share.
#[derive(Clone, Default)]
pub(crate) struct StopSignal(Arc<StopState>);

/// A thread or a channel that sleeps elsewhere, and that a stop of the host has to wake.
pub(crate) trait Wake: Send + Sync {
    fn wake(&self);
}

#[derive(Default)]
struct StopState {
    requested: AtomicBool,
    sleepers: Mutex<Vec<Weak<dyn Wake>>>,
    wake: Condvar,
}

impl StopSignal {
    pub(crate) fn is_requested(&self) -> bool {
        self.0.requested.load(Ordering::Acquire)
    }

    /// Returns whether this call was the first.
    pub(crate) fn request(&self) -> bool {
        let first = !self.0.requested.swap(true, Ordering::AcqRel);
        // Under the lock, or a sleeper between its look at the flag and its wait would miss the call.
        let mut sleepers = lock(&self.0.sleepers);
        self.0.wake.notify_all();
        let elsewhere = std::mem::take(&mut *sleepers); // who comes later looks at the flag first
        drop(sleepers);
        for sleeper in elsewhere.iter().filter_map(Weak::upgrade) {
            sleeper.wake();
        }
        first
    }

    /// Registers what a requested stop wakes, each once: a host's workers, and the writers of all channels.
    pub(crate) fn wake_on_request(&self, sleeper: &Weak<dyn Wake>) {
        let mut sleepers = lock(&self.0.sleepers);
        if !sleepers.iter().any(|known| known.ptr_eq(sleeper)) {
            sleepers.push(Weak::clone(sleeper));
        }
    }

    /// Sleeps for so long, or until a stop is requested.
    pub(crate) fn sleep(&self, patience: Duration) {
        drop(wait_while(&self.0.wake, lock(&self.0.sleepers), patience, |_| !self.is_requested()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::NEVER;
    use std::time::Instant;

    #[test]
    fn a_stop_wakes_all_that_are_there() {
        struct Sleeper(AtomicBool);
        impl Wake for Sleeper {
            fn wake(&self) {
                assert!(!self.0.swap(true, Ordering::Relaxed), "once each");
            }
        }
        let stop = StopSignal::default();
        let sleepers: Vec<_> = (0..4).map(|_| Arc::new(Sleeper(AtomicBool::new(false)))).collect();
        for sleeper in sleepers.iter().chain(&sleepers) {
            let sleeper: Weak<Sleeper> = Arc::downgrade(sleeper);
            stop.wake_on_request(&(sleeper as Weak<dyn Wake>));
        }
        let (started, pause) = (Instant::now(), Duration::from_millis(5));
        stop.sleep(pause);
        assert!(started.elapsed() >= pause);
        assert!(stop.request());
        assert!(!stop.request());
        stop.sleep(NEVER); // which is over
        assert!(sleepers.iter().all(|sleeper| sleeper.0.load(Ordering::Relaxed)));
    }
}
