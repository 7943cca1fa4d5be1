//! What `/proc` tells of this thread and process.
//!
//! In the vetting child each file that is opened is a question to the daemon, which is slow; so there the three of them
//! stay open, and are read again. Should the library have closed one, it is opened anew.

#![forbid(unsafe_code)]

use super::descriptors::PRIVATE_FROM;
use rustix::fs::{Mode, OFlags, RawDir, SeekFrom, Stat, fstat};
use std::collections::BTreeSet;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

const STATUS: &str = "/proc/thread-self/status";
const TIMERS: &str = "/proc/self/timers";
const DESCRIPTORS: &str = "/proc/self/fd";
/// What is read at a time: a status is half as long.
const PIECE_BYTES: usize = 4096;

/// The three files.
#[derive(Debug)]
pub(super) struct Told {
    /// Each is kept open, or opened for each reading.
    kept: Option<[Kept; 3]>,
}

#[derive(Debug)]
struct Kept {
    file: OwnedFd,
    device: u64,
    inode: u64,
}

impl Told {
    /// To be opened for each reading.
    pub(super) fn anew() -> Self {
        Self { kept: None }
    }

    /// To be kept open where that is possible.
    pub(super) fn kept() -> Self {
        let open = || -> io::Result<_> { Ok([Kept::of(STATUS)?, Kept::of(TIMERS)?, Kept::of(DESCRIPTORS)?]) };
        Self { kept: open().ok() }
    }

    /// The thread's status, line by line.
    pub(super) fn status(&self) -> String {
        self.text(0, STATUS)
    }

    /// The timers that the process has made.
    pub(super) fn timers(&self) -> String {
        self.text(1, TIMERS)
    }

    /// The numbers of all descriptors that are open, but for one that is open only meanwhile.
    pub(super) fn descriptors(&self) -> BTreeSet<i32> {
        if let Some(numbers) = self.still(2).and_then(|kept| numbers(kept.file.as_fd()).ok()) {
            return numbers;
        }
        let Ok(folder) = open(DESCRIPTORS) else {
            return BTreeSet::new();
        };
        let mut numbers = numbers(folder.as_fd()).unwrap_or_default();
        numbers.remove(&folder.as_raw_fd());
        numbers
    }

    fn text(&self, which: usize, path: &str) -> String {
        let kept = self.still(which).and_then(|kept| text(kept.file.as_fd()).ok());
        kept.or_else(|| text(open(path).ok()?.as_fd()).ok()).unwrap_or_default()
    }

    /// The kept file, if its number is still its own.
    fn still(&self, which: usize) -> Option<&Kept> {
        let kept = self.kept.as_ref()?.get(which)?;
        let Stat { st_dev, st_ino, .. } = fstat(&kept.file).ok()?;
        ((st_dev, st_ino) == (kept.device, kept.inode)).then_some(kept)
    }
}

impl Kept {
    fn of(path: &str) -> io::Result<Self> {
        let file = rustix::io::fcntl_dupfd_cloexec(open(path)?, PRIVATE_FROM)?;
        let Stat { st_dev, st_ino, .. } = fstat(&file)?;
        Ok(Self { file, device: st_dev, inode: st_ino })
    }
}

fn open(path: &str) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

/// All of a file, as it is now.
fn text(file: BorrowedFd<'_>) -> io::Result<String> {
    let mut text = Vec::new();
    loop {
        let from = text.len();
        text.resize(from + PIECE_BYTES, 0);
        let read = rustix::io::pread(file, &mut text[from..], from as u64)?;
        text.truncate(from + read);
        if read == 0 {
            return String::from_utf8(text).map_err(io::Error::other);
        }
    }
}

/// The entries of a folder of descriptors that are numbers.
fn numbers(folder: BorrowedFd<'_>) -> io::Result<BTreeSet<i32>> {
    rustix::fs::seek(folder, SeekFrom::Start(0))?;
    let mut room = [MaybeUninit::uninit(); PIECE_BYTES];
    let mut entries = RawDir::new(folder, &mut room);
    let mut numbers = BTreeSet::new();
    while let Some(entry) = entries.next() {
        numbers.extend(entry?.file_name().to_str().ok().and_then(|name| name.parse::<i32>().ok()));
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn what_is_kept_open_tells_the_same_as_what_is_opened_anew() {
        let _turn = super::super::turn();
        let (kept, anew) = (Told::kept(), Told::anew());
        for told in [&kept, &anew] {
            assert!(told.status().contains("Umask:"), "{told:?}");
            let file = File::open("/dev/null").unwrap();
            assert!(told.descriptors().contains(&file.as_raw_fd()), "{told:?}");
            let number = file.as_raw_fd();
            drop(file);
            assert!(!told.descriptors().contains(&number), "{told:?}");
        }
    }

    #[test]
    fn a_file_that_took_the_place_of_a_kept_one_is_not_read() {
        let _turn = super::super::turn();
        let mut told = Told::kept();
        told.kept.as_mut().unwrap()[0].file = open("/dev/zero").unwrap();
        assert!(told.status().contains("Umask:"));
    }
}
