//! The source: whose turn it is, and what is done in it.

use crate::account::{Metrics, Seldom, add};
use crate::connection::Peer;
use crate::connections::Connections;
use crate::dial::Attempt;
use crate::intake::{Broken, Intake, Progress};
use crate::listen::Accepted;
use crate::origin::{DATAGRAMS, DIALING, LISTENER, Origin};
use crate::poller::Poller;
use crate::settings::SocketSettings;
use cardcage_codec::lines::Filled;
use cardcage_plugin_api::prelude::*;
use cardcage_plugin_api::tracing;
use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

/// How much one call reads at most, so that a stream of what are no readings cannot keep the lane from draining: some
/// milliseconds' worth.
const BYTES_PER_FILL_MAX: u64 = 4 << 20;
/// How many connections are accepted before those that are open get their turn again.
const ACCEPTS_PER_TURN: usize = 64;
/// How many datagrams are read before others get their turn, and the clock is looked at.
const DATAGRAMS_PER_TURN: usize = 1024;
/// The longest wait before it is looked whether the pipeline drains; half of what the ABI allows.
const WAIT_MAX: Duration = Duration::from_millis(50);
/// How long nothing is accepted after the process or system had no room for another socket.
const NO_ROOM_PAUSE: Duration = Duration::from_secs(1);
/// How often connections are looked through for silent ones.
const IDLE_CHECK: Duration = Duration::from_secs(1);

/// Whose turn it is.
#[derive(Clone, Copy)]
enum Turn {
    /// The connection in this place.
    Connection(usize),
    /// The datagrams, so many more of them.
    Datagrams(usize),
}

/// The source.
pub struct SocketSource {
    host: Host,
    poller: Poller,
    ready: VecDeque<u64>,
    origin: Origin,
    connections: Connections,
    intake: Intake,
    turn: Option<Turn>,
    metrics: Metrics,
    connections_max: usize,
    idle_timeout: Option<Duration>,
    idle_checked: Instant,
    refused: Seldom,
    no_room: Seldom,
}

impl Source for SocketSource {
    type Settings = SocketSettings;

    fn describe(settings: &SocketSettings) -> Description {
        let mut description = settings.problems(Description::source());
        for broken in Broken::ALL {
            description = description.rejects(broken.name());
        }
        if settings.resolves() { description.threads(1) } else { description }
    }

    fn open(settings: SocketSettings, host: &Host) -> Result<Self, PluginError> {
        let settings = settings.check()?;
        let poller = Poller::new()?;
        let origin = Origin::open(&settings, host, &poller)?;
        Ok(Self {
            host: host.clone(),
            poller,
            ready: VecDeque::new(),
            origin,
            connections: Connections::new(),
            intake: Intake::new(host, &settings)?,
            turn: None,
            metrics: Metrics::new(host),
            connections_max: settings.max_connections,
            idle_timeout: settings.idle_timeout,
            idle_checked: Instant::now(),
            refused: Seldom::default(),
            no_room: Seldom::default(),
        })
    }

    fn fill(&mut self, out: &mut Batch<'_>, wait_until_ns: i64) -> Result<Fill, PluginError> {
        // From here on by a clock that nobody sets.
        let wait_ns = u64::try_from(wait_until_ns.saturating_sub(out.now_ns())).unwrap_or(0);
        let deadline = Instant::now() + Duration::from_nanos(wait_ns);
        let mut read_bytes = 0;
        loop {
            if self.turn.is_some() && !self.go_on(out) {
                break;
            }
            if out.remaining() == 0 || read_bytes >= BYTES_PER_FILL_MAX {
                break;
            }
            if let Some(number) = self.ready.pop_front() {
                self.begin(number)?;
                read_bytes += self.count_received();
            } else if self.turn.is_none() && !self.wait(out, deadline)? {
                break;
            }
        }
        self.count_received();
        self.intake.report(out);
        Ok(Fill::Produced)
    }

    fn close(mut self) -> Result<(), PluginError> {
        self.intake.summarize();
        let open = self.connections.len();
        if open > 0 {
            tracing::info!(connections = open, unfinished_bytes = self.intake.held(), "closing what is open");
        }
        match self.origin {
            Origin::Dialer(dialer) => dialer.close(&self.host),
            Origin::Listener { .. } | Origin::Datagrams(_) => Ok(()),
        }
    }
}

impl SocketSource {
    /// Waits until a socket has something; `false` if it is time to return.
    fn wait(&mut self, out: &Batch<'_>, deadline: Instant) -> Result<bool, PluginError> {
        let now = Instant::now();
        self.keep_time(now)?;
        // What there is goes on first. While the pipeline drains, what has arrived is read, and nothing waited for.
        let hurry = !out.is_empty() || self.intake.has_rejections() || self.host.cancelled();
        let how_long = if hurry { Duration::ZERO } else { self.patience(now, deadline) };
        self.poller.wait(how_long, &mut self.ready)?;
        Ok(!self.ready.is_empty() || (!hurry && Instant::now() < deadline))
    }

    fn patience(&self, now: Instant, deadline: Instant) -> Duration {
        let due = match &self.origin {
            Origin::Dialer(dialer) => dialer.due(),
            Origin::Listener { paused, .. } => *paused,
            Origin::Datagrams(_) => None,
        };
        let until = due.map_or(deadline, |due| due.min(deadline));
        until.saturating_duration_since(now).min(WAIT_MAX)
    }

    /// What is to be done because time passed.
    fn keep_time(&mut self, now: Instant) -> Result<(), PluginError> {
        match &mut self.origin {
            Origin::Dialer(_) => self.dial(now, false)?,
            Origin::Listener { listener, paused: paused @ Some(_) } if paused.is_some_and(|at| now >= at) => {
                *paused = None;
                self.poller.watch(&listener.socket, LISTENER)?;
            }
            Origin::Listener { .. } | Origin::Datagrams(_) => {}
        }
        let Some(idle) = self.idle_timeout.filter(|_| now - self.idle_checked >= IDLE_CHECK) else {
            return Ok(());
        };
        self.idle_checked = now;
        for place in self.connections.silent_for(idle, now) {
            add(self.metrics.timeouts.as_ref(), 1);
            self.end(place, "the connection gave no line for longer than `idle_timeout`");
        }
        Ok(())
    }

    /// Begins the turn of a socket that has something.
    fn begin(&mut self, number: u64) -> Result<(), PluginError> {
        match number {
            LISTENER => self.accept(),
            DIALING => self.dial(Instant::now(), true),
            DATAGRAMS => {
                self.turn = Some(Turn::Datagrams(DATAGRAMS_PER_TURN));
                self.next_datagram();
                Ok(())
            }
            place => {
                self.receive(usize::try_from(place)?);
                Ok(())
            }
        }
    }

    /// One read of a connection.
    fn receive(&mut self, place: usize) {
        // A connection that was closed since the poller told of it.
        let Some(connection) = self.connections.get_mut(place) else {
            return;
        };
        self.intake.load(connection);
        match self.intake.receive(connection) {
            Ok(Filled::More(_)) => self.turn = Some(Turn::Connection(place)),
            Ok(Filled::End) => {
                connection.ended = true;
                self.turn = Some(Turn::Connection(place));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.intake.unload(connection),
            Err(error) => {
                self.intake.unload(connection);
                self.end(place, &format!("the connection broke: {error}"));
            }
        }
    }

    /// Goes on with the turn; `false` if there is no more room.
    fn go_on(&mut self, out: &mut Batch<'_>) -> bool {
        match self.turn {
            None => true,
            Some(Turn::Connection(place)) => {
                let Some(connection) = self.connections.get_mut(place) else {
                    self.turn = None;
                    return true;
                };
                let progress = self.intake.take(connection, out);
                if progress == Progress::Full {
                    return false;
                }
                self.turn = None;
                self.intake.unload(connection);
                if connection.ended {
                    self.end(place, "the connection ended in the middle of it");
                } else if progress == Progress::Nonsense {
                    self.drop_connection(place);
                }
                true
            }
            Some(Turn::Datagrams(_)) => self.go_on_with_datagrams(out),
        }
    }

    fn go_on_with_datagrams(&mut self, out: &mut Batch<'_>) -> bool {
        while let (Some(Turn::Datagrams(left)), Origin::Datagrams(connection)) = (self.turn, &mut self.origin)
        {
            if self.intake.take_datagram(connection, out) == Progress::Full {
                return false;
            }
            if left == 0 || out.remaining() == 0 {
                self.turn = None;
                break;
            }
            self.turn = Some(Turn::Datagrams(left - 1));
            self.next_datagram();
        }
        true
    }

    /// Reads the next datagram that holds something, if there is one; else the turn ends.
    fn next_datagram(&mut self) {
        let Origin::Datagrams(connection) = &mut self.origin else {
            return;
        };
        match self.intake.receive_datagram(connection) {
            Ok(_) => add(self.metrics.datagrams.as_ref(), 1),
            Err(error) => {
                self.turn = None;
                if error.kind() != io::ErrorKind::WouldBlock
                    && let Some(errors) = self.no_room.count()
                {
                    tracing::warn!(errors, "cannot read a datagram: {error}");
                }
            }
        }
    }

    fn accept(&mut self) -> Result<(), PluginError> {
        let Origin::Listener { listener, paused } = &mut self.origin else {
            return Ok(());
        };
        if self.host.cancelled() {
            // Draining: those that wait are better served by whoever listens next. Left in the poller, the listener would
            // be ready again and again.
            self.poller.forget(&listener.socket)?;
            return Ok(());
        }
        for _ in 0..ACCEPTS_PER_TURN {
            match listener.accept() {
                Accepted::Connection(socket, peer) if self.connections.len() < self.connections_max => {
                    tracing::debug!(%peer, "accepted");
                    add(self.metrics.accepted.as_ref(), 1);
                    let added = self.connections.add(socket, peer, Instant::now(), &self.poller);
                    if let (Err(error), Some(times)) = (&added, self.no_room.count()) {
                        tracing::warn!(times, "a connection cannot be waited for, and is closed: {error}");
                    }
                }
                Accepted::Connection(_, peer) => {
                    add(self.metrics.refused.as_ref(), 1);
                    if let Some(refused) = self.refused.count() {
                        tracing::warn!(
                            %peer,
                            refused,
                            "connection refused: there are {} (`max_connections`); raise it, or set `idle_timeout`",
                            self.connections_max
                        );
                    }
                }
                Accepted::Gone => {}
                Accepted::Nobody => break,
                Accepted::NoRoom(error) => {
                    // The listener stays ready: without a pause it would be asked again and again.
                    self.poller.forget(&listener.socket)?;
                    *paused = Some(Instant::now() + NO_ROOM_PAUSE);
                    if let Some(times) = self.no_room.count() {
                        tracing::warn!(
                            times,
                            "cannot accept connections: {error}; raise the limit of open files"
                        );
                    }
                    break;
                }
            }
        }
        self.show_connections();
        Ok(())
    }

    fn dial(&mut self, now: Instant, writable: bool) -> Result<(), PluginError> {
        let Origin::Dialer(dialer) = &mut self.origin else {
            return Ok(());
        };
        match dialer.step(now, writable, &self.poller, DIALING) {
            Attempt::Pending => {}
            Attempt::Failed => add(self.metrics.connect_failures.as_ref(), 1),
            Attempt::Connected(socket, to) => {
                add(self.metrics.connects.as_ref(), 1);
                self.connections.add(socket, Peer::Named(to), now, &self.poller)?;
                self.show_connections();
            }
        }
        Ok(())
    }

    /// Closes a connection; what it left of a line is rejected.
    fn end(&mut self, place: usize, why: &str) {
        if let Some(connection) = self.connections.get_mut(place) {
            self.intake.cut_off(connection, why);
        }
        self.drop_connection(place);
    }

    fn drop_connection(&mut self, place: usize) {
        let Some(connection) = self.connections.remove(place) else {
            return;
        };
        self.intake.release(&connection);
        tracing::debug!(peer = %connection.peer, lines = connection.line, bytes = connection.position, "closed");
        if let Origin::Dialer(dialer) = &mut self.origin {
            tracing::info!(peer = %connection.peer, lines = connection.line, "the connection ended");
            dialer.lost(Instant::now(), connection.line > 0);
        }
        self.show_connections();
    }

    fn show_connections(&self) {
        if let Some(gauge) = &self.metrics.connections {
            #[expect(clippy::cast_precision_loss, reason = "at most 65,536")]
            gauge.set(self.connections.len() as f64);
        }
    }

    fn count_received(&mut self) -> u64 {
        let received = self.intake.take_received();
        add(self.metrics.received.as_ref(), received);
        received
    }
}
