//! Several plugins and several versions in one folder, and what a pipeline gets of them.

#![forbid(unsafe_code)]

use e2e::{Pipeline, library, plugin};
use std::fmt::Write as _;

/// `count` -> `odd` (a stage of the test's choice) -> a file of lines.
fn counted(stage: &str) -> String {
    format!(
        "version: 1
sources:
  numbers: {{ plugin: exercise/count, settings: {{ count: 10 }} }}
stages:
  odd: {{ {stage}, inputs: [numbers] }}
sinks:
  lines: {{ plugin: exercise/lines, inputs: [odd], settings: {{ path: lines.txt }} }}
"
    )
}

#[test]
fn the_highest_version_wins_and_any_can_be_asked_for() {
    let pipeline = Pipeline::new(&counted("plugin: versioned"), &[]);
    for name in ["exercise", "versioned_1", "versioned_2"] {
        pipeline.add(library(name));
    }
    // 1.10.0 is above 1.9.0: versions are numbers, not text.
    let shown = pipeline.run(&["plugin", "inspect", "versioned", "--directory", "plugins"]).expect(0);
    assert!(shown.stdout.starts_with("versioned 1.10.0"), "{}", shown.stdout);
    // The second version turns signs.
    let third_line = || {
        pipeline.run(&["run"]).expect(0);
        let text = std::fs::read_to_string(pipeline.path("lines.txt")).unwrap();
        std::fs::remove_file(pipeline.path("lines.txt")).unwrap();
        text.lines().nth(2).unwrap().to_owned()
    };
    assert_eq!(third_line(), "-2");
    pipeline.write_yaml(&counted("plugin: versioned@1.9.0"));
    assert_eq!(third_line(), "2");
    pipeline.write_yaml(&counted("plugin: versioned@1.9.1"));
    let refused = pipeline.run(&["check"]).expect(78);
    assert!(
        refused.stderr.contains("1.9.0, 1.10.0") || refused.stdout.contains("1.9.0, 1.10.0"),
        "{refused:?}"
    );
}

#[test]
fn two_files_that_are_the_same_version_and_differ_are_both_refused() {
    let pipeline = Pipeline::new(&counted("plugin: versioned"), &[]);
    for name in ["exercise", "versioned_1", "versioned_2", "versioned_2_again"] {
        pipeline.add(library(name));
    }
    let listed = pipeline.run(&["plugin", "list", "plugins", "--format", "json"]).expect(0).json();
    let refused: Vec<&str> = listed["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|refusal| refusal["code"].as_str().unwrap())
        .collect();
    assert_eq!(refused, ["ladder.manifest.conflict"; 2]);
    // What is left of that name is the version that there is no doubt about.
    let shown = pipeline.run(&["plugin", "inspect", "versioned", "--directory", "plugins"]).expect(0);
    assert!(shown.stdout.starts_with("versioned 1.9.0"), "{}", shown.stdout);
}

#[test]
fn of_a_folder_with_too_many_libraries_the_first_by_name_are_taken_and_the_rest_is_told_of() {
    let pipeline = Pipeline::new("version: 1", &[]);
    let text = pipeline.path("garbage");
    std::fs::write(&text, "garbage ".repeat(20)).unwrap();
    for n in 0..4_097 {
        std::fs::hard_link(&text, pipeline.path(&format!("plugins/libz{n:04}.so"))).unwrap();
    }
    std::fs::copy(plugin("stage_range"), pipeline.path("plugins/liba.so")).unwrap();
    let listed = pipeline.run(&["plugin", "list", "plugins", "--format", "json"]).expect(0).json();
    assert_eq!(listed["plugins"][0]["name"], "range");
    let refused = listed["refused"].as_array().unwrap();
    let told = refused.iter().find(|refusal| refusal["code"] == "ladder.file.too-many").expect("it is told");
    assert_eq!(told["found"], "4098 libraries; the 2 behind libz4094.so were not looked at");
}

#[test]
fn the_same_library_twice_is_one_plugin() {
    let pipeline = Pipeline::new("version: 1", &["stage_range"]);
    std::fs::copy(plugin("stage_range"), pipeline.path("plugins/libcopy.so")).unwrap();
    let listed = pipeline.run(&["plugin", "list", "plugins", "--format", "json"]).expect(0).json();
    assert_eq!(listed["plugins"].as_array().unwrap().len(), 1);
    assert_eq!(listed["refused"].as_array().unwrap().len(), 0);
}

#[test]
fn an_unknown_plugin_is_named_with_the_nearest_one() {
    let pipeline = Pipeline::new(&counted("plugin: rnage"), &["stage_range"]);
    pipeline.add(library("exercise"));
    let refused = pipeline.run(&["check"]).expect(78);
    let said = refused.stdout + &refused.stderr;
    assert!(said.contains("there is no plugin `rnage`"), "{said}");
    assert!(said.contains("did you mean `range`?"), "{said}");
}

#[test]
fn a_plugin_whose_file_is_garbage_is_said_to_be_that_file() {
    let pipeline = Pipeline::new(&counted("plugin: range, settings: { min: 0 }"), &[]);
    pipeline.add(library("exercise"));
    std::fs::write(pipeline.path("plugins/libcardcage_stage_range.so"), vec![b'x'; 5000]).expect("written");
    let refused = pipeline.run(&["check"]).expect(78);
    assert!(refused.stderr.contains("libcardcage_stage_range.so may be it"), "{}", refused.stderr);
    assert!(refused.stderr.contains("ladder.elf."), "{}", refused.stderr);
}

#[test]
fn with_a_list_of_trusted_libraries_only_those_are_taken() {
    let pipeline = Pipeline::new(&counted("plugin: range, settings: { min: 0 }"), &["stage_range"]);
    let exercise = pipeline.add(library("exercise"));
    let hash = |file: &std::path::Path| {
        let output = std::process::Command::new("sha256sum").arg(file).output().expect("sha256sum is there");
        String::from_utf8_lossy(&output.stdout)[..64].to_owned()
    };
    let range = pipeline.path("plugins").join(plugin("stage_range").file_name().expect("a name"));
    let list = |hashes: &[String]| {
        let head =
            format!("plugins: {{ directories: [plugins], trust: {{ sha256: [{}] }} }}\n", hashes.join(", "));
        counted("plugin: range, settings: { min: 0 }").replace("sources:\n", &format!("{head}sources:\n"))
    };
    pipeline.write_yaml(&list(&[hash(&exercise), hash(&range)]));
    pipeline.run(&["check"]).expect(0);
    pipeline.write_yaml(&list(&[hash(&exercise)]));
    let refused = pipeline.run(&["check"]).expect(78);
    assert!(refused.stderr.contains("ladder.file.not-listed"), "{}", refused.stderr);
    assert!(refused.stderr.contains(&hash(&range)), "the hash to add: {}", refused.stderr);
}

#[test]
fn an_empty_list_of_trusted_libraries_is_an_error_and_does_not_trust_all() {
    let yaml = counted("plugin: range, settings: { min: 0 }");
    let head = "plugins: { directories: [plugins], trust: { sha256: [] } }\nsources:\n";
    let pipeline = Pipeline::new(&yaml.replace("sources:\n", head), &["stage_range"]);
    pipeline.add(library("exercise"));
    for command in ["check", "run"] {
        let refused = pipeline.run(&[command]).expect(78).stderr;
        assert!(
            refused.contains("config.bad-value") && refused.contains("an empty list of trusted"),
            "{refused}"
        );
        assert!(refused.contains("pipeline.yaml:2:53"), "{refused}");
    }
}

#[test]
fn keys_that_do_nothing_yet_are_warned_of() {
    let yaml = counted("plugin: range, settings: { min: 0 }")
        + "on_bad_config: last_good\nlimits: { memory: 64MiB }\n";
    let pipeline = Pipeline::new(&yaml, &["stage_range"]);
    pipeline.add(library("exercise"));
    let checked = pipeline.run(&["check"]).expect(0);
    for key in ["`on_bad_config`", "`limits.memory`"] {
        assert!(checked.stderr.contains(&format!("{key} has no effect")), "{key}: {}", checked.stderr);
    }
}

#[test]
fn a_refused_file_that_nothing_uses_is_a_warning() {
    let pipeline = Pipeline::new(&counted("plugin: exercise/delay, settings: { hold: 1 }"), &[]);
    pipeline.add(library("exercise"));
    std::fs::write(pipeline.path("plugins/libgarbage.so"), "garbage ".repeat(100)).unwrap();
    let checked = pipeline.run(&["check"]).expect(0);
    let said = checked.stdout + &checked.stderr;
    assert!(said.contains("libgarbage.so"), "{said}");
}

#[test]
fn several_types_of_one_library_run_together_and_their_books_balance() {
    let pipeline = Pipeline::new(
        "version: 1
sources:
  numbers: { plugin: exercise/count, settings: { count: 10000 } }
stages:
  late: { plugin: exercise/delay, inputs: [numbers], settings: { hold: 100 } }
  double: { plugin: exercise/twice, inputs: [late] }
sinks:
  all: { plugin: exercise/lines, inputs: [double], settings: { path: all.txt } }
  odd: { plugin: exercise/lines, inputs: [double.odd], settings: { path: odd.txt } }
",
        &[],
    );
    pipeline.add(library("exercise"));
    pipeline.run(&["run"]).expect(0);
    let values = |file: &str| -> Vec<f64> {
        let text = std::fs::read_to_string(pipeline.path(file)).unwrap();
        let mut values: Vec<f64> = text.lines().map(|line| line.parse().unwrap()).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let counted: Vec<f64> = (0..10_000).map(f64::from).collect();
    let twice: Vec<f64> = counted.iter().flat_map(|value| [*value, *value]).collect();
    assert_eq!(values("all.txt"), twice);
    let odd: Vec<f64> = (0..5_000).map(|n| f64::from(2 * n + 1)).collect();
    assert_eq!(values("odd.txt"), odd);
}

#[test]
fn what_plugin_threads_log_arrives_with_the_component_or_at_least_the_plugin() {
    let pipeline = Pipeline::new(
        "version: 1
sources:
  numbers: { plugin: exercise/count, settings: { count: 1, threads: true } }
sinks:
  lines: { plugin: exercise/lines, inputs: [numbers], settings: { path: lines.txt } }
",
        &[],
    );
    pipeline.add(library("exercise"));
    let finished = pipeline.run(&["run"]).expect(0);
    let line = |text: &str| {
        let mut lines = finished.stderr.lines().filter(|line| line.contains(text));
        lines.next().unwrap_or_else(|| panic!("no `{text}` in\n{}", finished.stderr))
    };
    assert!(line("exercise opens").contains("numbers"));
    assert!(line("exercise logs from a host thread").contains("numbers"));
    assert!(line("exercise logs from a bare thread").contains("exercise"));
}

#[test]
fn a_plugin_that_is_overwritten_while_it_runs_goes_on_as_it_was() {
    let pipeline = Pipeline::new(
        "version: 1
sources:
  numbers: { plugin: generate, settings: { rate: 1000, sensors: 1 } }
stages:
  checked: { plugin: range, inputs: [numbers], settings: { min: -1e9 } }
sinks:
  lines: { plugin: exercise/lines, inputs: [checked], settings: { path: lines.txt } }
checkpoint: { every: 50ms }
",
        &["source_generate", "stage_range"],
    );
    let exercise = pipeline.add(library("exercise"));
    let running = pipeline.start(&["run"]);
    e2e::wait_for_lines(&pipeline.path("lines.txt"), 100);
    // In place, as `cp` does: a mapped file would now crash the daemon.
    for file in [exercise, pipeline.path("plugins/libcardcage_stage_range.so")] {
        let len = std::fs::metadata(&file).unwrap().len();
        let mut garbage = String::new();
        while (garbage.len() as u64) < len {
            writeln!(garbage, "garbage").unwrap();
        }
        std::fs::write(&file, garbage).unwrap();
    }
    let lines = std::fs::read_to_string(pipeline.path("lines.txt")).unwrap().lines().count();
    e2e::wait_for_lines(&pipeline.path("lines.txt"), lines + 500);
    running.signal(rustix::process::Signal::INT);
    let _ = running.finish().expect(0);
}

#[test]
fn a_verdict_is_remembered_and_a_damaged_one_is_not_believed() {
    let pipeline = Pipeline::new(
        &format!("log: {{ level: debug }}\n{}", counted("plugin: exercise/delay, settings: { hold: 1 }")),
        &[],
    );
    pipeline.add(library("exercise"));
    let remembered = |expected: bool| {
        let finished = pipeline.run(&["run"]).expect(0);
        let mut lines = finished.stderr.lines().filter(|line| line.contains("vetted"));
        let line = lines.next().unwrap_or_else(|| panic!("not logged\n{}", finished.stderr));
        assert!(
            line.contains(&format!("remembered={expected}"))
                || line.contains(&format!("\"remembered\":{expected}")),
            "{line}"
        );
        assert_eq!(lines.next(), None, "one library is vetted once");
    };
    remembered(false);
    remembered(true);
    let entries: Vec<_> = std::fs::read_dir(pipeline.path(".cardcage/verdicts")).unwrap().flatten().collect();
    assert_eq!(entries.len(), 1);
    let mut bytes = std::fs::read(entries[0].path()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(entries[0].path(), bytes).unwrap();
    remembered(false);
    // The same plugin by another linker's mark, whose build id says nothing: other bytes are another plugin.
    let file = pipeline.path("plugins/libexercise.so");
    let mut bytes = std::fs::read(&file).unwrap();
    let mark = bytes.windows(11).rposition(|window| window == b"Linker: LLD").unwrap();
    bytes[mark] = b'l';
    std::fs::write(&file, bytes).unwrap();
    remembered(false);
}
