//! Verdicts of earlier runs: only those that passed, and only for the very same everything.
//!
//! A verdict holds for the plugin's bytes, this program, the system libraries, the CPU and the way of vetting; all of
//! them are in the key. Whether a file is trusted is never remembered. What an entry looks like, and when one is whole, is
//! in `cardcage_core::verdict`. Whoever can write to the folder can make up verdicts, as he could replace the program: the
//! state directory belongs to the daemon's user.

#![forbid(unsafe_code)]

use super::sandbox;
use crate::loader::climb::Candidate;
use crate::loader::libraries::SystemLibraries;
use crate::loader::machine;
use cardcage_core::verdict::{self, ENTRY_MAX_BYTES, MAGIC, Verdict};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Entries kept: several versions of many plugins; each has a few KiB.
const ENTRIES_MAX: usize = 512;
/// What drafts of entries begin with. One that a killed daemon left behind goes when room is made.
const DRAFT: &str = "draft-";

/// One plugin's place in the cache.
#[derive(Debug)]
pub(super) struct Entry {
    folder: PathBuf,
    /// What the verdict holds for; also the file's name.
    key: String,
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
            sandbox::level(&sandbox::offered()),
            MAGIC.to_owned(),
        ];
        for part in parts {
            key.update(&(part.len() as u64).to_le_bytes());
            key.update(part.as_bytes());
        }
        Self { folder: folder.to_owned(), key: key.finalize().to_hex().to_string() }
    }

    /// The verdict, if there is a whole one.
    pub(super) fn read(&self) -> Option<Verdict> {
        // Not waiting for the other end of a FIFO.
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(self.file(), flags, rustix::fs::Mode::empty()).ok()?);
        // A FIFO or a device in its place is no entry; a file that grows is read up to the bound.
        if !file.metadata().ok()?.is_file() {
            return None;
        }
        let mut bytes = Vec::new();
        file.take(ENTRY_MAX_BYTES as u64 + 1).read_to_end(&mut bytes).ok()?;
        verdict::remembered(&self.key, &bytes)
    }

    /// Keeps a verdict. A cache that cannot be written costs time and nothing else, so that is only logged.
    pub(super) fn write(&self, verdict: &Verdict) {
        if let Err(error) = self.try_write(verdict) {
            tracing::debug!(folder = %self.folder.display(), %error, "a verdict could not be kept");
        }
    }

    fn try_write(&self, verdict: &Verdict) -> io::Result<()> {
        let entry = verdict::entry(&self.key, verdict)?;
        std::fs::create_dir_all(&self.folder)?;
        self.make_room()?;
        // Its hash finds a torn entry, so it needs no fsync; the rename keeps readers, of this daemon and of others, from
        // a half-written one.
        let mut draft = tempfile::Builder::new().prefix(DRAFT).tempfile_in(&self.folder)?;
        draft.write_all(&entry)?;
        draft.persist(self.file())?;
        Ok(())
    }

    fn file(&self) -> PathBuf {
        self.folder.join(&self.key)
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
            match std::fs::remove_file(path) {
                // Another daemon made room as well.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
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
    use cardcage_core::verdict::Sandbox;

    fn entry() -> (tempfile::TempDir, Entry) {
        let folder = tempfile::tempdir().unwrap();
        let entry = Entry { folder: folder.path().join("verdicts"), key: "abc".to_owned() };
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
        let whole = std::fs::read(entry.file()).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(entry.file(), &damaged).unwrap();
            assert_eq!(entry.read(), None, "byte {at}");
            std::fs::write(entry.file(), &whole[..at]).unwrap();
            assert_eq!(entry.read(), None, "cut at {at}");
        }
    }

    #[test]
    fn an_entry_that_is_in_anothers_place_is_no_entry() {
        let (_folder, entry) = entry();
        entry.write(&verdict());
        let other = Entry { folder: entry.folder.clone(), key: "abd".to_owned() };
        std::fs::copy(entry.file(), other.file()).unwrap();
        assert_eq!(other.read(), None);
        assert_eq!(entry.read(), Some(verdict()));
    }

    #[test]
    fn what_is_no_file_is_no_entry_and_does_not_block() {
        let (_folder, entry) = entry();
        std::fs::create_dir_all(entry.file()).unwrap();
        assert_eq!(entry.read(), None);
        entry.write(&verdict());
        assert_eq!(entry.read(), None);
        std::fs::remove_dir(entry.file()).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            entry.file(),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        assert_eq!(entry.read(), None);
        // The rename replaces what is in the way.
        entry.write(&verdict());
        assert_eq!(entry.read(), Some(verdict()));
    }

    #[test]
    fn many_writers_and_readers_never_see_half_an_entry() {
        let (_folder, entry) = entry();
        entry.write(&verdict());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        entry.write(&verdict());
                        assert_eq!(entry.read(), Some(verdict()));
                    }
                });
            }
        });
        let left = std::fs::read_dir(&entry.folder).unwrap().count();
        assert_eq!(left, 1, "drafts stay behind");
    }

    #[test]
    fn the_cache_stays_bounded() {
        let (_folder, entry) = entry();
        std::fs::create_dir_all(&entry.folder).unwrap();
        for n in 0..ENTRIES_MAX + 3 {
            std::fs::write(entry.folder.join(format!("old-{n}")), "x").unwrap();
        }
        entry.write(&verdict());
        let left = std::fs::read_dir(&entry.folder).unwrap().count();
        assert_eq!(left, ENTRIES_MAX);
        assert_eq!(entry.read(), Some(verdict()));
    }
}
