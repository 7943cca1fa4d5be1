//! The rungs of the ladder, and the one way in which any of them says no.

#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// A rung of the ladder, in climbing order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Rung {
    /// 1: a regular file of sane size and trusted owner, copied once.
    File,
    /// 2: a shared object that this machine can map.
    Elf,
    /// 3: the note, before any code runs.
    Manifest,
    /// 4: rungs 5 to 10 in a short-lived child first.
    Vetting,
    /// 5: the dynamic linker takes it, and the process stays as it was.
    Open,
    /// 6: the types of the ABI are laid out as the host's.
    Layout,
    /// 7: the function tables are complete and point into the library.
    Vtable,
    /// 8: what it declares is what it has.
    Truth,
    /// 9: it keeps the contract on made-up batches.
    Probe,
    /// 10: the settings fit its schema, and it can describe itself under them.
    Settings,
    /// 11: what `describe` says agrees along every edge (in `cardcage-core`).
    Wiring,
}

impl Rung {
    /// The rungs that look at one plugin, in climbing order.
    pub(crate) const OF_A_PLUGIN: [Self; 10] = [
        Self::File,
        Self::Elf,
        Self::Manifest,
        Self::Vetting,
        Self::Open,
        Self::Layout,
        Self::Vtable,
        Self::Truth,
        Self::Probe,
        Self::Settings,
    ];

    /// Its place on the ladder, from 1.
    pub(crate) fn number(self) -> u8 {
        self as u8 + 1
    }

    /// Its name, as in codes and listings.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Elf => "elf",
            Self::Manifest => "manifest",
            Self::Vetting => "vetting",
            Self::Open => "open",
            Self::Layout => "layout",
            Self::Vtable => "vtable",
            Self::Truth => "truth",
            Self::Probe => "probe",
            Self::Settings => "settings",
            Self::Wiring => "wiring",
        }
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rung {} ({})", self.number(), self.name())
    }
}

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
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: refused at {}\n  code:     {}\n  found:    {}\n  expected: {}\n  help:     {}",
            self.file.display(),
            self.rung,
            self.code,
            indented(&self.found),
            indented(&self.expected),
            indented(&self.help),
        )
    }
}

impl std::error::Error for Refusal {}

/// Further lines stand under the first.
fn indented(text: &str) -> String {
    text.replace('\n', "\n            ")
}

/// What a rung gives: the next rung's input, or why not.
pub(crate) type Climbed<T> = Result<T, Refusal>;

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn rungs_are_numbered_as_on_the_ladder() {
        let numbers: Vec<u8> = Rung::OF_A_PLUGIN.iter().map(|rung| rung.number()).collect();
        assert_eq!(numbers, (1..=10).collect::<Vec<u8>>());
        assert_eq!(Rung::Wiring.number(), 11);
    }
}
