//! In work.
#![forbid(unsafe_code)]
