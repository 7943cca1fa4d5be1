//! Any bytes as NDJSON: used up line by line without a panic, and the fast way gives what the general one gives.

#![no_main]

#[path = "codec/drive.rs"]
mod drive;

use cardcage_codec::Format;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| drive::read(Format::Ndjson, data));
