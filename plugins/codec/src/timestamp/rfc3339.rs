//! RFC 3339, and the Gregorian calendar that it needs.

use crate::reject::Reason;
use crate::timestamp::NS_PER_SECOND;

/// UTC nanoseconds of RFC 3339, all of `text`. A space may stand for the `T`.
pub(crate) fn to_ns(text: &[u8]) -> Result<i64, Reason> {
    let (date_time, rest) = parts(text).ok_or(Reason::BadTimestamp)?;
    let (fraction_ns, zone) = fraction(rest).ok_or(Reason::BadTimestamp)?;
    let offset_s = offset(zone).ok_or(Reason::BadTimestamp)?;
    if date_time.second == 60 {
        return Err(Reason::LeapSecond);
    }
    ns(date_time.seconds() - offset_s, fraction_ns)
}

/// Nanoseconds of whole seconds since 1970 and a fraction.
pub(super) fn ns(seconds: i64, fraction_ns: i64) -> Result<i64, Reason> {
    // Before 1970 the whole part can be out of range where the sum is not; 128 bits spare the case.
    i64::try_from(i128::from(seconds) * i128::from(NS_PER_SECOND) + i128::from(fraction_ns))
        .map_err(|_| Reason::TimestampRange)
}

/// A date and a time of day without a zone, each part within its bounds; second 60 is a leap second.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DateTime {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
}

impl DateTime {
    /// Whether there is such a date and time of day.
    #[inline]
    pub(super) fn exists(&self) -> bool {
        (1..=12).contains(&self.month)
            && self.day >= 1
            && self.day <= days_in_month(self.year, self.month)
            && self.hour <= 23
            && self.minute <= 59
            && self.second <= 60
    }

    /// Seconds since 1970 if it is UTC.
    #[inline]
    pub(super) fn seconds(&self) -> i64 {
        days_since_1970(self.year, self.month, self.day) * 86_400
            + self.hour * 3_600
            + self.minute * 60
            + self.second
    }
}

/// `2026-01-31T12:00:00` at the start of `text`, and what follows.
fn parts(text: &[u8]) -> Option<(DateTime, &[u8])> {
    let (head, rest) = text.split_at_checked(19)?;
    let punctuated = head[4] == b'-'
        && head[7] == b'-'
        && matches!(head[10], b'T' | b't' | b' ')
        && head[13] == b':'
        && head[16] == b':';
    if !punctuated {
        return None;
    }
    let two = |at: usize| digit_pair(head, at);
    let date_time = DateTime {
        year: two(0)? * 100 + two(2)?,
        month: two(5)?,
        day: two(8)?,
        hour: two(11)?,
        minute: two(14)?,
        second: two(17)?,
    };
    date_time.exists().then_some((date_time, rest))
}

/// The number that two digits write.
#[inline]
pub(super) fn digit_pair(text: &[u8], at: usize) -> Option<i64> {
    let [tens, ones] = text.get(at..at + 2)? else { return None };
    (tens.is_ascii_digit() && ones.is_ascii_digit())
        .then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

/// The nanoseconds of `.123` at the start, and what follows. What is finer is cut off.
pub(super) fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    match text.strip_prefix(b".") {
        None => Some((0, text)),
        Some(digits) => fraction_digits(digits),
    }
}

/// The nanoseconds of the digits at the start, and what follows; `None` without digits.
#[inline]
pub(super) fn fraction_digits(digits: &[u8]) -> Option<(i64, &[u8])> {
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (mut ns, mut place_ns) = (0, NS_PER_SECOND);
    for digit in &digits[..count] {
        place_ns /= 10;
        ns += i64::from(digit - b'0') * place_ns;
    }
    (count > 0).then(|| (ns, &digits[count..]))
}

/// Seconds east of UTC: `Z`, `+02:00`.
fn offset(zone: &[u8]) -> Option<i64> {
    match zone {
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let (hours, minutes) = (digit_pair(zone, 1)?, digit_pair(zone, 4)?);
            let seconds = hours * 3_600 + minutes * 60;
            (hours < 24 && minutes < 60).then_some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the Gregorian calendar: years begin in March, so that the leap day is a year's last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dates_and_zones_are_read_strictly() {
        for text in [
            "2023-02-29T00:00:00Z",
            "2023-13-01T00:00:00Z",
            "2023-01-01T24:00:00Z",
            "2023-01-01T00:00:61Z",
            "2023-01-01T00:00:00",
            "2023-01-01T00:00:00.Z",
            "2023-01-01T00:00:00+0100",
            "2023-01-01",
            "",
        ] {
            assert_eq!(to_ns(text.as_bytes()), Err(Reason::BadTimestamp), "{text}");
        }
        assert!(to_ns(b"2016-12-31 23:59:59z").is_ok());
    }

    #[test]
    fn what_utc_nanoseconds_cannot_say_has_a_reason_of_its_own() {
        assert_eq!(to_ns(b"2016-12-31T23:59:60Z"), Err(Reason::LeapSecond));
        assert_eq!(to_ns(b"3000-01-01T00:00:00Z"), Err(Reason::TimestampRange));
        assert_eq!(to_ns(b"1600-01-01T00:00:00Z"), Err(Reason::TimestampRange));
    }

    proptest! {
        #[test]
        fn every_time_is_read_as_jiff_writes_it(ns: i64, minutes in -1439_i64..=1439) {
            let timestamp = jiff::Timestamp::from_nanosecond(i128::from(ns)).unwrap();
            prop_assert_eq!(to_ns(timestamp.to_string().as_bytes()), Ok(ns));
            let zone = jiff::tz::Offset::from_seconds(i32::try_from(minutes * 60).unwrap()).unwrap();
            let shown = timestamp.display_with_offset(zone).to_string();
            prop_assert_eq!(to_ns(shown.as_bytes()), Ok(ns), "{}", shown);
        }
    }
}
