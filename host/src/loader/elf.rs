//! Rung 2: could the dynamic linker map this file on this machine without harm.
//!
//! Everything is read from the private copy; nothing is mapped and nothing runs. The dynamic linker goes by the
//! program headers, most tools by the section headers: where both say where something is, they must agree.

#![forbid(unsafe_code)]

use super::libraries::SystemLibraries;
use super::machine;
use super::refusal::{Climbed, Refusal, Rung};
use cardcage_plugin_api::manifest::{MANIFEST_SYMBOL, NOTE_NAME, NOTE_TYPE};
use object::LittleEndian;
use object::elf::{self, FileHeader64, ProgramHeader64};
use object::read::elf::{
    Dynamic, FileHeader as _, ProgramHeader as _, SectionHeader as _, SectionTable, Sym as _,
};
use std::path::Path;

/// The name of `abi_stable`'s library header, as `export_plugin!` exports it.
pub(crate) const HEADER_SYMBOL: &str = "_1as_0lib_1header_0root_bmodule_bloader";

/// The most memory that a plugin's segments may take; the linker would reserve it at once.
const LARGEST_IMAGE_BYTES: u64 = 1024 * 1024 * 1024;
/// The most program headers, libraries and versions looked at; ordinary plugins have about ten of each.
const MOST_ENTRIES: usize = 256;

type Header = FileHeader64<LittleEndian>;
type Segments<'a> = &'a [ProgramHeader64<LittleEndian>];
type Sections<'a> = SectionTable<'a, Header>;
const LE: LittleEndian = LittleEndian;

/// A part of the file that the linker maps, in addresses relative to where the library lands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// First address.
    pub(crate) address: u64,
    /// Bytes in memory.
    pub(crate) size: u64,
    /// Holds code.
    pub(crate) executable: bool,
}

/// A symbol that the library defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Symbol {
    /// Its address, relative to where the library lands.
    pub(crate) address: u64,
    /// Its bytes.
    pub(crate) size: u64,
}

/// What the later rungs need to know of the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    /// What gets mapped.
    pub(crate) segments: Vec<Segment>,
    /// The libraries it needs.
    pub(crate) needed: Vec<String>,
    /// The contents of all manifest notes; rung 3 wants exactly one.
    pub(crate) notes: Vec<Vec<u8>>,
    /// Where `abi_stable`'s header is.
    pub(crate) header: Option<Symbol>,
    /// Where the manifest's second copy is.
    pub(crate) manifest: Option<Symbol>,
}

/// Rung 2.
pub(crate) fn examine(path: &Path, bytes: &[u8], libraries: &mut SystemLibraries) -> Climbed<Image> {
    let say = Say { path };
    let header = say.of_this_machine(bytes)?;
    let segments = header.program_headers(LE, bytes).map_err(|e| say.damaged(e))?;
    if segments.len() > MOST_ENTRIES {
        return Err(say.no("too-many-segments", format!("{} segments", segments.len()), "at most 256"));
    }
    let mapped = say.mapped(segments, bytes.len() as u64)?;
    say.stack(segments)?;
    say.section_headers(header, bytes.len() as u64)?;
    let sections = header.sections(LE, bytes).map_err(|e| say.damaged(e))?;
    let entries = say.dynamic(segments, &sections, bytes)?;
    say.relocatable(&entries)?;
    let needed = say.needed(&entries, &sections, bytes)?;
    say.versions(&sections, bytes, libraries)?;
    let (header, manifest) = say.symbols(&entries, &sections, bytes)?;
    Ok(Image { segments: mapped, needed, notes: say.notes(segments, bytes)?, header, manifest })
}

/// Knows the file's name, so that each check can refuse in one line.
struct Say<'a> {
    path: &'a Path,
}

impl Say<'_> {
    fn no(&self, what: &str, found: impl Into<Box<str>>, expected: &str) -> Refusal {
        self.no_because(
            what,
            found,
            expected,
            "build the plugin with plain `cargo build` for this machine, without extra linker flags",
        )
    }

    fn no_because(&self, what: &str, found: impl Into<Box<str>>, expected: &str, help: &str) -> Refusal {
        Refusal::new(Rung::Elf, what, self.path, found, expected, help)
    }

    fn damaged(&self, error: object::read::Error) -> Refusal {
        self.no_because(
            "damaged",
            format!("a damaged ELF file: {error}"),
            "a whole shared library",
            "copy or build the file again",
        )
    }

    fn of_this_machine<'b>(&self, bytes: &'b [u8]) -> Climbed<&'b Header> {
        let wanted = format!("a 64-bit little-endian ELF shared library for {}", machine::NAME);
        if bytes.get(..4) != Some(&elf::ELFMAG[..]) {
            let start: String = bytes.iter().take(8).map(|b| b.escape_ascii().to_string()).collect();
            return Err(self.no_because(
                "no-elf",
                format!("a file that begins with `{start}`"),
                &wanted,
                "point at the .so that `cargo build` made",
            ));
        }
        let header = Header::parse(bytes)
            .map_err(|error| self.no("no-elf", format!("another kind of ELF file: {error}"), &wanted))?;
        if header.e_ident.class != elf::ELFCLASS64 || header.e_ident.data != elf::ELFDATA2LSB {
            return Err(self.no("wrong-class", "a 32-bit or big-endian library", &wanted));
        }
        let machine = header.e_machine(LE);
        if machine != machine::MACHINE {
            return Err(self.no("wrong-machine", format!("a library for {machine:?}"), &wanted));
        }
        let kind = header.e_type(LE);
        if kind != elf::ET_DYN {
            return Err(self.no("no-library", format!("an ELF file of type {kind:?}"), &wanted));
        }
        Ok(header)
    }

    /// Every byte that gets mapped must be in the file: touching a page past its end is SIGBUS.
    fn mapped(&self, segments: Segments<'_>, file_len: u64) -> Climbed<Vec<Segment>> {
        let mut mapped: Vec<Segment> = Vec::new();
        for segment in segments.iter().filter(|s| s.p_type(LE) == elf::PT_LOAD) {
            let (offset, in_file) = segment.file_range(LE);
            let (address, size) = (segment.p_vaddr(LE), segment.p_memsz(LE));
            let end = offset.checked_add(in_file);
            if end.is_none_or(|end| end > file_len) || in_file > size {
                return Err(self.truncated(format!(
                    "a segment of {in_file} bytes at offset {offset} in a file of {file_len} bytes"
                )));
            }
            let flags = segment.p_flags(LE);
            let executable = flags.contains(elf::PF_X);
            if executable && flags.contains(elf::PF_W) {
                return Err(self.no(
                    "writable-code",
                    "a segment that is writable and executable",
                    "code that cannot be changed",
                ));
            }
            let after_last = mapped.last().is_none_or(|last| address >= last.address + last.size);
            let end = address.checked_add(size).filter(|end| *end <= LARGEST_IMAGE_BYTES);
            if !after_last || end.is_none() {
                return Err(self.no(
                    "segments",
                    format!("a segment of {size} bytes at address {address:#x}"),
                    "segments in rising order, together at most 1 GiB",
                ));
            }
            mapped.push(Segment { address, size, executable });
        }
        if mapped.is_empty() {
            return Err(self.no("segments", "no segment to map", "at least one"));
        }
        Ok(mapped)
    }

    /// They stand at the end of the file, so a copy that was cut short lacks them first.
    fn section_headers(&self, header: &Header, file_len: u64) -> Climbed<()> {
        let size = u64::from(header.e_shnum(LE)) * u64::from(header.e_shentsize(LE));
        let end = header.e_shoff(LE).saturating_add(size);
        if end <= file_len {
            return Ok(());
        }
        Err(self.truncated(format!("section headers up to byte {end} in a file of {file_len} bytes")))
    }

    fn truncated(&self, found: String) -> Refusal {
        self.no_because(
            "truncated",
            found,
            "a whole file",
            "copy or build the file again; it is cut short or damaged",
        )
    }

    /// Without the header entry glibc makes every thread's stack executable.
    fn stack(&self, segments: Segments<'_>) -> Climbed<()> {
        let stack = segments.iter().find(|s| s.p_type(LE) == elf::PT_GNU_STACK);
        if stack.is_some_and(|stack| !stack.p_flags(LE).contains(elf::PF_X)) {
            return Ok(());
        }
        Err(self.no_because(
            "executable-stack",
            "a library that asks for an executable stack",
            "a stack that is data only",
            "link with `-z noexecstack`; assembly files need a `.note.GNU-stack` section",
        ))
    }

    fn dynamic(
        &self,
        segments: Segments<'_>,
        sections: &Sections<'_>,
        bytes: &[u8],
    ) -> Climbed<Vec<Dynamic>> {
        let segment = segments.iter().find(|s| s.p_type(LE) == elf::PT_DYNAMIC);
        let section = sections.iter().find(|s| s.sh_type(LE) == elf::SHT_DYNAMIC);
        let (Some(segment), Some(section)) = (segment, section) else {
            return Err(self.no("no-library", "no dynamic section", "a shared library"));
        };
        self.agree("the dynamic section", segment.p_offset(LE), section.sh_offset(LE))?;
        let table = sections.dynamic_table(LE, bytes).map_err(|e| self.damaged(e))?;
        Ok(table.iter().collect())
    }

    /// The linker would patch code (text relocations), look for libraries where the file says (run paths), or start
    /// a program (PIE).
    fn relocatable(&self, entries: &[Dynamic]) -> Climbed<()> {
        let value = |tag| entries.iter().find(|entry| entry.tag == tag).map(|entry| entry.val);
        let flags = elf::DynamicFlags(value(elf::DT_FLAGS).unwrap_or(0));
        if value(elf::DT_TEXTREL).is_some() || flags.contains(elf::DF_TEXTREL) {
            return Err(self.no_because(
                "text-relocations",
                "text relocations: the linker would have to write into code",
                "position-independent code",
                "compile every object with -fPIC",
            ));
        }
        let flags = elf::DynamicFlags1(value(elf::DT_FLAGS_1).unwrap_or(0));
        if flags.contains(elf::DF_1_PIE) {
            return Err(self.no_because(
                "program",
                "a program",
                "a shared library",
                "set `crate-type = [\"cdylib\"]` in the plugin's Cargo.toml",
            ));
        }
        if value(elf::DT_RPATH).is_some() || value(elf::DT_RUNPATH).is_some() {
            return Err(self.no_because(
                "run-path",
                "an RPATH or RUNPATH: it names folders to load other libraries from",
                "libraries from the system's folders only",
                "link without `-rpath`; `patchelf --remove-rpath` takes it out",
            ));
        }
        Ok(())
    }

    fn needed(&self, entries: &[Dynamic], sections: &Sections<'_>, bytes: &[u8]) -> Climbed<Vec<String>> {
        let table = sections.dynamic_table(LE, bytes).map_err(|e| self.damaged(e))?;
        entries
            .iter()
            .filter(|entry| entry.tag == elf::DT_NEEDED)
            .take(MOST_ENTRIES)
            .map(|entry| {
                let name = table.string(*entry).map_err(|e| self.damaged(e))?;
                Ok(String::from_utf8_lossy(name).into_owned())
            })
            .collect()
    }

    /// The linker would refuse these too, but only by the first one and without saying what is here.
    fn versions(
        &self,
        sections: &Sections<'_>,
        bytes: &[u8],
        libraries: &mut SystemLibraries,
    ) -> Climbed<()> {
        let Some((mut needs, link)) = sections.gnu_verneed(LE, bytes).map_err(|e| self.damaged(e))? else {
            return Ok(());
        };
        let strings = sections.strings(LE, bytes, link).map_err(|e| self.damaged(e))?;
        let text = |name: object::read::Result<&[u8]>| {
            name.map(|name| String::from_utf8_lossy(name).into_owned()).map_err(|e| self.damaged(e))
        };
        for _ in 0..MOST_ENTRIES {
            let Some((need, mut versions)) = needs.next().map_err(|e| self.damaged(e))? else {
                break;
            };
            let library = text(need.file(LE, strings))?;
            while let Some(version) = versions.next().map_err(|e| self.damaged(e))? {
                let version = text(version.name(LE, strings))?;
                if let Some(newest) = libraries.lacks(&library, &version) {
                    return Err(self.no_because(
                        "symbol-version",
                        format!("it needs {version} of {library}, here is {newest}"),
                        "a library that was linked against this system's libraries or older ones",
                        "build the plugin on this system, or on one with an older C library",
                    ));
                }
            }
        }
        Ok(())
    }

    fn symbols(
        &self,
        entries: &[Dynamic],
        sections: &Sections<'_>,
        bytes: &[u8],
    ) -> Climbed<(Option<Symbol>, Option<Symbol>)> {
        let of_linker = entries.iter().find(|entry| entry.tag == elf::DT_SYMTAB);
        let section = sections.iter().find(|s| s.sh_type(LE) == elf::SHT_DYNSYM);
        let (Some(of_linker), Some(section)) = (of_linker, section) else {
            return Ok((None, None));
        };
        self.agree("the symbol table", of_linker.val, section.sh_addr(LE))?;
        let table = sections.symbols(LE, bytes, elf::SHT_DYNSYM).map_err(|e| self.damaged(e))?;
        let find = |name: &str| {
            table
                .iter()
                .find(|symbol| {
                    !symbol.is_undefined(LE) && symbol.name(LE, table.strings()) == Ok(name.as_bytes())
                })
                .map(|symbol| Symbol { address: symbol.st_value(LE), size: symbol.st_size(LE) })
        };
        Ok((find(HEADER_SYMBOL), find(MANIFEST_SYMBOL)))
    }

    fn notes(&self, segments: Segments<'_>, bytes: &[u8]) -> Climbed<Vec<Vec<u8>>> {
        let owner = &NOTE_NAME[..NOTE_NAME.len() - 1];
        let mut found = Vec::new();
        for segment in segments.iter().filter(|s| s.p_type(LE) == elf::PT_NOTE) {
            let Some(mut notes) = segment.notes(LE, bytes).map_err(|e| self.damaged(e))? else {
                continue;
            };
            while let Some(note) = notes.next().map_err(|e| self.damaged(e))? {
                if note.name() == owner && note.n_type(LE).0 == NOTE_TYPE && found.len() < MOST_ENTRIES {
                    found.push(note.desc().to_vec());
                }
            }
        }
        Ok(found)
    }

    fn agree(&self, what: &str, for_linker: u64, for_tools: u64) -> Climbed<()> {
        if for_linker == for_tools {
            return Ok(());
        }
        Err(self.no(
            "two-faced",
            format!("{what} is at {for_linker:#x} by the program headers, at {for_tools:#x} by the section headers"),
            "headers that agree",
        ))
    }
}
