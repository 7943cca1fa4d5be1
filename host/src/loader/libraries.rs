//! The shared libraries of this system: which symbol versions they offer, and which files they are.
//!
//! A library is looked for among those already mapped into this process (the C library always is), then in the
//! dynamic linker's usual folders. One that is found nowhere is left for the linker to judge at rung 5.

#![forbid(unsafe_code)]

use object::LittleEndian;
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader as _, SectionHeader as _};
use object::read::{ReadCache, StringTable};
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Where the dynamic linker looks by itself.
const FOLDERS: [&str; 8] = [
    "/lib64",
    "/usr/lib64",
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/lib",
    "/usr/lib",
];

/// What was found out so far. Kept for one scan: a system update between two scans must be seen.
#[derive(Debug, Default)]
pub(crate) struct SystemLibraries {
    /// Where nothing is to be looked up, because another process just did.
    believed: bool,
    mapped: Option<Vec<PathBuf>>,
    files: HashMap<String, Option<PathBuf>>,
    versions: HashMap<String, Option<BTreeSet<String>>>,
}

impl SystemLibraries {
    /// Those of a process that takes it from its parent that a library's versions are here.
    pub(crate) fn believed() -> Self {
        Self { believed: true, ..Self::default() }
    }

    /// If the library is here and lacks the version: the newest version of that family which it has.
    pub(crate) fn lacks(&mut self, library: &str, version: &str) -> Option<String> {
        let offered = self.versions(library)?;
        if offered.contains(version) {
            return None;
        }
        let family = version.split('_').next().unwrap_or(version);
        let newest = offered
            .iter()
            .filter(|offer| offer.split('_').next() == Some(family))
            .max_by_key(|offer| numbers(offer));
        Some(newest.map_or_else(|| format!("none of {family}"), Clone::clone))
    }

    /// What tells one installed set of these libraries from another: path, file and time of each, and the linker's
    /// own cache, which changes when the libraries that they need in turn move.
    pub(crate) fn identity(&mut self, needed: &[String]) -> String {
        let mut text = String::new();
        for name in needed {
            if let Some(path) = self.file(name) {
                append_identity(&mut text, &path);
            } else {
                // Writing to a String cannot fail.
                let _ = write!(text, "{name}=?;");
            }
        }
        append_identity(&mut text, Path::new("/etc/ld.so.cache"));
        text
    }

    fn versions(&mut self, library: &str) -> Option<&BTreeSet<String>> {
        if self.believed {
            return None;
        }
        if !self.versions.contains_key(library) {
            let versions = self.file(library).and_then(|path| offered_versions(&path));
            self.versions.insert(library.to_owned(), versions);
        }
        self.versions.get(library)?.as_ref()
    }

    fn file(&mut self, library: &str) -> Option<PathBuf> {
        if let Some(known) = self.files.get(library) {
            return known.clone();
        }
        let mapped = self.mapped.get_or_insert_with(mapped_libraries);
        let found =
            mapped.iter().find(|path| path.file_name().is_some_and(|name| name == library)).cloned().or_else(
                || FOLDERS.iter().map(|folder| Path::new(folder).join(library)).find(|path| path.is_file()),
            );
        self.files.insert(library.to_owned(), found.clone());
        found
    }
}

/// `GLIBC_2.36` as numbers, so that 2.4 is older than 2.36.
fn numbers(version: &str) -> Vec<u64> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

fn append_identity(text: &mut String, path: &Path) {
    let _ = match std::fs::metadata(path) {
        Ok(meta) => write!(
            text,
            "{}={}:{}:{}:{}.{};",
            path.display(),
            meta.dev(),
            meta.ino(),
            meta.size(),
            meta.mtime(),
            meta.mtime_nsec()
        ),
        Err(_) => write!(text, "{}=?;", path.display()),
    };
}

fn mapped_libraries() -> Vec<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mut paths: Vec<PathBuf> =
        maps.lines().filter_map(|line| line.find('/').map(|start| PathBuf::from(&line[start..]))).collect();
    paths.dedup();
    paths
}

fn offered_versions(path: &Path) -> Option<BTreeSet<String>> {
    let file = std::fs::File::open(path).ok()?;
    // Reads the few sections that matter, each in one piece, and not the two megabytes around them.
    let bytes = &ReadCache::new(file);
    let header = FileHeader64::<LittleEndian>::parse(bytes).ok()?;
    let sections = header.sections(LittleEndian, bytes).ok()?;
    let (mut definitions, link) = sections.gnu_verdef(LittleEndian, bytes).ok()??;
    let strings = sections.section(link).ok()?.data(LittleEndian, bytes).ok()?;
    let strings = StringTable::new(strings, 0, strings.len() as u64);
    let mut offered = BTreeSet::new();
    while let Ok(Some((definition, mut names))) = definitions.next() {
        if definition.vd_flags.get(LittleEndian).contains(elf::VER_FLG_BASE) {
            continue;
        }
        if let Ok(Some(name)) = names.next()
            && let Ok(name) = name.name(LittleEndian, strings)
        {
            offered.insert(String::from_utf8_lossy(name).into_owned());
        }
    }
    Some(offered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_c_library_offers_old_versions_and_lacks_future_ones() {
        let mut libraries = SystemLibraries::default();
        assert_eq!(libraries.lacks("libc.so.6", "GLIBC_2.17"), None);
        let newest = libraries.lacks("libc.so.6", "GLIBC_99.1");
        assert!(newest.is_some_and(|newest| newest.starts_with("GLIBC_2.")));
    }

    #[test]
    fn an_unknown_library_is_left_to_the_linker() {
        assert_eq!(SystemLibraries::default().lacks("libnowhere.so.1", "X_1"), None);
    }

    #[test]
    fn versions_compare_as_numbers() {
        assert!(numbers("GLIBC_2.4") < numbers("GLIBC_2.36"));
    }
}
