//! The SDK seen from both sides: components written as authors write them, called through their vtables by a host in
//! memory.

#![forbid(unsafe_code)]

mod faults;
mod services;
mod sinks;
mod sources;
mod stages;
