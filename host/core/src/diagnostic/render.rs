//! Diagnostics as plain text. Colour and wider context belong to whoever prints.

use super::{Diagnostic, Diagnostics, Location, Severity};
use std::fmt::Write as _;

/// A source line longer than this is shown only around the problem.
const EXCERPT_MAX_CHARS: usize = 120;
/// Characters kept before the problem when a long line is cut.
const EXCERPT_LEAD_CHARS: usize = 40;

pub(super) fn all(diagnostics: &Diagnostics) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics {
        one(&mut text, diagnostic);
    }
    let listed = diagnostics.len();
    let total = diagnostics.count(Severity::Error) + diagnostics.count(Severity::Warning);
    if total > listed {
        line(&mut text, &format!("... and {} more", total - listed));
    }
    text
}

fn one(text: &mut String, diagnostic: &Diagnostic) {
    if let Some(location) = &diagnostic.location {
        text.push_str(&printable(&location.to_string()));
        text.push_str(": ");
    }
    let head =
        format!("{}[{}]: {}", diagnostic.severity.name(), diagnostic.code, printable(&diagnostic.message));
    line(text, &head);
    if let (Some(location), Some(source)) = (&diagnostic.location, &diagnostic.excerpt) {
        excerpt(text, location, source);
    }
    for related in &diagnostic.related {
        let note = format!("  note: {}: {}", related.location, related.message);
        line(text, &printable(&note));
    }
    if let Some(help) = &diagnostic.help {
        line(text, &format!("  help: {}", printable(help)));
    }
}

/// The source line and a row of carets under the problem.
fn excerpt(text: &mut String, location: &Location, source: &str) {
    let chars: Vec<char> = source.chars().collect();
    let start = (location.column as usize).saturating_sub(1).min(chars.len());
    let end = (location.end_column as usize).saturating_sub(1).clamp(start, chars.len());
    let from = if chars.len() > EXCERPT_MAX_CHARS { start.saturating_sub(EXCERPT_LEAD_CHARS) } else { 0 };
    let to = chars.len().min(from + EXCERPT_MAX_CHARS);
    let shown: String = chars[from..to].iter().map(|c| printable_char(*c)).collect();
    let number = location.line.to_string();
    line(text, &format!("  {number} | {}", shown.trim_end()));
    let carets = end.min(to).saturating_sub(start).max(1);
    let indent = " ".repeat(number.len() + start - from);
    line(text, &format!("  {indent} | {}", "^".repeat(carets)).replacen(" | ", "   ", 1));
}

fn line(text: &mut String, content: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{content}");
}

/// Text from a file must not move the cursor or recolour the terminal.
fn printable(text: &str) -> String {
    text.chars().map(printable_char).collect()
}

fn printable_char(c: char) -> char {
    match c {
        '\t' | '\n' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}
