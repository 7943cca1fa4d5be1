//! Numbers against their bounds, which are those written in the schema and those of the integer type behind it.

#![forbid(unsafe_code)]

use serde_json::{Map, Value};

/// What `schemars` calls integer types, and what they hold.
const INTEGERS: [(&str, i128, i128); 8] = [
    ("int8", i8::MIN as i128, i8::MAX as i128),
    ("uint8", 0, u8::MAX as i128),
    ("int16", i16::MIN as i128, i16::MAX as i128),
    ("uint16", 0, u16::MAX as i128),
    ("int32", i32::MIN as i128, i32::MAX as i128),
    ("uint32", 0, u32::MAX as i128),
    ("int64", i64::MIN as i128, i64::MAX as i128),
    ("uint64", 0, u64::MAX as i128),
];

/// The least and the most that the integer type holds.
fn held(rules: &Map<String, Value>) -> Option<(i128, i128)> {
    let format = rules.get("format").and_then(Value::as_str)?;
    INTEGERS.iter().find(|(name, ..)| *name == format).map(|(_, least, most)| (*least, *most))
}

/// What was expected of the number and does not hold, one bound a side at most.
pub(super) fn broken(rules: &Map<String, Value>, value: &Value) -> Vec<String> {
    let Some(number) = value.as_f64() else { return Vec::new() };
    let bound = |key: &str| rules.get(key).and_then(Value::as_f64);
    let bounds = [
        ("minimum", "at least", bound("minimum").is_some_and(|bound| number < bound)),
        ("maximum", "at most", bound("maximum").is_some_and(|bound| number > bound)),
        ("exclusiveMinimum", "more than", bound("exclusiveMinimum").is_some_and(|bound| number <= bound)),
        ("exclusiveMaximum", "less than", bound("exclusiveMaximum").is_some_and(|bound| number >= bound)),
    ];
    let broken = bounds.into_iter().filter(|(_, _, broken)| *broken);
    let mut broken: Vec<String> = broken.map(|(key, words, _)| format!("{words} {}", rules[key])).collect();
    let whole = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
    if let (true, Some((least, most)), Some(whole)) = (broken.is_empty(), held(rules), whole) {
        broken.extend((whole < least).then(|| format!("at least {least}")));
        broken.extend((whole > most).then(|| format!("at most {most}")));
    }
    broken
}

/// A number with a fraction, or too large to be held exactly, where a whole one belongs: the message and a way out.
pub(super) fn not_whole(found: &str, rules: &Map<String, Value>, value: &Value) -> (String, Option<String>) {
    let number = value.as_f64().unwrap_or(f64::NAN);
    if number.fract() != 0.0 {
        return (format!("{found} was found; a whole number is expected"), None);
    }
    let (least, most) = held(rules).unwrap_or((i64::MIN.into(), u64::MAX.into()));
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it has no fraction, and what is too large saturates"
    )]
    let whole = number as i128;
    if (least..=most).contains(&whole) {
        let help = format!("write `{number:.0}`");
        return (
            format!("{found} was found; a whole number without a point or exponent is expected"),
            Some(help),
        );
    }
    (format!("{found} was found; {} is expected", held_in_words(rules)), None)
}

/// Whether a text is a whole number that no integer type holds: YAML leaves it text.
pub(super) fn too_large(value: &Value) -> bool {
    let digits = value.as_str().map(|text| text.strip_prefix(['-', '+']).unwrap_or(text));
    digits.is_some_and(|digits| digits.len() >= 19 && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What a whole number must be to be held.
pub(super) fn held_in_words(rules: &Map<String, Value>) -> String {
    let (least, most) = held(rules).unwrap_or((i64::MIN.into(), u64::MAX.into()));
    format!("a whole number from {least} to {most}")
}

/// A number's bounds in words: `at least 1`, `0 to 100`; none for those of its type alone that nobody comes near.
pub(crate) fn bounds_in_words(rules: &Map<String, Value>) -> Option<String> {
    let bound = |key: &str| rules.get(key).filter(|bound| bound.is_number()).map(ToString::to_string);
    let least = bound("minimum").map(|bound| format!("at least {bound}"));
    let least = least.or_else(|| bound("exclusiveMinimum").map(|bound| format!("more than {bound}")));
    let most = bound("maximum").map(|bound| format!("at most {bound}"));
    let most = most.or_else(|| bound("exclusiveMaximum").map(|bound| format!("less than {bound}")));
    match (bound("minimum"), bound("maximum"), least, most) {
        (Some(least), Some(most), ..) => Some(format!("{least} to {most}")),
        (_, _, Some(least), Some(most)) => Some(format!("{least}, {most}")),
        (_, _, least, most) => least.or(most),
    }
}
