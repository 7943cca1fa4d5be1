//! generate -> range -> convert -> range -> blackhole: what batches, calls, counts and queues cost when the components do
//! next to nothing. Loaded as shared libraries, against the same vtables linked into one program.

use super::Bench;
use super::flow::{Flow, Took, Totals};
use super::measure::{self, Cost, median};
use super::report::{Report, Target, note};
use crate::{Failure, workspace};
use std::path::PathBuf;
use std::process::Command;

const RECORDS_PER_SECOND: Target = Target::AtLeast(300e6);
/// Speed of the loaded plugins for that of the linked ones.
const LOADED_TO_LINKED: Target = Target::AtLeast(0.98);
/// What a call of a plugin's function alone took when the ABI was chosen, with its panic guard, in nanoseconds.
const BARE_CALL_NS: f64 = 1.24;
const CALLS: &str = "50000000";

pub(super) fn plumbing(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    let linked = build_linked(bench)?;
    let records: u32 = if bench.options.quick { 200_000_000 } else { 1_000_000_000 };
    let flows = [flow(bench, "plumbing", records)?, flow(bench, "plumbing-start", 1)?];
    for flow in &flows {
        if let Some(why) = flow.refusal(bench)? {
            report.skipped("plumbing: all of it", &why);
            return Ok(());
        }
    }
    let (mut loaded, mut in_one, mut calls) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.options.runs {
        loaded.push(with_daemon(bench, &flows, records)?);
        let linked_run = with_linked(bench, &flows, &linked)?;
        linked_run.totals.expect(u64::from(records))?;
        in_one.push(linked_run);
        calls.push(number(&bench.run(Command::new(&linked).args(["call", CALLS]))?)?);
    }
    let rate = |runs: &[Took], seconds: fn(&Took) -> f64| {
        median(runs.iter().map(|took| f64::from(records) / seconds(took)))
    };
    let ratio = median(loaded.iter().zip(&in_one).map(|(loaded, linked)| linked.cpu_s / loaded.cpu_s));
    report.figure(
        "plumbing: loaded plugins",
        rate(&loaded, |took| took.wall_s),
        "records/s",
        RECORDS_PER_SECOND,
    );
    report.figure(
        "plumbing: loaded plugins, by processor time",
        rate(&loaded, |took| took.cpu_s),
        "records/CPU-s",
        Target::None,
    );
    report.figure(
        "plumbing: linked statically, by processor time",
        rate(&in_one, |took| took.cpu_s),
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

fn number(cost: &Cost) -> Result<f64, Failure> {
    let text = cost.stdout.trim();
    text.parse().map_err(|_| Failure::Program(format!("`{text}` is no number of nanoseconds")))
}

fn with_daemon(bench: &Bench, [whole, start]: &[Flow; 2], records: u32) -> Result<Took, Failure> {
    let (whole, start) = (whole.run(bench, bench.core)?, start.run(bench, bench.core)?);
    whole.totals.expect(u64::from(records))?;
    Ok(Took::between(&whole.cost, &start.cost, whole.totals))
}

/// The same config in the program that has the plugins linked into it; it says how many records its sinks took.
fn with_linked(bench: &Bench, flows: &[Flow; 2], linked: &PathBuf) -> Result<Took, Failure> {
    let run = |flow: &Flow| {
        flow.forget()?;
        measure::run_on(bench.core, &bench.stderr(), Command::new(linked).arg("run").arg(&flow.config))
    };
    let [whole, start] = flows;
    let (whole, start) = (run(whole)?, run(start)?);
    let delivered = whole.stdout.trim().parse().unwrap_or(0);
    Ok(Took::between(&whole, &start, Totals { delivered, rejected: 0 }))
}

pub(super) fn flow(bench: &Bench, name: &str, records: u32) -> Result<Flow, Failure> {
    let body = format!(
        "sources:\n  made: {{ plugin: generate, settings: {{ count: {records}, waveform: constant, unit: degC, start: 0 }} }}\n\
         stages:\n  above: {{ plugin: range, inputs: [made], settings: {{ min: -50 }} }}\n  \
         fahrenheit: {{ plugin: convert, inputs: [above], settings: {{ to: degF }} }}\n  \
         below: {{ plugin: range, inputs: [fahrenheit], settings: {{ max: 1000 }} }}\n\
         sinks:\n  nowhere: {{ plugin: blackhole, inputs: [below] }}\n",
    );
    Flow::new(bench, name, &body)
}

/// Builds the linked program, in a folder of its own: the flag concerns every crate, and would have the workspace
/// built anew each time.
pub(super) fn build_linked(bench: &Bench) -> Result<PathBuf, Failure> {
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
