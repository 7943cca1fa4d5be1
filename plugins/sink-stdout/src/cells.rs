//! What stands in the table's cells: text that fits its column and cannot move the cursor.

use std::cmp::Ordering;
use unicode_width::UnicodeWidthChar as _;

const NS_PER_SECOND: i64 = 1_000_000_000;
const DAY_S: i64 = 86_400;
const BYTE_STEPS: [(f64, &str); 5] = [
    (1_125_899_906_842_624.0, "Pi"),
    (1_099_511_627_776.0, "Ti"),
    (1_073_741_824.0, "Gi"),
    (1_048_576.0, "Mi"),
    (1_024.0, "Ki"),
];

/// A value and its unit for people: four digits or more, bytes in steps of 1024.
pub(crate) fn value_and_unit(value: f64, unit: &str) -> (String, String) {
    let bytes = unit.strip_prefix("By").filter(|rest| rest.is_empty() || rest.starts_with('/'));
    if let Some(rest) = bytes
        && let Some((step, prefix)) = BYTE_STEPS.iter().find(|(step, _)| value.abs() >= *step)
    {
        return (format!("{:.2}", value / step), format!("{prefix}B{rest}"));
    }
    if let Some(rest) = bytes {
        return (number(value), format!("B{rest}"));
    }
    (number(value), printable(unit))
}

fn number(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        format!("{value}")
    } else if size != 0.0 && !(1e-3..1e12).contains(&size) {
        format!("{value:.3e}")
    } else if size < 1.0 {
        format!("{value:.4}")
    } else if size < 1_000.0 {
        format!("{value:.2}")
    } else if size < 1_000_000.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

/// How old a reading is; past a day the time it was taken, in UTC.
pub(crate) fn age(timestamp_ns: i64, now_ns: i64) -> String {
    let age_s = now_ns.saturating_sub(timestamp_ns).div_euclid(NS_PER_SECOND);
    match age_s {
        i64::MIN..-1 => utc(timestamp_ns),
        -1..1 => "now".to_owned(),
        1..60 => format!("{age_s}s"),
        60..3_600 => format!("{}m {:02}s", age_s / 60, age_s % 60),
        3_600..DAY_S => format!("{}h {:02}m", age_s / 3_600, age_s / 60 % 60),
        _ => utc(timestamp_ns),
    }
}

/// `2026-01-31 12:00`.
fn utc(timestamp_ns: i64) -> String {
    let seconds = timestamp_ns.div_euclid(NS_PER_SECOND);
    let (days, second) = (seconds.div_euclid(DAY_S), seconds.rem_euclid(DAY_S));
    // Days from 0000-03-01 in the Gregorian calendar, so that a leap day is a year's last.
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", second / 3_600, second / 60 % 60)
}

/// Text whose control characters cannot reach the terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// The order in which people look for names: numbers in them count as numbers, so that `core=2` comes before `core=10`.
pub(crate) fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (number_a, rest_a) = split_digits(a);
        let (number_b, rest_b) = split_digits(b);
        let (Some(first_a), Some(first_b)) = (a.chars().next(), b.chars().next()) else {
            return a.len().cmp(&b.len());
        };
        if number_a.is_empty() || number_b.is_empty() {
            match first_a.cmp(&first_b) {
                Ordering::Equal => (a, b) = (&a[first_a.len_utf8()..], &b[first_b.len_utf8()..]),
                unequal => return unequal,
            }
        } else {
            // Without zeros in front the longer number is the larger one, however many digits there are.
            let (digits_a, digits_b) = (number_a.trim_start_matches('0'), number_b.trim_start_matches('0'));
            let order = digits_a.len().cmp(&digits_b.len()).then_with(|| digits_a.cmp(digits_b));
            match order.then_with(|| number_a.len().cmp(&number_b.len())) {
                Ordering::Equal => (a, b) = (rest_a, rest_b),
                unequal => return unequal,
            }
        }
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

/// Columns that a text takes.
pub(crate) fn columns(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// Appends `text`, cut with `…` or filled with spaces, so that it takes exactly `width` columns.
pub(crate) fn push_left(text: &str, width: usize, into: &mut String) {
    let cut = cut(text, width);
    into.push_str(&cut);
    into.extend(std::iter::repeat_n(' ', width - columns(&cut)));
}

/// As [`push_left`], with the spaces in front.
pub(crate) fn push_right(text: &str, width: usize, into: &mut String) {
    let cut = cut(text, width);
    into.extend(std::iter::repeat_n(' ', width - columns(&cut)));
    into.push_str(&cut);
}

/// The text in at most `width` columns, with `…` at its end if something is missing.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let (mut kept, mut taken) = (String::new(), 0);
    for c in text.chars() {
        taken += c.width().unwrap_or(0);
        if taken + 1 > width {
            break;
        }
        kept.push(c);
    }
    if width > 0 {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_short_and_bytes_are_scaled() {
        for (value, unit, text) in [
            (21.534_728, "Cel", "21.53 Cel"),
            (0.25, "1", "0.2500 1"),
            (8_589_934_592.0, "By", "8.00 GiB"),
            (1536.0, "By/s", "1.50 KiB/s"),
            (12.0, "By", "12.00 B"),
            (101_325.0, "Pa", "101325.0 Pa"),
            (1e-9, "m", "1.000e-9 m"),
            (f64::NAN, "m", "NaN m"),
            (3.0, "Bytes", "3.00 Bytes"),
        ] {
            let (number, unit) = value_and_unit(value, unit);
            assert_eq!(format!("{number} {unit}"), text);
        }
    }

    #[test]
    fn ages_become_times_after_a_day() {
        let now = 1_700_000_000 * NS_PER_SECOND;
        for (age_s, text) in [
            (0, "now"),
            (59, "59s"),
            (61, "1m 01s"),
            (7_260, "2h 01m"),
            (DAY_S, "2023-11-13 22:13"),
            (-3_600, "2023-11-14 23:13"),
            (1_700_000_000 + 1, "1969-12-31 23:59"),
            (1_700_000_000 - 68_169_600, "1972-02-29 00:00"),
        ] {
            assert_eq!(age(now - age_s * NS_PER_SECOND, now), text);
        }
    }

    #[test]
    fn text_takes_exactly_its_columns() {
        for text in ["", "abc", "temperature", "温度温度温度", "e\u{301}e\u{301}e\u{301}abcdefg"] {
            for width in 0..9 {
                let mut cell = String::new();
                push_left(text, width, &mut cell);
                assert_eq!(columns(&cell), width, "{text} {width}");
                push_right(text, width, &mut cell);
                assert_eq!(columns(&cell), 2 * width, "{text} {width}");
            }
        }
    }

    #[test]
    fn numbers_in_names_sort_as_numbers() {
        let sorted = [
            "",
            "a",
            "a{core=0}",
            "a{core=2}",
            "a{core=02}",
            "a{core=10}",
            "b",
            "load.1m",
            "load.5m",
            "load.15m",
            "é",
        ];
        for (index, a) in sorted.iter().enumerate() {
            for (other, b) in sorted.iter().enumerate() {
                assert_eq!(natural_order(a, b), index.cmp(&other), "{a} {b}");
            }
        }
    }

    #[test]
    fn no_name_can_move_the_cursor() {
        assert_eq!(printable("a\x1b[2Jb\n"), "a\u{FFFD}[2Jb\u{FFFD}");
    }
}
