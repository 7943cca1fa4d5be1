//! Timestamps to text. Readings come in order, mostly, so what a second's timestamps have in common is printed once.

use super::{NS_PER_SECOND, TimestampForm, Zone};
use jiff::Timestamp;

/// Escapes a text as its format needs it.
pub(crate) type Escape = fn(&str, &mut Vec<u8>);

/// Prints timestamps of one form behind a text that is always the same.
pub(crate) struct TimestampPrinter {
    shape: Shape,
    zone: Zone,
    before: Box<[u8]>,
    after: Box<[u8]>,
    escape: Escape,
    /// Since 1970; what `head` and `tail` are for. Nothing is printed yet while `head` is empty and `fresh` is not set.
    second: i64,
    fresh: bool,
    /// What stands before the fraction (or, for nanoseconds, the digits with room for the fraction's).
    head: Vec<u8>,
    tail: Vec<u8>,
}

enum Shape {
    Nanoseconds,
    /// Integers of this many nanoseconds; what is finer is cut off.
    Integer(i64),
    /// Around a fraction: two patterns.
    Split {
        head: String,
        fraction: Fraction,
        tail: String,
    },
    /// A pattern with several fractions.
    Whole(String),
}

/// How a fraction of a second is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fraction {
    point: bool,
    /// So many digits; `None`: as many as it takes.
    digits: Option<usize>,
    /// There is none.
    absent: bool,
}

const NO_FRACTION: Fraction = Fraction { point: false, digits: None, absent: true };
const NS_DIGITS: usize = 9;

impl TimestampPrinter {
    /// A printer that writes `before`, the timestamp, and `after`; texts with quotes around them if it is `quoted`.
    pub(crate) fn new(
        form: &TimestampForm,
        zone: &Zone,
        before: &[u8],
        after: &[u8],
        quote: &[u8],
        escape: Escape,
    ) -> Self {
        let shape = match form {
            TimestampForm::Auto | TimestampForm::Nanoseconds => Shape::Nanoseconds,
            TimestampForm::Microseconds => Shape::Integer(1_000),
            TimestampForm::Milliseconds => Shape::Integer(1_000_000),
            TimestampForm::Seconds => Shape::Integer(NS_PER_SECOND),
            TimestampForm::Rfc3339 => {
                let is_utc = *zone == Zone::default();
                let tail = if is_utc { "Z" } else { "%:z" }.to_owned();
                let fraction = Fraction { point: true, digits: None, absent: false };
                Shape::Split { head: "%Y-%m-%dT%H:%M:%S".to_owned(), fraction, tail }
            }
            TimestampForm::Pattern(pattern) => split(pattern.text()),
        };
        let quote = if matches!(shape, Shape::Nanoseconds | Shape::Integer(_)) { &[][..] } else { quote };
        Self {
            shape,
            zone: zone.clone(),
            before: [before, quote].concat().into(),
            after: [quote, after].concat().into(),
            escape,
            second: 0,
            fresh: false,
            head: Vec::new(),
            tail: Vec::new(),
        }
    }

    /// Appends the timestamp, with what stands around it.
    #[inline]
    pub(crate) fn write(&mut self, timestamp_ns: i64, into: &mut Vec<u8>) {
        match &self.shape {
            Shape::Nanoseconds => self.write_nanoseconds(timestamp_ns, into),
            Shape::Integer(unit_ns) => {
                into.extend_from_slice(&self.before);
                let number = timestamp_ns.div_euclid(*unit_ns);
                into.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
                into.extend_from_slice(&self.after);
            }
            _ => self.write_text(timestamp_ns, into),
        }
    }

    #[inline]
    fn write_nanoseconds(&mut self, timestamp_ns: i64, into: &mut Vec<u8>) {
        let second = timestamp_ns / NS_PER_SECOND;
        // Below a second there are no digits in front, and before 1970 the sign would be the second's: both are rare.
        if second < 1 || !self.fresh || second != self.second {
            self.print_nanoseconds(timestamp_ns, second);
        }
        if second >= 1 {
            let nanoseconds = (timestamp_ns % NS_PER_SECOND).unsigned_abs();
            if let Some(place) = self.head.last_chunk_mut::<9>() {
                let [first, rest @ ..] = place;
                #[expect(clippy::cast_possible_truncation, reason = "one digit")]
                let digit = (nanoseconds / 100_000_000) as u8;
                *first = b'0' + digit;
                *rest = eight_digits(nanoseconds % 100_000_000);
            }
        }
        into.extend_from_slice(&self.head);
        into.extend_from_slice(&self.after);
    }

    #[cold]
    fn print_nanoseconds(&mut self, timestamp_ns: i64, second: i64) {
        (self.second, self.fresh) = (second, true);
        self.head.clear();
        self.head.extend_from_slice(&self.before);
        self.head.extend_from_slice(itoa::Buffer::new().format(timestamp_ns).as_bytes());
    }

    fn write_text(&mut self, timestamp_ns: i64, into: &mut Vec<u8>) {
        let second = timestamp_ns.div_euclid(NS_PER_SECOND);
        if !self.fresh || second != self.second || matches!(self.shape, Shape::Whole(_)) {
            self.print_text(timestamp_ns, second);
        }
        into.extend_from_slice(&self.head);
        if let Shape::Split { fraction, .. } = &self.shape {
            fraction.write(timestamp_ns.rem_euclid(NS_PER_SECOND).unsigned_abs(), into);
        }
        into.extend_from_slice(&self.tail);
    }

    #[cold]
    fn print_text(&mut self, timestamp_ns: i64, second: i64) {
        (self.second, self.fresh) = (second, true);
        // Any i64 of nanoseconds is within what the library holds, and a pattern was tried when it was made.
        let time = Timestamp::from_nanosecond(i128::from(timestamp_ns)).unwrap_or_default();
        let time = time.to_zoned(self.zone.time_zone().clone());
        let printed = |pattern: &str| jiff::fmt::strtime::format(pattern, &time).unwrap_or_default();
        let (head, tail) = match &self.shape {
            Shape::Split { head, tail, .. } => (printed(head), printed(tail)),
            Shape::Whole(pattern) => (printed(pattern), String::new()),
            Shape::Nanoseconds | Shape::Integer(_) => return,
        };
        self.head.clear();
        self.head.extend_from_slice(&self.before);
        (self.escape)(&head, &mut self.head);
        self.tail.clear();
        (self.escape)(&tail, &mut self.tail);
        self.tail.extend_from_slice(&self.after);
    }
}

impl Fraction {
    #[inline]
    fn write(self, nanoseconds: u64, into: &mut Vec<u8>) {
        if self.absent {
            return;
        }
        let mut digits = [b'0'; NS_DIGITS];
        let [first, rest @ ..] = &mut digits;
        #[expect(clippy::cast_possible_truncation, reason = "one digit")]
        let digit = (nanoseconds / 100_000_000) as u8;
        *first = b'0' + digit;
        *rest = eight_digits(nanoseconds % 100_000_000);
        let count = self.digits.unwrap_or_else(|| {
            let needed = digits.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
            needed.max(usize::from(!self.point))
        });
        if self.point && count > 0 {
            into.push(b'.');
        }
        into.extend_from_slice(&digits[..count.min(NS_DIGITS)]);
    }
}

/// A pattern around its fraction of a second.
fn split(pattern: &str) -> Shape {
    let mut found: Option<(usize, usize, Fraction)> = None;
    let bytes = pattern.as_bytes();
    let mut at = 0;
    while let Some(percent) = memchr::memchr(b'%', &bytes[at..]).map(|offset| at + offset) {
        let rest = &bytes[percent + 1..];
        let point = rest.first() == Some(&b'.');
        let rest = &rest[usize::from(point)..];
        let width =
            rest.first().filter(|byte| (b'1'..=b'9').contains(byte)).map(|byte| usize::from(byte - b'0'));
        let end = percent + 1 + usize::from(point) + usize::from(width.is_some());
        let fraction = match (rest.get(usize::from(width.is_some())), width) {
            (Some(b'f'), digits) => Some(Fraction { point, digits, absent: false }),
            (Some(b'N'), digits) => {
                Some(Fraction { point, digits: digits.or(Some(NS_DIGITS)), absent: false })
            }
            _ => None,
        };
        match fraction {
            Some(_) if found.is_some() => return Shape::Whole(pattern.to_owned()),
            Some(fraction) => found = Some((percent, end + 1, fraction)),
            None => {}
        }
        // Past the directive's first byte, so that `%%f` is no fraction.
        at = (end + 1).min(bytes.len());
    }
    match found {
        Some((start, end, fraction)) => {
            Shape::Split { head: pattern[..start].to_owned(), fraction, tail: pattern[end..].to_owned() }
        }
        // Other directives may tell nanoseconds in ways of their own.
        None if pattern.contains("%c") || pattern.contains("%x") => Shape::Whole(pattern.to_owned()),
        None => Shape::Split { head: pattern.to_owned(), fraction: NO_FRACTION, tail: String::new() },
    }
}

/// The eight digits of a number below 10^8, computed side by side: split into fours, pairs and single digits.
#[inline]
fn eight_digits(number: u64) -> [u8; 8] {
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007F_0000_007F;
    let pairs = hundreds | ((fours - hundreds * 100) << 16);
    let tens = ((pairs * 103) >> 10) & 0x000F_000F_000F_000F;
    let digits = tens | ((pairs - tens * 10) << 8);
    (digits | 0x3030_3030_3030_3030).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timestamp::Pattern;
    use proptest::prelude::*;

    fn as_it_is(text: &str, into: &mut Vec<u8>) {
        into.extend_from_slice(text.as_bytes());
    }

    fn printed(form: &TimestampForm, zone: &Zone, times: &[i64]) -> Vec<String> {
        let mut printer = TimestampPrinter::new(form, zone, b"<", b">", b"'", as_it_is);
        let print = |time: &i64| {
            let mut text = Vec::new();
            printer.write(*time, &mut text);
            String::from_utf8(text).unwrap()
        };
        times.iter().map(print).collect()
    }

    fn times() -> impl Strategy<Value = Vec<i64>> {
        let second = 1_700_000_000_000_000_000_i64..1_700_000_002_000_000_000;
        let time = prop_oneof![
            any::<i64>(),
            -5_000_000_000_i64..5_000_000_000,
            second.clone(),
            second.prop_map(|t| t / 1_000_000 * 1_000_000)
        ];
        proptest::collection::vec(time, 1..50)
    }

    proptest! {
        #[test]
        fn integers_are_printed_as_the_standard_library_does(times in times()) {
            let zone = Zone::default();
            for (form, unit_ns) in [
                (TimestampForm::Nanoseconds, 1), (TimestampForm::Microseconds, 1_000),
                (TimestampForm::Milliseconds, 1_000_000), (TimestampForm::Seconds, 1_000_000_000),
            ] {
                let expected: Vec<String> = times.iter().map(|time| format!("<{}>", time.div_euclid(unit_ns))).collect();
                prop_assert_eq!(printed(&form, &zone, &times), expected);
            }
        }

        #[test]
        fn rfc3339_is_printed_as_jiff_does(times in times()) {
            let expected: Vec<String> = times.iter()
                .map(|time| format!("<'{}'>", Timestamp::from_nanosecond(i128::from(*time)).unwrap())).collect();
            prop_assert_eq!(printed(&TimestampForm::Rfc3339, &Zone::default(), &times), expected);
        }

        #[test]
        fn patterns_are_printed_as_the_library_does(
            times in times(),
            pattern in prop_oneof![
                Just("%F %T"), Just("%F %T%.f"), Just("%F %T%.3f %z"), Just("%F %H%M%S%f"), Just("%6f %F %T"),
                Just("%F %T.%N%%f"), Just("%F %T%.f %.3f"), Just("%A %d %B %Y, %I:%M:%S %p"), Just("%s"),
            ],
        ) {
            let zone = Zone::built_in("Europe/Vienna").unwrap();
            // The form itself may be refused for reading; what is printed must be right anyway.
            let Ok(form) = Pattern::new(pattern).map(TimestampForm::Pattern) else { return Ok(()); };
            let expected: Vec<String> = times.iter().map(|time| {
                let time = Timestamp::from_nanosecond(i128::from(*time)).unwrap().to_zoned(zone.time_zone().clone());
                format!("<'{}'>", jiff::fmt::strtime::format(pattern, &time).unwrap())
            }).collect();
            prop_assert_eq!(printed(&form, &zone, &times), expected);
        }

        #[test]
        fn eight_digits_are_all_there(number in 0_u64..100_000_000) {
            prop_assert_eq!(eight_digits(number).to_vec(), format!("{number:08}").into_bytes());
        }
    }
}
