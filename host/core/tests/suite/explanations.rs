//! What is said of each code is true: the mistake in its page has the problem, and the page's way out has none.

use crate::pipeline::{descriptions, parse};
use cardcage_core::codes::{self, Entry};
use cardcage_core::config::{ComponentConfig, Config};
use cardcage_core::diagnostic::{Code, Diagnostics};
use cardcage_core::graph::wiring;
use cardcage_plugin_api::Description;
use cardcage_plugin_api::describe::UnitRules;
use cardcage_plugin_api::manifest::{Capability, Kind};

/// The fenced blocks of a page with this mark behind the fence.
fn blocks<'a>(entry: &'a Entry, mark: &str) -> Vec<&'a str> {
    let fence = format!("```{mark}\n");
    let starts = entry.explanation.match_indices(&fence).map(|(at, _)| at + fence.len());
    starts
        .map(|start| {
            let rest = &entry.explanation[start..];
            rest.find("```").map_or(rest, |end| &rest[..end])
        })
        .collect()
}

fn problems(text: &str) -> Diagnostics {
    match parse(text) {
        Err(problems) => problems,
        Ok(mut config) => match wiring::wire(&config, &described(&config)) {
            Err(problems) => problems,
            Ok(wired) => {
                config.warnings.append(wired.warnings);
                config.warnings
            }
        },
    }
}

/// What the plugins of the pages say of themselves: bundled ones what they say in earnest, as far as it matters here.
/// The others do not exist; the pages say what they are like.
fn described(config: &Config) -> Vec<Description> {
    let plain = descriptions(config);
    config.components.iter().zip(plain).map(|(component, plain)| description(component, plain)).collect()
}

fn description(component: &ComponentConfig, plain: Description) -> Description {
    let setting = |name: &str| component.settings.get(name).and_then(serde_json::Value::as_str);
    let units = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
    match (component.kind, component.plugin.name.as_str()) {
        (Kind::Source, "host") => {
            let all = component.settings.get("groups").is_none();
            let gives = units(if all { &["%", "By", "s", "Cel"] } else { &["Cel"] });
            Description::source().units(UnitRules { gives, ..UnitRules::default() })
        }
        (Kind::Source, "generate") => {
            let gives = units(&[setting("unit").unwrap_or_default()]);
            plain.units(UnitRules { gives, ..UnitRules::default() })
        }
        (Kind::Stage, "convert") => {
            let converts_to = setting("to").into_iter().map(str::to_owned).collect();
            Description::stage().units(UnitRules { converts_to, ..UnitRules::default() })
        }
        (_, "running-mean") => plain.does(Capability::Holds),
        (_, "time-series") => plain.needs_order(),
        (_, "frost-alarm") => {
            plain.units(UnitRules { accepts_dimensions: units(&["temperature"]), ..UnitRules::default() })
        }
        (_, "heater-control") => {
            plain.units(UnitRules { accepts_units: units(&["degC"]), ..UnitRules::default() })
        }
        (_, "describes-itself-as-a-sink") => Description::sink(),
        _ => plain,
    }
}

#[test]
fn every_page_says_something_and_ends_with_a_line() {
    for entry in codes::ALL {
        let text = entry.explanation;
        assert!(text.len() > 100, "{}: {text}", entry.code);
        assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{}", entry.code);
        assert_eq!(text.matches("```").count() % 2, 0, "{}: a block is not closed", entry.code);
        assert!(text.lines().all(|line| line.chars().count() <= 120), "{}: a line is too long", entry.code);
    }
}

/// Codes that need more than a text to be reported: a byte, a plugin, a machine.
fn needs_more(code: Code) -> bool {
    let of_the_host = ["plugin.", "run.", "settings.", "ladder."];
    let own =
        [codes::NOT_YET, codes::NOT_UTF8, codes::DESCRIPTION_MISSING, codes::TOO_LARGE, codes::TOO_MUCH];
    own.contains(&code) || of_the_host.iter().any(|group| code.0.starts_with(group))
}

#[test]
fn each_mistake_has_the_problem_and_each_way_out_has_none() {
    for entry in codes::ALL.iter().filter(|entry| !needs_more(entry.code)) {
        let wrong = blocks(entry, "yaml wrong");
        assert!(!wrong.is_empty(), "{} shows no mistake", entry.code);
        for text in wrong {
            let found: Vec<Code> = problems(text).iter().map(|problem| problem.code).collect();
            assert!(found.contains(&entry.code), "{}: found {found:?} in\n{text}", entry.code);
        }
        for text in blocks(entry, "yaml") {
            let found = problems(text);
            assert!(found.is_empty(), "{}: {found}\n{text}", entry.code);
        }
    }
}

#[test]
fn the_page_of_all_codes_is_in_the_tree_as_it_is_generated() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md");
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert!(there == codes::page(), "docs/errors.md is not what the codes say; run `cargo xtask docs`");
}
