//! The Unix socket: where it is, what becomes of one that is there already, who may use it.

use cardcage_core::config::Control;
use rustix::fs::{AtFlags, CWD, FlockOperation, Gid, Mode, OFlags, chownat, flock};
use rustix::io::Errno;
use rustix::net::sockopt::Timeout;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::geteuid;
use std::fs;
use std::io::ErrorKind;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Its name in the state directory.
const NAME: &str = "control.sock";
/// The longest path of a socket: the system's `sun_path` has 108 bytes, of which one ends the text.
const PATH_MAX_BYTES: usize = 107;
/// How long a start waits for another one that is making its socket in the same folder, which takes a millisecond, and for
/// the one whose socket is in the way to let us in. Whoever keeps the folder locked for longer does not keep us from starting;
/// whoever does not let us in is busy, which is alive.
const START_PATIENCE: Duration = Duration::from_secs(1);
/// The wait before the folder is tried again.
const ALONE_WAIT: Duration = Duration::from_millis(5);
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
    mode: u32,
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
        let group = group.map(group_id).transpose()?;
        let peers = Peers { user: geteuid().as_raw(), group };
        let (listener, identity) = make(path, mode, group, START_PATIENCE)?;
        Ok(Self { path: path.to_owned(), mode, identity, listener: Some(listener), peers })
    }

    /// Whether its file is where it was made. Without it nobody finds the socket.
    pub(super) fn is_there(&self) -> bool {
        identity(&self.path).is_ok_and(|identity| identity == self.identity)
    }

    /// Makes it anew, with its folder if that is gone, too. Does not wait.
    pub(super) fn renew(&mut self) -> Result<UnixListener, SocketError> {
        if let Some(folder) = self.path.parent() {
            // If it cannot be made, the socket cannot either, and says why.
            let _ = fs::create_dir(folder);
        }
        let (listener, identity) = make(&self.path, self.mode, self.peers.group, Duration::ZERO)?;
        self.identity = identity;
        Ok(listener)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
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
        if self.is_there() {
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

/// Connects to a socket, however long its path. One that takes nobody in for so long is an error of the kind `WouldBlock`.
pub(super) fn connect(path: &Path, patience: Duration) -> std::io::Result<UnixStream> {
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // Of which the system takes 0 for no bound.
    let patience = patience.max(Duration::from_millis(1));
    rustix::net::sockopt::set_socket_timeout(&socket, Timeout::Send, Some(patience))?;
    with_short_path(path, |short| Ok(rustix::net::connect(&socket, &SocketAddrUnix::new(short)?)?))?;
    Ok(UnixStream::from(socket))
}

/// Device and inode of a file.
fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|meta| (meta.dev(), meta.ino()))
}

/// Makes a socket that listens, in the place of one that is dead, and gives it with its identity.
fn make(
    path: &Path,
    mode: u32,
    group: Option<u32>,
    patience: Duration,
) -> Result<(UnixListener, (u64, u64)), SocketError> {
    let io = |why: String| SocketError::Io { path: path.to_owned(), why };
    // Of two that find a dead one, the second would remove the living one of the first.
    let alone = alone_in_folder(path, patience);
    make_way(path, patience)?;
    let listener = UnixListener::from(bind(path, mode)?);
    listener.set_nonblocking(true).map_err(|error| io(error.to_string()))?;
    if let Some(group) = group {
        chownat(CWD, path, None, Some(Gid::from_raw(group)), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| io(format!("it cannot be given to group {group}: {error}")))?;
    }
    let identity = identity(path).map_err(|error| io(error.to_string()))?;
    drop(alone);
    Ok((listener, identity))
}

/// Keeps others that make a socket in the same folder out while the value lives; `None` where that cannot be had.
fn alone_in_folder(path: &Path, patience: Duration) -> Option<OwnedFd> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(folder, flags, Mode::empty()).ok()?;
    let until = Instant::now() + patience;
    loop {
        match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Some(folder),
            Err(Errno::WOULDBLOCK) if Instant::now() < until => std::thread::sleep(ALONE_WAIT),
            Err(_) => return None,
        }
    }
}

/// Removes what a process that is gone has left. What takes nobody in for so long lives, and is busy.
fn make_way(path: &Path, patience: Duration) -> Result<(), SocketError> {
    let io = |why: String| SocketError::Io { path: path.to_owned(), why };
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(error.to_string())),
    };
    if !meta.file_type().is_socket() {
        return Err(SocketError::NoSocket(path.to_owned()));
    }
    match connect(path, patience).map_err(|error| (error.kind(), error)) {
        Ok(_) | Err((ErrorKind::WouldBlock, _)) => Err(SocketError::Live(path.to_owned())),
        // Another start was faster, where the folder cannot be locked.
        Err((ErrorKind::NotFound, _)) => Ok(()),
        Err((ErrorKind::ConnectionRefused, _)) => fs::remove_file(path)
            .map_err(|error| io(format!("what an earlier run left cannot be removed: {error}"))),
        Err((_, error)) => {
            Err(io(format!("something is there already, and cannot be asked whether it lives: {error}")))
        }
    }
}

fn bind(path: &Path, mode: u32) -> Result<OwnedFd, SocketError> {
    let io = |error: std::io::Error| match error.kind() {
        ErrorKind::InvalidInput | ErrorKind::InvalidFilename => SocketError::TooLong(path.to_owned()),
        // Another start was faster, where the folder cannot be locked.
        ErrorKind::AddrInUse => SocketError::Live(path.to_owned()),
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
