//! JSON by RFC 8259, without building values: where the members of an object are, and what strings mean.
//!
//! Works on bytes that are valid UTF-8 as a whole; offsets are bytes from the start of the text.

use crate::swar;
use std::ops::Range;

/// Deeper nesting is refused, so that no line can exhaust the stack.
const DEPTH_MAX: u32 = 128;

/// What kind of value a [`Token`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Text,
    Number,
    True,
    False,
    Null,
    Object,
    Array,
}

/// A value and where it stands: a string without its quotes, everything else with all of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) span: Range<usize>,
    /// What a number is worth, infinite if it is too large; 0 for everything else.
    pub(crate) number: f64,
}

/// The offset at which the text stops being JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotJson(pub(crate) usize);

/// Visits the members of the object that is all of `text` (but for white space): the key's span and the value.
pub(crate) fn whole_object(text: &[u8], mut member: impl FnMut(Range<usize>, Token)) -> Result<(), NotJson> {
    let start = skip_space(text, 0);
    let end = skip_space(text, members(text, start, &mut member)?);
    if end == text.len() { Ok(()) } else { Err(NotJson(end)) }
}

/// The offset behind the value at `at`, which is checked but for its UTF-8; `None` if it is no value within this line.
#[inline]
pub(crate) fn skip(text: &[u8], at: usize) -> Option<usize> {
    value_end(text, at, 0).ok()
}

/// Whether it is UTF-8; without a call where it is short ASCII.
#[inline]
pub(crate) fn is_utf8(text: &[u8]) -> bool {
    text.is_ascii() || std::str::from_utf8(text).is_ok()
}

fn members(
    text: &[u8],
    start: usize,
    member: &mut impl FnMut(Range<usize>, Token),
) -> Result<usize, NotJson> {
    let mut at = skip_space(text, expect(text, start, b'{')?);
    if text.get(at) == Some(&b'}') {
        return Ok(at + 1);
    }
    loop {
        let key_end = string_end(text, expect(text, at, b'"')?)?;
        let key = at + 1..key_end;
        at = expect(text, skip_space(text, key_end + 1), b':')?;
        let (token, end) = value(text, skip_space(text, at))?;
        member(key, token);
        match list_end(text, end, b'}')? {
            (behind, true) => return Ok(behind),
            (next, false) => at = next,
        }
    }
}

/// The value at `at`, and the offset behind it.
fn value(text: &[u8], at: usize) -> Result<(Token, usize), NotJson> {
    let mut number = 0.0;
    let (kind, end) = match text.get(at) {
        Some(b'"') => {
            let end = string_end(text, at + 1)?;
            return Ok((Token { kind: TokenKind::Text, span: at + 1..end, number }, end + 1));
        }
        Some(b'{') => (TokenKind::Object, value_end(text, at, 0)?),
        Some(b'[') => (TokenKind::Array, value_end(text, at, 0)?),
        Some(b't') => (TokenKind::True, word(text, at, b"true")?),
        Some(b'f') => (TokenKind::False, word(text, at, b"false")?),
        Some(b'n') => (TokenKind::Null, word(text, at, b"null")?),
        _ => {
            let scanned = crate::number::scan(text.get(at..).unwrap_or_default()).ok_or(NotJson(at))?;
            number = scanned.value;
            (TokenKind::Number, at + scanned.len)
        }
    };
    Ok((Token { kind, span: at..end, number }, end))
}

/// The offset behind the value at `at`.
fn value_end(text: &[u8], mut at: usize, depth: u32) -> Result<usize, NotJson> {
    let (close, is_object) = match text.get(at) {
        Some(b'"') => return Ok(string_end(text, at + 1)? + 1),
        Some(b't') => return word(text, at, b"true"),
        Some(b'f') => return word(text, at, b"false"),
        Some(b'n') => return word(text, at, b"null"),
        Some(b'{') => (b'}', true),
        Some(b'[') => (b']', false),
        _ => {
            let rest = text.get(at..).unwrap_or_default();
            return crate::number::scan_len(rest).map(|len| at + len).ok_or(NotJson(at));
        }
    };
    if depth >= DEPTH_MAX {
        return Err(NotJson(at));
    }
    at = skip_space(text, at + 1);
    if text.get(at) == Some(&close) {
        return Ok(at + 1);
    }
    loop {
        if is_object {
            let key_end = string_end(text, expect(text, at, b'"')?)?;
            at = skip_space(text, expect(text, skip_space(text, key_end + 1), b':')?);
        }
        match list_end(text, value_end(text, at, depth + 1)?, close)? {
            (behind, true) => return Ok(behind),
            (next, false) => at = next,
        }
    }
}

/// What follows a value that ends at `at`: another one, or the list's end; and the offset behind that.
#[inline]
fn list_end(text: &[u8], at: usize, close: u8) -> Result<(usize, bool), NotJson> {
    let at = skip_space(text, at);
    match text.get(at) {
        Some(b',') => Ok((skip_space(text, at + 1), false)),
        Some(byte) if *byte == close => Ok((at + 1, true)),
        _ => Err(NotJson(at)),
    }
}

fn expect(text: &[u8], at: usize, byte: u8) -> Result<usize, NotJson> {
    if text.get(at) == Some(&byte) { Ok(at + 1) } else { Err(NotJson(at)) }
}

fn word(text: &[u8], at: usize, word: &[u8]) -> Result<usize, NotJson> {
    if text[at..].starts_with(word) { Ok(at + word.len()) } else { Err(NotJson(at)) }
}

/// The offset behind white space. A line end is none here: it ends what is read.
#[inline]
pub(crate) fn skip_space(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\r')) {
        at += 1;
    }
    at
}

/// The offset of the quote that ends the string whose contents begin at `at`.
fn string_end(text: &[u8], mut at: usize) -> Result<usize, NotJson> {
    loop {
        at = swar::find_special(text, at).ok_or(NotJson(text.len()))?;
        match text[at] {
            b'"' => return Ok(at),
            b'\\' if matches!(text.get(at + 1), Some(b'"' | b'\\' | b'/' | b'n' | b't')) => at += 2,
            b'\\' => at += escape(&text[at..]).ok_or(NotJson(at))?.1,
            _ => return Err(NotJson(at)),
        }
    }
}

/// What the escape at the start of `text` stands for, and how many bytes it takes.
fn escape(text: &[u8]) -> Option<(char, usize)> {
    let plain = |c| Some((c, 2));
    match text.get(1)? {
        b'"' => plain('"'),
        b'\\' => plain('\\'),
        b'/' => plain('/'),
        b'b' => plain('\u{8}'),
        b'f' => plain('\u{c}'),
        b'n' => plain('\n'),
        b'r' => plain('\r'),
        b't' => plain('\t'),
        b'u' => match code_unit(text)? {
            high @ 0xD800..=0xDBFF => {
                let low @ 0xDC00..=0xDFFF = code_unit(text.get(6..)?)? else {
                    return None;
                };
                let code = 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                Some((char::from_u32(code)?, 12))
            }
            code => Some((char::from_u32(code)?, 6)),
        },
        _ => None,
    }
}

/// The number of `\u1234` at the start of `text`.
fn code_unit(text: &[u8]) -> Option<u32> {
    let digits = text.get(..6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |code, digit| Some(code << 4 | char::from(*digit).to_digit(16)?))
}

/// Appends what the contents of a string mean to `into`; `None` if they are no whole contents of one string.
pub(crate) fn unescape(contents: &[u8], into: &mut String) -> Option<()> {
    let mut rest = std::str::from_utf8(contents).ok()?;
    loop {
        let plain_len =
            rest.bytes().position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\').unwrap_or(rest.len());
        into.push_str(&rest[..plain_len]);
        rest = &rest[plain_len..];
        if rest.is_empty() {
            return Some(());
        }
        let (meant, len) = if rest.starts_with('\\') {
            escape(rest.as_bytes())?
        } else {
            return None;
        };
        into.push(meant);
        rest = &rest[len..];
    }
}

/// Appends `text` as a string's contents to `into`.
pub(crate) fn write_escaped(text: &str, into: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for byte in text.bytes() {
        match byte {
            b'"' => into.extend_from_slice(b"\\\""),
            b'\\' => into.extend_from_slice(b"\\\\"),
            b'\n' => into.extend_from_slice(b"\\n"),
            b'\r' => into.extend_from_slice(b"\\r"),
            b'\t' => into.extend_from_slice(b"\\t"),
            0..0x20 => {
                into.extend_from_slice(b"\\u00");
                into.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            _ => into.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_object(text: &[u8]) -> bool {
        whole_object(text, |_, _| ()).is_ok()
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(is_object(nested(100).as_bytes()));
        assert!(!is_object(nested(100_000).as_bytes()));
    }

    #[test]
    fn a_lone_surrogate_is_no_string() {
        for text in
            ["{\"a\":\"\\ud800\"}", "{\"a\":\"\\ud800\\u0041\"}", "{\"a\":\"\\udc00\"}", "{\"a\":\"\\u12\"}"]
        {
            assert!(!is_object(text.as_bytes()), "{text}");
        }
        let mut text = String::new();
        unescape(b"\\ud83d\\ude00\\/\\u0041", &mut text).unwrap();
        assert_eq!(text, "\u{1F600}/A");
    }

    #[test]
    fn contents_that_hold_a_quote_or_half_an_escape_are_not_whole() {
        for contents in [&b"a\"b"[..], b"a\\", b"a\nb", b"\xff", b"\\x"] {
            assert_eq!(unescape(contents, &mut String::new()), None, "{contents:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_escaped_reads_back(text: String) {
            let mut contents = Vec::new();
            write_escaped(&text, &mut contents);
            let mut back = String::new();
            prop_assert_eq!(unescape(&contents, &mut back), Some(()));
            prop_assert_eq!(&back, &text);
            let quoted = [b"\"", &contents[..], b"\""].concat();
            prop_assert_eq!(serde_json::from_slice::<String>(&quoted).unwrap(), text);
        }

        #[test]
        fn it_takes_what_serde_json_takes(text in "[ \\t{}\\[\\]:,\"a0-9.eE+\\\\un-]{0,24}|\\{\"[a-c]\":(-?[0-9]{1,3}(\\.[0-9])?|true|null|\\[\\]|\\{\\}|\"[a-z\\\\\"]{0,3}\")(,\"d\": \\[1,2\\])?\\}") {
            let theirs = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text);
            prop_assume!(!theirs.as_ref().is_err_and(|error| error.to_string().contains("out of range")));
            prop_assert_eq!(is_object(text.as_bytes()), theirs.is_ok(), "{}: {:?}", text, theirs);
        }
    }
}
