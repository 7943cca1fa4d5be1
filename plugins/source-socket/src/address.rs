//! Addresses as people write them: `tcp://127.0.0.1:9000`, `udp://[::]:9000`, `unix:/run/readings.sock`.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use thiserror::Error;

/// The longest path of a Unix socket: `sun_path` has 108 bytes, the last one a zero, and a socket is first called
/// `….new`.
const UNIX_PATH_MAX: usize = 103;

/// Where to listen, or what to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp(HostPort),
    Udp(HostPort),
    Unix(PathBuf),
}

/// A machine and a port of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPort {
    /// A name or an IP address, the latter without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl HostPort {
    /// The IP address, if that is what it is.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(at) => write!(f, "tcp://{at}"),
            Self::Udp(at) => write!(f, "udp://{at}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Why a text is no address.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum AddressError {
    #[error(
        "`{0}` does not begin with `tcp://`, `udp://` or `unix:`; write `tcp://127.0.0.1:9000`, for example"
    )]
    Scheme(String),
    #[error("`{0}` names no port; put `:9000` behind it, for example")]
    NoPort(String),
    #[error("`{0}` is no port: 0 to 65535")]
    Port(String),
    #[error(
        "no machine is named in front of the port; write `0.0.0.0` or `[::]` for every address of this one"
    )]
    NoHost,
    #[error("`{0}` is no IPv6 address; one stands in brackets, like `tcp://[::1]:9000`")]
    Brackets(String),
    #[error("no path follows `unix:`; write `unix:/run/readings.sock`, for example")]
    NoPath,
    #[error("the path has {0} bytes; a Unix socket's has at most {UNIX_PATH_MAX}")]
    LongPath(usize),
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(rest) = text.strip_prefix("tcp://") {
            return host_port(rest).map(Self::Tcp);
        }
        if let Some(rest) = text.strip_prefix("udp://") {
            return host_port(rest).map(Self::Udp);
        }
        let Some(path) = text.strip_prefix("unix:") else {
            return Err(AddressError::Scheme(text.to_owned()));
        };
        // `unix:///run/x` is the same file as `unix:/run/x`.
        let path = path.strip_prefix("//").unwrap_or(path);
        match path.len() {
            0 => Err(AddressError::NoPath),
            len if len > UNIX_PATH_MAX => Err(AddressError::LongPath(len)),
            _ => Ok(Self::Unix(PathBuf::from(path))),
        }
    }
}

fn host_port(text: &str) -> Result<HostPort, AddressError> {
    let text = text.strip_suffix('/').unwrap_or(text);
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(|| AddressError::Brackets(text.to_owned()))?;
            if !host.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()) {
                return Err(AddressError::Brackets(host.to_owned()));
            }
            (host, port.strip_prefix(':').ok_or_else(|| AddressError::NoPort(text.to_owned()))?)
        }
        None => text.rsplit_once(':').ok_or_else(|| AddressError::NoPort(text.to_owned()))?,
    };
    if host.is_empty() {
        return Err(AddressError::NoHost);
    }
    if host.contains(':') && !text.starts_with('[') {
        return Err(AddressError::Brackets(text.to_owned()));
    }
    let port = port.parse().map_err(|_| AddressError::Port(port.to_owned()))?;
    Ok(HostPort { host: host.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_as_they_are_shown() {
        for text in
            ["tcp://127.0.0.1:9000", "udp://[::]:1", "tcp://plc-7.example:502", "unix:/run/readings.sock"]
        {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert_eq!("unix:///run/x".parse(), Ok(Address::Unix(PathBuf::from("/run/x"))));
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_to_write() {
        for (text, said) in [
            ("127.0.0.1:9000", "tcp://"),
            ("http://x:1", "does not begin with"),
            ("tcp://localhost", "names no port"),
            ("tcp://localhost:http", "is no port"),
            ("tcp://localhost:70000", "0 to 65535"),
            ("tcp://:9000", "0.0.0.0"),
            ("tcp://::1:9000", "in brackets"),
            ("tcp://[nonsense]:9000", "is no IPv6"),
            ("tcp://[::1]", "no port"),
            ("unix:", "no path"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
        let long = format!("unix:/{}", "x".repeat(200));
        assert_eq!(long.parse::<Address>(), Err(AddressError::LongPath(201)));
    }
}
