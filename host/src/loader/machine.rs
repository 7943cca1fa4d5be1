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

macro_rules! features {
    ($detect:ident, [$($name:tt),* $(,)?]) => {
        /// The features that this host can test.
        const KNOWN: &[&str] = &[$($name),*];

        /// Whether this CPU has a feature that a plugin may have been compiled to use; `None` for one that cannot be tested
        /// here.
        pub(crate) fn has_feature(name: &str) -> Option<bool> {
            match name {
                $($name => Some(std::arch::$detect!($name)),)*
                _ => None,
            }
        }
    };
}

// All that the stable compiler of this version can be told to use, and tells a plugin's manifest (`__cpu_features!` of the
// plugin API has the same names). On aarch64 but for `lor`, `pan`, `pmuv3`, `ras`, `spe` and `vh`, which are the kernel's
// business or never used unasked, and which a program cannot test.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
features!(is_x86_feature_detected, [
    "adx", "aes", "avx", "avx2", "avx512bf16", "avx512bitalg", "avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512fp16",
    "avx512ifma", "avx512vbmi", "avx512vbmi2", "avx512vl", "avx512vnni", "avx512vp2intersect", "avx512vpopcntdq", "avxifma",
    "avxneconvert", "avxvnni", "avxvnniint16", "avxvnniint8", "bmi1", "bmi2", "cmpxchg16b", "f16c", "fma", "fxsr", "gfni",
    "kl", "lzcnt", "movbe", "pclmulqdq", "popcnt", "rdrand", "rdseed", "sha", "sha512", "sm3", "sm4", "sse", "sse2", "sse3",
    "sse4.1", "sse4.2", "sse4a", "ssse3", "tbm", "vaes", "vpclmulqdq", "widekl", "xsave", "xsavec", "xsaveopt", "xsaves",
]);
#[cfg(target_arch = "aarch64")]
#[rustfmt::skip]
features!(is_aarch64_feature_detected, [
    "aes", "bf16", "bti", "crc", "dit", "dotprod", "dpb", "dpb2", "f32mm", "f64mm", "fcma", "fhm", "flagm", "fp16",
    "frintts", "i8mm", "jsconv", "lse", "mte", "neon", "paca", "pacg", "rand", "rcpc", "rcpc2", "rdm", "sb", "sha2", "sha3",
    "sm4", "ssbs", "sve", "sve2", "sve2-aes", "sve2-bitperm", "sve2-sha3", "sve2-sm4",
]);

/// The features this CPU has, for the key of the verdict cache.
pub(crate) fn features() -> String {
    let here: Vec<&str> = KNOWN.iter().copied().filter(|name| has_feature(name) == Some(true)).collect();
    here.join(" ")
}
