//! The file of a Unix socket: put in place only when it is ready, and taken away again.

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
};
use std::fs::{self, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why there is no socket at a path.
#[derive(Debug, Error)]
pub(crate) enum UnixFileError {
    #[error("`{path}` exists and is no socket; move it away, or give another path")]
    NotASocket { path: PathBuf },
    #[error("another process listens on `{path}`; end it, or give another path")]
    InUse { path: PathBuf },
    #[error("cannot tell whether another process listens on `{path}`")]
    Unclear { path: PathBuf, source: io::Error },
    #[error("cannot make the socket `{path}`")]
    Make { path: PathBuf, source: io::Error },
}

/// The file of a socket that listens. Taken away when dropped, if it is still this one.
pub(crate) struct UnixFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

/// How many connections may wait to be accepted.
pub(crate) const BACKLOG: i32 = 1024;

impl UnixFile {
    /// Makes a listening socket and its file, with this mode. A file that an earlier process left behind is replaced.
    pub(crate) fn listen(
        path: &Path,
        mode: u32,
        prepare: impl FnOnce(&OwnedFd) -> io::Result<()>,
    ) -> Result<(OwnedFd, Self), UnixFileError> {
        let replaces = is_stale(path)?;
        make(path, mode, replaces, prepare).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => UnixFileError::InUse { path: path.to_owned() },
            _ => UnixFileError::Make { path: path.to_owned(), source },
        })
    }
}

impl Drop for UnixFile {
    fn drop(&mut self) {
        let ours = |metadata: fs::Metadata| metadata.dev() == self.device && metadata.ino() == self.inode;
        if self.path.symlink_metadata().is_ok_and(ours) {
            // Left behind, it would be found stale and replaced.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether there is a socket's file on which nobody listens; `false` if there is no file.
fn is_stale(path: &Path) -> Result<bool, UnixFileError> {
    let unclear = |source: io::Error| UnixFileError::Unclear { path: path.to_owned(), source };
    match path.symlink_metadata() {
        Ok(metadata) if metadata.file_type().is_socket() => {}
        Ok(_) => return Err(UnixFileError::NotASocket { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(unclear(error)),
    }
    let address = SocketAddrUnix::new(path).map_err(|error| unclear(error.into()))?;
    let socket = stream_socket().map_err(unclear)?;
    match connect(&socket, &address) {
        Err(Errno::CONNREFUSED) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        // A full queue, or a socket of another kind: somebody is there.
        Ok(()) | Err(Errno::AGAIN | Errno::PROTOTYPE) => Err(UnixFileError::InUse { path: path.to_owned() }),
        Err(error) => Err(unclear(error.into())),
    }
}

/// The socket is made under another name and then renamed, so that nobody finds one that is not ready, or has not got its
/// mode yet.
fn make(
    path: &Path,
    mode: u32,
    replaces: bool,
    prepare: impl FnOnce(&OwnedFd) -> io::Result<()>,
) -> io::Result<(OwnedFd, UnixFile)> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let socket = stream_socket()?;
    prepare(&socket)?;
    let address = SocketAddrUnix::new(&new)?;
    match bind(&socket, &address) {
        // Of an earlier process that ended between two of these lines.
        Err(Errno::ADDRINUSE) => {
            fs::remove_file(&new)?;
            bind(&socket, &address)?;
        }
        other => other?,
    }
    let placed = (|| {
        fs::set_permissions(&new, Permissions::from_mode(mode))?;
        listen(&socket, BACKLOG)?;
        let metadata = new.symlink_metadata()?;
        let flags = if replaces { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
        renameat_with(CWD, &new, CWD, path, flags)?;
        Ok(UnixFile { path: path.to_owned(), device: metadata.dev(), inode: metadata.ino() })
    })();
    if placed.is_err() {
        // The error that is reported is the one that led here.
        let _ = fs::remove_file(&new);
    }
    placed.map(|file| (socket, file))
}

fn stream_socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::{UnixListener, UnixStream};

    fn listen_at(path: &Path) -> Result<(OwnedFd, UnixFile), UnixFileError> {
        UnixFile::listen(path, 0o640, |_| Ok(()))
    }

    #[test]
    fn a_socket_that_nobody_listens_on_is_replaced_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("readings.sock");
        drop(UnixListener::bind(&path).unwrap());
        let (_socket, file) = listen_at(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o640);
        UnixStream::connect(&path).unwrap();
        assert!(matches!(listen_at(&path), Err(UnixFileError::InUse { .. })));
        drop(file);
        assert!(!path.exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
    }

    #[test]
    fn what_is_no_socket_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("precious.txt");
        fs::write(&path, "text").unwrap();
        assert!(matches!(listen_at(&path), Err(UnixFileError::NotASocket { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
    }

    #[test]
    fn a_file_that_somebody_else_put_there_since_is_left_to_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("readings.sock");
        let (_socket, file) = listen_at(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let _other = UnixListener::bind(&path).unwrap();
        drop(file);
        UnixStream::connect(&path).unwrap();
    }
}
