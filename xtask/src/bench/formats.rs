//! A file of each format -> blackhole: the daemon against a program written by hand for that format alone.

use super::flow::{Flow, Steady, Took, file_source};
use super::input::{self, Form, SENSORS};
use super::measure::{Cost, median};
use super::report::{Report, Target, note};
use super::{Bench, remove, same};
use crate::Failure;
use std::path::Path;
use std::process::Command;

/// CPU-seconds of the daemon for those of the hand-fused program.
const RATIO: Target = Target::AtMost(1.25);
const NDJSON_PER_SECOND: Target = Target::AtLeast(14e6);
const UNUSUAL_PER_SECOND: Target = Target::AtLeast(3e6);
/// What is compared record by record: enough to see every sensor often.
const COMPARED: u64 = 50_000;

struct Case {
    name: &'static str,
    form: Form,
    /// What the hand-fused program calls it, and the target of speed.
    fused: &'static str,
    per_second: Target,
}

const CASES: &[Case] = &[
    Case { name: "ndjson", form: Form::Ndjson, fused: "ndjson", per_second: NDJSON_PER_SECOND },
    Case { name: "csv", form: Form::Csv, fused: "csv", per_second: Target::None },
    Case { name: "line protocol", form: Form::LineProtocol, fused: "lp", per_second: Target::None },
];

pub(super) fn formats(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    CASES.iter().try_for_each(|case| measure(bench, report, case))
}

fn measure(bench: &Bench, report: &mut Report, case: &Case) -> Result<(), Failure> {
    let title = |what: &str| format!("formats: {}, {what}", case.name);
    let flow = flow(bench, case.form)?;
    if let Some(why) = flow.refusal(bench)? {
        report.skipped(&title("all of it"), &why);
        return Ok(());
    }
    let like = fused(bench, case.fused, &input::readings(&bench.directory, case.form, COMPARED, SENSORS)?)?;
    compare(bench, case.form, like.stdout.trim())?;
    let input = input::readings(&bench.directory, case.form, bench.records(), SENSORS)?;
    let (mut by_hand, mut daemon) = (Vec::new(), Vec::new());
    for _ in 0..bench.options.runs {
        by_hand.push(fused(bench, case.fused, &input)?);
        daemon.push(run(bench, &flow)?);
    }
    let per_million = 1e6 / bench.records_f64();
    let pairs = daemon.iter().zip(&by_hand);
    let ratio = median(pairs.map(|(daemon, by_hand)| daemon.cpu_s / by_hand.cpu.as_secs_f64()));
    let by_hand = median(by_hand.iter().map(|cost| cost.cpu.as_secs_f64() * per_million));
    report.figure(&title("hand-fused"), by_hand, "CPU-s/M", Target::None);
    let cpu = median(daemon.iter().map(|took| took.cpu_s * per_million));
    report.figure(&title("daemon"), cpu, "CPU-s/M", Target::None);
    report.figure(&title("daemon to hand-fused"), ratio, "x", RATIO);
    speed(bench, report, &title, &daemon, case.per_second);
    Ok(())
}

/// The same readings as the plain file has, written in every legal way.
pub(super) fn unusual(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    let title = |what: &str| format!("unusual NDJSON: {what}");
    let flow = flow(bench, Form::Unusual)?;
    if let Some(why) = flow.refusal(bench)? {
        report.skipped(&title("all of it"), &why);
        return Ok(());
    }
    let plain = input::readings(&bench.directory, Form::Ndjson, COMPARED, SENSORS)?;
    compare(bench, Form::Unusual, fused(bench, "ndjson", &plain)?.stdout.trim())?;
    let runs = (0..bench.options.runs).map(|_| run(bench, &flow)).collect::<Result<Vec<_>, _>>()?;
    speed(bench, report, &title, &runs, UNUSUAL_PER_SECOND);
    note(
        "keys in any order, a third of the names with escapes, every other line with an object that nobody asked for",
    );
    Ok(())
}

fn speed(bench: &Bench, report: &mut Report, title: &dyn Fn(&str) -> String, runs: &[Took], target: Target) {
    let rate =
        |seconds: fn(&Took) -> f64| median(runs.iter().map(|took| bench.records_f64() / seconds(took)));
    report.figure(&title("daemon, one core"), rate(|took| took.wall_s), "records/s", target);
    report.figure(
        &title("daemon, by processor time"),
        rate(|took| took.cpu_s),
        "records/CPU-s",
        Target::None,
    );
}

fn flow(bench: &Bench, form: Form) -> Result<Steady, Failure> {
    let name = format!("{form:?}").to_lowercase();
    let flow = |name: &str, records: u64| {
        let input = input::readings(&bench.directory, form, records, SENSORS)?;
        let sink = "sinks:\n  nowhere: { plugin: blackhole, inputs: [input] }\n";
        Flow::new(bench, name, &(file_source("input", &input, "") + sink))
    };
    Ok(Steady::new(flow(&name, bench.records())?, flow(&format!("{name}-start"), 1)?))
}

fn run(bench: &Bench, flow: &Steady) -> Result<Took, Failure> {
    let took = flow.run(bench, bench.core)?;
    took.totals.expect(bench.records())?;
    Ok(took)
}

fn fused(bench: &Bench, what: &str, input: &Path) -> Result<Cost, Failure> {
    bench.run(Command::new(bench.release.join("fused")).arg(what).arg(input))
}

/// Has the daemon write what it read of a smaller input; an error if that is not what the other program read.
fn compare(bench: &Bench, form: Form, expected: &str) -> Result<(), Failure> {
    let input = input::readings(&bench.directory, form, COMPARED, SENSORS)?;
    let output = bench.directory.join("compared.ndjson");
    remove(&output)?;
    let sink = format!(
        "sinks:\n  output: {{ plugin: file, inputs: [input], settings: {{ path: '{}', sync: never }} }}\n",
        output.display()
    );
    Flow::new(bench, "compared", &(file_source("input", &input, "") + &sink))?.run(bench, bench.core)?;
    let found = same::sum(&output)?;
    if found == expected {
        return Ok(());
    }
    Err(Failure::Program(format!(
        "of {} the daemon read `{found}`, the hand-fused program `{expected}` (records, rejected, sums)",
        input.display()
    )))
}
