//! Every code once, as somebody would meet it: the mistake, and the rendered text as a snapshot.

use crate::pipeline::{descriptions, parse, parse_bytes};
use cardcage_core::codes;
use cardcage_core::config::Config;
use cardcage_core::diagnostic::{Code, Diagnostic, Diagnostics, Location, Severity};
use cardcage_core::graph::wiring;
use cardcage_plugin_api::Description;
use cardcage_plugin_api::describe::UnitRules;
use cardcage_plugin_api::manifest::Capability;
use std::collections::BTreeSet;

/// A pipeline in which everything is right, to put one mistake into.
const GOOD: &str = "\
version: 1
plugins: { directories: [target/release] }
sources:
  host: { plugin: host, settings: { every: 1s } }
stages:
  plausible: { plugin: range, inputs: [host], settings: { min: -50, max: 1e12 } }
sinks:
  archive: { plugin: file, inputs: [plausible], settings: { path: out/readings.ndjson } }
";

struct Case {
    code: Code,
    text: String,
    descriptions: fn(&Config) -> Vec<Description>,
}

fn case(code: Code, text: impl Into<String>) -> Case {
    Case { code, text: text.into(), descriptions }
}

fn with(code: Code, from: &str, to: &str) -> Case {
    assert!(GOOD.contains(from), "{from}");
    case(code, GOOD.replacen(from, to, 1))
}

fn settings_cases() -> Vec<Case> {
    vec![
        with(codes::BAD_DURATION, "inputs: [host]", "inputs: [host], deadline: 5 sec"),
        with(codes::BAD_SIZE, "inputs: [host]", "inputs: [host], buffer: 64"),
        with(codes::BAD_VALUE, "inputs: [host]", "inputs: [host], on_failure: isolated"),
        with(codes::BAD_SUBSTITUTION, "out/readings.ndjson", "\"${OUT DIR}/readings.ndjson\""),
        with(codes::UNSET_VARIABLE, "out/readings.ndjson", "\"${OUT_DIR}/readings.ndjson\""),
        with(codes::UNREADABLE, "out/readings.ndjson", "\"${file:/run/secrets/path}\""),
        with(
            codes::TOO_MUCH,
            "path: out/readings.ndjson",
            "a: \"${file:/run/big}\", b: \"${file:/run/big}\"",
        ),
        with(codes::NOT_UTF8, "max: 1e12", "unit: <degree>C"),
        with(
            codes::OPEN_PLUGINS,
            "directories: [target/release]",
            "directories: [target/release], trust: { permissions: any }",
        ),
        with(
            codes::OPEN_METRICS,
            "sources:",
            "control: { metrics: \"0.0.0.0:9469\" }\nsources:\n  spare: {}",
        ),
        with(codes::OPEN_SOCKET, "sources:", "control: { mode: 0o666 }\nsources:\n  spare: {}"),
        with(codes::WRONG_TYPE, "inputs: [host]", "inputs: host"),
    ]
}

fn shape_cases() -> Vec<Case> {
    let deep = GOOD.replace("-50", &format!("{}1{}", "[".repeat(100), "]".repeat(100)));
    vec![
        with(codes::BAD_INPUT, "[plausible]", "[plausible.]"),
        with(codes::BAD_KEY, "  host: {", "  [host]: {"),
        with(codes::BAD_NAME, "  host: {", "  host.1: {"),
        with(codes::BAD_PLUGIN, "plugin: range", "plugin: libcardcage_stage_range.so/"),
        with(codes::DUPLICATE_KEY, "min: -50", "max: -50"),
        with(codes::DUPLICATE_NAME, "  archive: {", "  host: {"),
        case(codes::EMPTY_PIPELINE, "version: 1\nsources:\n  host: { plugin: host }\nsinks:\n"),
        with(codes::MISSING_KEY, "plugin: range, ", ""),
        case(
            codes::RECURSIVE_ALIAS,
            "version: 1\nsources:\n  host: { plugin: host, settings: &all { again: *all } }\n",
        ),
        case(codes::SECOND_DOCUMENT, format!("{GOOD}---\nversion: 1\n")),
        case(codes::TOO_LARGE, deep),
        with(codes::UNKNOWN_KEY, "settings: { min", "setting: { min"),
        with(codes::UNKNOWN_VERSION, "version: 1", "version: 2"),
        with(codes::MERGE, "min: -50, max: 1e12", "<<: { min: -50 }, max: 1e12"),
        with(codes::SYNTAX, "out/readings.ndjson", "${OUT_DIR}/readings.ndjson"),
        with(codes::TAG, "min: -50", "min: !!float -50"),
    ]
}

fn wiring_cases() -> Vec<Case> {
    vec![
        with(codes::BAD_DEAD_LETTER, "inputs: [host]", "inputs: [host], dead_letter: host"),
        with(codes::CYCLE, "inputs: [host]", "inputs: [host, smooth]").and("sinks:", SMOOTH),
        with(codes::NO_INPUTS, "inputs: [host], ", "").and("sinks:", TAKES_HOST),
        with(codes::SINK_AS_INPUT, "sinks:", "sinks:\n  screen: { plugin: stdout, inputs: [archive] }"),
        with(codes::SOURCE_WITH_INPUTS, "plugin: host,", "plugin: host, inputs: [plausible],"),
        with(codes::UNKNOWN_INPUT, "inputs: [host]", "inputs: [hots]"),
        with(codes::UNUSED_OUTPUT, "inputs: [plausible]", "inputs: [plausible.dropped]"),
        with(codes::UNKNOWN_PORT, "sinks:", "sinks:\n  bad: { plugin: file, inputs: [plausible.droped] }"),
        Case { descriptions: |_| vec![], ..case(codes::DESCRIPTION_MISSING, GOOD) },
        Case {
            descriptions: |_| vec![Description::source(), Description::stage(), Description::sink()],
            ..with(codes::NOT_REPLAYABLE, "plugin: file,", "plugin: file, delivery: at_least_once,")
        },
        Case {
            descriptions: |_| vec![Description::source(), Description::sink(), Description::sink()],
            ..case(codes::WRONG_KIND, GOOD)
        },
        with(codes::NO_EFFECT, "inputs: [host]", "inputs: [host], buffer: 64MiB"),
        with(codes::UNREACHABLE, "plugin: host,", "plugin: host, dead_letter: spare,")
            .and("sinks:", "sinks:\n  spare: { plugin: file }"),
        Case {
            descriptions: |_| {
                vec![replayable(), Description::stage().does(Capability::Holds), Description::sink()]
            },
            ..with(codes::HELD_WITHOUT_STATE, "plugin: file,", "plugin: file, delivery: at_least_once,")
        },
        Case {
            descriptions: |_| {
                vec![
                    replayable(),
                    Description::stage().does(Capability::Reorders),
                    Description::sink().needs_order(),
                ]
            },
            ..case(codes::OUT_OF_ORDER, GOOD)
        },
    ]
}

fn unit_cases() -> Vec<Case> {
    vec![
        Case {
            descriptions: |_| vec![gives(&["hPa"]), Description::stage(), accepts(&["temperature"], &[])],
            ..case(codes::WRONG_DIMENSION, GOOD)
        },
        Case {
            descriptions: |_| vec![gives(&["degF"]), Description::stage(), accepts(&[], &["degC"])],
            ..case(codes::WRONG_UNIT, GOOD)
        },
        Case {
            descriptions: |_| {
                vec![gives(&["hPa", "Cel"]), Description::stage(), accepts(&["temperature"], &[])]
            },
            ..case(codes::REFUSED_IN_PART, GOOD)
        },
        Case {
            descriptions: |_| vec![gives(&["hPa"]), converts(&["K"]), Description::sink()],
            ..case(codes::NOTHING_TO_CONVERT, GOOD)
        },
    ]
}

fn replayable() -> Description {
    Description::source().does(Capability::Replayable)
}

fn gives(units: &[&str]) -> Description {
    let gives = Some(units.iter().map(|&unit| unit.to_owned()).collect());
    Description::source().units(UnitRules { gives, ..UnitRules::default() })
}

fn converts(units: &[&str]) -> Description {
    let converts_to = units.iter().map(|&unit| unit.to_owned()).collect();
    Description::stage().units(UnitRules { converts_to, ..UnitRules::default() })
}

fn accepts(dimensions: &[&str], units: &[&str]) -> Description {
    let list =
        |names: &[&str]| (!names.is_empty()).then(|| names.iter().map(|&name| name.to_owned()).collect());
    Description::sink().units(UnitRules {
        accepts_dimensions: list(dimensions),
        accepts_units: list(units),
        ..UnitRules::default()
    })
}

const SMOOTH: &str = "  smooth: { plugin: range, inputs: [plausible] }\nsinks:";
const TAKES_HOST: &str = "sinks:\n  screen: { plugin: stdout, inputs: [host] }";

impl Case {
    fn and(mut self, from: &str, to: &str) -> Self {
        assert!(self.text.contains(from), "{from}");
        self.text = self.text.replacen(from, to, 1);
        self
    }

    fn problems(&self) -> Diagnostics {
        // Written so in a case, since a case is a text: the byte that old editors write for a degree sign.
        let bytes: Vec<u8> = self.text.replace("<degree>", "\u{b0}").chars().map(|c| c as u8).collect();
        let parsed = if self.code == codes::NOT_UTF8 { parse_bytes(&bytes) } else { parse(&self.text) };
        match parsed {
            Err(problems) => problems,
            Ok(mut config) => match wiring::wire(&config, &(self.descriptions)(&config)) {
                Err(problems) => problems,
                Ok(wired) => {
                    config.warnings.append(wired.warnings);
                    config.warnings
                }
            },
        }
    }
}

fn cases() -> Vec<Case> {
    [settings_cases(), shape_cases(), wiring_cases(), unit_cases()].into_iter().flatten().collect()
}

#[test]
fn the_pipeline_that_mistakes_are_put_into_has_none() {
    let problems = case(codes::SYNTAX, GOOD).problems();
    assert!(problems.is_empty(), "{problems}");
}

#[test]
fn each_code_reads_well() {
    for case in cases() {
        let problems = case.problems();
        let found: Vec<Code> = problems.iter().map(|problem| problem.code).collect();
        assert!(found.contains(&case.code), "{}: found {found:?}\n{}", case.code, case.text);
        insta::assert_snapshot!(case.code.0, problems.render());
    }
}

/// Whether the core reports it. The others take a plugin, a machine or a run; the tests of the whole program have them.
fn is_core(code: &Code) -> bool {
    let of_the_host = ["plugin.", "run.", "settings.", "ladder."];
    *code != codes::NOT_YET && !of_the_host.iter().any(|group| code.0.starts_with(group))
}

#[test]
fn no_code_is_without_a_case() {
    let tried: BTreeSet<Code> = cases().iter().map(|case| case.code).collect();
    let known: BTreeSet<Code> = codes::ALL.iter().map(|entry| entry.code).filter(is_core).collect();
    assert_eq!(tried, known);
}

#[test]
fn all_problems_come_at_once_in_the_order_of_the_file() {
    let text = GOOD
        .replace("every: 1s }", "every: 1s }, tag: {}")
        .replace("inputs: [host]", "inputs: [hots], buffer: 1")
        .replace("version: 1\n", "");
    let problems = parse(&text).expect_err("has four mistakes");
    let codes: Vec<Code> = problems.iter().map(|problem| problem.code).collect();
    let expected = [codes::MISSING_KEY, codes::UNKNOWN_KEY, codes::UNKNOWN_INPUT, codes::BAD_SIZE];
    assert_eq!(codes, expected, "{problems}");
}

#[test]
fn json_has_code_place_and_help() {
    let problems = with(codes::UNKNOWN_INPUT, "inputs: [host]", "inputs: [hots]").problems();
    let json = serde_json::to_value(&problems).expect("diagnostics serialize");
    let expected = serde_json::json!([{
        "code": "wiring.unknown-input",
        "severity": "error",
        "message": "`plausible` takes input from `hots`, which does not exist",
        "location": { "file": "pipeline.yaml", "line": 6, "column": 40, "end_column": 44 },
        "excerpt": "  plausible: { plugin: range, inputs: [hots], settings: { min: -50, max: 1e12 } }",
        "help": "did you mean `host`?",
    }]);
    assert_eq!(json, expected);
}

#[test]
fn problems_beyond_the_bound_are_counted() {
    let many: Diagnostics = (0..1500).map(|n| Diagnostic::error(codes::BAD_VALUE, format!("{n}"))).collect();
    assert_eq!(many.len(), 1000);
    assert_eq!(many.count(Severity::Error), 1500);
    assert!(many.render().ends_with("... and 500 more\n"));
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let location = Location { file: "a\u{1b}[2J.yaml".to_owned(), line: 1, column: 1, end_column: 2 };
    let mut problems: Diagnostics =
        Diagnostic::error(codes::BAD_VALUE, "\u{1b}]0;x\u{7}").at(location).into();
    problems.quote("a\u{1b}[2J.yaml", "\u{1b}[31mred\u{9b}");
    let text = problems.render();
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
}

#[test]
fn a_long_line_is_cut_around_the_problem() {
    let line = format!("{}: {}", "k".repeat(300), "v".repeat(300));
    let location = Location { file: "f".to_owned(), line: 1, column: 303, end_column: 603 };
    let mut problems: Diagnostics = Diagnostic::error(codes::BAD_VALUE, "too long").at(location).into();
    problems.quote("f", &line);
    insta::assert_snapshot!("a-long-line", problems.render());
}
