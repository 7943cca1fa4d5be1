//! The ladder: every check a plugin file passes before a record comes near it, cheapest and safest first.
//!
//! One file a rung, one function a rung, one way to refuse ([`refusal::Refusal`]). Rungs 1 to 3 run no code of the
//! plugin; rung 4 runs 5 to 10 in a child process first; then 5 to 8 and 10 run here. [`climb`] has them in order.
//! Rung 11, the wiring, is in `cardcage-core`.

pub(crate) mod catalogue;
pub(crate) mod climb;
pub(crate) mod elf;
mod file;
mod guard;
mod layout;
pub(crate) mod libraries;
mod machine;
mod manifest;
mod open;
pub(crate) mod probe;
mod process_state;
pub(crate) mod refusal;
mod segments;
pub(crate) mod settings;
mod side_by_side;
mod truth;
pub(crate) mod vetting;
mod vtable;
