//! From where a cell stands to what its trail has to say. Pure: knows neither threads nor files.
//!
//! News of a cell says where it stands after how many writes. What is told first covers everything up to there; news that
//! comes late, or of writes that are covered already, says nothing new. So `old` is always the `new` before it, and the
//! counts add up to the writes, whatever was merged on the way.

/// What the trail has said of a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// Where it stood (64 bits).
    pub(crate) value: u64,
    /// After how many writes.
    pub(crate) writes: u64,
    /// Refused writes that were told of.
    pub(crate) violations: u64,
}

/// A change that is yet to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) old: u64,
    pub(crate) new: u64,
    /// Writes that it stands for, at least 1.
    pub(crate) count: u64,
}

impl Told {
    /// The cell stands at `value` after `writes` writes: what of it is new.
    pub(crate) fn change(&mut self, value: u64, writes: u64) -> Option<Change> {
        let count = writes.checked_sub(self.writes).filter(|count| *count > 0)?;
        let change = Change { old: self.value, new: value, count };
        (self.value, self.writes) = (value, writes);
        Some(change)
    }

    /// So many writes were refused: how many of them are new.
    pub(crate) fn refused(&mut self, violations: u64) -> Option<u64> {
        let count = violations.checked_sub(self.violations).filter(|count| *count > 0)?;
        self.violations = violations;
        Some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_left_out_or_comes_late_the_counts_add_up_and_no_old_is_skipped() {
        let mut told = Told::default();
        let news = [(10, 1), (30, 3), (20, 2), (30, 3), (70, 7)];
        let changes: Vec<_> =
            news.iter().filter_map(|(value, writes)| told.change(*value, *writes)).collect();
        assert_eq!(changes.iter().map(|change| change.count).sum::<u64>(), 7);
        assert_eq!(
            changes.iter().map(|change| (change.old, change.new)).collect::<Vec<_>>(),
            [(0, 10), (10, 30), (30, 70)]
        );
    }

    #[test]
    fn a_refused_write_is_told_once() {
        let mut told = Told::default();
        assert_eq!(told.refused(2), Some(2));
        assert_eq!(told.refused(2), None);
        assert_eq!(told.refused(5), Some(3));
    }
}
