//! The atomics of the parts that are model-checked: `tests/orders.rs` compiles the same files with those of `loom`, which
//! tries every order in which two threads can meet.

pub(crate) use std::sync::atomic::{AtomicU64, Ordering, fence};
