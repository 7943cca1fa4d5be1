//! A pipeline of a bench: its config, its state, and what a run of it cost.

use super::measure::{self, Cores, Cost};
use super::{Bench, remove};
use crate::Failure;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A pipeline, ready to be run by the daemon again and again.
pub(super) struct Flow {
    pub(super) config: PathBuf,
    state: PathBuf,
    summary: PathBuf,
}

/// What a run did.
pub(super) struct Ran {
    pub(super) cost: Cost,
    pub(super) totals: Totals,
}

/// Records that went into a pipeline, and where they went, by its own books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) delivered: u64,
    pub(super) rejected: u64,
}

impl Totals {
    /// An error unless so many were delivered and none rejected: a figure for work not done is worth nothing.
    pub(super) fn expect(self, delivered: u64) -> Result<(), Failure> {
        let expected = Self { delivered, rejected: 0 };
        if self == expected {
            return Ok(());
        }
        Err(Failure::Program(format!("the daemon's books say {self:?}; {expected:?} is expected")))
    }
}

impl Flow {
    /// Writes the config: `body` is its sources, stages and sinks.
    pub(super) fn new(bench: &Bench, name: &str, body: &str) -> Result<Self, Failure> {
        let flow = Self {
            config: bench.directory.join(format!("{name}.yaml")),
            state: bench.directory.join(format!("{name}.state")),
            summary: bench.directory.join(format!("{name}.summary.json")),
        };
        let head = format!(
            "version: 1\nplugins: {{ directories: ['{}'] }}\nstate_directory: '{}'\n",
            bench.release.display(),
            flow.state.display()
        );
        fs::write(&flow.config, head + body)
            .map_err(Failure::io(format!("write {}", flow.config.display())))?;
        Ok(flow)
    }

    /// Why the daemon does not take the pipeline, in its own words; `None` if it does. From then on the verdicts on
    /// its plugins are known, so that runs don't measure the vetting.
    pub(super) fn refusal(&self, bench: &Bench) -> Result<Option<String>, Failure> {
        let checked = bench
            .daemon()
            .arg("check")
            .arg(&self.config)
            .stdin(Stdio::null())
            .output()
            .map_err(Failure::io("start the daemon"))?;
        if checked.status.success() {
            return Ok(None);
        }
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        let why = said.lines().find_map(|line| line.split_once("error[")).map(|(_, why)| why);
        Ok(Some(why.map_or(said.trim().to_owned(), |why| format!("error[{why}"))))
    }

    /// Forgets what a run left behind, but for the verdicts on plugins.
    pub(super) fn forget(&self) -> Result<(), Failure> {
        let Ok(entries) = fs::read_dir(&self.state) else {
            return Ok(());
        };
        for entry in entries {
            let path = entry.map_err(Failure::io(format!("list {}", self.state.display())))?.path();
            if path.file_name().is_some_and(|name| name != "verdicts") {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// The daemon's command for it.
    pub(super) fn command(&self, bench: &Bench) -> Command {
        let mut command = bench.daemon();
        command.arg("run").arg(&self.config).arg("--summary-json").arg(&self.summary);
        command
    }

    /// Runs it from its beginning to its end.
    pub(super) fn run(&self, bench: &Bench, cores: Cores) -> Result<Ran, Failure> {
        self.forget()?;
        let cost = measure::run_on(cores, &bench.stderr(), &mut self.command(bench))?;
        Ok(Ran { cost, totals: self.totals()? })
    }

    /// What the last run says it did.
    pub(super) fn totals(&self) -> Result<Totals, Failure> {
        let text = fs::read_to_string(&self.summary)
            .map_err(Failure::io(format!("read {}", self.summary.display())))?;
        totals(&text)
            .ok_or_else(|| Failure::Program(format!("{} has no totals of records", self.summary.display())))
    }
}

/// A pipeline and the same with next to nothing to do: the difference is what the records took.
pub(super) struct Steady {
    whole: Flow,
    start: Flow,
}

/// What the records took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Took {
    pub(super) wall_s: f64,
    /// What remains comparable on a machine that does other things, too.
    pub(super) cpu_s: f64,
    /// Processor time of the run with next to nothing to do.
    pub(super) start_cpu_s: f64,
    pub(super) max_rss: u64,
    pub(super) totals: Totals,
}

impl Steady {
    pub(super) fn new(whole: Flow, start: Flow) -> Self {
        Self { whole, start }
    }

    /// As [`Flow::refusal`].
    pub(super) fn refusal(&self, bench: &Bench) -> Result<Option<String>, Failure> {
        Ok(self.whole.refusal(bench)?.or(self.start.refusal(bench)?))
    }

    /// Runs both.
    pub(super) fn run(&self, bench: &Bench, cores: Cores) -> Result<Took, Failure> {
        let (whole, start) = (self.whole.run(bench, cores)?, self.start.run(bench, cores)?);
        Ok(Took::between(&whole.cost, &start.cost, whole.totals))
    }
}

impl Took {
    pub(super) fn between(whole: &Cost, start: &Cost, totals: Totals) -> Self {
        let without = |whole: Duration, start: Duration| whole.saturating_sub(start).as_secs_f64();
        Self {
            wall_s: without(whole.wall, start.wall),
            cpu_s: without(whole.cpu, start.cpu),
            start_cpu_s: start.cpu.as_secs_f64(),
            max_rss: whole.max_rss,
            totals,
        }
    }
}

/// A `file` source as YAML.
pub(super) fn file_source(name: &str, path: &Path, more: &str) -> String {
    format!("sources:\n  {name}: {{ plugin: file, settings: {{ path: '{}'{more} }} }}\n", path.display())
}

/// The numbers behind `"totals"` in the daemon's summary: read by hand, because nothing else here needs a JSON parser.
fn totals(summary: &str) -> Option<Totals> {
    let (_, totals) = summary.split_once("\"totals\"")?;
    let number = |key: &str| {
        let (_, behind) = totals.split_once(&format!("\"{key}\":"))?;
        let digits = behind.trim_start();
        digits[..digits.find(|c: char| !c.is_ascii_digit())?].parse().ok()
    };
    Some(Totals { delivered: number("delivered")?, rejected: number("rejected")? })
}

#[cfg(test)]
mod tests {
    use super::{Totals, totals};

    #[test]
    fn the_totals_are_those_behind_their_key() {
        let text = r#"{"books":{"rejected":{"a":1}},"totals":{"carried":0,"delivered": 12,"rejected":3}}"#;
        assert_eq!(totals(text), Some(Totals { delivered: 12, rejected: 3 }));
        assert_eq!(totals(r#"{"delivered":12,"rejected":3}"#), None);
    }
}
