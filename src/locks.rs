//! Locking and waking, without a word of poison: nothing that can panic runs under our locks.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

/// Waits until nobody else has it.
#[inline(never)] // a lock is taken in one step, but what to do when that fails is long
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets others have it until something is told, or it is time.
pub(crate) fn wait<'l, T>(told: &Condvar, guard: MutexGuard<'l, T>, patience: Duration) -> MutexGuard<'l, T> {
    told.wait_timeout(guard, patience).unwrap_or_else(PoisonError::into_inner).0
}

/// Where the one thread that waits for something sleeps, and others wake it.
#[derive(Debug, Default)]
pub(crate) struct Parker(Mutex<Option<Thread>>);

impl Parker {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Sleeps for `patience`, or less: not at all if `is_over`, and no longer than until somebody wakes it.
    ///
    /// The thread is known to others before it asks whether it is over. So whoever changes that, and then wakes, is
    /// either seen by the question or ends the sleep.
    pub(crate) fn park(&self, patience: Duration, is_over: impl Fn() -> bool) {
        *lock(&self.0) = Some(thread::current());
        if !is_over() {
            thread::park_timeout(patience);
        }
        *lock(&self.0) = None;
    }

    pub(crate) fn wake(&self) {
        if let Some(sleeper) = &*lock(&self.0) {
            sleeper.unpark();
        }
    }
}
