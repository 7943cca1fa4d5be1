//! Connections and their bounds: so many at once, one request each, so much of it, so long.

use super::routes::{self, Daemon};
use super::socket::{Peers, groups_of};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Connections at once on each socket: a few people and programs. Each costs some 20 KiB at most.
const CONNECTIONS_MAX: usize = 32;
/// Bytes of a request's head; ours have a hundred.
const HEAD_MAX_BYTES: usize = 16 * 1024;
/// The time for a request's head to arrive.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// The time for a whole connection, so that a client that reads nothing or sends a byte a second does not keep it.
const CONNECTION_TIME: Duration = Duration::from_secs(15);
/// The wait after a connection could not be taken, as when the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often rates are sampled.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// What is added to the thread's nice value: on a machine without a free core, lanes come first.
const NICER: i32 = 10;

/// Serves until `stopped`.
pub(super) fn serve(
    unix: Option<UnixListener>,
    peers: Peers,
    tcp: Option<TcpListener>,
    daemon: &Arc<Daemon>,
    stopped: oneshot::Receiver<()>,
) {
    // Where this is not allowed, nothing is lost but the order.
    let _ = rustix::process::nice(NICER);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("nobody can reach this daemon: the control thread did not start: {error}");
            return;
        }
    };
    runtime.block_on(async {
        if let Some(listener) = unix.and_then(|unix| said(tokio::net::UnixListener::from_std(unix))) {
            tokio::spawn(take_unix(listener, peers, routes::control(Arc::clone(daemon))));
        }
        if let Some(listener) = tcp.and_then(|tcp| said(tokio::net::TcpListener::from_std(tcp))) {
            tokio::spawn(take_tcp(listener, routes::metrics_only(Arc::clone(daemon))));
        }
        tokio::spawn(sample(Arc::clone(daemon)));
        // An error means that the other end is gone, which is the same news.
        let _ = stopped.await;
    });
}

fn said<T>(listener: std::io::Result<T>) -> Option<T> {
    listener.inspect_err(|error| tracing::error!("nobody can reach this daemon: {error}")).ok()
}

async fn sample(daemon: Arc<Daemon>) {
    let mut every = tokio::time::interval(SAMPLE_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        daemon.sample();
    }
}

async fn take_unix(listener: tokio::net::UnixListener, peers: Peers, router: Router) {
    let free = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let allowed = stream
            .peer_cred()
            .is_ok_and(|peer| peers.allow(peer.uid(), peer.gid(), || groups_of(peer.pid())));
        let permit = Arc::clone(&free).try_acquire_owned();
        match (allowed, permit) {
            (false, _) => answer_at_once(
                |bytes| stream.try_write(bytes),
                "403 Forbidden",
                "this user may not control the daemon: `control.group` says who else may",
            ),
            (true, Err(_)) => {
                answer_at_once(|bytes| stream.try_write(bytes), "503 Service Unavailable", TOO_MANY);
            }
            (true, Ok(permit)) => {
                tokio::spawn(connection(stream, router.clone(), permit));
            }
        }
    }
}

async fn take_tcp(listener: tokio::net::TcpListener, router: Router) {
    let free = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        match Arc::clone(&free).try_acquire_owned() {
            Err(_) => answer_at_once(|bytes| stream.try_write(bytes), "503 Service Unavailable", TOO_MANY),
            Ok(permit) => {
                tokio::spawn(connection(stream, router.clone(), permit));
            }
        }
    }
}

const TOO_MANY: &str = "too many connections at once; try again in a moment";

/// Answers without reading what was asked, as far as that needs no waiting.
fn answer_at_once(write: impl FnOnce(&[u8]) -> std::io::Result<usize>, status: &str, message: &str) {
    let body = routes::error_body(message);
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    // Whoever does not hear it sees the connection close.
    let _ = write(format!("{head}{body}").as_bytes());
}

/// One request, and its answer.
async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    _permit: OwnedSemaphorePermit,
) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_MAX_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // Whatever a client does wrong ends its connection and nothing else.
    let _ = tokio::time::timeout(CONNECTION_TIME, served).await;
}
