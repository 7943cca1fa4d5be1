//! An entry of the verdict cache: what was remembered, or nothing; never a panic, and nothing but what was written.
//!
//! The hash over an entry turns nearly all bytes away, so what comes in is also taken for the text behind a right hash.

#![no_main]

use cardcage_core::verdict::{MAGIC, entry, remembered};
use libfuzzer_sys::fuzz_target;

const KEY: &str = "5f1c";

fuzz_target!(|bytes: &[u8]| {
    if let Some(verdict) = remembered(KEY, bytes) {
        // Only whole entries are taken, and they are what is written for that verdict or mean the same.
        let again = entry(KEY, &verdict).expect("a verdict is JSON");
        assert_eq!(remembered(KEY, &again), Some(verdict));
        assert_eq!(remembered("5f1d", bytes), None, "an entry of another key");
    }
    let Ok(body) = std::str::from_utf8(bytes) else {
        return;
    };
    let mut hash = blake3::Hasher::new();
    hash.update(KEY.as_bytes()).update(bytes);
    let sealed = format!("{MAGIC} {KEY} {}\n{body}", hash.finalize().to_hex());
    let Some(verdict) = remembered(KEY, sealed.as_bytes()) else {
        return;
    };
    let again = entry(KEY, &verdict).expect("a verdict is JSON");
    assert_eq!(remembered(KEY, &again), Some(verdict));
    // Any one byte less, and it is none.
    assert_eq!(remembered(KEY, &sealed.as_bytes()[..sealed.len() - 1]), None);
});
