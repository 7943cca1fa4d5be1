//! Where connections or datagrams come from: a socket that listens, or one that is connected.

use crate::connection::{Connection, Peer};
use crate::dial::Dialer;
use crate::listen::{Listener, Listening, listen_on, take_over};
use crate::poller::Poller;
use crate::settings::{Checked, Endpoint};
use cardcage_plugin_api::{Host, PluginError};
use std::time::Instant;

/// The poller's numbers of sockets that are no connections; those have the numbers of their places.
pub(crate) const LISTENER: u64 = u64::MAX;
pub(crate) const DIALING: u64 = u64::MAX - 1;
pub(crate) const DATAGRAMS: u64 = u64::MAX - 2;

/// Where connections or datagrams come from.
pub(crate) enum Origin {
    Listener {
        listener: Listener,
        /// Until when nothing is accepted.
        paused: Option<Instant>,
    },
    Dialer(Dialer),
    Datagrams(Connection),
}

impl Origin {
    pub(crate) fn open(settings: &Checked, host: &Host, poller: &Poller) -> Result<Self, PluginError> {
        let listening = match &settings.endpoint {
            Endpoint::Connect(address) => {
                return Ok(Self::Dialer(Dialer::new(address.clone(), settings, host)?));
            }
            Endpoint::Listen(address) => listen_on(address, settings)?,
            Endpoint::Listener(name) => take_over(name, host, settings.receive_buffer)?,
        };
        match listening {
            Listening::Connections(listener) => {
                poller.watch(&listener.socket, LISTENER)?;
                Ok(Self::Listener { listener, paused: None })
            }
            Listening::Datagrams(socket) => {
                poller.watch(&socket, DATAGRAMS)?;
                Ok(Self::Datagrams(Connection::new(0, socket, Peer::Unknown, Instant::now())))
            }
        }
    }
}
