//! Diagnostics: what is wrong with something a person wrote, where, and what to do about it.
//!
//! Every check collects all its problems into [`Diagnostics`] instead of stopping at the first. How they look as
//! text is in the `render` submodule, the one module that knows the library that draws them; `--format json`
//! serializes them as they are.

mod render;

pub use render::Look;

use serde::{Serialize, Serializer};
use std::fmt;

/// A stable name for a kind of problem, as `config.unknown-key`: people filter and look up by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Code(pub &'static str);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Whether a problem refuses the config or only deserves a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The config is refused.
    Error,
    /// The config is taken.
    Warning,
}

impl Severity {
    /// The word used in rendered text.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// A place in a file. Lines and columns count from 1; columns count characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Location {
    /// The file's name as the person gave it.
    pub file: String,
    /// The line.
    pub line: u32,
    /// The first column.
    pub column: u32,
    /// The column behind the last one on that line; equal to `column` where only a point is known.
    pub end_column: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A second place that belongs to a problem, as the first of two equal keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Related {
    /// Where.
    pub location: Location,
    /// What is there.
    pub message: String,
    /// The source line at `location`; absent where the text is not at hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// What kind of problem.
    pub code: Code,
    /// Error or warning.
    pub severity: Severity,
    /// What was found and what was expected: a lower-case fragment.
    pub message: String,
    /// Where; absent for problems of the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// The source line at `location`, for rendering; absent where the text is not at hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
    /// Other places that belong to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<Related>,
    /// What else is known of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Lines to paste into the file, indented as they must stand there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paste: Option<String>,
}

impl Diagnostic {
    /// An error, not yet with a place or help.
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            location: None,
            excerpt: None,
            related: Vec::new(),
            notes: Vec::new(),
            help: None,
            paste: None,
        }
    }

    /// A warning, not yet with a place or help.
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, location: Location) -> Self {
        self.location = Some(location);
        self
    }

    /// Adds what else is known of it.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says what to do, where something is known.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// Adds a second place.
    #[must_use]
    pub fn related(mut self, location: Location, message: impl Into<String>) -> Self {
        self.related.push(Related { location, message: message.into(), excerpt: None });
        self
    }

    /// Adds lines to paste into the file.
    #[must_use]
    pub fn paste(mut self, lines: impl Into<String>) -> Self {
        self.paste = Some(lines.into());
        self
    }
}

/// The lines of a text as YAML counts them: a carriage return alone ends one, too.
pub fn lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(['\r', '\n']).unwrap_or(rest.len());
        lines.push(&rest[..end]);
        let behind = &rest[end..];
        let ended = behind.strip_prefix("\r\n").or_else(|| behind.strip_prefix(['\r', '\n']));
        rest = ended.unwrap_or_default();
    }
    lines
}

/// Diagnostics kept in one list; what is beyond is only counted. Nobody reads a thousand problems, and a hostile
/// file must not fill the memory with them.
pub const DIAGNOSTICS_MAX: usize = 1000;

/// Source lines up to this long are quoted: a file of one line of megabytes with a thousand problems must not become
/// gigabytes. Lines that people write have some hundred.
const EXCERPT_MAX_BYTES: usize = 4096;

/// All problems of one text or one check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    omitted_errors: usize,
    omitted_warnings: usize,
}

impl Diagnostics {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one; beyond [`DIAGNOSTICS_MAX`] it is only counted.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if self.list.len() < DIAGNOSTICS_MAX {
            self.list.push(diagnostic);
        } else if diagnostic.severity == Severity::Error {
            self.omitted_errors += 1;
        } else {
            self.omitted_warnings += 1;
        }
    }

    /// Adds all of another list.
    pub fn append(&mut self, other: Self) {
        self.omitted_errors += other.omitted_errors;
        self.omitted_warnings += other.omitted_warnings;
        self.extend(other.list);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many are listed.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether at least one is an error.
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// How many there are of one severity, with those that were only counted.
    pub fn count(&self, severity: Severity) -> usize {
        let omitted = match severity {
            Severity::Error => self.omitted_errors,
            Severity::Warning => self.omitted_warnings,
        };
        self.iter().filter(|d| d.severity == severity).count() + omitted
    }

    /// Each listed one, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }

    /// Sorts by place: file, line, column; those without a place come last.
    pub fn sort(&mut self) {
        self.list
            .sort_by(|a, b| (a.location.is_none(), &a.location).cmp(&(b.location.is_none(), &b.location)));
    }

    /// Fills in the source line of each place in this file that has none yet.
    pub fn quote(&mut self, file: &str, text: &str) {
        let lines = lines(text);
        let quote = |location: &Location, excerpt: &mut Option<String>| {
            if excerpt.is_none() && location.file == file {
                let index = usize::try_from(location.line).unwrap_or(usize::MAX).wrapping_sub(1);
                let line = lines.get(index).filter(|line| line.len() <= EXCERPT_MAX_BYTES);
                *excerpt = line.map(|line| (*line).to_owned());
            }
        };
        for diagnostic in &mut self.list {
            if let Some(location) = &diagnostic.location {
                quote(location, &mut diagnostic.excerpt);
            }
            for related in &mut diagnostic.related {
                quote(&related.location, &mut related.excerpt);
            }
        }
    }

    /// All as plain text, one behind the other: code and message, the source line with a mark under the place, other
    /// places that belong to it, and what to do.
    pub fn render(&self) -> String {
        self.draw(Look::default())
    }

    /// All as text that looks so.
    pub fn draw(&self, look: Look) -> String {
        render::all(self, look)
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, iter: I) {
        for diagnostic in iter {
            self.push(diagnostic);
        }
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        let mut list = Self::new();
        list.push(diagnostic);
        list
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(iter: I) -> Self {
        let mut list = Self::new();
        list.extend(iter);
        list
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The list as a JSON array; what was only counted is not in it.
impl Serialize for Diagnostics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.list.serialize(serializer)
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render())
    }
}

impl std::error::Error for Diagnostics {}
