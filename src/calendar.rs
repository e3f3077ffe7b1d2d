//! From a `SystemTime` to the parts of a UTC date: what `Date` (RFC 9110 §5.6.7) and RFC 3339 both print.
//!
//! Left out: leap seconds, which Unix time does not have, and every time zone but UTC.

use std::time::{SystemTime, UNIX_EPOCH};

/// A moment in UTC, in the proleptic Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Utc {
    pub(crate) year: i64,
    /// 1 to 12.
    pub(crate) month: usize,
    /// 1 to 31.
    pub(crate) day: u8,
    /// 0 is Sunday.
    pub(crate) weekday: usize,
    pub(crate) hour: u8,
    pub(crate) minute: u8,
    pub(crate) second: u8,
    pub(crate) nanosecond: u32,
}

impl Utc {
    pub(crate) fn from_system(time: SystemTime) -> Self {
        let (seconds, nanosecond) = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => (saturate(after.as_secs()), after.subsec_nanos()),
            // Before 1970 the fraction counts forward from the second below.
            Err(error) => match (saturate(error.duration().as_secs()), error.duration().subsec_nanos()) {
                (seconds, 0) => (-seconds, 0),
                (seconds, nanos) => (-seconds - 1, 1_000_000_000 - nanos),
            },
        };
        Self::from_unix(seconds, nanosecond)
    }

    pub(crate) fn from_unix(seconds: i64, nanosecond: u32) -> Self {
        let days = seconds.div_euclid(86_400);
        let second_of_day = seconds.rem_euclid(86_400);
        let (year, month, day) = civil(days);
        Self {
            year,
            month,
            day,
            weekday: (days + 4).rem_euclid(7) as usize, // 1970-01-01 was a Thursday
            hour: (second_of_day / 3600) as u8,
            minute: (second_of_day / 60 % 60) as u8,
            second: (second_of_day % 60) as u8,
            nanosecond,
        }
    }
}

/// Year, month and day of a day counted from 1970-01-01.
///
/// Years are taken to begin in March, so that the leap day is the last of its year, and eras to last
/// 400 years, after which the calendar repeats (146,097 days).
fn civil(days: i64) -> (i64, usize, u8) {
    let shifted = days + 719_468; // days from 0000-03-01
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * march_month + 2) / 5 + 1) as u8;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as usize, day)
}

/// Far beyond any date that can be printed, and small enough for the arithmetic above.
fn saturate(seconds: u64) -> i64 {
    const FAR: u64 = 1 << 40; // about 34,000 years
    seconds.min(FAR) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates() {
        check(0, "1970-01-01 4 00:00:00");
        check(-1, "1969-12-31 3 23:59:59");
        check(784_111_777, "1994-11-06 0 08:49:37"); // RFC 9110 §5.6.7
        check(951_782_399, "2000-02-28 1 23:59:59");
        check(951_782_400, "2000-02-29 2 00:00:00");
        check(951_868_800, "2000-03-01 3 00:00:00");
        check(4_107_542_399, "2100-02-28 0 23:59:59");
        check(4_107_542_400, "2100-03-01 1 00:00:00"); // 2100 is no leap year
        check(253_402_300_799, "9999-12-31 5 23:59:59");
        check(-62_167_219_200, "0-01-01 6 00:00:00");

        #[track_caller]
        fn check(unix: i64, expected: &str) {
            let utc = Utc::from_unix(unix, 0);
            let actual = format!(
                "{}-{:02}-{:02} {} {:02}:{:02}:{:02}",
                utc.year, utc.month, utc.day, utc.weekday, utc.hour, utc.minute, utc.second
            );
            assert_eq!(actual, expected, "{unix}");
        }
    }

    #[test]
    fn fractions_before_the_epoch_count_forward() {
        let utc = Utc::from_system(UNIX_EPOCH - Duration::from_millis(250));
        assert_eq!((utc.year, utc.second, utc.nanosecond), (1969, 59, 750_000_000));
    }
}
