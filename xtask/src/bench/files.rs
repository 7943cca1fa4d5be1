//! NDJSON file -> range -> convert -> NDJSON file: the daemon against the hand-fused program.

use super::flow::{Flow, Steady, Took, file_source};
use super::input::{self, Form, SENSORS};
use super::measure::{Cores, Cost, median};
use super::report::{Report, Target, note};
use super::{Bench, remove, same};
use crate::Failure;
use std::path::{Path, PathBuf};
use std::process::Command;

/// CPU-seconds of the daemon for those of the hand-fused program.
const RATIO: Target = Target::AtMost(1.25);
const PER_SECOND_ON_ONE: Target = Target::AtLeast(7e6);
const PER_SECOND_ON_TWO: Target = Target::AtLeast(12e6);
const RSS_MIB: Target = Target::AtMost(20.0);

pub(super) fn files(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    let places = Places::new(bench)?;
    let one = places.flow(bench, "files", "")?;
    if let Some(why) = one.refusal(bench)? {
        report.skipped("files: all of it", &why);
        return Ok(());
    }
    let two = Two::new(bench, &places)?;
    let (mut fused, mut parsed) = (Vec::new(), Vec::new());
    let (mut on_one, mut on_two) = (Vec::new(), Vec::new());
    for _ in 0..bench.options.runs {
        fused.push(places.fused(bench, Some(&places.of_fused))?);
        parsed.push(places.fused(bench, None)?);
        on_one.push(places.daemon(bench, &one, bench.core)?);
        if let Two::Measured(flow, cores) = &two {
            on_two.push(places.daemon(bench, flow, *cores)?);
        }
    }
    // Of the last run: on two processors, if there are two.
    let compared = same::compare(&places.of_fused, &places.of_daemon)?;

    let per_million = 1e6 / bench.records_f64();
    let by_hand = |costs: &[Cost]| median(costs.iter().map(|cost| cost.cpu.as_secs_f64() * per_million));
    let cpu = |runs: &[Took]| median(runs.iter().map(|took| took.cpu_s * per_million));
    let ratio = |runs: &[Took]| {
        median(runs.iter().zip(&fused).map(|(took, fused)| took.cpu_s / fused.cpu.as_secs_f64()))
    };
    let speed = |runs: &[Took]| median(runs.iter().map(|took| bench.records_f64() / took.wall_s));
    let memory = |runs: &[Took]| runs.iter().map(|took| took.max_rss).max().map(super::mib);

    report.figure("files: hand-fused, read and parse only", by_hand(&parsed), "CPU-s/M", Target::None);
    report.figure("files: hand-fused, whole", by_hand(&fused), "CPU-s/M", Target::None);
    report.figure("files: daemon", cpu(&on_one), "CPU-s/M", Target::None);
    report.figure("files: daemon to hand-fused", ratio(&on_one), "x", RATIO);
    report.figure("files: daemon, one core", speed(&on_one), "records/s", PER_SECOND_ON_ONE);
    let by_cpu = median(on_one.iter().map(|took| bench.records_f64() / took.cpu_s));
    report.figure("files: daemon, by processor time", by_cpu, "records/CPU-s", Target::None);
    report.figure("files: daemon, one core, most memory", memory(&on_one), "MiB", RSS_MIB);
    match two {
        Two::Impossible(why) => report.skipped("files: on two cores", &why),
        Two::Measured(..) => {
            report.figure("files: daemon, two cores", speed(&on_two), "records/s", PER_SECOND_ON_TWO);
            report.figure("files: two cores, daemon to hand-fused", ratio(&on_two), "x", Target::None);
            report.figure("files: daemon, two cores, most memory", memory(&on_two), "MiB", RSS_MIB);
        }
    }
    let start = median(on_one.iter().map(|took| took.start_cpu_s * 1e3));
    report.figure("files: start and end of the daemon, not counted", start, "CPU-ms", Target::None);
    note(&format!("outputs of the hand-fused program and the daemon: {compared}"));
    Ok(())
}

/// The run on two processors.
enum Two {
    Measured(Box<Steady>, Cores),
    Impossible(String),
}

impl Two {
    fn new(bench: &Bench, places: &Places) -> Result<Self, Failure> {
        let Some(cores) = Cores::last(2)? else {
            return Ok(Self::Impossible("there is one processor only".to_owned()));
        };
        let flow = places.flow(bench, "files-two", ", threads: auto")?;
        Ok(match flow.refusal(bench)? {
            Some(why) => Self::Impossible(why),
            None => Self::Measured(Box::new(flow), cores),
        })
    }
}

/// The files of this bench.
struct Places {
    input: PathBuf,
    first: PathBuf,
    of_fused: PathBuf,
    of_daemon: PathBuf,
}

impl Places {
    fn new(bench: &Bench) -> Result<Self, Failure> {
        let input = |records| input::readings(&bench.directory, Form::Ndjson, records, SENSORS);
        Ok(Self {
            input: input(bench.records())?,
            first: input(1)?,
            of_fused: bench.directory.join("fused.ndjson"),
            of_daemon: bench.directory.join("daemon.ndjson"),
        })
    }

    fn flow(&self, bench: &Bench, name: &str, more: &str) -> Result<Steady, Failure> {
        let flow = |name: &str, input: &Path, output: &Path| {
            Flow::new(bench, name, &Self::pipeline(input, output, more))
        };
        let nothing = bench.directory.join("start.ndjson");
        Ok(Steady::new(
            flow(name, &self.input, &self.of_daemon)?,
            flow(&format!("{name}-start"), &self.first, &nothing)?,
        ))
    }

    /// The hand-fused program's work as a pipeline. `sync: never`, because the other does not wait for the disk either.
    fn pipeline(input: &Path, output: &Path, more: &str) -> String {
        format!(
            "{}\
             stages:\n  plausible: {{ plugin: range, inputs: [input], settings: {{ min: -20, max: 124 }} }}\n  \
             fahrenheit: {{ plugin: convert, inputs: [plausible], settings: {{ to: degF }} }}\n\
             sinks:\n  output: {{ plugin: file, inputs: [fahrenheit], settings: {{ path: '{}', sync: never }} }}\n",
            file_source("input", input, more),
            output.display(),
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

    fn daemon(&self, bench: &Bench, flow: &Steady, cores: Cores) -> Result<Took, Failure> {
        remove(&self.of_daemon)?;
        flow.run(bench, cores)
    }
}
