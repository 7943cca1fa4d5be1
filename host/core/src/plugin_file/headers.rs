//! The ELF header and the program headers: what gets mapped where.

use super::fault::Faults;
use super::{Fault, System};
use object::elf::{self, FileHeader64, ProgramHeader64, ProgramType};
use object::read::ReadRef as _;
use object::{LittleEndian, LittleEndian as LE};

/// The most memory that a plugin's segments may take; the linker would reserve it at once.
const LARGEST_IMAGE_BYTES: u64 = 1024 * 1024 * 1024;
/// The most program headers looked at; ordinary plugins have about ten.
const MOST_SEGMENTS: u16 = 64;
/// The most thread-local memory of a plugin: every thread of the daemon gets a block of its own.
const LARGEST_TLS_BYTES: u64 = 1024 * 1024;
/// The smallest page of any machine that Cardcage runs on.
const PAGE_BYTES: u64 = 4096;
const HEADER_BYTES: u64 = size_of::<ProgramHeader<'_>>() as u64;

type ProgramHeader<'a> = ProgramHeader64<LittleEndian>;

/// A part of the file that the linker maps, in addresses relative to where the library lands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// First address.
    pub address: u64,
    /// Bytes in memory.
    pub size: u64,
    /// Holds code.
    pub executable: bool,
}

/// The headers of a file that were found sound.
pub(super) struct Headers<'a> {
    bytes: &'a [u8],
    loads: Vec<Load>,
    entries: &'a [ProgramHeader<'a>],
}

/// A `PT_LOAD` header. The sums of its numbers don't overflow.
#[derive(Clone, Copy)]
struct Load {
    address: u64,
    size: u64,
    offset: u64,
    in_file: u64,
    writable: bool,
    executable: bool,
}

impl Load {
    fn holds(&self, address: u64, len: u64) -> bool {
        address >= self.address && address.checked_add(len).is_some_and(|end| end <= self.address + self.size)
    }
}

/// What an address must be for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    Reading,
    Writing,
    Calling,
}

impl<'a> Headers<'a> {
    /// `None` where nothing further can be looked at.
    pub(super) fn read(bytes: &'a [u8], system: &dyn System, faults: &mut Faults) -> Option<Self> {
        let header = faults.keep(of_this_machine(bytes, system))?;
        let entries = faults.keep(program_headers(bytes, header))?;
        faults.keep(section_headers(header, bytes.len() as u64));
        let loads = faults.keep(loads(entries, bytes.len() as u64))?;
        let found = Self { bytes, loads, entries };
        faults.keep(found.stack());
        found.others(header.e_phoff.get(LE), faults);
        Some(found)
    }

    /// What gets mapped, for the later rungs.
    pub(super) fn segments(&self) -> Vec<Segment> {
        let segment =
            |load: &Load| Segment { address: load.address, size: load.size, executable: load.executable };
        self.loads.iter().map(segment).collect()
    }

    /// Whether this many bytes from this address on are mapped for this use.
    pub(super) fn maps(&self, address: u64, len: u64, use_: For) -> bool {
        self.loads.iter().any(|load| {
            load.holds(address, len)
                && match use_ {
                    For::Reading => true,
                    For::Writing => load.writable,
                    For::Calling => load.executable,
                }
        })
    }

    /// The bytes that are mapped from this address on, to the end of what its segment has in the file.
    pub(super) fn at(&self, address: u64) -> Option<&'a [u8]> {
        let load = self.loads.iter().find(|load| load.holds(address, 1))?;
        let skip = address - load.address;
        let left = load.in_file.checked_sub(skip)?;
        self.bytes.read_bytes_at(load.offset + skip, left).ok()
    }

    /// The bytes that are mapped at this address, this many.
    pub(super) fn bytes_at(&self, address: u64, len: u64) -> Option<&'a [u8]> {
        self.at(address)?.get(..usize::try_from(len).ok()?)
    }

    /// The content of each header of a type.
    pub(super) fn contents(&self, kind: ProgramType) -> impl Iterator<Item = (u64, u64, &'a [u8])> + '_ {
        self.of_type(kind).filter_map(|header| {
            let (address, len) = (header.p_vaddr.get(LE), header.p_filesz.get(LE));
            Some((address, header.p_align.get(LE), self.bytes_at(address, len)?))
        })
    }

    pub(super) fn has(&self, kind: ProgramType) -> bool {
        self.of_type(kind).next().is_some()
    }

    fn of_type(&self, kind: ProgramType) -> impl Iterator<Item = &'a ProgramHeader<'a>> + '_ {
        self.entries.iter().filter(move |header| header.p_type.get(LE) == kind)
    }

    /// Without the header entry glibc makes every thread's stack executable.
    fn stack(&self) -> Result<(), Fault> {
        let mut found = self.of_type(elf::PT_GNU_STACK);
        let stack = found.next();
        if stack.is_some_and(|stack| !stack.p_flags.get(LE).contains(elf::PF_X)) && found.next().is_none() {
            return Ok(());
        }
        let how = if stack.is_some() { "asks for an" } else { "does not say that it needs no" };
        Err(Fault::new(
            "executable-stack",
            format!("a library that {how} executable stack"),
            "a stack that is data only",
            "link with `-z noexecstack`; assembly files need a `.note.GNU-stack` section",
        ))
    }

    /// The headers that name parts of what is mapped: the linker follows their addresses.
    fn others(&self, table: u64, faults: &mut Faults) {
        const KNOWN: [ProgramType; 7] = [
            elf::PT_DYNAMIC,
            elf::PT_TLS,
            elf::PT_GNU_RELRO,
            elf::PT_PHDR,
            elf::PT_NOTE,
            elf::PT_GNU_EH_FRAME,
            elf::PT_GNU_PROPERTY,
        ];
        for kind in [elf::PT_DYNAMIC, elf::PT_TLS, elf::PT_GNU_RELRO, elf::PT_PHDR] {
            if self.of_type(kind).count() > 1 {
                faults.note(Fault::damaged(format!("{} more than once", name(kind))));
            }
        }
        if self.has(elf::PT_INTERP) {
            faults.note(program("a program: it names the interpreter that starts it"));
        }
        for header in self.entries.iter().filter(|header| KNOWN.contains(&header.p_type.get(LE))) {
            faults.keep(self.inside(header, header.p_type.get(LE)));
        }
        if let Some(phdr) = self.of_type(elf::PT_PHDR).next()
            && phdr.p_offset.get(LE) != table
        {
            faults
                .note(Fault::damaged("PT_PHDR is not where the file's header says the program headers are"));
        }
        faults.keep(self.relro());
        for header in self.of_type(elf::PT_TLS) {
            faults.keep(thread_local(header));
        }
    }

    /// A part that is named by address and by place in the file: both must be the same bytes, and be there.
    fn inside(&self, header: &ProgramHeader<'_>, kind: ProgramType) -> Result<(), Fault> {
        let (address, offset) = (header.p_vaddr.get(LE), header.p_offset.get(LE));
        let (in_file, size) = (header.p_filesz.get(LE), header.p_memsz.get(LE));
        // What is thread-local beyond the file's bytes is zeroes, and nowhere in the image.
        let mapped = if kind == elf::PT_TLS { in_file } else { size };
        let holder = self.loads.iter().find(|load| load.holds(address, mapped));
        let agrees = holder.is_some_and(|load| {
            in_file <= size
                && address - load.address <= load.in_file
                && load.offset + (address - load.address) == offset
                && in_file <= load.in_file - (address - load.address)
        });
        if agrees || (in_file == 0 && size == 0) {
            return Ok(());
        }
        Err(Fault::damaged(format!(
            "{} of {size} bytes at address {address:#x}, which are not those at byte {offset} of the file",
            name(kind)
        )))
    }

    /// What is made read-only after linking has to be writable before, and must not take data with it.
    fn relro(&self) -> Result<(), Fault> {
        let Some(relro) = self.of_type(elf::PT_GNU_RELRO).next() else {
            return Ok(());
        };
        let (address, size) = (relro.p_vaddr.get(LE), relro.p_memsz.get(LE));
        if self.maps(address, size, For::Writing) {
            return Ok(());
        }
        Err(Fault::damaged(format!("PT_GNU_RELRO at address {address:#x}, in a part that is not writable")))
    }
}

fn of_this_machine<'a>(
    bytes: &'a [u8],
    system: &dyn System,
) -> Result<&'a FileHeader64<LittleEndian>, Fault> {
    let wanted = format!("a 64-bit little-endian ELF shared library for {}", system.architecture());
    if bytes.get(..4) != Some(&elf::ELFMAG[..]) {
        let start: String = bytes.iter().take(8).map(|b| b.escape_ascii().to_string()).collect();
        return Err(Fault::new(
            "no-elf",
            format!("a file that begins with `{start}`"),
            wanted,
            "point at the .so that `cargo build` made",
        ));
    }
    let header = bytes.read_at::<FileHeader64<LittleEndian>>(0).map_err(|()| {
        Fault::truncated("the ELF header", size_of::<FileHeader64<LittleEndian>>() as u64, bytes.len() as u64)
    })?;
    let ident = &header.e_ident;
    if ident.class == elf::ELFCLASS32 {
        return Err(Fault::unfit("wrong-class", "a 32-bit library", wanted));
    }
    if ident.data == elf::ELFDATA2MSB {
        return Err(Fault::unfit("wrong-class", "a big-endian library", wanted));
    }
    let known =
        ident.class == elf::ELFCLASS64 && ident.data == elf::ELFDATA2LSB && ident.version == elf::EV_CURRENT;
    // 0 is System V, 3 is Linux: the linker takes no other.
    if !known || !matches!(ident.os_abi.0, 0 | 3) || ident.abi_version != 0 || header.e_version.get(LE) != 1 {
        let found = format!(
            "an ELF file of class {}, data {}, version {}, system {}",
            ident.class.0, ident.data.0, ident.version, ident.os_abi.0
        );
        return Err(Fault::unfit("no-elf", found, wanted));
    }
    let machine = header.e_machine.get(LE);
    if machine != system.machine() {
        return Err(Fault::unfit(
            "wrong-machine",
            format!("a library for {}", machine_name(machine)),
            wanted,
        ));
    }
    let kind = header.e_type.get(LE);
    if kind == elf::ET_EXEC {
        return Err(program("a program"));
    }
    if kind != elf::ET_DYN {
        return Err(Fault::unfit("no-library", format!("an ELF file that is {}", kind_name(kind)), wanted));
    }
    Ok(header)
}

/// The table, if it lies inside the file.
fn program_headers<'a>(
    bytes: &'a [u8],
    header: &FileHeader64<LittleEndian>,
) -> Result<&'a [ProgramHeader<'a>], Fault> {
    let (at, count) = (header.e_phoff.get(LE), header.e_phnum.get(LE));
    if u64::from(header.e_phentsize.get(LE)) != HEADER_BYTES || count == 0 || count > MOST_SEGMENTS {
        let size = header.e_phentsize.get(LE);
        return Err(Fault::damaged(format!(
            "{count} program headers of {size} bytes; there are 1 to {MOST_SEGMENTS} of {HEADER_BYTES} bytes"
        )));
    }
    let len = bytes.len() as u64;
    let end = at.saturating_add(u64::from(count) * HEADER_BYTES);
    if end > len {
        return Err(Fault::truncated("the program headers", end, len));
    }
    bytes
        .read_slice_at::<ProgramHeader<'_>>(at, usize::from(count))
        .map_err(|()| Fault::damaged(format!("program headers at byte {at}, which is not aligned")))
}

fn machine_name(machine: elf::Machine) -> String {
    let name = match machine {
        elf::EM_386 => "32-bit x86",
        elf::EM_X86_64 => "x86_64",
        elf::EM_ARM => "32-bit ARM",
        elf::EM_AARCH64 => "aarch64",
        elf::EM_MIPS => "MIPS",
        elf::EM_PPC64 => "64-bit PowerPC",
        elf::EM_S390 => "s390x",
        elf::EM_RISCV => "RISC-V",
        elf::EM_LOONGARCH => "LoongArch",
        other => return format!("machine number {}", other.0),
    };
    name.to_owned()
}

fn kind_name(kind: elf::FileType) -> String {
    match kind {
        elf::ET_REL => "an object file".to_owned(),
        elf::ET_CORE => "a core dump".to_owned(),
        other => format!("of type {}", other.0),
    }
}

/// A file that starts by itself.
pub(super) fn program(found: &str) -> Fault {
    Fault::new(
        "program",
        found,
        "a shared library",
        "set `crate-type = [\"cdylib\"]` in the plugin's Cargo.toml, and point at the .so",
    )
}

/// They stand at the end of the file, so a copy that was cut short lacks them first.
fn section_headers(header: &FileHeader64<LittleEndian>, file_len: u64) -> Result<(), Fault> {
    let size = u64::from(header.e_shnum.get(LE)) * u64::from(header.e_shentsize.get(LE));
    let end = header.e_shoff.get(LE).saturating_add(size);
    if end > file_len { Err(Fault::truncated("the section headers", end, file_len)) } else { Ok(()) }
}

/// Every byte that gets mapped must be in the file: touching a page past its end is SIGBUS.
fn loads(headers: &[ProgramHeader<'_>], file_len: u64) -> Result<Vec<Load>, Fault> {
    let mut loads: Vec<Load> = Vec::new();
    for header in headers.iter().filter(|header| header.p_type.get(LE) == elf::PT_LOAD) {
        let (offset, in_file) = (header.p_offset.get(LE), header.p_filesz.get(LE));
        let (address, size) = (header.p_vaddr.get(LE), header.p_memsz.get(LE));
        let end = offset.checked_add(in_file);
        if end.is_none_or(|end| end > file_len) {
            let what = format!("a segment of {in_file} bytes at byte {offset}");
            return Err(Fault::truncated(what, offset.saturating_add(in_file), file_len));
        }
        let flags = header.p_flags.get(LE);
        let (writable, executable) = (flags.contains(elf::PF_W), flags.contains(elf::PF_X));
        if writable && executable {
            return Err(Fault::unfit(
                "writable-code",
                format!("a segment at address {address:#x} that is writable and executable"),
                "code that cannot be changed, data that cannot be run",
            ));
        }
        let align = header.p_align.get(LE);
        let aligned = align.is_power_of_two() && align >= PAGE_BYTES && address % align == offset % align;
        // Two segments on one page would be mapped over each other.
        let first_free = loads.last().map_or(0, |last| (last.address + last.size).div_ceil(PAGE_BYTES));
        let end = address.checked_add(size).filter(|end| *end <= LARGEST_IMAGE_BYTES);
        let sound = in_file <= size && size > 0 && flags.contains(elf::PF_R) && aligned;
        if !sound || address / PAGE_BYTES < first_free || end.is_none() {
            return Err(segments(format!(
                "a segment of {size} bytes at address {address:#x} (alignment {align:#x}) for {in_file} bytes at byte \
                 {offset} of the file"
            )));
        }
        loads.push(Load { address, size, offset, in_file, writable, executable });
    }
    match loads.first() {
        None => Err(segments("no segment to map".to_owned())),
        // The linker takes the headers to be at the image's beginning.
        Some(first) if first.offset != 0 || first.address != 0 => {
            Err(segments(format!("a first segment at byte {} of the file", first.offset)))
        }
        Some(_) => Ok(loads),
    }
}

fn segments(found: String) -> Fault {
    Fault::unfit(
        "segments",
        found,
        "readable segments in rising order on pages of their own, aligned as in the file, together at most 1 GiB",
    )
}

fn thread_local(header: &ProgramHeader<'_>) -> Result<(), Fault> {
    let (size, align) = (header.p_memsz.get(LE), header.p_align.get(LE).max(1));
    if size <= LARGEST_TLS_BYTES && align.is_power_of_two() && align <= PAGE_BYTES {
        return Ok(());
    }
    Err(Fault::new(
        "thread-local",
        format!("{size} bytes of thread-local memory, aligned to {align}"),
        format!(
            "at most {LARGEST_TLS_BYTES} bytes, aligned to at most {PAGE_BYTES}: each thread gets its own"
        ),
        "keep large data behind a pointer, and not in a `thread_local!` by itself",
    ))
}

fn name(kind: ProgramType) -> &'static str {
    match kind {
        elf::PT_DYNAMIC => "PT_DYNAMIC",
        elf::PT_TLS => "PT_TLS",
        elf::PT_GNU_RELRO => "PT_GNU_RELRO",
        elf::PT_PHDR => "PT_PHDR",
        elf::PT_NOTE => "PT_NOTE",
        elf::PT_GNU_EH_FRAME => "PT_GNU_EH_FRAME",
        elf::PT_GNU_PROPERTY => "PT_GNU_PROPERTY",
        _ => "a program header",
    }
}
