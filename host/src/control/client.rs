//! The commands' end of the control socket: one request, one answer, both bounded.

use super::socket;
use serde_json::Value;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The time that an answer may take, all tries and all of it.
const PATIENCE: Duration = Duration::from_secs(10);
/// The wait before a daemon that is busy with others is asked again.
const BUSY_WAIT: Duration = Duration::from_millis(250);
/// The largest answer: metrics of thousands of components.
const ANSWER_MAX_BYTES: usize = 64 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// Nobody is there.
    #[error("no daemon answers at {}: {why}\nstart one with `cardcage run`, or name its socket: `--socket PATH`", path.display())]
    NoDaemon {
        /// Where.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The daemon says no.
    #[error("{message}")]
    Refused {
        /// As HTTP has it.
        status: u16,
        /// Why.
        message: String,
    },
}

/// What is asked.
pub(crate) struct Request<'a> {
    /// `GET`, for example.
    pub(crate) method: &'a str,
    /// `/status`, for example.
    pub(crate) path: &'a str,
    /// The form in which to answer.
    pub(crate) accept: &'a str,
    /// What is sent along.
    pub(crate) body: Option<Value>,
}

impl<'a> Request<'a> {
    /// Asks to see something.
    pub(crate) fn get(path: &'a str, accept: &'a str) -> Self {
        Self { method: "GET", path, accept, body: None }
    }

    /// The answer's text.
    pub(crate) fn send(&self, socket: &Path) -> Result<String, ClientError> {
        self.send_within(socket, PATIENCE)
    }

    fn send_within(&self, socket: &Path, patience: Duration) -> Result<String, ClientError> {
        let until = Instant::now() + patience;
        let mut busy = None;
        loop {
            let (status, text) = match self.try_send(socket, until) {
                Ok(answer) => answer,
                // One that is busy to the end is no daemon that does not answer.
                Err(error) => return Err(busy.unwrap_or_else(|| no_daemon(socket, &error))),
            };
            if status == 200 {
                return Ok(text);
            }
            let refused = ClientError::Refused { status, message: why(status, &text) };
            if status != 503 || Instant::now() + BUSY_WAIT >= until {
                return Err(refused);
            }
            busy = Some(refused);
            std::thread::sleep(BUSY_WAIT);
        }
    }

    fn try_send(&self, socket: &Path, until: Instant) -> std::io::Result<(u16, String)> {
        let mut stream = socket::connect(socket, left(until)?)?;
        stream.set_write_timeout(Some(left(until)?))?;
        let body = self.body.as_ref().map_or_else(String::new, Value::to_string);
        let request = format!(
            "{} {} HTTP/1.1\r\nhost: localhost\r\naccept: {}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            self.method,
            self.path,
            self.accept,
            body.len()
        );
        // A daemon that has no time for us answers without reading, and closes.
        let sent = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let read = read_all(&mut stream, until, &mut answer);
        parse(&answer).ok_or_else(|| match (sent, read) {
            (Err(error), _) | (_, Err(error)) => error,
            _ => std::io::Error::new(ErrorKind::InvalidData, "what answers there is no cardcage daemon"),
        })
    }
}

/// The time that is left; an error if there is none.
fn left(until: Instant) -> std::io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// Reads to the end, for so long in all: who sends a byte now and then does not keep us.
fn read_all(stream: &mut UnixStream, until: Instant, answer: &mut Vec<u8>) -> std::io::Result<()> {
    let mut piece = [0; 16 * 1024];
    loop {
        stream.set_read_timeout(Some(left(until)?))?;
        match stream.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(_) if answer.len() >= ANSWER_MAX_BYTES => return Err(ErrorKind::FileTooLarge.into()),
            Ok(count) => answer.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn no_daemon(path: &Path, error: &std::io::Error) -> ClientError {
    let is_socket = std::fs::metadata(path).map_or(true, |found| found.file_type().is_socket());
    let why = match error.kind() {
        ErrorKind::ConnectionRefused if !is_socket => "what is there is no socket".to_owned(),
        ErrorKind::NotFound => "there is no such socket".to_owned(),
        ErrorKind::ConnectionRefused => "the daemon that made this socket is gone".to_owned(),
        ErrorKind::PermissionDenied => "this user may not use it".to_owned(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            format!("what listens there has given no whole answer in {} s", PATIENCE.as_secs())
        }
        _ => error.to_string(),
    };
    ClientError::NoDaemon { path: path.to_owned(), why }
}

/// Status and body of an answer; `None` if it is not a whole one.
fn parse(answer: &[u8]) -> Option<(u16, String)> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let body = &answer[end + 4..];
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    first.next().filter(|version| version.starts_with("HTTP/1."))?;
    let status = first.next()?.parse().ok()?;
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok())?;
    let body = body.get(..length)?;
    Some((status, String::from_utf8_lossy(body).into_owned()))
}

fn why(status: u16, text: &str) -> String {
    let error = serde_json::from_str::<Value>(text).ok();
    let error = error.as_ref().and_then(|value| value.get("error")).and_then(Value::as_str);
    error.map_or_else(|| format!("the daemon answered with status {status}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_whole_or_not_at_all() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(parse(whole), Some((200, "abc".to_owned())));
        for cut in 0..whole.len() {
            assert_eq!(parse(&whole[..cut]), None, "cut at {cut}");
        }
        assert_eq!(parse(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), None);
    }

    #[test]
    fn who_sends_a_byte_now_and_then_is_given_up_when_the_time_is_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s");
        let listener = std::os::unix::net::UnixListener::bind(&path).expect("bound");
        let trickle = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            // Until the client is gone.
            while stream.write_all(b"H").is_ok() {
                std::thread::yield_now();
            }
        });
        let error = Request::get("/status", "x").send_within(&path, Duration::from_millis(300));
        let why = error.expect_err("no answer").to_string();
        assert!(why.contains("what listens there has given no whole answer in"), "{why}");
        trickle.join().expect("it saw the client go");
    }

    #[test]
    fn what_the_daemon_says_is_what_is_shown() {
        assert_eq!(why(400, "{\"error\": \"no such level\"}"), "no such level");
        assert_eq!(why(500, "oops"), "the daemon answered with status 500");
    }
}
