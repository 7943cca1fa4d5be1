//! generate -> range -> convert -> range -> blackhole: what batches, calls, counts and queues cost when the components do
//! next to nothing. Loaded as shared libraries, against the same vtables linked into one program.

use super::measure::{Cost, median};
use super::report::{Report, Target, note};
use super::{Bench, remove};
use crate::{Failure, workspace};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const RECORDS_PER_SECOND: Target = Target::AtLeast(300e6);
/// Speed of the loaded plugins for that of the linked ones.
const LOADED_TO_LINKED: Target = Target::AtLeast(0.98);
/// What a call of a plugin's function alone took when the ABI was chosen, with its panic guard, in nanoseconds.
const BARE_CALL_NS: f64 = 1.24;
const CALLS: &str = "50000000";

pub(super) fn plumbing(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    let linked = build_linked(bench)?;
    let records: u32 = if bench.options.quick { 200_000_000 } else { 2_000_000_000 };
    let whole = config(bench, "plumbing", records)?;
    let start = config(bench, "plumbing-start", 1)?;
    let (mut loaded, mut in_one, mut calls) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.options.runs {
        loaded.push(Flow::of(bench, &[&whole, &start], || bench.daemon())?);
        in_one.push(Flow::of(bench, &[&whole, &start], || Command::new(&linked))?);
        calls.push(number(&bench.run(Command::new(&linked).args(["call", CALLS]))?)?);
    }
    let rate = |flows: &[Flow], seconds: fn(&Flow) -> f64| {
        median(flows.iter().map(|flow| f64::from(records) / seconds(flow)))
    };
    let ratio = median(loaded.iter().zip(&in_one).map(|(loaded, linked)| linked.cpu_s / loaded.cpu_s));
    report.figure(
        "plumbing: loaded plugins",
        rate(&loaded, |flow| flow.wall_s),
        "records/s",
        RECORDS_PER_SECOND,
    );
    report.figure(
        "plumbing: loaded plugins, by processor time",
        rate(&loaded, |flow| flow.cpu_s),
        "records/CPU-s",
        Target::None,
    );
    report.figure(
        "plumbing: linked statically, by processor time",
        rate(&in_one, |flow| flow.cpu_s),
        "records/CPU-s",
        Target::None,
    );
    report.figure("plumbing: speed, loaded to linked, median of pairs", ratio, "x", LOADED_TO_LINKED);
    report.figure("call: `process` on an empty batch, with its counts", median(calls), "ns", Target::None);
    note(&format!(
        "a bare call took {BARE_CALL_NS} ns when the ABI was chosen; the rest is the host's bookkeeping, once a batch"
    ));
    Ok(())
}

/// What the flow of all records took, without the start of the program.
struct Flow {
    wall_s: f64,
    /// What remains comparable on a machine that does other things, too.
    cpu_s: f64,
}

impl Flow {
    /// Runs the program with both configs: starting up takes the same with one record.
    fn of(
        bench: &Bench,
        [whole, start]: &[&Path; 2],
        program: impl Fn() -> Command,
    ) -> Result<Self, Failure> {
        let run = |config: &Path| {
            remove(&state(bench))?;
            bench.run(program().arg("run").arg(config))
        };
        let (whole, start) = (run(whole)?, run(start)?);
        let without = |whole: Duration, start: Duration| whole.saturating_sub(start).as_secs_f64();
        Ok(Self { wall_s: without(whole.wall, start.wall), cpu_s: without(whole.cpu, start.cpu) })
    }
}

fn number(cost: &Cost) -> Result<f64, Failure> {
    let text = cost.stdout.trim();
    text.parse().map_err(|_| Failure::Program(format!("`{text}` is no number of nanoseconds")))
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
                "-q",
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
