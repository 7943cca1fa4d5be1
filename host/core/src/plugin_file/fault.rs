//! The one way in which a file is refused.

use crate::printable::printable;
use std::fmt::Display;

/// What is wrong with a file. The caller knows which file it is and which rung it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The last part of the refusal's code: `ladder.<rung>.<what>`.
    pub what: &'static str,
    /// What is there, with the numbers.
    pub found: String,
    /// What should be there.
    pub expected: String,
    /// What to do about it.
    pub help: String,
}

/// What was found so far: a check that failed does not keep the others from being made where they don't rest on it.
///
/// The first fault of each code is kept: a second relocation of the same kind tells nobody more.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    /// What a check gave, if it found no fault.
    pub(super) fn keep<T>(&mut self, checked: Result<T, Fault>) -> Option<T> {
        match checked {
            Ok(found) => Some(found),
            Err(fault) => {
                self.note(fault);
                None
            }
        }
    }

    /// Adds a fault, unless it tells nothing new.
    pub(super) fn note(&mut self, fault: Fault) {
        let known = self.0.iter().any(|other| other.what == fault.what);
        // What no linker makes, in a file that is odd in ways that a linker does make: the second explains the first.
        let explained = fault.what == DAMAGED && !self.0.is_empty();
        if !known && !explained {
            self.0.push(fault);
        }
    }

    /// What was made of it, if nothing was amiss.
    pub(super) fn or<T>(self, made: Option<T>) -> Result<T, Vec<Fault>> {
        made.filter(|_| self.0.is_empty()).ok_or(self.0)
    }
}

const DAMAGED: &str = "damaged";

impl Fault {
    pub(super) fn new(
        what: &'static str,
        found: impl Into<String>,
        expected: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            what, // What a file holds must not steer the terminal on which it is shown.
            found: printable(&found.into()).into_owned(),
            expected: expected.into(),
            help: help.into(),
        }
    }

    /// What no linker makes: bytes were changed, or are missing.
    pub(super) fn damaged(found: impl Into<String>) -> Self {
        Self::new(
            DAMAGED,
            found,
            "tables that lie inside the file and agree with each other",
            "copy or build the file again: no linker makes this, so its bytes were changed or lost",
        )
    }

    /// The file ends before something that its headers promise.
    pub(super) fn truncated(what: impl Display, end: u64, file_len: u64) -> Self {
        Self::new(
            "truncated",
            format!("{what} would end at byte {end} of a file of {file_len} bytes"),
            "a whole file",
            "copy or build the file again: it is cut short, or its headers are damaged",
        )
    }

    /// What another way of building would make right.
    pub(super) fn unfit(what: &'static str, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::new(
            what,
            found,
            expected,
            "build the plugin with plain `cargo build` for this machine, without extra linker flags",
        )
    }
}
