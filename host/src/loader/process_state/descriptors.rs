//! What the process's descriptors lead to, so that one which a library closed, replaced or changed is found, and in the
//! daemon put back.
//!
//! Compared are files and flags and not numbers alone: a library that puts `/dev/null` in the place of standard output
//! leaves the same numbers open, and everything that is written from then on is gone.

#![forbid(unsafe_code)]

use super::kernel::{self, Descriptor};
use super::told::Told;
use rustix::fs::MemfdFlags;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::OnceLock;

/// Numbers below this are put back. The host's own descriptors are the lowest ones; copies of plugins come after them.
const KEPT_BELOW: i32 = 256;
/// Where second numbers are looked for first: above those that a loop over "all" of them usually reaches.
const KEPT_FROM: i32 = 512;
/// The first number that is no standard stream.
const FIRST: i32 = 3;
/// In the vetting child the numbers below this are all in use, as any of them may be in the daemon.
const FILLED_BELOW: i32 = 64;
/// Where the child's own descriptors begin.
pub(crate) const PRIVATE_FROM: i32 = 100;
/// How many the child needs besides those that the plugin opens.
pub(crate) const FILLED: u64 = 64;

/// What the child's low numbers lead to.
static FILLER: OnceLock<OwnedFd> = OnceLock::new();

/// Puts something in place of every low number that is free, so that closing, replacing or writing to one that was not
/// opened before shows.
pub(crate) fn fill() -> io::Result<()> {
    let file = rustix::fs::memfd_create("cardcage-filler", MemfdFlags::CLOEXEC)?;
    let file = rustix::io::fcntl_dupfd_cloexec(&file, PRIVATE_FROM)?;
    loop {
        let number = kernel::second_number(file.as_raw_fd(), FIRST).ok_or_else(io::Error::last_os_error)?;
        if number >= FILLED_BELOW {
            kernel::give_up(number);
            break;
        }
    }
    let _ = FILLER.set(file);
    Ok(())
}

/// All descriptors at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Descriptors {
    open: BTreeMap<i32, Descriptor>,
    /// Bytes that somebody wrote to what fills the low numbers.
    scribbled: i64,
}

impl Descriptors {
    /// Now.
    pub(super) fn now(told: &Told) -> Self {
        let numbers = told.descriptors().into_iter();
        let filler = FILLER.get().and_then(|file| kernel::file(file.as_raw_fd()));
        let (filler, scribbled) = filler.map_or((None, 0), |(file, bytes)| (Some(file), bytes));
        let open = numbers.filter_map(|number| Some((number, kernel::descriptor(number, filler)?))).collect();
        Self { open, scribbled }
    }

    /// What became of those that were open before, in words.
    pub(super) fn harmed_since(&self, before: &Self) -> Vec<String> {
        let mut closed = Vec::new();
        let mut replaced = Vec::new();
        let mut changed = Vec::new();
        for (number, was) in &before.open {
            match self.open.get(number) {
                None => closed.push(*number),
                Some(is) if !is.leads_where(was) => replaced.push(*number),
                Some(is) if (is.status, is.own) != (was.status, was.own) => changed.push(*number),
                Some(_) => {}
            }
        }
        let scribbled = self.scribbled - before.scribbled;
        let what = [
            (closed, "closed", " that it had not opened"),
            (replaced, "put another file in the place of", ""),
            (changed, "changed the flags of", " that it had not opened"),
        ];
        let numbers = what.into_iter().filter(|(numbers, ..)| !numbers.is_empty());
        let mut harmed: Vec<String> = numbers
            .map(|(numbers, verb, whose)| {
                format!("it {verb} the {}{whose}", numbered("descriptor", &numbers))
            })
            .collect();
        if scribbled > 0 {
            let bytes = if scribbled == 1 { "byte" } else { "bytes" };
            harmed.push(format!("it wrote {scribbled} {bytes} to descriptors that it had not opened"));
        }
        harmed
    }

    /// Those that were not open before, in words.
    pub(super) fn opened_since(&self, before: &Self) -> Option<String> {
        let new = |number: &&i32| !before.open.contains_key(*number);
        let opened: Vec<i32> = self.open.keys().filter(new).copied().collect();
        (!opened.is_empty()).then(|| format!("it left open the {}", numbered("descriptor", &opened)))
    }
}

/// The daemon's descriptors before a library is opened, with a second number for each that may have to be put back.
///
/// For as long as no other thread opens or closes any: before lanes start, the daemon's other threads do neither.
#[derive(Debug)]
pub(crate) struct Kept {
    before: Descriptors,
    /// Second numbers, by the first.
    second: BTreeMap<i32, i32>,
}

impl Kept {
    /// From now on.
    pub(crate) fn now() -> Self {
        let before = Descriptors::now(&Told::anew());
        let low = before.open.keys().copied().filter(|number| *number < KEPT_BELOW);
        let second = low.filter_map(|number| {
            let second = kernel::second_number(number, KEPT_FROM);
            // A limit on open files that is lower than that.
            Some((number, second.or_else(|| kernel::second_number(number, FIRST))?))
        });
        let second = second.collect();
        Self { before, second }
    }

    /// What changed since, in words.
    pub(crate) fn changes(&self) -> Vec<String> {
        let mut now = Descriptors::now(&Told::anew());
        now.open.retain(|number, _| !self.second.values().any(|second| second == number));
        let mut changes = now.harmed_since(&self.before);
        changes.extend(now.opened_since(&self.before));
        changes
    }

    /// Puts back what was closed, replaced or changed. What a library opened stays open: it may still use that.
    pub(crate) fn restore(&self) {
        for (number, was) in &self.before.open {
            let is = kernel::descriptor(*number, None);
            let second = self.second_of(*number, was);
            match (is, second) {
                (Some(is), _) if is.leads_where(was) => {
                    if (is.status, is.own) != (was.status, was.own) {
                        kernel::set_flags(*number, was);
                    }
                }
                (_, Some(second)) => {
                    kernel::put_back(second, *number, was);
                    kernel::set_flags(*number, was);
                }
                // It reached the second number as well. The refusal says what is gone.
                (_, None) => {}
            }
        }
    }

    /// Its second number, if that still leads where the first one did.
    fn second_of(&self, number: i32, was: &Descriptor) -> Option<i32> {
        let second = *self.second.get(&number)?;
        kernel::file(second).filter(|(file, _)| was.leads_to(*file)).map(|_| second)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        for (number, was) in &self.before.open {
            if let Some(second) = self.second_of(*number, was) {
                kernel::give_up(second);
            }
        }
    }
}

fn numbered(what: &str, numbers: &[i32]) -> String {
    let list = spans(numbers).join(", ");
    format!("{what}{} {list}", if numbers.len() == 1 { "" } else { "s" })
}

/// `3 to 63` instead of sixty numbers.
fn spans(numbers: &[i32]) -> Vec<String> {
    let runs = numbers.chunk_by(|one, next| next - one == 1);
    let shown = runs.map(|run| match run {
        [only] => vec![only.to_string()],
        [one, two] => vec![one.to_string(), two.to_string()],
        [first, .., last] => vec![format!("{first} to {last}")],
        [] => Vec::new(),
    });
    shown.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_numbers_are_told_as_spans() {
        assert_eq!(numbered("descriptor", &[7]), "descriptor 7");
        assert_eq!(numbered("descriptor", &[0, 1, 3, 4, 5, 9]), "descriptors 0, 1, 3 to 5, 9");
    }
}
