//! Where the dynamic linker looks for a library: in the folders of the environment, in its cache, in the system's own.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Where it looks by itself, on one distribution or another.
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
/// Subfolders of each for better processors, the best first.
const BETTER: [&str; 3] = ["glibc-hwcaps/x86-64-v4", "glibc-hwcaps/x86-64-v3", "glibc-hwcaps/x86-64-v2"];
/// Subfolders in which C libraries before 2.37 looked, in many combinations.
const OLD: [&str; 6] = ["tls", "haswell", "x86_64", "avx512_1", "aarch64", "atomics"];
/// The linker's cache, and the largest one that is read: a full desktop's has some hundred KiB.
const CACHE: &str = "/etc/ld.so.cache";
const CACHE_MAX_BYTES: u64 = 16 * 1024 * 1024;
/// What the system preloads into every process.
const PRELOADED: &str = "/etc/ld.so.preload";

/// The places, as they were when they were first asked for.
#[derive(Debug)]
pub(super) struct Search {
    /// Those of `LD_LIBRARY_PATH`, with their subfolders for better processors.
    asked: Vec<PathBuf>,
    /// The system's, likewise.
    own: Vec<PathBuf>,
    cache: Vec<u8>,
    preloaded: Vec<String>,
    /// Whether there is a place that only the linker can interpret.
    unclear: bool,
}

impl Search {
    /// Those of this process's environment, and of this system.
    pub(super) fn of_this_process() -> Self {
        let variable = |name| std::env::var_os(name).unwrap_or_default();
        let asked = variable("LD_LIBRARY_PATH");
        let mut preloaded = Vec::new();
        let mut unclear = asked.as_bytes().contains(&b'$');
        let listed = std::fs::read(PRELOADED).unwrap_or_default();
        for list in [variable("LD_PRELOAD").as_bytes(), variable("LD_AUDIT").as_bytes(), &listed] {
            for name in list.split(|byte| matches!(byte, b':') || byte.is_ascii_whitespace()) {
                match std::str::from_utf8(name) {
                    Ok("") => {}
                    Ok(name) => preloaded.push(name.to_owned()),
                    Err(_) => unclear = true,
                }
            }
        }
        let asked = asked.as_bytes();
        let parts = asked.split(|byte| matches!(byte, b':' | b';'));
        let asked: Vec<&Path> = parts.map(|part| Path::new(OsStr::from_bytes(part))).collect();
        let asked = if asked == [Path::new("")] { Vec::new() } else { asked };
        let own = FOLDERS.map(Path::new);
        unclear |= asked.iter().chain(&own).any(|folder| OLD.iter().any(|old| folder.join(old).is_dir()));
        Self { asked: existing(asked), own: existing(own), cache: cache(), preloaded, unclear }
    }

    /// What is loaded into every process, this one too: it comes before all that a plugin needs.
    pub(super) fn preloaded(&self) -> &[String] {
        &self.preloaded
    }

    /// Whether all files that this name may lead to are among [`Self::files`].
    pub(super) fn is_sure(&self, name: &str) -> bool {
        !self.unclear && !name.contains('$')
    }

    /// The files of that name, in the order in which the linker looks; `more`: folders that the library which needs it
    /// names.
    pub(super) fn files(&self, name: &str, more: &[PathBuf]) -> Vec<PathBuf> {
        if name.contains('/') {
            return vec![PathBuf::from(name)];
        }
        let mut files = in_folders(&existing(more.iter().map(PathBuf::as_path)), name);
        files.extend(in_folders(&self.asked, name));
        files.extend(self.of_system(name));
        each_once(files)
    }

    /// Those of them that are in the system's own places.
    pub(super) fn of_system(&self, name: &str) -> Vec<PathBuf> {
        let mut files = cached(&self.cache, name);
        files.extend(in_folders(&self.own, name));
        files
    }
}

fn in_folders(folders: &[PathBuf], name: &str) -> Vec<PathBuf> {
    folders.iter().map(|folder| folder.join(name)).filter(|path| path.is_file()).collect()
}

/// Each folder that is there, with its subfolders for better processors before it.
fn existing<'a>(folders: impl IntoIterator<Item = &'a Path>) -> Vec<PathBuf> {
    let folders = folders.into_iter().flat_map(|folder| {
        // An empty name is the current folder.
        let folder = if folder == Path::new("") { Path::new(".") } else { folder };
        BETTER.iter().map(|better| folder.join(better)).chain([folder.to_owned()]).collect::<Vec<_>>()
    });
    each_once(folders.filter(|folder| folder.is_dir()).collect())
}

/// Several of the system's folders are one under many names.
fn each_once(paths: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    let mut new = |path: &PathBuf| {
        let meta = std::fs::metadata(path);
        // What is not there any more is kept, so that it is missed.
        meta.map_or(true, |meta| seen.insert((meta.dev(), meta.ino())))
    };
    paths.into_iter().filter(|path| new(path)).collect()
}

fn cache() -> Vec<u8> {
    let small = std::fs::metadata(CACHE).is_ok_and(|meta| meta.len() <= CACHE_MAX_BYTES);
    if small { std::fs::read(CACHE).unwrap_or_default() } else { Vec::new() }
}

/// The paths that the linker's cache has for a name, for all kinds of processors.
///
/// Behind the magic: the number of entries, and 24 bytes on, the entries of 24 bytes. An entry has the places of name and
/// path as its second and third word, counted from the magic on.
fn cached(cache: &[u8], name: &str) -> Vec<PathBuf> {
    const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
    const HEAD_BYTES: usize = 48;
    const ENTRY_BYTES: usize = 24;
    // Older caches have a table of another kind before it.
    let Some(start) = cache.windows(MAGIC.len()).position(|window| window == MAGIC) else {
        return Vec::new();
    };
    let cache = &cache[start..];
    let word = |at: usize| {
        let bytes = cache.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_ne_bytes(bytes)).ok()
    };
    let text = |at: usize| {
        let from = cache.get(at..)?;
        Some(&from[..from.iter().position(|byte| *byte == 0)?])
    };
    let named = |at: usize| {
        let from = cache.get(at..)?;
        (from.starts_with(name.as_bytes()) && from.get(name.len()) == Some(&0)).then_some(())
    };
    let count = word(MAGIC.len()).unwrap_or(0).min(cache.len() / ENTRY_BYTES);
    let paths = (0..count).filter_map(|entry| {
        let at = HEAD_BYTES + entry * ENTRY_BYTES;
        named(word(at + 4)?)?;
        Some(PathBuf::from(OsStr::from_bytes(text(word(at + 8)?)?)))
    });
    paths.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linkers_cache_leads_to_the_c_library() {
        let cache = cache();
        if cache.is_empty() {
            // Not every system has one.
            return;
        }
        let found = cached(&cache, "libc.so.6");
        assert!(found.iter().any(|path| path.is_file()), "{found:?}");
        assert_eq!(cached(&cache, "libc.so"), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_damaged_cache_leads_nowhere_or_elsewhere_and_never_out_of_it() {
        let whole = cache();
        for cut in (0..whole.len().min(4096)).chain([whole.len().saturating_sub(1)]) {
            let _ = cached(&whole[..cut], "libc.so.6");
        }
        let mut damaged = whole;
        for byte in damaged.iter_mut().skip(20).step_by(3) {
            *byte = 0xff;
        }
        let _ = cached(&damaged, "libc.so.6");
    }

    #[test]
    fn folders_for_better_processors_come_first_and_one_folder_counts_once() {
        let folder = tempfile::tempdir().unwrap();
        let (plain, better) = (folder.path().join("lib"), folder.path().join("lib/glibc-hwcaps/x86-64-v3"));
        std::fs::create_dir_all(&better).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&plain, &link).unwrap();
        for folder in [&plain, &better] {
            std::fs::write(folder.join("libx.so"), "").unwrap();
        }
        let found = in_folders(&existing([plain.as_path(), &link]), "libx.so");
        assert_eq!(found, [better.join("libx.so"), plain.join("libx.so")]);
    }
}
