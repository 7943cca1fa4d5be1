//! Sockets that wait for others: making them, and accepting.

use crate::address::{Address, HostPort};
use crate::connection::Peer;
use crate::settings::Checked;
use crate::unix_file::{BACKLOG, UnixFile, UnixFileError};
use cardcage_plugin_api::{Host, tracing};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, acceptfrom_with, bind, getsockname, listen, socket_with, sockopt,
};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;
use thiserror::Error;

/// A connection is asked every minute whether it still stands, and given up after six answers that did not come, ten
/// seconds apart: two minutes after its machine is gone.
const KEEPALIVE_IDLE: Duration = Duration::from_mins(1);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 6;

/// Why nothing can be listened to.
#[derive(Debug, Error)]
pub(crate) enum ListenError {
    #[error("cannot listen on `{address}`")]
    Bind { address: String, source: io::Error },
    #[error("`{0}` names no address of this machine")]
    NoAddress(String),
    #[error(transparent)]
    UnixFile(#[from] UnixFileError),
    #[error("the daemon was handed no socket named `{0}`; set `address`, or hand it one")]
    NoListener(String),
    #[error("the socket `{0}` that the daemon was handed does not listen")]
    NotListening(String),
    #[error("cannot use the socket `{name}` that the daemon was handed")]
    Listener { name: String, source: io::Error },
}

/// What comes in on a socket.
pub(crate) enum Listening {
    Connections(Listener),
    Datagrams(OwnedFd),
}

/// A socket on which others connect.
pub(crate) struct Listener {
    pub(crate) socket: OwnedFd,
    /// Taken away when it is closed.
    _file: Option<UnixFile>,
}

/// What came of accepting.
pub(crate) enum Accepted {
    Connection(OwnedFd, Peer),
    /// Nobody waits any more.
    Nobody,
    /// Somebody waited and left.
    Gone,
    /// The process or the system has no room for more.
    NoRoom(Errno),
}

/// Makes the socket of an address.
pub(crate) fn listen_on(address: &Address, settings: &Checked) -> Result<Listening, ListenError> {
    let size = settings.receive_buffer;
    let failed = |source| ListenError::Bind { address: address.to_string(), source };
    match address {
        Address::Tcp(at) => {
            let socket = bound(at, SocketType::STREAM, size, address)?;
            listen(&socket, BACKLOG).map_err(|error| failed(error.into()))?;
            tell(&socket, "tcp");
            Ok(Listening::Connections(Listener { socket, _file: None }))
        }
        Address::Udp(at) => {
            let socket = bound(at, SocketType::DGRAM, size, address)?;
            tell(&socket, "udp");
            Ok(Listening::Datagrams(socket))
        }
        Address::Unix(path) => {
            let (socket, file) =
                UnixFile::listen(path, settings.file_mode, |socket| set_receive_buffer(socket, size))?;
            tracing::info!(address = %address, "listening");
            Ok(Listening::Connections(Listener { socket, _file: Some(file) }))
        }
    }
}

/// Takes over a socket that the daemon was handed.
pub(crate) fn take_over(name: &str, host: &Host, size: Option<usize>) -> Result<Listening, ListenError> {
    let socket = host.listener(name).ok_or_else(|| ListenError::NoListener(name.to_owned()))?;
    let failed = |source: io::Error| ListenError::Listener { name: name.to_owned(), source };
    rustix::io::ioctl_fionbio(&socket, true).map_err(|error| failed(error.into()))?;
    set_receive_buffer(&socket, size).map_err(failed)?;
    let kind = sockopt::socket_type(&socket).map_err(|error| failed(error.into()))?;
    tracing::info!(listener = name, "listening");
    if kind == SocketType::DGRAM {
        return Ok(Listening::Datagrams(socket));
    }
    if !sockopt::socket_acceptconn(&socket).map_err(|error| failed(error.into()))? {
        return Err(ListenError::NotListening(name.to_owned()));
    }
    Ok(Listening::Connections(Listener { socket, _file: None }))
}

impl Listener {
    pub(crate) fn accept(&self) -> Accepted {
        match acceptfrom_with(&self.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok((socket, address)) => {
                let peer = Peer::of(&socket, address);
                if matches!(peer, Peer::Address(_)) {
                    keep_alive(&socket);
                }
                Accepted::Connection(socket, peer)
            }
            Err(Errno::AGAIN) => Accepted::Nobody,
            Err(error @ (Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)) => {
                Accepted::NoRoom(error)
            }
            // Errors of the one connection that was to be accepted.
            Err(_) => Accepted::Gone,
        }
    }
}

/// Lets the kernel ask whether a connection's machine is still there. A socket that knows no such thing goes without.
pub(crate) fn keep_alive(socket: &OwnedFd) {
    let _ = sockopt::set_socket_keepalive(socket, true)
        .and_then(|()| sockopt::set_tcp_keepidle(socket, KEEPALIVE_IDLE))
        .and_then(|()| sockopt::set_tcp_keepintvl(socket, KEEPALIVE_INTERVAL))
        .and_then(|()| sockopt::set_tcp_keepcnt(socket, KEEPALIVE_PROBES));
}

/// Sets how much the kernel keeps of what was not read yet, and says so if it keeps less.
pub(crate) fn set_receive_buffer(socket: &OwnedFd, size: Option<usize>) -> io::Result<()> {
    let Some(size) = size else {
        return Ok(());
    };
    sockopt::set_socket_recv_buffer_size(socket, size)?;
    // The kernel doubles what it is asked for, for its own bookkeeping.
    let got = sockopt::socket_recv_buffer_size(socket)? / 2;
    if got < size {
        tracing::warn!(
            asked = size,
            got,
            "the receive buffer is smaller than `receive_buffer`; raise net.core.rmem_max on this machine"
        );
    }
    Ok(())
}

/// A new socket for an address, without waiting.
pub(crate) fn socket_for(address: &SocketAddr, kind: SocketType) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    Ok(socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?)
}

/// A socket bound to the first of the machine's addresses that takes it.
fn bound(
    at: &HostPort,
    kind: SocketType,
    size: Option<usize>,
    address: &Address,
) -> Result<OwnedFd, ListenError> {
    let failed = |source| ListenError::Bind { address: address.to_string(), source };
    let bind_to = |to: &SocketAddr| -> io::Result<OwnedFd> {
        let socket = socket_for(to, kind)?;
        if kind == SocketType::STREAM {
            // Connections of an earlier run that the kernel still remembers must not keep the port.
            sockopt::set_socket_reuseaddr(&socket, true)?;
        }
        set_receive_buffer(&socket, size)?;
        bind(&socket, to)?;
        Ok(socket)
    };
    let mut last = None;
    for to in (at.host.as_str(), at.port).to_socket_addrs().map_err(failed)? {
        match bind_to(&to) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(|| ListenError::NoAddress(at.to_string()), failed))
}

/// Says where it listens: with port 0 nothing else would.
fn tell(socket: impl AsFd, scheme: &str) {
    if let Some(address) = getsockname(socket).ok().and_then(|address| SocketAddr::try_from(address).ok()) {
        tracing::info!(address = %format_args!("{scheme}://{address}"), "listening");
    }
}
