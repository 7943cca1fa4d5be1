//! `cardcage plugin check FILE`.

#![forbid(unsafe_code)]

use super::{Answer, Format, text};
use crate::loader::climb::{self, Candidate, Stopwatch};
use crate::loader::libraries::SystemLibraries;
use crate::loader::probe::Probed;
use crate::loader::refusal::{Refusal, Rung};
use crate::loader::vetting::Vetting;
use crate::loader::vetting::report::Verdict;
use serde::Serialize;
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Climbs the ladder with each file, also after one was refused. Nothing is taken from the cache: whoever asks wants to
/// know how it is now. One file gives its report; several give a list of reports, and a count.
pub(super) fn run(files: &[PathBuf], deadline: Duration, format: Format) -> Answer {
    let files: Vec<PathBuf> = files.iter().flat_map(|file| libraries_of(file)).collect();
    let reports: Vec<Report> = files.iter().map(|file| climb(file, deadline)).collect();
    let refused: Vec<&Report> = reports.iter().filter(|report| report.refusal.is_some()).collect();
    let text = match (format, reports.as_slice()) {
        (Format::Json, [report]) => text::json(report),
        (Format::Json, _) => text::json(&Reports { accepted: refused.is_empty(), files: &reports }),
        (Format::Text, [report]) => render(report, Paint::of_stdout()),
        (Format::Text, _) => {
            let paint = Paint::of_stdout();
            let mut text: String = reports.iter().map(|report| render(report, paint) + "\n").collect();
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{} of {} files refused", refused.len(), reports.len());
            text.extend(refused.iter().map(|report| format!("  {}\n", summary(report))));
            text
        }
    };
    Answer { text, refused: !refused.is_empty(), ..Answer::default() }
}

/// A folder stands for the libraries in it; one without any is itself what is refused.
fn libraries_of(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let library = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "so");
    let mut files: Vec<PathBuf> = entries.filter(library).collect();
    files.sort();
    if files.is_empty() { vec![path.to_owned()] } else { files }
}

/// A refused file and its code.
fn summary(report: &Report) -> String {
    report.refusal.as_ref().map_or_else(String::new, |refusal| format!("{}: {}", report.file, refusal.code))
}

#[derive(Serialize)]
struct Reports<'a> {
    accepted: bool,
    files: &'a [Report],
}

/// Colours, on a terminal that wants them.
#[derive(Clone, Copy)]
struct Paint {
    on: bool,
}

impl Paint {
    fn of_stdout() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { on: wanted && std::io::stdout().is_terminal() }
    }

    /// Padded first: the codes of colours have no width.
    fn paint(self, outcome: Outcome, text: &str) -> String {
        const GREEN: u8 = 32;
        const YELLOW: u8 = 33;
        const RED: u8 = 31;
        const GREY: u8 = 90;
        let colour = match outcome {
            Outcome::Passed => GREEN,
            Outcome::NotProbed => YELLOW,
            Outcome::Refused => RED,
            Outcome::NotReached | Outcome::NotHere => GREY,
        };
        if self.on { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

#[derive(Serialize)]
struct Report {
    file: String,
    accepted: bool,
    plugin: Option<Named>,
    rungs: Vec<RungReport>,
    refusal: Option<Refusal>,
}

#[derive(Serialize)]
struct Named {
    name: String,
    version: String,
}

#[derive(Serialize)]
struct RungReport {
    rung: u8,
    name: &'static str,
    result: Outcome,
    /// Absent where it was not timed.
    micros: Option<u64>,
    note: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Passed,
    NotProbed,
    Refused,
    NotReached,
    /// Needs a pipeline.
    NotHere,
}

fn climb(file: &Path, deadline: Duration) -> Report {
    let mut libraries = SystemLibraries::default();
    let mut stopwatch = Stopwatch::default();
    let looked = climb::look(file, &mut libraries, &mut |rung, _| stopwatch.begin(rung));
    let (candidate, vetted) = match looked {
        Ok(candidate) => {
            stopwatch.begin(Rung::Vetting);
            let vetting = Vetting { cache: None, deadline };
            let vetted = vetting.vet(&candidate, &mut libraries);
            (Some(candidate), vetted.map(|vetted| Some(vetted.verdict)))
        }
        Err(refusal) => (None, Err(refusal)),
    };
    stopwatch.stop();
    let (verdict, refusal) = match vetted {
        Ok(verdict) => (verdict, None),
        Err(refusal) => (None, Some(refusal)),
    };
    Report {
        file: file.display().to_string(),
        accepted: refusal.is_none(),
        plugin: candidate.as_ref().map(|candidate| Named {
            name: candidate.manifest.name.clone(),
            version: candidate.manifest.version.clone(),
        }),
        rungs: rungs(candidate.as_ref(), verdict.as_ref(), refusal.as_ref(), &stopwatch),
        refusal,
    }
}

fn rungs(
    candidate: Option<&Candidate>,
    verdict: Option<&Verdict>,
    refusal: Option<&Refusal>,
    stopwatch: &Stopwatch,
) -> Vec<RungReport> {
    let micros = |rung| {
        let here = stopwatch.laps().iter().find(|(lap, _)| *lap == rung);
        let there = verdict.and_then(|verdict| verdict.rungs.iter().find(|(lap, _)| *lap == rung));
        here.map(|(_, time)| u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
            .or(there.map(|(_, micros)| *micros))
    };
    let unprobed = verdict.map_or_else(Vec::new, unprobed);
    let report = |rung: Rung| {
        let result = match refusal {
            Some(refusal) if refusal.rung == rung => Outcome::Refused,
            Some(refusal) if refusal.rung < rung => Outcome::NotReached,
            _ if rung == Rung::Wiring => Outcome::NotHere,
            _ if rung == Rung::Probe && !unprobed.is_empty() => Outcome::NotProbed,
            _ => Outcome::Passed,
        };
        RungReport {
            rung: rung.number(),
            name: rung.name(),
            result,
            micros: micros(rung),
            note: note(rung, result, candidate, verdict, &unprobed),
        }
    };
    Rung::OF_A_PLUGIN.into_iter().chain([Rung::Wiring]).map(report).collect()
}

/// `NAME: reason` for each type that asks not to be probed.
fn unprobed(verdict: &Verdict) -> Vec<String> {
    verdict
        .components
        .iter()
        .filter_map(|component| match &component.probe {
            Probed::NotProbed { reason } => Some(format!("{}: {reason}", component.name)),
            Probed::Passed { .. } => None,
        })
        .collect()
}

fn note(
    rung: Rung,
    result: Outcome,
    candidate: Option<&Candidate>,
    verdict: Option<&Verdict>,
    unprobed: &[String],
) -> String {
    match (rung, result) {
        (_, Outcome::Refused | Outcome::NotReached) => String::new(),
        (Rung::File, _) => {
            candidate.map_or_else(String::new, |candidate| format!("blake3 {}", candidate.copy.hash()))
        }
        (Rung::Manifest, _) => candidate.map_or_else(String::new, |candidate| {
            let manifest = &candidate.manifest;
            let types: Vec<String> = manifest
                .components
                .iter()
                .map(|component| format!("{} {}", component.kind, component.name))
                .collect();
            format!("{} {}: {}", manifest.name, manifest.version, types.join(", "))
        }),
        (Rung::Vetting, _) => "rungs 5 to 10, in a child process".to_owned(),
        (Rung::Probe, _) => {
            let calls: u32 = verdict.map_or(0, |verdict| {
                let calls = verdict.components.iter().map(|component| match component.probe {
                    Probed::Passed { calls } => calls,
                    Probed::NotProbed { .. } => 0,
                });
                calls.sum()
            });
            let mut parts = if calls > 0 { vec![format!("{calls} calls")] } else { Vec::new() };
            parts.extend(unprobed.iter().cloned());
            parts.join("; ")
        }
        (Rung::Wiring, _) => "needs a pipeline: `cardcage check`".to_owned(),
        _ => String::new(),
    }
}

fn render(report: &Report, paint: Paint) -> String {
    let mut text = format!("{}\n", report.file);
    for rung in &report.rungs {
        let result = match rung.result {
            Outcome::Passed => "ok",
            Outcome::NotProbed => "not probed",
            Outcome::Refused => "REFUSED",
            Outcome::NotReached => "not reached",
            Outcome::NotHere => "not here",
        };
        let time = rung.micros.map_or_else(String::new, |micros| text::millis(Duration::from_micros(micros)));
        let result = paint.paint(rung.result, &format!("{result:<11}"));
        let line = format!("  {:>2} {:<9} {result} {time:>10}  {}", rung.rung, rung.name, rung.note);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let _ = match (&report.refusal, &report.plugin) {
        (Some(refusal), _) => {
            let said =
                refusal.to_string().replace("refused at", &paint.paint(Outcome::Refused, "refused at"));
            writeln!(text, "\n{said}\n  more:     cardcage explain {}", refusal.code)
        }
        (None, Some(plugin)) => writeln!(text, "{} {} is fit to be loaded", plugin.name, plugin.version),
        (None, None) => Ok(()),
    };
    text
}
