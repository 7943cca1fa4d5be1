//! What a record costs as pipelines get longer, sensors more and files smaller: flat, or explained.

use super::flow::{Flow, Steady, file_source};
use super::input::{self, Form, SENSORS};
use super::measure::median;
use super::report::{Report, Target, note};
use super::{Bench, remove};
use crate::Failure;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

const COMPONENTS: [u64; 7] = [1, 2, 4, 8, 16, 32, 64];
const FILES: [u64; 5] = [1, 10, 100, 1_000, 10_000];
const NUMBERS_OF_SENSORS: [u64; 6] = [10, 100, 1_000, 10_000, 100_000, 1_000_000];
/// How often each step runs: what is looked for is a bend, not a percent.
const RUNS: usize = 3;

pub(super) fn growth(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    let growth = Growth { bench, quick: if bench.options.quick { 10 } else { 1 } };
    growth.chain(report)?;
    growth.fan_out(report)?;
    growth.sensors_made(report)?;
    growth.sensors_read(report)?;
    growth.files(report)
}

struct Growth<'a> {
    bench: &'a Bench,
    /// By how much fewer the records are.
    quick: u64,
}

/// What a step costs.
struct Step {
    /// How many there are of what grows.
    size: u64,
    /// CPU time of a record, by what is divided through, in nanoseconds.
    cost_ns: f64,
    /// Of the run that was subtracted.
    start_cpu_s: f64,
}

impl Growth<'_> {
    /// More stages on one lane: each should cost what the first did.
    fn chain(&self, report: &mut Report) -> Result<(), Failure> {
        let mut steps = Vec::new();
        for stages in COMPONENTS {
            // As many calls at each step.
            let records = 400_000_000 / self.quick / (stages + 2);
            let mut body = String::from("stages:\n");
            for stage in 0..stages {
                let input = stage.checked_sub(1).map_or("made".to_owned(), |before| format!("s{before}"));
                let _ = writeln!(
                    body,
                    "  s{stage}: {{ plugin: range, inputs: [{input}], settings: {{ min: -50 }} }}"
                );
            }
            let _ = write!(body, "sinks:\n  nowhere: {{ plugin: blackhole, inputs: [s{}] }}\n", stages - 1);
            let made = |count: u64| made(count, 10) + &body;
            let flow = self.steady("chain", &made(records), &made(1))?;
            // Source and sink count, too.
            steps.push(self.step(&flow, stages, records, records * (stages + 2))?);
        }
        print(report, "chain of stages", "a record and component", &steps);
        Ok(())
    }

    /// More sinks behind one source: each has a queue and a thread, and gets a copy of every batch.
    fn fan_out(&self, report: &mut Report) -> Result<(), Failure> {
        let mut steps = Vec::new();
        for sinks in COMPONENTS {
            let records = 100_000_000 / self.quick / (sinks + 1);
            let mut body = String::from("sinks:\n");
            for sink in 0..sinks {
                let _ = writeln!(body, "  s{sink}: {{ plugin: blackhole, inputs: [made] }}");
            }
            let made = |count: u64| made(count, 10) + &body;
            // The start makes half of them: before the queues have been full once, each batch is memory that is new.
            let flow = self.steady("fan-out", &made(records * 2), &made(records))?;
            steps.push(self.step(&flow, sinks, records * 2 * sinks, records * (sinks + 1))?);
        }
        print(report, "fan-out to sinks", "a record and component", &steps);
        Ok(())
    }

    /// More sensors, made: nothing is looked up per record, so nothing should grow.
    fn sensors_made(&self, report: &mut Report) -> Result<(), Failure> {
        let mut steps = Vec::new();
        for sensors in NUMBERS_OF_SENSORS {
            let records = 200_000_000 / self.quick;
            let stages = "stages:\n  plausible: { plugin: range, inputs: [made], settings: { min: -50 } }\n";
            let body = |count| made(count, sensors) + stages + &nowhere("plausible");
            let flow = self.steady("sensors-made", &body(records), &body(1))?;
            steps.push(self.step(&flow, sensors, records, records)?);
        }
        print(report, "sensors, made", "a record", &steps);
        Ok(())
    }

    /// More sensors, read from a file: each name is looked up among all of them.
    fn sensors_read(&self, report: &mut Report) -> Result<(), Failure> {
        let (mut steps, mut by_hand) = (Vec::new(), Vec::new());
        for sensors in NUMBERS_OF_SENSORS {
            // The start reads the first half, in which every name comes, so that none is new in what is left.
            let half = sensors.max(2_000_000 / self.quick);
            let path = |records| input::rounds(&self.bench.directory, records, sensors);
            let (first, whole) = (path(half)?, path(half * 2)?);
            let body = |path: &Path| file_source("input", path, "") + &nowhere("input");
            let flow = self.steady("sensors-read", &body(&whole), &body(&first))?;
            let step = self.step(&flow, sensors, half * 2, half)?;
            by_hand.push(Step {
                size: sensors,
                cost_ns: self.by_hand(&first, &whole, half)?,
                start_cpu_s: 0.0,
            });
            let new_us = (step.start_cpu_s * 1e9 - step.cost_ns * float(half)) / float(sensors) / 1e3;
            steps.push(step);
            [first, whole].iter().try_for_each(|path| remove(path))?;
            if sensors == 1_000_000 {
                report.figure("growth: a name that is new", Some(new_us), "CPU-us", Target::None);
            }
        }
        print(report, "sensors, read from NDJSON", "a record", &steps);
        print(report, "sensors, hand-fused", "a record", &by_hand);
        note(
            "of names that have come before; one that is new is the figure above these. What the hand-fused program's",
        );
        note(
            "cost grows by is the memory's: its table has one look for a name, and does not fit into a cache either",
        );
        Ok(())
    }

    /// The hand-fused program on the same, in nanoseconds a record.
    fn by_hand(&self, first: &Path, whole: &Path, records: u64) -> Result<f64, Failure> {
        let run = |input: &Path| {
            let program = self.bench.release.join("fused");
            Ok::<_, Failure>(self.bench.run(Command::new(program).arg("ndjson").arg(input))?.cpu)
        };
        let mut costs = Vec::new();
        for _ in 0..RUNS.min(self.bench.options.runs) {
            let took = run(whole)?.saturating_sub(run(first)?);
            costs.push(took.as_secs_f64() * 1e9 / float(records));
        }
        Ok(median(costs).unwrap_or(f64::NAN))
    }

    /// The same records in more files: opening one is shared by ever fewer records.
    fn files(&self, report: &mut Report) -> Result<(), Failure> {
        let records = 2_000_000 / self.quick;
        let first = input::readings(&self.bench.directory, Form::Ndjson, 1, SENSORS)?;
        let start = file_source("input", &first, "") + &nowhere("input");
        let mut steps = Vec::new();
        for files in FILES {
            let folder = input::folder(&self.bench.directory, records, files)?;
            let whole = file_source("input", &folder.join("*.ndjson"), "") + &nowhere("input");
            let flow = self.steady("many-files", &whole, &start)?;
            match self.step(&flow, files, records, records) {
                Ok(step) => steps.push(step),
                Err(Failure::Program(why)) if steps.is_empty() => {
                    report.skipped(
                        "growth: files",
                        why.lines().find(|line| line.contains("error")).unwrap_or(&why),
                    );
                    return remove(&folder);
                }
                Err(other) => return Err(other),
            }
            remove(&folder)?;
        }
        print(report, "files", "a record", &steps);
        if let [first, .., last] = steps.as_slice() {
            let each_us = (last.cost_ns - first.cost_ns) * float(records) / float(last.size) / 1e3;
            report.figure("growth: one more file", Some(each_us), "CPU-us", Target::None);
        }
        Ok(())
    }

    fn steady(&self, name: &str, whole: &str, start: &str) -> Result<Steady, Failure> {
        let whole = Flow::new(self.bench, &format!("growth-{name}"), whole)?;
        Ok(Steady::new(whole, Flow::new(self.bench, &format!("growth-{name}-start"), start)?))
    }

    /// Runs one size. `delivered` is what its sinks must get in all, `shares` through what its cost is divided.
    fn step(&self, flow: &Steady, size: u64, delivered: u64, shares: u64) -> Result<Step, Failure> {
        if let Some(why) = flow.refusal(self.bench)? {
            return Err(Failure::Program(format!("the daemon refuses a pipeline of the bench: {why}")));
        }
        let (mut costs, mut starts) = (Vec::new(), Vec::new());
        for _ in 0..RUNS.min(self.bench.options.runs) {
            let took = flow.run(self.bench, self.bench.core)?;
            took.totals.expect(delivered)?;
            costs.push(took.cpu_s * 1e9 / float(shares));
            starts.push(took.start_cpu_s);
        }
        let (cost_ns, start_cpu_s) = (median(costs).unwrap_or(f64::NAN), median(starts).unwrap_or(f64::NAN));
        Ok(Step { size, cost_ns, start_cpu_s })
    }
}

/// One line a size, then how the last compares with the first.
fn print(report: &mut Report, what: &str, share: &str, steps: &[Step]) {
    for step in steps {
        let name = format!("growth: {what}, {}", step.size);
        report.figure(&name, Some(step.cost_ns), &format!("CPU-ns {share}"), Target::None);
    }
    if let [first, .., last] = steps {
        let name = format!("growth: {what}, {} to {}", last.size, first.size);
        report.figure(&name, Some(last.cost_ns / first.cost_ns), "x", Target::None);
    }
}

fn made(count: u64, sensors: u64) -> String {
    format!(
        "sources:\n  made: {{ plugin: generate, settings: {{ count: {count}, sensors: {sensors}, waveform: constant, \
         unit: degC, start: 0 }} }}\n"
    )
}

fn nowhere(input: &str) -> String {
    format!("sinks:\n  nowhere: {{ plugin: blackhole, inputs: [{input}] }}\n")
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}
