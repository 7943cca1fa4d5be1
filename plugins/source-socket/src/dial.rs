//! Connecting, again and again: nothing here waits, so that a drain is never held up.

use crate::account::Seldom;
use crate::address::Address;
use crate::listen::{keep_alive, set_receive_buffer, socket_for};
use crate::poller::Poller;
use crate::settings::Checked;
use cardcage_plugin_api::{Backoff, Host, PluginError, tracing};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with, sockopt};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

mod resolve;
use resolve::Resolver;

/// Connects to one address, and again after the connection was lost.
pub(crate) struct Dialer {
    target: Address,
    resolver: Option<Resolver>,
    state: State,
    backoff: Backoff,
    timeout: Duration,
    receive_buffer: Option<usize>,
    failures: Seldom,
}

enum State {
    /// Until it is time to try.
    Waiting {
        until: Instant,
    },
    /// Until the addresses behind the name are known.
    Resolving,
    /// Until the other side answers.
    Connecting {
        socket: OwnedFd,
        to: String,
        rest: Vec<SocketAddr>,
        until: Instant,
    },
    Connected,
}

/// What came of an attempt.
pub(crate) enum Attempt {
    /// It goes on.
    Pending,
    /// There is a connection; its other end.
    Connected(OwnedFd, String),
    /// It failed, and will be made again.
    Failed,
}

impl Dialer {
    /// Tries for the first time at once.
    pub(crate) fn new(target: Address, settings: &Checked, host: &Host) -> Result<Self, PluginError> {
        let resolver = match &target {
            Address::Tcp(at) if at.ip().is_none() => Some(Resolver::start(host, at)?),
            _ => None,
        };
        Ok(Self {
            target,
            resolver,
            state: State::Waiting { until: Instant::now() },
            backoff: Backoff::new(settings.reconnect.first.0, settings.reconnect.max.0),
            timeout: settings.connect_timeout,
            receive_buffer: settings.receive_buffer,
            failures: Seldom::default(),
        })
    }

    /// Whether [`Dialer::step`] has something to do by itself, and when at the latest.
    pub(crate) fn due(&self) -> Option<Instant> {
        match &self.state {
            State::Waiting { until } | State::Connecting { until, .. } => Some(*until),
            // An answer of the resolver is looked for whenever the source looks at the clock.
            State::Resolving | State::Connected => None,
        }
    }

    /// Goes on with what is due. `writable`: the socket that connects has an answer. The poller tells with `number`.
    pub(crate) fn step(&mut self, now: Instant, writable: bool, poller: &Poller, number: u64) -> Attempt {
        match &mut self.state {
            State::Waiting { until } if now >= *until => self.start(now, poller, number),
            State::Resolving => match self.resolver.as_ref().and_then(Resolver::answer) {
                None => Attempt::Pending,
                Some(Ok(addresses)) => self.try_addresses(addresses, now, poller, number),
                Some(Err(error)) => self.failed(now, &error),
            },
            State::Connecting { socket, to, rest, until } => {
                let answer = if writable {
                    sockopt::socket_error(&*socket).unwrap_or_else(Err).map_err(io::Error::from)
                } else if now >= *until {
                    Err(io::ErrorKind::TimedOut.into())
                } else {
                    return Attempt::Pending;
                };
                let (to, rest) = (std::mem::take(to), std::mem::take(rest));
                match answer {
                    Ok(()) => self.connected(to, poller),
                    Err(_) if !rest.is_empty() => self.try_addresses(rest, now, poller, number),
                    Err(error) => self.failed(now, &error),
                }
            }
            State::Waiting { .. } | State::Connected => Attempt::Pending,
        }
    }

    /// The connection ended. `useful`: it gave something, so that the next attempt need not wait long.
    pub(crate) fn lost(&mut self, now: Instant, useful: bool) {
        if useful {
            self.backoff.reset();
        }
        self.state = State::Waiting { until: now + self.backoff.next_delay() };
    }

    /// Ends the thread that asks for addresses, if there is one.
    pub(crate) fn close(self, host: &Host) -> Result<(), PluginError> {
        self.resolver.map_or(Ok(()), |resolver| resolver.close(host))
    }

    fn start(&mut self, now: Instant, poller: &Poller, number: u64) -> Attempt {
        match (&self.target, &self.resolver) {
            (_, Some(resolver)) => {
                resolver.ask();
                self.state = State::Resolving;
                Attempt::Pending
            }
            (Address::Unix(path), None) => {
                let socket = SocketAddrUnix::new(path).and_then(|address| {
                    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
                    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
                    connect(&socket, &address)?;
                    Ok(socket)
                });
                let to = self.target.to_string();
                match socket {
                    Ok(socket) => self.hand_over(socket, to),
                    Err(error) => self.failed(now, &error.into()),
                }
            }
            (Address::Tcp(at) | Address::Udp(at), None) => match at.ip() {
                Some(ip) => {
                    let address = SocketAddr::new(ip, at.port);
                    self.try_addresses(vec![address], now, poller, number)
                }
                None => Attempt::Pending,
            },
        }
    }

    /// Tries the first of these addresses that can be tried, and keeps the others.
    fn try_addresses(
        &mut self,
        mut addresses: Vec<SocketAddr>,
        now: Instant,
        poller: &Poller,
        number: u64,
    ) -> Attempt {
        let mut error = io::Error::from(io::ErrorKind::NotFound);
        while !addresses.is_empty() {
            let address = addresses.remove(0);
            match self.begin(&address, poller, number) {
                Ok(socket) => {
                    let until = now + self.timeout;
                    self.state =
                        State::Connecting { socket, to: address.to_string(), rest: addresses, until };
                    return Attempt::Pending;
                }
                Err(because) => error = because,
            }
        }
        self.failed(now, &error)
    }

    fn begin(&self, address: &SocketAddr, poller: &Poller, number: u64) -> io::Result<OwnedFd> {
        let socket = socket_for(address, SocketType::STREAM)?;
        set_receive_buffer(&socket, self.receive_buffer)?;
        match connect(&socket, address) {
            // Where it is connected at once, the poller says so at once.
            Ok(()) | Err(Errno::INPROGRESS) => poller.watch_connecting(&socket, number)?,
            Err(error) => return Err(error.into()),
        }
        Ok(socket)
    }

    fn connected(&mut self, to: String, poller: &Poller) -> Attempt {
        let State::Connecting { socket, .. } = std::mem::replace(&mut self.state, State::Connected) else {
            return Attempt::Pending;
        };
        // It is watched for reading from now on; a socket that was never watched is no harm.
        let _ = poller.forget(&socket);
        keep_alive(&socket);
        self.hand_over(socket, to)
    }

    fn hand_over(&mut self, socket: OwnedFd, to: String) -> Attempt {
        self.failures.reset();
        self.state = State::Connected;
        tracing::info!(address = %self.target, peer = %to, "connected");
        Attempt::Connected(socket, to)
    }

    /// Never fatal: the other side may be started later, and names be known later.
    fn failed(&mut self, now: Instant, error: &io::Error) -> Attempt {
        let delay = self.backoff.next_delay();
        self.state = State::Waiting { until: now + delay };
        if let Some(failures) = self.failures.count() {
            tracing::warn!(
                address = %self.target,
                failures,
                "cannot connect: {error}; trying again in {} ms",
                delay.as_millis()
            );
        }
        Attempt::Failed
    }
}
