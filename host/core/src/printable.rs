//! Text of others, made fit for a terminal: what plugins and file names say must not move the cursor, change colours, or
//! turn the order of what stands beside it.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text on one line, with characters that steer a terminal written out: `\n`, `\u{1b}`.
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, steers)
}

/// As [`printable`], for text of several lines: its line ends are kept.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c != '\n' && steers(c))
}

/// Whether a character does something other than being seen: control characters, and those that turn the direction of
/// text or end lines.
pub fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escaped(text: &str, steers: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&steers) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if steers(c) {
            // Writing to a String cannot fail.
            let _ = write!(shown, "{}", c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_written_out_and_all_else_is_as_it_was() {
        assert_eq!(printable("größer 📈 `x`\\"), "größer 📈 `x`\\");
        assert_eq!(printable("\u{1b}]0;x\u{7}\r\n\u{9b}2J"), "\\u{1b}]0;x\\u{7}\\r\\n\\u{9b}2J");
        assert_eq!(printable("a\u{202e}b\u{2069}\u{2028}"), "a\\u{202e}b\\u{2069}\\u{2028}");
        assert_eq!(printable_lines("a\nb\tc\u{7f}"), "a\nb\\tc\\u{7f}");
        assert!(matches!(printable_lines("a\nb"), Cow::Borrowed(_)));
    }
}
