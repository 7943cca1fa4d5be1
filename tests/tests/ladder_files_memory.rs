//! Refused plugins leave nothing in the daemon's memory.
//!
//! What the system tells of a program's memory includes what the process that started it had at its peak. So this one stays
//! small: it has no other tests, and other programs make the files.

#![forbid(unsafe_code)]

use e2e::{Pipeline, library, plugin};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use wait4::Wait4 as _;

const SOURCE: &str = "version: 1\nsources:\n  s: { plugin: exercise/count, settings: { count: 1 } }\n";

/// The most memory that `cardcage run` had, which ends with this code, in KiB.
fn peak_kib(pipeline: &Pipeline, exit: i32) -> u64 {
    let mut command = pipeline.command(&["run"]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it can be started");
    let used = { child }.wait4().expect("it can be waited for");
    assert_eq!(used.status.code(), Some(exit));
    used.rusage.maxrss / 1024
}

/// A copy of a library under another name, of the same length, in its manifest; its build id says nothing any more.
fn renamed(from: &Path, name: (&str, &str), to: &Path) {
    let (old, new) = name;
    let script = format!("s/\"name\":\"{old}\"/\"name\":\"{new}\"/g; s/Linker: LLD/linker: LLD/g");
    let status = Command::new("sed")
        .env("LC_ALL", "C")
        .args(["-e", &script])
        .arg(from)
        .stdout(File::create(to).expect("a file can be made"))
        .status()
        .expect("there is sed");
    assert!(status.success());
}

#[test]
fn plugins_that_are_refused_in_files_or_in_the_child_leave_nothing_in_memory() {
    a_thousand_files();
    a_hundred_children();
}

fn a_thousand_files() {
    let mut part = Vec::new();
    File::open(plugin("sink_blackhole")).unwrap().take(300_000).read_to_end(&mut part).unwrap();
    let peak_kib = |count: usize| {
        let end = "sinks:\n  k: { plugin: exercise/lines, inputs: [s], settings: { path: lines.txt } }\n";
        let pipeline = Pipeline::new(&format!("{SOURCE}{end}"), &[]);
        pipeline.add(library("exercise"));
        for n in 0..count {
            std::fs::write(pipeline.path(&format!("plugins/lib{n}.so")), &part).unwrap();
        }
        peak_kib(&pipeline, 0)
    };
    let (few, many) = (peak_kib(10), peak_kib(1000));
    // The copies together would be 300 MB; a refusal is some hundred bytes of text.
    assert!(many < few + 8 * 1024, "10 files: {few} KiB; 1000 files: {many} KiB");
}

fn a_hundred_children() {
    const NAME: &str = "abort-in-constructor";
    let file = library("abort_in_constructor");
    let peak_kib = |count: usize| {
        let mut yaml = format!("{SOURCE}stages:\n");
        let pipeline = Pipeline::new("version: 1", &[]);
        pipeline.add(library("exercise"));
        for n in 0..count {
            let name = format!("abort-in-c{n:010}");
            renamed(file, (NAME, &name), &pipeline.path(&format!("plugins/lib{n}.so")));
            writeln!(yaml, "  p{n}: {{ plugin: {name}, inputs: [s] }}").unwrap();
        }
        yaml.push_str(
            "sinks:\n  k: { plugin: exercise/lines, inputs: [p0], settings: { path: lines.txt } }\n",
        );
        pipeline.write_yaml(&yaml);
        peak_kib(&pipeline, 78)
    };
    let (few, many) = (peak_kib(10), peak_kib(100));
    // The copies together would be ninety times a library of some megabytes more.
    assert!(many < few + 8 * 1024, "10 plugins: {few} KiB; 100 plugins: {many} KiB");
}
