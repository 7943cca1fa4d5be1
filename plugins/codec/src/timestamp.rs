//! Timestamps in text: RFC 3339 and decimal numbers of seconds, milli-, micro- and nanoseconds.
//!
//! All exact: no timestamp goes through a float, which would lose nanoseconds.

use crate::number;
use std::str::FromStr;
use thiserror::Error;

/// How timestamps are written in the data (`timestamp:` in settings).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampForm {
    /// RFC 3339, decimal seconds, or an integer whose size tells its unit.
    #[default]
    Auto,
    /// `2026-01-31T12:00:00.5Z`.
    Rfc3339,
    /// Seconds since 1970, decimals allowed.
    Seconds,
    /// Milliseconds since 1970, decimals allowed.
    Milliseconds,
    /// Microseconds since 1970, decimals allowed.
    Microseconds,
    /// Nanoseconds since 1970.
    Nanoseconds,
}

/// A `timestamp:` that is no known form, or a `timezone:` that is no known zone.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnknownTimestampForm {
    /// A `strftime` pattern.
    #[error("`{0}`: patterns are not read yet; use one of auto, rfc3339, s, ms, us, ns")]
    Pattern(String),
    /// A zone.
    #[error("`{0}`: zones other than UTC are not read yet")]
    Zone(String),
    /// Anything else.
    #[error("`{0}` is no form of timestamps; use one of auto, rfc3339, s, ms, us, ns")]
    Name(String),
}

impl UnknownTimestampForm {
    /// The setting that it is about.
    pub const fn setting(&self) -> &'static str {
        match self {
            Self::Zone(_) => "timezone",
            Self::Pattern(_) | Self::Name(_) => "timestamp",
        }
    }
}

impl TimestampForm {
    /// The form that `timestamp` and `timezone` stand for.
    pub fn new(timestamp: &str, timezone: &str) -> Result<Self, UnknownTimestampForm> {
        if timezone != "UTC" {
            return Err(UnknownTimestampForm::Zone(timezone.to_owned()));
        }
        timestamp.parse()
    }
}

impl FromStr for TimestampForm {
    type Err = UnknownTimestampForm;

    fn from_str(name: &str) -> Result<Self, UnknownTimestampForm> {
        Ok(match name {
            "auto" => Self::Auto,
            "rfc3339" => Self::Rfc3339,
            "s" => Self::Seconds,
            "ms" => Self::Milliseconds,
            "us" => Self::Microseconds,
            "ns" => Self::Nanoseconds,
            pattern if pattern.contains('%') => {
                return Err(UnknownTimestampForm::Pattern(pattern.to_owned()));
            }
            other => return Err(UnknownTimestampForm::Name(other.to_owned())),
        })
    }
}

/// Integers below this many are seconds in `auto` (until the year 5138), below a thousand times as many milliseconds,
/// and so on: 10 digits are seconds today, 13 milliseconds, 16 microseconds, 19 nanoseconds.
const AUTO_SECONDS_BELOW: u64 = 100_000_000_000;
const NS_PER_SECOND: i64 = 1_000_000_000;

impl TimestampForm {
    /// UTC nanoseconds of a number of JSON's grammar, which is all of `text`.
    #[inline]
    pub(crate) fn number_to_ns(self, text: &[u8]) -> Option<i64> {
        let negative = text.first() == Some(&b'-');
        let (number, digits) = number::digits(&text[usize::from(negative)..], 0);
        if digits > 19 || digits + usize::from(negative) != text.len() {
            return self.decimal_to_ns(text);
        }
        let ns = self.integer_to_ns(number)?;
        Some(if negative { -ns } else { ns })
    }

    /// UTC nanoseconds of an integer that is not negative.
    #[inline]
    pub(crate) fn integer_to_ns(self, number: u64) -> Option<i64> {
        i64::try_from(number.checked_mul(self.ns_per_integer(number)?)?).ok()
    }

    /// UTC nanoseconds of a text: RFC 3339, or a quoted number.
    pub(crate) fn text_to_ns(self, text: &[u8]) -> Option<i64> {
        match self {
            Self::Rfc3339 => rfc3339_to_ns(text),
            Self::Auto => rfc3339_to_ns(text).or_else(|| self.quoted_number_to_ns(text)),
            _ => self.quoted_number_to_ns(text),
        }
    }

    fn quoted_number_to_ns(self, text: &[u8]) -> Option<i64> {
        (number::scan(text)?.len == text.len()).then(|| self.number_to_ns(text)).flatten()
    }

    #[inline]
    fn ns_per_integer(self, number: u64) -> Option<u64> {
        match self {
            Self::Auto if number < AUTO_SECONDS_BELOW => Some(1_000_000_000),
            Self::Auto if number < AUTO_SECONDS_BELOW * 1_000 => Some(1_000_000),
            Self::Auto if number < AUTO_SECONDS_BELOW * 1_000_000 => Some(1_000),
            Self::Auto | Self::Nanoseconds => Some(1),
            Self::Seconds => Some(1_000_000_000),
            Self::Milliseconds => Some(1_000_000),
            Self::Microseconds => Some(1_000),
            Self::Rfc3339 => None,
        }
    }

    /// Numbers with a fraction or an exponent: digits shifted, never multiplied as floats. What is finer than a
    /// nanosecond is cut off.
    #[cold]
    fn decimal_to_ns(self, text: &[u8]) -> Option<i64> {
        let unit_exponent = match self {
            Self::Auto | Self::Seconds => 9,
            Self::Milliseconds => 6,
            Self::Microseconds => 3,
            Self::Nanoseconds => 0,
            Self::Rfc3339 => return None,
        };
        let text = std::str::from_utf8(text).ok()?;
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        // A mantissa has at most max_line bytes; an exponent beyond an i32 is far outside of any date.
        let exponent: i32 = exponent.parse().ok()?;
        let point = i64::try_from(whole.len()).ok()? + i64::from(exponent) + unit_exponent;
        let mut ns: i64 = 0;
        let mut place: i64 = 0;
        for digit in whole.bytes().chain(fraction.bytes()) {
            if place >= point {
                break;
            }
            ns = ns.checked_mul(10)?.checked_add(i64::from(digit - b'0'))?;
            place += 1;
        }
        while ns != 0 && place < point {
            ns = ns.checked_mul(10)?;
            place += 1;
        }
        Some(if negative { -ns } else { ns })
    }
}

/// UTC nanoseconds of RFC 3339, all of `text`. A space may stand for the `T`, and a leap second is the second before it.
pub(crate) fn rfc3339_to_ns(text: &[u8]) -> Option<i64> {
    let (head, rest) = text.split_at_checked(19)?;
    let punctuated = head[4] == b'-'
        && head[7] == b'-'
        && matches!(head[10], b'T' | b't' | b' ')
        && head[13] == b':'
        && head[16] == b':';
    if !punctuated {
        return None;
    }
    let year = two(head, 0)? * 100 + two(head, 2)?;
    let (month, day) = (two(head, 5)?, two(head, 8)?);
    let (hour, minute, second) = (two(head, 11)?, two(head, 14)?, two(head, 17)?);
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (fraction_ns, zone) = fraction(rest)?;
    let offset_s = offset(zone)?;
    let seconds =
        days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second.min(59) - offset_s;
    // Before 1970 the whole part can be out of range where the sum is not; 128 bits spare the case.
    i64::try_from(i128::from(seconds) * i128::from(NS_PER_SECOND) + i128::from(fraction_ns)).ok()
}

fn two(text: &[u8], at: usize) -> Option<i64> {
    let (tens, ones) = (text[at], text[at + 1]);
    (tens.is_ascii_digit() && ones.is_ascii_digit())
        .then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

/// The nanoseconds of `.123` at the start, and what follows.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(digits) = text.strip_prefix(b".") else {
        return Some((0, text));
    };
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
            let (hours, minutes) = (two(zone, 1)?, two(zone, 4)?);
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

    const T: i64 = 1_700_000_000_000_000_000;

    #[test]
    fn auto_tells_the_unit_by_the_digits() {
        for text in [
            "1700000000",
            "1700000000000",
            "1700000000000000",
            "1700000000000000000",
            "1.7e9",
            "1700000000.0",
        ] {
            assert_eq!(TimestampForm::Auto.number_to_ns(text.as_bytes()), Some(T), "{text}");
        }
        assert_eq!(TimestampForm::Auto.text_to_ns(b"2023-11-14T22:13:20Z"), Some(T));
        assert_eq!(TimestampForm::Auto.text_to_ns(b"1700000000"), Some(T));
    }

    #[test]
    fn decimals_keep_every_nanosecond() {
        let form = TimestampForm::Seconds;
        assert_eq!(form.number_to_ns(b"1700000000.123456789"), Some(T + 123_456_789));
        assert_eq!(form.number_to_ns(b"1700000000.1234567899"), Some(T + 123_456_789));
        assert_eq!(form.number_to_ns(b"-0.000000001"), Some(-1));
        assert_eq!(form.number_to_ns(b"0.1e-8"), Some(1));
        assert_eq!(form.number_to_ns(b"1e-400"), Some(0));
        assert_eq!(TimestampForm::Milliseconds.number_to_ns(b"1.5"), Some(1_500_000));
        assert_eq!(TimestampForm::Nanoseconds.number_to_ns(b"9223372036854775807"), Some(i64::MAX));
    }

    #[test]
    fn what_no_i64_holds_is_no_timestamp() {
        for text in ["9223372036854775808", "1e300", "1e99999999999", "92233720368547758070"] {
            assert_eq!(TimestampForm::Nanoseconds.number_to_ns(text.as_bytes()), None, "{text}");
        }
        assert_eq!(TimestampForm::Seconds.number_to_ns(b"17000000000000"), None);
        assert_eq!(TimestampForm::Rfc3339.number_to_ns(b"1700000000"), None);
    }

    #[test]
    fn rfc3339_is_strict_about_dates_and_zones() {
        for text in [
            "2023-02-29T00:00:00Z",
            "2023-13-01T00:00:00Z",
            "2023-01-01T24:00:00Z",
            "2023-01-01T00:00:00",
            "2023-01-01T00:00:00.Z",
            "2023-01-01T00:00:00+0100",
            "2023-01-01",
            "",
            "3000-01-01T00:00:00Z",
        ] {
            assert_eq!(rfc3339_to_ns(text.as_bytes()), None, "{text}");
        }
        assert_eq!(rfc3339_to_ns(b"2016-12-31T23:59:60Z"), rfc3339_to_ns(b"2016-12-31 23:59:59z"));
    }

    #[test]
    fn a_pattern_is_refused_as_not_yet_read() {
        let error = "%Y-%m-%d".parse::<TimestampForm>().unwrap_err().to_string();
        assert!(error.contains("not read yet"), "{error}");
        assert!("sec".parse::<TimestampForm>().is_err());
    }

    proptest! {
        #[test]
        fn rfc3339_agrees_with_jiff(ns: i64, minutes in -1439_i64..=1439) {
            let timestamp = jiff::Timestamp::from_nanosecond(i128::from(ns)).unwrap();
            prop_assert_eq!(rfc3339_to_ns(timestamp.to_string().as_bytes()), Some(ns));
            let zone = jiff::tz::Offset::from_seconds(i32::try_from(minutes * 60).unwrap()).unwrap();
            let shown = timestamp.display_with_offset(zone).to_string();
            prop_assert_eq!(rfc3339_to_ns(shown.as_bytes()), Some(ns), "{}", shown);
        }

        #[test]
        fn no_bytes_make_it_panic(text: Vec<u8>) {
            for form in [TimestampForm::Auto, TimestampForm::Rfc3339, TimestampForm::Seconds] {
                let _ = form.text_to_ns(&text);
            }
        }
    }
}
