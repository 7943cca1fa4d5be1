//! Diagnostics as text, drawn by `annotate-snippets`.

use super::{Diagnostic, Diagnostics, Location, Related, Severity};
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet, Title};
use std::fmt::Write as _;
use std::ops::Range;

/// Columns of a page that nobody has measured: what fits into a mail or a log without being wrapped.
const WIDTH_DEFAULT: u16 = 100;

/// How diagnostics are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Whether terminal colours are used.
    pub colour: bool,
    /// Columns of the page; longer source lines are cut around the problem.
    pub width: u16,
}

impl Default for Look {
    fn default() -> Self {
        Self { colour: false, width: WIDTH_DEFAULT }
    }
}

pub(super) fn all(diagnostics: &Diagnostics, look: Look) -> String {
    let renderer = if look.colour { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.term_width(usize::from(look.width));
    let mut text = String::new();
    for diagnostic in diagnostics {
        if !text.is_empty() {
            text.push('\n');
        }
        one(&mut text, diagnostic, &renderer);
    }
    let listed = diagnostics.len();
    let total = diagnostics.count(Severity::Error) + diagnostics.count(Severity::Warning);
    if total > listed {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\n... and {} more", total - listed);
    }
    text
}

fn one(text: &mut String, diagnostic: &Diagnostic, renderer: &Renderer) {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title: Title<'_> = level.primary_title(printable(&diagnostic.message)).id(diagnostic.code.0);
    let mut group = Group::with_title(title);
    let mut beside: Vec<&Related> = diagnostic.related.iter().collect();
    if let Some(location) = &diagnostic.location {
        if let Some(source) = &diagnostic.excerpt {
            // What is on the same line is shown under the same line.
            let same =
                |related: &&Related| same_line(&related.location, location) && related.excerpt.is_some();
            let (here, elsewhere): (Vec<_>, Vec<_>) = beside.into_iter().partition(same);
            beside = elsewhere;
            let mut snippet =
                snippet(location, source).annotation(AnnotationKind::Primary.span(bytes(source, location)));
            for related in here {
                let label = printable(&related.message);
                let span = bytes(source, &related.location);
                snippet = snippet.annotation(AnnotationKind::Context.span(span).label(label));
            }
            group = group.element(snippet);
        } else {
            group = group.element(origin(location));
        }
    }
    for related in beside {
        let label = printable(&related.message);
        if let Some(source) = &related.excerpt {
            let span = bytes(source, &related.location);
            let annotation = AnnotationKind::Context.span(span).label(label);
            group = group.element(snippet(&related.location, source).annotation(annotation));
        } else {
            group = group.element(Level::NOTE.message(format!("{}: {label}", related.location)));
        }
    }
    for note in &diagnostic.notes {
        group = group.element(Level::NOTE.message(printable(note)));
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(printable(help)));
    }
    text.push_str(&renderer.render(&[group]));
    text.push('\n');
    if let Some(paste) = &diagnostic.paste {
        text.push_str(&printable(paste.trim_end()));
        text.push('\n');
    }
}

fn same_line(one: &Location, other: &Location) -> bool {
    one.file == other.file && one.line == other.line
}

fn snippet<'a>(location: &Location, source: &str) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    Snippet::source(printable_line(source)).line_start(location.line as usize).path(printable(&location.file))
}

fn origin<'a>(location: &Location) -> Origin<'a> {
    let (line, column) = (location.line as usize, location.column as usize);
    Origin::path(printable(&location.file)).line(line).char_column(column)
}

/// The bytes of the printable form of a source line that a place covers.
fn bytes(source: &str, location: &Location) -> Range<usize> {
    let printable = printable_line(source);
    let at = |column: u32| {
        let chars = (column as usize).saturating_sub(1);
        printable.char_indices().nth(chars).map_or(printable.len(), |(index, _)| index)
    };
    let start = at(location.column);
    start..at(location.end_column).max(start)
}

/// Text from a file must not move the cursor or recolour the terminal; line ends stay.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c == '\n' { c } else { printable_char(c) }).collect()
}

/// One line, character for character.
fn printable_line(line: &str) -> String {
    line.chars().map(printable_char).collect()
}

fn printable_char(c: char) -> char {
    match c {
        '\t' | '\n' => ' ',
        // Characters that turn the direction of writing could make a line read as what it is not.
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => char::REPLACEMENT_CHARACTER,
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}
