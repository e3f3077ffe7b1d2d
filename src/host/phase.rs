//! What a connection is about and since when, in one word that its thread changes without a lock.

use std::sync::atomic::Ordering;

use crate::atomic::AtomicU64;

/// What a connection is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It waits for the first byte of a request.
    Idle,
    /// It has begun a request's head.
    Head,
    /// It is being served.
    Busy,
    /// It came above the limit and is told to come back.
    TurnedAway,
    /// It was closed to make room for another, which its thread may not know yet.
    GivenAway,
    /// A stop has cut it off, which its thread may not know yet.
    CutOff,
}

const PHASES: [Phase; 6] =
    [Phase::Idle, Phase::Head, Phase::Busy, Phase::TurnedAway, Phase::GivenAway, Phase::CutOff];
const PHASE_BITS: u32 = 3;

/// A phase in the lower bits, and above them since when, in microseconds of the host's life.
pub(super) struct PhaseWord(AtomicU64);

impl PhaseWord {
    pub(super) fn new(phase: Phase, since: u64) -> Self {
        Self(AtomicU64::new(pack(phase, since)))
    }

    pub(super) fn phase(&self) -> Phase {
        unpack(self.0.load(Ordering::Acquire)).0
    }

    /// Since when it has been in this phase; `None` where it is in another.
    pub(super) fn since(&self, phase: Phase) -> Option<u64> {
        let (current, since) = unpack(self.0.load(Ordering::Acquire));
        (current == phase).then_some(since)
    }

    /// Changes it, unless it is in another phase than `from`.
    pub(super) fn change(&self, from: Phase, to: Phase, since: u64) -> bool {
        let word = self.0.load(Ordering::Acquire);
        // Only the connection's own thread changes it from one of the first three to another of them. So where
        // the word has changed meanwhile, it has left `from` for good or is in it anew.
        unpack(word).0 == from
            && self.0.compare_exchange(word, pack(to, since), Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Changes it whatever it is in, and returns that.
    pub(super) fn set(&self, phase: Phase) -> Phase {
        unpack(self.0.swap(pack(phase, 0), Ordering::AcqRel)).0
    }
}

fn pack(phase: Phase, since: u64) -> u64 {
    since << PHASE_BITS | phase as u64
}

fn unpack(word: u64) -> (Phase, u64) {
    (PHASES[(word & ((1 << PHASE_BITS) - 1)) as usize], word >> PHASE_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let since = u64::MAX >> PHASE_BITS;
        for (number, phase) in PHASES.into_iter().enumerate() {
            assert_eq!(phase as usize, number);
            assert_eq!(unpack(pack(phase, since)), (phase, since));
        }
        let word = PhaseWord::new(Phase::Idle, 5);
        assert_eq!((word.since(Phase::Idle), word.since(Phase::Head)), (Some(5), None));
        assert!(!word.change(Phase::Head, Phase::Busy, 6));
        assert!(word.change(Phase::Idle, Phase::Head, 7));
        assert_eq!(word.since(Phase::Head), Some(7));
        assert_eq!((word.set(Phase::CutOff), word.phase()), (Phase::Head, Phase::CutOff));
    }
}
