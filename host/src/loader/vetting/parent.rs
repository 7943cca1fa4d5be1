//! The daemon's side of vetting: starts the child, listens, answers the kernel's questions, and ends it at the deadline.

#![forbid(unsafe_code)]

mod environment;
mod judge;
pub(super) mod scratch;

use super::report::{Message, Secret};
use super::sandbox::kernel;
use super::sandbox::reach::Reach;
use super::sandbox::supervisor::Supervisor;
use super::{SUBCOMMAND, Told, Unfit, Vetting};
use crate::loader::climb::Candidate;
use crate::loader::refusal::{Refusal, Rung};
use cardcage_core::verdict::{Probed, Verdict};
use judge::{Fate, Judged};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType, recvmsg,
    socketpair,
};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use scratch::Scratch;
use std::io::{self, IoSliceMut, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The most that a child may say: schemas of 256 component types.
const MESSAGES_MAX_BYTES: usize = 8 * 1024 * 1024;
/// What is kept of the child's standard error, from its beginning: a crash explains itself early.
const STDERR_MAX_BYTES: usize = 2 * 1024;
/// What is read of it at a time. Most messages are lines of a hundred bytes; the last one has the schemas.
const CHUNK_BYTES: usize = 4 * 1024;
/// How often a plugin is vetted again because the sandbox kept one more of its component types from being probed.
const AGAIN_MAX: usize = 8;

/// Vets a candidate in a child.
///
/// A component type whose probe fails after the sandbox denied it something is not probed: the child is run again
/// without that probe, so that everything else is still tried.
pub(super) fn run(candidate: &Candidate, how: &Vetting) -> Result<Verdict, Box<Unfit>> {
    let path = candidate.copy.path();
    let unfit = |refusal, told| Err(Box::new(Unfit { refusal, told }));
    let mut denied: Vec<(usize, String)> = Vec::new();
    // Of all children together: whoever waits for a verdict does not care how many it takes.
    let until = Instant::now() + how.deadline;
    loop {
        let heard = match Conversation::hold(candidate, how, until, &denied) {
            Ok(heard) => heard,
            Err(error) => return unfit(no_child(path, &error), Told::default()),
        };
        let (judged, told) = judge::judge(path, &heard, how.deadline);
        match judged {
            Judged::Passed(mut verdict) if verdict.is_of(&candidate.manifest) => {
                for (place, what) in denied {
                    verdict.components[place].probe =
                        Probed::NotProbed { reason: format!("the sandbox denied {what}") };
                }
                return Ok(verdict);
            }
            Judged::Passed(_) => return unfit(judge::other_types(path), told),
            Judged::Refused { refusal, denied: Some(found) } => {
                let known = denied.iter().any(|(place, _)| *place == found.0);
                if known || denied.len() == AGAIN_MAX || found.0 >= candidate.manifest.components.len() {
                    return unfit(refusal, told);
                }
                denied.push(found);
            }
            Judged::Refused { refusal, denied: None } => return unfit(refusal, told),
        }
    }
}

fn no_child(path: &Path, error: &io::Error) -> Refusal {
    Refusal::new(
        Rung::Vetting,
        "no-child",
        path,
        format!("the vetting child could not be run: {error}"),
        "a child process of this program",
        "look at the limits on processes and open files",
    )
}

/// What came of the child.
struct Heard {
    secret: Secret,
    messages: Vec<u8>,
    stderr: Vec<u8>,
    fate: Fate,
    supervisor: Supervisor,
}

/// A running child, and all that can be heard of it.
struct Conversation {
    child: Child,
    pid: Pid,
    /// Readable when the child is dead.
    handle: OwnedFd,
    /// Absent when the child has closed its end.
    messages: Option<OwnedFd>,
    stderr: Option<ChildStderr>,
    /// Where the kernel asks about the child's calls.
    questions: Option<OwnedFd>,
    supervisor: Supervisor,
    said: Vec<u8>,
    cried: Vec<u8>,
    until: Instant,
}

impl Conversation {
    fn hold(
        candidate: &Candidate,
        how: &Vetting,
        until: Instant,
        skipped: &[(usize, String)],
    ) -> io::Result<Heard> {
        let secret = Secret::new();
        // Removed when this returns.
        let scratch = Scratch::new();
        let folder = scratch.path();
        let skipped: Vec<String> = skipped.iter().map(|(place, _)| place.to_string()).collect();
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        let mut command = Command::new("/proc/self/exe");
        command
            .arg(SUBCOMMAND)
            .arg(how.deadline.as_secs().max(1).to_string())
            .arg(folder)
            .arg(candidate.copy.path())
            .arg(secret.to_string())
            .arg(skipped.join(","))
            .arg(how.thorough.to_string())
            .env_clear()
            .envs(environment::for_child(&how.secrets))
            .stdin(candidate.copy.memory().try_clone_to_owned()?)
            .stdout(theirs)
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        // It has our copy of its end of the socket.
        drop(command);
        let (pid, handle) = match handle_of(&child) {
            Ok(found) => found,
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(error);
            }
        };
        let stderr = child.stderr.take();
        let supervisor = Supervisor::new(child.id(), Reach::of(candidate, folder));
        let mut conversation = Self {
            child,
            pid,
            handle,
            messages: Some(ours),
            stderr,
            questions: None,
            supervisor,
            said: Vec::new(),
            cried: Vec::new(),
            until,
        };
        let over = conversation.listen();
        let stopped = matches!(over, Ok(Over::TooLate)) && conversation.is_stopped();
        let status = conversation.end()?;
        let fate = match over? {
            Over::Dead => Fate::Ended(status),
            Over::TooLate => Fate::Overdue { stopped },
            Over::TooMuch => Fate::Babbling,
        };
        let Self { supervisor, said, cried, .. } = conversation;
        Ok(Heard { secret, messages: said, stderr: cried, fate, supervisor })
    }

    /// Until it is dead, or has to be ended.
    fn listen(&mut self) -> io::Result<Over> {
        if let Some(stderr) = &self.stderr {
            rustix::io::ioctl_fionbio(stderr, true)?;
        }
        loop {
            let left = self.until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Over::TooLate);
            }
            let [dead, asked, unasked] = self.wait(left)?;
            // Before a question: what it said by then tells in which step the question comes.
            self.take_messages()?;
            self.take_stderr();
            if self.said.len() > MESSAGES_MAX_BYTES {
                return Ok(Over::TooMuch);
            }
            if dead {
                return Ok(Over::Dead);
            }
            if asked && let Some(questions) = &self.questions {
                let questions = questions.as_fd();
                if let Some(question) = kernel::receive(questions) {
                    let answer = self.supervisor.decide(&question, self.said.len());
                    kernel::answer(questions, &question, answer);
                }
            }
            if unasked {
                // Nobody is left to ask, and a wait for more would end at once, again and again, until the child is gone.
                self.questions = None;
            }
        }
    }

    /// Until something happens: whether it is dead, whether the kernel has a question, and whether it will have none any
    /// more.
    fn wait(&self, left: Duration) -> io::Result<[bool; 3]> {
        let mut polled = vec![(What::Death, self.handle.as_fd())];
        // A stream that is closed already would end every wait at once; such a one is absent.
        polled.extend(self.messages.as_ref().map(|messages| (What::Words, messages.as_fd())));
        polled.extend(self.stderr.as_ref().map(|stderr| (What::Words, stderr.as_fd())));
        polled.extend(self.questions.as_ref().map(|questions| (What::Question, questions.as_fd())));
        let mut events: Vec<PollFd<'_>> =
            polled.iter().map(|(_, stream)| PollFd::from_borrowed_fd(*stream, PollFlags::IN)).collect();
        match poll(&mut events, Some(&timespec(left))) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let happened = |wanted: What, how: PollFlags| {
            polled
                .iter()
                .zip(&events)
                .any(|((what, _), event)| *what == wanted && event.revents().contains(how))
        };
        let asked = happened(What::Question, PollFlags::IN);
        let unasked = !asked && happened(What::Question, PollFlags::HUP);
        Ok([happened(What::Death, PollFlags::IN), asked, unasked])
    }

    /// All that is there, and the descriptor that comes with one of the messages.
    fn take_messages(&mut self) -> io::Result<()> {
        let mut chunk = [0; CHUNK_BYTES];
        while let Some(messages) = &self.messages
            && self.said.len() <= MESSAGES_MAX_BYTES
        {
            let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut handed = RecvAncillaryBuffer::new(&mut space);
            let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
            let received = recvmsg(messages, &mut [IoSliceMut::new(&mut chunk)], &mut handed, flags);
            let bytes = match received {
                Ok(received) => received.bytes,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::CONNRESET) => 0,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            for message in handed.drain() {
                if let RecvAncillaryMessage::ScmRights(mut descriptors) = message
                    && self.questions.is_none()
                {
                    self.questions = descriptors.next();
                }
            }
            if bytes == 0 {
                self.messages = None;
            }
            self.said.extend_from_slice(&chunk[..bytes]);
        }
        Ok(())
    }

    /// A bounded part, so that a flood does not keep from looking at the clock.
    fn take_stderr(&mut self) {
        let mut chunk = [0; CHUNK_BYTES];
        let Some(stderr) = &mut self.stderr else {
            return;
        };
        match stderr.read(&mut chunk) {
            // Closed by the child: nothing more to hear.
            Ok(0) => self.stderr = None,
            Ok(read) => {
                let kept = read.min(STDERR_MAX_BYTES.saturating_sub(self.cried.len()));
                self.cried.extend_from_slice(&chunk[..kept]);
            }
            Err(_) => {}
        }
    }

    /// Whether it waits for a signal to go on.
    fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['T', 't']))
    }

    /// Ends the child and all that it started. It is not waited for before that, so that its number is still its own.
    fn end(&mut self) -> io::Result<ExitStatus> {
        // It may not have come as far as making its group.
        let _ = kill_process_group(self.pid, Signal::KILL);
        // No effect on one that is dead: it keeps its exit status.
        let _ = self.child.kill();
        // Whoever waits for an answer now gets none.
        self.questions = None;
        self.child.wait()
    }
}

/// Why nobody listens any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    Dead,
    TooLate,
    TooMuch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Death,
    Words,
    Question,
}

fn handle_of(child: &Child) -> io::Result<(Pid, OwnedFd)> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("a process number that is none"))?;
    Ok((pid, pidfd_open(pid, PidfdFlags::empty())?))
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
