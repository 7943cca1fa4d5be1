//! Files that came since the last look, held open so that they can be read whatever becomes of their names.
//!
//! A look finds what has a name at that moment, and none is made while the lane waits. A file that is created, renamed
//! and followed by the next one in between would never be seen. So `notify`'s thread opens what comes under a name that
//! is meant, and what is moved away from one, as soon as it is told; the next look takes all of it up.

use crate::error::FileError;
use crate::identity::Identity;
use crate::paths::Patterns;
use crate::tracked::open_regular;
use std::collections::HashMap;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// How many files are held at most: an eighth of the 1,024 descriptors that a process usually has. Others are read if the
/// lane finds them under a name that is meant when it goes on, and are lost where they were moved away from it.
pub(crate) const HELD_MAX: usize = 128;
/// For how long after its first move a file is followed from name to name. Less than [`GONE_GRACE_NS`], after which the source
/// no longer knows what it has read: a rotated file is renamed again and again, for weeks.
///
/// [`GONE_GRACE_NS`]: crate::roster::GONE_GRACE_NS
const MOVES_FOLLOWED_NS: i64 = 2_000_000_000;
/// Of how many names it is remembered that files of theirs were not opened, and to how many files were moved.
const NAMES_MAX: usize = 16_384;

/// A file that came.
pub(crate) struct Held {
    /// The path by which it is meant, or was.
    pub(crate) name: PathBuf,
    pub(crate) identity: Identity,
    pub(crate) file: File,
    /// It was opened under the name that it was moved to. Perhaps it had come long before.
    pub(crate) is_moved: bool,
    pub(crate) created: Option<SystemTime>,
}

/// What came since the last look.
#[derive(Default)]
pub(crate) struct Arrived {
    /// The oldest first.
    pub(crate) held: Vec<Held>,
    /// By name, how many files came that were not opened.
    pub(crate) missed: HashMap<PathBuf, u64>,
    /// By name, how many files turned up under another one that is meant.
    pub(crate) turned_up: HashMap<PathBuf, u64>,
    /// There may have been more of them.
    pub(crate) unclear: bool,
}

/// Where `notify`'s thread leaves the files.
pub(crate) struct Arrivals {
    patterns: Arc<Patterns>,
    desk: Mutex<Desk>,
}

#[derive(Default)]
struct Desk {
    /// Folders by their absolute path, as they are meant.
    folders: HashMap<PathBuf, PathBuf>,
    /// Paths to which files were moved, the names by which those are meant, and the time of the look before they lost them.
    moved_to: HashMap<PathBuf, (PathBuf, i64)>,
    /// Of the last look. Between two looks the source forgets no file.
    looked_ns: i64,
    arrived: Arrived,
}

impl Arrivals {
    pub(crate) fn new(patterns: Arc<Patterns>) -> Self {
        Self { patterns, desk: Mutex::default() }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        // Nothing that can panic runs under this lock.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A folder that is watched.
    pub(crate) fn watches(&self, known_as: PathBuf, folder: PathBuf) {
        self.desk().folders.insert(known_as, folder);
    }

    /// A folder that is not watched any longer.
    pub(crate) fn forgets(&self, known_as: &Path) {
        self.desk().folders.remove(known_as);
    }

    /// Whether anything came since it was last taken.
    pub(crate) fn any(&self) -> bool {
        let arrived = &self.desk().arrived;
        !arrived.held.is_empty() || !arrived.missed.is_empty()
    }

    /// Everything that came since this was last asked; a look follows.
    pub(crate) fn take(&self, now_ns: i64) -> Arrived {
        let mut desk = self.desk();
        desk.looked_ns = now_ns;
        desk.moved_to.retain(|_, (_, since_ns)| now_ns.saturating_sub(*since_ns) < MOVES_FOLLOWED_NS);
        let mut arrived = std::mem::take(&mut desk.arrived);
        drop(desk);
        arrived.held.sort_by_key(|held| held.created);
        arrived
    }

    /// A file came under this path.
    pub(crate) fn came(&self, path: &Path) {
        if let Some(name) = self.meant(path) {
            self.hold(name, path, false);
        }
    }

    /// A file got another path.
    pub(crate) fn moved(&self, from: &Path, to: &Path) {
        let known = self.desk().moved_to.remove(from);
        let (from, goes_on) = (self.meant(from), self.meant(to).is_some());
        let mut desk = self.desk();
        let Some((name, since_ns)) = from.map(|name| (name, desk.looked_ns)).or(known) else {
            return;
        };
        if goes_on {
            // It came there, which is told by itself.
            let turned_up = &mut desk.arrived.turned_up;
            if turned_up.len() < NAMES_MAX || turned_up.contains_key(&name) {
                *turned_up.entry(name).or_default() += 1;
            }
            return;
        }
        if desk.moved_to.len() >= NAMES_MAX {
            desk.moved_to.clear();
        }
        desk.moved_to.insert(to.to_owned(), (name.clone(), since_ns));
        drop(desk);
        self.hold(name, to, true);
    }

    /// The system lost count of what happened.
    pub(crate) fn lost_count(&self) {
        self.desk().arrived.unclear = true;
    }

    /// The path as it is meant, if it is.
    fn meant(&self, path: &Path) -> Option<PathBuf> {
        let name = as_meant(&self.desk().folders, path)?;
        self.patterns.matches(&name).then_some(name)
    }

    fn hold(&self, name: PathBuf, path: &Path, is_moved: bool) {
        let is_full = self.desk().arrived.held.len() >= HELD_MAX;
        // Not under the lock, which the lane may want.
        let opened = (!is_full).then(|| open_regular(path));
        let is_gone = |error: &FileError| match error {
            FileError::Open { source, .. } => {
                source.kind() == ErrorKind::NotFound && path.symlink_metadata().is_err()
            }
            _ => false,
        };
        let mut desk = self.desk();
        match opened {
            Some(Ok(file)) => desk.arrived.keep(name, file, is_moved),
            // The look says what is wrong with a file that is there.
            Some(Err(error)) if !is_gone(&error) => {}
            _ if is_moved => {}
            _ => desk.arrived.miss(name),
        }
    }
}

impl Arrived {
    fn keep(&mut self, name: PathBuf, file: File, is_moved: bool) {
        let Ok(metadata) = file.metadata() else {
            return self.miss(name);
        };
        let identity = Identity::of(&metadata);
        let Some(held) = self.held.iter_mut().find(|held| held.identity == identity) else {
            self.held.push(Held { name, identity, file, is_moved, created: metadata.created().ok() });
            return;
        };
        if is_moved {
            return;
        }
        // It came under a name that has a later file by now. Perhaps it is found where it was moved to.
        if !std::mem::replace(&mut held.is_moved, false) && held.name == name {
            self.miss(name);
        }
    }

    fn miss(&mut self, name: PathBuf) {
        if self.missed.len() < NAMES_MAX || self.missed.contains_key(&name) {
            *self.missed.entry(name).or_default() += 1;
        } else {
            self.unclear = true;
        }
    }
}

/// An absolute path as the source knows it.
pub(crate) fn as_meant(folders: &HashMap<PathBuf, PathBuf>, path: &Path) -> Option<PathBuf> {
    let (folder, name) = (folders.get(path.parent()?)?, path.file_name()?);
    Some(if folder == Path::new(".") { PathBuf::from(name) } else { folder.join(name) })
}
