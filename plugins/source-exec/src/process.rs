//! A program while it runs: its output, its end, and the end of everything that it started.

use crate::settings::Command;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, waitid,
};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{self, Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A program and its process group. Dropped, all of it is killed.
pub(crate) struct Process {
    child: Child,
    pid: Pid,
    /// Tells of the program's end; without it, it is looked for from time to time.
    pidfd: Option<OwnedFd>,
    /// `None` once it was closed.
    pub(crate) stdout: Option<Pipe>,
    pub(crate) stderr: Option<Pipe>,
    pub(crate) started: Instant,
    /// Once it was asked to end.
    asked_to_end: Option<Instant>,
    status: Option<ExitStatus>,
}

/// The reading end of a pipe, read without waiting.
pub(crate) struct Pipe(OwnedFd);

impl Read for Pipe {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(&self.0, room)?)
    }
}

impl Pipe {
    fn new(end: Option<impl Into<OwnedFd>>) -> io::Result<Self> {
        let end = end.ok_or(io::ErrorKind::BrokenPipe)?.into();
        // Of this end only: the program's is as it expects it.
        rustix::io::ioctl_fionbio(&end, true)?;
        Ok(Self(end))
    }
}

impl Process {
    /// Starts a program: no shell, nothing to read, a process group of its own.
    pub(crate) fn start(program: &Path, command: &Command) -> io::Result<Self> {
        let mut builder = process::Command::new(program);
        builder
            .arg0(&command.name)
            .args(&command.arguments)
            .envs(&command.env)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        if let Some(cwd) = &command.cwd {
            builder.current_dir(cwd);
        }
        let mut child = builder.spawn()?;
        let pid = Pid::from_child(&child);
        let (stdout, stderr) = (Pipe::new(child.stdout.take()), Pipe::new(child.stderr.take()));
        let mut process = Self {
            child,
            pid,
            pidfd: pidfd_open(pid, PidfdFlags::empty()).ok(),
            stdout: None,
            stderr: None,
            started: Instant::now(),
            asked_to_end: None,
            status: None,
        };
        // From here on an error kills what was started.
        (process.stdout, process.stderr) = (Some(stdout?), Some(stderr?));
        Ok(process)
    }

    pub(crate) fn number(&self) -> u32 {
        self.child.id()
    }

    /// Waits until there is output, the program has ended, or so long.
    pub(crate) fn wait(&self, how_long: Duration) -> io::Result<()> {
        let pipes = [&self.stdout, &self.stderr].into_iter().flatten().map(|pipe| &pipe.0);
        let ends = pipes.chain(self.pidfd.as_ref().filter(|_| self.status.is_none()));
        let mut waited: Vec<PollFd<'_>> = ends.map(|end| PollFd::new(end, PollFlags::IN)).collect();
        let timeout = Timespec {
            tv_sec: i64::try_from(how_long.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(how_long.subsec_nanos()),
        };
        match poll(&mut waited, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// How the program ended, once it has. What is left of its group is killed then.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.status.is_some() {
            return Ok(self.status);
        }
        // Looked at without taking it: until it is taken, no other group can have this number.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if waitid(WaitId::Pid(self.pid), options)?.is_none() {
            return Ok(None);
        }
        self.signal(Signal::KILL);
        self.status = Some(self.child.wait()?);
        Ok(self.status)
    }

    /// Whether [`Process::ended`] has told of its end.
    pub(crate) fn has_ended(&self) -> bool {
        self.status.is_some()
    }

    /// Asks the group to end and, once the grace is over, kills it. To be called from time to time.
    pub(crate) fn end(&mut self, grace: Duration, now: Instant) {
        match self.asked_to_end {
            None => {
                self.asked_to_end = Some(now);
                self.signal(Signal::TERM);
            }
            Some(asked) if now.saturating_duration_since(asked) >= grace => self.signal(Signal::KILL),
            Some(_) => {}
        }
    }

    /// Whether it was asked to end.
    pub(crate) fn is_ending(&self) -> bool {
        self.asked_to_end.is_some()
    }

    /// Signals the group, unless its number may be another's by now. A group without processes is as good as signalled.
    fn signal(&self, signal: Signal) {
        if self.status.is_none() {
            let _ = kill_process_group(self.pid, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.status.is_none() {
            self.signal(Signal::KILL);
            // Killed, it ends at once; left without a wait, it would stay as a zombie.
            let _ = self.child.wait();
        }
    }
}
