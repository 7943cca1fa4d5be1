//! Formats that several plugins share.
#![forbid(unsafe_code)]
