//! Verdicts of earlier runs: only those that passed, and only for the very same everything.
//!
//! A verdict holds for the plugin's bytes, this program, the system libraries, the CPU and the way of vetting; all of
//! them are in the key. Whether a file is trusted is never remembered. A damaged entry is no entry.

#![forbid(unsafe_code)]

use super::report::Verdict;
use super::sandbox::Sandbox;
use crate::loader::climb::Candidate;
use crate::loader::libraries::SystemLibraries;
use crate::loader::machine;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What each entry begins with; the number is the format's version.
const MAGIC: &str = "cardcage-verdict 1";
/// Entries kept: several versions of many plugins; each has a few KiB.
const ENTRIES_MAX: usize = 512;
/// The largest entry read.
const ENTRY_MAX_BYTES: u64 = 8 * 1024 * 1024;

/// One plugin's place in the cache.
#[derive(Debug)]
pub(super) struct Entry {
    folder: PathBuf,
    file: PathBuf,
}

impl Entry {
    /// The place for this candidate.
    pub(super) fn of(folder: &Path, candidate: &Candidate, libraries: &mut SystemLibraries) -> Self {
        let mut key = blake3::Hasher::new();
        let parts = [
            candidate.copy.hash().to_hex().to_string(),
            this_program(),
            libraries.identity(&candidate.image.needed),
            machine::features(),
            Sandbox::offered().level(),
            MAGIC.to_owned(),
        ];
        for part in parts {
            key.update(&(part.len() as u64).to_le_bytes());
            key.update(part.as_bytes());
        }
        Self { folder: folder.to_owned(), file: folder.join(key.finalize().to_hex().as_str()) }
    }

    /// The verdict, if there is a whole one.
    pub(super) fn read(&self) -> Option<Verdict> {
        let size = std::fs::metadata(&self.file).ok()?.len();
        if size > ENTRY_MAX_BYTES {
            return None;
        }
        let text = std::fs::read_to_string(&self.file).ok()?;
        let (first, body) = text.split_once('\n')?;
        (first == heading(body)).then(|| serde_json::from_str(body).ok()).flatten()
    }

    /// Keeps a verdict. A cache that cannot be written costs time and nothing else, so that is only logged.
    pub(super) fn write(&self, verdict: &Verdict) {
        if let Err(error) = self.try_write(verdict) {
            tracing::debug!(folder = %self.folder.display(), %error, "a verdict could not be kept");
        }
    }

    fn try_write(&self, verdict: &Verdict) -> io::Result<()> {
        let body = serde_json::to_string(verdict)?;
        std::fs::create_dir_all(&self.folder)?;
        self.make_room()?;
        // Its checksum finds a torn entry, so it needs no fsync; the rename keeps readers from a half-written one.
        let draft = self.file.with_extension(format!("{}.new", std::process::id()));
        std::fs::write(&draft, format!("{}\n{body}", heading(&body)))?;
        std::fs::rename(&draft, &self.file)
    }

    fn make_room(&self) -> io::Result<()> {
        let mut entries: Vec<(SystemTime, PathBuf)> = std::fs::read_dir(&self.folder)?
            .filter_map(Result::ok)
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        if entries.len() < ENTRIES_MAX {
            return Ok(());
        }
        entries.sort();
        for (_, path) in entries.iter().take(entries.len() + 1 - ENTRIES_MAX) {
            std::fs::remove_file(path)?;
        }
        Ok(())
    }
}

fn heading(body: &str) -> String {
    format!("{MAGIC} {}", blake3::hash(body.as_bytes()).to_hex())
}

/// What tells one build of this program from another: the file it runs from.
fn this_program() -> String {
    let Ok(meta) = std::fs::metadata("/proc/self/exe") else {
        return String::new();
    };
    format!("{}:{}:{}:{}.{}", meta.dev(), meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> (tempfile::TempDir, Entry) {
        let folder = tempfile::tempdir().unwrap();
        let entry = Entry { folder: folder.path().to_owned(), file: folder.path().join("abc") };
        (folder, entry)
    }

    fn verdict() -> Verdict {
        Verdict {
            sandbox: Sandbox { landlock: None, seccomp: false },
            components: Vec::new(),
            rungs: Vec::new(),
        }
    }

    #[test]
    fn a_verdict_is_found_again() {
        let (_folder, entry) = entry();
        assert_eq!(entry.read(), None);
        entry.write(&verdict());
        assert_eq!(entry.read(), Some(verdict()));
    }

    #[test]
    fn a_damaged_entry_is_no_entry() {
        let (_folder, entry) = entry();
        entry.write(&verdict());
        let whole = std::fs::read(&entry.file).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(&entry.file, &damaged).unwrap();
            assert_eq!(entry.read(), None, "byte {at}");
            std::fs::write(&entry.file, &whole[..at]).unwrap();
            assert_eq!(entry.read(), None, "cut at {at}");
        }
    }

    #[test]
    fn the_cache_stays_bounded() {
        let (_folder, entry) = entry();
        for n in 0..ENTRIES_MAX + 3 {
            std::fs::write(entry.folder.join(format!("old-{n}")), "x").unwrap();
        }
        entry.write(&verdict());
        let left = std::fs::read_dir(&entry.folder).unwrap().count();
        assert_eq!(left, ENTRIES_MAX);
        assert_eq!(entry.read(), Some(verdict()));
    }
}
