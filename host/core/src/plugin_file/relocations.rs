//! Relocations: where the linker will write, and what. It checks nothing of this itself.

use super::Fault;
use super::dynamic::{Dynamic, static_tls, tag_name};
use super::headers::For;
use super::symbols::Symbols;
use object::elf::{self, DynamicTag, Machine, Rela64, RelocationType};
use object::read::ReadRef as _;
use object::{LittleEndian, LittleEndian as LE};

const ENTRY_BYTES: u64 = size_of::<Rela64<LittleEndian>>() as u64;
/// A pointer or a number that is written.
const WORD_BYTES: u64 = 8;
/// The code of `Rela` in `DT_PLTREL`.
const RELA: u64 = 7;

/// What the linker does for a type of relocation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    Nothing,
    /// Writes a symbol's address.
    Symbol,
    /// Writes the library's address plus a number.
    Relative,
    /// Calls the function there and writes what it returns.
    Calls,
    /// Writes which block of thread-local memory, or where in it.
    ThreadLocal,
    /// The same with two words.
    ThreadLocalPair,
    /// Needs a place in the static block.
    StaticThreadLocal,
}

fn does(machine: Machine, kind: RelocationType) -> Option<Does> {
    let x86_64 = [
        (elf::R_X86_64_NONE, Does::Nothing),
        (elf::R_X86_64_RELATIVE, Does::Relative),
        (elf::R_X86_64_GLOB_DAT, Does::Symbol),
        (elf::R_X86_64_JUMP_SLOT, Does::Symbol),
        (elf::R_X86_64_64, Does::Symbol),
        (elf::R_X86_64_DTPMOD64, Does::ThreadLocal),
        (elf::R_X86_64_DTPOFF64, Does::ThreadLocal),
        (elf::R_X86_64_TLSDESC, Does::ThreadLocalPair),
        (elf::R_X86_64_TPOFF64, Does::StaticThreadLocal),
        (elf::R_X86_64_IRELATIVE, Does::Calls),
    ];
    let aarch64 = [
        (elf::R_AARCH64_NONE, Does::Nothing),
        (elf::R_AARCH64_RELATIVE, Does::Relative),
        (elf::R_AARCH64_GLOB_DAT, Does::Symbol),
        (elf::R_AARCH64_JUMP_SLOT, Does::Symbol),
        (elf::R_AARCH64_ABS64, Does::Symbol),
        (elf::R_AARCH64_TLS_DTPMOD, Does::ThreadLocal),
        (elf::R_AARCH64_TLS_DTPREL, Does::ThreadLocal),
        (elf::R_AARCH64_TLSDESC, Does::ThreadLocalPair),
        (elf::R_AARCH64_TLS_TPREL, Does::StaticThreadLocal),
        (elf::R_AARCH64_IRELATIVE, Does::Calls),
    ];
    let table = if machine == elf::EM_AARCH64 { aarch64 } else { x86_64 };
    table.into_iter().find(|(known, _)| *known == kind).map(|(_, does)| does)
}

/// Looks at every relocation: it writes into writable memory, what it writes points into the library, and the symbol
/// that it names is there.
pub(super) fn check(dynamic: &Dynamic<'_>, machine: Machine) -> Result<(), Fault> {
    let symbols = Symbols::of(dynamic)?;
    let check = Check { dynamic, machine, symbols: &symbols, starts: dynamic.start_arrays() };
    if dynamic.value(elf::DT_RELAENT).is_some_and(|size| size != ENTRY_BYTES) {
        return Err(Fault::damaged("relocations of another size than this machine's"));
    }
    if dynamic.value(elf::DT_PLTREL).is_some_and(|kind| kind != RELA) {
        return Err(Fault::damaged("relocations of calls that are of another kind than this machine's"));
    }
    let relative = dynamic.value(elf::DT_RELACOUNT).unwrap_or(0);
    let all = check.table(elf::DT_RELA, elf::DT_RELASZ)?;
    // The linker takes the first ones to be relative, without looking.
    let first = all.iter().take(usize::try_from(relative).unwrap_or(usize::MAX));
    let mislabelled = relative > all.len() as u64
        || first.into_iter().any(|one| does(machine, kind_of(one)) != Some(Does::Relative));
    if mislabelled {
        return Err(Fault::damaged(format!("{relative} relative relocations of {} in all", all.len())));
    }
    all.iter().try_for_each(|one| check.one(one))?;
    check.table(elf::DT_JMPREL, elf::DT_PLTRELSZ)?.iter().try_for_each(|one| check.one(one))?;
    check.packed()
}

fn kind_of(one: &Rela64<LittleEndian>) -> RelocationType {
    RelocationType(u32::try_from(one.r_info.get(LE) & 0xffff_ffff).unwrap_or(u32::MAX))
}

struct Check<'a> {
    dynamic: &'a Dynamic<'a>,
    machine: Machine,
    symbols: &'a Symbols<'a>,
    starts: [std::ops::Range<u64>; 2],
}

impl<'a> Check<'a> {
    fn table(&self, at: DynamicTag, size: DynamicTag) -> Result<&'a [Rela64<LittleEndian>], Fault> {
        let len = self.dynamic.value(size).unwrap_or(0);
        let table = self.dynamic.table(at, len)?.unwrap_or_default();
        let count = usize::try_from(len / ENTRY_BYTES).unwrap_or(usize::MAX);
        let whole = len.is_multiple_of(ENTRY_BYTES) && (len == 0 || !table.is_empty());
        let all = if whole { table.read_slice_at(0, count).ok() } else { None };
        all.ok_or_else(|| Fault::damaged(format!("{}: {len} bytes of relocations", tag_name(at))))
    }

    fn one(&self, one: &Rela64<LittleEndian>) -> Result<(), Fault> {
        let (at, kind) = (one.r_offset.get(LE), kind_of(one));
        let Some(does) = does(self.machine, kind) else {
            return Err(Fault::damaged(format!("a relocation of type {}, which no plugin has", kind.0)));
        };
        let headers = self.dynamic.headers;
        let len = if does == Does::ThreadLocalPair { 2 * WORD_BYTES } else { WORD_BYTES };
        if does != Does::Nothing && !headers.maps(at, len, For::Writing) {
            return Err(Fault::damaged(format!("a relocation that writes to address {at:#x}")));
        }
        let target = one.r_addend.get(LE).cast_unsigned();
        match does {
            Does::Nothing => Ok(()),
            Does::Relative => self.pointer(at, target),
            Does::Calls if headers.maps(target, 1, For::Calling) => Ok(()),
            Does::Calls => {
                Err(Fault::damaged(format!("a relocation that calls {target:#x}, where no code is")))
            }
            Does::Symbol => self.symbol(at, one),
            Does::ThreadLocal | Does::ThreadLocalPair => {
                self.symbols.get(one.r_info.get(LE) >> 32)?;
                if headers.has(elf::PT_TLS) || one.r_info.get(LE) >> 32 != 0 {
                    Ok(())
                } else {
                    Err(Fault::damaged("thread-local memory that no header describes"))
                }
            }
            Does::StaticThreadLocal => {
                Err(static_tls("its code reaches thread-local memory by a fixed offset"))
            }
        }
    }

    /// The library's own address and a number: a pointer into itself, at most to its end.
    fn pointer(&self, at: u64, target: u64) -> Result<(), Fault> {
        let headers = self.dynamic.headers;
        let starts = self.starts.iter().any(|range| range.contains(&at));
        let sound = if starts {
            headers.maps(target, 1, For::Calling)
        } else {
            headers.maps(target, 0, For::Reading)
        };
        if sound {
            return Ok(());
        }
        let what = if starts { "to run at opening or closing" } else { "as a pointer" };
        Err(Fault::damaged(format!("a relocation that writes {target:#x} {what} to address {at:#x}")))
    }

    fn symbol(&self, at: u64, one: &Rela64<LittleEndian>) -> Result<(), Fault> {
        let number = one.r_info.get(LE) >> 32;
        let (entry, _) = self.symbols.get(number)?;
        if number == 0 || entry.st_info.st_type() == elf::STT_TLS {
            return Err(Fault::damaged(format!("a relocation of address {at:#x} by symbol {number}")));
        }
        Ok(())
    }

    /// Relative relocations in bits: an address, then words in which each bit stands for one of the next 63 pointers.
    fn packed(&self) -> Result<(), Fault> {
        let len = self.dynamic.value(elf::DT_RELRSZ).unwrap_or(0);
        let Some(table) = self.dynamic.table(elf::DT_RELR, len)? else {
            return Ok(());
        };
        if !len.is_multiple_of(WORD_BYTES) || self.dynamic.value(elf::DT_RELRENT) != Some(WORD_BYTES) {
            return Err(Fault::damaged(format!("{len} bytes of packed relocations")));
        }
        let headers = self.dynamic.headers;
        let mut next: Option<u64> = None;
        let writes = |at: u64| {
            let target = headers.bytes_at(at, WORD_BYTES).and_then(|bytes| bytes.try_into().ok());
            match target.map(u64::from_le_bytes) {
                Some(target) if headers.maps(at, WORD_BYTES, For::Writing) => self.pointer(at, target),
                _ => Err(Fault::damaged(format!("a packed relocation that writes to address {at:#x}"))),
            }
        };
        for word in table.chunks_exact(8).filter_map(|word| word.try_into().ok()).map(u64::from_le_bytes) {
            match (word & 1, next) {
                (0, _) => {
                    writes(word)?;
                    next = Some(word.saturating_add(WORD_BYTES));
                }
                (_, None) => {
                    return Err(Fault::damaged("packed relocations that don't begin with an address"));
                }
                (_, Some(from)) => {
                    for bit in (1..64).filter(|bit| word >> bit & 1 == 1) {
                        writes(from.saturating_add((bit - 1) * WORD_BYTES))?;
                    }
                    next = Some(from.saturating_add(63 * WORD_BYTES));
                }
            }
        }
        Ok(())
    }
}
