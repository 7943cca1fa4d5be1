//! Reads readings from the network: TCP and Unix sockets, listening or connecting, and UDP.
//!
//! Everything happens on the lane's own thread, inside of `fill`: one poller tells which sockets have something, each of
//! them gets one read in its turn (`intake`), and nothing else ever waits. The one exception is asking for the addresses
//! behind a name, which has a thread.

#![forbid(unsafe_code)]

mod account;
mod address;
mod connection;
mod connections;
mod dial;
mod intake;
mod listen;
mod origin;
mod poller;
mod settings;
mod source;
mod unix_file;

use cardcage_plugin_api::prelude::*;
pub use settings::{Framing, Mode, Reconnect, SocketSettings};
pub use source::SocketSource;

export_plugin! {
    name: "socket",
    description: "reads readings from the network: TCP, UDP, Unix sockets",
    components: [source SocketSource as "socket" {
        drops,
        threads: 1,
        listen: [settings.address],
        connect: [settings.address],
        write: [settings.rejects],
        metrics: [
            gauge "connections" { unit: "1", help: "connections that are open now", min: 0.0 },
            counter "accepted" { unit: "1", help: "connections that others made to it" },
            counter "refused" { unit: "1", help: "connections turned away because there were `max_connections`" },
            counter "connects" { unit: "1", help: "connections that it made to others, the first one too" },
            counter "connect_failures" { unit: "1", help: "attempts to connect that failed" },
            counter "idle_timeouts" { unit: "1", help: "connections closed because they gave no line for `idle_timeout`" },
            counter "datagrams" { unit: "1", help: "datagrams read" },
            counter "received_bytes" { unit: "By", help: "bytes read from the network" },
        ],
    }],
    probe: none("listens on an address or connects to one"),
}

#[cfg(test)]
mod tests;
