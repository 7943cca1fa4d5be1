//! A disk in memory that knows what a power cut would leave.

use crate::disk::{Disk, FileError, Medium, Opened};
use crate::packing::ReadAt;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The disk; copies are the same one.
#[derive(Clone, Default)]
pub(super) struct Sim {
    state: Rc<RefCell<State>>,
}

#[derive(Clone, Default)]
struct State {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    synced_names: BTreeMap<PathBuf, usize>,
    /// How many more bytes fit.
    room: Option<usize>,
    /// After how many more operations the power fails.
    power: Option<usize>,
    renames_refused: bool,
    syncs_refused: bool,
    operations: Vec<&'static str>,
    open: usize,
    most_open: usize,
}

impl State {
    /// What is cut off makes room.
    fn truncate(&mut self, inode: usize, len: u64) {
        let bytes = &mut self.inodes[inode].bytes;
        let before = bytes.len();
        bytes.truncate(usize::try_from(len).unwrap());
        let freed = before - bytes.len();
        self.room = self.room.map(|room| room.saturating_add(freed));
    }
}

#[derive(Clone, Default)]
struct Inode {
    bytes: Vec<u8>,
    synced: Vec<u8>,
}

/// An open file.
pub(super) struct SimFile {
    sim: Sim,
    inode: usize,
}

impl Sim {
    pub(super) fn set_room(&self, room: usize) {
        self.state.borrow_mut().room = Some(room);
    }

    pub(super) fn refuse_renames(&self, refused: bool) {
        self.state.borrow_mut().renames_refused = refused;
    }

    pub(super) fn refuse_syncs(&self, refused: bool) {
        self.state.borrow_mut().syncs_refused = refused;
    }

    pub(super) fn fail_power_after(&self, operations: usize) {
        self.state.borrow_mut().power = Some(operations);
    }

    pub(super) fn is_dark(&self) -> bool {
        self.state.borrow().power == Some(0)
    }

    pub(super) fn operations(&self) -> Vec<&'static str> {
        self.state.borrow().operations.clone()
    }

    pub(super) fn forget_operations(&self) {
        self.state.borrow_mut().operations.clear();
    }

    pub(super) fn most_open(&self) -> usize {
        self.state.borrow().most_open
    }

    /// A file, to be looked at.
    pub(super) fn file(&self, path: &Path) -> Option<SimFile> {
        let inode = *self.state.borrow().names.get(path)?;
        self.state.borrow_mut().open += 1;
        Some(SimFile { sim: self.clone(), inode })
    }

    /// What the disk holds after a power cut now: of each file what was synced and half of what was not; of the names
    /// those that were synced, or all of them.
    pub(super) fn after_power_cut(&self, renames_survive: bool) -> Self {
        let state = self.state.borrow();
        let mut after = State {
            names: if renames_survive { state.names.clone() } else { state.synced_names.clone() },
            ..State::default()
        };
        after.synced_names = after.names.clone();
        for inode in &state.inodes {
            let mut bytes = inode.synced.clone();
            if let Some(unsynced) = inode.bytes.strip_prefix(&*inode.synced) {
                bytes.extend_from_slice(&unsynced[..unsynced.len() / 2]);
            }
            after.inodes.push(Inode { synced: bytes.clone(), bytes });
        }
        Self { state: Rc::new(RefCell::new(after)) }
    }

    /// Does something to the disk, if there is power.
    fn operate<R>(
        &self,
        name: &'static str,
        change: impl FnOnce(&mut State) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut state = self.state.borrow_mut();
        if let Some(left) = &mut state.power {
            if *left == 0 {
                return Err(io::Error::other("no power"));
            }
            *left -= 1;
            if *left == 0 {
                return Err(io::Error::other("the power fails"));
            }
        }
        state.operations.push(name);
        change(&mut state)
    }
}

impl Disk for Sim {
    type Medium = SimFile;

    fn open(&self, path: &Path, safe: bool) -> Result<Opened<SimFile>, FileError> {
        let failed = |source| FileError::Open { path: path.to_owned(), source };
        let (inode, is_new) = self
            .operate("open", |state| {
                let found = state.names.get(path).copied();
                let inode = found.unwrap_or(state.inodes.len());
                if found.is_none() {
                    state.inodes.push(Inode::default());
                    state.names.insert(path.to_owned(), inode);
                }
                state.open += 1;
                state.most_open = state.most_open.max(state.open);
                Ok((inode, found.is_none()))
            })
            .map_err(failed)?;
        let medium = SimFile { sim: self.clone(), inode };
        if safe && is_new {
            self.sync_folder(crate::disk::folder_of(path)).map_err(failed)?;
        }
        let len = medium.current_len().map_err(failed)?;
        Ok(Opened { medium, len, is_regular: true, begun_ns: None })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operate("rename", |state| {
            if state.renames_refused {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            assert!(!state.names.contains_key(to), "{} is overwritten", to.display());
            let inode = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
            state.names.insert(to.to_owned(), inode);
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.operate("remove", |state| {
            state.names.remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
        })
    }

    fn cut(&self, path: &Path, len: u64) -> io::Result<()> {
        self.operate("cut", |state| {
            let inode = *state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
            state.truncate(inode, len);
            Ok(())
        })
    }

    fn sync_folder(&self, _folder: &Path) -> io::Result<()> {
        self.operate("sync folder", |state| {
            state.synced_names = state.names.clone();
            Ok(())
        })
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        let state = self.state.borrow();
        let inside = state.names.keys().filter(|path| path.parent() == Some(folder));
        Ok(inside.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect())
    }
}

impl ReadAt for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.sim.state.borrow();
        let bytes = &state.inodes[self.inode].bytes;
        let rest = bytes.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }
}

impl Medium for SimFile {
    fn current_len(&self) -> io::Result<u64> {
        Ok(self.sim.state.borrow().inodes[self.inode].bytes.len() as u64)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sim.operate("append", |state| {
            let fits = bytes.len().min(state.room.unwrap_or(usize::MAX));
            state.inodes[self.inode].bytes.extend_from_slice(&bytes[..fits]);
            if let Some(room) = &mut state.room {
                *room -= fits;
            }
            if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.sim.operate("cut", |state| {
            state.truncate(self.inode, len);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sim.operate("sync", |state| {
            if state.syncs_refused {
                return Err(io::Error::other("the disk is broken"));
            }
            let inode = &mut state.inodes[self.inode];
            inode.synced.clone_from(&inode.bytes);
            Ok(())
        })
    }

    fn is_at(&self, path: &Path) -> bool {
        self.sim.state.borrow().names.get(path) == Some(&self.inode)
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        self.sim.state.borrow_mut().open -= 1;
    }
}
