//! The daemon's side of vetting: starts the child, listens, and ends it at the deadline.

#![forbid(unsafe_code)]

use super::SUBCOMMAND;
use super::report::{Message, Step, Verdict};
use crate::loader::climb::Candidate;
use crate::loader::refusal::{Climbed, Refusal, Rung};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The most that a child may say: schemas of 256 component types.
const MESSAGES_MAX_BYTES: usize = 8 * 1024 * 1024;
/// What is kept of the child's standard error, from its beginning: a crash explains itself early.
const STDERR_MAX_BYTES: usize = 2 * 1024;

/// Vets a candidate in a child.
pub(super) fn run(candidate: &Candidate, deadline: Duration) -> Climbed<Verdict> {
    let path = candidate.copy.path();
    let folder = scratch_folder();
    let heard = listen(candidate, &folder, deadline);
    // The child makes the folder only if a component asks for one.
    let _ = std::fs::remove_dir_all(&folder);
    let heard = heard.map_err(|error| {
        no(
            path,
            "no-child",
            format!("the vetting child could not be run: {error}"),
            "a child process of this program",
            "look at the limits on processes and open files",
        )
    })?;
    let verdict = judge(path, &heard, deadline)?;
    if verdict.is_of(&candidate.manifest) {
        return Ok(verdict);
    }
    Err(no(
        path,
        "answer",
        "the vetting child speaks of other component types than the manifest".to_owned(),
        "a verdict on each component type",
        "report this as a bug, unless the plugin writes to descriptors that it did not open",
    ))
}

/// What came of the child.
struct Heard {
    messages: Vec<u8>,
    stderr: Vec<u8>,
    /// Absent if it had to be ended.
    status: Option<ExitStatus>,
}

fn listen(candidate: &Candidate, folder: &Path, deadline: Duration) -> io::Result<Heard> {
    let until = Instant::now() + deadline;
    let mut child = start(candidate, folder, deadline)?;
    let heard = hear(&mut child, until);
    let status =
        if matches!(&heard, Ok((_, _, Ended::Itself))) { wait_until(&mut child, until) } else { Ok(None) };
    if !matches!(status, Ok(Some(_))) {
        end(&mut child);
    }
    let (messages, stderr, _) = heard?;
    Ok(Heard { messages, stderr, status: status? })
}

fn start(candidate: &Candidate, folder: &Path, deadline: Duration) -> io::Result<Child> {
    let memory: OwnedFd = candidate.copy.memory().try_clone_to_owned()?;
    let mut command = Command::new("/proc/self/exe");
    command
        .arg(SUBCOMMAND)
        .arg(deadline.as_secs().max(1).to_string())
        .arg(folder)
        .arg(candidate.copy.path())
        .env_clear()
        .current_dir("/")
        .stdin(memory)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // The linker must look where it would look here.
    if let Some(folders) = std::env::var_os("LD_LIBRARY_PATH") {
        command.env("LD_LIBRARY_PATH", folders);
    }
    command.spawn()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Itself,
    TooLate,
    TooLong,
}

/// Reads both streams until the child closes them, the deadline, or the bound.
fn hear(child: &mut Child, until: Instant) -> io::Result<(Vec<u8>, Vec<u8>, Ended)> {
    let (Some(mut messages), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(io::Error::other("the child has no pipes"));
    };
    let (mut said, mut cried) = (Vec::new(), Vec::new());
    let mut open = [true, true];
    while open.contains(&true) {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok((said, cried, Ended::TooLate));
        }
        // A stream that is closed already would make every poll return at once.
        let streams = [messages.as_fd(), stderr.as_fd()];
        let mut polled: Vec<PollFd<'_>> = streams
            .into_iter()
            .zip(open)
            .filter(|(_, open)| *open)
            .map(|(stream, _)| PollFd::from_borrowed_fd(stream, PollFlags::IN))
            .collect();
        match poll(&mut polled, Some(&timespec(left))) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut events = polled.iter().map(|polled| !polled.revents().is_empty());
        let ready = open.map(|open| open && events.next() == Some(true));
        if ready[0] {
            open[0] = take(&mut messages, &mut said, MESSAGES_MAX_BYTES + 1)?;
        }
        if ready[1] {
            open[1] = take(&mut stderr, &mut cried, STDERR_MAX_BYTES)?;
        }
        if said.len() > MESSAGES_MAX_BYTES {
            return Ok((said, cried, Ended::TooLong));
        }
    }
    Ok((said, cried, Ended::Itself))
}

/// Reads once; keeps at most `most` bytes in all. `false` at the end.
fn take(from: &mut impl Read, into: &mut Vec<u8>, most: usize) -> io::Result<bool> {
    let mut chunk = [0; 16 * 1024];
    let read = from.read(&mut chunk)?;
    let kept = read.min(most.saturating_sub(into.len()));
    into.extend_from_slice(&chunk[..kept]);
    Ok(read > 0)
}

/// Waits for a child that has closed its streams.
fn wait_until(child: &mut Child, until: Instant) -> io::Result<Option<ExitStatus>> {
    let Some(pid) = pid_of(child) else {
        return child.wait().map(Some);
    };
    let handle = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?;
    let mut left = until.saturating_duration_since(Instant::now());
    while !left.is_zero() {
        let mut polled = [PollFd::from_borrowed_fd(handle.as_fd(), PollFlags::IN)];
        match poll(&mut polled, Some(&timespec(left))) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return child.wait().map(Some),
            Err(error) => return Err(error.into()),
        }
        left = until.saturating_duration_since(Instant::now());
    }
    Ok(None)
}

/// Ends the child and all that it started.
fn end(child: &mut Child) {
    if let Some(pid) = pid_of(child) {
        // It may not have come as far as making its group.
        let _ = kill_process_group(pid, Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

fn pid_of(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

/// A folder that nothing else uses: components of the child may keep state there.
fn scratch_folder() -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    std::env::temp_dir().join(format!(
        "cardcage-vetting-{}-{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    ))
}

fn judge(path: &Path, heard: &Heard, deadline: Duration) -> Climbed<Verdict> {
    let mut at: Option<Step> = None;
    let mut passed = None;
    for line in heard.messages.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line) {
            Ok(Message::Climbing(step)) => at = Some(step),
            Ok(Message::Refused(refusal)) => return Err(refusal),
            Ok(Message::Passed(verdict)) => passed = Some(verdict),
            // A line that was cut off by the child's death.
            Err(_) => {}
        }
    }
    let place = match (&at, &passed) {
        (_, Some(_)) => "after all rungs, while it was unloaded".to_owned(),
        (Some(Step { rung, component }), None) if component.is_empty() => format!("at {rung}"),
        (Some(Step { rung, component }), None) => format!("at {rung}, component type `{component}`"),
        (None, None) => "before its first rung".to_owned(),
    };
    let Some(status) = heard.status else {
        return Err(no(
            path,
            "timeout",
            format!("after {deadline:?} it was still busy {place}"),
            "a plugin that opens, answers and closes within the deadline",
            "look for endless loops and for waiting on the outside world in what that rung calls",
        ));
    };
    match (passed, status.success()) {
        (Some(verdict), true) => Ok(verdict),
        _ => Err(died(path, status, &place, &heard.stderr)),
    }
}

fn died(path: &Path, status: ExitStatus, place: &str, stderr: &[u8]) -> Refusal {
    let how = match (status.signal(), status.code()) {
        (Some(signal), _) => format!("it ended the vetting child by {} {place}", signal_name(signal)),
        (None, Some(code)) => format!("it ended the vetting child with exit code {code} {place}"),
        (None, None) => format!("the vetting child ended {place}"),
    };
    let words = String::from_utf8_lossy(stderr);
    let words = words.trim();
    let found = if words.is_empty() { how } else { format!("{how}, saying: {words}") };
    no(
        path,
        "died",
        found,
        "a plugin that leaves the process alive",
        "run `cardcage plugin check` under a debugger, or look at what that rung calls",
    )
}

fn no(path: &Path, what: &str, found: String, expected: &str, help: &str) -> Refusal {
    Refusal::new(Rung::Vetting, what, path, found, expected, help)
}

fn signal_name(signal: i32) -> String {
    let known = [
        (Signal::SEGV, "SIGSEGV"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::ILL, "SIGILL"),
        (Signal::FPE, "SIGFPE"),
        (Signal::KILL, "SIGKILL"),
        (Signal::XCPU, "SIGXCPU"),
        (Signal::XFSZ, "SIGXFSZ"),
        (Signal::SYS, "SIGSYS"),
        (Signal::TERM, "SIGTERM"),
    ];
    known
        .into_iter()
        .find(|(known, _)| known.as_raw() == signal)
        .map_or_else(|| format!("signal {signal}"), |(_, name)| name.to_owned())
}
