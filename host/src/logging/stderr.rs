//! Writing to stderr past the lock that std has for it: whoever waits for a reader there must hold up nobody else.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, write};
use rustix::stdio::stderr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// A pipe that can be written to takes so many bytes at once without a wait (`PIPE_BUF`).
const AT_ONCE_BYTES: usize = 4096;

/// Writes all of it, however long its reader takes.
pub(super) fn write_all(text: &str) -> io::Result<()> {
    write_to(stderr(), text, None)
}

/// Writes as much as its reader takes in this time.
pub(super) fn write_within(text: &str, patience: Duration) -> io::Result<()> {
    write_to(stderr(), text, Some(Instant::now() + patience))
}

fn write_to(to: BorrowedFd<'_>, text: &str, until: Option<Instant>) -> io::Result<()> {
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let piece = match until {
            None => rest,
            Some(until) => {
                await_reader(to, Some(until))?;
                &rest[..rest.len().min(AT_ONCE_BYTES)]
            }
        };
        match write(to, piece) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => rest = &rest[count..],
            Err(Errno::INTR) => {}
            // Somebody with whom we share it made it so that nobody waits there.
            Err(Errno::AGAIN) => await_reader(to, until)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Waits until something can be written.
fn await_reader(to: impl AsFd, until: Option<Instant>) -> io::Result<()> {
    loop {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let left = left.map(|left| Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        });
        match poll(&mut [PollFd::new(&to, PollFlags::OUT)], left.as_ref()) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    use std::io::Read as _;

    #[test]
    fn a_pipe_that_nobody_reads_is_given_up_and_one_that_is_read_gets_all() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let long = "line\n".repeat(100_000);
        let soon = || Some(Instant::now() + Duration::from_millis(20));
        let full = write_to(writer.as_fd(), &long, soon()).expect_err("it does not fit");
        assert_eq!(full.kind(), io::ErrorKind::TimedOut);
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).expect("text");
            text
        });
        write_to(writer.as_fd(), &long, None).expect("it is read");
        let flags = fcntl_getfl(&writer).expect("flags");
        fcntl_setfl(&writer, flags | OFlags::NONBLOCK).expect("set");
        write_to(writer.as_fd(), &long, None).expect("waited for though the pipe says that nobody waits");
        drop(writer);
        let text = reading.join().expect("read");
        assert!(text.ends_with(&long.repeat(2)), "{}", text.len());
    }
}
