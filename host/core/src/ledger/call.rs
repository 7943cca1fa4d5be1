//! The equation of one call, checked on every batch.

/// What a call of a stage did with records, as the host counted it on both sides of the call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// Records in the batch that was lent.
    pub before: u64,
    /// Records that the stage held from earlier calls.
    pub held_before: u64,
    /// Records that it says it made; 0 unless it declared that it creates.
    pub created: u64,
    /// Records in the batch when it came back.
    pub after: u64,
    /// Records in its outputs.
    pub given: u64,
    /// Records that it says it dropped or rejected, for reasons that it described.
    pub tallied: u64,
    /// Records that it says it holds now.
    pub held_after: u64,
}

impl Call {
    /// Records that were there before the call, or were made in it.
    pub fn came(&self) -> u128 {
        [self.before, self.created, self.held_before].into_iter().map(u128::from).sum()
    }

    /// Records that are there after it, or are accounted for.
    pub fn went(&self) -> u128 {
        [self.after, self.given, self.tallied, self.held_after].into_iter().map(u128::from).sum()
    }

    /// Records by which the two sides differ, too few or too many: 0 when the call explains all it did.
    pub fn unexplained(&self) -> u64 {
        u64::try_from(self.came().abs_diff(self.went())).unwrap_or(u64::MAX)
    }
}
