//! The audit trail, from a write in a plugin's thread to bytes on disk.
//!
//! ```text
//! plugin's thread: Cell::write ─► its own ring ─┐
//!                       │                       ├─► collect: what is new ─► chain: blocks ─► <state>/audit/
//!                       └─► where it stands ────┘   (one thread, `keeper`)
//! ```
//!
//! News of a write says where the cell stands and after how many writes. So nothing needs to wait: news that finds no room
//! in a ring, or for which the disk has none, is left out, and the next piece stands for more writes (`settle`). What
//! a trail may lack is detail, never a count.

mod aside;
mod chain;
mod collect;
mod current;
mod files;
mod found;
mod host_metrics;
mod keeper;
mod ring;
mod settle;
pub(crate) mod thread;
mod trail;
pub(crate) mod who;

pub use host_metrics::HostMetrics;
pub use keeper::{KeepError, Keeper};
pub use trail::{Policy, Trail, TrailStatus};

#[cfg(test)]
mod tests;
