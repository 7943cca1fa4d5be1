//! The ladder: every check a plugin file passes before a record comes near it, cheapest and safest first.
//!
//! One file a rung, one function a rung, one way to refuse ([`Refusal`]). Rungs 1 to 3 run no code of the plugin;
//! rung 4 runs 5 to 10 in a child process first; then they run here. Rung 11, the wiring, is in `cardcage-core`.

pub(crate) mod elf;
pub(crate) mod file;
pub(crate) mod layout;
pub(crate) mod libraries;
pub(crate) mod machine;
pub(crate) mod manifest;
pub(crate) mod open;
pub(crate) mod process_state;
pub(crate) mod refusal;
pub(crate) mod settings;
pub(crate) mod truth;
pub(crate) mod vtable;
