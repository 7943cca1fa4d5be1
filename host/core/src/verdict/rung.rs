//! The rungs of the ladder.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A rung of the ladder, in climbing order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
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
    /// 11: what `describe` says agrees along every edge (in [`crate::graph::wiring`]).
    Wiring,
}

impl Rung {
    /// The rungs that look at one plugin, in climbing order.
    pub const OF_A_PLUGIN: [Self; 10] = [
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
    pub fn number(self) -> u8 {
        self as u8 + 1
    }

    /// Its name, as in codes and listings.
    pub fn name(self) -> &'static str {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_are_numbered_as_on_the_ladder() {
        let numbers: Vec<u8> = Rung::OF_A_PLUGIN.iter().map(|rung| rung.number()).collect();
        assert_eq!(numbers, (1..=10).collect::<Vec<u8>>());
        assert_eq!(Rung::Wiring.number(), 11);
    }
}
