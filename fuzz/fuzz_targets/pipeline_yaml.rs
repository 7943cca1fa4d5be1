//! The way of `pipeline.yaml` from bytes to a checked config or to rendered diagnostics.
//!
//! Whatever comes in, it must end in one of the two, soon, and never in a panic; what is rendered must not hold
//! characters that steer a terminal.

#![no_main]

use cardcage_core::config::{self, Environment};
use cardcage_core::diagnostic::Diagnostics;
use libfuzzer_sys::fuzz_target;

/// What substitution finds outside: something short, something odd, nothing.
struct Outside;

impl Environment for Outside {
    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "A" => Some("1".to_owned()),
            "B" => Some("a: {b, \"c".to_owned()),
            _ => None,
        }
    }

    fn file(&self, path: &str) -> Result<String, String> {
        if path.len() == 1 { Ok(path.repeat(3)) } else { Err("no such file".to_owned()) }
    }

    fn credential(&self, _name: &str) -> Result<String, String> {
        Ok("geheim-9f3b".to_owned())
    }
}

fuzz_target!(|data: &[u8]| {
    let problems = match config::parse_bytes("pipeline.yaml", data, &Outside) {
        Ok(config) => {
            assert!(config.components.iter().all(|component| !component.plugin.name.is_empty()));
            config.warnings
        }
        Err(refused) => {
            assert!(refused.problems.has_errors(), "refused without an error");
            let askable = refused.draft.iter().flat_map(config::Draft::askable);
            askable.for_each(|component| assert!(!component.plugin.name.is_empty()));
            refused.problems
        }
    };
    check(&problems);
});

/// What a person would see of it.
fn check(problems: &Diagnostics) {
    if problems.is_empty() {
        return;
    }
    let shown = problems.render();
    assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "a control character reaches the terminal");
    assert!(!shown.contains("geheim-9f3b"), "a secret is shown");
}
