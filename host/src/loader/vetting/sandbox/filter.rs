//! The seccomp filter: which system calls the kernel asks the parent about. All others are the child's own business.
//!
//! A list of what is asked about, and not of what is allowed: the child is there to find faults, not malice, and a list
//! of allowed calls would refuse plugins whose C library is newer than the list.

#![forbid(unsafe_code)]

use super::rules::{About, RULES};
use libc::{
    BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO,
    SECCOMP_RET_USER_NOTIF, sock_filter,
};

/// Where the call's number and the architecture are in what a filter looks at.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
/// As the kernel's audit numbers this architecture.
const ARCHITECTURE: u32 = if cfg!(target_arch = "aarch64") { 0xc000_00b7 } else { 0xc000_003e };
/// Calls by the numbers of x32 have this bit.
const X32: u32 = 0x4000_0000;

/// The filter's instructions.
pub(super) fn program() -> Vec<sock_filter> {
    let refuse = |error: i32| ret(SECCOMP_RET_ERRNO | error.cast_unsigned());
    // Calls of another architecture (32-bit ones) are none of ours.
    let mut program =
        vec![load(ARCHITECTURE_AT), unless(ARCHITECTURE), refuse(libc::ENOSYS), load(NUMBER_AT)];
    // Its flags are behind a pointer. The C library goes back to `clone`, whose flags the parent can see.
    program.extend([skip_unless(libc::SYS_clone3), refuse(libc::ENOSYS)]);
    for rule in RULES {
        match rule.about {
            About::Map => program.extend(large(rule.call, 1, Some(2))),
            About::Grow => program.extend(large(rule.call, 2, None)),
            About::Limits | About::Process(_) => program.extend(foreign(rule.call)),
            _ => program.extend([skip_unless(rule.call), ret(SECCOMP_RET_USER_NOTIF)]),
        }
    }
    if cfg!(target_arch = "x86_64") {
        let at_least = code(BPF_JMP | libc::BPF_JGE | BPF_K);
        program.extend([sock_filter { code: at_least, jt: 0, jf: 1, k: X32 }, refuse(libc::ENOSYS)]);
    }
    program.push(ret(SECCOMP_RET_ALLOW));
    program
}

/// Memory in large pieces: of so many bytes and more that the C library takes one of this size when its heap cannot
/// grow any further.
const LARGE_BYTES: u32 = 1024 * 1024;

/// Asks about a call whose argument `size` is large and, if `protection` is given, whose memory can be written to. Of
/// four gigabytes and more, writable or not: those are addresses that may not be there.
fn large(call: libc::c_long, size: u32, protection: Option<u32>) -> Vec<sock_filter> {
    let at_least =
        |value: u32| sock_filter { code: code(BPF_JMP | libc::BPF_JGE | BPF_K), jt: 0, jf: 1, k: value };
    let any_bit = |value: i32| sock_filter {
        code: code(BPF_JMP | libc::BPF_JSET | BPF_K),
        jt: 0,
        jf: 1,
        k: value.cast_unsigned(),
    };
    let (ask, allow) = (ret(SECCOMP_RET_USER_NOTIF), ret(SECCOMP_RET_ALLOW));
    let mut block = vec![load(argument_at(size) + 4), at_least(1), ask, load(argument_at(size))];
    match protection {
        // Small ones skip what asks.
        Some(protection) => block.extend([
            sock_filter { jt: 0, jf: 3, ..at_least(LARGE_BYTES) },
            load(argument_at(protection)),
            any_bit(libc::PROT_WRITE),
            ask,
        ]),
        None => block.extend([at_least(LARGE_BYTES), ask]),
    }
    block.push(allow);
    let past = u8::try_from(block.len()).unwrap_or(u8::MAX);
    let mut whole = vec![sock_filter { jf: past, ..skip_unless(call) }];
    whole.extend(block);
    whole
}

/// Asks about a call only if its first argument names a process: zero is whoever calls.
fn foreign(call: libc::c_long) -> [sock_filter; 5] {
    let (ask, allow) = (ret(SECCOMP_RET_USER_NOTIF), ret(SECCOMP_RET_ALLOW));
    let own = sock_filter { code: code(BPF_JMP | BPF_JEQ | BPF_K), jt: 1, jf: 0, k: 0 };
    [sock_filter { jf: 4, ..skip_unless(call) }, load(argument_at(0)), own, ask, allow]
}

/// Where an argument's lower half is in what a filter looks at; the upper half follows.
fn argument_at(index: u32) -> u32 {
    const ARGUMENTS_AT: u32 = 16;
    ARGUMENTS_AT + 8 * index
}

fn load(at: u32) -> sock_filter {
    sock_filter { code: code(BPF_LD | BPF_W | BPF_ABS), jt: 0, jf: 0, k: at }
}

/// Skips the next instruction if the loaded value is this one.
fn unless(value: u32) -> sock_filter {
    sock_filter { code: code(BPF_JMP | BPF_JEQ | BPF_K), jt: 1, jf: 0, k: value }
}

/// Skips the next instruction if the loaded value is not this call's number.
fn skip_unless(call: libc::c_long) -> sock_filter {
    let number = u32::try_from(call).unwrap_or(u32::MAX);
    sock_filter { code: code(BPF_JMP | BPF_JEQ | BPF_K), jt: 0, jf: 1, k: number }
}

fn ret(action: u32) -> sock_filter {
    sock_filter { code: code(BPF_RET | BPF_K), jt: 0, jf: 0, k: action }
}

/// All of the constants are below 256.
fn code(bits: u32) -> u16 {
    u16::try_from(bits).unwrap_or(u16::MAX)
}
