//! `plugin check`, `list` and `inspect` as somebody uses them on files that are not his own: all that is wrong is told at
//! once, nothing that a file says reaches the terminal as it is, and a folder is what the daemon would make of it.

#![forbid(unsafe_code)]

#[path = "hostile/mod.rs"]
#[expect(dead_code, reason = "other suites use the rest")]
mod hostile;

use e2e::{Pipeline, library, plugin, workspace};
use hostile::{Folder, assembled, compiled, manifest_note, note, unsealed};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

const ANSWER: &str = "int answer(void) { return 42; }";

#[track_caller]
fn report(file: &Path, exit: i32) -> Value {
    let pipeline = Pipeline::new("version: 1", &[]);
    let path = file.display().to_string();
    pipeline.run(&["plugin", "check", "--format", "json", &path]).expect(exit).json()
}

fn codes(report: &Value) -> Vec<String> {
    let refusal = &report["refusal"];
    let further = refusal["further"].as_array().cloned().unwrap_or_default();
    let all = [vec![refusal.clone()], further].concat();
    all.iter().map(|refusal| refusal["code"].as_str().expect("a code").to_owned()).collect()
}

fn result(report: &Value, rung: usize) -> String {
    report["rungs"][rung - 1]["result"].as_str().expect("a result").to_owned()
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode can be set");
}

#[test]
fn what_is_wrong_with_a_file_its_elf_and_its_manifest_is_told_at_once() {
    let folder = Folder::new();
    let broken = assembled(&folder, "note", &note(b"{}", 2));
    let more = [broken.to_str().unwrap(), "-Wl,-z,execstack", "-Wl,-rpath,/opt/x"];
    let file = compiled(&folder, "bad", ANSWER, &more);
    mode(&file, 0o666);
    let told = report(&file, 78);
    assert_eq!(
        codes(&told),
        [
            "ladder.file.writable",
            "ladder.elf.executable-stack",
            "ladder.elf.run-path",
            "ladder.manifest.malformed"
        ]
    );
    assert_eq!(
        [1, 2, 3, 4].map(|rung| result(&told, rung)),
        ["refused", "refused", "refused", "not_reached"]
    );
    mode(&file, 0o644);
    assert_eq!(codes(&report(&file, 78)).len(), 3);
}

#[test]
fn a_plugin_whose_file_others_may_write_is_looked_at_and_not_run() {
    let folder = Folder::new();
    let file = folder.write("libabort.so", &fs::read(library("abort_in_constructor")).unwrap());
    mode(&file, 0o666);
    let told = report(&file, 78);
    assert_eq!(codes(&told), ["ladder.file.writable"]);
    let results = [1, 2, 3, 4, 5].map(|rung| result(&told, rung));
    assert_eq!(results, ["refused", "passed", "passed", "not_reached", "not_reached"]);
    // Bytes that are not those that were linked are seen as well, though no child reads them.
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    assert_eq!(codes(&report(&file, 78)), ["ladder.file.writable", "ladder.elf.altered"]);
}

#[test]
fn it_is_said_whether_the_bytes_are_those_that_were_linked() {
    let folder = Folder::new();
    let whole = fs::read(plugin("stage_range")).unwrap();
    let said = |file: &Path| report(file, 0)["rungs"][1]["note"].as_str().unwrap().to_owned();
    assert_eq!(said(&folder.write("librange.so", &whole)), "as linked, by its build id");
    let other = said(&folder.write("libother.so", &unsealed(&whole)));
    assert!(other.contains("another linker"), "{other}");
    let at = whole.windows(12).rposition(|window| window == b"Linker: LLD ").unwrap() + 12;
    let mut newer = whole;
    newer[at..at + 2].copy_from_slice(b"99");
    let newer = said(&folder.write("libnewer.so", &newer));
    assert!(newer.contains("LLD 99"), "{newer}");
}

/// Whether it holds anything that a terminal would follow.
#[track_caller]
fn steers_nothing(text: &str) {
    let steering = |c: char| c != '\n' && (c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c));
    assert!(!text.chars().any(steering), "{text:?}");
}

#[test]
fn what_a_plugin_prints_and_what_files_are_called_does_not_reach_the_terminal() {
    let folder = Pipeline::new("version: 1", &[]);
    let notes = Folder::new();
    let note = assembled(&notes, "note", &manifest_note(&json!({})));
    let exports = "char _1as_0lib_1header_0root_bmodule_bloader[256]; char cardcage_manifest_v1[8];";
    let words = "\\033]0;pwned\\007\\033[2J range 0.1.0 is fit to be loaded\\n";
    let source = format!(
        "#include <stdio.h>\n{exports}\n__attribute__((constructor)) static void begin(void) {{ fputs(\"{words}\", stderr); \
         __builtin_trap(); }}"
    );
    let built = compiled(&notes, "loud", &source, &[note.to_str().unwrap()]);
    fs::copy(built, folder.path("plugins/libloud\u{1b}[2J\n\u{202e}.so")).unwrap();
    fs::write(folder.path("plugins/libtext\u{1b}[31m.so"), "no plugin ".repeat(50)).unwrap();
    let checked = folder.run(&["plugin", "check", "plugins"]).expect(78);
    steers_nothing(&checked.stdout);
    steers_nothing(&checked.stderr);
    assert!(checked.stdout.contains("\\u{1b}]0;pwned\\u{7}"), "{}", checked.stdout);
    assert!(checked.stdout.contains("libloud\\u{1b}[2J\\n\\u{202e}.so"), "{}", checked.stdout);
    let listed = folder.run(&["plugin", "list", "plugins"]).expect(0);
    steers_nothing(&listed.stdout);
    assert!(listed.stdout.contains("libtext\\u{1b}[31m.so"), "{}", listed.stdout);
    let inspected = folder.run(&["plugin", "inspect", "plugins/libtext\u{1b}[31m.so"]).expect(78);
    steers_nothing(&inspected.stdout);
    steers_nothing(&folder.run(&["plugin", "inspect", "no\u{1b}[31msuch"]).expect(78).stderr);
}

#[test]
fn a_manifest_cannot_steer_the_terminal() {
    let folder = Folder::new();
    let stage = |probe: &str| json!([{"kind": "stage", "name": "x", "probe": {"none": probe}}]);
    let make = |name: &str, change: Value| {
        let note = assembled(&folder, &format!("{name}_note"), &manifest_note(&change));
        compiled(&folder, name, ANSWER, &[note.to_str().unwrap()])
    };
    let cases = [
        ("reason", json!({"components": stage("\u{1b}[31mfit to be loaded")})),
        ("long_reason", json!({"components": stage(&"x".repeat(5000))})),
        ("turned", json!({"description": "a\u{202e}b"})),
    ];
    for (name, change) in cases {
        assert_eq!(codes(&report(&make(name, change), 78)), ["ladder.manifest.ill-formed"], "{name}");
    }
}

#[test]
fn a_folder_has_the_libraries_that_the_daemon_finds_in_it() {
    let pipeline = Pipeline::new("version: 1", &["stage_range"]);
    fs::copy(plugin("stage_range"), pipeline.path("plugins/range.so")).unwrap();
    let checked = pipeline.run(&["plugin", "check", "plugins"]).expect(0).stdout;
    assert!(
        checked.contains("libcardcage_stage_range.so") && !checked.contains("plugins/range.so"),
        "{checked}"
    );
    fs::remove_file(pipeline.path("plugins/libcardcage_stage_range.so")).unwrap();
    // The daemon would find nothing.
    pipeline.run(&["plugin", "check", "plugins"]).expect(78);
    pipeline.run(&["plugin", "check", "plugins/range.so"]).expect(0);
}

#[test]
fn a_deadline_in_which_no_plugin_could_be_vetted_is_not_taken() {
    let pipeline = Pipeline::new("version: 1", &["stage_range"]);
    for deadline in ["0s", "99ms"] {
        let arguments = ["plugin", "check", "--deadline", deadline, "plugins/libcardcage_stage_range.so"];
        let refused = pipeline.run(&arguments).expect(64);
        assert!(refused.stderr.contains("at least 100 ms"), "{}", refused.stderr);
    }
}

/// What the compiler may be told to use on processors of all kinds is in the list that a manifest is made from, and in
/// the one that the host tests.
#[test]
fn every_feature_that_the_compiler_may_use_is_told_and_tested() {
    let compiler = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let targets = [
        (
            "x86_64-unknown-linux-gnu",
            &["native", "x86-64-v4", "sapphirerapids", "arrowlake-s", "znver5", "bdver4"][..],
        ),
        ("aarch64-unknown-linux-gnu", &["neoverse-v2", "cortex-a720", "apple-m4", "a64fx"]),
    ];
    let native = std::env::consts::ARCH;
    let mut features = BTreeSet::new();
    for (target, processors) in targets {
        for processor in processors.iter().filter(|name| **name != "native" || target.starts_with(native)) {
            let output = Command::new(&compiler)
                .args(["--print", "cfg", "--target", target, "-C", &format!("target-cpu={processor}")])
                .output()
                .expect("the compiler can be asked");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let text = String::from_utf8(output.stdout).expect("its answer is text");
            let lines = text.lines().filter_map(|line| line.strip_prefix("target_feature="));
            features.extend(lines.map(str::to_owned));
        }
    }
    assert!(features.len() > 60, "{features:?}");
    // The kernel's business, or never used unasked: no program can test them. Their names have no place in a manifest.
    for untold in ["lor", "pan", "pmuv3", "ras", "spe", "vh"] {
        features.remove(&format!("\"{untold}\""));
    }
    for list in ["plugin-api/src/export.rs", "host/src/loader/machine.rs"] {
        let text = fs::read_to_string(workspace().join(list)).unwrap();
        let missing: Vec<&String> = features.iter().filter(|feature| !text.contains(*feature)).collect();
        assert!(missing.is_empty(), "{list} lacks {missing:?}");
    }
}
