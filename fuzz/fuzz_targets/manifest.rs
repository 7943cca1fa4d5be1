//! A manifest note's bytes: a manifest in which everything is within its bounds, or a refusal.

#![no_main]

use cardcage_core::plugin_file::{Image, System, read_manifest};
use libfuzzer_sys::fuzz_target;
use object::elf::{EM_X86_64, Machine};

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

    fn lacks(&mut self, _library: &str, _version: &str) -> Option<String> {
        None
    }
}

fuzz_target!(|note: &[u8]| {
    match read_manifest(&Image { notes: vec![note.to_vec()], ..Image::default() }, &Here) {
        Ok(manifest) => {
            let name = |name: &str| assert!((1..=64).contains(&name.len()), "{name:?}");
            name(&manifest.name);
            for component in &manifest.components {
                name(&component.name);
                component.metrics.iter().for_each(|metric| name(&metric.name));
            }
            // What was taken can be written down and read again, and is the same.
            let text = serde_json::to_vec(&manifest).expect("a manifest is JSON");
            let again = Image { notes: vec![text], ..Image::default() };
            assert_eq!(read_manifest(&again, &Here).as_ref(), Ok(&manifest));
        }
        Err(fault) => {
            for part in [fault.what, &fault.found, &fault.expected, &fault.help] {
                assert!(!part.is_empty() && !part.chars().any(char::is_control), "{part:?}");
            }
        }
    }
});
