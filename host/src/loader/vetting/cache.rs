//! Verdicts of earlier runs: only those that passed, and only for the very same everything.
//!
//! A verdict holds for the plugin's bytes, this program, the system libraries, the CPU and the way of vetting; all of
//! them are in the key. Whether a file is trusted is never remembered. An entry says which key it is for, and has a hash
//! over both: one that is damaged, cut off, written by another program or copied from another place is no entry. The hash
//! keeps from accidents. Whoever can write to the folder can make up verdicts, as he could replace the program: the state
//! directory belongs to the daemon's user.

#![forbid(unsafe_code)]

use super::report::Verdict;
use super::sandbox::Sandbox;
use crate::loader::climb::Candidate;
use crate::loader::libraries::SystemLibraries;
use crate::loader::machine;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What each entry begins with; the number is the format's version.
const MAGIC: &str = "cardcage-verdict 2";
/// Entries kept: several versions of many plugins; each has a few KiB.
const ENTRIES_MAX: usize = 512;
/// What drafts of entries begin with. One that a killed daemon left behind goes when room is made.
const DRAFT: &str = "draft-";
/// The largest entry read.
const ENTRY_MAX_BYTES: u64 = 8 * 1024 * 1024;

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
            Sandbox::offered().level(),
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
        file.take(ENTRY_MAX_BYTES + 1).read_to_end(&mut bytes).ok()?;
        parse(&self.key, &bytes)
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
        // Its hash finds a torn entry, so it needs no fsync; the rename keeps readers, of this daemon and of others, from
        // a half-written one.
        let mut draft = tempfile::Builder::new().prefix(DRAFT).tempfile_in(&self.folder)?;
        write!(draft, "{}\n{body}", heading(&self.key, &body))?;
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

/// The verdict in an entry for this key, from bytes that may be anything.
pub(super) fn parse(key: &str, bytes: &[u8]) -> Option<Verdict> {
    if bytes.len() as u64 > ENTRY_MAX_BYTES {
        return None;
    }
    let (first, body) = std::str::from_utf8(bytes).ok()?.split_once('\n')?;
    (first == heading(key, body)).then(|| serde_json::from_str(body).ok()).flatten()
}

fn heading(key: &str, body: &str) -> String {
    let mut hash = blake3::Hasher::new();
    // All keys are equally long, so where one ends and the body begins is no question.
    hash.update(key.as_bytes()).update(body.as_bytes());
    format!("{MAGIC} {key} {}", hash.finalize().to_hex())
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
