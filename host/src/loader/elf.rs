//! Rung 2: could the dynamic linker map this file on this machine without harm. What is looked at is in
//! `cardcage_core::plugin_file`; this says which file it is.

#![forbid(unsafe_code)]

use super::file::PrivateCopy;
use super::libraries::SystemLibraries;
use super::machine::ThisMachine;
use super::refusal::{Climbed, Refusal, Rung};
use cardcage_core::plugin_file::{self, Fault};
use std::path::Path;

pub(crate) use cardcage_core::plugin_file::{HEADER_SYMBOL, Image, Segment, Symbol};

/// Rung 2.
pub(crate) fn examine(path: &Path, bytes: &[u8], libraries: &mut SystemLibraries) -> Climbed<Image> {
    plugin_file::examine(bytes, &mut ThisMachine { libraries }).map_err(|faults| refusal(path, faults))
}

/// Rung 2, its costly part: the bytes are those that the linker wrote. A verdict that is remembered was about the same
/// bytes, so this is asked where there is none.
pub(crate) fn as_linked(copy: &PrivateCopy) -> Climbed<()> {
    let mut libraries = SystemLibraries::default();
    plugin_file::as_linked(copy.bytes(), &ThisMachine { libraries: &mut libraries })
        .map_err(|faults| refusal(copy.path(), faults))
}

fn refusal(path: &Path, faults: Vec<Fault>) -> Refusal {
    let one =
        |fault: Fault| Refusal::new(Rung::Elf, fault.what, path, fault.found, fault.expected, fault.help);
    Refusal::first_of(faults.into_iter().map(one).collect())
}
