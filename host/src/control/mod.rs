//! How a running daemon is reached: HTTP over a Unix socket, and over TCP for metrics and health only.
//!
//! One thread of its own serves everything, below the priority of the lanes. It reads what lanes write anyway (see
//! [`cardcage_runtime::Live`]), so that a slow, silent or hostile client costs a connection of a bounded number for a bounded
//! time, and a lane nothing. docs/control-api.md says what is served.
//!
//! - [`socket`]: the Unix socket: where it is, who may use it.
//! - [`server`]: connections and their bounds.
//! - [`routes`]: what is asked, and who answers.
//! - [`status`], [`ledger`], [`metrics`]: the answers.
//! - [`client`]: the other end, for the commands.

#![forbid(unsafe_code)]

pub(crate) mod client;
mod ledger;
mod metrics;
mod rates;
mod routes;
mod server;
pub(crate) mod socket;
mod status;

use crate::logging::Filter;
use cardcage_core::config::{Config, Control, Secrets};
use cardcage_runtime::Live;
use routes::Daemon;
use socket::{Bound, SocketError};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Why the daemon cannot be reached as its config says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error("`control: {{metrics: {address}}}`: {why}; is something else listening there?")]
    Metrics { address: SocketAddr, why: String },
    #[error("no thread for the control socket: {0}")]
    Thread(String),
}

/// Sockets that listen, before there is anything to answer: whoever connects waits.
pub(crate) struct Listening {
    unix: Bound,
    tcp: Option<TcpListener>,
}

/// Listens where the config says. `folder` is that of the config, `state` the state directory.
pub(crate) fn listen(control: &Control, folder: &Path, state: &Path) -> Result<Listening, ControlError> {
    let path = socket::path(control, folder, state);
    let unix = Bound::new(&path, control.mode, control.group.as_deref())?;
    let tcp = control.metrics.map(|address| {
        let listen = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            std::io::Result::Ok(listener)
        };
        listen().map_err(|error| ControlError::Metrics { address, why: error.to_string() })
    });
    Ok(Listening { unix, tcp: tcp.transpose()? })
}

/// The control socket, served until this value goes.
pub(crate) struct Serving {
    stop: Option<oneshot::Sender<()>>,
    /// Removes the socket's file at its end.
    thread: Option<JoinHandle<()>>,
}

impl Listening {
    /// Starts to answer, for the pipeline of this config.
    pub(crate) fn serve(self, config: &Config, live: Live, filter: Filter) -> Result<Serving, ControlError> {
        let Self { unix, tcp } = self;
        if let Some(address) = tcp.as_ref().and_then(|tcp| tcp.local_addr().ok()) {
            tracing::info!("metrics and health at http://{address}/metrics and /health");
        }
        let daemon = Arc::new(Daemon::new(&config.file, live, filter, Secrets::of(config)));
        let (stop, stopped) = oneshot::channel();
        let work = move || server::serve(unix, tcp, &daemon, stopped);
        let thread = std::thread::Builder::new().name("control".to_owned()).spawn(work);
        let thread = thread.map_err(|error| ControlError::Thread(error.to_string()))?;
        Ok(Serving { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Gone already if the thread could not serve, which it has said.
        let _ = self.stop.take().map(|stop| stop.send(()));
        if let Some(thread) = self.thread.take() {
            // Nothing that it does waits for longer than a moment.
            let _ = thread.join();
        }
    }
}
