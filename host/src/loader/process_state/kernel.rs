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
