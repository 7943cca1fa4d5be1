//! `cardcage plugin check FILE`.

#![forbid(unsafe_code)]

use super::{Answer, Format, text};
use crate::loader::catalogue;
use crate::loader::climb::{self, Candidate, Stopwatch};
use crate::loader::elf::Seal;
use crate::loader::libraries::SystemLibraries;
use crate::loader::refusal::{Refusal, Rung};
use crate::loader::vetting::{Told, Unfit, Vetting};
use cardcage_core::printable::printable;
use cardcage_core::verdict::{Probed, Sandbox, Verdict};
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

/// A folder stands for the libraries that the daemon would find in it; one without any is itself what is refused.
fn libraries_of(path: &Path) -> Vec<PathBuf> {
    let files = if path.is_dir() { catalogue::library_files(path).unwrap_or_default().0 } else { Vec::new() };
    if files.is_empty() { vec![path.to_owned()] } else { files }
}

/// A refused file and its code.
fn summary(report: &Report) -> String {
    report
        .refusal
        .as_ref()
        .map_or_else(String::new, |refusal| format!("{}: {}", printable(&report.file), refusal.code))
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
            Outcome::Refused | Outcome::EndedHere => RED,
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
    /// What the vetting child was confined by, if one came so far.
    sandbox: Option<Sandbox>,
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
    /// The vetting child came to its end in it.
    EndedHere,
    NotReached,
    /// Needs a pipeline.
    NotHere,
}

fn climb(file: &Path, deadline: Duration) -> Report {
    let mut libraries = SystemLibraries::default();
    let mut stopwatch = Stopwatch::default();
    let looked = climb::look_on(file, &mut libraries, &mut |rung, _| stopwatch.begin(rung));
    let mut climbed = Climbed::default();
    match looked {
        Ok((candidate, seal)) => {
            climbed.seal = Some(seal);
            stopwatch.begin(Rung::Vetting);
            let vetting = Vetting { deadline, thorough: true, ..Vetting::default() };
            match vetting.vet(&candidate, &mut libraries) {
                Ok(vetted) => climbed.passed(vetted.verdict),
                Err(unfit) => climbed.refused(*unfit),
            }
            climbed.candidate = Some(candidate);
        }
        Err(refusal) => climbed.refusal = Some(refusal),
    }
    stopwatch.stop();
    let here = stopwatch.laps().iter();
    let here = here.map(|(rung, time)| (*rung, Some(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))));
    climbed.told.rungs.splice(0..0, here);
    Report {
        file: file.display().to_string(),
        accepted: climbed.refusal.is_none(),
        plugin: climbed.candidate.as_ref().map(|candidate| Named {
            name: candidate.manifest.name.clone(),
            version: candidate.manifest.version.clone(),
        }),
        rungs: Rung::OF_A_PLUGIN.into_iter().chain([Rung::Wiring]).map(|rung| climbed.report(rung)).collect(),
        sandbox: climbed.told.sandbox,
        refusal: climbed.refusal,
    }
}

/// How far a file came, and how.
#[derive(Default)]
struct Climbed {
    candidate: Option<Candidate>,
    verdict: Option<Verdict>,
    refusal: Option<Refusal>,
    /// What its build id tells, if rungs 1 to 3 have passed.
    seal: Option<Seal>,
    /// With the rungs that were climbed here before the child began.
    told: Told,
}

impl Climbed {
    fn passed(&mut self, verdict: Verdict) {
        self.told.sandbox = Some(verdict.sandbox.clone());
        self.told.rungs = verdict.rungs.iter().map(|(rung, micros)| (*rung, Some(*micros))).collect();
        self.verdict = Some(verdict);
    }

    fn refused(&mut self, unfit: Unfit) {
        self.told = unfit.told;
        // Rungs 2 and 3 are climbed in the child again; how long that takes is part of rung 4.
        self.told.rungs.retain(|(rung, _)| *rung > Rung::Vetting);
        self.refusal = Some(unfit.refusal);
    }

    fn report(&self, rung: Rung) -> RungReport {
        let unprobed = self.verdict.as_ref().map_or_else(Vec::new, unprobed);
        let result = match self.result(rung) {
            Outcome::Passed if rung == Rung::Probe && !unprobed.is_empty() => Outcome::NotProbed,
            result => result,
        };
        let micros = self.told.rungs.iter().find(|(known, _)| *known == rung).and_then(|(_, micros)| *micros);
        RungReport {
            rung: rung.number(),
            name: rung.name(),
            result,
            micros: micros.filter(|_| !matches!(result, Outcome::NotReached | Outcome::EndedHere)),
            note: self.note(rung, result, &unprobed),
        }
    }

    fn result(&self, rung: Rung) -> Outcome {
        let Some(refusal) = &self.refusal else {
            return if rung == Rung::Wiring { Outcome::NotHere } else { Outcome::Passed };
        };
        let refused = |refusal: &Refusal| refusal.rung == rung;
        if refused(refusal) || refusal.further.iter().any(refused) {
            return Outcome::Refused;
        }
        // Rungs 2 and 3 look at bytes, and are climbed after one that refused as well, where there is something to look at.
        let looked_at = rung < Rung::Vetting && self.told.rungs.iter().any(|(known, _)| *known == rung);
        if rung < refusal.rung || looked_at {
            return Outcome::Passed;
        }
        // A child that came to its end is refused at rung 4, and had climbed some of the others by then.
        let last = self.told.rungs.last().map(|(last, _)| *last);
        match last.filter(|last| *last > Rung::Vetting && refusal.rung == Rung::Vetting) {
            Some(last) if rung < last => Outcome::Passed,
            Some(last) if rung == last => Outcome::EndedHere,
            _ => Outcome::NotReached,
        }
    }

    fn note(&self, rung: Rung, result: Outcome, unprobed: &[String]) -> String {
        match (rung, result) {
            (Rung::Vetting, Outcome::Passed | Outcome::Refused) => {
                let how = "rungs 5 to 10, in a child process";
                let lacks = self.told.sandbox.as_ref().and_then(Sandbox::lacks);
                lacks.map_or_else(|| how.to_owned(), |lacks| format!("{how}; {lacks}"))
            }
            (_, Outcome::Refused | Outcome::EndedHere | Outcome::NotReached) => String::new(),
            (Rung::File, _) => self.of_candidate(|candidate| format!("blake3 {}", candidate.copy.hash())),
            (Rung::Elf, _) => match &self.seal {
                Some(Seal::Whole) => "as linked, by its build id".to_owned(),
                Some(Seal::Unknown(why)) => {
                    format!("nothing tells whether its bytes are those linked: {why}")
                }
                None => String::new(),
            },
            (Rung::Manifest, _) => self.of_candidate(contents),
            (Rung::Probe, _) => {
                let calls = self.verdict.as_ref().map_or(0, calls);
                let mut parts = if calls > 0 { vec![format!("{calls} calls")] } else { Vec::new() };
                parts.extend(unprobed.iter().cloned());
                parts.join("; ")
            }
            (Rung::Wiring, _) => "needs a pipeline: `cardcage check`".to_owned(),
            _ => String::new(),
        }
    }

    fn of_candidate(&self, say: impl Fn(&Candidate) -> String) -> String {
        self.candidate.as_ref().map_or_else(String::new, say)
    }
}

/// What the manifest offers.
fn contents(candidate: &Candidate) -> String {
    let manifest = &candidate.manifest;
    let types = manifest.components.iter().map(|component| format!("{} {}", component.kind, component.name));
    format!("{} {}: {}", manifest.name, manifest.version, types.collect::<Vec<_>>().join(", "))
}

/// How many calls the probes made.
fn calls(verdict: &Verdict) -> u32 {
    let calls = verdict.components.iter().map(|component| match component.probe {
        Probed::Passed { calls } => calls,
        Probed::NotProbed { .. } => 0,
    });
    calls.sum()
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

fn render(report: &Report, paint: Paint) -> String {
    let mut text = format!("{}\n", printable(&report.file));
    for rung in &report.rungs {
        let result = match rung.result {
            Outcome::Passed => "ok",
            Outcome::NotProbed => "not probed",
            Outcome::Refused => "REFUSED",
            Outcome::EndedHere => "ended here",
            Outcome::NotReached => "not reached",
            Outcome::NotHere => "not here",
        };
        let time = rung.micros.map_or_else(String::new, |micros| text::millis(Duration::from_micros(micros)));
        let result = paint.paint(rung.result, &format!("{result:<11}"));
        let line =
            format!("  {:>2} {:<9} {result} {time:>10}  {}", rung.rung, rung.name, printable(&rung.note));
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let _ = match (&report.refusal, &report.plugin) {
        (Some(refusal), _) => writeln!(text, "\n{}", refusals(refusal, paint)),
        (None, Some(plugin)) => writeln!(text, "{} {} is fit to be loaded", plugin.name, plugin.version),
        (None, None) => Ok(()),
    };
    text
}

/// The first refusal, and what else was found.
fn refusals(refusal: &Refusal, paint: Paint) -> String {
    let one = |refusal: &Refusal| {
        let said = refusal.to_string().replace("refused at", &paint.paint(Outcome::Refused, "refused at"));
        format!("{said}\n  more:     cardcage explain {}", refusal.code)
    };
    let mut text = one(refusal);
    if !refusal.further.is_empty() {
        text.push_str("\n\nand further, which may follow from the first:");
    }
    for further in &refusal.further {
        text.push_str("\n\n");
        text.push_str(&one(further));
    }
    text
}
