//! Numbers that spread things out: reconnects after a stop, the epochs of channels.
//!
//! They come from the keys that std draws for its hash maps, which is all the randomness std offers.
//! Never use them for secrets: nothing promises that they cannot be guessed.

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// 64 bits, different at each call.
pub(crate) fn bits() -> u64 {
    RandomState::new().build_hasher().finish()
}

thread_local!(static NEXT_EPOCH: Cell<Option<u64>> = const { Cell::new(None) });

/// 48 bits, different at each call; or as [`with_fixed_epochs`] has it.
pub(crate) fn epoch() -> u64 {
    NEXT_EPOCH.with(|next| {
        let fixed = next.get();
        next.set(fixed.map(|epoch| epoch + 1));
        fixed.unwrap_or_else(|| bits() >> 16)
    })
}

/// Lets the epochs that `make` draws on this thread be 1, 2 and so on.
pub(crate) fn with_fixed_epochs<T>(make: impl FnOnce() -> T) -> T {
    let before = NEXT_EPOCH.with(|next| next.replace(Some(1)));
    let made = make();
    NEXT_EPOCH.with(|next| next.set(before));
    made
}

/// A time between `from` and `to`.
pub(crate) fn between(from: Duration, to: Duration) -> Duration {
    let span = u64::try_from(to.saturating_sub(from).as_millis()).unwrap_or(u64::MAX);
    from + Duration::from_millis(bits() % span.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_between_two_times() {
        let (from, to) = (Duration::from_millis(100), Duration::from_millis(110));
        let drawn: Vec<_> = (0..1000).map(|_| between(from, to)).collect();
        assert!(drawn.iter().all(|time| (from..=to).contains(time)));
        assert!(drawn.iter().any(|time| *time != drawn[0]), "all the same");
        assert_eq!(between(to, from), to, "an empty span");
    }
}
