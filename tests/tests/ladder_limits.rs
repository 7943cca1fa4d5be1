//! Refusals that are not the plugin's fault alone: the daemon runs out of files, its child is misused, a folder is
//! gone; and libraries that only the linker and the rungs after it can tell from a plugin.

#![forbid(unsafe_code)]

#[path = "hostile/mod.rs"]
#[expect(dead_code, reason = "other suites use the rest")]
mod hostile;

use e2e::{Pipeline, binary, library, plugin};
use hostile::{Folder, assembled, compiled, manifest_note, masked};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

/// The symbols by which the host finds a plugin, of a size of one's choice.
fn exports(header_bytes: usize) -> String {
    format!("char _1as_0lib_1header_0root_bmodule_bloader[{header_bytes}]; char cardcage_manifest_v1[8];")
}

#[track_caller]
fn refused(file: &Path) -> (String, String) {
    let pipeline = Pipeline::new("version: 1", &[]);
    let path = file.display().to_string();
    let report = pipeline.run(&["plugin", "check", "--format", "json", &path]).expect(78).json();
    let text = |key: &str| report["refusal"][key].as_str().expect("a refusal is whole").to_owned();
    (text("code"), text("found"))
}

/// The program with at most so many open files: its exit code, and all that it said. A signal is no way to end.
fn with_files(most: usize, folder: &Path, arguments: &[&str]) -> (i32, String) {
    let limited = format!("ulimit -n {most}; exec \"$0\" \"$@\"");
    let output = Command::new("sh")
        .args(["-c", &limited])
        .arg(binary())
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("there is a shell");
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    let code = output.status.code();
    (code.unwrap_or_else(|| panic!("with {most} files: {}: {said}", output.status)), said)
}

/// The ladder's codes in what was said, each with the first number of files at which it came.
fn codes_by_files(
    files: impl Iterator<Item = usize>,
    folder: &Path,
    arguments: &[&str],
) -> BTreeMap<String, usize> {
    let mut codes = BTreeMap::new();
    for most in files {
        let (_, said) = with_files(most, folder, arguments);
        for part in said.split("ladder.").skip(1) {
            let end = part.find(|c: char| !c.is_ascii_lowercase() && c != '.' && c != '-');
            codes.entry(format!("ladder.{}", &part[..end.unwrap_or(part.len())])).or_insert(most);
        }
    }
    codes
}

#[test]
fn a_program_that_runs_out_of_files_says_so_wherever_it_is() {
    let pipeline = Pipeline::new("version: 1", &["stage_range"]);
    let file = pipeline.path("plugins/libcardcage_stage_range.so").display().to_string();
    let arguments = ["plugin", "check", "--format", "json", &file];
    let codes = codes_by_files(3..24, pipeline.folder(), &arguments);
    for code in ["ladder.file.no-copy", "ladder.vetting.no-child"] {
        assert!(codes.contains_key(code), "{code}: {codes:?}");
    }
    // One that may open its files, and whose child may not open as many as it wants.
    let (exit, said) = with_files(64, pipeline.folder(), &arguments);
    assert_eq!(exit, 78, "{said}");
    assert!(said.contains("ladder.vetting.no-child") && said.contains("make itself ready"), "{said}");
}

#[test]
fn a_daemon_that_runs_out_of_files_names_what_it_could_not_open() {
    let yaml = "version: 1
sources:\n  numbers: { plugin: generate, settings: { count: 1 } }
sinks:\n  end: { plugin: blackhole, inputs: [numbers] }\n";
    let pipeline = Pipeline::new(yaml, &["source_generate", "sink_blackhole"]);
    // Remembers the verdicts, so that no child is needed.
    pipeline.run(&["run"]).expect(0);
    let codes = codes_by_files(4..32, pipeline.folder(), &["run"]);
    for code in ["ladder.file.folder", "ladder.file.no-copy", "ladder.file.unreadable", "ladder.open.linker"]
    {
        assert!(codes.contains_key(code), "{code}: {codes:?}");
    }
    pipeline.run(&["run"]).expect(0);
}

#[test]
fn a_folder_that_is_gone_is_named() {
    let pipeline = Pipeline::new("version: 1\nplugins: { directories: [nowhere] }\n", &[]);
    let said = pipeline.run(&["plugin", "list", "nowhere", "--format", "json"]).json();
    assert!(said.to_string().contains("ladder.file.folder"), "{said:#}");
}

#[test]
fn the_vetting_child_takes_sealed_memory_only() {
    let child = Command::new(binary())
        .args(["__vet", "5", "/nonexistent", "x.so", "0000000000000000", "", "false"])
        .stdin(File::open(plugin("stage_range")).expect("a plugin"))
        .stderr(Stdio::null())
        .output()
        .expect("the program can be started");
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(said.contains("ladder.file.unsealed"), "{said}");
}

#[test]
fn a_library_that_only_looks_like_a_plugin_is_found_out_after_it_was_opened() {
    let folder = Folder::new();
    let note = assembled(&folder, "note", &manifest_note(&json!({}))).display().to_string();
    let bare = compiled(&folder, "bare", "int answer(void) { return 42; }", &[&note]);
    let (code, found) = refused(&bare);
    assert_eq!(code, "ladder.open.no-symbol", "{found}");
    let small = compiled(&folder, "small", &exports(8), &[&note]);
    let (code, found) = refused(&small);
    assert_eq!(code, "ladder.layout.header", "{found}");
    // The linker calls the function and takes what it returns for the symbol's address.
    let elsewhere = "char cardcage_manifest_v1[8]; extern void *malloc(unsigned long);
        static void *resolve(void) { return (void *)malloc; }
        void _1as_0lib_1header_0root_bmodule_bloader(void) __attribute__((ifunc(\"resolve\")));";
    let foreign = compiled(&folder, "foreign", elsewhere, &[&note]);
    let (code, found) = refused(&foreign);
    assert_eq!(code, "ladder.open.foreign-symbols", "{found}");
}

/// All that `plugin check` says of a test plugin that is refused, and the codes in it.
#[track_caller]
fn told(name: &str) -> (String, Vec<String>) {
    let pipeline = Pipeline::new("version: 1", &[]);
    let file = pipeline.add(library(name));
    let path = file.display().to_string();
    let report = pipeline.run(&["plugin", "check", "--format", "json", &path]).expect(78).json();
    let text = pipeline.run(&["plugin", "check", &path]).expect(78).stdout;
    let refusals = text.find("refused at").map_or("", |at| &text[at..]);
    let further = report["refusal"]["further"].as_array().into_iter().flatten();
    let codes = std::iter::once(&report["refusal"]).chain(further);
    let codes = codes.map(|one| one["code"].as_str().expect("a code").to_owned()).collect();
    (masked(refusals, &file), codes)
}

#[test]
fn the_first_failure_of_every_component_type_is_told() {
    let (text, codes) = told("false_promises");
    let expected = [
        "ladder.probe.by-sensor",
        "ladder.probe.replay",
        "ladder.probe.position",
        "ladder.probe.nondeterministic",
        "ladder.probe.failed",
    ];
    assert_eq!(codes, expected, "{text}");
    assert!(!text.contains("honest"), "{text}");
    insta::assert_snapshot!("false_promises", text);
    let (text, codes) = told("cannot_go_back");
    assert_eq!(codes, ["ladder.truth.replayable"; 2], "{text}");
    insta::assert_snapshot!("cannot_go_back", text);
}

#[test]
fn schemas_that_are_more_than_an_answer_holds_are_refused() {
    let (text, codes) = told("vast_schemas");
    assert_eq!(codes, ["ladder.vetting.answer"], "{text}");
    insta::assert_snapshot!("vast_schemas", text);
}

#[test]
fn every_fault_of_a_file_is_told() {
    let folder = Folder::new();
    let note = assembled(&folder, "note", &manifest_note(&json!({}))).display().to_string();
    let flags = [&*note, "-z", "execstack", "-Wl,-rpath,/tmp/mine", "-Wl,--auxiliary=libx.so"];
    let file = compiled(&folder, "several", "int answer(void) { return 42; }", &flags);
    let pipeline = Pipeline::new("version: 1", &[]);
    let path = file.display().to_string();
    let report = pipeline.run(&["plugin", "check", "--format", "json", &path]).expect(78).json();
    let mut codes = vec![report["refusal"]["code"].as_str().expect("a code")];
    let further = report["refusal"]["further"].as_array().expect("more than one fault");
    codes.extend(further.iter().map(|one| one["code"].as_str().expect("a code")));
    assert_eq!(
        codes,
        ["ladder.elf.executable-stack", "ladder.elf.run-path", "ladder.elf.dynamic-entry"],
        "{report:#}"
    );
    let text = pipeline.run(&["plugin", "check", &path]).expect(78).stdout;
    assert!(codes.iter().all(|code| text.contains(&format!("cardcage explain {code}"))), "{text}");
}

#[test]
fn rungs_that_passed_before_a_child_ended_show_their_time() {
    let pipeline = Pipeline::new("version: 1", &[]);
    let path = pipeline.add(library("exit_in_describe")).display().to_string();
    let report = pipeline.run(&["plugin", "check", "--format", "json", &path]).expect(78).json();
    for rung in 5..=8 {
        let rung = &report["rungs"][rung - 1];
        assert_eq!(rung["result"], "passed", "{report:#}");
        assert!(rung["micros"].is_u64(), "{report:#}");
    }
    assert_eq!(report["rungs"][8]["result"], "ended_here", "{report:#}");
    assert!(report["sandbox"].is_object(), "{report:#}");
    let landlock = fs::read_to_string("/sys/kernel/security/lsm").is_ok_and(|all| all.contains("landlock"));
    let note = report["rungs"][3]["note"].as_str().expect("a note");
    assert!(!landlock || !note.contains("without Landlock"), "{note}");
}
