//! The dynamic section: what the linker is told to do, and where its tables are.

use super::Fault;
use super::fault::Faults;
use super::headers::{For, Headers, program};
use object::elf::{self, Dyn64, DynamicTag};
use object::read::ReadRef as _;
use object::{LittleEndian, LittleEndian as LE};

/// The most entries looked at; ordinary plugins have about thirty.
const MOST_ENTRIES: usize = 256;
/// The most libraries that a plugin may need by itself.
const MOST_LIBRARIES: usize = 64;
/// The longest name of a library or symbol version.
const NAME_MAX_BYTES: usize = 1024;
/// A function pointer in the arrays of what runs at opening and closing.
const POINTER_BYTES: u64 = 8;

/// A dynamic section whose tables lie inside the file.
pub(super) struct Dynamic<'a> {
    pub(super) headers: &'a Headers<'a>,
    entries: Vec<(DynamicTag, u64)>,
    strings: &'a [u8],
}

impl<'a> Dynamic<'a> {
    /// `None` where nothing further can be looked at.
    pub(super) fn read(headers: &'a Headers<'a>, faults: &mut Faults) -> Option<Self> {
        let mut dynamic = faults.keep(Self::section(headers))?;
        dynamic.strings = faults.keep(dynamic.string_table())?;
        dynamic.unwanted(faults);
        faults.keep(dynamic.starts());
        Some(dynamic)
    }

    fn section(headers: &'a Headers<'a>) -> Result<Self, Fault> {
        let Some((address, _, section)) = headers.contents(elf::PT_DYNAMIC).next() else {
            return Err(Fault::unfit("no-library", "no dynamic section", "a shared library"));
        };
        // The linker adds the library's address to the entries, in place.
        if !headers.maps(address, section.len() as u64, For::Writing) {
            return Err(Fault::damaged("a dynamic section in a part that is not writable"));
        }
        Ok(Self { headers, entries: entries(section)?, strings: &[] })
    }

    /// The value of an entry.
    pub(super) fn value(&self, tag: DynamicTag) -> Option<u64> {
        self.entries.iter().find(|(known, _)| *known == tag).map(|(_, value)| *value)
    }

    /// A text of the string table, which ends with a NUL inside of it.
    pub(super) fn string(&self, at: u64) -> Result<&'a [u8], Fault> {
        let from = usize::try_from(at).ok().and_then(|at| self.strings.get(at..));
        let found = from.and_then(|from| from.iter().position(|byte| *byte == 0).map(|end| &from[..end]));
        found.ok_or_else(|| {
            Fault::damaged(format!("a name at byte {at} of a string table of {} bytes", self.strings.len()))
        })
    }

    /// As [`Self::string`], as text to show: a library's name, or a version's.
    pub(super) fn name(&self, at: u64) -> Result<String, Fault> {
        let name = self.string(at)?;
        if name.is_empty() || name.len() > NAME_MAX_BYTES || name.iter().any(u8::is_ascii_control) {
            return Err(Fault::damaged(format!("a name of {} bytes in the string table", name.len())));
        }
        Ok(String::from_utf8_lossy(name).into_owned())
    }

    /// A table of this many bytes that an entry names by its address.
    pub(super) fn table(&self, tag: DynamicTag, len: u64) -> Result<Option<&'a [u8]>, Fault> {
        let Some(address) = self.value(tag) else {
            return Ok(None);
        };
        let found = self.headers.bytes_at(address, len);
        found.map(Some).ok_or_else(|| outside(tag, address, len))
    }

    /// The bytes from the address on that an entry names, for a table that tells its own length.
    pub(super) fn open_table(&self, tag: DynamicTag) -> Result<Option<&'a [u8]>, Fault> {
        let Some(address) = self.value(tag) else {
            return Ok(None);
        };
        self.headers.at(address).map(Some).ok_or_else(|| outside(tag, address, 1))
    }

    /// The libraries it needs.
    pub(super) fn needed(&self, faults: &mut Faults) -> Vec<String> {
        let needed = self.entries.iter().filter(|(tag, _)| *tag == elf::DT_NEEDED);
        if needed.clone().count() > MOST_LIBRARIES {
            faults.note(Fault::damaged(format!("more than {MOST_LIBRARIES} needed libraries")));
            return Vec::new();
        }
        let names = needed.filter_map(|(_, at)| {
            let named = self.name(*at);
            // With a slash it is a path, and the linker would not look in the system's folders.
            faults.keep(named.and_then(|name| if name.contains('/') { Err(path(&name)) } else { Ok(name) }))
        });
        names.collect()
    }

    /// The name by which other libraries would need this one.
    pub(super) fn soname(&self, faults: &mut Faults) -> Option<String> {
        let name = faults.keep(self.name(self.value(elf::DT_SONAME)?))?;
        if name.contains('/') {
            faults.note(Fault::new(
                "soname",
                format!("it calls itself `{name}`: a path, and no library's name"),
                "no soname, or one of its own",
                "link without `-soname`: nothing but Cardcage opens a plugin, and by its file",
            ));
        }
        Some(name)
    }

    fn string_table(&self) -> Result<&'a [u8], Fault> {
        let len = self.value(elf::DT_STRSZ).unwrap_or(0);
        let table = self.table(elf::DT_STRTAB, len)?.filter(|table| table.last() == Some(&0));
        table.ok_or_else(|| Fault::damaged(format!("no string table that ends with a NUL ({len} bytes)")))
    }

    /// What the linker would do beyond mapping: patch code, look for libraries where the file says, start a program,
    /// put other libraries in between.
    fn unwanted(&self, faults: &mut Faults) {
        faults.keep(self.flags());
        faults.keep(self.flags_1());
        for (tag, name) in [(elf::DT_RPATH, "RPATH"), (elf::DT_RUNPATH, "RUNPATH")] {
            faults.keep(self.run_path(tag, name));
        }
        for tag in [elf::DT_AUXILIARY, elf::DT_FILTER, elf::DT_PREINIT_ARRAY, elf::DT_REL] {
            if self.value(tag).is_some() {
                faults.note(Fault::unfit(
                    "dynamic-entry",
                    format!("the entry {} in the dynamic section", tag_name(tag)),
                    "what plugins on this machine have: no filters, no REL relocations, nothing that runs before all \
                     others",
                ));
            }
        }
        if self.value(elf::DT_VERDEF).is_some() {
            faults.note(Fault::unfit(
                "dynamic-entry",
                "a library that defines versions of its symbols",
                "a plugin: what it exports has no versions",
            ));
        }
    }

    fn flags(&self) -> Result<(), Fault> {
        let flags = elf::DynamicFlags(self.value(elf::DT_FLAGS).unwrap_or(0));
        if self.value(elf::DT_TEXTREL).is_some() || flags.contains(elf::DF_TEXTREL) {
            return Err(Fault::new(
                "text-relocations",
                "text relocations: the linker would have to write into code",
                "position-independent code",
                "compile every object with -fPIC",
            ));
        }
        if flags.contains(elf::DF_STATIC_TLS) {
            return Err(static_tls("it asks for a place in the static thread-local block"));
        }
        Ok(())
    }

    fn flags_1(&self) -> Result<(), Fault> {
        let flags = elf::DynamicFlags1(self.value(elf::DT_FLAGS_1).unwrap_or(0));
        if flags.contains(elf::DF_1_PIE) {
            return Err(program("a program that can lie at any address (PIE)"));
        }
        if flags.contains(elf::DF_1_NOOPEN) {
            return Err(Fault::unfit(
                "no-library",
                "a library that must not be opened by dlopen (DF_1_NOOPEN)",
                "a library that a running process can open",
            ));
        }
        Ok(())
    }

    fn run_path(&self, tag: DynamicTag, name: &str) -> Result<(), Fault> {
        let Some(at) = self.value(tag) else {
            return Ok(());
        };
        let folders = self.name(at)?;
        Err(Fault::new(
            "run-path",
            format!("{name} `{folders}`: folders to load other libraries from"),
            "libraries from the system's folders only",
            "link without `-rpath` (look into RUSTFLAGS, .cargo/config.toml and build.rs)",
        ))
    }

    /// What runs at opening and closing must be code.
    fn starts(&self) -> Result<(), Fault> {
        for tag in [elf::DT_INIT, elf::DT_FINI] {
            if let Some(address) = self.value(tag)
                && !self.headers.maps(address, 1, For::Calling)
            {
                return Err(Fault::damaged(format!("{} is {address:#x}, where no code is", tag_name(tag))));
            }
        }
        for (tag, size) in
            [(elf::DT_INIT_ARRAY, elf::DT_INIT_ARRAYSZ), (elf::DT_FINI_ARRAY, elf::DT_FINI_ARRAYSZ)]
        {
            let len = self.value(size).unwrap_or(0);
            if !len.is_multiple_of(POINTER_BYTES)
                || self.value(tag).is_some_and(|at| !at.is_multiple_of(POINTER_BYTES))
            {
                return Err(Fault::damaged(format!(
                    "{} of {len} bytes, not of whole pointers",
                    tag_name(tag)
                )));
            }
            self.table(tag, len)?;
        }
        Ok(())
    }

    /// The addresses at which pointers to code stand that run at opening and closing.
    pub(super) fn start_arrays(&self) -> [std::ops::Range<u64>; 2] {
        let range = |tag, size| {
            let start = self.value(tag).unwrap_or(0);
            start..start.saturating_add(self.value(size).unwrap_or(0))
        };
        [range(elf::DT_INIT_ARRAY, elf::DT_INIT_ARRAYSZ), range(elf::DT_FINI_ARRAY, elf::DT_FINI_ARRAYSZ)]
    }
}

/// Up to the closing `DT_NULL`, without which the linker would read on; each at most once, but for `DT_NEEDED`.
fn entries(section: &[u8]) -> Result<Vec<(DynamicTag, u64)>, Fault> {
    let count = (section.len() / size_of::<Dyn64<LittleEndian>>()).min(MOST_ENTRIES);
    let all = section
        .read_slice_at::<Dyn64<LittleEndian>>(0, count)
        .map_err(|()| Fault::damaged("a dynamic section that is not aligned"))?;
    let mut entries: Vec<(DynamicTag, u64)> = Vec::with_capacity(count);
    for entry in all {
        let (tag, value) = (entry.d_tag.get(LE), entry.d_val.get(LE));
        if tag == elf::DT_NULL {
            return Ok(entries);
        }
        if tag != elf::DT_NEEDED && entries.iter().any(|(known, _)| *known == tag) {
            return Err(Fault::damaged(format!("{} twice in the dynamic section", tag_name(tag))));
        }
        entries.push((tag, value));
    }
    Err(Fault::damaged(format!("a dynamic section of {count} entries or more without an end")))
}

/// The name that `readelf -d` shows.
pub(super) fn tag_name(tag: DynamicTag) -> String {
    let names = [
        (elf::DT_AUXILIARY, "AUXILIARY"),
        (elf::DT_FILTER, "FILTER"),
        (elf::DT_PREINIT_ARRAY, "PREINIT_ARRAY"),
        (elf::DT_REL, "REL"),
        (elf::DT_RELA, "RELA"),
        (elf::DT_JMPREL, "JMPREL"),
        (elf::DT_RELR, "RELR"),
        (elf::DT_INIT, "INIT"),
        (elf::DT_FINI, "FINI"),
        (elf::DT_INIT_ARRAY, "INIT_ARRAY"),
        (elf::DT_FINI_ARRAY, "FINI_ARRAY"),
        (elf::DT_SYMTAB, "SYMTAB"),
        (elf::DT_STRTAB, "STRTAB"),
        (elf::DT_HASH, "HASH"),
        (elf::DT_GNU_HASH, "GNU_HASH"),
        (elf::DT_VERSYM, "VERSYM"),
        (elf::DT_VERNEED, "VERNEED"),
    ];
    let known = names.into_iter().find(|(known, _)| *known == tag);
    known.map_or_else(|| format!("{:#x}", tag.0), |(_, name)| name.to_owned())
}

fn outside(tag: DynamicTag, address: u64, len: u64) -> Fault {
    Fault::damaged(format!(
        "{} names {len} bytes at address {address:#x}, which are not in the file",
        tag_name(tag)
    ))
}

fn path(name: &str) -> Fault {
    Fault::new(
        "run-path",
        format!("it needs `{name}`: a path, and no library's name"),
        "libraries from the system's folders only",
        "link with `-l NAME`, against a library that has a soname",
    )
}

/// Thread-local memory of the static kind comes out of a small reserve that all libraries of a process share: whether it
/// is enough depends on what was loaded before, so a plugin that loads today may not load tomorrow.
pub(super) fn static_tls(found: &str) -> Fault {
    Fault::new(
        "static-tls",
        found,
        "thread-local memory that is reached through the linker (the dynamic models)",
        "compile without `-ftls-model=initial-exec` or `-Z tls-model`; it is C code as a rule that asks for it",
    )
}
