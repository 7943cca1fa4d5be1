//! The dynamic symbols: what the library exports, by the hash table over them, and what its relocations name.

use super::Fault;
use super::dynamic::Dynamic;
use super::headers::For;
use super::versions;
use cardcage_plugin_api::manifest::MANIFEST_SYMBOL;
use object::elf::{self, Sym64};
use object::read::ReadRef as _;
use object::{LittleEndian, LittleEndian as LE, U32};

/// The name of `abi_stable`'s library header, as `export_plugin!` exports it.
pub const HEADER_SYMBOL: &str = "_1as_0lib_1header_0root_bmodule_bloader";

/// The most symbols that a library may export or need; plugins have some hundred.
const MOST_SYMBOLS: u64 = 1 << 20;

pub(super) type Entry = Sym64<LittleEndian>;
type Word = U32<LittleEndian>;

/// A symbol that the library defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Its address, relative to where the library lands.
    pub address: u64,
    /// Its bytes.
    pub size: u64,
}

/// The symbols that the later rungs look at.
#[derive(Default)]
pub(super) struct Exported {
    pub(super) header: Option<Symbol>,
    pub(super) manifest: Option<Symbol>,
}

/// The symbol table, with the versions beside it.
pub(super) struct Symbols<'a> {
    dynamic: &'a Dynamic<'a>,
    table: &'a [u8],
    versions: Option<&'a [u8]>,
    /// The versions that there are.
    known: Vec<u16>,
}

impl<'a> Symbols<'a> {
    pub(super) fn of(dynamic: &'a Dynamic<'a>) -> Result<Self, Fault> {
        let size = dynamic.value(elf::DT_SYMENT);
        if size != Some(size_of::<Entry>() as u64) {
            return Err(Fault::damaged(format!("symbols of {} bytes", size.unwrap_or(0))));
        }
        let Some(table) = dynamic.open_table(elf::DT_SYMTAB)? else {
            return Err(Fault::damaged("no symbol table"));
        };
        Ok(Self {
            dynamic,
            table,
            versions: dynamic.open_table(elf::DT_VERSYM)?,
            known: versions::known(dynamic)?,
        })
    }

    /// The symbol of this number, as the linker would follow it: its name is in the string table, its version beside it.
    pub(super) fn get(&self, number: u64) -> Result<(&'a Entry, &'a [u8]), Fault> {
        let entry: &Entry = self
            .table
            .read_at(number.saturating_mul(size_of::<Entry>() as u64))
            .map_err(|()| Fault::damaged(format!("symbol {number}, behind the end of the file")))?;
        if let Some(versions) = self.versions {
            let at = usize::try_from(number.saturating_mul(2)).unwrap_or(usize::MAX);
            let Some(&[low, high]) = versions.get(at..at.saturating_add(2)) else {
                return Err(Fault::damaged(format!(
                    "the version of symbol {number}, behind the end of the file"
                )));
            };
            // The linker looks it up in a list without asking whether it is that long. 0 is local, 1 has no version.
            let version = u16::from_le_bytes([low, high]) & versions::NUMBER;
            if version > 1 && !self.known.contains(&version) {
                return Err(Fault::damaged(format!(
                    "symbol {number} of version number {version}, which no library has"
                )));
            }
        }
        let name = self.dynamic.string(entry.st_name.get(LE).into())?;
        let (value, size) = (entry.st_value.get(LE), entry.st_size.get(LE));
        let defined = entry.st_shndx.get(LE) != elf::SHN_UNDEF;
        let is_thread_local = entry.st_info.st_type() == elf::STT_TLS;
        let use_ = if entry.st_info.st_type() == elf::STT_GNU_IFUNC { For::Calling } else { For::Reading };
        if defined && !is_thread_local && !self.dynamic.headers.maps(value, size, use_) {
            return Err(Fault::damaged(format!(
                "the symbol `{}` of {size} bytes at address {value:#x}, outside of what is mapped",
                name.escape_ascii()
            )));
        }
        Ok((entry, name))
    }
}

/// Walks the hash table as the linker may, and finds the two symbols that a plugin has.
pub(super) fn exported(dynamic: &Dynamic<'_>) -> Result<Exported, Fault> {
    let symbols = Symbols::of(dynamic)?;
    let mut exported = Exported::default();
    let mut walked = false;
    let mut see = |number: u64| {
        let (entry, name) = symbols.get(number)?;
        let symbol = Symbol { address: entry.st_value.get(LE), size: entry.st_size.get(LE) };
        if entry.st_shndx.get(LE) == elf::SHN_UNDEF {
            return Ok(());
        }
        if name == HEADER_SYMBOL.as_bytes() {
            exported.header = Some(symbol);
        } else if name == MANIFEST_SYMBOL.as_bytes() {
            exported.manifest = Some(symbol);
        }
        Ok(())
    };
    if let Some(table) = dynamic.open_table(elf::DT_GNU_HASH)? {
        gnu(table, &mut see)?;
        walked = true;
    }
    if let Some(table) = dynamic.open_table(elf::DT_HASH)? {
        system_v(table, &mut see)?;
        walked = true;
    }
    if walked { Ok(exported) } else { Err(Fault::damaged("no hash table over the symbols")) }
}

fn words(table: &[u8], at: u64, count: u64) -> Result<&[Word], Fault> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    table
        .read_slice_at(at, count)
        .map_err(|()| Fault::damaged("a hash table that does not end inside the file"))
}

fn gnu(table: &[u8], see: &mut dyn FnMut(u64) -> Result<(), Fault>) -> Result<(), Fault> {
    const HEAD_BYTES: u64 = 16;
    const FILTER_WORD_BYTES: u64 = 8;
    let head = words(table, 0, 4)?;
    let [buckets, first, filter] = [0, 1, 2].map(|at| u64::from(head[at].get(LE)));
    // The linker divides by the one and takes the other for a mask.
    if buckets == 0 || !filter.is_power_of_two() {
        return Err(Fault::damaged(format!(
            "a hash table with {buckets} buckets and a filter of {filter} words"
        )));
    }
    let at = HEAD_BYTES.saturating_add(filter.saturating_mul(FILTER_WORD_BYTES));
    let starts = words(table, at, buckets)?;
    let chains = at + buckets * 4;
    let mut seen = 0;
    for start in starts.iter().map(|start| u64::from(start.get(LE))).filter(|start| *start != 0) {
        if start < first {
            return Err(Fault::damaged(format!(
                "a hash chain at symbol {start}, before the first one, {first}"
            )));
        }
        let mut number = start;
        loop {
            let hash = words(table, chains.saturating_add((number - first).saturating_mul(4)), 1)?[0].get(LE);
            see(number)?;
            seen += 1;
            if seen > MOST_SYMBOLS {
                return Err(endless());
            }
            if hash & 1 == 1 {
                break;
            }
            number += 1;
        }
    }
    Ok(())
}

fn system_v(table: &[u8], see: &mut dyn FnMut(u64) -> Result<(), Fault>) -> Result<(), Fault> {
    let head = words(table, 0, 2)?;
    let [buckets, count] = [0, 1].map(|at| u64::from(head[at].get(LE)));
    if buckets == 0 || count > MOST_SYMBOLS {
        return Err(Fault::damaged(format!("a hash table with {buckets} buckets for {count} symbols")));
    }
    let starts = words(table, 8, buckets)?;
    let next = words(table, 8 + buckets * 4, count)?;
    let mut seen = 0;
    for start in starts {
        let mut number = start.get(LE);
        while number != 0 {
            see(number.into())?;
            seen += 1;
            let Some(after) = usize::try_from(number).ok().and_then(|at| next.get(at)) else {
                return Err(Fault::damaged(format!("a hash chain at symbol {number} of {count}")));
            };
            if seen > count {
                return Err(endless());
            }
            number = after.get(LE);
        }
    }
    Ok(())
}

fn endless() -> Fault {
    Fault::damaged("a hash table whose chains don't end")
}
