//! Rung 2: could the dynamic linker map this file on this machine without harm. What is looked at is in
//! `cardcage_core::plugin_file`; this says which file it is.

#![forbid(unsafe_code)]

use super::file::PrivateCopy;
use super::libraries::SystemLibraries;
use super::machine::ThisMachine;
use super::refusal::{Climbed, Refusal, Rung};
use cardcage_core::plugin_file::{self, Fault};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

pub(crate) use cardcage_core::plugin_file::{HEADER_SYMBOL, Image, Seal, Segment, Symbol};

/// Rung 2.
pub(crate) fn examine(path: &Path, bytes: &[u8], libraries: &mut SystemLibraries) -> Climbed<Image> {
    let image = plugin_file::examine(bytes, &mut ThisMachine { libraries })
        .map_err(|faults| refusal(path, faults))?;
    not_a_librarys_name(path, &image, libraries)?;
    Ok(image)
}

/// The notes of a file that [`examine`] refuses, where its headers lead to them.
pub(crate) fn notes_of(bytes: &[u8], libraries: &mut SystemLibraries) -> Option<Image> {
    plugin_file::notes_of(bytes, &ThisMachine { libraries })
}

/// Refuses a plugin that has the name of a system's library: whatever needs that library later would get the plugin, which
/// the linker knows by this name once it is loaded.
fn not_a_librarys_name(path: &Path, image: &Image, libraries: &SystemLibraries) -> Climbed<()> {
    let Some(name) = &image.soname else {
        return Ok(());
    };
    let Some(library) = libraries.of_system(name) else {
        return Ok(());
    };
    let file = |path: &Path| std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    if file(path) == file(&library) {
        return Ok(());
    }
    Err(soname(path, format!("it calls itself `{name}`, which is the name of {}", library.display())))
}

/// A plugin with a name that others would find it by.
pub(crate) fn soname(path: &Path, found: String) -> Refusal {
    Refusal::new(
        Rung::Elf,
        "soname",
        path,
        found,
        "no soname, or one of its own",
        "link without `-soname`: nothing but Cardcage opens a plugin, and by its file",
    )
}

/// Rung 2, its costly part: the bytes are those that the linker wrote. A verdict that is remembered was about the same
/// bytes, so this is asked where there is none.
pub(crate) fn as_linked(copy: &PrivateCopy) -> Climbed<Seal> {
    let mut libraries = SystemLibraries::default();
    plugin_file::as_linked(copy.bytes(), &ThisMachine { libraries: &mut libraries })
        .map_err(|faults| refusal(copy.path(), faults))
}

fn refusal(path: &Path, faults: Vec<Fault>) -> Refusal {
    let one =
        |fault: Fault| Refusal::new(Rung::Elf, fault.what, path, fault.found, fault.expected, fault.help);
    Refusal::first_of(faults.into_iter().map(one).collect())
}
