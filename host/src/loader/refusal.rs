//! The one way in which any of them says no.

#![forbid(unsafe_code)]

use cardcage_core::printable::{printable, printable_lines};
pub(crate) use cardcage_core::verdict::Rung;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// Why a plugin file was not taken.
///
/// The code is stable: people match on it. The sentences are for reading and may change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refusal {
    /// The rung that refused.
    pub(crate) rung: Rung,
    /// `ladder.<rung>.<what>`.
    pub(crate) code: Box<str>,
    /// The file that was asked for.
    pub(crate) file: Box<Path>,
    /// What is there.
    pub(crate) found: Box<str>,
    /// What should be there.
    pub(crate) expected: Box<str>,
    /// What to do about it.
    pub(crate) help: Box<str>,
    /// What else is wrong with the same file, where that could be told; without further ones of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) further: Vec<Self>,
}

impl Refusal {
    /// A refusal at this rung; `what` is the code's last part.
    pub(crate) fn new(
        rung: Rung,
        what: &str,
        file: &Path,
        found: impl Into<Box<str>>,
        expected: impl Into<Box<str>>,
        help: impl Into<Box<str>>,
    ) -> Self {
        Self {
            rung,
            code: format!("ladder.{}.{what}", rung.name()).into(),
            file: file.into(),
            found: found.into(),
            expected: expected.into(),
            help: help.into(),
            further: Vec::new(),
        }
    }

    /// Several at once: the first, and the further ones with it. There must be one.
    pub(crate) fn first_of(all: Vec<Self>) -> Self {
        let mut all: Vec<Self> = all.into_iter().flat_map(Self::apart).collect();
        let mut first = all.remove(0);
        first.further.extend(all);
        first
    }

    /// It, and then those that came with it.
    fn apart(mut self) -> impl Iterator<Item = Self> {
        let further = std::mem::take(&mut self.further);
        std::iter::once(self).chain(further)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: refused at {}\n  code:     {}\n  found:    {}\n  expected: {}\n  help:     {}",
            printable(&self.file.to_string_lossy()),
            self.rung,
            self.code,
            indented(&self.found),
            indented(&self.expected),
            indented(&self.help),
        )
    }
}

impl std::error::Error for Refusal {}

/// Further lines stand under the first. What a plugin said or a file is called must not steer the terminal.
fn indented(text: &str) -> String {
    printable_lines(text).replace('\n', "\n            ")
}

/// What a rung gives: the next rung's input, or why not.
pub(crate) type Climbed<T> = Result<T, Refusal>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_does_not_steer_the_terminal() {
        let file = Path::new("a\n\u{1b}[2Jb.so");
        let said =
            Refusal::new(Rung::Open, "x", file, "one\ntwo\u{1b}]0;x\u{7}", "\u{202e}", "\r").to_string();
        assert!(said.starts_with("a\\n\\u{1b}[2Jb.so: refused"), "{said}");
        assert!(said.contains("one\n            two\\u{1b}]0;x\\u{7}\n"), "{said}");
        assert!(said.contains("\\u{202e}\n") && said.ends_with("\\r"), "{said}");
    }

    #[test]
    fn a_refusal_names_file_rung_code_found_expected_and_help() {
        let refusal = Refusal::new(
            Rung::Elf,
            "wrong-machine",
            Path::new("plugins/libx.so"),
            "a library for aarch64",
            "one for x86_64",
            "build it for this machine",
        );
        assert_eq!(
            refusal.to_string(),
            "plugins/libx.so: refused at rung 2 (elf)\n  code:     ladder.elf.wrong-machine\n  found:    a library for \
             aarch64\n  expected: one for x86_64\n  help:     build it for this machine"
        );
        let json = serde_json::to_string(&refusal).unwrap();
        assert_eq!(refusal, serde_json::from_str::<Refusal>(&json).unwrap());
    }
}
