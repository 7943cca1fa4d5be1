//! What a library on this system needs in turn, and where it says to look for that.

#![forbid(unsafe_code)]

use object::LittleEndian;
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader as _, SectionHeader as _};
use object::read::{ReadCache, StringTable};
use std::fs::File;
use std::path::{Path, PathBuf};

/// The libraries that one needs, and the folders that it names for them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    pub(super) libraries: Vec<String>,
    pub(super) folders: Vec<PathBuf>,
}

impl Needs {
    /// These and others, each once.
    pub(super) fn extend(&mut self, other: Self) {
        for library in other.libraries {
            if !self.libraries.contains(&library) {
                self.libraries.push(library);
            }
        }
        for folder in other.folders {
            if !self.folders.contains(&folder) {
                self.folders.push(folder);
            }
        }
    }
}

/// What a look at a file gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Looked {
    Needs(Needs),
    /// No library for this kind of machine: the linker passes it over, or stops at it.
    Foreign,
    /// What the linker would make of it is not known.
    Unreadable,
}

/// Looks at a library's dynamic section.
pub(super) fn of(path: &Path) -> Looked {
    let Ok(file) = File::open(path) else {
        return Looked::Unreadable;
    };
    let bytes = &ReadCache::new(file);
    let Ok(header) = FileHeader64::<LittleEndian>::parse(bytes) else {
        return Looked::Foreign;
    };
    let needs = dynamic_section(header, bytes, path);
    needs.map_or(Looked::Unreadable, Looked::Needs)
}

/// `None` where it cannot be read to its end, or names folders by words whose meaning only the linker knows.
fn dynamic_section(
    header: &FileHeader64<LittleEndian>,
    bytes: &ReadCache<File>,
    path: &Path,
) -> Option<Needs> {
    let sections = header.sections(LittleEndian, bytes).ok()?;
    let (entries, link) = sections.dynamic(LittleEndian, bytes).ok()??;
    let strings = sections.section(link).ok()?.data(LittleEndian, bytes).ok()?;
    let strings = StringTable::new(strings, 0, strings.len() as u64);
    let mut needs = Needs::default();
    for entry in entries {
        let tag = entry.d_tag.get(LittleEndian);
        if tag == elf::DT_NULL {
            break;
        }
        let text = || {
            let at = u32::try_from(entry.d_val.get(LittleEndian)).ok()?;
            std::str::from_utf8(strings.get(at).ok()?).ok()
        };
        match tag {
            elf::DT_NEEDED | elf::DT_AUXILIARY | elf::DT_FILTER => needs.libraries.push(text()?.to_owned()),
            elf::DT_RPATH | elf::DT_RUNPATH => {
                for folder in text()?.split(':') {
                    needs.folders.push(expanded(folder, path)?);
                }
            }
            _ => {}
        }
    }
    Some(needs)
}

/// A folder as a library names it: `$ORIGIN` is the folder that the library itself is in.
fn expanded(folder: &str, library: &Path) -> Option<PathBuf> {
    let real = std::fs::canonicalize(library).ok()?;
    let origin = real.parent()?.to_str()?;
    let folder = folder.replace("${ORIGIN}", origin).replace("$ORIGIN", origin);
    (!folder.contains('$')).then(|| PathBuf::from(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_library_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("libm.so");
        std::fs::write(&script, "GROUP ( /lib/libm.so.6 )".repeat(9)).unwrap();
        assert_eq!(of(&script), Looked::Foreign);
        assert_eq!(of(&folder.path().join("gone")), Looked::Unreadable);
    }

    #[test]
    fn folders_are_taken_from_where_the_library_really_is() {
        let folder = tempfile::tempdir().unwrap();
        let real = std::fs::canonicalize(folder.path()).unwrap().join("libreal.so");
        std::fs::write(&real, "").unwrap();
        let link = folder.path().join("libx.so");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let here = real.parent().unwrap();
        assert_eq!(expanded("$ORIGIN/deps", &link), Some(here.join("deps")));
        assert_eq!(expanded("${ORIGIN}", &link), Some(here.to_owned()));
        assert_eq!(expanded("/opt/$LIB", &link), None);
    }
}
