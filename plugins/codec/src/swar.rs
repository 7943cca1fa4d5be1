//! Finding bytes eight at a time: names are short, so a call to a general search costs more than it saves.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = ONES << 7;

/// A bit for each zero byte, the lowest one right for sure: those above it may be wrong.
#[inline]
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGH
}

/// A bit for each byte below `bound`, which is at most 128; the lowest one right for sure.
#[inline]
const fn below(word: u64, bound: u8) -> u64 {
    word.wrapping_sub(ONES * bound as u64) & !word & HIGH
}

#[inline]
fn first(
    text: &[u8],
    mut at: usize,
    hits: impl Fn(u64) -> u64,
    is_hit: impl Fn(u8) -> bool,
) -> Option<usize> {
    // Two words for each branch: how many it takes changes from name to name, and each wrong guess costs more than a word.
    while let Some(chunk) = text.get(at..at + 16)
        && let (Some(low), Some(high)) = (chunk.first_chunk::<8>(), chunk.last_chunk::<8>())
    {
        let (low, high) = (hits(u64::from_le_bytes(*low)), hits(u64::from_le_bytes(*high)));
        if low | high != 0 {
            let (found, skipped) = if low != 0 { (low, 0) } else { (high, 8) };
            return Some(at + skipped + found.trailing_zeros() as usize / 8);
        }
        at += 16;
    }
    text.get(at..)?.iter().position(|byte| is_hit(*byte)).map(|found| at + found)
}

/// The offset of the next `byte`.
#[inline]
pub(crate) fn find(text: &[u8], at: usize, byte: u8) -> Option<usize> {
    let wanted = ONES * u64::from(byte);
    first(text, at, |word| zeros(word ^ wanted), |found| found == byte)
}

/// The offset of the next delimiter or line end; `None` if something else comes first that needs a closer look: a
/// quote, or a control character that is no line end.
#[inline]
pub(crate) fn find_value_end(text: &[u8], at: usize, delimiter: u8, quote: u8) -> Option<usize> {
    let (delimiters, quotes) = (ONES * u64::from(delimiter), ONES * u64::from(quote));
    let end = first(
        text,
        at,
        |word| zeros(word ^ delimiters) | zeros(word ^ quotes) | below(word, b'\r' + 1),
        |byte| byte == delimiter || byte == quote || byte <= b'\r',
    )?;
    let byte = text[end];
    (byte == delimiter || matches!(byte, b'\n' | b'\r')).then_some(end)
}

/// The offset of the next byte that is special in a JSON string: a quote, a backslash, a control character.
#[inline]
pub(crate) fn find_special(text: &[u8], at: usize) -> Option<usize> {
    let (quotes, backslashes) = (ONES * u64::from(b'"'), ONES * u64::from(b'\\'));
    first(
        text,
        at,
        |word| zeros(word ^ quotes) | zeros(word ^ backslashes) | below(word, b' '),
        |byte| matches!(byte, b'"' | b'\\' | 0..b' '),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_finds_what_a_plain_search_finds(text in proptest::collection::vec(prop_oneof![Just(b','), Just(b'"'), Just(b'\n'), Just(b'\t'), Just(b'+'), Just(b'-'), any::<u8>(), Just(b'a')], 0..40), at in 0_usize..10) {
            let at = at.min(text.len());
            let plain = |hit: &dyn Fn(u8) -> bool| text[at..].iter().position(|byte| hit(*byte)).map(|found| at + found);
            prop_assert_eq!(find(&text, at, b','), plain(&|byte| byte == b','));
            let end = plain(&|byte| byte == b',' || byte == b'"' || byte <= b'\r');
            let special = plain(&|byte| matches!(byte, b'"' | b'\\' | 0..b' '));
            prop_assert_eq!(find_special(&text, at), special);
            let end = end.filter(|end| matches!(text[*end], b',' | b'\n' | b'\r'));
            prop_assert_eq!(find_value_end(&text, at, b',', b'"'), end);
        }
    }
}
