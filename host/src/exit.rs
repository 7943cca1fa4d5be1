//! The exit codes: people script against them.
//!
//! As in `sysexits.h` where it has a fitting one.

#![forbid(unsafe_code)]

/// The command line is wrong.
pub(crate) const USAGE: u8 = 64;
/// Damaged data (`audit verify`).
pub(crate) const DATA: u8 = 65;
/// No daemon to talk to.
pub(crate) const UNAVAILABLE: u8 = 69;
/// A bug, an imbalance, a component that failed for good, no lane left alive, or records lost in a stage.
pub(crate) const SOFTWARE: u8 = 70;
/// The state directory is held by another process.
pub(crate) const HELD: u8 = 73;
/// Reading or writing failed, or records were lost where they were to be written.
pub(crate) const IO: u8 = 74;
/// A config or plugin was refused.
pub(crate) const REFUSED: u8 = 78;

/// All of them with what they mean, for the reference.
pub(crate) const ALL: [(&str, &str); 9] = [
    (
        "0",
        "Done. For `run`: every source is finished and everything is delivered, rejected for a reason or with a dead letter, or it was told to stop and drained.",
    ),
    ("64", "The command line is wrong, or names no pipeline and none is at the usual places."),
    (
        "65",
        "Damaged data: `audit` found the trail changed, cut or contradictory, or without the head it was given.",
    ),
    ("69", "No daemon to talk to: `status`, `ledger`, `metrics` and `log-level` need one that runs."),
    (
        "70",
        "A bug, books that do not balance, a component that failed for good, no lane left alive, or a stage whose failed calls lost records.",
    ),
    ("73", "The state directory is held by another process."),
    (
        "74",
        "Reading or writing failed; or, for `run`, a sink lost records in failed calls and had no `dead_letter`, or the audit trail lacks the end of the run.",
    ),
    ("78", "A config or plugin was refused."),
    ("130, 143", "A second Ctrl-C or SIGTERM ended a run that was draining."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_every_code() {
        for code in [USAGE, DATA, UNAVAILABLE, SOFTWARE, HELD, IO, REFUSED] {
            assert!(ALL.iter().any(|(listed, _)| *listed == code.to_string()), "{code}");
        }
    }
}
