//! The test host's threads: real ones.
//!
//! One of the crate's few files with unsafe code. What it relies on is what `table` relies on.

use super::table::{become_spawned, inner, table, text};
use crate::abi::{Bytes, Outcome, ThreadHandle, ThreadMain};
use std::ffi::c_void;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// How long `join` waits for a thread by the real clock, so that a thread that never ends fails its test.
const JOIN_TIMEOUT: Duration = Duration::from_secs(10);

/// What is behind a [`ThreadHandle`]: where the thread's outcome arrives.
struct Running(Receiver<Outcome>);

/// A pointer that a new thread takes along.
struct Sent<T>(T);
// SAFETY: `spawn` hands each of these to one new thread, which is what the ABI allows for a thread's argument and table.
unsafe impl<T> Send for Sent<T> {}

pub(super) unsafe extern "C" fn spawn(
    context: *mut c_void,
    name: Bytes,
    main: ThreadMain,
    handle: *mut *mut ThreadHandle,
) -> Outcome {
    // SAFETY: the context is this table's; the plugin lends the name for this call.
    let (host, name) = unsafe { (inner(context), text(name).to_owned()) };
    let Some(function) = main.main else {
        return Outcome::FAILED;
    };
    {
        let mut state = host.state();
        if state.threads_max.is_some_and(|most| state.threads >= most) {
            return Outcome::FULL;
        }
        state.threads += 1;
    }
    let (ended, outcome) = channel();
    let argument = Sent(main.argument);
    let run = move || {
        let argument = argument;
        become_spawned(host);
        // SAFETY: `main` runs once, with its own argument and a table that lives until the process ends.
        let outcome = unsafe { function(argument.0, table(host)) };
        host.state().threads -= 1;
        // Nobody listens if the thread was never joined.
        let _ = ended.send(outcome);
    };
    if std::thread::Builder::new().name(name).spawn(run).is_err() {
        host.state().threads -= 1;
        return Outcome::FAILED;
    }
    // SAFETY: the plugin lends a place for one handle.
    unsafe { *handle = Box::into_raw(Box::new(Running(outcome))).cast() };
    Outcome::OK
}

pub(super) unsafe extern "C" fn join(_: *mut c_void, handle: *mut ThreadHandle, _until_ns: i64) -> Outcome {
    // SAFETY: the handle is a box that `spawn` gave away, and `join` is its last use.
    let running = unsafe { Box::from_raw(handle.cast::<Running>()) };
    match running.0.recv_timeout(JOIN_TIMEOUT) {
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Timeout) => Outcome::CANCELLED,
        Err(RecvTimeoutError::Disconnected) => Outcome::PANICKED,
    }
}
