//! Rung 5: the dynamic linker maps the private copy, all symbols bound now and none shared; the process stays as it was.
//!
//! The only module that uses `libloading`. A library is never closed: a thread-local with a destructor keeps it mapped
//! anyway, and nothing could tell when its last function returned. Its sealed memory stays open as well, because the
//! linker knows libraries by path: a reused descriptor number would give the old library.
//! One of the files with unsafe code: opening runs the library's constructors.

#![expect(unsafe_code, reason = "dlopen, dlsym, and reading what they lead to")]

use super::elf::{HEADER_SYMBOL, Image, Segment, Symbol};
use super::file::PrivateCopy;
use super::process_state::descriptors::Kept;
use super::process_state::{Alone, ProcessState};
use super::refusal::{Climbed, Refusal, Rung};
use abi_stable::library::AbiHeaderRef;
use cardcage_plugin_api::manifest::MANIFEST_SYMBOL;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use std::error::Error as _;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd as _, IntoRawFd as _, OwnedFd};
use std::path::Path;

/// A library that is mapped until the process exits.
#[derive(Debug)]
pub(crate) struct OpenLibrary {
    header: *const u8,
    header_size: u64,
    manifest: &'static [u8],
}

/// Where the library's segments landed.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    base: u64,
    segments: Vec<Segment>,
}

/// Rung 5.
pub(crate) fn open(path: &Path, copy: &PrivateCopy, image: &Image, alone: Alone) -> Climbed<OpenLibrary> {
    let (Some(header), Some(manifest)) = (image.header, image.manifest) else {
        return Err(no_symbol(path, if image.header.is_none() { HEADER_SYMBOL } else { MANIFEST_SYMBOL }));
    };
    // A descriptor of its own: the copy's may be closed, its number given to another file.
    let memory = copy.memory().try_clone_to_owned().map_err(|error| {
        Refusal::new(
            Rung::Open,
            "descriptors",
            path,
            format!("no descriptor for its memory: {error}"),
            "one descriptor for each plugin",
            "raise the limit on open files (LimitNOFILE= in the unit)",
        )
    })?;
    // In the child nothing has to be put back, and its state has the descriptors.
    let descriptors = (alone == Alone::No).then(Kept::now);
    let before = ProcessState::now(alone);
    let mapped = map(path, &memory);
    let mut changes = ProcessState::now(alone).changed_since(&before);
    changes.extend(descriptors.iter().flat_map(Kept::changes));
    if !changes.is_empty() {
        before.restore();
        descriptors.iter().for_each(Kept::restore);
    }
    let library = mapped?;
    // Kept for good from here on, even if the library is refused below: see the module's documentation.
    let _ = memory.into_raw_fd();
    if !changes.is_empty() {
        return Err(Refusal::new(
            Rung::Open,
            "process-changed",
            path,
            format!("opening it changed the process: {}", changes.join("; ")),
            "a library whose loading changes nothing",
            "look at its constructors and at the C libraries that it links; do such things in `open`",
        ));
    }
    let header_address = address(path, &library, HEADER_SYMBOL)?;
    let manifest_address = address(path, &library, MANIFEST_SYMBOL)?;
    let base = (header_address as u64).wrapping_sub(header.address);
    let memory = Memory { base, segments: image.segments.clone() };
    let same_library = (manifest_address as u64).wrapping_sub(manifest.address) == base;
    let inside = memory.holds(header_address, header.size) && memory.holds(manifest_address, manifest.size);
    if !same_library || !inside {
        return Err(Refusal::new(
            Rung::Open,
            "foreign-symbols",
            path,
            "its symbols lead outside of it",
            "the header and the manifest in the library itself",
            "don't link the plugin against another plugin",
        ));
    }
    Ok(OpenLibrary {
        header: header_address,
        header_size: header.size,
        manifest: exported(manifest_address, manifest),
    })
}

impl OpenLibrary {
    /// The manifest's bytes as the library exports them.
    pub(crate) fn manifest(&self) -> &'static [u8] {
        self.manifest
    }

    /// The library header, if the symbol is large enough to be one.
    pub(crate) fn header(&self) -> Option<AbiHeaderRef> {
        let size = size_of::<abi_stable::library::LibHeader>() as u64;
        if self.header_size < size || !(self.header as usize).is_multiple_of(align_of::<u64>()) {
            return None;
        }
        // SAFETY: an `AbiHeaderRef` is a pointer to an `AbiHeader` (bytes and integers, any bits are valid), which
        // begins the header; the symbol lies inside the library's mapped segments and is large enough, both checked,
        // and the library is never unmapped.
        Some(unsafe { std::mem::transmute::<*const u8, AbiHeaderRef>(self.header) })
    }
}

impl Memory {
    /// Whether `size` bytes from `at` on lie in one segment of the library.
    pub(crate) fn holds<T>(&self, at: *const T, size: u64) -> bool {
        self.find(at as u64, size).is_some()
    }

    fn find(&self, at: u64, size: u64) -> Option<&Segment> {
        let offset = at.wrapping_sub(self.base);
        self.segments.iter().find(|segment| {
            offset
                .checked_sub(segment.address)
                .and_then(|inside| inside.checked_add(size))
                .is_some_and(|end| end <= segment.size)
        })
    }
}

fn map(path: &Path, memory: &OwnedFd) -> Climbed<ManuallyDrop<Library>> {
    let copy = format!("/proc/self/fd/{}", memory.as_raw_fd());
    // SAFETY: this runs the library's constructors. Rungs 1 to 3 found a whole plugin, the vetting child ran them once,
    // and what is left is what loading native code means: whoever may put files there is trusted.
    let opened = unsafe { Library::open(Some(&copy), RTLD_NOW | RTLD_LOCAL) };
    opened.map(ManuallyDrop::new).map_err(|error| {
        // libloading's own text says only that it failed; the linker's reason is the cause, and names the copy.
        let reason = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        Refusal::new(
            Rung::Open,
            "linker",
            path,
            format!("the dynamic linker said: {}", reason.replace(&copy, &path.display().to_string())),
            "a library whose libraries and symbols are all here",
            "`ldd` shows what it needs; install that, or build the plugin on this system",
        )
    })
}

fn address(path: &Path, library: &Library, symbol: &str) -> Climbed<*const u8> {
    // SAFETY: only the address is taken; nothing is read or called through this type.
    let found = unsafe { library.get::<*const u8>(symbol) };
    match found {
        Ok(found) => Ok(found.as_raw_ptr().cast_const().cast()),
        Err(_) => Err(no_symbol(path, symbol)),
    }
}

/// The bytes of a symbol that was found to lie inside the library's mapped segments.
fn exported(at: *const u8, symbol: Symbol) -> &'static [u8] {
    let len = usize::try_from(symbol.size).unwrap_or(0);
    // SAFETY: `open` found these bytes to lie in one mapped segment, and the library is never unmapped. The manifest is
    // read-only data; a library that changes it while it is compared breaks nothing but its own answer.
    unsafe { std::slice::from_raw_parts(at, len) }
}

fn no_symbol(path: &Path, symbol: &str) -> Refusal {
    Refusal::new(
        Rung::Open,
        "no-symbol",
        path,
        format!("it does not export `{symbol}`"),
        "a plugin made with export_plugin!",
        "don't hide symbols with a linker script, and don't build it with `--cfg cardcage_static`",
    )
}
