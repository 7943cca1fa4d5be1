//! Timestamps in text: RFC 3339, decimal numbers of seconds, milli-, micro- and nanoseconds, and patterns.
//!
//! All exact: no timestamp goes through a float, which would lose nanoseconds.

mod pattern;
mod print;
mod rfc3339;
mod zone;

pub use pattern::Pattern;
pub(crate) use print::TimestampPrinter;
pub use zone::{UnknownZone, Zone};

use crate::number;
use crate::reject::Reason;
use pattern::Minute;
use std::str::FromStr;
use thiserror::Error;

/// How timestamps are written in the data (`timestamp:` in settings).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// As `strftime` writes it.
    Pattern(Pattern),
}

/// A `timestamp:` that is no known form.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnknownTimestampForm {
    /// A pattern that no timestamp can be written with and read back.
    #[error("`{pattern}`: {why}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        why: String,
    },
    /// Anything else.
    #[error(
        "`{0}` is no form of timestamps; use one of auto, rfc3339, s, ms, us, ns, or a pattern such as `%Y-%m-%d %H:%M:%S`"
    )]
    Name(String),
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
            pattern if pattern.contains('%') => Self::Pattern(Pattern::new(pattern)?),
            other => return Err(UnknownTimestampForm::Name(other.to_owned())),
        })
    }
}

/// Integers below this many are seconds in `auto` (until the year 5138), below a thousand times as many milliseconds,
/// and so on: 10 digits are seconds today, 13 milliseconds, 16 microseconds, 19 nanoseconds.
const AUTO_SECONDS_BELOW: u64 = 100_000_000_000;
const NS_PER_SECOND: i64 = 1_000_000_000;

/// Reads timestamps of one form.
#[derive(Debug)]
pub(crate) struct TimestampReader {
    form: TimestampForm,
    zone: Zone,
    /// The minute that was met last: most readings are in the same one.
    minute: Minute,
}

impl TimestampReader {
    pub(crate) fn new(form: TimestampForm, zone: Zone) -> Self {
        Self { form, zone, minute: Minute::default() }
    }

    /// UTC nanoseconds of a number of JSON's grammar, which is all of `text`.
    #[inline]
    pub(crate) fn number(&self, text: &[u8]) -> Result<i64, Reason> {
        let negative = text.first() == Some(&b'-');
        let (number, digits) = number::digits(&text[usize::from(negative)..], 0);
        if digits > 19 || digits + usize::from(negative) != text.len() {
            return self.decimal(text);
        }
        if negative {
            let unit_ns = self.ns_per_integer(number).ok_or(Reason::BadTimestamp)?;
            // There is one more below 0 than above.
            return number
                .checked_mul(unit_ns)
                .and_then(|ns| 0_i64.checked_sub_unsigned(ns))
                .ok_or(Reason::TimestampRange);
        }
        self.integer(number)
    }

    /// UTC nanoseconds of an integer that is not negative.
    #[inline]
    pub(crate) fn integer(&self, number: u64) -> Result<i64, Reason> {
        let unit_ns = self.ns_per_integer(number).ok_or(Reason::BadTimestamp)?;
        number.checked_mul(unit_ns).and_then(|ns| i64::try_from(ns).ok()).ok_or(Reason::TimestampRange)
    }

    /// UTC nanoseconds of a text: RFC 3339, a quoted number, or what the pattern says.
    pub(crate) fn text(&mut self, text: &[u8]) -> Result<i64, Reason> {
        match &self.form {
            TimestampForm::Rfc3339 => rfc3339::to_ns(text),
            TimestampForm::Auto => match rfc3339::to_ns(text) {
                Err(Reason::BadTimestamp) => self.quoted_number(text),
                result => result,
            },
            TimestampForm::Pattern(pattern) => pattern.to_ns(text, &self.zone, &mut self.minute),
            _ => self.quoted_number(text),
        }
    }

    fn quoted_number(&self, text: &[u8]) -> Result<i64, Reason> {
        let is_number = number::scan(text).is_some_and(|scanned| scanned.len == text.len());
        if is_number { self.number(text) } else { Err(Reason::BadTimestamp) }
    }

    #[inline]
    fn ns_per_integer(&self, number: u64) -> Option<u64> {
        match &self.form {
            TimestampForm::Auto if number < AUTO_SECONDS_BELOW => Some(1_000_000_000),
            TimestampForm::Auto if number < AUTO_SECONDS_BELOW * 1_000 => Some(1_000_000),
            TimestampForm::Auto if number < AUTO_SECONDS_BELOW * 1_000_000 => Some(1_000),
            TimestampForm::Auto | TimestampForm::Nanoseconds => Some(1),
            TimestampForm::Seconds => Some(1_000_000_000),
            TimestampForm::Milliseconds => Some(1_000_000),
            TimestampForm::Microseconds => Some(1_000),
            TimestampForm::Rfc3339 | TimestampForm::Pattern(_) => None,
        }
    }

    /// Numbers with a fraction or an exponent: digits shifted, never multiplied as floats. What is finer than a
    /// nanosecond is cut off.
    #[cold]
    fn decimal(&self, text: &[u8]) -> Result<i64, Reason> {
        let unit_exponent = match &self.form {
            TimestampForm::Auto | TimestampForm::Seconds => 9,
            TimestampForm::Milliseconds => 6,
            TimestampForm::Microseconds => 3,
            TimestampForm::Nanoseconds => 0,
            TimestampForm::Rfc3339 | TimestampForm::Pattern(_) => return Err(Reason::BadTimestamp),
        };
        decimal_to_ns(text, unit_exponent).ok_or(Reason::TimestampRange)
    }
}

/// The number `text` of JSON's grammar times ten to `unit_exponent`, cut off below one.
fn decimal_to_ns(text: &[u8], unit_exponent: i64) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_zero = whole.bytes().chain(fraction.bytes()).all(|digit| digit == b'0');
    // A mantissa has at most max_line bytes; an exponent beyond an i32 is far outside of any date, or nothing.
    let exponent: i32 = match exponent.parse() {
        Ok(exponent) => exponent,
        Err(_) if is_zero || exponent.starts_with('-') => return Some(0),
        Err(_) => return None,
    };
    let point = i64::try_from(whole.len()).ok()? + i64::from(exponent) + unit_exponent;
    // Counted downwards: there is one more below 0 than above.
    let mut ns: i64 = 0;
    let mut place: i64 = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        if place >= point {
            break;
        }
        ns = ns.checked_mul(10)?.checked_sub(i64::from(digit - b'0'))?;
        place += 1;
    }
    while ns != 0 && place < point {
        ns = ns.checked_mul(10)?;
        place += 1;
    }
    if negative { Some(ns) } else { ns.checked_neg() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const T: i64 = 1_700_000_000_000_000_000;

    fn reader(form: TimestampForm) -> TimestampReader {
        TimestampReader::new(form, Zone::default())
    }

    fn number(form: TimestampForm, text: &str) -> Result<i64, Reason> {
        reader(form).number(text.as_bytes())
    }

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
            assert_eq!(number(TimestampForm::Auto, text), Ok(T), "{text}");
        }
        assert_eq!(reader(TimestampForm::Auto).text(b"2023-11-14T22:13:20Z"), Ok(T));
        assert_eq!(reader(TimestampForm::Auto).text(b"1700000000"), Ok(T));
    }

    #[test]
    fn decimals_keep_every_nanosecond() {
        for (text, ns) in [
            ("1700000000.123456789", T + 123_456_789),
            ("1700000000.1234567899", T + 123_456_789),
            ("-0.000000001", -1),
            ("0.1e-8", 1),
            ("1e-400", 0),
            ("1e-99999999999", 0),
            ("0e99999999999", 0),
        ] {
            assert_eq!(number(TimestampForm::Seconds, text), Ok(ns), "{text}");
        }
        assert_eq!(number(TimestampForm::Milliseconds, "1.5"), Ok(1_500_000));
        assert_eq!(number(TimestampForm::Nanoseconds, "9223372036854775807"), Ok(i64::MAX));
        for earliest in ["-9223372036854775808", "-9223372036854775808.0"] {
            assert_eq!(number(TimestampForm::Nanoseconds, earliest), Ok(i64::MIN));
            let beyond = earliest.replace("5808", "5809");
            assert_eq!(number(TimestampForm::Nanoseconds, &beyond), Err(Reason::TimestampRange));
        }
    }

    #[test]
    fn what_no_i64_holds_is_out_of_range() {
        for text in ["9223372036854775808", "1e300", "1e99999999999", "92233720368547758070"] {
            assert_eq!(number(TimestampForm::Nanoseconds, text), Err(Reason::TimestampRange), "{text}");
        }
        assert_eq!(number(TimestampForm::Seconds, "17000000000000"), Err(Reason::TimestampRange));
        assert_eq!(number(TimestampForm::Rfc3339, "1700000000"), Err(Reason::BadTimestamp));
    }

    #[test]
    fn a_leap_second_is_told_from_nonsense() {
        let mut auto = reader(TimestampForm::Auto);
        assert_eq!(auto.text(b"2016-12-31T23:59:60Z"), Err(Reason::LeapSecond));
        assert_eq!(auto.text(b"2016-12-31T23:59:61Z"), Err(Reason::BadTimestamp));
    }

    #[test]
    fn an_unknown_name_is_refused() {
        assert!("sec".parse::<TimestampForm>().is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text: Vec<u8>) {
            for form in ["auto", "rfc3339", "s", "%Y-%m-%d %H:%M:%S%.f", "%A %j"] {
                if let Ok(form) = form.parse() {
                    let _ = reader(form).text(&text);
                }
            }
        }
    }
}
