//! The system calls that the kernel asks the parent about, and what each is about.

#![forbid(unsafe_code)]

use libc::c_long;

/// What is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
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
    /// Connects one, or gives it an address of this machine.
    Address {
        /// Whether to be connected to.
        listen: bool,
    },
    /// Runs a program.
    Execute,
    /// Opens the file with this argument's path: `(folder's argument, path's argument, flags' argument)`.
    Open(Option<usize>, usize, Option<usize>),
    /// Changes a folder's entries: `(folder's argument, path's argument)`.
    Change(Option<usize>, usize),
    /// Changes a file's mode, owner, times or attributes, which Landlock knows nothing of: `(folder's argument, path's
    /// argument)`.
    Attributes(Option<usize>, usize),
    /// The same, by the descriptor in the first argument.
    AttributesOf,
    /// Does something to the process in the first argument; the words end "the sandbox denied".
    Process(&'static str),
    /// Does so to what the first two arguments say: one process, by this number, or a group of them, by the next one.
    Priority(u64),
    /// Looks at or sets limits of the process in the first argument.
    Limits,
    /// Looks at how the clock is corrected, or corrects it, as the first word behind this argument says.
    Clock(usize),
    /// Takes memory. Asked about for large pieces only, see `filter`.
    Map,
    /// Makes a large piece of memory another size.
    Grow,
}

/// A system call, and what it is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) call: c_long,
    pub(super) about: About,
}

/// The numbers of calls, and of those that the C library's bindings have for some architectures only or not yet. The
/// same on all of them.
#[expect(non_upper_case_globals, reason = "named as those of the C library's bindings")]
mod numbers {
    pub(super) use libc::*;

    pub(super) const SYS_fchmodat2: c_long = 452;
    pub(super) const SYS_setxattrat: c_long = 463;
    pub(super) const SYS_removexattrat: c_long = 466;
    pub(super) const SYS_file_setattr: c_long = 469;
}

macro_rules! rules {
    ($($(#[$when:meta])? $call:ident: $about:expr;)+) => {
        /// The calls that are asked about.
        pub(super) const RULES: &[Rule] = &[$($(#[$when])? Rule { call: numbers::$call, about: $about }),+];
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
    SYS_connect: About::Address { listen: false };
    SYS_bind: About::Address { listen: true };
    SYS_fchmod: About::AttributesOf;
    SYS_fchmodat: About::Attributes(Some(0), 1);
    SYS_fchmodat2: About::Attributes(Some(0), 1);
    SYS_fchown: About::AttributesOf;
    SYS_fchownat: About::Attributes(Some(0), 1);
    SYS_utimensat: About::Attributes(Some(0), 1);
    SYS_setxattr: About::Attributes(None, 0);
    SYS_lsetxattr: About::Attributes(None, 0);
    SYS_fsetxattr: About::AttributesOf;
    SYS_setxattrat: About::Attributes(Some(0), 1);
    SYS_removexattr: About::Attributes(None, 0);
    SYS_lremovexattr: About::Attributes(None, 0);
    SYS_fremovexattr: About::AttributesOf;
    SYS_removexattrat: About::Attributes(Some(0), 1);
    SYS_file_setattr: About::Attributes(Some(0), 1);
    #[cfg(target_arch = "x86_64")] SYS_chmod: About::Attributes(None, 0);
    #[cfg(target_arch = "x86_64")] SYS_chown: About::Attributes(None, 0);
    #[cfg(target_arch = "x86_64")] SYS_lchown: About::Attributes(None, 0);
    #[cfg(target_arch = "x86_64")] SYS_utime: About::Attributes(None, 0);
    #[cfg(target_arch = "x86_64")] SYS_utimes: About::Attributes(None, 0);
    #[cfg(target_arch = "x86_64")] SYS_futimesat: About::Attributes(Some(0), 1);
    SYS_prlimit64: About::Limits;
    SYS_setpriority: About::Priority(0);
    SYS_ioprio_set: About::Priority(1);
    SYS_sched_setscheduler: About::Process("scheduling another process");
    SYS_sched_setparam: About::Process("scheduling another process");
    SYS_sched_setattr: About::Process("scheduling another process");
    SYS_sched_setaffinity: About::Process("choosing processors for another process");
    SYS_migrate_pages: About::Process("moving another process's memory");
    SYS_move_pages: About::Process("moving another process's memory");
    SYS_process_madvise: About::Never("another process's memory");
    SYS_process_mrelease: About::Never("another process's memory");
    SYS_adjtimex: About::Clock(0);
    SYS_clock_adjtime: About::Clock(1);
    SYS_shmget: About::Never("memory shared with other processes, which outlives them");
    SYS_shmctl: About::Never("memory shared with other processes, which outlives them");
    SYS_semget: About::Never("semaphores shared with other processes, which outlive them");
    SYS_semctl: About::Never("semaphores shared with other processes, which outlive them");
    SYS_msgget: About::Never("a message queue, which outlives its processes");
    SYS_msgctl: About::Never("a message queue, which outlives its processes");
    SYS_mq_open: About::Never("a message queue, which outlives its processes");
    SYS_mq_unlink: About::Never("a message queue, which outlives its processes");
    SYS_open_by_handle_at: About::Never("a file by its handle, which would go round the sandbox");
    SYS_fanotify_init: About::Never("watching what others open");
    SYS_quotactl_fd: About::Never("disk quotas");
    SYS_mmap: About::Map;
    SYS_mremap: About::Grow;
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
