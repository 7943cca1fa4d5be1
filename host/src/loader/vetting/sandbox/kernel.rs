//! What the sandbox asks of the kernel: its version of Landlock, a filter for system calls, and the questions that this
//! filter raises.
//!
//! One of the files with unsafe code: four system calls.

#![expect(
    unsafe_code,
    reason = "Landlock's version, seccomp's filter and its questions have no safe wrapper"
)]

use libc::{c_long, seccomp_notif, seccomp_notif_resp, sock_filter, sock_fprog};
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

/// A system call that the child is stopped in.
#[derive(Clone, Copy, Debug)]
pub(in crate::loader::vetting) struct Question {
    id: u64,
    /// The thread that makes it.
    pub(super) thread: u32,
    /// Its number.
    pub(super) call: c_long,
    /// Its arguments.
    pub(super) arguments: [u64; 6],
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::loader::vetting) enum Answer {
    /// The kernel goes on with it.
    Continue,
    /// It fails with this error number.
    Fail(i32),
}

/// The version of Landlock's interface, if there is one that may be used.
pub(super) fn landlock_version() -> Option<u8> {
    /// `LANDLOCK_CREATE_RULESET_VERSION`.
    const VERSION: u32 = 1;
    // SAFETY: with this flag the kernel only answers with a number; it neither reads nor makes anything.
    let version =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, VERSION) };
    u8::try_from(version).ok().filter(|version| *version > 0)
}

/// Filters the calls of this thread and all that it starts, for good.
pub(super) fn install(program: &[sock_filter]) -> io::Result<OwnedFd> {
    let len = u16::try_from(program.len()).map_err(io::Error::other)?;
    let program = sock_fprog { len, filter: program.as_ptr().cast_mut() };
    // SAFETY: the kernel copies the `len` instructions behind the pointer, which the borrowed slice has, and checks them.
    let listener = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const program,
        )
    };
    let listener = match i32::try_from(listener) {
        // SAFETY: a new descriptor, which nobody else knows.
        Ok(listener) if listener >= 0 => unsafe { OwnedFd::from_raw_fd(listener) },
        _ => return Err(io::Error::last_os_error()),
    };
    answer_at_once(&listener);
    Ok(listener)
}

/// Whoever asks sleeps until there is an answer, so the other side may run in its place, on the same processor. Kernels
/// before 6.6 do not know that, and wake one up elsewhere.
fn answer_at_once(listener: &OwnedFd) {
    /// `SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP`.
    const SYNC_WAKE_UP: u64 = 1;
    // SAFETY: the last argument is a number and no pointer.
    unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS as _, SYNC_WAKE_UP) };
}

/// The next question, if it still stands: a thread that was ended has none.
pub(in crate::loader::vetting) fn receive(listener: BorrowedFd<'_>) -> Option<Question> {
    /// The kernel writes its own version of the struct, which may be longer than ours, and wants zeros.
    #[repr(C)]
    struct Room {
        known: seccomp_notif,
        later: [u64; 32],
    }
    // SAFETY: all fields are integers, for which zero is a value.
    let mut room: Room = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one `seccomp_notif`, for which there is room.
    let got =
        unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV as _, &raw mut room) };
    let asked = room.known;
    (got == 0).then(|| Question {
        id: asked.id,
        thread: asked.pid,
        call: c_long::from(asked.data.nr),
        arguments: asked.data.args,
    })
}

/// Answers it. That the thread is gone meanwhile changes nothing.
pub(in crate::loader::vetting) fn answer(listener: BorrowedFd<'_>, question: &Question, answer: Answer) {
    /// `SECCOMP_USER_NOTIF_FLAG_CONTINUE`, in the type of its field.
    const CONTINUE: u32 = 1;
    let (error, flags) = match answer {
        Answer::Continue => (0, CONTINUE),
        Answer::Fail(error) => (-error, 0),
    };
    let mut response = seccomp_notif_resp { id: question.id, val: 0, error, flags };
    // SAFETY: the kernel reads one `seccomp_notif_resp`.
    unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND as _, &raw mut response) };
}
