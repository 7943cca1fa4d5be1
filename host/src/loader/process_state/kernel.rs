//! What only the C library and the kernel tell of this process: signal handlers, timers, the locale and the like.
//!
//! One of the files with unsafe code: each function is one call, whose pointers are to its own variables.

#![expect(
    unsafe_code,
    reason = "system calls that no safe crate offers: sigaction, sigaltstack, itimers, locale"
)]

use std::ffi::{CStr, CString};
use std::os::raw::c_int;

/// Signals of the kernel, the C library's own two among them.
pub(super) const SIGNALS: usize = 64;

/// What happens on a signal, as the kernel keeps it. The same on x86-64 and aarch64.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Disposition {
    /// 0: the default, 1: ignored; else a function's address.
    pub(super) handler: usize,
    flags: usize,
    restorer: usize,
    mask: u64,
}

#[cfg(test)]
impl Disposition {
    /// A signal that does nothing.
    pub(super) fn ignored() -> Self {
        Self { handler: libc::SIG_IGN, ..Self::default() }
    }
}

/// What happens on each signal, beginning with 1.
pub(super) fn dispositions() -> [Disposition; SIGNALS] {
    let mut all = [Disposition::default(); SIGNALS];
    for (signal, one) in (1_usize..).zip(&mut all) {
        // SAFETY: reads into one value of the kernel's own layout; nothing is set. The C library's `sigaction` would
        // refuse two of the numbers.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                std::ptr::null::<Disposition>(),
                &raw mut *one,
                size_of::<u64>(),
            );
        }
    }
    all
}

/// Sets a signal back to what [`dispositions`] gave for it.
pub(super) fn set_disposition(signal: usize, to: &Disposition) {
    // SAFETY: the value was read by `dispositions` in this process, so its functions are there: libraries stay mapped.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            signal,
            &raw const *to,
            std::ptr::null_mut::<Disposition>(),
            size_of::<u64>(),
        );
    }
}

/// Sets this thread's blocked signals: bit 0 is signal 1.
pub(super) fn set_blocked(mask: u64) {
    // SAFETY: reads one mask of the kernel's own size.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask,
            std::ptr::null_mut::<u64>(),
            size_of::<u64>(),
        );
    }
}

/// The stack that handlers of this thread run on: its address, flags and size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AlternateStack {
    address: usize,
    flags: c_int,
    size: usize,
}

/// The stack that handlers of this thread run on.
pub(super) fn alternate_stack() -> AlternateStack {
    let mut stack = libc::stack_t { ss_sp: std::ptr::null_mut(), ss_flags: 0, ss_size: 0 };
    // SAFETY: only reads the current one into this variable.
    unsafe { libc::sigaltstack(std::ptr::null(), &raw mut stack) };
    AlternateStack { address: stack.ss_sp as usize, flags: stack.ss_flags, size: stack.ss_size }
}

/// Sets it back to what [`alternate_stack`] gave.
pub(super) fn set_alternate_stack(to: AlternateStack) {
    let stack = libc::stack_t { ss_sp: to.address as *mut _, ss_flags: to.flags, ss_size: to.size };
    // SAFETY: it was this thread's stack for handlers before the library was opened, and nobody unmaps it.
    unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) };
}

/// Which of the three interval timers run: real time, processor time of the program, of it and the kernel for it.
pub(super) fn running_timers() -> [bool; 3] {
    [libc::ITIMER_REAL, libc::ITIMER_VIRTUAL, libc::ITIMER_PROF].map(|timer| {
        let zero = libc::timeval { tv_sec: 0, tv_usec: 0 };
        let mut now = libc::itimerval { it_interval: zero, it_value: zero };
        // SAFETY: only reads into this variable. (An inference of the argument's type: C libraries differ in it.)
        unsafe { libc::getitimer(timer as _, &raw mut now) };
        now.it_value.tv_sec != 0 || now.it_value.tv_usec != 0
    })
}

/// Stops those that did not run before.
pub(super) fn stop_timers(ran: [bool; 3]) {
    for (timer, ran) in [libc::ITIMER_REAL, libc::ITIMER_VIRTUAL, libc::ITIMER_PROF].into_iter().zip(ran) {
        if !ran {
            let zero = libc::timeval { tv_sec: 0, tv_usec: 0 };
            let never = libc::itimerval { it_interval: zero, it_value: zero };
            // SAFETY: reads this variable; no result is wanted.
            unsafe { libc::setitimer(timer as _, &raw const never, std::ptr::null_mut()) };
        }
    }
}

/// The locale of the C library, for all of its categories.
pub(super) fn locale() -> CString {
    // SAFETY: with a null pointer nothing is set; the answer is a text of the C library that lasts until the next
    // call, and it is copied at once. No other thread of this program calls `setlocale`.
    unsafe {
        let name = libc::setlocale(libc::LC_ALL, std::ptr::null());
        if name.is_null() { CString::default() } else { CStr::from_ptr(name).to_owned() }
    }
}

/// Sets it back to what [`locale`] gave.
pub(super) fn set_locale(name: &CStr) {
    // SAFETY: a text that ends; plugins are loaded before lanes start, so that no other thread formats meanwhile.
    unsafe { libc::setlocale(libc::LC_ALL, name.as_ptr()) };
}

/// The execution domain: bits such as "addresses are not randomised" or "what is readable is executable".
pub(super) fn personality() -> c_int {
    // SAFETY: this value asks and sets nothing.
    unsafe { libc::personality(0xffff_ffff) }
}

/// Sets it back to what [`personality`] gave.
pub(super) fn set_personality(to: c_int) {
    // SAFETY: it was this process's before.
    unsafe { libc::personality(to.cast_unsigned().into()) };
}

/// Unlocks all memory.
pub(super) fn unlock_memory() {
    // SAFETY: changes what may be swapped out, and no address or byte.
    unsafe { libc::munlockall() };
}

/// Sets or removes a variable of the environment.
pub(super) fn set_variable(name: &std::ffi::OsStr, value: Option<&std::ffi::OsStr>) {
    // SAFETY: plugins are loaded one after another before lanes start; until then no other thread of this program reads
    // the environment other than through the standard library, which has a lock for it.
    unsafe {
        match value {
            Some(value) => std::env::set_var(name, value),
            None => std::env::remove_var(name),
        }
    }
}

/// What is behind a descriptor's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Descriptor {
    file: File,
    /// As `F_GETFL` gives them: how it was opened, and flags such as `O_NONBLOCK` that all its duplicates share.
    pub(super) status: c_int,
    /// As `F_GETFD` gives them: whether programs that are run inherit it.
    pub(super) own: c_int,
}

/// A file, whoever opened it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct File {
    device: u64,
    inode: u64,
}

impl Descriptor {
    /// Whether both lead to the same file, opened for the same; no flag can be set that would change that.
    pub(super) fn leads_where(&self, other: &Self) -> bool {
        let opened_for = |one: &Self| one.status & (libc::O_ACCMODE | libc::O_PATH);
        (self.file, opened_for(self)) == (other.file, opened_for(other))
    }

    /// Whether it leads to this file.
    pub(super) fn leads_to(&self, file: File) -> bool {
        self.file == file
    }
}

/// The file behind a number, if there is one, and its size in bytes.
pub(super) fn file(number: c_int) -> Option<(File, i64)> {
    // SAFETY: integers only, for which zero is a value.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: writes one `stat`; a number that is not open gives an error.
    let found = unsafe { libc::fstat(number, &raw mut stat) };
    (found == 0).then_some((File { device: stat.st_dev, inode: stat.st_ino }, stat.st_size))
}

/// What is behind a number, if anything is. Of what leads to the `filler` no flags are looked at: those are many, and
/// nobody's.
pub(super) fn descriptor(number: c_int, filler: Option<File>) -> Option<Descriptor> {
    let (file, _) = file(number)?;
    if filler == Some(file) {
        return Some(Descriptor { file, status: 0, own: 0 });
    }
    // SAFETY: only asks.
    let (status, own) = unsafe { (libc::fcntl(number, libc::F_GETFL), libc::fcntl(number, libc::F_GETFD)) };
    (status >= 0 && own >= 0).then_some(Descriptor { file, status, own })
}

/// A second number for it, at least so large; programs that are run don't inherit it.
pub(super) fn second_number(number: c_int, at_least: c_int) -> Option<c_int> {
    // SAFETY: takes a number that was free.
    let second = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, at_least) };
    (second >= 0).then_some(second)
}

/// Puts what is behind one number in another one's place, with the flags that were there.
pub(super) fn put_back(from: c_int, number: c_int, was: &Descriptor) {
    // SAFETY: the number led to this very file before a library took it away; whoever owns it finds its own again.
    unsafe {
        libc::dup2(from, number);
        libc::fcntl(number, libc::F_SETFD, was.own);
    }
}

/// Sets a descriptor's flags back.
pub(super) fn set_flags(number: c_int, was: &Descriptor) {
    // SAFETY: flags that this number had before.
    unsafe {
        libc::fcntl(number, libc::F_SETFL, was.status);
        libc::fcntl(number, libc::F_SETFD, was.own);
    }
}

/// Gives up a number that [`second_number`] gave.
pub(super) fn give_up(second: c_int) {
    // SAFETY: it is nobody else's; the caller looked that it still leads where it did.
    unsafe { libc::close(second) };
}

/// One of the numbers that `prctl` answers with; -1 where this kernel has no such attribute.
pub(super) fn attribute(which: c_int) -> i64 {
    // SAFETY: only attributes that come as the answer are asked for; the arguments that they don't have are zero.
    i64::from(unsafe { libc::prctl(which, 0_usize, 0_usize, 0_usize, 0_usize) })
}

/// One of the numbers that `prctl` writes to where its argument says; -1 where this kernel has no such attribute.
pub(super) fn attribute_behind(which: c_int) -> i64 {
    let mut value: c_int = 0;
    // SAFETY: writes one `int` to this variable.
    let answer = unsafe { libc::prctl(which, &raw mut value, 0_usize, 0_usize, 0_usize) };
    if answer == 0 { value.into() } else { -1 }
}

/// Sets one back to what it was.
pub(super) fn set_attribute(which: c_int, value: i64) {
    let value = usize::try_from(value).unwrap_or(0);
    // SAFETY: attributes whose value is a number, which this thread or process had before.
    unsafe { libc::prctl(which, value, 0_usize, 0_usize, 0_usize) };
}

/// How this thread is scheduled: policy and, for those that have one, priority.
pub(super) fn scheduling() -> (c_int, c_int) {
    let mut parameter = libc::sched_param { sched_priority: 0 };
    // SAFETY: asks; writes one `sched_param`.
    unsafe {
        libc::syscall(libc::SYS_sched_getparam, 0, &raw mut parameter);
        let policy = libc::syscall(libc::SYS_sched_getscheduler, 0);
        (c_int::try_from(policy).unwrap_or(-1), parameter.sched_priority)
    }
}

/// Sets it back.
pub(super) fn set_scheduling(to: (c_int, c_int)) {
    let parameter = libc::sched_param { sched_priority: to.1 };
    // SAFETY: reads one `sched_param`.
    unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, to.0, &raw const parameter) };
}

/// `IOPRIO_WHO_PROCESS`.
const THIS: c_int = 1;
/// `IOPRIO_CLASS_SHIFT`: above are the class, below the level within it.
const IO_CLASS_SHIFT: u32 = 13;

/// With which priority this thread reads and writes; 0 if it has no class of its own. Kernels before 5.18 tell such threads
/// that have read something from those that have not.
pub(super) fn io_priority() -> i64 {
    // SAFETY: asks.
    let priority = unsafe { libc::syscall(libc::SYS_ioprio_get, THIS, 0) };
    if priority >> IO_CLASS_SHIFT == 0 { 0 } else { priority }
}

/// Sets it back.
pub(super) fn set_io_priority(to: i64) {
    // SAFETY: a number that this thread had before.
    unsafe { libc::syscall(libc::SYS_ioprio_set, THIS, 0, to) };
}

/// The locale of this thread alone: an address, or what stands for the process's own.
pub(super) fn thread_locale() -> usize {
    // SAFETY: with a null pointer nothing is set.
    unsafe { libc::uselocale(std::ptr::null_mut()) as usize }
}

/// Sets it back.
pub(super) fn set_thread_locale(to: usize) {
    // SAFETY: it was this thread's before the library was opened, and nobody frees it.
    unsafe { libc::uselocale(to as libc::locale_t) };
}
