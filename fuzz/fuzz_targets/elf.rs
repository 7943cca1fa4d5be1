//! A plugin file's way over rungs 2 and 3: any bytes end in a refusal or in a manifest, soon, and never in a panic.
//!
//! Most bytes are refused by their first lines, so what comes in is also laid over a small real library (`seeds/elf`).

#![no_main]

use cardcage_core::plugin_file::{Fault, System, as_linked, examine, read_manifest};
use libfuzzer_sys::fuzz_target;
use object::elf::{EM_X86_64, Machine};

/// A machine on which everything is known and nothing is missing, but one version of one library.
struct Here;

impl System for Here {
    fn machine(&self) -> Machine {
        EM_X86_64
    }

    fn architecture(&self) -> &str {
        "x86_64"
    }

    fn has_feature(&self, name: &str) -> Option<bool> {
        Some(name != "warp9")
    }

    fn lacks(&mut self, _library: &str, version: &str) -> Option<String> {
        (version == "GLIBC_99").then(|| "GLIBC_2.36".to_owned())
    }
}

const LIBRARY: &[u8] = include_bytes!("../seeds/elf/library.so");

fuzz_target!(|data: &[u8]| {
    look(data);
    // Pieces of `data`, each with the place where it goes: two bytes, a length, and the bytes.
    let mut library = LIBRARY.to_vec();
    let mut rest = data;
    while let [low, high, len, more @ ..] = rest {
        let at = usize::from(u16::from_le_bytes([*low, *high])) % library.len();
        let (piece, after) = more.split_at(usize::from(*len % 24).min(more.len()));
        let end = (at + piece.len()).min(library.len());
        library[at..end].copy_from_slice(&piece[..end - at]);
        rest = after;
    }
    look(&library);
});

fn look(bytes: &[u8]) {
    let found = examine(bytes, &mut Here);
    if let Err(faults) = as_linked(bytes, &Here) {
        faults.iter().for_each(whole);
    }
    match found {
        Ok(image) => {
            let mut end = 0;
            for segment in &image.segments {
                assert!(segment.address >= end, "segments overlap");
                end = segment.address + segment.size;
            }
            match read_manifest(&image, &Here) {
                Ok(manifest) => assert!(!manifest.name.is_empty() && !manifest.components.is_empty()),
                Err(fault) => whole(&fault),
            }
        }
        Err(faults) => faults.iter().for_each(whole),
    }
}

/// What is said to people has all its parts, and nothing that steers a terminal.
fn whole(fault: &Fault) {
    for part in [fault.what, &fault.found, &fault.expected, &fault.help] {
        assert!(!part.is_empty() && !part.chars().any(char::is_control), "{part:?}");
    }
}
