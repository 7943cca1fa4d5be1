//! The audit trail: what was written is read again, and what was changed since is found.

mod codec;
mod edits;
mod proof;
mod trail;
