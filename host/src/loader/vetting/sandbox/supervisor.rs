//! The parent's answers to the kernel's questions, and what it denied.
//!
//! Most decisions are made on the call's number and on arguments in registers, which the child cannot change meanwhile.
//! Landlock decides which files may be opened; their paths are read from the child's memory for messages. About a file's
//! mode and owner, which Landlock knows nothing of, the path decides.

#![forbid(unsafe_code)]

use super::kernel::{Answer, Question};
use super::memory::{file_of, path_of, port_of, word_at};
use super::reach::Reach;
use super::rules::{About, RULES};
use crate::loader::process_state::descriptors::FILLED;
use crate::loader::vetting::child::{ADDRESSES_MAX_BYTES, DATA_MAX_BYTES, FILES_MAX};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use std::path::{Path, PathBuf};

/// The most processes that a plugin which declares `exec` may start in its probe.
const PROCESSES_MAX: u32 = 32;
/// The most threads that may run at once. A probe opens each component type once, with a few threads each.
const THREADS_MAX: u32 = 256;
/// Files opened that are remembered, for the case that one of them was denied.
const OPENED_MAX: usize = 256;
/// Denials that are remembered: the first ones explain the rest.
const DENIED_MAX: usize = 16;
/// From so many openings on, the child's open files are counted at each.
const OPENINGS_UNCOUNTED: u32 = 64;

/// Answers, and remembers what it denied. `at` is how much the child had said by then, to tell in which step it was.
#[derive(Debug)]
pub(in crate::loader::vetting) struct Supervisor {
    child: u32,
    reach: Reach,
    threads: u32,
    processes: u32,
    openings: u32,
    denied: Vec<Denied>,
    opened: Vec<Opened>,
    /// When memory had run out bit by bit: that is no denial of something that it asked for.
    exhausted: Option<usize>,
}

#[derive(Debug)]
struct Denied {
    at: usize,
    what: String,
    /// Whether it is a bound of this child only, which the daemon does not have.
    bound: bool,
}

#[derive(Debug)]
struct Opened {
    at: usize,
    path: PathBuf,
    write: bool,
}

impl Supervisor {
    /// Of the child with this number.
    pub(in crate::loader::vetting) fn new(child: u32, reach: Reach) -> Self {
        Self {
            child,
            reach,
            threads: 0,
            processes: 0,
            openings: 0,
            denied: Vec::new(),
            opened: Vec::new(),
            exhausted: None,
        }
    }

    /// Decides about a call.
    pub(in crate::loader::vetting) fn decide(&mut self, question: &Question, at: usize) -> Answer {
        let Some(rule) = RULES.iter().find(|rule| rule.call == question.call) else {
            return Answer::Continue;
        };
        match rule.about {
            About::Clone if has(question.arguments[0], libc::CLONE_THREAD) => {
                self.threads += 1;
                if self.threads < THREADS_MAX || entries(question.thread, "task") < THREADS_MAX as usize {
                    return Answer::Continue;
                }
                self.bound(at, format!("more than {THREADS_MAX} threads at once"), libc::EAGAIN)
            }
            About::Clone | About::Fork => self.process(at),
            About::Execute if self.reach.processes => Answer::Continue,
            About::Execute => {
                self.deny(at, "running a program: the plugin does not declare `exec`", libc::EPERM)
            }
            // To itself, as `abort` and `raise` do, or to its group, which is its own.
            About::Signal
                if [0, self.child, question.thread].map(u64::from).contains(&question.arguments[0]) =>
            {
                Answer::Continue
            }
            // Signal 0 only asks whether the process is there.
            About::Signal if question.arguments[1] == 0 => Answer::Continue,
            About::Signal => self.deny(at, "a signal to another process", libc::EPERM),
            About::Socket => self.socket(question, at),
            About::Address { listen } => self.address(question, listen, at),
            About::Attributes(folder, path) => {
                // Without a path it is about the descriptor itself.
                let file = match question.arguments[path] {
                    0 => folder.and_then(|folder| file_of(question, question.arguments[folder])),
                    _ => path_of(question, folder, path),
                };
                self.attributes(file, at)
            }
            About::AttributesOf => self.attributes(file_of(question, question.arguments[0]), at),
            About::Process(_) if self.is_own(question.arguments[0], question) => Answer::Continue,
            About::Never(what) | About::Process(what) => self.deny(at, what, libc::EPERM),
            About::Priority(process) => self.priority(question, process, at),
            // Looking changes nothing.
            About::Limits if question.arguments[2] == 0 => Answer::Continue,
            About::Limits if self.is_own(question.arguments[0], question) => Answer::Continue,
            About::Limits => self.deny(at, "setting another process's limits", libc::EPERM),
            About::Clock(argument) if word_at(question, argument) == Some(0) => Answer::Continue,
            About::Clock(_) => self.deny(at, "setting the clock", libc::EPERM),
            About::Map => self.map(question, at),
            About::Grow => {
                let [_, size, wanted, ..] = question.arguments;
                self.fits(wanted.saturating_sub(size), at);
                Answer::Continue
            }
            About::Open(folder, path, flags) => {
                let flags = flags.map_or(0, |flags| question.arguments[flags]);
                self.files(at);
                let write = has(flags, libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC);
                self.remember(question, at, folder, path, write)
            }
            About::Change(folder, path) => self.remember(question, at, folder, path, true),
        }
    }

    /// The first thing that was denied while the child had said between so many and so many bytes.
    pub(in crate::loader::vetting) fn denied(&self, from: usize, to: usize) -> Option<String> {
        let call = self.denied.iter().find(|denied| is_between(denied.at, from, to));
        let call = call.map(|denied| (denied.at, denied.what.clone()));
        let files = self.opened.iter().filter(|opened| is_between(opened.at, from, to));
        let file = files.into_iter().find_map(|opened| {
            let how = if opened.write { "writing" } else { "reading" };
            let what = format!("{how} {}: the plugin does not declare that", opened.path.display());
            self.reach.denies(&opened.path, opened.write, self.child).then_some((opened.at, what))
        });
        [call, file].into_iter().flatten().min_by_key(|(at, _)| *at).map(|(_, what)| what)
    }

    /// The first call (and no file) that was denied while the child had said between so many and so many bytes, and that
    /// nothing would deny in the daemon.
    pub(in crate::loader::vetting) fn denied_call(&self, from: usize, to: usize) -> Option<String> {
        let mut calls = self.denied.iter().filter(|denied| !denied.bound);
        calls.find(|denied| is_between(denied.at, from, to)).map(|denied| denied.what.clone())
    }

    /// What it had used up while it had said between so many and so many bytes.
    pub(in crate::loader::vetting) fn used_up(&self, from: usize, to: usize) -> Option<String> {
        let used_up = self.exhausted.is_some_and(|at| is_between(at, from, to));
        used_up.then(|| format!("the {} MiB of memory that a vetting child may have", DATA_MAX_BYTES >> 20))
    }

    fn process(&mut self, at: usize) -> Answer {
        if !self.reach.processes {
            return self.deny(at, "another process: the plugin does not declare `exec`", libc::EPERM);
        }
        self.processes += 1;
        if self.processes <= PROCESSES_MAX {
            return Answer::Continue;
        }
        self.bound(at, format!("more than {PROCESSES_MAX} processes"), libc::EAGAIN)
    }

    fn socket(&mut self, question: &Question, at: usize) -> Answer {
        /// Reads network interfaces and addresses; changing them takes privileges that the child cannot have.
        const NETLINK_ROUTE: u64 = 0;
        let [family, kind, protocol, ..] = question.arguments;
        let is = |known: i32| family == u64::from(known.cast_unsigned());
        let internet = is(libc::AF_INET) || is(libc::AF_INET6);
        // The upper bits are flags.
        let plain = [libc::SOCK_STREAM, libc::SOCK_DGRAM].contains(&((kind & 0xf) as i32));
        self.files(at);
        if is(libc::AF_NETLINK) && protocol == NETLINK_ROUTE {
            return Answer::Continue;
        }
        if !self.reach.network() {
            let what = "a socket: the plugin declares neither `connect` nor `listen`";
            return self.deny(at, what, libc::EACCES);
        }
        if internet && plain {
            return Answer::Continue;
        }
        self.deny(at, "a socket that is neither TCP nor UDP", libc::EACCES)
    }

    /// As Landlock does it where it knows ports: of streams only.
    fn address(&mut self, question: &Question, listen: bool, at: usize) -> Answer {
        let (declared, what) = if listen {
            (&self.reach.listen, "listening on")
        } else {
            (&self.reach.connect, "connecting to")
        };
        let Some(port) = port_of(question).filter(|port| !Reach::ports(declared).contains(port)) else {
            return Answer::Continue;
        };
        if !self.is_stream(question) {
            return Answer::Continue;
        }
        self.deny(at, format!("{what} port {port}: the plugin does not declare that"), libc::EACCES)
    }

    fn is_stream(&self, question: &Question) -> bool {
        let own = self.is_own(question.thread.into(), question);
        let process = if own { self.child } else { question.thread };
        let socket = || {
            let process = Pid::from_raw(process.cast_signed())?;
            let handle = pidfd_open(process, PidfdFlags::empty()).ok()?;
            let number = (question.arguments[0] & 0xffff_ffff) as i32;
            pidfd_getfd(&handle, number, PidfdGetfdFlags::empty()).ok()
        };
        let kind = socket().and_then(|socket| rustix::net::sockopt::socket_type(&socket).ok());
        kind.is_none_or(|kind| kind == rustix::net::SocketType::STREAM)
    }

    /// Whether a process that a call names is the child itself, or one of its threads.
    fn is_own(&self, process: u64, question: &Question) -> bool {
        let process = process & 0xffff_ffff;
        [0, self.child, question.thread].map(u64::from).contains(&process)
            || Path::new(&format!("/proc/{}/task/{process}", self.child)).exists()
    }

    /// Changes to a file that is not the child's to write to. What has no path is memory, or a pipe.
    fn attributes(&mut self, file: Option<PathBuf>, at: usize) -> Answer {
        let Some(file) = file.filter(|file| !self.reach.may_write(file)) else {
            return Answer::Continue;
        };
        let what = format!("changing the mode, owner, times or attributes of {}", file.display());
        self.deny(at, format!("{what}: the plugin does not declare that it writes there"), libc::EPERM)
    }

    fn priority(&mut self, question: &Question, process: u64, at: usize) -> Answer {
        let [which, who, ..] = question.arguments;
        let own_group = which == process + 1 && [0, u64::from(self.child)].contains(&(who & 0xffff_ffff));
        if own_group || (which == process && self.is_own(who, question)) {
            return Answer::Continue;
        }
        self.deny(at, "setting another process's priority", libc::EPERM)
    }

    /// A piece that is larger than all that there is was denied; one that no longer fits is another matter.
    fn map(&mut self, question: &Question, at: usize) -> Answer {
        let [_, size, protection, flags, ..] = question.arguments;
        let private = has(protection, libc::PROT_WRITE) && has(flags, libc::MAP_PRIVATE);
        if size > ADDRESSES_MAX_BYTES || (private && size > DATA_MAX_BYTES) {
            let most = if private { DATA_MAX_BYTES } else { ADDRESSES_MAX_BYTES } >> 20;
            let what =
                format!("{} MiB of memory in one piece; a vetting child may have {most} MiB", size >> 20);
            return self.bound(at, what, libc::ENOMEM);
        }
        if private {
            self.fits(size, at);
        }
        Answer::Continue
    }

    fn fits(&mut self, more: u64, at: usize) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child)).unwrap_or_default();
        let data = status.lines().find_map(|line| line.strip_prefix("VmData:"));
        let kib = data.and_then(|data| data.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        if kib.is_some_and(|kib| kib.saturating_mul(1024).saturating_add(more) > DATA_MAX_BYTES) {
            self.exhausted.get_or_insert(at);
        }
    }

    /// The kernel itself denies the next one.
    fn files(&mut self, at: usize) {
        self.openings += 1;
        if self.openings > OPENINGS_UNCOUNTED
            && entries(self.child, "fd") as u64 >= FILES_MAX + FILLED
            && !self.denied.iter().any(|denied| denied.bound && denied.at == at)
        {
            let _ = self.bound(at, format!("more than {FILES_MAX} open files"), libc::EMFILE);
        }
    }

    fn deny(&mut self, at: usize, what: impl Into<String>, error: i32) -> Answer {
        self.note(Denied { at, what: what.into(), bound: false }, error)
    }

    fn bound(&mut self, at: usize, what: impl Into<String>, error: i32) -> Answer {
        self.note(Denied { at, what: what.into(), bound: true }, error)
    }

    fn note(&mut self, denied: Denied, error: i32) -> Answer {
        if self.denied.len() < DENIED_MAX {
            self.denied.push(denied);
        }
        Answer::Fail(error)
    }

    fn remember(
        &mut self,
        question: &Question,
        at: usize,
        folder: Option<usize>,
        path: usize,
        write: bool,
    ) -> Answer {
        if self.opened.len() < OPENED_MAX
            && let Some(path) = path_of(question, folder, path)
            && !self.opened.iter().any(|known| known.at == at && known.path == path && known.write == write)
        {
            self.opened.push(Opened { at, path, write });
        }
        Answer::Continue
    }
}

/// What is denied after a message was sent counts for that message's step: the position is behind it.
fn is_between(at: usize, from: usize, to: usize) -> bool {
    at > from && at <= to
}

fn has(value: u64, flags: i32) -> bool {
    value & u64::from(flags.cast_unsigned()) != 0
}

/// Entries of one of the folders in which the kernel lists what a process has.
fn entries(process: u32, folder: &str) -> usize {
    std::fs::read_dir(format!("/proc/{process}/{folder}")).map_or(0, Iterator::count)
}
