//! `cargo xtask bench`: speed and size, each beside its target, with the ratio.
//!
//! Figures come from real runs of release builds in this very call; nothing is remembered from earlier ones. What is
//! compared with each other runs in turn, so that a machine that slows down slows both. Never a test: a busy machine
//! misses targets.

mod audit;
mod files;
mod flow;
mod formats;
mod growth;
mod input;
mod ladder;
mod measure;
mod memory;
mod noise;
mod plumbing;
mod report;
mod same;
mod tcp;

use crate::{Failure, workspace};
use measure::{Cores, Cost};
use report::Report;
use std::path::{Path, PathBuf};
use std::process::Command;

const USAGE: &str = "\
usage: cargo xtask bench [--quick] [--runs N] [NAME...]

  files    NDJSON file -> range -> convert -> NDJSON file: the daemon against the
           hand-fused program (xtask/src/bin/fused), on one core and on two
  formats  NDJSON, CSV, line protocol file -> blackhole: likewise
  unusual  NDJSON with keys in any order, escapes, objects in objects -> blackhole
  tcp      NDJSON over TCP on this machine, one sender -> blackhole
  plumbing generate -> 3 light stages -> blackhole: loaded plugins against the same
           ones linked statically, and what one call costs
  audit    a write to an audited counter, its trail proven to hold all of them, and
           the plumbing with the trail kept against the same without
  ladder   checking a plugin, cold and with a known verdict
  memory   bytes of a record that waits in a queue, and an idle daemon
  growth   1 to 64 components, 10 to 1,000,000 sensors, 1 to 10,000 files

  --quick    a tenth of the records and 3 runs instead of 7: for a first look, not for a record
  --runs N   how often each program runs; the median counts
  --no-build measure the release build that is there

All of it takes about 10 minutes once everything is built (--quick: 2), and 2 GB for
inputs in target/bench, which stay there for the next time.
";

/// How large and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Options {
    quick: bool,
    build: bool,
    runs: usize,
    names: Vec<String>,
}

/// What all benches need: where things are, and how large to measure.
struct Bench {
    options: Options,
    /// Inputs and outputs: `target/bench`.
    directory: PathBuf,
    /// The programs: `target/release`.
    release: PathBuf,
    /// The processor that measured programs are pinned to.
    core: Cores,
}

type Suite = fn(&Bench, &mut Report) -> Result<(), Failure>;
const SUITES: &[(&str, Suite)] = &[
    ("files", files::files),
    ("formats", formats::formats),
    ("unusual", formats::unusual),
    ("tcp", tcp::tcp),
    ("plumbing", plumbing::plumbing),
    ("audit", audit::audit),
    ("ladder", ladder::ladder),
    ("memory", memory::memory),
    ("growth", growth::growth),
];

/// Measures the named suites, or all.
pub(crate) fn bench(arguments: &[String]) -> Result<(), Failure> {
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        print!("{USAGE}");
        return Ok(());
    }
    let options = Options::parse(arguments).map_err(Failure::Usage)?;
    let target = workspace::target_directory()?;
    let directory = target.join("bench");
    std::fs::create_dir_all(&directory).map_err(Failure::io(format!("make {}", directory.display())))?;
    if options.build {
        workspace::build_daemon()?;
        workspace::cargo_build(&["--release", "--package", "xtask", "--bins"])?;
    }
    let core =
        Cores::last(1)?.ok_or_else(|| Failure::Program("this program may run on no processor".to_owned()))?;
    let bench = Bench { options, directory, release: target.join("release"), core };
    let mut report = Report::begin(bench.core);
    noise::noise(&bench, "before")?;
    Report::head();
    for (name, suite) in SUITES {
        if bench.options.names.is_empty() || bench.options.names.iter().any(|wanted| wanted == name) {
            suite(&bench, &mut report).unwrap_or_else(|failure| report.failed(name, &failure));
        }
    }
    println!();
    noise::noise(&bench, "after")?;
    report.end()
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let (mut quick, mut build, mut runs, mut names) = (false, true, None, Vec::new());
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => quick = true,
                "--no-build" => build = false,
                "--runs" => {
                    let number = arguments.next().and_then(|number| number.parse().ok());
                    match number {
                        Some(number) if (1..=1000).contains(&number) => runs = Some(number),
                        _ => return Err(format!("`--runs` wants a number from 1 to 1000\n\n{USAGE}")),
                    }
                }
                name if SUITES.iter().any(|(suite, _)| *suite == name) => names.push(name.to_owned()),
                other => return Err(format!("`bench` does not know `{other}`\n\n{USAGE}")),
            }
        }
        Ok(Self { quick, build, runs: runs.unwrap_or(if quick { 3 } else { 7 }), names })
    }
}

impl Bench {
    /// How many records the large inputs have.
    fn records(&self) -> u64 {
        if self.options.quick { 500_000 } else { 5_000_000 }
    }

    #[expect(clippy::cast_precision_loss, reason = "a few millions are exact")]
    fn records_f64(&self) -> f64 {
        self.records() as f64
    }

    /// Runs a program on the bench's processor.
    fn run(&self, command: &mut Command) -> Result<Cost, Failure> {
        measure::run_on(self.core, &self.stderr(), command)
    }

    /// Where the last program's words are, for whoever wants to know why it failed.
    fn stderr(&self) -> PathBuf {
        self.directory.join("stderr.txt")
    }

    /// The daemon.
    fn daemon(&self) -> Command {
        Command::new(self.release.join("cardcage"))
    }
}

/// Removes a file or a folder, if it is there.
fn remove(path: &Path) -> Result<(), Failure> {
    let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::Io(format!("remove {}", path.display()), error))
        }
        _ => Ok(()),
    }
}

#[expect(clippy::cast_precision_loss, reason = "printed with a few digits")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::Options;

    fn parse(all: &[&str]) -> Result<Options, String> {
        Options::parse(&all.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn options_and_names_come_in_any_order() {
        let options = parse(&["files", "--runs", "5", "--quick"]).unwrap();
        assert_eq!(options, Options { quick: true, build: true, runs: 5, names: vec!["files".to_owned()] });
        assert_eq!(parse(&[]).unwrap().runs, 7);
    }

    #[test]
    fn what_it_does_not_know_is_refused() {
        assert!(parse(&["--fast"]).is_err());
        assert!(parse(&["--runs"]).is_err());
        assert!(parse(&["--runs", "0"]).is_err());
    }
}
