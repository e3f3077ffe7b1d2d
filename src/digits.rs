//! Whole numbers in decimal, without std's machinery of formatting, which costs several times as much: heads and
//! events are full of them.

/// The largest number has 20. These are two blocks for [`Digits::as_str`].
const MOST: usize = 32;
/// Two digits at a time are half the divisions.
const PAIRS: &[u8; 200] = b"\
    0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849\
    5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

/// The decimal digits of a number.
pub(crate) struct Digits {
    bytes: [u8; MOST],
    start: usize,
}

impl Digits {
    pub(crate) fn of(number: u64) -> Self {
        let (mut bytes, mut start, mut rest) = ([b'0'; MOST], MOST, number);
        for pair in bytes.rchunks_exact_mut(2) {
            let at = 2 * (rest % 100) as usize;
            pair.copy_from_slice(&PAIRS[at..at + 2]);
            rest /= 100;
            start -= 2;
            if rest == 0 {
                break;
            }
        }
        if bytes[start] == b'0' {
            start += 1;
        }
        Self { bytes, start }
    }

    pub(crate) fn as_str(&self) -> &str {
        // std checks sixteen bytes at a time where they begin at a word. So all are checked, in two steps: those that
        // count begin anywhere, and would be checked one by one.
        &std::str::from_utf8(&self.bytes).expect("digits are ASCII")[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        check(0, "0");
        check(7, "7");
        check(10, "10");
        check(99, "99");
        check(100, "100");
        check(1_234_567_890, "1234567890");
        check(u64::MAX, "18446744073709551615");

        #[track_caller]
        fn check(number: u64, expected: &str) {
            assert_eq!(Digits::of(number).as_str(), expected);
        }
    }
}
