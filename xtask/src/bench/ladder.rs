//! The ladder: what checking one plugin costs, cold and with a verdict that is known, and how soon a pipeline runs.

use super::measure::{Running, median};
use super::report::{Report, Target, note};
use super::{Bench, remove};
use crate::Failure;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Without the start of the vetting child.
const COLD_MS: Target = Target::AtMost(2.0);
const CACHED_MS: Target = Target::AtMost(0.3);
/// From the start of the program until the first record is out.
const START_MS: Target = Target::AtMost(30.0);
/// The vetting of one plugin in all.
const VETTED_MS: Target = Target::AtMost(5.0);
/// Copies of one stage under names of their own: with source and sink, 20 plugins.
const COPIES: usize = 18;
const MANY: u32 = 8;
const FEW: u32 = 2;

pub(super) fn ladder(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    let few = Pipeline::new(bench, "few", FEW_YAML, &["source_generate", "sink_blackhole"])?;
    let many = Pipeline::new(
        bench,
        "many",
        MANY_YAML,
        &[
            "source_generate",
            "source_file",
            "stage_range",
            "stage_convert",
            "stage_sample",
            "sink_file",
            "sink_stdout",
            "sink_blackhole",
        ],
    )?;
    let plugin = bench.release.join("libcardcage_stage_range.so");
    let twenty = Pipeline::new(bench, "twenty", &twenty_yaml(), &["source_generate", "sink_stdout"])?;
    twenty.add_copies(&plugin)?;
    let (mut own, mut child, mut vetted, mut spent, mut idle) = (vec![], vec![], vec![], vec![], vec![]);
    let (mut with_many, mut with_few, mut known, mut unknown) = (vec![], vec![], vec![], vec![]);
    for _ in 0..bench.options.runs * 5 {
        let rungs = rungs(bench, &plugin)?;
        own.push(rungs.own_ms);
        child.push(rungs.child_ms);
        vetted.push(rungs.own_ms + rungs.child_ms);
        // Processor time, and differences of medians: of single runs they drown in what else the machine does.
        spent.push(milliseconds(rungs.cpu));
        idle.push(milliseconds(bench.run(bench.daemon().arg("--version"))?.cpu));
        with_many.push(many.check_again_ms(bench)?);
        with_few.push(few.check_again_ms(bench)?);
        known.push(twenty.first_record_ms(bench)?);
    }
    for _ in 0..bench.options.runs {
        twenty.forget()?;
        unknown.push(twenty.first_record_ms(bench)?);
    }
    let more = |with: Vec<f64>, without: Vec<f64>, by: f64| {
        let each = median(with).zip(median(without)).map(|(with, without)| (with - without) / by);
        each.filter(|ms| *ms > 0.0)
    };
    let cached = more(with_many, with_few, f64::from(MANY - FEW));
    let mut both = |name: &str, ms: Vec<f64>, target| {
        report.figure(&format!("ladder: {name}"), median(ms.iter().copied()), "ms", target);
        report.figure("  the least of the runs", least(ms), "ms", target);
    };
    both("one plugin, cold, without the child", own, COLD_MS);
    both("start and end of the vetting child", child, Target::None);
    both("one plugin, cold, with the child", vetted, VETTED_MS);
    both("start to first record, 20 plugins", known, START_MS);
    both("the same, no verdict known", unknown, Target::None);
    report.figure("ladder: one plugin, cold, all of it", more(spent, idle, 1.0), "CPU-ms", VETTED_MS);
    report.figure("ladder: one more plugin, verdict known", cached, "CPU-ms", CACHED_MS);
    note("all on one processor: with more of them, plugins are vetted side by side");
    Ok(())
}

/// What is left of the time when nothing else wants the processor.
fn least(values: Vec<f64>) -> Option<f64> {
    values.into_iter().min_by(f64::total_cmp)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// What `plugin check` says of a file.
struct Rungs {
    /// All rungs but the vetting, which runs some of the others.
    own_ms: f64,
    /// The vetting without what ran in it.
    child_ms: f64,
    /// Processor time of the whole program, and of the child.
    cpu: Duration,
}

fn rungs(bench: &Bench, plugin: &Path) -> Result<Rungs, Failure> {
    let cost = bench.run(bench.daemon().args(["plugin", "check", "--format", "json"]).arg(plugin))?;
    let mut times = Vec::new();
    // The program's own JSON, one field a line or not: `"micros": 12` behind `"rung": 3`.
    for part in cost.stdout.split("\"rung\":").skip(1) {
        let micros = part.split("\"micros\":").nth(1).and_then(leading_number);
        if let (Some(rung), Some(micros)) = (leading_number(part), micros) {
            times.push((rung, micros));
        }
    }
    let sum = |wanted: &dyn Fn(f64) -> bool| {
        times.iter().filter(|(rung, _)| wanted(*rung)).map(|(_, micros)| micros).sum::<f64>() / 1e3
    };
    let is = |number: f64| move |rung: f64| (rung - number).abs() < 0.5;
    if times.len() < 10 {
        let message = format!("`plugin check` timed {} rungs of 10:\n{}", times.len(), cost.stdout);
        return Err(Failure::Program(message));
    }
    Ok(Rungs {
        own_ms: sum(&|rung| !is(4.0)(rung)),
        child_ms: sum(&is(4.0)) - sum(&|rung| rung > 4.5),
        cpu: cost.cpu,
    })
}

fn leading_number(text: &str) -> Option<f64> {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

/// A pipeline with a plugin folder of its own, because every library in the folder is looked at.
struct Pipeline {
    config: PathBuf,
    output: PathBuf,
}

impl Pipeline {
    fn new(bench: &Bench, name: &str, body: &str, plugins: &[&str]) -> Result<Self, Failure> {
        let directory = bench.directory.join(format!("ladder-{name}"));
        remove(&directory)?;
        let failed = |what: &Path| Failure::io(format!("write {}", what.display()));
        fs::create_dir_all(directory.join("plugins")).map_err(failed(&directory))?;
        // `check` makes none, and remembers verdicts only where there is one.
        fs::create_dir(directory.join("state")).map_err(failed(&directory))?;
        for plugin in plugins {
            let file = format!("libcardcage_{plugin}.so");
            let copy = directory.join("plugins").join(&file);
            fs::copy(bench.release.join(&file), &copy).map_err(failed(&copy))?;
        }
        let (config, input) = (directory.join("pipeline.yaml"), directory.join("input.ndjson"));
        fs::write(&input, "").map_err(failed(&input))?;
        let head = "version: 1\nplugins: { directories: [plugins] }\nstate_directory: state\n";
        fs::write(&config, format!("{head}{body}")).map_err(failed(&config))?;
        Ok(Self { config, output: directory.join("output.ndjson") })
    }

    /// Adds libraries that differ from `plugin` in the name that they give themselves, and so are plugins of their own.
    fn add_copies(&self, plugin: &Path) -> Result<(), Failure> {
        let bytes = fs::read(plugin).map_err(Failure::io(format!("read {}", plugin.display())))?;
        for number in 0..COPIES {
            let mut copy = bytes.clone();
            // The plugin's own name comes before its component's, in the note and in the data that it is compared with.
            let named = replace(&mut copy, br#"1,"name":"range","version""#, &copy_name(number));
            // A file with other bytes than its linker wrote is refused where it can be told who linked it.
            replace(&mut copy, b"Linker: LLD", b"Linker: lld");
            if named != 2 {
                let message = format!("{} names itself {named} times, and not twice", plugin.display());
                return Err(Failure::Program(message));
            }
            let file = self.config.with_file_name("plugins").join(format!("libcopy{number:02}.so"));
            fs::write(&file, copy).map_err(Failure::io(format!("write {}", file.display())))?;
        }
        Ok(())
    }

    /// Forgets the verdicts.
    fn forget(&self) -> Result<(), Failure> {
        remove(&self.config.with_file_name("state"))
    }

    /// Milliseconds of processor time for `check` when all verdicts are known, because it ran before.
    fn check_again_ms(&self, bench: &Bench) -> Result<f64, Failure> {
        bench.run(bench.daemon().arg("check").arg(&self.config))?;
        let cost = bench.run(bench.daemon().arg("check").arg(&self.config))?;
        Ok(milliseconds(cost.cpu))
    }

    /// Milliseconds of a run from its start until its sink has written the first byte.
    fn first_record_ms(&self, bench: &Bench) -> Result<f64, Failure> {
        remove(&self.output)?;
        let mut command = bench.daemon();
        let command = command.arg("run").arg(&self.config).stdout(Stdio::piped());
        let started = Instant::now();
        let mut program = Running::start(bench.core, &bench.stderr(), command)?;
        let mut first = [0];
        let read = program.stdout().map(|mut pipe| {
            let read = pipe.read(&mut first);
            let elapsed = started.elapsed();
            // To its end, or the program writes into a pipe that nobody reads.
            pipe.read_to_end(&mut Vec::new()).and(read).map(|bytes| (bytes, elapsed))
        });
        program.wait()?;
        match read {
            Some(Ok((1, elapsed))) => Ok(milliseconds(elapsed)),
            other => Err(Failure::Program(format!("the run gave no record: {other:?}"))),
        }
    }
}

/// What stands in the copy's manifest for the name; as long as what stands there before.
fn copy_name(number: usize) -> Vec<u8> {
    format!(r#"1,"name":"rng{number:02}","version""#).into_bytes()
}

/// Writes over each place; how many there were.
fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) -> usize {
    let mut places = 0;
    let last = bytes.len().saturating_sub(from.len());
    for at in 0..last {
        if bytes[at..].starts_with(from) {
            bytes[at..at + to.len()].copy_from_slice(to);
            places += 1;
        }
    }
    places
}

fn twenty_yaml() -> String {
    let stage = |number: usize| {
        let input =
            number.checked_sub(1).map_or_else(|| "made".to_owned(), |before| format!("stage{before}"));
        format!(
            "  stage{number}: {{ plugin: rng{number:02}, inputs: [{input}], settings: {{ min: -50 }} }}\n"
        )
    };
    let stages: String = (0..COPIES).map(stage).collect();
    let last = COPIES - 1;
    format!(
        "sources:\n  made: {{ plugin: generate, settings: {{ count: 1 }} }}\nstages:\n{stages}sinks:\n  shown: {{ plugin: \
         stdout, inputs: [stage{last}] }}\n"
    )
}

const FEW_YAML: &str = "\
sources:
  made: { plugin: generate, settings: { count: 1 } }
sinks:
  nowhere: { plugin: blackhole, inputs: [made] }
";

/// All plugins of the project but `host`, which never finishes.
const MANY_YAML: &str = "\
sources:
  made: { plugin: generate, settings: { count: 1, unit: degC } }
  read: { plugin: file, settings: { path: input.ndjson } }
stages:
  plausible: { plugin: range, inputs: [made, read], settings: { min: -50 } }
  fahrenheit: { plugin: convert, inputs: [plausible], settings: { to: degF } }
  some: { plugin: sample, inputs: [fahrenheit], settings: { every: 1 } }
sinks:
  written: { plugin: file, inputs: [some], settings: { path: output.ndjson } }
  shown: { plugin: stdout, inputs: [some] }
  nowhere: { plugin: blackhole, inputs: [some] }
";
