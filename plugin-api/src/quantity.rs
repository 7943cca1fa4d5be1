//! Durations and sizes as people write them: `250ms`, `64MiB`. One syntax for `pipeline.yaml` and for plugins' settings.

use std::time::Duration;

/// A unit's name and how many of the smallest it is.
type Scale = (&'static str, u64);

const DURATIONS: [Scale; 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
    ("d", 86_400 * 1_000_000_000),
];

const SIZES: [Scale; 9] = [
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// Why a text is no quantity: a fragment that follows the text itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Only a number.
    #[error("has no unit; write `{number}{unit}`, for example")]
    NoUnit {
        /// The number.
        number: String,
        /// A likely unit.
        unit: &'static str,
    },
    /// A unit that is not known.
    #[error("has the unknown unit `{unit}`; known are {known}{}", meant(likely.as_deref()))]
    UnknownUnit {
        /// The unit.
        unit: String,
        /// All known ones.
        known: String,
        /// The whole with the unit that was probably meant.
        likely: Option<String>,
    },
    /// Below zero.
    #[error("is negative")]
    Negative,
    /// No number at the beginning.
    #[error("does not begin with a number, as `{example}` does")]
    NoNumber {
        /// Something valid.
        example: &'static str,
    },
    /// More than fits.
    #[error("is too large")]
    TooLarge,
}

fn meant(likely: Option<&str>) -> String {
    likely.map_or_else(String::new, |likely| format!("; did you mean `{likely}`?"))
}

/// `250ms`, `1.5s`, `1m`. Whole nanoseconds; what is finer is cut off.
pub fn duration(text: &str) -> Result<Duration, QuantityError> {
    quantity(text, &DURATIONS, "s", "250ms").map(Duration::from_nanos)
}

/// `64MiB`, `1.5GB`, `512B`, in bytes.
pub fn size(text: &str) -> Result<u64, QuantityError> {
    quantity(text, &SIZES, "MiB", "64MiB")
}

/// The units of durations, from the smallest.
pub fn duration_units() -> [&'static str; 7] {
    DURATIONS.map(|(unit, _)| unit)
}

/// The units of sizes: those of 1000, then those of 1024.
pub fn size_units() -> [&'static str; 9] {
    SIZES.map(|(unit, _)| unit)
}

/// The shortest exact way to write a duration with one unit.
pub fn show_duration(duration: Duration) -> String {
    match u64::try_from(duration.as_nanos()) {
        Ok(nanos) => show(nanos, &DURATIONS),
        Err(_) => format!("{}s", duration.as_secs()),
    }
}

/// The shortest exact way to write a size with one unit, in powers of 1024.
pub fn show_size(bytes: u64) -> String {
    show(bytes, &[SIZES[0], SIZES[5], SIZES[6], SIZES[7], SIZES[8]])
}

fn show(count: u64, scales: &[Scale]) -> String {
    let fitting = scales.iter().rev().find(|(_, scale)| count > 0 && count.is_multiple_of(*scale));
    match fitting {
        Some((unit, scale)) => format!("{}{unit}", count / scale),
        None => "0".to_owned() + if scales[0].0 == "ns" { "s" } else { scales[0].0 },
    }
}

fn quantity(
    text: &str,
    scales: &[Scale],
    likely_unit: &'static str,
    example: &'static str,
) -> Result<u64, QuantityError> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(text.len());
    let number = text[..end].replace('_', "");
    let unit = text[end..].trim_start();
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
    if text.strip_prefix('-').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
        return Err(QuantityError::Negative);
    }
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(fraction) || (number.contains('.') && fraction.is_empty()) {
        return Err(QuantityError::NoNumber { example });
    }
    if unit.is_empty() {
        return Err(QuantityError::NoUnit { number, unit: likely_unit });
    }
    let Some((_, scale)) = scales.iter().find(|(name, _)| *name == unit) else {
        return Err(QuantityError::UnknownUnit {
            unit: clipped(unit),
            known: scales.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "),
            likely: likely(unit, scales).map(|unit| format!("{number}{unit}")),
        });
    };
    scaled(whole, fraction, *scale).ok_or(QuantityError::TooLarge)
}

/// Text from outside, at a length that somebody reads.
pub(crate) fn clipped(text: &str) -> String {
    const SHOWN_MAX_CHARS: usize = 80;
    match text.char_indices().nth(SHOWN_MAX_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// The unit that other programs, or people, write so.
fn likely(unit: &str, scales: &[Scale]) -> Option<&'static str> {
    const SPELLINGS: [(&str, &[&str]); 14] = [
        ("ns", &["nanosecond", "nanoseconds", "nsec"]),
        ("us", &["µs", "μs", "usec", "microsecond", "microseconds"]),
        ("ms", &["msec", "milli", "millis", "millisecond", "milliseconds"]),
        ("s", &["sec", "secs", "second", "seconds"]),
        ("m", &["min", "mins", "minute", "minutes"]),
        ("h", &["hr", "hrs", "hour", "hours"]),
        ("d", &["day", "days"]),
        ("B", &["byte", "bytes"]),
        ("KiB", &["k", "ki", "kib"]),
        ("MiB", &["m", "mi", "mib"]),
        ("GiB", &["g", "gi", "gib"]),
        ("TiB", &["t", "ti", "tib"]),
        ("kB", &["kb"]),
        ("MB", &["mb"]),
    ];
    let unit = unit.to_lowercase();
    let known = |name: &str| scales.iter().any(|(known, _)| *known == name);
    SPELLINGS
        .iter()
        .find(|(name, spellings)| {
            known(name) && (name.to_lowercase() == unit || spellings.contains(&unit.as_str()))
        })
        .map(|(name, _)| *name)
}

/// `whole.fraction * scale` in whole numbers: a float would turn 0.1 into something else.
fn scaled(whole: &str, fraction: &str, scale: u64) -> Option<u64> {
    /// More digits cannot change a result that is cut to whole units: no scale is above 10^14.
    const FRACTION_MAX_DIGITS: usize = 18;
    let fraction = &fraction[..fraction.len().min(FRACTION_MAX_DIGITS)];
    let scale = u128::from(scale);
    let whole: u128 = whole.parse().ok()?;
    let below: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let divisor = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let count = whole.checked_mul(scale)?.checked_add(below * scale / divisor)?;
    u64::try_from(count).ok()
}

#[cfg(test)]
mod tests {
    use super::{QuantityError, duration, show_duration, show_size, size};
    use std::time::Duration;

    #[test]
    fn durations_and_sizes_are_exact() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("0.1s"), Ok(Duration::from_millis(100)));
        assert_eq!(duration("1 m"), Ok(Duration::from_mins(1)));
        assert_eq!(duration("7d"), Ok(Duration::from_hours(7 * 24)));
        assert_eq!(size("64MiB"), Ok(64 << 20));
        assert_eq!(size("1.5kB"), Ok(1500));
        assert_eq!(size("1_000B"), Ok(1000));
    }

    #[test]
    fn a_number_without_a_unit_is_refused_with_a_proposal() {
        let error = duration("250").expect_err("has no unit");
        assert_eq!(error.to_string(), "has no unit; write `250s`, for example");
    }

    #[test]
    fn what_other_programs_write_is_refused_with_what_it_means_here() {
        let cases = [("5 sec", "5s"), ("5 MIN", "5m"), ("10Milliseconds", "10ms")];
        for (text, meant) in cases {
            let error = duration(text).expect_err("is unknown").to_string();
            assert!(error.ends_with(&format!("did you mean `{meant}`?")), "{error}");
        }
        for (text, meant) in [("64M", "64MiB"), ("64mb", "64MB"), ("1g", "1GiB"), ("7 bytes", "7B")] {
            let error = size(text).expect_err("is unknown").to_string();
            assert!(error.ends_with(&format!("did you mean `{meant}`?")), "{error}");
        }
        let error = duration("5 fortnights").expect_err("is unknown").to_string();
        assert!(!error.contains("did you mean"), "{error}");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "ms", "-1s", "1.2.3s", ".5s", "1.s", "1e3s", "∞", "1🦀"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert!(matches!(size("1mib"), Err(QuantityError::UnknownUnit { .. })));
        assert_eq!(duration("-1s"), Err(QuantityError::Negative));
        assert_eq!(duration("999999999999999999999999d"), Err(QuantityError::TooLarge));
        assert_eq!(size("18446744073709551616B"), Err(QuantityError::TooLarge));
    }

    #[test]
    fn what_is_shown_reads_back() {
        for nanos in [0, 1, 999, 1_500_000_000, 60_000_000_000, 3_600_000_000_000] {
            let value = Duration::from_nanos(nanos);
            assert_eq!(duration(&show_duration(value)), Ok(value));
        }
        for bytes in [0, 1, 1536, 64 << 20] {
            assert_eq!(size(&show_size(bytes)), Ok(bytes));
        }
        assert_eq!(show_duration(Duration::from_millis(1500)), "1500ms");
    }
}
