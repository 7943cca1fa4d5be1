//! Rung 3: what the plugin says of itself, read before any of its code runs. What is looked at is in
//! `cardcage_core::plugin_file`; this says which file it is.

#![forbid(unsafe_code)]

use super::elf::Image;
use super::libraries::SystemLibraries;
use super::machine::ThisMachine;
use super::refusal::{Climbed, Refusal, Rung};
use cardcage_core::plugin_file;
use cardcage_plugin_api::manifest::Manifest;
use std::path::Path;

pub(crate) use cardcage_core::plugin_file::version_numbers;

/// Rung 3.
pub(crate) fn read(path: &Path, image: &Image) -> Climbed<Manifest> {
    let mut libraries = SystemLibraries::default();
    plugin_file::read_manifest(image, &ThisMachine { libraries: &mut libraries }).map_err(|fault| {
        Refusal::new(Rung::Manifest, fault.what, path, fault.found, fault.expected, fault.help)
    })
}
