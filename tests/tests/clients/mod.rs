//! Clients of the control socket: plain ones, and ones that mean no good.

use e2e::Pipeline;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Where a pipeline's control socket is, if its config does not say otherwise.
pub(crate) fn socket(pipeline: &Pipeline) -> PathBuf {
    pipeline.path(".cardcage/control.sock")
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON: {error}: {}", self.body))
    }
}

pub(crate) fn get(pipeline: &Pipeline, path: &str) -> std::io::Result<Answer> {
    request(&socket(pipeline), "GET", path, "")
}

pub(crate) fn request(socket: &Path, method: &str, path: &str, body: &str) -> std::io::Result<Answer> {
    request_with(socket, method, path, "", body)
}

/// A request with further headers.
pub(crate) fn request_with(
    socket: &Path,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> std::io::Result<Answer> {
    talk(UnixStream::connect(socket)?, method, path, headers, body)
}

pub(crate) fn over_tcp(address: SocketAddr, method: &str, path: &str, body: &str) -> std::io::Result<Answer> {
    talk(TcpStream::connect(address)?, method, path, "", body)
}

fn talk(
    mut stream: impl Read + Write,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> std::io::Result<Answer> {
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\n{headers}content-length: {length}\r\n\r\n");
    // Who refuses may do so before everything is sent.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
    let mut answer = Vec::new();
    let mut some = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut some) {
        answer.extend_from_slice(&some[..count]);
    }
    let answer = String::from_utf8_lossy(&answer);
    let none = || std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "no answer");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(none)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(none)?;
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

/// So many connections that begin a request and never finish it.
pub(crate) fn slow_over_tcp(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    let begun = (0..count).map(|_| {
        let mut stream = TcpStream::connect(address).expect("connected");
        stream.write_all(b"GET /metrics HTTP/1.1\r\nx-slow: ").expect("sent");
        stream
    });
    begun.collect()
}

/// So many connections that begin a request and never finish it, as many of them as the system lets through.
pub(crate) fn crowd(socket: &Path, count: usize) -> Vec<UnixStream> {
    let begun = (0..count).filter_map(|_| {
        let mut stream = UnixStream::connect(socket).ok()?;
        // Who is turned away at once cannot be written to.
        let _ = stream.write_all(b"GET /status HTTP/1.1\r\nx-slow: ");
        Some(stream)
    });
    begun.collect()
}

/// Requests that are none, that stop in the middle, or whose answer nobody reads.
pub(crate) fn hostile(socket: &Path) {
    let pieces: [&[u8]; 8] = [
        b"",
        b"\0\0\0\0\0\0\0\0",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST /log-level HTTP/1.1\r\ncontent-length: 99999999999999999999\r\n\r\n",
        b"POST /log-level HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        b"GET /\xff\xfe%00%2e%2e/ HTTP/1.1\r\nhost: \r\n\r\n",
    ];
    for _ in 0..50 {
        for piece in pieces {
            if let Ok(mut stream) = UnixStream::connect(socket) {
                // Dropped unread, which resets the connection.
                let _ = stream.write_all(piece);
            }
        }
    }
}
