//! One writer a file: two sinks that append to one file would cut off each other's lines.
//!
//! The kernel's lock on the file keeps other processes out. Within this process a table says which component has the
//! lock, since a component may be opened anew beside its own earlier generation, and shares it then.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Device and inode.
type FileId = (u64, u64);

static HELD: Mutex<BTreeMap<FileId, Held>> = Mutex::new(BTreeMap::new());

struct Held {
    owner: Option<String>,
    users: u32,
    /// The same open file as the first user's, so that the lock stays while any of them has it.
    file: File,
}

/// Who has the lock that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// A component of this pipeline.
    Component(String),
    /// Another process, by its number where the system says it.
    Process(Option<u32>),
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Component(name) => write!(f, "component `{name}` of this pipeline"),
            Self::Process(Some(id)) => write!(f, "process {id}"),
            Self::Process(None) => f.write_str("another process"),
        }
    }
}

/// Why a file was not locked.
#[derive(Debug)]
pub(crate) enum LockError {
    Taken(Holder),
    Io(io::Error),
}

/// A file's lock; let go when dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    /// `None` where an earlier version of this plugin, still loaded, has the lock for this process.
    id: Option<FileId>,
}

impl Lock {
    /// Locks an open file for a component.
    pub(crate) fn take(file: &File, owner: Option<&str>) -> Result<Self, LockError> {
        let metadata = file.metadata().map_err(LockError::Io)?;
        let id = (metadata.dev(), metadata.ino());
        let mut held = held();
        if let Some(holder) = held.get_mut(&id) {
            return match &holder.owner {
                Some(name) if Some(&**name) != owner => {
                    Err(LockError::Taken(Holder::Component(name.clone())))
                }
                _ => {
                    holder.users += 1;
                    Ok(Self { id: Some(id) })
                }
            };
        }
        match file.try_lock() {
            Ok(()) => {
                let file = file.try_clone().map_err(LockError::Io)?;
                held.insert(id, Held { owner: owner.map(str::to_owned), users: 1, file });
                Ok(Self { id: Some(id) })
            }
            Err(TryLockError::WouldBlock) => match process_with_lock(metadata.ino()) {
                Some(process) if process == std::process::id() => Ok(Self { id: None }),
                process => Err(LockError::Taken(Holder::Process(process))),
            },
            // Some network file systems have no locks; they then have no protection either.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                Ok(Self { id: None })
            }
            Err(TryLockError::Error(error)) => Err(LockError::Io(error)),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let Some(id) = self.id else {
            return;
        };
        let mut held = held();
        if let Some(holder) = held.get_mut(&id) {
            holder.users -= 1;
            if holder.users == 0
                && let Some(holder) = held.remove(&id)
            {
                // The target's own descriptor may live a moment longer and would keep the lock.
                let _ = holder.file.unlock();
            }
        }
    }
}

fn held() -> MutexGuard<'static, BTreeMap<FileId, Held>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The process that has locked an inode, as the kernel lists it: `7: FLOCK ADVISORY WRITE 1234 fe:00:567 0 EOF`.
fn process_with_lock(inode: u64) -> Option<u32> {
    process_in(&std::fs::read_to_string("/proc/locks").ok()?, inode)
}

fn process_in(locks: &str, inode: u64) -> Option<u32> {
    locks.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip_while(|word| *word != "FLOCK").skip(3);
        let process = words.next()?.parse().ok()?;
        let file = words.next()?.rsplit(':').next()?;
        (file == inode.to_string()).then_some(process)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_shares_with_itself_and_with_no_other() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let other = File::options().append(true).open(file.path()).unwrap();
        let lock = Lock::take(file.as_file(), Some("a")).unwrap();
        let again = Lock::take(&other, Some("a")).unwrap();
        let taken = |owner| match Lock::take(&other, Some(owner)) {
            Err(LockError::Taken(holder)) => holder.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(taken("b"), "component `a` of this pipeline");
        drop(lock);
        assert_eq!(taken("b"), "component `a` of this pipeline");
        drop(again);
        assert!(Lock::take(&other, Some("b")).is_ok());
    }

    #[test]
    fn another_process_is_named_by_its_number() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut holder = std::process::Command::new("flock")
            .args([file.path().to_str().unwrap(), "-c", "echo locked; read line"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = [0; 7];
        io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut said).unwrap();
        match Lock::take(file.as_file(), Some("a")) {
            Err(LockError::Taken(Holder::Process(Some(id)))) => assert_eq!(id, holder.id()),
            other => panic!("{other:?}"),
        }
        drop(holder.stdin.take());
        holder.wait().unwrap();
        assert!(Lock::take(file.as_file(), Some("a")).is_ok());
    }

    #[test]
    fn the_kernels_list_is_read() {
        let locks = "1: POSIX  ADVISORY  WRITE 5 fe:00:77 0 EOF\n2: FLOCK  ADVISORY  WRITE 42 fe:00:77 0 EOF\n2: -> FLOCK ADVISORY WRITE 43 fe:00:78 0 EOF\n";
        assert_eq!(process_in(locks, 77), Some(42));
        assert_eq!(process_in(locks, 7), None);
    }
}
