//! Locking, without a word of poison: nothing that can panic runs under our locks.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
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
