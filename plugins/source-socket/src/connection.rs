//! Connections: who is at the other end, and how far into its stream the source is.

use rustix::net::{RecvFlags, SocketAddrAny, recvfrom};
use std::fmt;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

/// The longest datagram: more does not fit IP, and a local socket's is refused by its sender long before.
const DATAGRAM_BYTES_MAX: usize = 64 * 1024;
/// So much of an unfinished line is kept in place; memory for longer ones is given back.
const HELD_SMALL_BYTES: usize = 4096;

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// A machine's port.
    Address(SocketAddr),
    /// A process of this machine.
    Process { pid: i32, uid: u32 },
    /// What was connected to.
    Named(String),
    /// The system does not say.
    Unknown,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Process { pid, uid } => write!(f, "process {pid} of user {uid}"),
            Self::Named(name) => f.write_str(name),
            Self::Unknown => f.write_str("unknown peer"),
        }
    }
}

impl Peer {
    /// The peer that the system names, or, for a Unix socket, whose process it is.
    pub(crate) fn of(socket: impl AsFd, address: Option<SocketAddrAny>) -> Self {
        if let Some(address) = address.and_then(|address| SocketAddr::try_from(address).ok()) {
            return Self::Address(address);
        }
        match rustix::net::sockopt::socket_peercred(socket) {
            Ok(credentials) => {
                Self::Process { pid: credentials.pid.as_raw_nonzero().get(), uid: credentials.uid.as_raw() }
            }
            Err(_) => Self::Unknown,
        }
    }
}

/// Where in a frame a stream with lengths is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// In front of a length.
    Length,
    /// In a frame, so many bytes in front of its end.
    Body(usize),
    /// In a frame that is thrown away, so many bytes in front of its end.
    Skip(usize),
}

/// One connection, or the socket on which all datagrams come.
pub(crate) struct Connection {
    /// Which it is, of all that there ever were.
    pub(crate) serial: u64,
    pub(crate) socket: OwnedFd,
    pub(crate) peer: Peer,
    /// The beginning of a line whose end has not come.
    pub(crate) held: Vec<u8>,
    /// Inside of a line that is thrown away.
    pub(crate) skipping: bool,
    pub(crate) frame: Frame,
    /// Lines and bytes taken: the place for messages.
    pub(crate) line: u64,
    pub(crate) position: u64,
    /// The line of CSV that names the columns, once it was read.
    pub(crate) header: Option<Box<[u8]>>,
    /// When it last gave a whole line, or began.
    pub(crate) heard: Instant,
    /// The other side has said that nothing more will come.
    pub(crate) ended: bool,
}

impl Connection {
    pub(crate) fn new(serial: u64, socket: OwnedFd, peer: Peer, now: Instant) -> Self {
        Self {
            serial,
            socket,
            peer,
            held: Vec::new(),
            skipping: false,
            frame: Frame::Length,
            line: 0,
            position: 0,
            header: None,
            heard: now,
            ended: false,
        }
    }

    /// Keeps the beginning of a line until its rest comes.
    pub(crate) fn hold(&mut self, text: &[u8]) {
        self.held.clear();
        if self.held.capacity() > HELD_SMALL_BYTES {
            self.held = Vec::new();
        }
        self.held.extend_from_slice(text);
    }

    /// Its stream, as something to read from.
    pub(crate) fn stream(&self) -> Stream<'_> {
        Stream(&self.socket)
    }
}

/// Reads a socket without waiting.
pub(crate) struct Stream<'a>(&'a OwnedFd);

impl Read for Stream<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(self.0, room)?)
    }
}

/// Reads one datagram without waiting, and says whose it was.
pub(crate) struct Datagram<'a> {
    pub(crate) socket: &'a OwnedFd,
    pub(crate) peer: Peer,
    /// How many of its bytes were left behind, for want of room.
    pub(crate) lost: usize,
    /// The most bytes that are read.
    pub(crate) bytes_max: usize,
}

impl<'a> Datagram<'a> {
    pub(crate) fn new(socket: &'a OwnedFd) -> Self {
        Self { socket, peer: Peer::Unknown, lost: 0, bytes_max: DATAGRAM_BYTES_MAX }
    }
}

impl Read for Datagram<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let most = room.len().min(self.bytes_max);
        // With TRUNC the length is that of the datagram, also where it did not fit.
        let (read, len, address) = recvfrom(self.socket, &mut room[..most], RecvFlags::TRUNC)?;
        self.lost = len.saturating_sub(read);
        self.peer = match address.map(SocketAddr::try_from) {
            Some(Ok(address)) => Peer::Address(address),
            _ => Peer::Unknown,
        };
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn a_datagram_that_does_not_fit_says_how_much_of_it_is_lost() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let from = sender.local_addr().unwrap();
        sender.send_to(&[b'x'; 100], receiver.local_addr().unwrap()).unwrap();
        let socket = OwnedFd::from(receiver);
        let mut datagram = Datagram { bytes_max: 60, ..Datagram::new(&socket) };
        assert_eq!(datagram.read(&mut [0; 1000]).unwrap(), 60);
        assert_eq!((datagram.lost, datagram.peer), (40, Peer::Address(from)));
    }
}
