//! The trail's folder: its files, and what they hold.

use super::Where;
use crate::document::{self, Document, DocumentError};
use cardcage_core::audit::{Step, Stream, aside_of, file_name, file_number};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Where the trail is in a state directory.
const FOLDER: &str = "audit";

/// How often a walk is begun anew because retention removed a file in the middle of it.
const WALKS_MAX: u32 = 5;

/// Why a trail cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum TrailError {
    /// There is none.
    #[error("there is no audit trail in {}: no run of the daemon has kept one there", .0.display())]
    None(PathBuf),
    /// The system does not let it be read.
    #[error("{}: {why}", path.display())]
    Unreadable {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Files go faster than they are read.
    #[error("{}: files are removed by retention faster than they can be read; try again", .0.display())]
    Restless(PathBuf),
}

impl Where {
    /// The folder of the trail.
    pub(super) fn folder(&self) -> Result<PathBuf, DocumentError> {
        if let Some(state) = &self.state {
            return Ok(state.join(FOLDER));
        }
        let Document { folder, config } = document::read(self.file.as_deref())?;
        Ok(folder.join(&config.state_directory).join(FOLDER))
    }
}

/// A trail on disk.
#[derive(Debug)]
pub(super) struct Trail {
    pub(super) folder: PathBuf,
    /// The numbers of its files, rising.
    pub(super) files: Vec<u64>,
    /// The names of files that were set aside as damaged, in the order of what they were.
    pub(super) set_aside: Vec<String>,
    /// What has the name of a trail file and is none.
    pub(super) strange: Vec<String>,
}

impl Trail {
    /// The trail in this folder, as it is now.
    pub(super) fn find(folder: &Path) -> Result<Self, TrailError> {
        let unreadable =
            |error: io::Error| TrailError::Unreadable { path: folder.to_owned(), why: error.to_string() };
        let entries = match std::fs::read_dir(folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(TrailError::None(folder.to_owned()));
            }
            entries => entries.map_err(unreadable)?,
        };
        let (mut files, mut set_aside, mut strange) = (Vec::new(), Vec::new(), Vec::new());
        for entry in entries {
            // What is no UTF-8 was not written by a daemon.
            let entry = entry.map_err(unreadable)?;
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            match (file_number(&name), aside_of(&name)) {
                (Some(number), _) if is_file => files.push(number),
                (Some(_), _) => strange.push(name),
                (None, Some(of)) => set_aside.push((of, name)),
                _ => {}
            }
        }
        if files.is_empty() {
            return Err(TrailError::None(folder.to_owned()));
        }
        files.sort_unstable();
        set_aside.sort_unstable();
        let set_aside = set_aside.into_iter().map(|(_, name)| name).collect();
        Ok(Self { folder: folder.to_owned(), files, set_aside, strange })
    }

    /// Goes through a trail from its beginning. `begin` is called before the first file, and again whenever retention removed
    /// a file that was not read yet, for all of it then counts for nothing.
    pub(super) fn walk<T>(
        folder: &Path,
        mut begin: impl FnMut() -> T,
        mut each: impl FnMut(&mut T, News<'_>),
    ) -> Result<(Self, T), TrailError> {
        for _ in 0..WALKS_MAX {
            let trail = Self::find(folder)?;
            let mut to = begin();
            if trail.files.iter().try_fold(true, |whole, number| {
                if !whole {
                    return Ok(false);
                }
                let Some(mut reader) = Reader::open(folder, *number)? else {
                    return Ok(false);
                };
                each(&mut to, News::File(*number));
                reader.finish(|step| each(&mut to, News::Step(step)))?;
                Ok(true)
            })? {
                return Ok((trail, to));
            }
        }
        Err(TrailError::Restless(folder.to_owned()))
    }
}

/// Opens a file that may be anything: what is no regular file is not waited for.
pub(super) fn open(path: &Path) -> io::Result<File> {
    // The bits of flags as the system's call takes them.
    let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no regular file")) }
}

/// Reads on in a file.
pub(super) fn read(path: &Path, file: &mut File, room: &mut [u8]) -> Result<usize, TrailError> {
    file.read(room).map_err(|error| TrailError::Unreadable { path: path.to_owned(), why: error.to_string() })
}

/// The files of a trail for a reader that may be slow: opened before they are read, so that retention takes none away from it.
pub(super) struct Ahead {
    folder: PathBuf,
    numbers: VecDeque<u64>,
    /// Each with whether some before it were gone before they could be opened.
    open: VecDeque<(u64, PathBuf, File, bool)>,
    lacks: bool,
}

/// The most files that are open ahead: well below what a process may have.
const AHEAD_MAX: usize = 256;

impl Ahead {
    pub(super) fn new(trail: Trail) -> Self {
        Self { folder: trail.folder, numbers: trail.files.into(), open: VecDeque::new(), lacks: false }
    }

    /// The next file, and whether some before it were removed unread.
    pub(super) fn next(&mut self) -> Result<Option<(Reader, bool)>, TrailError> {
        while self.open.len() < AHEAD_MAX
            && let Some(number) = self.numbers.pop_front()
        {
            let path = self.folder.join(file_name(number));
            match open(&path) {
                Ok(file) => self.open.push_back((number, path, file, std::mem::take(&mut self.lacks))),
                Err(error) if error.kind() == ErrorKind::NotFound => self.lacks = true,
                Err(error) if !self.open.is_empty() && is_too_many(&error) => {
                    self.numbers.push_front(number);
                    break;
                }
                Err(error) => return Err(TrailError::Unreadable { path, why: error.to_string() }),
            }
        }
        Ok(self.open.pop_front().map(|(number, path, file, lacks)| (Reader::of(number, path, file), lacks)))
    }
}

/// Whether no more files may be open now.
fn is_too_many(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// What comes along on a walk.
pub(super) enum News<'a> {
    /// A file begins.
    File(u64),
    /// The next step in it.
    Step(&'a Step<'a>),
}

/// A trail file while it is read.
pub(super) struct Reader {
    pub(super) number: u64,
    path: PathBuf,
    file: File,
    stream: Stream,
    /// How long the file was when it was read last, in bytes.
    length: u64,
    /// Where damage was found last.
    damaged_at: Option<u64>,
}

impl Reader {
    /// Opens a file; `None` if there is none by now.
    pub(super) fn open(folder: &Path, number: u64) -> Result<Option<Self>, TrailError> {
        let path = folder.join(file_name(number));
        match open(&path) {
            Ok(file) => Ok(Some(Self::of(number, path, file))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(TrailError::Unreadable { path, why: error.to_string() }),
        }
    }

    /// Of a file that is open.
    pub(super) fn of(number: u64, path: PathBuf, file: File) -> Self {
        Self { number, path, file, stream: Stream::new(), length: 0, damaged_at: None }
    }

    /// Everything that is in the file by now; it may grow. What is no whole block yet is read again when the file has changed:
    /// a daemon that finds half a block puts another one in its place.
    pub(super) fn grown(&mut self, each: impl FnMut(&Step<'_>)) -> Result<(), TrailError> {
        let unreadable =
            |error: io::Error| TrailError::Unreadable { path: self.path.clone(), why: error.to_string() };
        let length = self.file.metadata().map_err(unreadable)?.len();
        if length == self.length {
            return Ok(());
        }
        self.length = length;
        self.file.seek(SeekFrom::Start(self.stream.again())).map_err(unreadable)?;
        self.read_on(each)
    }

    fn read_on(&mut self, mut each: impl FnMut(&Step<'_>)) -> Result<(), TrailError> {
        loop {
            match self.stream.step() {
                Step::More => {
                    let read = read(&self.path, &mut self.file, self.stream.room())?;
                    if read == 0 {
                        return Ok(());
                    }
                    self.stream.filled(read);
                }
                step => {
                    let is_end = matches!(step, Step::End { .. });
                    let damaged_at = match &step {
                        Step::Damaged { offset, .. } => Some(*offset),
                        Step::BadHeader(_) => Some(0),
                        _ => None,
                    };
                    // Said once, however often it is read again.
                    if damaged_at.is_none() || damaged_at != self.damaged_at {
                        each(&step);
                    }
                    self.damaged_at = damaged_at.or(self.damaged_at);
                    if is_end {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// What is left of the file, which does not grow any more.
    pub(super) fn finish(&mut self, mut each: impl FnMut(&Step<'_>)) -> Result<(), TrailError> {
        self.grown(&mut each)?;
        self.stream.end();
        self.read_on(each)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cardcage_core::audit::{BlockBuilder, FileHeader, Head, Note, Record};

    fn block(text: &str, head: &mut Head) -> Vec<u8> {
        let mut builder = BlockBuilder::new();
        let note = Note::Remark { text: text.to_owned() };
        builder.push(&Record::Note { time_ns: 1, note }).expect("there is room");
        let sealed = builder.finish(*head);
        *head = sealed.head;
        sealed.bytes.to_vec()
    }

    #[test]
    fn what_takes_the_place_of_half_a_block_is_read_by_whoever_had_seen_the_half() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(file_name(1));
        let mut head = Head::NONE;
        let header = FileHeader { number: 1, after: head }.encode();
        let whole = [&header[..], &block("one", &mut head)].concat();
        let two = block("two, which is longer than what stood there before", &mut head);
        for torn in [&two[..two.len() / 3], b"something else"] {
            std::fs::write(&path, [&whole, torn].concat()).expect("written");
            let mut reader = Reader::open(folder.path(), 1).expect("opened").expect("there");
            let mut seen = Vec::new();
            let mut look = |reader: &mut Reader| {
                let note = |step: &Step<'_>| {
                    if let Step::Block(block) = step {
                        seen.push(block.head.block);
                    }
                };
                reader.grown(note).expect("read");
            };
            look(&mut reader);
            look(&mut reader);
            // The daemon that starts again.
            let (mut after, mut longer) = (head, whole.clone());
            longer.extend_from_slice(&two);
            longer.extend(block("three", &mut after));
            std::fs::write(&path, longer).expect("written");
            look(&mut reader);
            look(&mut reader);
            assert_eq!(seen, [1, 2, 3]);
        }
    }
}
