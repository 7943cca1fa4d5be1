//! What auditing costs: a write to a counter through the host's table, and the plumbing with its trail kept. And what it is
//! worth: after a thousand million writes the trail is read back and must stand for each of them.

use super::flow::{Flow, Took, Totals};
use super::measure::{Cost, median};
use super::report::{Report, Target, note};
use super::{Bench, plumbing, remove};
use crate::Failure;
use std::path::Path;
use std::process::Command;

/// With the thread that keeps the trail on the same processor.
const WRITE_NS: Target = Target::AtMost(3.0);
/// Speed with the trail kept for that without.
const KEPT_TO_NOT: Target = Target::AtLeast(0.97);

pub(super) fn audit(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    let linked = plumbing::build_linked(bench)?;
    let trail = bench.directory.join("audit.trail");
    let writes: u64 = if bench.options.quick { 100_000_000 } else { 1_000_000_000 };
    let (mut kept, mut not_kept, mut entries) = (Vec::new(), Vec::new(), 0);
    for _ in 0..bench.options.runs.min(3) {
        remove(&trail)?;
        let with =
            Tally::of(&bench.run(&mut command(&linked, "writes", &writes.to_string(), Some(&trail)))?)?;
        let without = Tally::of(&bench.run(&mut command(&linked, "writes", &writes.to_string(), None))?)?;
        with.expect_whole(writes)?;
        kept.push(with.ns);
        not_kept.push(without.ns);
        entries = with.entries;
    }
    report.figure("audit: a write, trail kept", median(kept), "ns", WRITE_NS);
    report.figure("audit: a write, no trail", median(not_kept), "ns", Target::None);
    note(&format!("{writes} writes: {entries} entries in the trail, whose counts add up to each of them"));
    let ratio = plumbing_ratio(bench, &linked, &trail)?;
    report.figure("audit: plumbing, trail kept to not kept, median of pairs", ratio, "x", KEPT_TO_NOT);
    remove(&trail)
}

fn plumbing_ratio(bench: &Bench, linked: &Path, trail: &Path) -> Result<Option<f64>, Failure> {
    let records: u32 = if bench.options.quick { 200_000_000 } else { 1_000_000_000 };
    let flows = [plumbing::flow(bench, "audit", records)?, plumbing::flow(bench, "audit-start", 1)?];
    let mut ratios = Vec::new();
    for _ in 0..bench.options.runs {
        let with = run(bench, &flows, linked, Some(trail))?;
        let without = run(bench, &flows, linked, None)?;
        with.totals.expect(u64::from(records))?;
        ratios.push(without.cpu_s / with.cpu_s);
    }
    Ok(median(ratios))
}

fn run(
    bench: &Bench,
    [whole, start]: &[Flow; 2],
    linked: &Path,
    trail: Option<&Path>,
) -> Result<Took, Failure> {
    let run = |flow: &Flow| {
        flow.forget()?;
        trail.map_or(Ok(()), remove)?;
        bench.run(&mut command(linked, "run", &flow.config.display().to_string(), trail))
    };
    let (whole, start) = (run(whole)?, run(start)?);
    let delivered = whole.stdout.trim().parse().unwrap_or(0);
    Ok(Took::between(&whole, &start, Totals { delivered, rejected: 0 }))
}

fn command(linked: &Path, what: &str, argument: &str, trail: Option<&Path>) -> Command {
    let mut command = Command::new(linked);
    command.args([what, argument]).args(trail);
    command
}

/// What the program says of its writes.
struct Tally {
    ns: f64,
    written: u64,
    entries: u64,
    /// By the entries.
    counted: u64,
}

impl Tally {
    fn of(cost: &Cost) -> Result<Self, Failure> {
        let words: Vec<&str> = cost.stdout.split_whitespace().collect();
        let unclear = || Failure::Program(format!("`{}` is no account of writes", cost.stdout.trim()));
        let [ns, written, entries, counted] = words.as_slice() else {
            return Err(unclear());
        };
        let count = |word: &str| word.parse().map_err(|_| unclear());
        Ok(Self {
            ns: ns.parse().map_err(|_| unclear())?,
            written: count(written)?,
            entries: count(entries)?,
            counted: count(counted)?,
        })
    }

    /// The trail has the host's own metrics as well, which are a few writes.
    fn expect_whole(&self, wanted: u64) -> Result<(), Failure> {
        let Self { written, counted, .. } = self;
        if *written >= wanted && counted >= written && counted - written < 10_000 {
            return Ok(());
        }
        Err(Failure::Program(format!("{written} writes were done, and the trail stands for {counted}")))
    }
}
