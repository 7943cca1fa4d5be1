//! What a plugin's file tells without running anything of it: rungs 2 and 3 of the ladder, and whether it is as its
//! linker left it. From bytes to an [`Image`] and a manifest, or to a [`Fault`].
//!
//! A file is looked at as the dynamic linker will look at it: from the program headers over the dynamic section to the
//! tables that it names by address. Section headers, which tools go by and the linker does not, are never believed. The
//! linker believes what it reads, so whatever it would follow has to lie inside the file, and what it would write into,
//! inside writable memory. What this machine and its libraries have comes in as [`System`].

mod dynamic;
mod fault;
mod headers;
mod manifest;
mod notes;
mod origin;
mod relocations;
mod symbols;
mod versions;

pub use fault::Fault;
pub use headers::Segment;
pub use manifest::{read_manifest, version_numbers};
pub use origin::{Seal, as_linked};
pub use symbols::{HEADER_SYMBOL, Symbol};

use dynamic::Dynamic;
use fault::Faults;
use headers::Headers;

/// The machine that the file is to be loaded on.
pub trait System {
    /// Its number in ELF headers.
    fn machine(&self) -> object::elf::Machine;
    /// Its architecture, as Rust names it.
    fn architecture(&self) -> &str;
    /// Whether its processor has a feature, as Rust names it; `None`: not known here.
    fn has_feature(&self, name: &str) -> Option<bool>;
    /// If it has the library and that lacks the version of its symbols: the newest version that it has of this family.
    fn lacks(&mut self, library: &str, version: &str) -> Option<String>;
}

/// What the later rungs need to know of a file.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// What gets mapped.
    pub segments: Vec<Segment>,
    /// The libraries it needs.
    pub needed: Vec<String>,
    /// The name by which others would need it; plugins that `cargo` links have none.
    pub soname: Option<String>,
    /// The contents of all manifest notes; rung 3 wants exactly one.
    pub notes: Vec<Vec<u8>>,
    /// Where `abi_stable`'s header is.
    pub header: Option<Symbol>,
    /// Where the manifest's second copy is.
    pub manifest: Option<Symbol>,
}

/// Rung 2: could the dynamic linker map this file on this machine, link it and start it without harm.
///
/// # Errors
/// Everything that is wrong with it and can be told beside the rest, in the order in which it was found; at least one.
pub fn examine(bytes: &[u8], system: &mut dyn System) -> Result<Image, Vec<Fault>> {
    let mut faults = Faults::default();
    let image = look(bytes, system, &mut faults);
    faults.or(image)
}

/// The manifest notes of a file that [`examine`] refuses, as far as its headers lead to any: it can be told what is wrong
/// with them too.
pub fn notes_of(bytes: &[u8], system: &dyn System) -> Option<Image> {
    let headers = Headers::read(bytes, system, &mut Faults::default())?;
    let notes = notes::manifests(&headers).ok().filter(|notes| !notes.is_empty())?;
    Some(Image { notes, ..Image::default() })
}

fn look(bytes: &[u8], system: &mut dyn System, faults: &mut Faults) -> Option<Image> {
    let headers = Headers::read(bytes, system, faults)?;
    let notes = faults.keep(notes::manifests(&headers)).filter(|notes| !notes.is_empty());
    let Some(notes) = notes else {
        // An ordinary library, and no plugin at all: that is what rung 3 says, rather than what else is amiss with it.
        return Some(Image { segments: headers.segments(), ..Image::default() });
    };
    let dynamic = Dynamic::read(&headers, faults)?;
    let (needed, soname) = (dynamic.needed(faults), dynamic.soname(faults));
    faults.keep(versions::check(&dynamic, system));
    let exported = faults.keep(symbols::exported(&dynamic));
    faults.keep(relocations::check(&dynamic, system.machine()));
    let exported = exported?;
    Some(Image {
        segments: headers.segments(),
        needed,
        soname,
        notes,
        header: exported.header,
        manifest: exported.manifest,
    })
}
