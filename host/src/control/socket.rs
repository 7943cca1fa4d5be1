//! The Unix socket: where it is, what becomes of one that is there already, who may use it.

use cardcage_core::config::Control;
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, chownat};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::geteuid;
use std::fs;
use std::io::ErrorKind;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Its name in the state directory.
const NAME: &str = "control.sock";
/// The longest path of a socket: the system's `sun_path` has 108 bytes, of which one ends the text.
const PATH_MAX_BYTES: usize = 107;
/// Connections that wait to be taken: a few people and programs at once.
const BACKLOG: i32 = 64;
/// The largest `/etc/group` that is looked through.
const GROUPS_MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SocketError {
    /// Someone answers there.
    #[error(
        "a daemon answers at {} already; stop that one, or give this pipeline a `control: {{socket: PATH}}` of its own",
        .0.display()
    )]
    Live(PathBuf),
    /// Something else is there, and is left alone.
    #[error("{} is there and is no socket; name another path in `control: {{socket: PATH}}`", .0.display())]
    NoSocket(PathBuf),
    /// There is no such group.
    #[error(
        "`control: {{group: {0}}}`: there is no such group in /etc/group; name one of those there, or give its number"
    )]
    Group(String),
    /// The path is too long, even from the folder that it is in.
    #[error(
        "the control socket's path {} has {} bytes, and the system takes {PATH_MAX_BYTES}; name a shorter one, as in \
         `control: {{socket: /run/cardcage.sock}}`",
        .0.display(), .0.as_os_str().len()
    )]
    TooLong(PathBuf),
    /// The system refused.
    #[error("the control socket {}: {why}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// Where the socket of a pipeline is. `folder` is that of its config, `state` its state directory.
pub(crate) fn path(control: &Control, folder: &Path, state: &Path) -> PathBuf {
    control.socket.as_ref().map_or_else(|| state.join(NAME), |socket| folder.join(socket))
}

/// A socket that listens; its file goes when this value does.
#[derive(Debug)]
pub(crate) struct Bound {
    path: PathBuf,
    /// Device and inode, so that only our own file is removed.
    identity: (u64, u64),
    listener: Option<UnixListener>,
    peers: Peers,
}

/// Who may use the socket: the daemon's own user, root, and the group if one is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peers {
    user: u32,
    group: Option<u32>,
}

impl Bound {
    /// Listens at `path`. A file left by a process that is gone is replaced; one at which someone answers is not.
    pub(crate) fn new(path: &Path, mode: u32, group: Option<&str>) -> Result<Self, SocketError> {
        let io = |why: String| SocketError::Io { path: path.to_owned(), why };
        let group = group.map(group_id).transpose()?;
        make_way(path)?;
        let socket = bind(path, mode)?;
        let listener = UnixListener::from(socket);
        listener.set_nonblocking(true).map_err(|error| io(error.to_string()))?;
        if let Some(group) = group {
            chownat(CWD, path, None, Some(Gid::from_raw(group)), AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|error| io(format!("it cannot be given to group {group}: {error}")))?;
        }
        let meta = fs::symlink_metadata(path).map_err(|error| io(error.to_string()))?;
        let peers = Peers { user: geteuid().as_raw(), group };
        Ok(Self {
            path: path.to_owned(),
            identity: (meta.dev(), meta.ino()),
            listener: Some(listener),
            peers,
        })
    }

    /// The socket itself.
    pub(super) fn take(&mut self) -> Option<UnixListener> {
        self.listener.take()
    }

    pub(super) fn peers(&self) -> Peers {
        self.peers
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let ours =
            fs::symlink_metadata(&self.path).is_ok_and(|meta| (meta.dev(), meta.ino()) == self.identity);
        if ours {
            // A file that stays is replaced by the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Peers {
    /// Whether a process of this user and group, and of these further groups, may use the socket.
    pub(super) fn allow(self, user: u32, group: u32, further: impl FnOnce() -> Vec<u32>) -> bool {
        user == 0
            || user == self.user
            || self.group.is_some_and(|ours| ours == group || further().contains(&ours))
    }
}

/// The further groups of a process, as it has them now.
pub(super) fn groups_of(process: Option<i32>) -> Vec<u32> {
    let Some(process) = process else {
        return Vec::new();
    };
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Groups:"));
    line.unwrap_or_default().split_whitespace().filter_map(|group| group.parse().ok()).collect()
}

/// Connects to a socket, however long its path.
pub(super) fn connect(path: &Path) -> std::io::Result<UnixStream> {
    with_short_path(path, |short| UnixStream::connect(short))
}

/// Removes what a process that is gone has left.
fn make_way(path: &Path) -> Result<(), SocketError> {
    let io = |why: String| SocketError::Io { path: path.to_owned(), why };
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(error.to_string())),
    };
    if !meta.file_type().is_socket() {
        return Err(SocketError::NoSocket(path.to_owned()));
    }
    match connect(path) {
        Ok(_) => Err(SocketError::Live(path.to_owned())),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path)
            .map_err(|error| io(format!("what an earlier run left cannot be removed: {error}"))),
        Err(error) => {
            Err(io(format!("something is there already, and cannot be asked whether it lives: {error}")))
        }
    }
}

fn bind(path: &Path, mode: u32) -> Result<OwnedFd, SocketError> {
    let io = |error: std::io::Error| match error.kind() {
        ErrorKind::InvalidInput | ErrorKind::InvalidFilename => SocketError::TooLong(path.to_owned()),
        _ => SocketError::Io { path: path.to_owned(), why: error.to_string() },
    };
    let make = || {
        let flags = SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        // Before there is a file, so that there is no moment at which it is open to everybody.
        rustix::fs::fchmod(&socket, Mode::from_raw_mode(mode))?;
        with_short_path(path, |short| Ok(rustix::net::bind(&socket, &SocketAddrUnix::new(short)?)?))?;
        // What the umask took away.
        rustix::fs::chmod(path, Mode::from_raw_mode(mode))?;
        rustix::net::listen(&socket, BACKLOG)?;
        std::io::Result::Ok(socket)
    };
    make().map_err(io)
}

/// Calls with a path that is short enough for a socket: the path itself, or its name in its folder as this process has it
/// open.
fn with_short_path<T>(path: &Path, call: impl FnOnce(&Path) -> std::io::Result<T>) -> std::io::Result<T> {
    let (folder, name) = match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) if path.as_os_str().len() > PATH_MAX_BYTES => (folder, name),
        _ => return call(path),
    };
    let folder = rustix::fs::open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    call(&Path::new(&format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name))
}

/// The number of a group, by name or as it is.
fn group_id(group: &str) -> Result<u32, SocketError> {
    if let Ok(number) = group.parse() {
        return Ok(number);
    }
    let unknown = || SocketError::Group(group.to_owned());
    let size = fs::metadata("/etc/group").map_err(|_| unknown())?.len();
    let text = if size > GROUPS_MAX_BYTES {
        String::new()
    } else {
        fs::read_to_string("/etc/group").unwrap_or_default()
    };
    text.lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find_map(|fields| match fields.as_slice() {
            [name, _, number, ..] if *name == group => number.parse().ok(),
            _ => None,
        })
        .ok_or_else(unknown)
}

#[cfg(test)]
mod tests;
