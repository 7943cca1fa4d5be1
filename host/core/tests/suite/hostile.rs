//! Configs that are damaged or meant to do harm: a clear error each, in bounded memory, and never a panic.
//!
//! That they also end soon is not timed here: a case whose cost grew with more than its size would not end at all.

use crate::pipeline::{parse, parse_bytes};
use cardcage_core::codes;
use cardcage_core::diagnostic::{Code, DIAGNOSTICS_MAX, Diagnostics};
use std::fmt::Write as _;

const GOOD: &str = "\
version: 1
sources:
  host: { plugin: host, settings: { every: 1s } }
sinks:
  out: { plugin: stdout, inputs: [host] }
";

fn with(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replacen(from, to, 1)
}

fn refused(text: &str) -> Diagnostics {
    let problems = parse(text).expect_err("is refused");
    assert!(problems.len() <= DIAGNOSTICS_MAX);
    // A rendering that grew with the file would fill the log.
    assert!(problems.render().len() < 4 << 20, "{} bytes are rendered", problems.render().len());
    problems
}

fn codes_of(problems: &Diagnostics) -> Vec<Code> {
    problems.iter().map(|problem| problem.code).collect()
}

fn first(problems: &Diagnostics) -> (Code, u32, u32) {
    let problem = problems.iter().next().expect("has problems");
    let place = problem.location.as_ref().map_or((0, 0), |place| (place.line, place.column));
    (problem.code, place.0, place.1)
}

#[test]
fn line_ends_of_other_systems_and_a_byte_order_mark_change_nothing() {
    for text in [GOOD.replace('\n', "\r\n"), format!("\u{feff}{GOOD}"), GOOD.trim_end().to_owned()] {
        assert!(parse_bytes(text.as_bytes()).is_ok(), "{text:?}");
    }
    let problems = refused(
        &with("every", "evry: 1, every").replace('\n', "\r\n").replace("plugin: host,", "plugn: host,"),
    );
    assert_eq!(first(&problems), (codes::UNKNOWN_KEY, 3, 11), "{problems}");
}

#[test]
fn bytes_that_are_no_text_are_named_with_their_place() {
    let latin: Vec<u8> = with("1s", "1s, where: K\u{fc}che").chars().map(|c| c as u8).collect();
    let problems = parse_bytes(&latin).expect_err("is refused");
    assert_eq!(first(&problems), (codes::NOT_UTF8, 3, 56), "{problems}");
    let utf16: Vec<u8> =
        std::iter::once(0xfeff).chain(GOOD.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let problems = parse_bytes(&utf16).expect_err("is refused");
    assert!(problems.render().contains("UTF-16"), "{problems}");
    let all: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    parse_bytes(&all).expect_err("is refused");
}

#[test]
fn a_nul_and_a_tab_say_what_they_are() {
    let problems = refused(&with("1s", "1\0s"));
    assert_eq!(codes_of(&problems), [codes::SYNTAX]);
    assert!(problems.render().contains("NUL byte"), "{problems}");
    let problems = refused(&with("  host", "\thost"));
    assert!(problems.render().contains("indent with spaces"), "{problems}");
}

#[test]
fn duplicate_keys_are_reported_at_every_level_and_all_at_once() {
    let text = "\
version: 1
sources:
  host: { plugin: host, plugin: host, settings: { every: 1s, every: 2s, deep: { a: 1, a: 2 } } }
  host: { plugin: host }
sinks:
  out: { plugin: stdout, inputs: [host], restarts: { count: 1, count: 2 } }
version: 1
";
    let problems = refused(text);
    assert_eq!(codes_of(&problems), [codes::DUPLICATE_KEY; 6], "{problems}");
    assert!(problems.iter().all(|problem| problem.related.len() == 1), "both places are shown");
}

#[test]
fn what_is_too_deep_too_large_or_too_many_is_refused() {
    let deep_flow = format!("version: 1\nx: {}{}", "[".repeat(10_000), "]".repeat(10_000));
    let deep_maps = format!("version: 1\nx: {}", "{a: ".repeat(10_000));
    let deep_block = (0..10_000).fold(String::from("version: 1\n"), |mut text, depth| {
        let _ = writeln!(text, "{:depth$}a:", "");
        text
    });
    let long_line = format!("version: 1\nx: {}", "a".repeat(11 << 20));
    let many = (0..100_000).fold(String::from("version: 1\nsources:\n"), |mut text, n| {
        let _ = writeln!(text, "  s{n}: {{ plugin: host }}");
        text
    });
    for text in [deep_flow, deep_maps, deep_block, long_line, many] {
        assert_eq!(codes_of(&refused(&text)), [codes::TOO_LARGE]);
    }
}

#[test]
fn more_components_than_any_machine_runs_are_refused() {
    let text = (0..5000).fold(String::from("version: 1\nsources:\n"), |mut text, n| {
        let _ = writeln!(text, "  s{n}: {{ plugin: host }}");
        text
    });
    let problems = refused(&format!("{text}sinks:\n  out: {{ plugin: stdout, inputs: [s1] }}\n"));
    assert_eq!(codes_of(&problems), [codes::BAD_VALUE], "{problems}");
    assert!(problems.render().contains("at most 4096"), "{problems}");
}

#[test]
fn a_line_of_ten_megabytes_with_a_thousand_problems_is_not_quoted_a_thousand_times() {
    let keys: Vec<String> = (0..2000).map(|n| format!("k{n}: {}", "x".repeat(5000))).collect();
    let problems = refused(&format!("{{version: 1, {}}}", keys.join(", ")));
    assert!(problems.count(cardcage_core::diagnostic::Severity::Error) > 2000);
}

#[test]
fn numbers_beyond_every_type_are_named() {
    let text = with(
        "plugin: stdout,",
        "plugin: stdout, buffer: 99999999999999999999TiB, deadline: .nan, batch: { records: -1, linger: 1e999 }, \
         restarts: { count: 18446744073709551616 }, settings: { a: .nan, b: .inf, c: 1e999 },",
    );
    let problems = refused(&text);
    let expected = [
        codes::BAD_SIZE,
        codes::BAD_DURATION,
        codes::BAD_VALUE,
        codes::BAD_DURATION,
        codes::BAD_VALUE,
        codes::BAD_VALUE,
        codes::BAD_VALUE,
    ];
    // `c` is text to YAML: whoever wanted a number there says so.
    assert_eq!(codes_of(&problems), expected, "{problems}");
}

#[test]
fn circles_of_every_length_are_shown_once() {
    for length in (1..40).chain([500, 4000]) {
        let mut text = String::from("version: 1\nsources:\n  s: { plugin: host }\nstages:\n");
        for n in 0..length {
            let _ = writeln!(text, "  t{n}: {{ plugin: range, inputs: [t{}] }}", (n + 1) % length);
        }
        text.push_str("sinks:\n  o: { plugin: stdout, inputs: [s] }\n");
        assert_eq!(codes_of(&refused(&text)), [codes::CYCLE], "{length}");
    }
}

#[test]
fn a_misspelt_key_is_one_problem_and_not_what_follows_from_its_absence() {
    let cases = [
        ("version", "verison"),
        ("sources", "sorces"),
        ("sinks", "sink"),
        ("plugin: stdout", "pluign: stdout"),
        ("inputs", "inptus"),
        ("settings", "setings"),
    ];
    for (from, to) in cases {
        let problems = refused(&with(from, to));
        assert_eq!(codes_of(&problems), [codes::UNKNOWN_KEY], "{problems}");
        let help = problems.iter().next().and_then(|problem| problem.help.as_deref());
        let key = from.split(':').next().unwrap_or(from);
        assert_eq!(help, Some(format!("did you mean `{key}`?").as_str()));
    }
}

#[test]
fn a_credential_never_becomes_a_name_that_is_shown() {
    let spots = [
        ("plugin: stdout", "plugin: \"${credential:token}\""),
        ("[host]", "[\"${credential:token}\"]"),
        ("[host]", "\"${credential:token}1\""),
        ("[host]", "[host], dead_letter: \"${credential:token}\""),
        ("[host]", "[host], tags: { site: \"${credential:token}\" }"),
        ("sources:", "state_directory: \"${credential:token}\"\nsources:"),
        ("sources:", "plugins: { directories: [\"${credential:token}\"] }\nsources:"),
        ("sources:", "log: { level: \"${credential:token}\" }\nsources:"),
        ("sources:", "version: \"${credential:token}\"\nsources:"),
    ];
    for (from, to) in spots {
        let problems = refused(&with(from, to));
        assert!(!problems.render().contains("hunter2"), "{problems}");
        assert!(problems.render().contains("${credential:token}"), "{problems}");
    }
}
