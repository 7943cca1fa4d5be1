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
use std::path::Path;
use std::time::Duration;

/// Climbs the ladder with a file. Nothing is taken from the cache: whoever asks wants to know how it is now.
pub(super) fn run(file: &Path, deadline: Duration, format: Format) -> Answer {
    let report = climb(file, deadline);
    let refused = report.refusal.is_some();
    let text = match format {
        Format::Json => text::json(&report),
        Format::Text => render(&report),
    };
    Answer { text, refused, ..Answer::default() }
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

fn render(report: &Report) -> String {
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
        let line = format!("  {:>2} {:<9} {result:<11} {time:>10}  {}", rung.rung, rung.name, rung.note);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let _ = match (&report.refusal, &report.plugin) {
        (Some(refusal), _) => writeln!(text, "\n{refusal}"),
        (None, Some(plugin)) => writeln!(text, "{} {} is fit to be loaded", plugin.name, plugin.version),
        (None, None) => Ok(()),
    };
    text
}
