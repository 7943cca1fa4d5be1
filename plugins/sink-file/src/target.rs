//! The file that lines are appended to, which never keeps half a line.

use cardcage_plugin_api::tracing;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// How much of the file is read at a time to find its last line end.
const TAIL_BYTES: u64 = 64 * 1024;

/// What a target is kept in: a file, or in tests something that fails on demand.
pub(crate) trait Medium: Write {
    /// How long it is.
    fn current_len(&self) -> io::Result<u64>;
    /// Makes it this long.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Waits until the disk has it.
    fn sync_data(&self) -> io::Result<()>;
}

impl Medium for File {
    fn current_len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Why the file cannot be written.
#[derive(Debug, Error)]
pub(crate) enum TargetError {
    #[error("cannot make the folder `{path}`")]
    Folder { path: PathBuf, source: io::Error },
    #[error("cannot open `{path}` for writing")]
    Open { path: PathBuf, source: io::Error },
    #[error("`{path}` is a FIFO or socket; give the path of a file")]
    NotAFile { path: PathBuf },
    #[error("cannot look for the last whole line of `{path}`")]
    Tail { path: PathBuf, source: io::Error },
    #[error("cannot write {bytes} bytes to `{path}` (at byte {at})")]
    Write { path: PathBuf, at: u64, bytes: usize, source: io::Error },
    #[error("cannot cut `{path}` back to {len} bytes, its last whole line; it may end in half a line")]
    Cut { path: PathBuf, len: u64, source: io::Error },
    #[error("cannot make `{path}` safe on disk")]
    Sync { path: PathBuf, source: io::Error },
}

/// A file that lines are appended to.
pub(crate) struct Target<M> {
    path: PathBuf,
    medium: M,
    /// Bytes in the file, all of them whole lines.
    len: u64,
    /// Devices such as `/dev/null` have no length and no disk.
    is_regular: bool,
}

impl Target<File> {
    /// Opens or makes the file and the folders on its way; half a line at its end is cut off. `safe` makes the new
    /// name itself survive a power cut.
    pub(crate) fn open(path: &Path, safe: bool) -> Result<Self, TargetError> {
        let failed = |source| TargetError::Open { path: path.to_owned(), source };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder {
            fs::create_dir_all(folder)
                .map_err(|source| TargetError::Folder { path: folder.to_owned(), source })?;
        }
        let existing = path.metadata().ok().map(|metadata| metadata.file_type());
        // Opening a FIFO would wait for a reader.
        if existing.is_some_and(|kind| kind.is_fifo() || kind.is_socket()) {
            return Err(TargetError::NotAFile { path: path.to_owned() });
        }
        let file = OpenOptions::new().append(true).create(true).open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if safe && existing.is_none() {
            File::open(folder.unwrap_or(Path::new(".")))
                .and_then(|folder| folder.sync_all())
                .map_err(failed)?;
        }
        let mut target =
            Self { path: path.to_owned(), medium: file, len: metadata.len(), is_regular: metadata.is_file() };
        target.cut_torn_line()?;
        Ok(target)
    }

    /// Cuts off what stands behind the last line end: half a line that a crash or a power cut left.
    fn cut_torn_line(&mut self) -> Result<(), TargetError> {
        if !self.is_regular {
            return Ok(());
        }
        let whole = whole_lines_len(&self.path, self.len)
            .map_err(|source| TargetError::Tail { path: self.path.clone(), source })?;
        if whole < self.len {
            tracing::warn!(
                file = %self.path.display(), bytes = self.len - whole,
                "the file ends in half a line, left by a crash; it is cut off"
            );
            self.cut_to(whole)?;
        }
        Ok(())
    }
}

impl<M: Medium> Target<M> {
    /// Bytes in the file, as it is now: an earlier generation of this sink may have written to it since it was opened,
    /// and someone may have emptied it.
    pub(crate) fn look(&mut self) -> Result<u64, TargetError> {
        if self.is_regular {
            self.len = self
                .medium
                .current_len()
                .map_err(|source| TargetError::Open { path: self.path.clone(), source })?;
        }
        Ok(self.len)
    }

    /// Bytes in the file after the last append or cut.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Appends whole lines: all of them, or none and an error.
    pub(crate) fn append(&mut self, lines: &[u8]) -> Result<(), TargetError> {
        if let Err(source) = self.medium.write_all(lines) {
            // What the disk took of them is cut off again. If even that fails, both are said: the caller's cut to
            // where its batch began will fail as well.
            let _ = self.cut_to(self.len);
            return Err(TargetError::Write {
                path: self.path.clone(),
                at: self.len,
                bytes: lines.len(),
                source,
            });
        }
        self.len += lines.len() as u64;
        Ok(())
    }

    /// Cuts the file back to a length that it had.
    pub(crate) fn cut_to(&mut self, len: u64) -> Result<(), TargetError> {
        if self.is_regular {
            self.medium.set_len(len).map_err(|source| TargetError::Cut {
                path: self.path.clone(),
                len,
                source,
            })?;
        }
        self.len = len;
        Ok(())
    }

    /// Waits until the disk has everything appended so far.
    pub(crate) fn sync(&mut self) -> Result<(), TargetError> {
        if !self.is_regular {
            return Ok(());
        }
        self.medium.sync_data().map_err(|source| TargetError::Sync { path: self.path.clone(), source })
    }
}

/// The bytes up to and with the last line end, searched from the end.
fn whole_lines_len(path: &Path, len: u64) -> io::Result<u64> {
    if len == 0 {
        return Ok(0);
    }
    let mut file = File::open(path)?;
    let mut end = len;
    while end > 0 {
        let start = end.saturating_sub(TAIL_BYTES);
        file.seek(SeekFrom::Start(start))?;
        let mut piece = Vec::new();
        (&file).take(end - start).read_to_end(&mut piece)?;
        if let Some(at) = piece.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for so many bytes.
    struct SmallDisk {
        room: usize,
        bytes: std::cell::RefCell<Vec<u8>>,
    }

    impl Write for SmallDisk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut held = self.bytes.borrow_mut();
            let fits = bytes.len().min(self.room - held.len());
            held.extend_from_slice(&bytes[..fits]);
            if fits == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(fits) }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Medium for SmallDisk {
        fn current_len(&self) -> io::Result<u64> {
            Ok(self.bytes.borrow().len() as u64)
        }
        fn set_len(&self, len: u64) -> io::Result<()> {
            self.bytes.borrow_mut().truncate(usize::try_from(len).unwrap());
            Ok(())
        }
        fn sync_data(&self) -> io::Result<()> {
            Ok(())
        }
    }

    fn small(room: usize) -> Target<SmallDisk> {
        Target {
            path: PathBuf::from("small"),
            medium: SmallDisk { room, bytes: std::cell::RefCell::default() },
            len: 0,
            is_regular: true,
        }
    }

    #[test]
    fn a_full_disk_leaves_no_half_line() {
        let mut target = small(12);
        target.append(b"first\n").unwrap();
        let error = target.append(b"second line\n").unwrap_err();
        assert_eq!(error.to_string(), "cannot write 12 bytes to `small` (at byte 6)");
        assert_eq!(target.medium.bytes.borrow().as_slice(), b"first\n");
        target.append(b"third\n").unwrap();
        assert_eq!(target.medium.bytes.borrow().as_slice(), b"first\nthird\n");
    }

    #[test]
    fn what_another_generation_wrote_is_not_cut_off() {
        let mut target = small(20);
        target.append(b"mine\n").unwrap();
        target.medium.bytes.borrow_mut().extend_from_slice(b"theirs\n");
        assert_eq!(target.look().unwrap(), 12);
        target.append(b"too much for it\n").unwrap_err();
        assert_eq!(target.medium.bytes.borrow().as_slice(), b"mine\ntheirs\n");
    }

    #[test]
    fn the_last_line_end_is_found_far_from_the_end() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("a");
        let tail = usize::try_from(TAIL_BYTES).unwrap();
        for (whole, torn) in
            [(0, 0), (0, 10), (10, 0), (10, 3 * tail), (tail, 1), (tail - 1, tail), (2 * tail, tail + 1)]
        {
            let mut text = "x".repeat(whole + torn);
            if whole > 0 {
                text.replace_range(whole - 1..whole, "\n");
            }
            fs::write(&path, &text).unwrap();
            assert_eq!(whole_lines_len(&path, text.len() as u64).unwrap(), whole as u64, "{whole} {torn}");
        }
    }
}
