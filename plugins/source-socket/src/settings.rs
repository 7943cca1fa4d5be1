//! The source's settings: as people write them, and checked.

use crate::address::Address;
use cardcage_codec::{Format, ReadSettings};
use cardcage_plugin_api::prelude::*;
use std::path::PathBuf;
use std::time::Duration;

/// Bounds of `max_connections`: what a process may have open, at the very most.
const CONNECTIONS: std::ops::RangeInclusive<u32> = 1..=65_536;
/// Bounds of `receive_buffer`: below, the kernel takes its own least; above, it is no longer a buffer.
const RECEIVE_BUFFER: std::ops::RangeInclusive<u64> = 4096..=(1 << 30);
/// The shortest `idle_timeout`: connections are looked through once a second.
const IDLE_MIN: Duration = Duration::from_secs(1);
/// The shortest delay before connecting again.
const RECONNECT_MIN: Duration = Duration::from_millis(10);

/// Who calls whom.
#[settings]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Others connect, or send datagrams, to this address.
    #[default]
    Listen,
    /// It connects to this address, again whenever the connection ends.
    Connect,
}

/// How a stream is cut into pieces.
#[settings]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// Each line is a piece.
    #[default]
    Line,
    /// In front of each piece stands its length in bytes, 32 bits, most significant byte first. A piece holds one line or
    /// several; the last one needs no line end.
    Length,
}

/// How long to wait before connecting again: twice as long after each failure, each delay shortened at random by up to a
/// half.
#[settings]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reconnect {
    /// The first delay.
    #[serde(default = "default_first")]
    pub(crate) first: Interval,
    /// The longest delay.
    #[serde(default = "default_max")]
    pub(crate) max: Interval,
}

impl Default for Reconnect {
    fn default() -> Self {
        Self { first: default_first(), max: default_max() }
    }
}

fn default_first() -> Interval {
    Interval(Duration::from_millis(200))
}

fn default_max() -> Interval {
    Interval(Duration::from_secs(30))
}

cardcage_codec::input_settings! {
    /// Settings of the source.
    #[derive(Clone, Debug)]
    pub struct SocketSettings {
        /// Where to listen, or what to connect to: `tcp://HOST:PORT`, `udp://HOST:PORT` or `unix:PATH`. Give this or
        /// `listener`.
        #[serde(default)]
        #[schemars(extend("examples" = ["tcp://127.0.0.1:9000", "udp://0.0.0.0:9000", "unix:/run/readings.sock"]))]
        address: Option<String>,
        /// The name of a socket that the daemon was handed when it was started, as by systemd; in place of `address`.
        #[serde(default)]
        listener: Option<String>,
        /// Who calls whom.
        #[serde(default)]
        mode: Mode,
        /// How a stream is cut into pieces. A datagram is one piece by itself.
        #[serde(default)]
        framing: Framing,
        /// How many may be connected at a time; more are refused.
        #[serde(default = "default_connections")]
        max_connections: u32,
        /// How much of unfinished lines is kept, all connections together; what is beyond is rejected as too long.
        #[serde(default = "default_held")]
        max_held: ByteSize,
        /// A connection that gave no whole line for so long is closed; absent: never. Whether the other machine is still
        /// there is asked every minute in any case (TCP keepalive).
        #[serde(default)]
        idle_timeout: Option<Interval>,
        /// How much the kernel keeps of what was not read yet, for each socket (`SO_RCVBUF`); absent: as it thinks best.
        #[serde(default)]
        receive_buffer: Option<ByteSize>,
        /// How long to wait before connecting again.
        #[serde(default)]
        reconnect: Reconnect,
        /// How long connecting may take.
        #[serde(default = "default_connect_timeout")]
        connect_timeout: Interval,
        /// Who may connect to a Unix socket: the mode of its file, in octal digits.
        #[serde(default = "default_file_mode")]
        file_mode: String,
    }
}

fn default_connections() -> u32 {
    1024
}

fn default_held() -> ByteSize {
    ByteSize(64 << 20)
}

fn default_connect_timeout() -> Interval {
    Interval(Duration::from_secs(10))
}

fn default_file_mode() -> String {
    "660".to_owned()
}

/// What to read from, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Listen(Address),
    Listener(String),
    Connect(Address),
}

/// The settings, checked.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    pub(crate) endpoint: Endpoint,
    pub(crate) framing: Framing,
    pub(crate) format: Format,
    pub(crate) read: ReadSettings,
    pub(crate) rejects: Option<PathBuf>,
    pub(crate) max_connections: usize,
    pub(crate) max_held: usize,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) receive_buffer: Option<usize>,
    pub(crate) reconnect: Reconnect,
    pub(crate) connect_timeout: Duration,
    pub(crate) file_mode: u32,
}

impl SocketSettings {
    /// What is wrong with the settings goes into the description.
    pub(crate) fn problems(&self, mut description: Description) -> Description {
        for (setting, message) in self.faults() {
            description = description.problem(setting, message);
        }
        let formats: Vec<Format> = self.format.into_iter().collect();
        self.input().problems(description, &formats)
    }

    /// Whether connecting needs a thread of its own: only to ask for the addresses behind a name.
    pub(crate) fn resolves(&self) -> bool {
        self.mode == Mode::Connect
            && matches!(self.parsed(), Some(Ok(Address::Tcp(host_port))) if host_port.ip().is_none())
    }

    pub(crate) fn check(&self) -> Result<Checked, PluginError> {
        if let Some((setting, message)) = self.faults().into_iter().next() {
            return Err(PluginError::new(format!("`{setting}`: {message}")));
        }
        let input = self.input();
        let (format, read) = input.read_settings(None)?;
        let endpoint = match (self.parsed().transpose()?, &self.listener, self.mode) {
            (Some(address), _, Mode::Listen) => Endpoint::Listen(address),
            (Some(address), _, Mode::Connect) => Endpoint::Connect(address),
            (None, Some(name), _) => Endpoint::Listener(name.clone()),
            (None, None, _) => return Err(PluginError::new("neither `address` nor `listener` is given")),
        };
        Ok(Checked {
            endpoint,
            framing: self.framing,
            format,
            read,
            rejects: input.rejects,
            max_connections: usize::try_from(self.max_connections)?,
            max_held: usize::try_from(self.max_held.0)?,
            idle_timeout: self.idle_timeout.map(|idle| idle.0),
            receive_buffer: self.receive_buffer.map(|size| usize::try_from(size.0)).transpose()?,
            reconnect: self.reconnect,
            connect_timeout: self.connect_timeout.0,
            file_mode: u32::from_str_radix(&self.file_mode, 8)?,
        })
    }

    fn parsed(&self) -> Option<Result<Address, crate::address::AddressError>> {
        self.address.as_ref().map(|text| text.parse())
    }

    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = self.address_faults();
        let mut fault = |setting, message: String| faults.push((setting, message));
        if self.format.is_none() {
            fault("format", "no file's ending tells the format here; set `format: ndjson`".to_owned());
        }
        if !CONNECTIONS.contains(&self.max_connections) {
            fault("max_connections", format!("{} is not between 1 and 65536", self.max_connections));
        }
        if self.max_held.0 < self.max_line.0 {
            let message =
                format!("{} is less than one line may have (`max_line`: {})", self.max_held, self.max_line);
            fault("max_held", message);
        }
        if let Some(idle) = self.idle_timeout.filter(|idle| idle.0 < IDLE_MIN) {
            fault("idle_timeout", format!("{idle} is shorter than {}, the shortest", Interval(IDLE_MIN)));
        }
        if let Some(size) = self.receive_buffer.filter(|size| !RECEIVE_BUFFER.contains(&size.0)) {
            fault("receive_buffer", format!("{size} is not between 4KiB and 1GiB"));
        }
        if self.reconnect.first.0 < RECONNECT_MIN {
            let message = format!("{} is shorter than {}", self.reconnect.first, Interval(RECONNECT_MIN));
            fault("reconnect.first", message);
        }
        if self.reconnect.max < self.reconnect.first {
            let message = format!("{} is shorter than `first`, {}", self.reconnect.max, self.reconnect.first);
            fault("reconnect.max", message);
        }
        if self.connect_timeout.0.is_zero() {
            fault("connect_timeout", "no connection is made in no time; give 10s, for example".to_owned());
        }
        if !u32::from_str_radix(&self.file_mode, 8).is_ok_and(|mode| mode <= 0o777) {
            let message = format!("`{}` is no mode: three octal digits, like `660`", self.file_mode);
            fault("file_mode", message);
        }
        faults
    }

    /// What is wrong with the address, or does not go with it.
    fn address_faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let mut fault = |setting, message: &str| faults.push((setting, message.to_owned()));
        match (&self.address, &self.listener) {
            (None, None) => {
                fault("address", "no address is given; write `tcp://127.0.0.1:9000`, for example");
            }
            (Some(_), Some(_)) => fault("listener", "`address` is given, too; only one of the two can hold"),
            (None, Some(_)) if self.mode == Mode::Connect => {
                fault("mode", "`listener` names a socket that listens; leave out `mode: connect`");
            }
            _ => {}
        }
        match self.parsed() {
            Some(Err(error)) => fault("address", &error.to_string()),
            Some(Ok(Address::Udp(_))) => {
                if self.mode == Mode::Connect {
                    fault("mode", "datagrams come without a connection; use `mode: listen` with udp");
                }
                if self.framing == Framing::Length {
                    fault("framing", "a datagram is one piece by itself; leave out `framing` with udp");
                }
                if self.format == Some(Format::Csv) && self.columns.is_none() {
                    fault("columns", "a datagram has no first line that names the columns; list them here");
                }
            }
            Some(Ok(Address::Tcp(to))) if self.mode == Mode::Connect && to.port == 0 => {
                fault("address", "port 0 cannot be connected to; give the port of the other side");
            }
            _ => {}
        }
        faults
    }
}
