//! generate -> range -> convert -> range -> blackhole: what batches, calls, counts and queues cost when the components do
//! next to nothing. Loaded as shared libraries, against the same vtables linked into one program.

use super::measure::{Cost, median};
use super::report::{Report, Target, note};
use super::{Bench, remove};
use crate::{Failure, workspace};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const RECORDS_PER_SECOND: Target = Target::AtLeast(300e6);
/// Speed of the loaded plugins for that of the linked ones.
const LOADED_TO_LINKED: Target = Target::AtLeast(0.98);
/// What a call of a plugin's function alone took when the ABI was chosen, with its panic guard, in nanoseconds.
const BARE_CALL_NS: f64 = 1.24;
const CALLS: &str = "50000000";

pub(super) fn plumbing(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    let linked = build_linked(bench)?;
    let records: u32 = if bench.options.quick {
        200_000_000
    } else {
        2_000_000_000
    };
    let whole = config(bench, "plumbing", records)?;
    let start = config(bench, "plumbing-start", 1)?;
    let (mut loaded, mut in_one, mut calls) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.options.runs {
        let daemon = |config: &Path| run(bench, bench.daemon().arg("run").arg(config));
        let program = |config: &Path| run(bench, Command::new(&linked).arg("run").arg(config));
        // Only the flow counts: starting up takes the same with one record.
        loaded.push(f64::from(records) / (daemon(&whole)? - daemon(&start)?));
        in_one.push(f64::from(records) / (program(&whole)? - program(&start)?));
        calls.push(number(&bench.run(Command::new(&linked).args(["call", CALLS]))?)?);
    }
    let pairs = loaded.iter().zip(&in_one).map(|(loaded, linked)| loaded / linked);
    let ratio = median(pairs);
    report.figure(
        "plumbing: loaded plugins",
        median(loaded),
        "records/s",
        RECORDS_PER_SECOND,
    );
    report.figure(
        "plumbing: the same, linked statically",
        median(in_one),
        "records/s",
        Target::None,
    );
    report.figure(
        "plumbing: speed, loaded to linked, median of pairs",
        ratio,
        "x",
        LOADED_TO_LINKED,
    );
    report.figure(
        "call: `process` on an empty batch, with its counts",
        median(calls),
        "ns",
        Target::None,
    );
    note(&format!(
        "a bare call took {BARE_CALL_NS} ns when the ABI was chosen; the rest is the host's bookkeeping, once a batch"
    ));
    Ok(())
}

/// Seconds from start to exit.
fn run(bench: &Bench, command: &mut Command) -> Result<f64, Failure> {
    remove(&state(bench))?;
    Ok(bench.run(command)?.wall.as_secs_f64())
}

fn number(cost: &Cost) -> Result<f64, Failure> {
    let text = cost.stdout.trim();
    text.parse()
        .map_err(|_| Failure::Program(format!("`{text}` is no number of nanoseconds")))
}

fn state(bench: &Bench) -> PathBuf {
    bench.directory.join("plumbing.state")
}

fn config(bench: &Bench, name: &str, records: u32) -> Result<PathBuf, Failure> {
    let path = bench.directory.join(format!("{name}.yaml"));
    let text = format!(
        "version: 1\n\
         plugins: {{ directories: ['{plugins}'] }}\n\
         state_directory: '{state}'\n\
         sources:\n  made: {{ plugin: generate, settings: {{ count: {records}, waveform: constant, unit: degC, start: 0 }} }}\n\
         stages:\n  above: {{ plugin: range, inputs: [made], settings: {{ min: -50 }} }}\n  \
         fahrenheit: {{ plugin: convert, inputs: [above], settings: {{ to: degF }} }}\n  \
         below: {{ plugin: range, inputs: [fahrenheit], settings: {{ max: 1000 }} }}\n\
         sinks:\n  nowhere: {{ plugin: blackhole, inputs: [below] }}\n",
        plugins = bench.release.display(),
        state = state(bench).display(),
    );
    fs::write(&path, text).map_err(Failure::io(format!("write {}", path.display())))?;
    Ok(path)
}

/// Builds the linked program, in a folder of its own: the flag concerns every crate, and would have the workspace
/// built anew each time.
fn build_linked(bench: &Bench) -> Result<PathBuf, Failure> {
    let target = bench.directory.join("static");
    if bench.options.build {
        let mut cargo = workspace::cargo();
        cargo
            .args([
                "build",
                "--release",
                "--package",
                "xtask",
                "--bin",
                "plumbing",
                "--features",
                "static",
            ])
            .env("CARGO_TARGET_DIR", &target)
            .env("RUSTFLAGS", "--cfg cardcage_static");
        workspace::succeed(&mut cargo)?;
    }
    Ok(target.join("release/plumbing"))
}
