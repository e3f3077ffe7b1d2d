//! 64-bit numbers that threads share, also where the processor has no atomic operations of that width.
//!
//! 32-bit MIPS, ARMv5, PowerPC, RISC-V and Xtensa have none. A mutex around the number does there: the crate
//! only counts with them and changes single words.

#[cfg(not(target_has_atomic = "64"))]
pub(crate) use locked::AtomicU64;
#[cfg(target_has_atomic = "64")]
pub(crate) use std::sync::atomic::AtomicU64;

#[cfg(any(test, not(target_has_atomic = "64")))]
mod locked {
    use std::sync::atomic::Ordering;
    use std::sync::Mutex;

    use crate::locks::lock;

    /// The operations of std's type that the crate uses.
    #[derive(Debug, Default)]
    pub(crate) struct AtomicU64(Mutex<u64>);

    impl AtomicU64 {
        pub(crate) fn new(value: u64) -> Self {
            Self(Mutex::new(value))
        }

        pub(crate) fn load(&self, order: Ordering) -> u64 {
            self.fetch_add(0, order)
        }

        pub(crate) fn fetch_add(&self, count: u64, _: Ordering) -> u64 {
            self.replace(|value| value.wrapping_add(count))
        }

        pub(crate) fn fetch_sub(&self, count: u64, _: Ordering) -> u64 {
            self.replace(|value| value.wrapping_sub(count))
        }

        pub(crate) fn fetch_max(&self, other: u64, _: Ordering) -> u64 {
            self.replace(|value| value.max(other))
        }

        pub(crate) fn swap(&self, value: u64, _: Ordering) -> u64 {
            self.replace(|_| value)
        }

        /// Returns what it was before, which is `current` if that has worked.
        pub(crate) fn compare_exchange(
            &self,
            current: u64,
            new: u64,
            _: Ordering,
            _: Ordering,
        ) -> Result<u64, u64> {
            let before = self.replace(|value| if value == current { new } else { value });
            if before == current {
                Ok(before)
            } else {
                Err(before)
            }
        }

        /// Returns what it was before.
        fn replace(&self, change: impl FnOnce(u64) -> u64) -> u64 {
            let mut value = lock(&self.0);
            let changed = change(*value);
            std::mem::replace(&mut *value, changed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::locked::AtomicU64;
    use std::sync::atomic::Ordering::Relaxed;
    use std::sync::Arc;
    use std::thread;

    #[test]
    fn it_counts_as_std_does() {
        let number = AtomicU64::new(u64::MAX - 1);
        assert_eq!(number.fetch_add(3, Relaxed), u64::MAX - 1);
        assert_eq!(number.fetch_sub(2, Relaxed), 1);
        assert_eq!(number.load(Relaxed), u64::MAX);
        number.swap(u64::from(u32::MAX), Relaxed);
        assert_eq!(number.fetch_add(1, Relaxed), 0xffff_ffff);
        assert_eq!(number.fetch_max(5, Relaxed), 0x1_0000_0000);
        assert_eq!(number.fetch_max(1 << 40, Relaxed), 0x1_0000_0000);
        assert_eq!(number.load(Relaxed), 1 << 40);
        assert_eq!(number.swap(7, Relaxed), 1 << 40);
        assert_eq!(number.compare_exchange(6, 8, Relaxed, Relaxed), Err(7));
        assert_eq!(number.compare_exchange(7, 8, Relaxed, Relaxed), Ok(7));
        assert_eq!(number.load(Relaxed), 8);
    }

    #[test]
    fn no_count_is_lost() {
        let number = Arc::new(AtomicU64::default());
        let count = |number: Arc<AtomicU64>| {
            for _ in 0..1000 {
                number.fetch_add(1, Relaxed);
            }
        };
        let threads = [(); 4].map(|()| {
            let number = Arc::clone(&number);
            thread::spawn(move || count(number))
        });
        threads.into_iter().for_each(|thread| thread.join().expect("it only counts"));
        assert_eq!(number.load(Relaxed), 4000);
    }
}
