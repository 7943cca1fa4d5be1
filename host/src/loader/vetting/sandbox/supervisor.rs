//! The parent's answers to the kernel's questions, and what it denied.
//!
//! Decisions are made on the call's number and on arguments in registers, which the child cannot change meanwhile.
//! Paths are read from its memory for messages only: Landlock decides about them.

#![forbid(unsafe_code)]

use super::kernel::{Answer, Question};
use super::reach::Reach;
use libc::c_long;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// The most processes that a plugin which declares `exec` may start in its probe.
const PROCESSES_MAX: u32 = 32;
/// The most threads that it may start. A probe opens each component type once, with a few threads each.
const THREADS_MAX: u32 = 256;
/// Files opened that are remembered, for the case that one of them was denied.
const OPENED_MAX: usize = 256;
/// Denials that are remembered: the first ones explain the rest.
const DENIED_MAX: usize = 16;
/// The longest path, as the kernel has it.
const PATH_MAX: usize = 4096;

/// What is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// Nothing that a component has to do; the words end "the sandbox denied".
    Never(&'static str),
    /// Starts a thread or a process.
    Clone,
    /// Starts a process.
    Fork,
    /// Sends a signal to the process in the first argument.
    Signal,
    /// Makes a socket.
    Socket,
    /// Runs a program.
    Execute,
    /// Opens the file with this argument's path: `(folder's argument, path's argument, flags' argument)`.
    Open(Option<usize>, usize, Option<usize>),
    /// Changes a folder's entries: `(folder's argument, path's argument)`.
    Change(Option<usize>, usize),
}

/// A system call, and what it is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) call: c_long,
    about: About,
}

macro_rules! rules {
    ($($(#[$when:meta])? $call:ident: $about:expr;)+) => {
        /// The calls that are asked about.
        pub(super) const RULES: &[Rule] = &[$($(#[$when])? Rule { call: libc::$call, about: $about }),+];
    };
}

rules! {
    SYS_openat: About::Open(Some(0), 1, Some(2));
    SYS_openat2: About::Open(Some(0), 1, None);
    #[cfg(target_arch = "x86_64")] SYS_open: About::Open(None, 0, Some(1));
    #[cfg(target_arch = "x86_64")] SYS_creat: About::Change(None, 0);
    SYS_mkdirat: About::Change(Some(0), 1);
    SYS_unlinkat: About::Change(Some(0), 1);
    SYS_renameat2: About::Change(Some(2), 3);
    SYS_linkat: About::Change(Some(2), 3);
    SYS_symlinkat: About::Change(Some(1), 2);
    SYS_mknodat: About::Change(Some(0), 1);
    SYS_truncate: About::Change(None, 0);
    #[cfg(target_arch = "x86_64")] SYS_mkdir: About::Change(None, 0);
    #[cfg(target_arch = "x86_64")] SYS_rmdir: About::Change(None, 0);
    #[cfg(target_arch = "x86_64")] SYS_unlink: About::Change(None, 0);
    #[cfg(target_arch = "x86_64")] SYS_rename: About::Change(None, 1);
    #[cfg(target_arch = "x86_64")] SYS_link: About::Change(None, 1);
    #[cfg(target_arch = "x86_64")] SYS_symlink: About::Change(None, 1);
    SYS_clone: About::Clone;
    #[cfg(target_arch = "x86_64")] SYS_fork: About::Fork;
    #[cfg(target_arch = "x86_64")] SYS_vfork: About::Fork;
    SYS_execve: About::Execute;
    SYS_execveat: About::Execute;
    SYS_socket: About::Socket;
    SYS_kill: About::Signal;
    SYS_tgkill: About::Signal;
    SYS_rt_sigqueueinfo: About::Signal;
    SYS_rt_tgsigqueueinfo: About::Signal;
    SYS_tkill: About::Never("a signal to any thread");
    SYS_pidfd_send_signal: About::Never("a signal to another process");
    SYS_pidfd_getfd: About::Never("another process's files");
    SYS_setsid: About::Never("a session of its own");
    SYS_setpgid: About::Never("a process group of its own");
    SYS_ptrace: About::Never("tracing a process");
    SYS_process_vm_readv: About::Never("another process's memory");
    SYS_process_vm_writev: About::Never("another process's memory");
    SYS_kcmp: About::Never("comparing processes");
    SYS_mount: About::Never("mounting");
    SYS_umount2: About::Never("unmounting");
    SYS_fsopen: About::Never("mounting");
    SYS_fsmount: About::Never("mounting");
    SYS_move_mount: About::Never("mounting");
    SYS_open_tree: About::Never("mounting");
    SYS_mount_setattr: About::Never("mounting");
    SYS_pivot_root: About::Never("another root folder");
    SYS_chroot: About::Never("another root folder");
    SYS_bpf: About::Never("BPF");
    SYS_seccomp: About::Never("a seccomp filter of its own");
    SYS_perf_event_open: About::Never("performance counters");
    SYS_io_uring_setup: About::Never("io_uring, which would go round the sandbox");
    SYS_userfaultfd: About::Never("handling page faults");
    SYS_unshare: About::Never("new namespaces");
    SYS_setns: About::Never("other namespaces");
    SYS_setuid: About::Never("another user");
    SYS_setreuid: About::Never("another user");
    SYS_setresuid: About::Never("another user");
    SYS_setfsuid: About::Never("another user");
    SYS_setgid: About::Never("another group");
    SYS_setregid: About::Never("another group");
    SYS_setresgid: About::Never("another group");
    SYS_setfsgid: About::Never("another group");
    SYS_setgroups: About::Never("other groups");
    SYS_capset: About::Never("other privileges");
    SYS_reboot: About::Never("a reboot");
    SYS_kexec_load: About::Never("another kernel");
    SYS_kexec_file_load: About::Never("another kernel");
    SYS_init_module: About::Never("loading kernel modules");
    SYS_finit_module: About::Never("loading kernel modules");
    SYS_delete_module: About::Never("unloading kernel modules");
    SYS_swapon: About::Never("swap space");
    SYS_swapoff: About::Never("swap space");
    SYS_sethostname: About::Never("another host name");
    SYS_setdomainname: About::Never("another domain name");
    SYS_settimeofday: About::Never("setting the clock");
    SYS_clock_settime: About::Never("setting the clock");
    SYS_acct: About::Never("process accounting");
    SYS_quotactl: About::Never("disk quotas");
    SYS_keyctl: About::Never("the kernel's keys");
    SYS_add_key: About::Never("the kernel's keys");
    SYS_request_key: About::Never("the kernel's keys");
    SYS_syslog: About::Never("the kernel's log");
    SYS_vhangup: About::Never("hanging up the terminal");
    #[cfg(target_arch = "x86_64")] SYS_iopl: About::Never("I/O ports");
    #[cfg(target_arch = "x86_64")] SYS_ioperm: About::Never("I/O ports");
}

/// Answers, and remembers what it denied. `at` is how much the child had said by then, to tell in which step it was.
#[derive(Debug)]
pub(in crate::loader::vetting) struct Supervisor {
    child: u32,
    reach: Reach,
    threads: u32,
    processes: u32,
    denied: Vec<(usize, String)>,
    opened: Vec<Opened>,
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
        Self { child, reach, threads: 0, processes: 0, denied: Vec::new(), opened: Vec::new() }
    }

    /// Decides about a call.
    pub(in crate::loader::vetting) fn decide(&mut self, question: &Question, at: usize) -> Answer {
        let Some(rule) = RULES.iter().find(|rule| rule.call == question.call) else {
            return Answer::Continue;
        };
        match rule.about {
            About::Never(what) => self.deny(at, what, libc::EPERM),
            About::Clone if has(question.arguments[0], libc::CLONE_THREAD) => {
                self.threads += 1;
                if self.threads <= THREADS_MAX {
                    return Answer::Continue;
                }
                self.deny(at, format!("more than {THREADS_MAX} threads"), libc::EAGAIN)
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
            About::Open(folder, path, flags) => {
                let flags = flags.map_or(0, |flags| question.arguments[flags]);
                let write = has(flags, libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC);
                self.remember(question, at, folder, path, write)
            }
            About::Change(folder, path) => self.remember(question, at, folder, path, true),
        }
    }

    /// The first thing that was denied while the child had said between so many and so many bytes.
    pub(in crate::loader::vetting) fn denied(&self, from: usize, to: usize) -> Option<String> {
        let call = self.denied.iter().find(|(at, _)| is_between(*at, from, to));
        let call = call.map(|(at, what)| (*at, what.clone()));
        let files = self.opened.iter().filter(|opened| is_between(opened.at, from, to));
        let file = files.into_iter().find_map(|opened| {
            let how = if opened.write { "writing" } else { "reading" };
            let what = format!("{how} {}: the plugin does not declare that", opened.path.display());
            self.reach.denies(&opened.path, opened.write, self.child).then_some((opened.at, what))
        });
        [call, file].into_iter().flatten().min_by_key(|(at, _)| *at).map(|(_, what)| what)
    }

    /// The first call (and no file) that was denied while the child had said between so many and so many bytes.
    pub(in crate::loader::vetting) fn denied_call(&self, from: usize, to: usize) -> Option<String> {
        self.denied.iter().find(|(at, _)| is_between(*at, from, to)).map(|(_, what)| what.clone())
    }

    fn process(&mut self, at: usize) -> Answer {
        if !self.reach.processes {
            return self.deny(at, "another process: the plugin does not declare `exec`", libc::EPERM);
        }
        self.processes += 1;
        if self.processes <= PROCESSES_MAX {
            return Answer::Continue;
        }
        self.deny(at, format!("more than {PROCESSES_MAX} processes"), libc::EAGAIN)
    }

    fn socket(&mut self, question: &Question, at: usize) -> Answer {
        /// Reads network interfaces and addresses; changing them takes privileges that the child cannot have.
        const NETLINK_ROUTE: u64 = 0;
        let [family, _, protocol, ..] = question.arguments;
        let is = |known: i32| family == u64::from(known.cast_unsigned());
        if self.reach.network() || (is(libc::AF_NETLINK) && protocol == NETLINK_ROUTE) {
            return Answer::Continue;
        }
        self.deny(at, "a socket: the plugin declares neither `connect` nor `listen`", libc::EACCES)
    }

    fn deny(&mut self, at: usize, what: impl Into<String>, error: i32) -> Answer {
        if self.denied.len() < DENIED_MAX {
            self.denied.push((at, what.into()));
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

/// The path that a call names, from the child's memory.
fn path_of(question: &Question, folder: Option<usize>, path: usize) -> Option<PathBuf> {
    let memory = File::open(format!("/proc/{}/mem", question.thread)).ok()?;
    let path = PathBuf::from(std::ffi::OsString::from(text_at(&memory, question.arguments[path])?));
    if path.is_absolute() {
        return Some(path);
    }
    let folder = folder.map(|folder| question.arguments[folder]);
    // The lower half is the descriptor; the upper half is left over from before.
    let base = match folder.map(|descriptor| (descriptor & 0xffff_ffff) as i32) {
        None | Some(libc::AT_FDCWD) => std::fs::read_link(format!("/proc/{}/cwd", question.thread)).ok()?,
        Some(descriptor) => std::fs::read_link(format!("/proc/{}/fd/{descriptor}", question.thread)).ok()?,
    };
    Some(Path::new(&base).join(path))
}

/// A text that ends with a zero. Read page by page: the next one may not be there.
fn text_at(memory: &File, start: u64) -> Option<String> {
    const PAGE: u64 = 4096;
    let mut text = Vec::new();
    while text.len() < PATH_MAX {
        let at = start + text.len() as u64;
        let mut chunk = vec![0; usize::try_from(PAGE - at % PAGE).ok()?];
        memory.read_exact_at(&mut chunk, at).ok()?;
        match chunk.iter().position(|byte| *byte == 0) {
            Some(end) => {
                text.extend_from_slice(&chunk[..end]);
                return String::from_utf8(text).ok();
            }
            None => text.extend_from_slice(&chunk),
        }
    }
    None
}
