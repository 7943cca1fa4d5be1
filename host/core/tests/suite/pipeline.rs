//! Pipelines for the tests: an outside that is fixed, and configs made of little text.

use cardcage_core::config::{self, Config, Environment};
use cardcage_core::diagnostic::Diagnostics;
use cardcage_core::graph::{Graph, wiring};
use cardcage_plugin_api::Description;
use cardcage_plugin_api::manifest::{Capability, Kind};

/// The file's name in all tests.
pub(crate) const FILE: &str = "pipeline.yaml";

/// Variables `ROOM` = `lab` and `EMPTY`; files `/run/pin` and `/run/big`; credential `token`.
pub(crate) struct Fixed;

impl Environment for Fixed {
    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "ROOM" => Some("lab".to_owned()),
            "EVERY" => Some("250ms".to_owned()),
            "SEVEN" => Some("7".to_owned()),
            "NESTED" => Some("${ROOM}".to_owned()),
            "INJECTED" => Some("a\nsinks: {}".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    fn file(&self, path: &str) -> Result<String, String> {
        match path {
            "/run/pin" => Ok("0123\r\n".to_owned()),
            "/run/big" => Ok("x".repeat(6 * 1024 * 1024)),
            _ => Err("no such file".to_owned()),
        }
    }

    fn credential(&self, name: &str) -> Result<String, String> {
        match name {
            "token" => Ok("hunter2\n".to_owned()),
            _ => Err("the service was given no such credential".to_owned()),
        }
    }
}

pub(crate) fn parse(text: &str) -> Result<Config, Diagnostics> {
    let parsed = config::parse(FILE, text, &Fixed);
    // What the config takes no editor may mark; large texts come from tests of something else.
    if parsed.is_ok() && text.len() < 64 * 1024 {
        assert_eq!(crate::json_schema::refused(text), Vec::<String>::new(), "{text}");
    }
    parsed
}

pub(crate) fn parse_bytes(bytes: &[u8]) -> Result<Config, Diagnostics> {
    config::parse_bytes(FILE, bytes, &Fixed).map_err(|refused| refused.problems)
}

pub(crate) fn good(text: &str) -> Config {
    parse(text).unwrap_or_else(|problems| panic!("{text}\n{problems}"))
}

/// The most that a component of each kind says of itself without being special.
pub(crate) fn descriptions(config: &Config) -> Vec<Description> {
    let plain = |kind| match kind {
        Kind::Source => Description::source().does(Capability::Replayable),
        Kind::Stage => Description::stage().drops("out_of_range").port("dropped").port("late"),
        Kind::Sink => Description::sink(),
    };
    config.components.iter().map(|component| plain(component.kind)).collect()
}

pub(crate) fn graph(config: &Config) -> Graph {
    wiring::check(config, &descriptions(config)).unwrap_or_else(|problems| panic!("{problems}"))
}

/// A config from `name: inputs` lines, each with its section: `("stages", "b", "a, x.dropped", "")`.
pub(crate) fn config_of(components: &[(Kind, String, Vec<String>, String)]) -> String {
    use std::fmt::Write as _;
    let mut text = String::from("version: 1\n");
    for (section, kind) in [("sources", Kind::Source), ("stages", Kind::Stage), ("sinks", Kind::Sink)] {
        let _ = writeln!(text, "{section}:");
        for (_, name, inputs, more) in components.iter().filter(|(other, ..)| *other == kind) {
            let inputs = match kind {
                Kind::Source => String::new(),
                Kind::Stage | Kind::Sink => format!(", inputs: [{}]", inputs.join(", ")),
            };
            let _ = writeln!(text, "  {name}: {{ plugin: any{inputs}{more} }}");
        }
    }
    text
}
