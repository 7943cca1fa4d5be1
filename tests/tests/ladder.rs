//! The ladder against real files: what is damaged, forged, faulty or lying is refused at its rung, by a stable code,
//! and the program that asked lives on.

#![forbid(unsafe_code)]

use e2e::{Pipeline, library, plugin};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// `cardcage plugin check FILE --format json`, with the exit code that fits its answer.
fn check_with(file: &Path, more: &[&str]) -> Value {
    let pipeline = Pipeline::new("version: 1", &[]);
    let file = pipeline.add(file);
    let mut arguments = vec!["plugin", "check", "--format", "json"];
    arguments.extend(more);
    let path = file.display().to_string();
    arguments.push(&path);
    let finished = pipeline.run(&arguments);
    let report = finished.json();
    let expected = if report["accepted"] == true { 0 } else { 78 };
    assert_eq!(finished.code(), expected, "{report:#}");
    report
}

fn check(file: &Path) -> Value {
    check_with(file, &[])
}

#[track_caller]
fn refused(file: &Path, code: &str) -> Value {
    let report = check(file);
    assert_eq!(report["refusal"]["code"], code, "{report:#}");
    for part in ["found", "expected", "help"] {
        assert!(!report["refusal"][part].as_str().unwrap_or_default().is_empty(), "{part}: {report:#}");
    }
    report
}

/// A copy of the range stage with some bytes changed.
struct Changed {
    folder: tempfile::TempDir,
    bytes: Vec<u8>,
}

impl Changed {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), bytes: std::fs::read(plugin("stage_range")).unwrap() }
    }

    fn write(&self) -> PathBuf {
        let file = self.folder.path().join("libchanged.so");
        std::fs::write(&file, &self.bytes).unwrap();
        file
    }

    fn set(mut self, at: usize, bytes: &[u8]) -> Self {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    /// As if a linker had made it whose build ids cannot be made again.
    fn unsealed(self) -> Self {
        let mark = self.places("Linker: LLD")[0];
        self.set(mark, b"l")
    }

    fn cut(mut self, len: usize) -> Self {
        self.bytes.truncate(len);
        self
    }

    /// Changes every program header of this type.
    fn headers(mut self, kind: u32, change: impl Fn(&mut [u8])) -> Self {
        const SIZE: usize = 56;
        let start = usize::try_from(u64::from_le_bytes(self.bytes[32..40].try_into().unwrap())).unwrap();
        let count = usize::from(u16::from_le_bytes(self.bytes[56..58].try_into().unwrap()));
        for header in self.bytes[start..start + count * SIZE].chunks_exact_mut(SIZE) {
            if header[..4] == kind.to_le_bytes() {
                change(header);
            }
        }
        self
    }

    /// As if it had been linked where the C library is one of the far future.
    fn of_a_newer_system(self) -> Self {
        let version = self.places("GLIBC_2.")[0];
        self.set(version, b"GLIBC_9.")
    }

    /// Where a text is, each time.
    fn places(&self, text: &str) -> Vec<usize> {
        (0..self.bytes.len() - text.len())
            .filter(|at| self.bytes[*at..].starts_with(text.as_bytes()))
            .collect()
    }
}

#[test]
fn a_good_plugin_passes_every_rung_in_order() {
    let report = check(plugin("stage_range"));
    let rungs: Vec<(u64, &str, &str)> = report["rungs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rung| {
            let text = |key: &str| rung[key].as_str().unwrap();
            (rung["rung"].as_u64().unwrap(), text("name"), text("result"))
        })
        .collect();
    let expected = [
        (1, "file", "passed"),
        (2, "elf", "passed"),
        (3, "manifest", "passed"),
        (4, "vetting", "passed"),
        (5, "open", "passed"),
        (6, "layout", "passed"),
        (7, "vtable", "passed"),
        (8, "truth", "passed"),
        (9, "probe", "passed"),
        (10, "settings", "passed"),
        (11, "wiring", "not_here"),
    ];
    assert_eq!(rungs, expected);
}

#[test]
fn a_library_with_types_of_all_kinds_that_uses_everything_passes() {
    let report = check(library("exercise"));
    assert_eq!(report["accepted"], true, "{report:#}");
    assert_eq!(report["plugin"]["version"], "1.2.3");
    let note = report["rungs"][8]["note"].as_str().unwrap();
    assert!(note.contains("lines: it writes to the file"), "{note}");
}

#[test]
fn what_is_no_regular_file_is_never_opened() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("libfifo.so");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .unwrap();
    let pipeline = Pipeline::new("version: 1", &[]);
    for (path, code) in [
        (fifo.as_path(), "ladder.file.not-regular"),
        (folder.path(), "ladder.file.not-regular"),
        (Path::new("/dev/zero"), "ladder.file.not-regular"),
        (Path::new("nowhere.so"), "ladder.file.missing"),
    ] {
        let path = path.display().to_string();
        let finished = pipeline.run(&["plugin", "check", "--format", "json", &path]).expect(78);
        assert_eq!(finished.json()["refusal"]["code"], code);
    }
}

#[test]
fn a_file_that_others_can_write_is_not_trusted() {
    use std::os::unix::fs::PermissionsExt;
    let pipeline = Pipeline::new("version: 1", &["stage_range"]);
    let file = pipeline.path("plugins/libcardcage_stage_range.so");
    let check = |what: &str| {
        let finished = pipeline.run(&["plugin", "check", "--format", "json", &file.display().to_string()]);
        let report = finished.json();
        assert_eq!(report["refusal"]["code"], "ladder.file.writable", "{what}: {report:#}");
    };
    let chmod = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    chmod(&file, 0o666);
    check("the file");
    chmod(&file, 0o644);
    chmod(&pipeline.path("plugins"), 0o777);
    check("the folder");
}

#[test]
fn damaged_and_foreign_files_are_refused_before_anything_runs() {
    const PT_LOAD: u32 = 1;
    const PT_GNU_STACK: u32 = 0x6474_e551;
    let len = Changed::new().bytes.len();
    let cases = [
        (Changed::new().cut(10), "ladder.file.size"),
        (Changed::new().set(0, b"garbage!"), "ladder.elf.no-elf"),
        (Changed::new().cut(len / 2), "ladder.elf.truncated"),
        (Changed::new().cut(len - 1), "ladder.elf.truncated"),
        (Changed::new().cut(5000), "ladder.elf.truncated"),
        (Changed::new().set(18, &[183, 0]), "ladder.elf.wrong-machine"),
        (Changed::new().set(4, &[1]), "ladder.elf.wrong-class"),
        (Changed::new().set(16, &[2, 0]), "ladder.elf.program"),
        (Changed::new().headers(PT_LOAD, |header| header[4] |= 0b11), "ladder.elf.writable-code"),
        (Changed::new().headers(PT_GNU_STACK, |header| header[4] |= 1), "ladder.elf.executable-stack"),
        (Changed::new().headers(PT_GNU_STACK, |header| header[0] = 0), "ladder.elf.executable-stack"),
        // Aligned to a byte: the linker maps whole pages.
        (
            Changed::new().headers(PT_LOAD, |header| header[48..56].copy_from_slice(&1_u64.to_le_bytes())),
            "ladder.elf.segments",
        ),
        (Changed::new().of_a_newer_system(), "ladder.elf.symbol-version"),
    ];
    for (changed, code) in cases {
        refused(&changed.write(), code);
    }
}

#[test]
fn a_library_that_is_no_plugin_is_told_from_a_damaged_plugin() {
    let libm = ["/lib/x86_64-linux-gnu/libm.so.6", "/lib/aarch64-linux-gnu/libm.so.6", "/lib64/libm.so.6"];
    let libm = libm.iter().map(Path::new).find(|path| path.exists()).expect("a C library");
    refused(libm, "ladder.manifest.missing");
}

#[test]
fn a_note_that_was_edited_after_the_build_is_found_out() {
    // The description is in the file twice: in the note, and in the data that the note is compared with.
    let good = Changed::new();
    let places = good.places("drops, diverts or flags");
    assert_eq!(places.len(), 2);
    for place in places {
        // As linked, its build id tells; by another linker's mark, the two copies do.
        refused(&Changed::new().set(place, b"D").write(), "ladder.elf.altered");
        refused(&Changed::new().unsealed().set(place, b"D").write(), "ladder.truth.note");
    }
}

#[test]
fn a_plugin_that_crashes_or_hangs_does_so_in_the_child() {
    for (name, code, place) in [
        ("abort_in_constructor", "ladder.vetting.died", "SIGABRT at rung 5 (open)"),
        ("abort_at_exit", "ladder.vetting.died", "SIGABRT after all rungs"),
        ("exit_in_describe", "ladder.vetting.died", "exit code 3 at rung 9 (probe)"),
        ("panic_in_open", "ladder.probe.panicked", "no luck today"),
    ] {
        let report = refused(library(name), code);
        let found = report["refusal"]["found"].as_str().unwrap();
        assert!(found.contains(place), "{name}: {found}");
    }
    let report = check_with(library("hang_in_open"), &["--deadline", "1s"]);
    assert_eq!(report["refusal"]["code"], "ladder.vetting.timeout", "{report:#}");
    assert!(report["refusal"]["found"].as_str().unwrap().contains("rung 9 (probe)"));
}

#[test]
fn a_library_that_changes_the_process_is_refused() {
    let report = refused(library("umask_in_constructor"), "ladder.open.process-changed");
    assert!(report["refusal"]["found"].as_str().unwrap().contains("umask"));
}

#[test]
fn a_plugin_that_breaks_its_contract_is_refused_by_the_probe() {
    for (name, code, words) in [
        ("panic_in_process", "ladder.probe.panicked", "not finite"),
        ("lying_writes", "ladder.probe.undeclared", "does not declare"),
        ("losing_records", "ladder.probe.imbalance", "in 1"),
        ("endless_more", "ladder.probe.endless", "without end"),
    ] {
        let report = refused(library(name), code);
        let found = report["refusal"]["found"].as_str().unwrap();
        assert!(found.contains(words), "{name}: {found}");
    }
}

#[test]
fn a_header_without_a_layout_and_a_table_with_a_hole_are_refused() {
    refused(library("no_layout"), "ladder.layout.no-layout");
    let report = refused(library("forged_table"), "ladder.vtable.incomplete");
    assert!(report["refusal"]["found"].as_str().unwrap().contains("`process` is null"));
}
