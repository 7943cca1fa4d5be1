//! The exit codes: people script against them.
//!
//! As in `sysexits.h` where it has a fitting one.

#![forbid(unsafe_code)]

/// The command line is wrong.
pub(crate) const USAGE: u8 = 64;
/// Damaged data (`audit verify`).
#[expect(dead_code, reason = "comes with the audit commands")]
pub(crate) const DATA: u8 = 65;
/// No daemon to talk to.
#[expect(dead_code, reason = "comes with the control socket")]
pub(crate) const UNAVAILABLE: u8 = 69;
/// A bug, an imbalance, a component that failed for good, or no lane left alive.
pub(crate) const SOFTWARE: u8 = 70;
/// The state directory is held by another process.
pub(crate) const HELD: u8 = 73;
/// Reading or writing failed.
pub(crate) const IO: u8 = 74;
/// A config or plugin was refused.
pub(crate) const REFUSED: u8 = 78;
