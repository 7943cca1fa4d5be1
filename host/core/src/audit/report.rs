//! What verifying a trail found.

use super::block::{BlockError, Hash, Head};
use super::decode::RecordError;
use super::file::FileHeaderError;
use super::misfit::Misfit;
use std::fmt;

/// What verifying a trail found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// What there is.
    pub seen: Seen,
    /// Everything wrong, in the order of the files; at most [`Report::FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    /// How many more findings there were.
    pub more_findings: u64,
    /// Runs of blocks that follow each other without a break. One, if nothing is wrong with the chain; at most
    /// [`Report::FINDINGS_MAX`].
    pub segments: Vec<Segment>,
    /// What became of the heads that were given.
    pub heads: Vec<FoundHead>,
    /// What is odd and no damage; at most [`Report::FINDINGS_MAX`].
    pub remarks: Vec<Remark>,
}

impl Report {
    /// The most findings, and the most segments and remarks, that are listed one by one.
    pub const FINDINGS_MAX: usize = 50;

    /// Whether anything is wrong: damage, contradictions, or a head that the trail does not have.
    pub fn is_damaged(&self) -> bool {
        !self.findings.is_empty() || self.heads.iter().any(|head| head.block.is_none())
    }

    /// Whether there is nothing in the trail that a given head does not prove.
    pub fn is_proven(&self) -> bool {
        let last = self.seen.last.map(|last| last.block);
        let proven = self.segments.last().and_then(|segment| segment.proven_to);
        !self.is_damaged() && last.is_some() && proven == last
    }
}

/// What there is in a trail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Files.
    pub files: u64,
    /// Whole blocks.
    pub blocks: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// The number of the first block.
    pub first_block: Option<u64>,
    /// The last block.
    pub last: Option<Head>,
    /// Entries of writes.
    pub entries: u64,
    /// Writes that they stand for.
    pub writes: u64,
    /// Writes that a rule forbade.
    pub violations: u64,
    /// Runs of the daemon of which something is there.
    pub runs: u64,
    /// Cells that were declared in these runs.
    pub cells: u64,
    /// The earliest and the latest time in it, in UTC nanoseconds since 1970.
    pub time_ns: Option<(i64, i64)>,
}

/// Where something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file's name.
    pub file: String,
    /// Where in it, in bytes.
    pub offset: u64,
    /// The block, if it can be told.
    pub block: Option<u64>,
}

/// `00000003.trail at byte 72 (block 12)`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.file, self.offset)?;
        self.block.map_or(Ok(()), |block| write!(f, " (block {block})"))
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Where.
    pub place: Place,
    /// What.
    pub fault: Fault,
}

/// What can be wrong with a trail.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Fault {
    /// The file does not begin as a trail file.
    #[error("{0}")]
    FileHeader(FileHeaderError),
    /// What the file begins with and its first block disagree, or its name is not that of its number.
    #[error("the file's name and header, and its first block, disagree: one of them was changed")]
    HeaderDisagrees,
    /// The first block does not begin with the account of what went before.
    #[error("the file's first block does not begin with the account of what went before")]
    NoOpening,
    /// No whole block is there.
    #[error("{0}")]
    Block(BlockError),
    /// So much is damaged that the rest of the file was not looked at.
    #[error("so much is damaged that the rest of the file was not looked at")]
    GivenUp,
    /// Blocks are missing before this one.
    #[error("{} before this place, and no removal by retention accounts for it", missing(*from, *to))]
    Missing {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// A block that was there before, or one that belongs elsewhere.
    #[error("block {found} stands where block {expected} belongs: it was moved here or put in a second time")]
    Misplaced {
        /// Its number.
        found: u64,
        /// The number that belongs here.
        expected: u64,
    },
    /// A block of the right number that follows another block than the one before it.
    #[error("the block follows another block than the one before it: one of the two was replaced")]
    Unlinked,
    /// What the block says cannot be read, although its hash is right.
    #[error("{0}, although the block has the right hash: it was not written by this program")]
    Record(RecordError),
    /// What the block says does not fit to what was said before.
    #[error("{of}: {misfit}")]
    Misfit {
        /// What it is about: `plausible.out_of_range, writer 0`.
        of: String,
        /// What does not fit.
        misfit: Misfit,
    },
}

fn missing(from: u64, to: u64) -> String {
    if from == to { format!("block {from} is missing") } else { format!("blocks {from} to {to} are missing") }
}

/// Blocks that follow each other without a break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The number of the first.
    pub first: u64,
    /// The last.
    pub last: Head,
    /// The number of the last one that a given head proves: with it, all before it in this segment.
    pub proven_to: Option<u64>,
}

/// A head that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundHead {
    /// Its hash.
    pub hash: Hash,
    /// The number of the block that has it; `None` if no block does.
    pub block: Option<u64>,
}

/// What is odd and no damage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// The file ends with part of a block that never belonged to the chain: it is being written, or the daemon was ended in
    /// the middle of it.
    Unfinished {
        /// Where it begins.
        place: Place,
        /// How much of it there is, in bytes.
        bytes: u64,
        /// Whether it is at the end of the whole trail.
        at_end: bool,
    },
    /// A run ended without saying so: the daemon was killed, or the machine went down.
    NotEnded {
        /// Where the next run begins.
        place: Place,
    },
    /// A trail that was damaged was set aside, and another one begun.
    SetAside {
        /// The names of its files.
        files: String,
        /// What was found.
        why: String,
    },
    /// Retention removed what was before this block.
    Removed {
        /// The first block that was kept.
        first_kept: u64,
    },
    /// Blocks were removed before they could be read ([`Verifier::skip`](super::Verifier::skip)).
    Skipped {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// Words of the daemon.
    Said {
        /// The words.
        text: String,
    },
}
