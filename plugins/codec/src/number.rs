//! Numbers as JSON writes them: the grammar checked and the value exact, in one pass over the digits.

/// What [`scan`] found: a number of JSON's grammar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scanned {
    /// Bytes of its text.
    pub(crate) len: usize,
    /// The nearest `f64`; infinite if it is too large for one.
    pub(crate) value: f64,
}

/// Powers of ten that an `f64` holds exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];
/// Up to here every integer is an `f64`.
const EXACT_INTEGER_MAX: u64 = 1 << 53;
/// This many decimal digits always fit a `u64`.
const DIGITS_MAX: usize = 19;

/// Reads the number at the start of `text`; `None` if there is none.
///
/// One product or quotient of two exactly held numbers is correctly rounded (Clinger's fast path), which covers what
/// instruments write; the rest goes through fast-float.
#[inline]
pub(crate) fn scan(text: &[u8]) -> Option<Scanned> {
    match scan_short(text) {
        Some(scanned) => Some(scanned),
        None => scan_any(text),
    }
}

/// [`scan`] for up to seven digits before the point and up to seven behind it, no exponent, and more text behind the
/// number: without a loop, and without a branch on how many digits there are. `None`: [`scan_any`] must look.
#[inline]
fn scan_short(text: &[u8]) -> Option<Scanned> {
    let negative = *text.first()? == b'-';
    let start = usize::from(negative);
    let word = word_at(text, start)?;
    let (values, integer_digits) = leading_digits(word);
    let leading_zero = integer_digits > 1 && word.to_le_bytes()[0] == b'0';
    if integer_digits == 0 || integer_digits == 8 || leading_zero {
        return None;
    }
    let integer = eight_values(values << (64 - 8 * integer_digits));
    let mut at = start + integer_digits;
    let mut behind = word.to_le_bytes()[integer_digits];
    let (mut mantissa, mut fraction_digits) = (integer, 0);
    if behind == b'.' {
        let word = word_at(text, at + 1)?;
        let (values, count) = leading_digits(word);
        if count == 0 || count == 8 {
            return None;
        }
        mantissa = integer * POWERS[count] + eight_values(values << (64 - 8 * count));
        fraction_digits = count;
        at += 1 + count;
        behind = word.to_le_bytes()[count];
    }
    if matches!(behind, b'e' | b'E') {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "at most fourteen digits: exact")]
    let magnitude = mantissa as f64 / EXACT_POWERS[fraction_digits];
    Some(Scanned { len: at, value: if negative { -magnitude } else { magnitude } })
}

/// [`scan`] for all numbers.
#[inline(never)]
fn scan_any(text: &[u8]) -> Option<Scanned> {
    let negative = text.first() == Some(&b'-');
    let start = usize::from(negative);
    let (mut mantissa, integer_digits) = digits(text.get(start..)?, 0);
    let mut at = start + integer_digits;
    if integer_digits == 0 || (integer_digits > 1 && text[start] == b'0') {
        return None;
    }
    let mut fraction_digits = 0;
    if text.get(at) == Some(&b'.') {
        (mantissa, fraction_digits) = digits(&text[at + 1..], mantissa);
        if fraction_digits == 0 {
            return None;
        }
        at += 1 + fraction_digits;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        let fits = integer_digits + fraction_digits <= DIGITS_MAX && mantissa <= EXACT_INTEGER_MAX;
        return with_exponent(text, at, fits.then_some(mantissa), fraction_digits);
    }
    if integer_digits + fraction_digits > DIGITS_MAX
        || mantissa > EXACT_INTEGER_MAX
        || fraction_digits >= EXACT_POWERS.len()
    {
        return rounded(text, at);
    }
    #[expect(clippy::cast_precision_loss, reason = "at most 2^53, checked above: exact")]
    let magnitude = mantissa as f64 / EXACT_POWERS[fraction_digits];
    let value = if negative { -magnitude } else { magnitude };
    Some(Scanned { len: at, value })
}

/// The number that is all of `text`, also as spreadsheets and people write it: `+1`, `.5`, `1.`, `007`. Infinite if it is
/// too large for an `f64`; what is no finite number to begin with is none.
pub(crate) fn lenient(text: &[u8]) -> Option<f64> {
    if let Some(scanned) = scan(text).filter(|scanned| scanned.len == text.len()) {
        return Some(scanned.value);
    }
    let unsigned = text.strip_prefix(b"+");
    let is_decimal = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E');
    // Two signs in a row would pass the library, which gets the second only.
    if !text.iter().all(is_decimal)
        || unsigned.is_some_and(|rest| rest.starts_with(b"+") || rest.starts_with(b"-"))
    {
        return None;
    }
    fast_float2::parse(unsigned.unwrap_or(text)).ok()
}

/// Appends the shortest text that reads back as this value, which is finite.
#[inline]
pub(crate) fn write_finite(value: f64, into: &mut Vec<u8>) {
    into.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
}

/// The bytes of the number at the start of `text`; `None` if there is none.
#[inline]
pub(crate) fn scan_len(text: &[u8]) -> Option<usize> {
    scan(text).map(|scanned| scanned.len)
}

/// The integer at the start of `text` if it is a plain one: no sign, no fraction, no exponent, at most 19 digits.
/// Gives its bytes, too.
#[inline]
pub(crate) fn plain_integer(text: &[u8]) -> Option<(u64, usize)> {
    let (number, len) = digits(text, 0);
    let plain = (1..=DIGITS_MAX).contains(&len)
        && (text[0] != b'0' || len == 1)
        && !matches!(text.get(len), Some(b'.' | b'e' | b'E'));
    plain.then_some((number, len))
}

/// Any number of JSON's grammar through fast-float, which rounds correctly whatever the digits.
#[cold]
fn rounded(text: &[u8], len: usize) -> Option<Scanned> {
    let value = fast_float2::parse(&text[..len]).ok()?;
    Some(Scanned { len, value })
}

/// The number at the start of `text` whose exponent is at `at`. `mantissa`: its digits, if they are exactly held.
fn with_exponent(text: &[u8], at: usize, mantissa: Option<u64>, fraction_digits: usize) -> Option<Scanned> {
    let len = at + exponent_len(&text[at..])?;
    let exact = || {
        let (shrinks, digits) = match text[at + 1] {
            b'-' => (true, &text[at + 2..len]),
            b'+' => (false, &text[at + 2..len]),
            _ => (false, &text[at + 1..len]),
        };
        // Longer ones have zeros in front, or are far from what two exact factors give.
        let short = digits.len() <= 2;
        let exponent = digits.iter().take(2).fold(0, |number, digit| number * 10 + i32::from(digit - b'0'));
        let exponent = if shrinks { -exponent } else { exponent };
        let moved = exponent - i32::try_from(fraction_digits).ok()?;
        let power = EXACT_POWERS.get(moved.unsigned_abs() as usize).filter(|_| short)?;
        #[expect(clippy::cast_precision_loss, reason = "at most 2^53, as the caller checked: exact")]
        let mantissa = mantissa? as f64;
        let magnitude = if moved < 0 { mantissa / power } else { mantissa * power };
        Some(Scanned { len, value: if text[0] == b'-' { -magnitude } else { magnitude } })
    };
    exact().or_else(|| rounded(text, len))
}

/// The bytes of `e-12` at the start of `text`.
fn exponent_len(text: &[u8]) -> Option<usize> {
    let sign = usize::from(matches!(text.get(1), Some(b'+' | b'-')));
    let count = text[1 + sign..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    (count > 0).then_some(1 + sign + count)
}

/// Appends the digits at the start of `text` to `number` (wrapping: the caller counts them). Returns how many.
///
/// Eight bytes at a time, without a branch on how many of them are digits: numbers of changing length would make the
/// processor guess wrong at each one's end.
#[inline]
pub(crate) fn digits(text: &[u8], mut number: u64) -> (u64, usize) {
    let mut at = 0;
    while let Some(word) = word_at(text, at) {
        let (values, count) = leading_digits(word);
        if count == 0 {
            return (number, at);
        }
        // The digits move to the end, behind zeros.
        let value = eight_values(values << (64 - 8 * count));
        number = number.wrapping_mul(POWERS[count]).wrapping_add(value);
        at += count;
        if count < 8 {
            return (number, at);
        }
    }
    while let Some(byte) = text.get(at)
        && byte.is_ascii_digit()
    {
        number = number.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
        at += 1;
    }
    (number, at)
}

/// Eight bytes at `at`, the first in the lowest place; `None` near the text's end.
#[inline]
fn word_at(text: &[u8], at: usize) -> Option<u64> {
    text.get(at..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}

/// What eight bytes are as digits, and how many of them are some before the first that is none.
#[inline]
fn leading_digits(word: u64) -> (u64, usize) {
    // Digits become 0 to 9, everything else becomes larger.
    let values = word ^ 0x3030_3030_3030_3030;
    let beyond = ((values & 0x7F7F_7F7F_7F7F_7F7F) + 0x7676_7676_7676_7676) | values;
    (values, (beyond & 0x8080_8080_8080_8080).trailing_zeros() as usize / 8)
}

/// The powers of ten by which up to eight digits move what is in front of them.
const POWERS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// The number that eight digits write, given as values from 0 to 9, the first digit in the lowest byte: neighbours are
/// joined to pairs, pairs to fours, fours to eight.
#[inline]
fn eight_values(values: u64) -> u64 {
    let pairs = values.wrapping_mul(2561) >> 8;
    let fours = (pairs & 0x00FF_00FF_00FF_00FF).wrapping_mul(6_553_601) >> 16;
    (fours & 0x0000_FFFF_0000_FFFF).wrapping_mul(42_949_672_960_001) >> 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_json_forbids_is_no_number() {
        for text in ["", "-", "+1", ".5", "5.", "01", "-01", "1e", "1e+", "1.e3", "inf", "nan", "NaN", "-.1"]
        {
            assert_eq!(scan(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_number_ends_where_its_grammar_does() {
        for (text, len) in
            [("0,", 1), ("1.5}", 3), ("-0.25e-3 ", 8), ("12345678901234567890]", 20), ("10", 2)]
        {
            assert_eq!(scan(text.as_bytes()).map(|s| s.len), Some(len), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_float_reads_back_exactly(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            for text in [format!("{value}"), format!("{value:e}"), zmij::Buffer::new().format_finite(value).to_owned()] {
                let scanned = scan(text.as_bytes()).unwrap();
                prop_assert_eq!(scanned.value.to_bits(), bits);
                prop_assert_eq!(scanned.len, text.len());
            }
        }

        #[test]
        fn decimals_are_what_the_standard_library_reads(text in "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,25})?([eE][-+]?[0-9]{1,3})?") {
            let scanned = scan(text.as_bytes()).unwrap();
            prop_assert_eq!(scanned.len, text.len());
            prop_assert_eq!(scanned.value.to_bits(), text.parse::<f64>().unwrap().to_bits());
        }
    }
}
