//! Finding where values end, several bytes at a time.

/// Up to the closing quote, eight bytes at a time; `None` where an escape would have to be undone, and at a control
/// character, which JSON forbids in texts.
#[inline]
pub(crate) fn text(rest: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    loop {
        let word = u64::from_le_bytes(*rest.get(at..)?.first_chunk()?);
        let ends = equal(word, b'"') | equal(word, b'\\') | below(word, b' ');
        if ends != 0 {
            at += ends.trailing_zeros() as usize / 8;
            return (rest[at] == b'"').then(|| &rest[..at]);
        }
        at += 8;
    }
}

/// How many bytes come before the first of these, eight at a time; `None` if there is none of them.
#[inline]
pub(crate) fn until<const COUNT: usize>(rest: &[u8], stops: [u8; COUNT]) -> Option<usize> {
    let mut at = 0;
    loop {
        let word = u64::from_le_bytes(*rest.get(at..)?.first_chunk()?);
        let ends = stops.iter().fold(0, |ends, stop| ends | equal(word, *stop));
        if ends != 0 {
            return Some(at + ends.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Marks the bytes below `than`. The lowest mark is at the first of them; those behind it may be wrong.
#[inline]
fn below(word: u64, than: u8) -> u64 {
    word.wrapping_sub(ONES * u64::from(than)) & !word & HIGH
}

/// Marks the bytes that are `byte`, likewise.
#[inline]
fn equal(word: u64, byte: u8) -> u64 {
    below(word ^ (ONES * u64::from(byte)), 1)
}

/// A whole number, eight digits at a time, and how many digits it has. `None` without digits and past 19 of them.
#[inline]
pub(crate) fn integer(rest: &[u8]) -> Option<(u64, usize)> {
    let (mut value, mut length) = (0_u64, 0);
    while let Some(eight) = rest.get(length..length + 8).and_then(eight_digits) {
        value = value.wrapping_mul(100_000_000).wrapping_add(eight);
        length += 8;
    }
    while let Some(digit) = rest.get(length).filter(|byte| byte.is_ascii_digit()) {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        length += 1;
    }
    (1..=19).contains(&length).then_some((value, length))
}

/// The number that eight bytes write, if all are digits: pairs, then fours, then all in three multiplications.
#[inline]
fn eight_digits(bytes: &[u8]) -> Option<u64> {
    let raw = u64::from_le_bytes(bytes.try_into().ok()?);
    let digits = raw.wrapping_sub(0x3030_3030_3030_3030);
    let past_nine = raw.wrapping_add(0x4646_4646_4646_4646);
    if (digits | past_nine) & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    let pairs = (digits.wrapping_mul(10)).wrapping_add(digits >> 8);
    let low = (pairs & 0x0000_00FF_0000_00FF).wrapping_mul(0x000F_4240_0000_0064);
    let high = ((pairs >> 16) & 0x0000_00FF_0000_00FF).wrapping_mul(0x0000_2710_0000_0001);
    Some(low.wrapping_add(high) >> 32)
}

#[cfg(test)]
mod tests {
    use super::{eight_digits, integer, text, until};
    use crate::window::SLACK_BYTES;

    #[test]
    fn whole_numbers_of_every_length_are_read() {
        for length in 1..=19 {
            let text: String = "1234567890123456789".chars().take(length).collect();
            assert_eq!(integer(format!("{text},").as_bytes()), Some((text.parse().unwrap(), length)));
        }
        assert_eq!(integer(b"12345678901234567890,"), None);
        assert_eq!(integer(b"x"), None);
        assert_eq!(eight_digits(b"1234567/"), None);
        assert_eq!(eight_digits(b"12:45678"), None);
    }

    #[test]
    fn a_text_of_every_length_ends_at_its_quote() {
        for length in 0..40 {
            let name = "é~ x".repeat(10).into_bytes()[..length].to_vec();
            let rest = [&name[..], b"\",\"more\"", &[0; SLACK_BYTES]].concat();
            assert_eq!(text(&rest), Some(&name[..]));
            assert_eq!(until(&rest, *b"\"\n"), Some(length));
        }
    }
}
