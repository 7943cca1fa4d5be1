//! Verdicts of earlier runs: only those that passed, and only for the very same everything.
//!
//! A verdict holds for the plugin's bytes, this program, the libraries that it needs directly and by way of others, the CPU
//! and the way of vetting; all of them are in the key. Where one of the libraries cannot be told, nothing is remembered.
//! Whether a file is trusted is never remembered either. What an entry looks like, and when one is whole, is in
//! `cardcage_core::verdict`. Whoever can write to the folder can make up verdicts, so it is held to the rule of folders
//! with plugins: one that others could write to is left alone.

#![forbid(unsafe_code)]

use super::sandbox;
use crate::loader::climb::Candidate;
use crate::loader::file;
use crate::loader::libraries::SystemLibraries;
use crate::loader::machine;
use cardcage_core::verdict::{self, ENTRY_MAX_BYTES, MAGIC, Verdict};
use std::fs::{DirBuilder, File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::SystemTime;

/// Entries kept: several versions of many plugins; each has a few KiB.
const ENTRIES_MAX: usize = 512;
/// What drafts of entries begin with. One that a killed daemon left behind goes when room is made.
const DRAFT: &str = "draft-";

/// One plugin's place in the cache.
#[derive(Debug)]
pub(super) struct Entry {
    folder: PathBuf,
    /// What the verdict holds for; also the file's name. Absent where nobody could tell what it holds for.
    key: Option<String>,
}

impl Entry {
    /// The place for this candidate.
    pub(super) fn of(folder: &Path, candidate: &Candidate, libraries: &mut SystemLibraries) -> Self {
        let libraries = match libraries.identity(&candidate.image.needed) {
            Ok(libraries) => libraries,
            Err(unidentified) => {
                let plugin = candidate.copy.path().display();
                tracing::debug!(%plugin, %unidentified, "no verdict is remembered: it could outlive what it holds for");
                return Self { folder: folder.to_owned(), key: None };
            }
        };
        let mut key = blake3::Hasher::new();
        let parts = [
            candidate.copy.hash().to_hex().to_string(),
            this_program(),
            libraries,
            machine::features(),
            sandbox::level(&sandbox::offered()),
            MAGIC.to_owned(),
        ];
        for part in parts {
            key.update(&(part.len() as u64).to_le_bytes());
            key.update(part.as_bytes());
        }
        Self { folder: folder.to_owned(), key: Some(key.finalize().to_hex().to_string()) }
    }

    /// The verdict, if there is a whole one.
    pub(super) fn read(&self) -> Option<Verdict> {
        let path = self.file()?;
        // Not waiting for the other end of a FIFO.
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC | rustix::fs::OFlags::NOFOLLOW;
        let file = File::from(rustix::fs::open(&path, flags, rustix::fs::Mode::empty()).ok()?);
        // A FIFO or a device in its place is no entry; a file that grows is read up to the bound.
        let meta = file.metadata().ok()?;
        if !meta.is_file() || !self.is_ours(&path, &meta) {
            return None;
        }
        let mut bytes = Vec::new();
        file.take(ENTRY_MAX_BYTES as u64 + 1).read_to_end(&mut bytes).ok()?;
        verdict::remembered(self.key.as_ref()?, &bytes)
    }

    /// Keeps a verdict. A cache that cannot be written costs time and nothing else, so that is only logged.
    pub(super) fn write(&self, verdict: &Verdict) {
        if let Err(error) = self.try_write(verdict) {
            tracing::debug!(folder = %self.folder.display(), %error, "a verdict could not be kept");
        }
    }

    fn try_write(&self, verdict: &Verdict) -> io::Result<()> {
        let (Some(key), Some(file)) = (&self.key, self.file()) else {
            return Ok(());
        };
        let entry = verdict::entry(key, verdict)?;
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        if !self.is_ours(&self.folder, &std::fs::metadata(&self.folder)?) {
            return Ok(());
        }
        self.make_room()?;
        // Its hash finds a torn entry, so it needs no fsync; the rename keeps readers, of this daemon and of others, from
        // a half-written one.
        let mut draft = tempfile::Builder::new().prefix(DRAFT).tempfile_in(&self.folder)?;
        draft.write_all(&entry)?;
        draft.persist(file)?;
        Ok(())
    }

    fn file(&self) -> Option<PathBuf> {
        Some(self.folder.join(self.key.as_ref()?))
    }

    /// Whether nobody else could have made this up. That it is not so is said once: it costs time at every start.
    fn is_ours(&self, path: &Path, meta: &Metadata) -> bool {
        static TOLD: Once = Once::new();
        let Some(why) = file::open_to_others(path, meta) else {
            return true;
        };
        let folder = self.folder.display();
        TOLD.call_once(|| {
            tracing::warn!(%folder, "verdicts of the ladder are neither believed nor kept: {why}");
        });
        false
    }

    fn make_room(&self) -> io::Result<()> {
        let mut entries: Vec<(SystemTime, PathBuf)> = std::fs::read_dir(&self.folder)?
            .filter_map(Result::ok)
            // Nothing else is ours, whatever folder this is.
            .filter(|entry| entry.file_name().to_str().is_some_and(is_entry_or_draft))
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

fn is_entry_or_draft(name: &str) -> bool {
    let hash = name.len() == 2 * blake3::OUT_LEN
        && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    hash || name.starts_with(DRAFT)
}

/// What tells one build of this program from another: the file it runs from.
fn this_program() -> String {
    let Ok(meta) = std::fs::metadata("/proc/self/exe") else {
        return String::new();
    };
    let (modified, changed) = ((meta.mtime(), meta.mtime_nsec()), (meta.ctime(), meta.ctime_nsec()));
    format!("{}:{}:{}:{modified:?}:{changed:?}", meta.dev(), meta.ino(), meta.size())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cardcage_core::verdict::Sandbox;
    use std::os::unix::fs::PermissionsExt as _;

    fn entry() -> (tempfile::TempDir, Entry) {
        let folder = tempfile::tempdir().unwrap();
        let entry = Entry { folder: folder.path().join("verdicts"), key: Some("abc".to_owned()) };
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
        let whole = std::fs::read(entry.file().unwrap()).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(entry.file().unwrap(), &damaged).unwrap();
            assert_eq!(entry.read(), None, "byte {at}");
            std::fs::write(entry.file().unwrap(), &whole[..at]).unwrap();
            assert_eq!(entry.read(), None, "cut at {at}");
        }
    }

    #[test]
    fn an_entry_that_is_in_anothers_place_is_no_entry() {
        let (_folder, entry) = entry();
        entry.write(&verdict());
        let other = Entry { folder: entry.folder.clone(), key: Some("abd".to_owned()) };
        std::fs::copy(entry.file().unwrap(), other.file().unwrap()).unwrap();
        assert_eq!(other.read(), None);
        assert_eq!(entry.read(), Some(verdict()));
    }

    #[test]
    fn what_is_no_file_is_no_entry_and_does_not_block() {
        let (_folder, entry) = entry();
        std::fs::create_dir_all(entry.file().unwrap()).unwrap();
        assert_eq!(entry.read(), None);
        entry.write(&verdict());
        assert_eq!(entry.read(), None);
        std::fs::remove_dir(entry.file().unwrap()).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            entry.file().unwrap(),
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
            std::fs::write(entry.folder.join(format!("{n:064x}")), "x").unwrap();
        }
        entry.write(&verdict());
        let left = std::fs::read_dir(&entry.folder).unwrap().count();
        assert_eq!(left, ENTRIES_MAX);
        assert_eq!(entry.read(), Some(verdict()));
    }

    #[test]
    fn files_that_are_not_the_caches_own_stay() {
        let (_folder, entry) = entry();
        std::fs::create_dir_all(&entry.folder).unwrap();
        let others = (0..ENTRIES_MAX + 3).map(|n| format!("case-{n}.txt"));
        // As long as an entry's name, and not made of the digits of a hash.
        let others: Vec<String> = others.chain([format!("{:064}", "x"), "A".repeat(64)]).collect();
        for name in &others {
            std::fs::write(entry.folder.join(name), "x").unwrap();
        }
        entry.write(&verdict());
        assert_eq!(entry.read(), Some(verdict()));
        for name in &others {
            assert!(entry.folder.join(name).exists(), "{name} was removed");
        }
    }

    #[test]
    fn where_others_can_write_nothing_is_believed_or_kept() {
        let (_folder, entry) = entry();
        let mode = |path: &Path, mode: u32| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        entry.write(&verdict());
        assert_eq!(std::fs::metadata(&entry.folder).unwrap().mode() & 0o777, 0o700);
        for path in [&entry.folder, &entry.file().unwrap()] {
            let before = std::fs::metadata(path).unwrap().mode();
            mode(path, before | 0o002);
            assert_eq!(entry.read(), None, "{}", path.display());
            mode(path, before);
            assert_eq!(entry.read(), Some(verdict()));
        }
        std::fs::remove_file(entry.file().unwrap()).unwrap();
        mode(&entry.folder, 0o777);
        entry.write(&verdict());
        assert!(!entry.file().unwrap().exists());
    }

    #[test]
    fn without_a_key_nothing_is_believed_or_kept() {
        let (_folder, entry) = entry();
        let unknown = Entry { folder: entry.folder.clone(), key: None };
        unknown.write(&verdict());
        assert_eq!(unknown.read(), None);
        assert!(!entry.folder.exists());
    }
}
