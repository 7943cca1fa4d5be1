//! `cardcage schema` in the YAML engine of VS Code: what it completes, and what it marks.

#![forbid(unsafe_code)]

mod client;

use client::{Client, Mark};
use e2e::{Pipeline, plugin, workspace};
use std::fs;
use std::path::PathBuf;

const HEAD: &str = "# yaml-language-server: $schema=pipeline.schema.json\n";

const GOOD: &str = "\
version: 1
sources:
  host: { plugin: host, settings: { every: 1s } }
stages:
  plausible:
    plugin: range
    inputs: [host]
    settings: { min: -50, max: 1e12 }
sinks:
  archive: { plugin: file, inputs: [plausible], settings: { path: out/readings.ndjson } }
";

/// An editor in a folder with a pipeline and its schema.
struct Editor {
    client: Client,
    pipeline: Pipeline,
}

impl Editor {
    fn start() -> Option<Self> {
        let client = Client::start()?;
        let pipeline = Pipeline::new(GOOD, &[]);
        for name in
            ["source_host", "source_file", "stage_range", "stage_convert", "sink_file", "sink_blackhole"]
        {
            pipeline.add(plugin(name));
        }
        let schema = pipeline.run(&["schema", "pipeline.yaml"]).expect(0).stdout;
        fs::write(pipeline.path("pipeline.schema.json"), schema).expect("can be written");
        Some(Self { client, pipeline })
    }

    fn marks(&mut self, text: &str) -> Vec<Mark> {
        self.client.open(self.pipeline.folder(), &format!("{HEAD}{text}"))
    }

    #[track_caller]
    fn marks_of_mistake(&mut self, from: &str, to: &str) -> Vec<Mark> {
        assert!(GOOD.contains(from), "{from}");
        self.marks(&GOOD.replacen(from, to, 1))
    }

    fn offers(&mut self, text: &str) -> Vec<String> {
        self.client.complete(self.pipeline.folder(), &format!("{HEAD}{text}"))
    }
}

fn has(offered: &[String], wanted: &[&str]) {
    for name in wanted {
        assert!(offered.iter().any(|offer| offer == name), "`{name}` is not offered, but {offered:?}");
    }
}

#[test]
fn keys_plugins_settings_and_words_are_completed() {
    let Some(mut editor) = Editor::start() else { return };
    has(&editor.offers(&format!("{GOOD}█")), &["limits", "log", "checkpoint", "state_directory", "plugins"]);
    has(&editor.offers(&format!("{GOOD}log:\n  level: █")), &["info", "error", "warn", "debug", "trace"]);
    let sink = |inside: &str| format!("{GOOD}  second:\n{inside}");
    has(&editor.offers(&sink("    █\n")), &["plugin", "inputs", "settings", "tags", "dead_letter", "file"]);
    let plugins = editor.offers(&sink("    plugin: █\n"));
    assert_eq!(plugins, ["blackhole", "file"], "sinks only");
    let settings = editor.offers(&sink("    plugin: file\n    settings:\n      █\n"));
    has(&settings, &["path", "format", "sync"]);
    assert!(!settings.contains(&"min".to_owned()), "{settings:?}");
    has(
        &editor.offers(&sink("    plugin: file/file@0.1.0\n    settings:\n      sync: █\n")),
        &["commit", "interval", "never"],
    );
    let nested = GOOD
        .replace("stages:", "  reader:\n    plugin: file\n    settings:\n      fields:\n        █\nstages:");
    has(&editor.offers(&nested), &["sensor", "timestamp", "value", "unit", "quality", "tags"]);
}

#[test]
fn mistakes_are_marked_where_they_are() {
    let Some(mut editor) = Editor::start() else { return };
    // Lines count from the line that names the schema.
    let cases = [
        ("plugin: range", "plugn: range", 7, "plugn", "not allowed"),
        ("plugin: range", "plugin: rnage", 7, "rnage", "\"range\""),
        ("min: -50", "mni: -50", 9, "mni", "not allowed"),
        ("min: -50", "min: low", 9, "low", "number"),
        ("max: 1e12", "on_violation: dorp", 9, "dorp", "\"drop\", \"flag\""),
        ("every: 1s", "every: 5 sec", 4, "5 sec", "like 250ms"),
        ("inputs: [host]", "inputs: [host]\n    delivery: always", 9, "always", "\"at_least_once\""),
        ("inputs: [host]", "inputs: host", 8, "host", "array"),
        ("inputs: [host]", "inputs: [host]\n    deadline: 5", 9, "5", "a duration, 10ms to 1d"),
        ("inputs: [host]", "inputs: [host]\n    batch: { record: 5 }", 9, "record", "not allowed"),
        ("inputs: [host]", "inputs: [host]\n    batch: { records: 0 }", 9, "0", "minimum of 1"),
        (", settings: { path: out/readings.ndjson }", "", 11, "archive", "\"settings\""),
        ("path: out/readings.ndjson", "", 11, "settings", "\"path\""),
        ("version: 1", "version: 2", 2, "2", "must be 1"),
        ("sinks:", "sinks:\n  a.b: { plugin: blackhole }", 11, "a.b", "begins with a letter"),
    ];
    for (from, to, line, text, message) in cases {
        let marks = editor.marks_of_mistake(from, to);
        let found =
            marks.iter().any(|mark| mark.line == line && mark.text == text && mark.message.contains(message));
        assert!(found, "{to}: expected `{text}` in line {line} ({message}), found {marks:#?}");
    }
}

#[test]
fn what_is_right_is_not_marked() {
    let Some(mut editor) = Editor::start() else { return };
    assert_eq!(editor.marks(GOOD), []);
    let outside = "\
version: ${V:-1}
limits: { sensors: \"${SENSORS}\", memory: \"${MEMORY:-1GiB}\" }
log: { level: \"${LEVEL:-info}\" }
checkpoint: { every: \"${EVERY}\" }
sources:
  in: { plugin: \"${PLUGIN}\", settings: { every: 3, anything: \"${X}\" } }
  host: { plugin: host, settings: { every: \"${EVERY}\", groups: [\"${GROUP}\"] }, tags: { line: 007, on: true } }
stages:
sinks:
  archive: { plugin: file, inputs: [host, in], settings: { path: \"${DIR}/x\", sync: \"${SYNC}\" }, buffer: \"${B}\" }
";
    assert_eq!(editor.marks(outside), [], "what comes from outside may be anything");
}

/// The default pipeline and every example, with the schema that is in the tree.
#[test]
fn the_pipelines_in_the_tree_are_right_and_a_mistake_in_them_is_not() {
    let Some(mut client) = Client::start() else { return };
    let folders = fs::read_dir(workspace().join("docs/examples")).expect("there are examples").flatten();
    let mut files: Vec<PathBuf> = folders.map(|entry| entry.path().join("pipeline.yaml")).collect();
    files.retain(|file| file.exists());
    assert!(files.len() >= 6, "{files:?}");
    files.push(workspace().join("pipeline.yaml"));
    for file in files {
        let text = fs::read_to_string(&file).expect("is text");
        assert!(text.contains("# yaml-language-server: $schema="), "{} names no schema", file.display());
        let folder = file.parent().expect("is in a folder");
        assert_eq!(client.open(folder, &text), [], "{}", file.display());
        // The line that names the schema leads to one.
        let marks = client.open(folder, &format!("{text}\nnobody: 1\n"));
        assert!(marks.iter().any(|mark| mark.text == "nobody"), "{}: {marks:?}", file.display());
    }
}
