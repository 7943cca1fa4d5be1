//! Connections and their bounds: so many at once, one request each, so much of it, so long.

use super::routes::{self, Daemon};
use super::socket::{Bound, Peers, groups_of};
use axum::Router;
use axum::http::StatusCode;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Connections at once on each socket: a few people and programs. Each costs some 20 KiB at most.
const CONNECTIONS_MAX: usize = 32;
/// Connections beyond these that are told so, or how the daemon's health is; and of those who may not come in.
const SIDE_CONNECTIONS_MAX: usize = 16;
/// The time for a request's head to arrive there.
const SIDE_HEAD_TIME: Duration = Duration::from_secs(1);
/// The time for a whole connection there.
const SIDE_TIME: Duration = Duration::from_secs(2);
/// Bytes of a request's head; ours have a hundred.
const HEAD_MAX_BYTES: usize = 16 * 1024;
/// The time for a request's head to arrive.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// The time for a whole connection, so that a client that reads nothing or sends a byte a second does not keep it.
const CONNECTION_TIME: Duration = Duration::from_secs(15);
/// The wait after a connection could not be taken, as when the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often it is looked whether the socket's file is still there.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often rates are sampled.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// What is added to the thread's nice value: on a machine without a free core, lanes come first.
const NICER: i32 = 10;

/// Serves until `stopped`.
pub(super) fn serve(
    unix: Bound,
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
        tokio::spawn(hold_unix(unix, Arc::clone(daemon)));
        if let Some(listener) = tcp.and_then(|tcp| said(tokio::net::TcpListener::from_std(tcp))) {
            tokio::spawn(take_tcp(listener, Arc::clone(daemon)));
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

/// Serves the Unix socket, and makes it anew when its file is gone.
async fn hold_unix(mut bound: Bound, daemon: Arc<Daemon>) {
    let peers = bound.peers();
    let serve = |listener| {
        let listener = said(tokio::net::UnixListener::from_std(listener))?;
        Some(tokio::spawn(take_unix(listener, peers, Arc::clone(&daemon))))
    };
    let mut serving = bound.take().and_then(serve);
    let mut complained = String::new();
    let mut every = tokio::time::interval(LOOK_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        if bound.is_there() {
            continue;
        }
        let path = bound.path().display().to_string();
        match bound.renew() {
            Ok(listener) => {
                tracing::warn!(
                    "the control socket {path} was removed or replaced by somebody; it is made anew"
                );
                // Nobody can find the old one.
                serving.take().inspect(tokio::task::JoinHandle::abort);
                serving = serve(listener);
                complained.clear();
            }
            Err(error) => {
                let error = error.to_string();
                if error != complained {
                    tracing::error!(
                        "nobody can reach this daemon: the control socket {path} is gone: {error}"
                    );
                    complained = error;
                }
            }
        }
    }
}

async fn take_unix(listener: tokio::net::UnixListener, peers: Peers, daemon: Arc<Daemon>) {
    let doors = Doors::new(routes::control(Arc::clone(&daemon)), daemon);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let allowed = stream
            .peer_cred()
            .is_ok_and(|peer| peers.allow(peer.uid(), peer.gid(), || groups_of(peer.pid())));
        match if allowed { doors.main_or_side() } else { doors.refusing() } {
            Some(door) => {
                tokio::spawn(door.connection(stream));
            }
            None => answer_at_once(|bytes| stream.try_write(bytes), allowed),
        }
    }
}

async fn take_tcp(listener: tokio::net::TcpListener, daemon: Arc<Daemon>) {
    let doors = Doors::new(routes::metrics_only(Arc::clone(&daemon)), daemon);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        match doors.main_or_side() {
            Some(door) => {
                tokio::spawn(door.connection(stream));
            }
            None => answer_at_once(|bytes| stream.try_write(bytes), true),
        }
    }
}

/// The ways into one socket.
struct Doors {
    main: Way,
    /// For those who find no place at the main one: health, and that there is no place. Quick, so that clients who are slow
    /// on purpose leave room for whoever asks whether the daemon lives.
    side: Way,
    /// For those who may not come in: they are heard before they are told, since the news is lost on who is still speaking.
    refusing: Way,
}

struct Way {
    free: Arc<Semaphore>,
    router: Router,
    head_time: Duration,
    time: Duration,
}

/// A place at a way in.
struct Door {
    permit: OwnedSemaphorePermit,
    router: Router,
    head_time: Duration,
    time: Duration,
}

impl Doors {
    fn new(router: Router, daemon: Arc<Daemon>) -> Self {
        Self {
            main: Way::new(CONNECTIONS_MAX, router, HEAD_TIME, CONNECTION_TIME),
            side: Way::quick(routes::busy(daemon)),
            refusing: Way::quick(routes::forbidden()),
        }
    }

    fn main_or_side(&self) -> Option<Door> {
        self.main.door().or_else(|| self.side.door())
    }

    fn refusing(&self) -> Option<Door> {
        self.refusing.door()
    }
}

impl Way {
    fn new(places: usize, router: Router, head_time: Duration, time: Duration) -> Self {
        Self { free: Arc::new(Semaphore::new(places)), router, head_time, time }
    }

    fn quick(router: Router) -> Self {
        Self::new(SIDE_CONNECTIONS_MAX, router, SIDE_HEAD_TIME, SIDE_TIME)
    }

    /// A place, if one is free.
    fn door(&self) -> Option<Door> {
        let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
        Some(Door { permit, router: self.router.clone(), head_time: self.head_time, time: self.time })
    }
}

impl Door {
    /// One request, and its answer.
    async fn connection(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let Self { permit, router, head_time, time } = self;
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(head_time)
            .max_buf_size(HEAD_MAX_BYTES)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
        // Whatever a client does wrong ends its connection and nothing else.
        let _ = tokio::time::timeout(time, served).await;
        drop(permit);
    }
}

/// Answers without reading what was asked, as far as that needs no waiting.
fn answer_at_once(write: impl FnOnce(&[u8]) -> std::io::Result<usize>, allowed: bool) {
    let (status, message) = if allowed {
        (StatusCode::SERVICE_UNAVAILABLE, routes::TOO_MANY)
    } else {
        (StatusCode::FORBIDDEN, routes::NOT_ALLOWED)
    };
    let body = routes::error_body(message);
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    // Whoever does not hear it sees the connection close.
    let _ = write(format!("{head}{body}").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    #[test]
    fn who_may_not_come_in_is_heard_to_the_end_and_told_why() {
        let way = Way::quick(routes::forbidden());
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        ours.set_nonblocking(true).expect("set");
        let asking = std::thread::spawn(move || {
            // In pieces: who was answered after the first would see the connection break at the next.
            for piece in ["POST /log-level HTTP/1.1\r\nhost: x\r\n", "content-length: 2\r\n\r\n", "{}"] {
                theirs.write_all(piece.as_bytes())?;
                std::thread::yield_now();
            }
            let mut answer = String::new();
            theirs.read_to_string(&mut answer).map(|_| answer)
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
        runtime.expect("a runtime").block_on(async {
            let ours = tokio::net::UnixStream::from_std(ours).expect("a stream");
            way.door().expect("a place").connection(ours).await;
        });
        let answer = asking.join().expect("it ended").expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
        assert!(answer.contains("{\"error\":\"this user may not control the daemon"), "{answer}");
    }

    #[test]
    fn there_are_so_many_places_and_each_is_free_again_when_its_connection_is_over() {
        let way = Way::quick(routes::forbidden());
        let doors: Vec<_> = std::iter::from_fn(|| way.door()).collect();
        assert_eq!(doors.len(), SIDE_CONNECTIONS_MAX);
        drop(doors);
        assert!(way.door().is_some());
    }
}
