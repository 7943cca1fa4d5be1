//! Tables, times and JSON for the plugin commands.

#![forbid(unsafe_code)]

use cardcage_core::printable::printable;
use serde::Serialize;
use std::borrow::Cow;
use std::io::IsTerminal as _;
use std::time::Duration;

/// A document and a line end.
pub(super) fn json(value: &impl Serialize) -> String {
    // Maps with other keys than strings are what could fail here; there are none.
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

/// `12.345 ms`.
pub(super) fn millis(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1000.0)
}

/// Rows in columns, each as wide as its widest cell; the last one is not padded. Every line begins with `indent`. What
/// would steer the terminal is written out.
pub(super) fn table(indent: &str, rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<Cow<'_, str>>> =
        rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = indent.to_owned();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            let gap = width.saturating_sub(cell.chars().count()) + 2;
            line.extend(std::iter::repeat_n(' ', gap));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The columns that a page has: the terminal's, within what reads well, or those of a page that goes into a pipe.
pub(super) fn page_width() -> usize {
    const PIPE: usize = 100;
    const LEAST: usize = 60;
    const MOST: usize = 140;
    let stdout = std::io::stdout();
    let terminal = stdout.is_terminal().then(|| rustix::termios::tcgetwinsize(&stdout).ok()).flatten();
    let columns = terminal.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0);
    columns.unwrap_or(PIPE).clamp(LEAST, MOST)
}

/// Rows of three short cells and a long one, each wrapped in its column; the columns share the page's width.
pub(super) fn wrapped_table(indent: &str, rows: &[[String; 4]], page: usize) -> String {
    /// A type with many words is folded, a name is not cut.
    const SHORT_MAX: [usize; 3] = [32, 24, 16];
    const GAP: usize = 2;
    /// A last column that is narrower is no text to read: the page is overrun instead.
    const LONG_MIN: usize = 24;
    let widest = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let short: Vec<usize> = (0..3).map(|column| widest(column).min(SHORT_MAX[column])).collect();
    let taken = indent.len() + short.iter().sum::<usize>() + 3 * GAP;
    let long = page.saturating_sub(taken).max(LONG_MIN);
    let mut lines: Vec<Vec<String>> = Vec::new();
    for row in rows {
        let widths = short.iter().copied().chain([long]);
        let cells: Vec<Vec<String>> = row.iter().zip(widths).map(|(cell, width)| wrap(cell, width)).collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or(0);
        for line in 0..height {
            lines.push(cells.iter().map(|cell| cell.get(line).cloned().unwrap_or_default()).collect());
        }
    }
    table(indent, &lines)
}

/// Rows of a name and what is to be said of it, which is folded to the page.
pub(super) fn facts(indent: &str, rows: &[[String; 2]], page: usize) -> String {
    const GAP: usize = 2;
    const SAID_MIN: usize = 24;
    let name = rows.iter().map(|[name, _]| name.chars().count()).max().unwrap_or(0);
    let said = page.saturating_sub(indent.len() + name + GAP).max(SAID_MIN);
    let lines = rows.iter().flat_map(|[name, text]| {
        let names = std::iter::once(name.clone()).chain(std::iter::repeat(String::new()));
        names.zip(wrap(text, said)).map(|(name, line)| vec![name, line])
    });
    table(indent, &lines.collect::<Vec<_>>())
}

/// Lines of at most this many characters, broken at blanks; a longer word stands alone. Blanks at the beginning of a
/// line are kept, and its further lines are indented as far.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let indent: String = paragraph.chars().take_while(|c| *c == ' ').collect();
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            let room = width.saturating_sub(indent.len() + line.chars().count() + 1);
            if !line.is_empty() && word.chars().count() > room {
                lines.push(format!("{indent}{line}"));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(format!("{indent}{line}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_end_without_blanks() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        assert_eq!(
            table("  ", &[row(["a", "größer", "x"]), row(["bcd", "e", ""])]),
            "  a    größer  x\n  bcd  e\n"
        );
    }

    #[test]
    fn long_cells_are_folded_in_their_column_and_no_line_is_wider_than_the_page() {
        let row = |cells: [&str; 4]| cells.map(str::to_owned);
        let text = wrapped_table(
            "  ",
            &[
                row([
                    "path",
                    "text | list of text",
                    "required",
                    "The file to read, or several,\n  one: after the other",
                ]),
                row(["a.rather.long.name", "cpu | load | memory | disks | network", "[cpu]", "x"]),
            ],
            84,
        );
        let expected = "  path                text | list of text    required  The file to read, or
                                                       several,
                                                         one: after the other
  a.rather.long.name  cpu | load | memory |  [cpu]     x
                      disks | network
";
        assert_eq!(text, expected);
    }
}
