//! Locking and waking. Poison is ignored: no code that can panic runs under a lock of this crate.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

/// Locks it. A panic of a thread that had it is ignored.
#[inline(never)] // a lock is taken in one step, but what to do when that fails is long
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives the lock back, waits until `told` is notified or `patience` has passed, and takes it again. It may return
/// earlier, so callers ask their condition anew.
pub(crate) fn wait<'l, T>(told: &Condvar, guard: MutexGuard<'l, T>, patience: Duration) -> MutexGuard<'l, T> {
    told.wait_timeout(guard, patience).unwrap_or_else(PoisonError::into_inner).0
}

/// Waits until `is_pending` is false, or `patience` has passed.
pub(crate) fn wait_while<'l, T>(
    told: &Condvar,
    guard: MutexGuard<'l, T>,
    patience: Duration,
    is_pending: impl FnMut(&mut T) -> bool,
) -> MutexGuard<'l, T> {
    told.wait_timeout_while(guard, patience, is_pending).unwrap_or_else(PoisonError::into_inner).0
}

/// Where the one thread that waits for something sleeps, and others wake it.
#[derive(Debug, Default)]
pub(crate) struct Parker(Mutex<Option<Thread>>);

impl Parker {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Sleeps for `patience` at most: not at all if `is_over`, and no longer than until the next [`wake`](Self::wake).
    ///
    /// The thread is known to others before it asks whether it is over. So a thread that changes that, and then wakes
    /// this one, is either seen by the question or ends the sleep.
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
