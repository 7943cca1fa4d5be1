//! What depends on the processor: its ELF machine number and the features that it has.
//!
//! The only place, with `process_state`, that names an architecture.

#![forbid(unsafe_code)]

use super::libraries::SystemLibraries;
use cardcage_core::plugin_file::System;
use object::elf::{EM_AARCH64, EM_X86_64, Machine};

/// The machine that this host runs on, as the rungs that read files ask for it.
pub(crate) struct ThisMachine<'a> {
    /// Its libraries.
    pub(crate) libraries: &'a mut SystemLibraries,
}

impl System for ThisMachine<'_> {
    fn machine(&self) -> Machine {
        MACHINE
    }

    fn architecture(&self) -> &'static str {
        NAME
    }

    fn has_feature(&self, name: &str) -> Option<bool> {
        has_feature(name)
    }

    fn lacks(&mut self, library: &str, version: &str) -> Option<String> {
        self.libraries.lacks(library, version)
    }
}

/// The machine that this host was built for, as ELF numbers it.
const MACHINE: Machine = if cfg!(target_arch = "aarch64") { EM_AARCH64 } else { EM_X86_64 };

/// Its name, as Rust and `uname -m` say it.
const NAME: &str = std::env::consts::ARCH;

macro_rules! detect {
    ($detect:ident, $feature:expr, [$($name:tt),* $(,)?]) => {
        match $feature {
            $($name => Some(std::arch::$detect!($name)),)*
            _ => None,
        }
    };
}

/// Whether this CPU has a feature that a plugin may have been compiled to use; `None` for a name not known here.
#[cfg(target_arch = "x86_64")]
pub(crate) fn has_feature(name: &str) -> Option<bool> {
    detect!(
        is_x86_feature_detected,
        name,
        [
            "sse2", "sse3", "ssse3", "sse4.1", "sse4.2", "popcnt", "avx", "avx2", "fma", "bmi1", "bmi2",
            "lzcnt", "movbe", "f16c", "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "aes",
            "sha"
        ]
    )
}

/// Whether this CPU has a feature that a plugin may have been compiled to use; `None` for a name not known here.
#[cfg(target_arch = "aarch64")]
pub(crate) fn has_feature(name: &str) -> Option<bool> {
    detect!(is_aarch64_feature_detected, name, ["neon", "sve", "crc", "lse", "aes", "sha2", "dotprod"])
}

/// The features this CPU has, for the key of the verdict cache.
pub(crate) fn features() -> String {
    const ASKED: [&str; 22] = [
        "sse3", "ssse3", "sse4.1", "sse4.2", "popcnt", "avx", "avx2", "fma", "bmi1", "bmi2", "lzcnt",
        "movbe", "f16c", "avx512f", "avx512bw", "avx512dq", "avx512vl", "neon", "sve", "crc", "lse",
        "dotprod",
    ];
    let here: Vec<&str> = ASKED.into_iter().filter(|name| has_feature(name) == Some(true)).collect();
    here.join(" ")
}
