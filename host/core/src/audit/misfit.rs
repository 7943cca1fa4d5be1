//! What in a trail does not fit to what stood there before.

use super::record::{CellId, Number};

/// What does not fit to the records before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// The chain of a part is broken: what an entry changed is not what the one before left.
    #[error("an entry begins at {} where the one before ended at {}", number.value(*found), number.value(*expected))]
    Gap {
        /// Which cell.
        cell: CellId,
        /// Which part of it.
        writer: u32,
        /// How its values are meant.
        number: Number,
        /// What the entry before left.
        expected: u64,
        /// What this one changed.
        found: u64,
    },
    /// A write was done that breaks a rule of the cell.
    #[error("a write from {} to {} breaks a rule that the cell was declared with", number.value(*old), number.value(*new))]
    Rule {
        /// Which cell.
        cell: CellId,
        /// Which part of it.
        writer: u32,
        /// How its values are meant.
        number: Number,
        /// The value before.
        old: u64,
        /// The value after.
        new: u64,
    },
    /// An entry stands for no write, or one that was forbidden changed the cell.
    #[error(
        "an entry contradicts itself: it stands for no write, or is a forbidden one that changed its cell"
    )]
    Contradiction {
        /// Which cell.
        cell: CellId,
        /// Which part of it.
        writer: u32,
    },
    /// An entry, writer or balance of a cell that was not declared.
    #[error("it is used before it was declared")]
    Undeclared {
        /// Which cell.
        cell: CellId,
    },
    /// An entry of a part that nobody was said to write.
    #[error("an entry by writer {writer} stands before the record that says who that is")]
    Unannounced {
        /// Which cell.
        cell: CellId,
        /// Which part of it.
        writer: u32,
    },
    /// A cell was declared as two things.
    #[error("it is declared again as something else")]
    Redeclared {
        /// Which cell.
        cell: CellId,
    },
    /// Entries and balance disagree.
    #[error(
        "its balance says {} after {writes} writes and {violations} forbidden ones; its entries say {} after {} and {}",
        number.value(*value), number.value(*entries_value), entries_writes, entries_violations
    )]
    Balance {
        /// Which cell.
        cell: CellId,
        /// Which part of it.
        writer: u32,
        /// How its values are meant.
        number: Number,
        /// By the balance.
        value: u64,
        /// By the balance.
        writes: u64,
        /// By the balance.
        violations: u64,
        /// By the entries.
        entries_value: u64,
        /// By the entries.
        entries_writes: u64,
        /// By the entries.
        entries_violations: u64,
    },
    /// The account at a file's beginning has not everything that was known before, or not as much as it says.
    #[error("the account at the file's beginning is not complete")]
    Opening,
    /// There are more parts or declarations than a trail can have.
    #[error(
        "the trail has more cells or longer texts than any daemon writes; the rest of them was not checked"
    )]
    TooMany,
}

impl Misfit {
    /// The cell and the writer that it is about, if it is about one.
    pub const fn place(&self) -> Option<(CellId, Option<u32>)> {
        match *self {
            Self::Gap { cell, writer, .. }
            | Self::Rule { cell, writer, .. }
            | Self::Contradiction { cell, writer }
            | Self::Unannounced { cell, writer }
            | Self::Balance { cell, writer, .. } => Some((cell, Some(writer))),
            Self::Undeclared { cell } | Self::Redeclared { cell } => Some((cell, None)),
            Self::Opening | Self::TooMany => None,
        }
    }
}
