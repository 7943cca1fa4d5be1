//! Timestamps by a `strftime` pattern. The calendar library knows every directive; the usual ones are read here, many
//! times as fast, if each stands in its full width. Anything else about a text is left to the library.

use super::UnknownTimestampForm;
use super::rfc3339::{self, DateTime, digit_pair, fraction_digits};
use super::zone::Zone;
use crate::reject::Reason;
use jiff::Timestamp;
use jiff::civil;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::AmbiguousOffset;
use std::sync::Arc;

/// A `strftime` pattern; cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: Arc<str>,
    /// The pattern in parts that are read here; empty if it has others.
    items: Arc<[Item]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Byte(u8),
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    /// Digits.
    Fraction,
    /// A point and digits, or nothing.
    PointFraction,
}

/// A local minute and when it began.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Minute {
    /// Year, month, day, hour and minute in one number; 0 before the first.
    key: i64,
    /// UTC seconds since 1970.
    start_s: i64,
}

/// A time that has every part different and a year that no two digits can mean: 2026-03-14 15:09:26.535897932.
const EXAMPLE_NS: i128 = 1_773_500_966_535_897_932;

impl Pattern {
    /// A pattern; refused if what it writes cannot be read back with it.
    pub fn new(text: &str) -> Result<Self, UnknownTimestampForm> {
        let refused = |why: String| UnknownTimestampForm::Pattern { pattern: text.to_owned(), why };
        let pattern = Self { text: text.into(), items: items(text).unwrap_or_default().into() };
        let example = Timestamp::from_nanosecond(EXAMPLE_NS).map_err(|error| refused(error.to_string()))?;
        let written = pattern.write(example, &Zone::default()).map_err(|error| refused(error.to_string()))?;
        match pattern.by_the_library(written.as_bytes(), &Zone::default()) {
            Ok(_) => Ok(pattern),
            Err(_) => Err(refused("it does not tell a date and a time".to_owned())),
        }
    }

    /// What stands in the settings.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn write(&self, time: Timestamp, zone: &Zone) -> Result<String, jiff::Error> {
        jiff::fmt::strtime::format(self.text.as_bytes(), &time.to_zoned(zone.time_zone().clone()))
    }

    /// UTC nanoseconds of a time written in this pattern, local to `zone` if the pattern has no offset. A time that
    /// comes twice when clocks are set back is the first; one that never was because they were set forward is none.
    #[inline]
    pub(super) fn to_ns(&self, text: &[u8], zone: &Zone, minute: &mut Minute) -> Result<i64, Reason> {
        let Some((time, fraction_ns)) = self.parts(text) else {
            return self.by_the_library(text, zone);
        };
        if time.second == 60 {
            return Err(Reason::LeapSecond);
        }
        let key = (((time.year * 16 + time.month) * 32 + time.day) * 32 + time.hour) * 64 + time.minute;
        if key != minute.key || key == 0 {
            *minute = match minute_start(time, zone) {
                Some(start_s) => Minute { key, start_s },
                None => return self.by_the_library(text, zone),
            };
        }
        rfc3339::ns(minute.start_s + time.second, fraction_ns)
    }

    /// The parts of a text in which each stands in its full width.
    #[inline]
    fn parts(&self, text: &[u8]) -> Option<(DateTime, i64)> {
        if self.items.is_empty() {
            return None;
        }
        let (mut time, mut fraction_ns, mut at) = (DateTime::default(), 0, 0);
        for item in &*self.items {
            match item {
                Item::Byte(byte) => {
                    if text.get(at) != Some(byte) {
                        return None;
                    }
                    at += 1;
                    continue;
                }
                Item::Year => {
                    time.year = digit_pair(text, at)? * 100 + digit_pair(text, at + 2)?;
                    at += 2;
                }
                Item::Month => time.month = digit_pair(text, at)?,
                Item::Day => time.day = digit_pair(text, at)?,
                Item::Hour => time.hour = digit_pair(text, at)?,
                Item::Minute => time.minute = digit_pair(text, at)?,
                Item::Second => time.second = digit_pair(text, at)?,
                Item::PointFraction if text.get(at) != Some(&b'.') => continue,
                Item::Fraction | Item::PointFraction => {
                    let start = at + usize::from(*item == Item::PointFraction);
                    let digits = text.get(start..)?;
                    let (ns, rest) = fraction_digits(digits)?;
                    // What the library says of more digits than nanoseconds have is up to the library.
                    if digits.len() - rest.len() > 9 {
                        return None;
                    }
                    fraction_ns = ns;
                    at = text.len() - rest.len();
                    continue;
                }
            }
            at += 2;
        }
        (at == text.len() && time.exists()).then_some((time, fraction_ns))
    }

    fn by_the_library(&self, text: &[u8], zone: &Zone) -> Result<i64, Reason> {
        let broken_down =
            BrokenDownTime::parse(self.text.as_bytes(), text).map_err(|_| Reason::BadTimestamp)?;
        if self.is_leap_second(text, &broken_down) {
            return Err(Reason::LeapSecond);
        }
        let time = if broken_down.offset().is_some() || broken_down.timestamp().is_some() {
            broken_down.to_timestamp().map_err(|_| Reason::BadTimestamp)?
        } else if broken_down.iana_time_zone().is_some() {
            broken_down.to_zoned().map_err(|_| Reason::BadTimestamp)?.timestamp()
        } else {
            let local = broken_down.to_datetime().map_err(|_| Reason::BadTimestamp)?;
            local_to_timestamp(local, zone).ok_or(Reason::BadTimestamp)?
        };
        i64::try_from(time.as_nanosecond()).map_err(|_| Reason::TimestampRange)
    }

    /// The library takes second 60 for second 59, so the text is one if a 59 in place of some 60 is the same time.
    fn is_leap_second(&self, text: &[u8], time: &BrokenDownTime) -> bool {
        let is_same = |at: usize| {
            let mut earlier = text.to_vec();
            earlier[at..at + 2].copy_from_slice(b"59");
            let earlier = BrokenDownTime::parse(self.text.as_bytes(), &earlier);
            let (earlier, time) = (earlier.and_then(|earlier| earlier.to_datetime()), time.to_datetime());
            earlier.ok().is_some_and(|earlier| time.ok() == Some(earlier))
        };
        time.second() == Some(59)
            && (0..text.len().saturating_sub(1)).any(|at| &text[at..at + 2] == b"60" && is_same(at))
    }
}

/// UTC seconds at which a local minute began; `None` if clocks were set in it, or it is no minute of theirs.
fn minute_start(time: DateTime, zone: &Zone) -> Option<i64> {
    let narrow = |part: i64| i8::try_from(part).ok();
    let at_second = |second: i8| {
        let local = civil::DateTime::new(
            i16::try_from(time.year).ok()?,
            narrow(time.month)?,
            narrow(time.day)?,
            narrow(time.hour)?,
            narrow(time.minute)?,
            second,
            0,
        );
        Some(local_to_timestamp(local.ok()?, zone)?.as_second())
    };
    let start_s = at_second(0)?;
    (at_second(59)? == start_s + 59).then_some(start_s)
}

fn local_to_timestamp(local: civil::DateTime, zone: &Zone) -> Option<Timestamp> {
    let ambiguous = zone.time_zone().to_ambiguous_timestamp(local);
    if matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. }) { None } else { ambiguous.earlier().ok() }
}

/// The parts of a pattern, if all of them are read here and tell a date.
fn items(text: &str) -> Option<Vec<Item>> {
    let mut items = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        if *byte != b'%' {
            // The library lets a space stand for any white space; what is not the same is left to it.
            items.push(Item::Byte(*byte));
            continue;
        }
        let (directive, behind) = rest.split_first()?;
        rest = behind;
        let date = [Item::Year, Item::Byte(b'-'), Item::Month, Item::Byte(b'-'), Item::Day];
        let time = [Item::Hour, Item::Byte(b':'), Item::Minute, Item::Byte(b':'), Item::Second];
        match directive {
            b'Y' => items.push(Item::Year),
            b'm' => items.push(Item::Month),
            b'd' => items.push(Item::Day),
            b'H' => items.push(Item::Hour),
            b'M' => items.push(Item::Minute),
            b'S' => items.push(Item::Second),
            b'f' => items.push(Item::Fraction),
            b'F' => items.extend(date),
            b'T' => items.extend(time),
            b'%' => items.push(Item::Byte(b'%')),
            b'.' => {
                rest = rest.strip_prefix(b"f")?;
                items.push(Item::PointFraction);
            }
            _ => return None,
        }
    }
    let once = |item: Item| items.iter().filter(|other| **other == item).count() == 1;
    let several = |item: Item| items.iter().filter(|other| **other == item).count() > 1;
    let tells_date = once(Item::Year) && once(Item::Month) && once(Item::Day) && once(Item::Hour);
    let twice = [Item::Minute, Item::Second, Item::Fraction, Item::PointFraction].into_iter().any(several);
    (tells_date && !twice).then_some(items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vienna() -> Zone {
        Zone::built_in("Europe/Vienna").unwrap()
    }

    fn read(pattern: &str, text: &str, zone: &Zone) -> Result<i64, Reason> {
        Pattern::new(pattern).unwrap().to_ns(text.as_bytes(), zone, &mut Minute::default())
    }

    #[test]
    fn a_pattern_that_tells_no_time_is_refused() {
        for pattern in ["%H:%M", "%Y", "%Y-%m-%d %", "%Y-%m-%d %!"] {
            let error = Pattern::new(pattern).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{pattern}`: ")), "{error}");
        }
    }

    #[test]
    fn clocks_that_are_set_make_no_second_guess() {
        let pattern = "%Y-%m-%d %H:%M:%S";
        let seconds = |text| read(pattern, text, &vienna()).map(|ns| ns / 1_000_000_000);
        assert_eq!(seconds("2026-01-31 12:00:00"), Ok(1_769_857_200));
        assert_eq!(seconds("2026-03-29 02:30:00"), Err(Reason::BadTimestamp));
        // Twice on that night; the first was an hour after 01:30.
        assert_eq!(seconds("2026-10-25 02:30:00").unwrap() - seconds("2026-10-25 01:30:00").unwrap(), 3600);
    }

    #[test]
    fn a_leap_second_is_no_second_before_it() {
        let utc = Zone::default();
        for pattern in ["%Y-%m-%d %H:%M:%S", "%d.%m.%Y %k:%M:%S", "%Y-%m-%d %H:%M:%S %z"] {
            for second in ["59", "60"] {
                let text = pattern
                    .replace("%Y", "1960")
                    .replace("%m", "06")
                    .replace("%d", "30")
                    .replace("%H", "16")
                    .replace("%k", "16")
                    .replace("%M", "06")
                    .replace("%S", second)
                    .replace("%z", "+0600");
                let leap = read(pattern, &text, &utc) == Err(Reason::LeapSecond);
                assert_eq!(leap, second == "60", "{pattern} {text}");
            }
        }
    }

    #[test]
    fn years_that_nanoseconds_do_not_reach_are_out_of_range() {
        assert_eq!(read("%Y-%m-%d %H", "3000-01-01 00", &Zone::default()), Err(Reason::TimestampRange));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn the_fast_way_and_the_library_agree(
            times in proptest::collection::vec((any::<i64>(), 0_u8..4), 1..6),
            pattern in prop_oneof![
                Just("%Y-%m-%d %H:%M:%S"), Just("%Y-%m-%dT%H:%M:%S%.f"), Just("%d.%m.%Y %H:%M"), Just("%FT%T"),
                Just("%Y%m%d%H%M%S"), Just("%Y%m%d%H%M%S%f"), Just("%F %H %%"), Just("%Y-%j %T"), Just("%F %T %z"),
            ],
            in_vienna: bool,
            noise in proptest::option::weighted(0.3, (any::<prop::sample::Index>(), "[0-9 .:6-]{0,2}")),
        ) {
            let zone = if in_vienna { vienna() } else { Zone::default() };
            let pattern = Pattern::new(pattern).unwrap();
            let mut minute = Minute::default();
            for (time, shift) in times {
                let time = Timestamp::from_nanosecond(i128::from(time >> (shift * 3))).unwrap();
                let mut text = pattern.write(time, &zone).unwrap();
                if let Some((at, noise)) = &noise {
                    let at = at.index(text.len());
                    text.replace_range(at..=at, noise);
                }
                let fast = pattern.to_ns(text.as_bytes(), &zone, &mut minute);
                prop_assert_eq!(fast, pattern.by_the_library(text.as_bytes(), &zone), "{}", text);
            }
        }
    }
}
