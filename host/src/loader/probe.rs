//! Rung 9: the contract, tried on made-up batches, in the vetting child.
//!
//! Each component type is opened with its `probe` settings and fed batches that are empty, short, full and strange. No
//! call may panic or fail, the counts must add up, only declared effects may show, and memory that was lent is left
//! alone (see [`guard`]). What runs here is the runtime's own way of calling plugins, so its checks of every call's
//! result apply as well.
//!
//! What the sandbox denies is no fault of the plugin. The child cannot tell who denied something: it refuses, and the
//! parent, whom the kernel asked, passes such a type as not probed.

#![forbid(unsafe_code)]

mod batches;
mod by_sensor;
mod help;
mod places;
mod readings;
mod replay;
mod sink;
mod source;
mod stage;
mod threads;

use super::guard;
use super::refusal::{Climbed, Refusal, Rung};
use super::settings;
use cardcage_core::verdict::Probed;
use cardcage_plugin_api::describe::Description;
use cardcage_plugin_api::manifest::{Capability, Kind, Probe};
use cardcage_plugin_api::record::Record;
use cardcage_runtime::{
    CallError, Cancel, ComponentTypeHandle, Counted, Dictionary, DictionaryLimits, Environment, FailureKind,
    HostHandle,
};
use help::Lack;
use places::Touched;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Records in a full probe batch: 24 bytes each, so that it fills three pages of 4 KiB to the last byte.
const PROBE_RECORDS: u32 = 512;
/// Sensors and units that an instance can name during its probe.
const PROBE_SENSORS: u32 = 10_000;
const PROBE_UNITS: u32 = 1_000;
/// Bytes of a plugin's own words in a refusal; more is no more help.
const WORDS_MAX_BYTES: usize = 400;

/// An environment in which a component can be opened for a probe; `folder` is where it may keep state.
pub(crate) fn environment(folder: &Path) -> Arc<Environment> {
    let limits = DictionaryLimits { sensors: PROBE_SENSORS, units: PROBE_UNITS };
    let dictionary = Arc::new(Dictionary::new(limits));
    Arc::new(Environment::new(dictionary, Arc::new(Cancel::default()), folder.to_owned()))
}

/// Rung 9 for one component type.
pub(crate) fn run(
    path: &Path,
    handle: &ComponentTypeHandle,
    environment: &Arc<Environment>,
) -> Climbed<Probed> {
    let settings = match &handle.manifest().probe {
        Probe::None(reason) => {
            return Ok(Probed::NotProbed { reason: reason.clone() });
        }
        Probe::Settings(settings) => settings,
    };
    match Trial::of(path, handle, settings, environment) {
        Ok(calls) => Ok(Probed::Passed { calls }),
        Err(Stop::Powerless(error)) => Err(powerless(path, &error)),
        Err(Stop::Refused(refusal)) => Err(*refusal),
    }
}

fn powerless(path: &Path, error: &io::Error) -> Refusal {
    Refusal::new(
        Rung::Vetting,
        "no-child",
        path,
        format!("the vetting child lacks the means for a probe: {error}"),
        "memory and threads for a probe",
        "look at the limits on memory, processes and open files; if the plugin uses them up in `open`, correct that",
    )
}

/// Why a trial ends early.
enum Stop {
    /// The plugin broke its contract.
    Refused(Box<Refusal>),
    /// The probe's own means failed: memory, threads. Nothing can be said of the plugin, and nothing is remembered.
    Powerless(io::Error),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Powerless(error)
    }
}

/// What a trial's steps give.
type Tried<T> = Result<T, Stop>;

/// One component type on probation.
struct Trial<'a> {
    path: &'a Path,
    handle: &'a ComponentTypeHandle,
    settings: &'a Value,
    description: Description,
    environment: Arc<Environment>,
    calls: u32,
    /// Of the process, before the first instance was opened.
    threads: Option<usize>,
}

impl<'a> Trial<'a> {
    fn of(
        path: &'a Path,
        handle: &'a ComponentTypeHandle,
        settings: &'a Value,
        environment: &Arc<Environment>,
    ) -> Tried<u32> {
        // Its own word to cancel, since a source's trial raises it.
        let environment = Arc::new(Environment::new(
            Arc::clone(&environment.dictionary),
            Arc::new(Cancel::default()),
            environment.state_directory.clone(),
        ));
        batches::name_sensors(&environment.dictionary);
        let description = Description::stage();
        let mut trial =
            Self { path, handle, settings, description, environment, calls: 0, threads: threads::count() };
        trial.describe()?;
        let watch = guard::Watch::begin()?;
        match handle.kind() {
            Kind::Source => trial.source()?,
            Kind::Stage => trial.stage()?,
            Kind::Sink => trial.sink()?,
        }
        drop(watch);
        Ok(trial.calls)
    }

    /// What it says it does under its probe's settings: always the same, and no more than the manifest declares.
    fn describe(&mut self) -> Tried<()> {
        let with = "its probe settings";
        let description = self.handle.describe(self.settings);
        self.description = description.map_err(|error| self.unreadable(&error, with))?;
        let again = self.handle.describe(self.settings).map_err(|error| self.call_error(&error, with))?;
        if again != self.description {
            let found = "`describe` answers differently the second time, with the same settings";
            return Err(self.no(
                "impure",
                found,
                "the same answer each time: it may look at nothing but the settings",
            ));
        }
        if let Some(problem) = self.description.problems.first() {
            let found = format!("`describe` finds fault with `{}`: {}", problem.setting, problem.message);
            return Err(self.no("settings", found, "probe settings that the plugin itself takes"));
        }
        let manifest = self.handle.manifest();
        let beyond = self.description.capabilities.beyond(&manifest.capabilities);
        if !beyond.is_empty() {
            let found =
                format!("`describe` says it does {}, which its manifest does not declare", beyond.join(", "));
            return Err(self.undeclared(
                found,
                "no more than the list in export_plugin!",
                &Lack::Manifest(beyond),
            ));
        }
        let slips = [
            (
                !self.description.reasons.is_empty() && !self.does(Capability::Drops),
                "`describe` names reasons for which records go, and not `drops`",
                Lack::Capability(Capability::Drops),
            ),
            (
                self.description.tick_every_ns.is_some() != self.does(Capability::Ticks),
                "`describe` says one thing by `ticks` and another by the interval of its ticks",
                Lack::Ticks,
            ),
        ];
        match slips.into_iter().find(|(slipped, ..)| *slipped) {
            Some((_, found, lack)) => {
                Err(self.undeclared(found, "a description that agrees with itself", &lack))
            }
            None => Ok(()),
        }
    }

    /// Why `describe` gave nothing: most often the probe settings cannot be read, and then the schema says it better.
    fn unreadable(&self, error: &CallError, with: &str) -> Stop {
        let schema = self.handle.schema().ok().filter(|_| error.kind == FailureKind::Failed);
        let misfits = schema.and_then(|schema| settings::fit(&schema, self.settings, &BTreeMap::new()).err());
        let Some(misfits) = misfits else {
            return self.call_error(error, with);
        };
        let found: Vec<String> = misfits
            .iter()
            .map(|misfit| format!("its probe setting `{}`: {}", misfit.setting, misfit.message))
            .collect();
        self.no("settings", found.join("; "), "probe settings that fit the schema of the type's settings")
    }

    /// A refusal with the help that its code has.
    fn no(&self, what: &str, found: impl AsRef<str>, expected: &str) -> Stop {
        self.refuse(what, found, expected, help::of(what, self.handle.kind(), &self.handle.manifest().name))
    }

    /// A refusal for something that was done and not declared.
    fn undeclared(&self, found: impl AsRef<str>, expected: &str, lack: &Lack) -> Stop {
        let help = help::declare(lack, self.handle.kind(), &self.handle.manifest().name);
        self.refuse("undeclared", found, expected, help)
    }

    fn refuse(&self, what: &str, found: impl AsRef<str>, expected: &str, help: impl Into<Box<str>>) -> Stop {
        Refusal::new(
            Rung::Probe,
            what,
            self.path,
            format!("{} `{}`: {}", self.handle.kind(), self.handle.manifest().name, found.as_ref()),
            expected,
            help,
        )
        .into()
    }

    fn call_error(&self, error: &CallError, with: &str) -> Stop {
        let (what, expected) = match error.kind {
            FailureKind::Failed => {
                ("failed", "calls that do their work with the probe's settings and any records")
            }
            FailureKind::Panicked => ("panicked", "calls that do not panic, whatever the records hold"),
            FailureKind::Contract => ("contract", "what the ABI's contract says of that call (docs/abi.md)"),
        };
        let message = cut(&error.message);
        let error = CallError { message, ..error.clone() };
        let found = format!("{error}, with {with}");
        match (error.kind, error.call) {
            (FailureKind::Failed, "open") => self.refuse(what, found, expected, help::of_open()),
            _ => self.no(what, found, expected),
        }
    }

    /// Memory that it had no business with, touched in the call that just ended.
    fn touched(&self, call: &str, with: &str, touched: &Touched) -> Stop {
        self.no(touched.code, format!("`{call}` {}, with {with}", touched.found), touched.expected)
    }

    fn host(&self) -> HostHandle {
        HostHandle::for_component(
            &self.environment,
            "probe",
            self.handle.plugin(),
            &BTreeMap::new(),
            Arc::new(self.handle.manifest().clone()),
        )
    }

    fn does(&self, capability: Capability) -> bool {
        self.description.capabilities.has(capability)
    }

    /// What was counted in a call must have been declared.
    fn declared(&self, counted: &Counted, with: &str) -> Tried<()> {
        let unless = |capability, count, what| {
            (if self.does(capability) { 0 } else { count }, what, Lack::Capability(capability))
        };
        let effects = [
            (counted.undeclared, "records go for a reason that `describe` does not name", Lack::Reason),
            unless(Capability::Drops, counted.tallied(), "records go, and `drops` is not declared"),
            unless(Capability::Creates, counted.created, "records are made, and `creates` is not declared"),
            unless(Capability::Holds, counted.held, "records are held, and `holds` is not declared"),
        ];
        match effects.into_iter().find(|(count, ..)| *count > 0) {
            Some((count, what, lack)) => {
                let found = format!("with {with}: {count} {what}");
                let expected = "only what `describe` and the list in export_plugin! declare";
                Err(self.undeclared(found, expected, &lack))
            }
            None => Ok(()),
        }
    }

    /// Records that a plugin gives must be ones that the rest of a pipeline can take.
    fn sound(&self, records: &[Record], with: &str) -> Tried<()> {
        for record in records {
            if record.quality.0 & !0xff != 0 {
                let found = format!(
                    "with {with}: a record of value kind {} or with reserved bits of its quality set ({:#06x})",
                    record.quality.kind(),
                    record.quality.0
                );
                return Err(self.no("quality", found, "f64 values, and zero in the reserved bits"));
            }
            if record.sensor.0 >= PROBE_SENSORS || u32::from(record.unit.0) >= PROBE_UNITS {
                let (sensor, unit) = (record.sensor.0, record.unit.0);
                let found = format!(
                    "with {with}: a record of sensor {sensor} and unit {unit}, which nobody was given"
                );
                return Err(self.no("unknown-id", found, "ids that came in a record or from the host"));
            }
        }
        Ok(())
    }

    /// After `close`, nothing of the instance runs on.
    fn joined(&self, host: &HostHandle) -> Tried<()> {
        let expected = "`close` ends and joins every thread that the instance started";
        if host.running_threads() > 0 {
            let found =
                format!("{} of the threads that it spawned run on after `close`", host.running_threads());
            return Err(self.no("threads", found, expected));
        }
        match (self.threads, threads::settled(self.threads)) {
            (Some(before), Some(after)) if after > before => {
                let found =
                    format!("{} threads that the host does not know run on after `close`", after - before);
                Err(self.no("threads", found, expected))
            }
            _ => Ok(()),
        }
    }
}

/// The time of a call that is told one: steady, so that two lives can be compared.
fn steady_now_ns(call: u32) -> i64 {
    batches::START_NS + i64::from(call) * 1_000_000_000
}

/// A plugin's words, at a length that somebody reads.
fn cut(words: &str) -> String {
    if words.len() <= WORDS_MAX_BYTES {
        return words.to_owned();
    }
    let end = words.floor_char_boundary(WORDS_MAX_BYTES);
    format!("{}… ({} bytes in all)", &words[..end], words.len())
}
