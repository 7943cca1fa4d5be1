//! The printed table: one line a figure, with its target where it has one. It is Markdown, so that `docs/benchmarks.md`
//! can hold it as it is.

use super::measure::Cores;
use crate::Failure;
use std::fs;

/// What a figure should be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    /// Larger is a miss.
    AtMost(f64),
    /// Smaller is a miss.
    AtLeast(f64),
    /// Only to compare others with.
    None,
}

/// Prints figures as they come and counts the misses.
pub(super) struct Report {
    met: usize,
    missed: usize,
    skipped: usize,
    failed: usize,
}

fn row(name: &str, measured: &str, target: &str, ratio: &str, mark: &str) {
    println!("| {name:<52} | {measured:>22} | {target:>14} | {ratio:>5} | {mark:<6} |");
}

impl Report {
    /// Prints the machine.
    pub(super) fn begin(core: Cores) -> Self {
        println!(
            "machine: {}, kernel {}; measured programs run on processor {core} only",
            processor(),
            kernel()
        );
        if let Some(busy) = load().filter(|load| *load > 0.5) {
            println!(
                "busy: the load average is {busy}, so believe ratios and processor times, not records/s"
            );
        }
        Self { met: 0, missed: 0, skipped: 0, failed: 0 }
    }

    /// Prints the table's head.
    pub(super) fn head() {
        println!();
        row("figure", "measured", "target", "ratio", "");
        println!("|---|---:|---:|---:|---|");
    }

    /// One figure. The ratio is measured to target. Without a value the runs gave none.
    pub(super) fn figure(&mut self, name: &str, value: Option<f64>, unit: &str, target: Target) {
        let Some(value) = value else {
            row(name, "unclear", "", "", "");
            return;
        };
        let (bound, aim, met) = match target {
            Target::AtMost(aim) => ("<=", aim, value <= aim),
            Target::AtLeast(aim) => (">=", aim, value >= aim),
            Target::None => {
                row(name, &format!("{} {unit}", number(value)), "", "", "");
                return;
            }
        };
        let mark = if met { "met" } else { "MISSED" };
        let aimed = format!("{bound} {}", number(aim));
        row(name, &format!("{} {unit}", number(value)), &aimed, &format!("{:.2}", value / aim), mark);
        if met {
            self.met += 1;
        } else {
            self.missed += 1;
        }
    }

    /// A part that cannot be measured here, and why not.
    pub(super) fn skipped(&mut self, name: &str, why: &str) {
        row(name, "skipped", "", "", why);
        self.skipped += 1;
    }

    /// A part that went wrong; those behind it are measured all the same.
    pub(super) fn failed(&mut self, name: &str, failure: &Failure) {
        row(name, "failed", "", "", "");
        eprintln!("{name}: {failure}");
        self.failed += 1;
    }

    /// Prints how many targets were met. Parts that went wrong are an error; missed targets are none, because a busy
    /// machine misses them.
    pub(super) fn end(self) -> Result<(), Failure> {
        println!("\n{} targets met, {} missed, {} parts skipped", self.met, self.missed, self.skipped);
        match self.failed {
            0 => Ok(()),
            failed => Err(Failure::Program(format!("{failed} parts of the bench failed; why is said above"))),
        }
    }
}

/// Something about the figures above or below it.
pub(super) fn note(text: &str) {
    row(text, "", "", "", "");
}

/// Three to four digits that matter.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 100.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

fn processor() -> String {
    let known = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let count = known.lines().filter(|line| line.starts_with("processor")).count();
    let model = known
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("unknown processor", |(_, model)| model.trim());
    format!("{count} x {model}")
}

fn kernel() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease")
        .map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

/// How many programs wanted a processor in the last minute.
fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}
