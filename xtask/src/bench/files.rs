//! NDJSON file -> range -> convert -> NDJSON file: the daemon against the hand-fused program, on one processor.

use super::measure::{Cost, median};
use super::report::{Report, Target, note};
use super::{Bench, input, remove, same};
use crate::Failure;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the hand-fused program took when the targets were set, CPU-seconds for a million records. To tell a slow
/// machine from a slow program; no target.
const FUSED_WHEN_MEASURED: f64 = 0.094;
/// CPU-seconds of the daemon for those of the hand-fused program.
const RATIO: Target = Target::AtMost(1.25);
const RECORDS_PER_SECOND: Target = Target::AtLeast(7e6);
const RSS_MIB: Target = Target::AtMost(20.0);

pub(super) fn files(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    let input = input::ndjson(&bench.directory, bench.records())?;
    let places = Places::new(bench, input)?;
    let (mut fused, mut parsed, mut daemon) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.options.runs {
        fused.push(places.fused(bench, Some(&places.of_fused))?);
        parsed.push(places.fused(bench, None)?);
        daemon.push(places.daemon(bench)?);
    }
    let compared = same::compare(&places.of_fused, &places.of_daemon)?;

    let records = bench.records_f64();
    let cpu = |costs: &[Cost]| median(costs.iter().map(|cost| cost.cpu.as_secs_f64() * 1e6 / records));
    let pairs = daemon.iter().zip(&fused);
    let ratio = median(pairs.map(|(daemon, fused)| daemon.cpu.as_secs_f64() / fused.cpu.as_secs_f64()));
    let speed = median(daemon.iter().map(|cost| records / cost.wall.as_secs_f64()));
    let by_cpu = median(daemon.iter().map(|cost| records / cost.cpu.as_secs_f64()));
    let memory = daemon.iter().map(|cost| cost.max_rss).max().map(super::mib);

    report.figure("files: fused, read and parse only", cpu(&parsed), "CPU-s/M", Target::None);
    report.figure("files: fused, whole", cpu(&fused), "CPU-s/M", Target::None);
    report.figure("files: daemon, whole", cpu(&daemon), "CPU-s/M", Target::None);
    report.figure("files: CPU time, daemon to fused, median of pairs", ratio, "x", RATIO);
    report.figure("files: daemon", speed, "records/s", RECORDS_PER_SECOND);
    report.figure("files: daemon, by processor time", by_cpu, "records/CPU-s", Target::None);
    report.figure("files: daemon, most memory of all runs", memory, "MiB", RSS_MIB);
    note(&format!("fused took {FUSED_WHEN_MEASURED} CPU-s/M when the targets were set; outputs: {compared}"));
    Ok(())
}

/// The files of this bench.
struct Places {
    input: PathBuf,
    of_fused: PathBuf,
    of_daemon: PathBuf,
    config: PathBuf,
    state: PathBuf,
}

impl Places {
    fn new(bench: &Bench, input: PathBuf) -> Result<Self, Failure> {
        let places = Self {
            input,
            of_fused: bench.directory.join("fused.ndjson"),
            of_daemon: bench.directory.join("daemon.ndjson"),
            config: bench.directory.join("files.yaml"),
            state: bench.directory.join("files.state"),
        };
        fs::write(&places.config, places.pipeline(bench))
            .map_err(Failure::io(format!("write {}", places.config.display())))?;
        Ok(places)
    }

    /// The hand-fused program's work as a pipeline. `sync: never`, because the other does not wait for the disk either.
    fn pipeline(&self, bench: &Bench) -> String {
        format!(
            "version: 1\n\
             plugins: {{ directories: ['{plugins}'] }}\n\
             state_directory: '{state}'\n\
             sources:\n  input: {{ plugin: file, settings: {{ path: '{input}' }} }}\n\
             stages:\n  plausible: {{ plugin: range, inputs: [input], settings: {{ min: -20, max: 124 }} }}\n  \
             fahrenheit: {{ plugin: convert, inputs: [plausible], settings: {{ to: degF }} }}\n\
             sinks:\n  output: {{ plugin: file, inputs: [fahrenheit], settings: {{ path: '{output}', sync: never }} }}\n",
            plugins = bench.release.display(),
            state = self.state.display(),
            input = self.input.display(),
            output = self.of_daemon.display(),
        )
    }

    fn fused(&self, bench: &Bench, output: Option<&Path>) -> Result<Cost, Failure> {
        let mut program = Command::new(bench.release.join("fused"));
        program.arg(&self.input);
        if let Some(output) = output {
            // Each run writes a new file: cutting an old one short would be measured with it.
            remove(output)?;
            program.arg(output);
        }
        let cost = bench.run(&mut program)?;
        let counts: Vec<u64> = cost.stdout.split_whitespace().flat_map(str::parse).collect();
        match counts.as_slice() {
            [read, _, 0] if *read == bench.records() => Ok(cost),
            _ => Err(Failure::Program(format!(
                "fused says `{}`: {} records read and none rejected were expected",
                cost.stdout.trim(),
                bench.records()
            ))),
        }
    }

    fn daemon(&self, bench: &Bench) -> Result<Cost, Failure> {
        remove(&self.of_daemon)?;
        // With its checkpoint it would have nothing to do.
        remove(&self.state)?;
        bench.run(bench.daemon().arg("run").arg(&self.config))
    }
}
