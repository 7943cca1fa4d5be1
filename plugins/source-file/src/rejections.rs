//! Lines that became no record: counted all, logged in samples.

use cardcage_codec::{Reason, Rejection};
use cardcage_plugin_api::tracing;
use std::path::Path;

/// So many rejections are logged one by one; from then on the 10th, 100th, 1000th, …
const LOGGED_FIRST: u64 = 5;

/// Counts of rejected lines.
#[derive(Default)]
pub(crate) struct Rejections {
    /// Since the counts were last taken, by the number of the reason.
    counts: [u64; Reason::ALL.len()],
    total: u64,
    summarized: bool,
}

impl Rejections {
    /// Counts a line. `line` starts at 1, `position` is the line's first byte.
    #[cold]
    pub(crate) fn add(&mut self, rejection: Rejection, file: &Path, line: u64, position: u64) {
        self.counts[rejection.reason as usize] += 1;
        self.total += 1;
        if self.total <= LOGGED_FIRST || is_power_of_ten(self.total) {
            tracing::warn!(
                file = %file.display(),
                line,
                byte = position + rejection.offset as u64,
                rejected = self.total,
                "line rejected ({}): {rejection}",
                rejection.reason.name(),
            );
        }
    }

    /// Whether there are counts to take.
    pub(crate) fn any(&self) -> bool {
        self.counts.iter().any(|count| *count > 0)
    }

    /// The counts that are not 0, and starts counting anew.
    pub(crate) fn take_counts(&mut self) -> impl Iterator<Item = (Reason, u64)> + use<> {
        let counts = std::mem::take(&mut self.counts);
        Reason::ALL.into_iter().zip(counts).filter(|(_, count)| *count > 0)
    }

    /// Says once, at the end, how many there were, if not all were logged.
    pub(crate) fn summarize(&mut self) {
        if self.total > LOGGED_FIRST && !self.summarized {
            tracing::warn!(rejected = self.total, "lines rejected in all; the summary has them by reason");
            self.summarized = true;
        }
    }
}

fn is_power_of_ten(number: u64) -> bool {
    number.checked_ilog10().is_some_and(|digits| 10_u64.pow(digits) == number)
}
