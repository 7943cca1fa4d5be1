//! The audit trail as a format: what a change of a metric looks like on disk, and how a trail proves itself.
//!
//! A trail is a chain of [blocks](BlockBuilder). Each holds up to 64 KiB of [records](Record), compressed, and the hash of
//! the block before; so whoever knows the hash of the last one, the [`Head`], can tell whether anything before it was
//! changed. The chain is cut into files, and each file begins with an account of everything that went before
//! ([`Anchor`]): it can be read on its own, and the files before it may be removed without a number losing its proof.
//!
//! A metric of a component has a *cell*, and each thread that writes to it a part of its own, called by the number of its
//! *writer*: the value of a counter is the sum of its parts. Each (cell, writer) pair is a chain of its own: the `old` of
//! an [`Entry`] is the `new` of the entry before, so an entry that is missing shows, and the counts of all entries add up
//! to the writes.
//!
//! Writing: [`FileHeader::encode`], then blocks made by a [`BlockBuilder`], one after the other. Reading: a [`Stream`]
//! takes the bytes of one file in pieces of any size and gives the blocks; a [`Verifier`] takes the blocks and proves them.
//! Neither believes anything that it reads, and what they keep in memory is bounded whatever the bytes say.
//!
//! Fields and promises are described in `docs/audit.md`.

mod anchor;
mod aside;
mod block;
mod decode;
mod encode;
mod file;
mod misfit;
mod record;
mod report;
mod stream;
mod verify;

pub use anchor::Anchor;
pub use aside::{Aside, AsideFile, AsideHead};
pub use block::{BLOCK_MAX_BYTES, BlockBuilder, BlockError, Full, Hash, Head, STORED_MAX_BYTES, SealedBlock};
pub use decode::{RecordError, Records};
pub use file::{ASIDE, FILE_HEADER_BYTES, FileHeader, FileHeaderError, aside_of, file_name, file_number};
pub use misfit::Misfit;
pub use record::{
    Balance, CellId, Declaration, Entry, Note, Number, Record, Rule, Rules, TEXT_MAX_BYTES, Value, What,
    Writer,
};
pub use report::{Fault, Finding, FoundHead, Place, Remark, Report, Seen, Segment};
pub use stream::{Block, Step, Stream};
pub use verify::Verifier;
