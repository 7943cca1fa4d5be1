//! Good configs: what was written is what comes out.

use crate::pipeline::{FILE, good, parse};
use cardcage_core::codes;
use cardcage_core::config::keys::{TABLES, Table};
use cardcage_core::config::{AuditDetail, AuditSync, Delivery, LogFormat, OnBadConfig, OnFailure};
use serde_json::json;
use std::time::Duration;

const SMALL: &str = "
version: 1
sources:
  host: { plugin: host }
sinks:
  archive: { plugin: file, inputs: [host] }
";

#[test]
fn what_is_not_written_has_its_documented_default() {
    let config = good(SMALL);
    assert_eq!(config.file, FILE);
    assert_eq!(config.state_directory, ".cardcage");
    assert_eq!(config.plugins.directories, Vec::<String>::new());
    assert_eq!((config.limits.sensors, config.limits.units), (1_000_000, 4096));
    assert_eq!((config.limits.retired_generations, config.limits.memory), (64, None));
    assert_eq!(config.control.mode, 0o600);
    assert_eq!((config.log.level.as_str(), config.log.format), ("info", LogFormat::Auto));
    assert_eq!(config.checkpoint_every, Duration::from_secs(1));
    assert_eq!(config.on_bad_config, OnBadConfig::Refuse);
    let archive = config.component("archive").expect("is written");
    assert_eq!(archive.settings, json!({}));
    assert_eq!(archive.buffer_bytes, 16 * 4096 * 24);
    assert_eq!(archive.delivery, Delivery::BestEffort);
    assert_eq!((archive.restarts.count, archive.restarts.window), (5, Duration::from_mins(1)));
    assert_eq!(archive.deadline, Duration::from_secs(10));
    assert_eq!(archive.on_failure, OnFailure::Isolate);
    assert_eq!((archive.batch.records, archive.batch.linger), (4096, Duration::from_millis(20)));
    assert!(config.warnings.is_empty());
}

#[test]
fn every_key_is_taken() {
    let config = good(
        "
version: 1
plugins: { directories: [a, b], trust: { sha256: ['00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff'] } }
state_directory: /var/lib/cardcage
limits: { sensors: 5, units: 6, retired_generations: 0, memory: 1GiB }
control: { socket: s.sock, mode: 0660, group: wheel }
log: { level: debug, format: json }
audit: { detail: batch, max_entries_per_second: 9, rotate: { size: 1MiB, every: 12h }, keep: 2, sync: block }
checkpoint: { every: 250ms }
on_bad_config: last_good
sources:
  host:
    plugin: host/cpu@1.2.0-rc.1
    batch: { records: 100, linger: 0s }
sinks:
  spare: { plugin: file }
  archive:
    plugin: file
    inputs: [host]
    tags: { line: 007, site: Lindau }
    buffer: 2400B
    batch: { records: 100 }
    delivery: at_least_once
    dead_letter: spare
    restarts: { count: 0, window: 1h }
    deadline: 1.5s
    on_failure: stop
",
    );
    assert_eq!(config.plugins.directories, ["a", "b"]);
    assert!(config.plugins.trust.sha256[0].ends_with("aabbccddeeff"), "lower case");
    assert_eq!(config.state_directory, "/var/lib/cardcage");
    assert_eq!(config.limits.memory, Some(1 << 30));
    assert_eq!(config.control.mode, 0o660);
    assert_eq!(config.control.group.as_deref(), Some("wheel"));
    assert_eq!((config.log.level.as_str(), config.log.format), ("debug", LogFormat::Json));
    assert_eq!((config.audit.detail, config.audit.rotate_bytes), (AuditDetail::Batch, 1 << 20));
    assert_eq!((config.audit.rotate_every, config.audit.sync), (Duration::from_hours(12), AuditSync::Block));
    assert_eq!((config.audit.max_entries_per_second, config.audit.keep), (9, 2));
    assert_eq!(config.checkpoint_every, Duration::from_millis(250));
    assert_eq!(config.on_bad_config, OnBadConfig::LastGood);
    let host = &config.components[0];
    assert_eq!(host.plugin.to_string(), "host/cpu@1.2.0-rc.1");
    assert_eq!((host.batch.records, host.batch.linger), (100, Duration::ZERO));
    let archive = config.component("archive").expect("is written");
    assert_eq!(archive.tags["line"], "007", "as written, no number");
    assert_eq!((archive.buffer_bytes, archive.delivery), (2400, Delivery::AtLeastOnce));
    assert_eq!(archive.dead_letter.as_ref().map(|(name, _)| name.as_str()), Some("spare"));
    assert_eq!((archive.restarts.count, archive.restarts.window), (0, Duration::from_hours(1)));
    assert_eq!((archive.deadline, archive.on_failure), (Duration::from_millis(1500), OnFailure::Stop));
}

#[test]
fn components_come_as_sources_stages_sinks_each_in_the_order_of_the_file() {
    let config = good(
        "
version: 1
sinks: { z: { plugin: p, inputs: [m] }, a: { plugin: p, inputs: [m.x, b] } }
stages: { m: { plugin: p, inputs: [y, b] } }
sources: { y: { plugin: p }, b: { plugin: p } }
",
    );
    let names: Vec<&str> = config.components.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["y", "b", "m", "z", "a"]);
    let ports: Vec<Option<&str>> = config.components[4].inputs.iter().map(|i| i.port.as_deref()).collect();
    assert_eq!(ports, [Some("x"), None]);
}

#[test]
fn settings_have_the_types_and_places_that_were_written() {
    let config = good(&SMALL.replace(
        "plugin: host }",
        "plugin: host, settings: { n: 3, f: 1e3, big: 18446744073709551615, t: '3', yes: true, off: off, none: ~, \
         list: [1, { deep: x }] } }",
    ));
    let host = &config.components[0];
    let expected = json!({
        "n": 3, "f": 1000.0, "big": 18_446_744_073_709_551_615_u64, "t": "3", "yes": true, "off": "off", "none": null,
        "list": [1, { "deep": "x" }],
    });
    assert_eq!(host.settings, expected);
    let place = |setting: &str| {
        let location = host.setting_location(setting);
        let line = config.text.lines().nth(location.line as usize - 1).expect("is in the text");
        let chars = line.chars().skip(location.column as usize - 1);
        chars.take((location.end_column - location.column) as usize).collect::<String>()
    };
    assert_eq!(place("n"), "3");
    assert_eq!(place("t"), "'3'");
    assert_eq!(place("list"), "[1, { deep: x }]");
    assert_eq!(place("list.1.deep"), "x");
    assert_eq!(place("list.1.absent"), "{ deep: x }", "the nearest thing that is there");
    assert_eq!(place("absent"), "settings");
    let key = |setting: &str| host.setting_key_location(setting);
    assert_eq!(key("t").column + 3, host.setting_location("t").column, "the key `t` stands before its value");
    assert_eq!((key("big").end_column - key("big").column, key("absent")), (3, host.setting_location("")));
    assert_eq!(host.key_location("plugin").column, 19);
    assert_eq!(config.components[1].setting_location("path"), &config.components[1].location);
}

#[test]
fn substitution_works_in_parsed_scalars_and_is_typed_afterwards() {
    let config = good(&SMALL.replace(
        "plugin: host }",
        "plugin: host, deadline: \"${EVERY}\", settings: { n: \"${SEVEN}\", room: \"in ${ROOM}!\", \
         path: \"${NOWHERE:-out}/x\", empty: \"${EMPTY:-full}\", literal: \"$${ROOM}\", dollar: 5$, \
         once: \"${NESTED}\", injected: \"${INJECTED}\", none: \"${EMPTY}\" } }",
    ));
    let host = &config.components[0];
    assert_eq!(host.deadline, Duration::from_millis(250));
    let expected = json!({
        "n": 7, "room": "in lab!", "path": "out/x", "empty": "full", "literal": "${ROOM}", "dollar": "5$",
        "once": "${ROOM}", "injected": "a\nsinks: {}", "none": null,
    });
    assert_eq!(host.settings, expected);
    assert_eq!(config.components.len(), 2, "a value adds no keys");
}

#[test]
fn the_text_of_what_was_substituted_is_kept_for_schemas_that_want_text() {
    let config = good(&SMALL.replace(
        "plugin: host }",
        "plugin: host, settings: { pins: [\"${file:/run/pin}\"], n: \"${SEVEN}\", plain: 8 } }",
    ));
    let texts: Vec<(&str, &str)> = config.components[0]
        .substituted
        .iter()
        .map(|(setting, substituted)| (setting.as_str(), substituted.text.as_str()))
        .collect();
    assert_eq!(texts, [("n", "7"), ("pins.0", "0123")]);
}

#[test]
fn secrets_show_neither_in_debug_nor_in_shown_settings_nor_in_errors() {
    let written =
        "plugin: host, settings: { token: \"${credential:token}\", list: [\"x ${credential:token}\"] } }";
    let config = good(&SMALL.replace("plugin: host }", written));
    let host = &config.components[0];
    assert_eq!(host.settings, json!({ "token": "hunter2", "list": ["x hunter2"] }));
    let shown = json!({ "token": "${credential:token}", "list": ["x ${credential:token}"] });
    assert_eq!(host.shown_settings(), shown);
    assert!(!format!("{config:?}").contains("hunter2"));
    let keys = TABLES.iter().filter(|table| table.path == "*").flat_map(|table| table.keys);
    for (key, before) in keys.flat_map(|key| ["a b ", "5 "].map(|before| (key.name, before))) {
        let spoilt = format!("\"{key}\": \"{before}${{credential:token}}\",");
        let problems =
            parse(&SMALL.replace("plugin: file,", &spoilt)).expect_err("a secret is no value for it");
        assert!(!problems.render().contains("hunter2"), "{problems}");
    }
}

/// The text of a config in which the key has a value that nothing takes.
fn spoilt(table: &Table, key: &str) -> String {
    let value = "{ ? [a] : b }";
    let component = match table.path {
        "*" => format!("{key}: {value}"),
        path => match path.strip_prefix("*.") {
            Some(path) => format!("{path}: {{ {key}: {value} }}"),
            None => String::new(),
        },
    };
    let top = match table.path {
        "" => format!("{key}: {value}\n"),
        path if path.starts_with('*') => String::new(),
        "plugins.trust" => format!("plugins: {{ trust: {{ {key}: {value} }} }}\n"),
        "audit.rotate" => format!("audit: {{ rotate: {{ {key}: {value} }} }}\n"),
        path => format!("{path}: {{ {key}: {value} }}\n"),
    };
    format!("{top}sources:\n  host: {{ {component} }}\n")
}

#[test]
fn no_key_in_the_tables_goes_unread() {
    for table in &TABLES {
        for key in table.keys {
            // The value as a whole is wrong, whatever is wrong inside: some problem beside the bad key inside it
            // must come from whoever reads the key. Free mappings take any key.
            if matches!(key.name, "settings" | "tags") {
                continue;
            }
            let text = spoilt(table, key.name).replace("{ ? [a] : b }", "[[nonsense]]");
            let problems = parse(&text).expect_err("is nonsense");
            let line = text.lines().position(|line| line.contains("nonsense")).expect("is there") + 1;
            let column = text.lines().nth(line - 1).and_then(|text| text.find("[[")).expect("is there") + 1;
            let found = problems.iter().filter_map(|problem| problem.location.as_ref()).any(|location| {
                location.line as usize == line && (column..=column + 1).contains(&(location.column as usize))
            });
            assert!(found, "`{}` in `{}`:\n{problems}", key.name, table.path);
        }
    }
}

#[test]
fn tags_and_settings_must_be_mappings() {
    for key in ["tags", "settings"] {
        let problems = parse(&SMALL.replace("plugin: host }", &format!("plugin: host, {key}: [a] }}")));
        let problems = problems.expect_err("a list");
        assert_eq!(problems.iter().next().map(|p| p.code), Some(codes::WRONG_TYPE), "{problems}");
    }
}

#[test]
fn numbers_outside_their_bounds_are_refused() {
    for written in [
        "batch: { records: 0 }",
        "batch: { records: 65537 }",
        "batch: { records: 1.5 }",
        "batch: { linger: 2m }",
        "buffer: 95KiB",
        "buffer: 1TiB",
        "deadline: 1ms",
        "deadline: 2d",
        "restarts: { count: 1000001 }",
        "restarts: { window: 1ms }",
    ] {
        let text = SMALL.replace("plugin: file,", &format!("plugin: file, {written},"));
        let problems = parse(&text).expect_err(written);
        assert!(problems.iter().all(|p| p.code == codes::BAD_VALUE), "{problems}");
        assert_eq!(problems.len(), 1, "{problems}");
    }
}

#[test]
fn an_empty_file_says_what_a_pipeline_needs() {
    for text in ["", "\n# nothing\n", "---\n", "~"] {
        let problems = parse(text).expect_err("is empty");
        let codes: Vec<_> = problems.iter().map(|problem| problem.code).collect();
        assert_eq!(codes, [codes::MISSING_KEY, codes::EMPTY_PIPELINE], "{text:?}: {problems}");
    }
}
