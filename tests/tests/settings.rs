//! Settings that do not fit (rung 10), as people meet them in `check`; and settings as `plugin inspect` shows them.

#![forbid(unsafe_code)]

use e2e::Pipeline;

const YAML: &str = "\
version: 1
sources:
  readings:
    plugin: file
    settings:
      path: 7
      fields: { sensr: name, value: val }
      timestamp: iso
      max_line: big
  numbers:
    plugin: generate
    settings: { rate: 0, sensors: 0, count: 18446744073709551616, waveform: sinus, seed: 1.5 }
stages:
  plausible:
    plugin: range
    inputs: [readings, numbers]
    settings: { min: '-5', mx: 3, on_violation: [drop] }
sinks:
  archive: { plugin: file, inputs: [plausible] }
";

#[test]
fn settings_that_do_not_fit_are_marked_at_the_key_or_the_value() {
    let pipeline = Pipeline::new(YAML, &["source_file", "source_generate", "stage_range", "sink_file"]);
    let refused = pipeline.run(&["check", "pipeline.yaml"]).expect(78);
    insta::assert_snapshot!("misfits", refused.stderr);
}

#[test]
fn numbers_that_are_none_are_refused_at_their_place() {
    let yaml = "version: 1\nsources: { numbers: { plugin: generate } }\nstages:\n  low:\n    plugin: range\n    \
                inputs: [numbers]\n    settings: { min: .nan, max: .inf }\nsinks:\n  out: { plugin: blackhole, inputs: [low] }\n";
    let pipeline = Pipeline::new(yaml, &["source_generate", "stage_range", "sink_blackhole"]);
    let problems = pipeline.run(&["check", "--format", "json"]).expect(78).json();
    let places: Vec<(u64, u64)> = problems["problems"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|problem| {
            let at = |part: &str| problem["location"][part].as_u64().expect("a place");
            (at("line"), at("column"))
        })
        .collect();
    // The line that names the folder of plugins stands before them.
    assert_eq!(places[..2], [(8, 22), (8, 33)], "{problems:#}");
}

#[test]
fn what_came_from_outside_is_not_shown() {
    let yaml = "version: 1\nsources:\n  numbers:\n    plugin: generate\n    settings:\n      rate: ${SECRET}\n      \
                waveform: ${SECRET}\n      unit: ${SECRET}\nsinks:\n  out: { plugin: blackhole, inputs: [numbers] }\n";
    let pipeline = Pipeline::new(yaml, &["source_generate", "sink_blackhole"]);
    for format in ["text", "json"] {
        let mut command = pipeline.command(&["check", "--format", format]);
        let output = command.env("SECRET", "hunter2").output().expect("the program can be started");
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(said.contains("what `${SECRET}` stands for"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn inspect_shows_settings_as_a_table_that_fits_the_page() {
    let pipeline = Pipeline::new("", &["source_file", "stage_range", "stage_convert"]);
    for (plugin, least) in [("file", 14), ("range", 3), ("convert", 2)] {
        let shown = pipeline.run(&["plugin", "inspect", plugin, "--directory", "plugins"]).expect(0).stdout;
        let about = shown.lines().skip_while(|line| line.trim() != "settings").skip(1);
        assert!(about.count() >= least, "{shown}");
        assert!(shown.lines().all(|line| line.chars().count() <= 100), "{shown}");
        // Without the file's place and the program's version.
        let of_type = shown.split_once("\n\n").map_or("", |(_, rest)| rest);
        insta::assert_snapshot!(format!("inspect-{plugin}"), of_type);
    }
}
