//! The shared libraries of this system: which symbol versions they offer, and which files they are.
//!
//! Which of several files the dynamic linker takes depends on rules that differ from one C library to the next. So what is
//! told of a library is told of every file that it may be, in the linker's order as far as that is known: whichever it
//! takes, it is among them. One that is found nowhere is left for the linker to judge at rung 5.

#![forbid(unsafe_code)]

mod needs;
mod search;

use needs::{Looked, Needs};
use object::LittleEndian;
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader as _, SectionHeader as _};
use object::read::{ReadCache, StringTable};
use search::Search;
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The most libraries that a plugin may need, directly and by way of others; ordinary ones have four.
const CLOSURE_MAX: usize = 1024;

/// What was found out so far, for all plugins and threads of one scan: each library is looked up once. A system update
/// between two scans must be seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct SystemLibraries {
    /// Where nothing is to be looked up, because another process just did.
    believed: bool,
    known: Arc<Mutex<Known>>,
}

/// A library that may be a file which was not looked at, so that nobody could tell when it changes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the library `{0}` was not found where the dynamic linker looks, or cannot be read")]
pub(crate) struct Unidentified(pub(crate) String);

impl SystemLibraries {
    /// Those of a process that takes it from its parent that a library's versions are here.
    pub(crate) fn believed() -> Self {
        Self { believed: true, ..Self::default() }
    }

    /// If the library is here and lacks the version: the newest version of that family which it has.
    pub(crate) fn lacks(&self, library: &str, version: &str) -> Option<String> {
        if self.believed {
            return None;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let offered = known.versions(library)?;
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

    /// What tells one installed set of these libraries from another: path, file, size and times of every file that one of
    /// them may be, of those that they need in turn, and of those that are preloaded.
    pub(crate) fn identity(&self, needed: &[String]) -> Result<String, Unidentified> {
        let mut text = String::new();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let first = known.search().preloaded().iter().chain(needed).cloned().collect();
        known.closure(first, &mut |name, library| {
            let library = library.ok_or_else(|| Unidentified(name.to_owned()))?;
            // Writing to a String cannot fail.
            let _ = write!(text, "{name}:{};", library.identity);
            Ok(())
        })?;
        Ok(text)
    }

    /// The names of all libraries that these need, with their own.
    pub(crate) fn all_needed(&self, needed: &[String]) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // What cannot be looked at has a name all the same, so nothing fails here.
        let _ = known.closure(needed.to_vec(), &mut |name, _| {
            names.insert(name.to_owned());
            Ok(())
        });
        names
    }

    /// A file in the folders of the system itself that has this name.
    pub(crate) fn of_system(&self, library: &str) -> Option<PathBuf> {
        if self.believed {
            return None;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.search().of_system(library).into_iter().next()
    }
}

#[derive(Debug, Default)]
struct Known {
    search: Option<Search>,
    mapped: Option<Vec<PathBuf>>,
    versions: HashMap<String, Option<BTreeSet<String>>>,
    /// By name and the further folders that it is looked for in.
    libraries: HashMap<Wanted, Option<Arc<Library>>>,
}

/// A name, and the further folders in which it is looked for.
type Wanted = (String, Vec<PathBuf>);

/// Is shown a library's name, and the library if it was identified.
type See<'a> = dyn FnMut(&str, Option<&Library>) -> Result<(), Unidentified> + 'a;

/// The files that a name may lead to.
#[derive(Debug)]
struct Library {
    identity: String,
    needs: Needs,
}

impl Known {
    fn search(&mut self) -> &Search {
        self.search.get_or_insert_with(Search::of_this_process)
    }

    fn versions(&mut self, library: &str) -> Option<&BTreeSet<String>> {
        if !self.versions.contains_key(library) {
            // One that is mapped already is the one that a plugin will get.
            let found = self.mapped(library);
            let found = found.or_else(|| self.search().files(library, &[]).into_iter().next());
            let versions = found.and_then(|path| offered_versions(&path));
            self.versions.insert(library.to_owned(), versions);
        }
        self.versions.get(library)?.as_ref()
    }

    /// Shows these libraries and all that they need, each once; `None` for one that was not identified.
    fn closure(&mut self, first: Vec<String>, see: &mut See<'_>) -> Result<(), Unidentified> {
        let mut seen: BTreeSet<Wanted> = BTreeSet::new();
        let mut left: Vec<Wanted> = first.into_iter().rev().map(|name| (name, Vec::new())).collect();
        while let Some(wanted) = left.pop() {
            if !seen.insert(wanted.clone()) {
                continue;
            }
            if seen.len() > CLOSURE_MAX {
                return Err(Unidentified(wanted.0));
            }
            let library = self.library(&wanted);
            see(&wanted.0, library.as_deref())?;
            let Some(library) = library else {
                continue;
            };
            // The folders that a library names hold for what it needs, and some for what that needs in turn.
            let mut folders = wanted.1;
            folders.extend(library.needs.folders.iter().cloned());
            folders.sort();
            folders.dedup();
            left.extend(library.needs.libraries.iter().rev().map(|name| (name.clone(), folders.clone())));
        }
        Ok(())
    }

    fn library(&mut self, wanted: &Wanted) -> Option<Arc<Library>> {
        if let Some(known) = self.libraries.get(wanted) {
            return known.clone();
        }
        let (name, folders) = wanted;
        let mut files = self.search().files(name, folders);
        if files.is_empty() {
            files.extend(self.mapped(name));
        }
        let found = if self.search().is_sure(name) { look_at(&files).map(Arc::new) } else { None };
        self.libraries.insert(wanted.clone(), found.clone());
        found
    }

    /// The file of that name that is mapped into this process.
    fn mapped(&mut self, library: &str) -> Option<PathBuf> {
        let mapped = self.mapped.get_or_insert_with(mapped_libraries);
        mapped.iter().find(|path| path.file_name().is_some_and(|name| name == library)).cloned()
    }
}

fn look_at(files: &[PathBuf]) -> Option<Library> {
    let mut library = Library { identity: String::new(), needs: Needs::default() };
    for file in files {
        match needs::of(file) {
            Looked::Needs(needs) => library.needs.extend(needs),
            // It is not taken, but another one may be put in its place.
            Looked::Foreign => {}
            Looked::Unreadable => return None,
        }
        append_identity(&mut library.identity, file)?;
    }
    (!library.identity.is_empty()).then_some(library)
}

/// `GLIBC_2.36` as numbers, so that 2.4 is older than 2.36.
fn numbers(version: &str) -> Vec<u64> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

fn append_identity(text: &mut String, path: &Path) -> Option<()> {
    let meta = std::fs::metadata(path).ok()?;
    // The time of the last change of the inode too: that of the content can be set back, as `cp -p` does.
    let (modified, changed) = ((meta.mtime(), meta.mtime_nsec()), (meta.ctime(), meta.ctime_nsec()));
    let (dev, ino, size) = (meta.dev(), meta.ino(), meta.size());
    // Writing to a String cannot fail.
    let _ = write!(text, "{}={dev}:{ino}:{size}:{modified:?}:{changed:?};", path.display());
    Some(())
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
        let libraries = SystemLibraries::default();
        assert_eq!(libraries.lacks("libc.so.6", "GLIBC_2.17"), None);
        let newest = libraries.lacks("libc.so.6", "GLIBC_99.1");
        assert!(newest.is_some_and(|newest| newest.starts_with("GLIBC_2.")));
    }

    #[test]
    fn an_unknown_library_is_left_to_the_linker_and_has_no_identity() {
        let libraries = SystemLibraries::default();
        assert_eq!(libraries.lacks("libnowhere.so.1", "X_1"), None);
        let needed = ["libc.so.6", "libnowhere.so.1"].map(str::to_owned);
        assert_eq!(libraries.identity(&needed), Err(Unidentified("libnowhere.so.1".to_owned())));
    }

    #[test]
    fn what_a_library_needs_in_turn_is_part_of_its_identity() {
        let libraries = SystemLibraries::default();
        let needed = ["libgcc_s.so.1".to_owned()];
        assert!(libraries.all_needed(&needed).contains("libc.so.6"));
        let identity = libraries.identity(&needed).unwrap();
        assert!(identity.contains("libc.so.6="), "{identity}");
    }

    #[test]
    fn the_systems_own_libraries_are_known_by_name() {
        let libraries = SystemLibraries::default();
        assert!(libraries.of_system("libc.so.6").is_some());
        assert_eq!(libraries.of_system("libnowhere.so.1"), None);
    }

    #[test]
    fn versions_compare_as_numbers() {
        assert!(numbers("GLIBC_2.4") < numbers("GLIBC_2.36"));
    }
}
