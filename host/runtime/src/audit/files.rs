//! Files of the trail: how they are begun, opened and written to.

use cardcage_core::audit::{BlockBuilder, Head, file_name, file_number};
use rustix::fs::{FallocateFlags, OFlags};
use rustix::io::Errno;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Opens a file that may be anything: what is no regular file is not waited for, and nothing is looked at that is elsewhere.
pub(super) fn open(path: &Path, writes: bool) -> io::Result<File> {
    // The bits of flags as the system's call takes them.
    let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed();
    let file = OpenOptions::new().read(true).write(writes).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no regular file")) }
}

/// A new file that nobody else may read: what a trail says of a plant is nobody's business.
pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// Makes a folder that is not there. What a trail says of a plant is nobody else's business.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Whether a file is the one that stands at this place. Where that cannot be told, it is.
pub(super) fn is_at(file: &File, path: &Path) -> bool {
    match (fs::symlink_metadata(path), file.metadata()) {
        (Ok(there), Ok(own)) => (there.dev(), there.ino()) == (own.dev(), own.ino()),
        (Err(error), _) => !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
        (Ok(_), Err(_)) => true,
    }
}

/// Keeps so much space free behind a place in a file, without making it longer. Where the file system knows no such thing,
/// nothing is kept free.
pub(super) fn reserve(file: &File, from: u64, bytes: u64) -> io::Result<()> {
    #[cfg(test)]
    if super::tests::ends::lacks_room_for(bytes) {
        return Err(io::ErrorKind::StorageFull.into());
    }
    match rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, from, bytes) {
        Err(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => Err(io::ErrorKind::StorageFull.into()),
        // What else there may be shows when it is written to.
        _ => Ok(()),
    }
}

/// Makes the names in a folder safe.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// What the name of a draft ends with.
const DRAFT: &str = ".draft";

/// Removes what a run that was killed has left of a file that it was about to begin. The chain has nothing of it.
pub(super) fn remove_drafts(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let number = entry.file_name().to_str().and_then(|name| file_number(name.strip_suffix(DRAFT)?));
        if number.is_some() {
            // One that stays is in nobody's way: the next file takes another number.
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}

/// A new file of the chain before it has its name there: nobody takes it for one, and dropped it is gone.
#[derive(Debug)]
pub(super) struct Draft {
    file: Option<File>,
    path: PathBuf,
    name: PathBuf,
    bytes: u64,
}

impl Draft {
    pub(super) fn create(folder: &Path, number: u64) -> io::Result<Self> {
        let name = folder.join(file_name(number));
        let path = folder.join(file_name(number) + DRAFT);
        let file = create(&path)?;
        Ok(Self { file: Some(file), path, name, bytes: 0 })
    }

    /// Writes it to the end.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(file) = &self.file {
            write_at(file, bytes, self.bytes)?;
        }
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// The block that follows `after`; gives the head that it makes.
    pub(super) fn append_block(&mut self, builder: &mut BlockBuilder, after: Head) -> io::Result<Head> {
        let sealed = builder.finish(after);
        self.append(sealed.bytes)?;
        Ok(sealed.head)
    }

    /// Keeps space free behind its end.
    pub(super) fn reserve(&self, bytes: u64) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| reserve(file, self.bytes, bytes))
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), File::sync_all)
    }

    /// Makes it a file of the chain; gives its length, too.
    pub(super) fn name(mut self) -> io::Result<(File, u64)> {
        if self.name.try_exists()? {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the next file is there already"));
        }
        fs::rename(&self.path, &self.name)?;
        let file = self.file.take().ok_or_else(|| io::Error::other("no file"))?;
        Ok((file, self.bytes))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.file.is_some() {
            // If it stays, the next start removes it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Writes all of it to a place in a file.
pub(super) fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    #[cfg(test)]
    if let Some(fits) = super::tests::ends::room_for(bytes.len()) {
        file.write_all_at(&bytes[..fits], at)?;
        return Err(io::ErrorKind::StorageFull.into());
    }
    file.write_all_at(bytes, at)
}
