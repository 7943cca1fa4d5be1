//! Waiting for whichever socket has something first: epoll, told by number.

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// How many sockets one wait reports. The kernel goes round: those that were not reported come first the next time.
const EVENTS_MAX: usize = 256;

/// Sockets that are waited for, each with a number.
pub(crate) struct Poller {
    epoll: OwnedFd,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)? })
    }

    /// Waits from now on until `socket` has something to read (or to accept), or was closed. It is forgotten when it
    /// is dropped.
    pub(crate) fn watch(&self, socket: impl AsFd, number: u64) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, socket, epoll::EventData::new_u64(number), epoll::EventFlags::IN)?)
    }

    /// Waits from now on until `socket` is connected, or cannot be.
    pub(crate) fn watch_connecting(&self, socket: impl AsFd, number: u64) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, socket, epoll::EventData::new_u64(number), epoll::EventFlags::OUT)?)
    }

    /// No longer waits for `socket`.
    pub(crate) fn forget(&self, socket: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, socket)?)
    }

    /// Waits for so long at most, and puts the numbers of those that have something behind `ready`.
    pub(crate) fn wait(&self, how_long: Duration, ready: &mut VecDeque<u64>) -> io::Result<()> {
        let timeout = Timespec {
            tv_sec: i64::try_from(how_long.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(how_long.subsec_nanos()),
        };
        let mut events = [const { MaybeUninit::uninit() }; EVENTS_MAX];
        match epoll::wait(&self.epoll, &mut events, Some(&timeout)) {
            Ok((events, _)) => ready.extend(events.iter().map(|event| event.data.u64())),
            // A signal: whoever waits looks at the clock and comes back.
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}
