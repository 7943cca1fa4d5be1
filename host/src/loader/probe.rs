//! Rung 9: the contract, tried on made-up batches, in the vetting child.
//!
//! Each component type is opened with its `probe` settings and fed batches that are empty, short, full and strange. No
//! call may panic or fail, the counts must add up, and only declared effects may show. What runs here is the runtime's
//! own way of calling plugins, so its checks of every call's result apply as well.

#![forbid(unsafe_code)]

mod batches;
mod stage;

use super::refusal::{Climbed, Refusal, Rung};
use cardcage_plugin_api::describe::Description;
use cardcage_plugin_api::manifest::{Capability, Kind, Probe};
use cardcage_runtime::{
    Batch, CallError, Cancel, ComponentTypeHandle, Counted, Dictionary, DictionaryLimits, Environment,
    FailureKind, Filled, HostHandle, SinkInstance, SourceInstance, now_ns,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Records in a full probe batch: enough to see order and sensors mixed up, few enough to cost nothing.
const PROBE_RECORDS: u32 = 64;
/// Calls of `fill` before a source's probe ends.
const FILLS: u32 = 4;

/// What became of a probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Probed {
    /// This many calls went well.
    Passed {
        /// Calls of data functions.
        calls: u32,
    },
    /// The manifest says not to, for this reason.
    NotProbed {
        /// The plugin's own words.
        reason: String,
    },
}

/// An environment in which a component can be opened for a probe; `folder` is where it may keep state.
pub(crate) fn environment(folder: &Path) -> Arc<Environment> {
    let limits = DictionaryLimits { sensors: 10_000, units: 1_000 };
    Arc::new(Environment::new(
        Arc::new(Dictionary::new(limits)),
        Arc::new(Cancel::default()),
        folder.to_owned(),
    ))
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
    let mut trial = Trial::begin(path, handle, settings, environment)?;
    match handle.kind() {
        Kind::Source => trial.source()?,
        Kind::Stage => trial.stage()?,
        Kind::Sink => trial.sink()?,
    }
    Ok(Probed::Passed { calls: trial.calls })
}

/// One component type on probation.
struct Trial<'a> {
    path: &'a Path,
    handle: &'a ComponentTypeHandle,
    settings: &'a Value,
    description: Description,
    environment: &'a Arc<Environment>,
    calls: u32,
}

impl<'a> Trial<'a> {
    fn begin(
        path: &'a Path,
        handle: &'a ComponentTypeHandle,
        settings: &'a Value,
        environment: &'a Arc<Environment>,
    ) -> Climbed<Self> {
        let description = handle.describe(settings);
        let mut trial =
            Self { path, handle, settings, description: Description::stage(), environment, calls: 0 };
        trial.description = description.map_err(|error| trial.call_error(&error, "its probe settings"))?;
        let again = handle.describe(settings);
        if again.as_ref() != Ok(&trial.description) {
            return Err(trial.no(
                "impure",
                "`describe` answers differently each time",
                "the same answer each time",
            ));
        }
        if let Some(problem) = trial.description.problems.first() {
            let found =
                format!("its own probe settings are wrong: `{}`: {}", problem.setting, problem.message);
            return Err(trial.no("settings", found, "probe settings that it takes"));
        }
        let beyond = trial.description.capabilities.beyond(&handle.manifest().capabilities);
        if !beyond.is_empty() {
            let found = format!("`describe` says it does {}", beyond.join(", "));
            return Err(trial.no("undeclared", found, "no more than the manifest declares"));
        }
        Ok(trial)
    }

    fn no(&self, what: &str, found: impl AsRef<str>, expected: &str) -> Refusal {
        Refusal::new(
            Rung::Probe,
            what,
            self.path,
            format!("{} `{}`: {}", self.handle.kind(), self.handle.manifest().name, found.as_ref()),
            expected,
            "correct the plugin; if it cannot be tried without the outside world, give it `probe: none(\"why\")`",
        )
    }

    fn call_error(&self, error: &CallError, with: &str) -> Refusal {
        let what = match error.kind {
            FailureKind::Failed => "failed",
            FailureKind::Panicked => "panicked",
            FailureKind::Contract => "contract",
        };
        self.no(what, format!("{error}, with {with}"), "calls that neither fail nor panic")
    }

    fn host(&self) -> HostHandle {
        HostHandle::for_component(
            self.environment,
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
    fn declared(&self, counted: &Counted, with: &str) -> Climbed<()> {
        let effects = [
            (counted.undeclared, "records go for a reason that `describe` does not name"),
            (
                if self.does(Capability::Drops) { 0 } else { counted.tallied() },
                "records go, and `drops` is not declared",
            ),
            (
                if self.does(Capability::Creates) { 0 } else { counted.created },
                "records are made, and `creates` is not declared",
            ),
            (
                if self.does(Capability::Holds) { 0 } else { counted.held },
                "records are held, and `holds` is not declared",
            ),
        ];
        match effects.into_iter().find(|(count, _)| *count > 0) {
            Some((count, what)) => {
                Err(self.no("undeclared", format!("with {with}: {count} {what}"), "only declared effects"))
            }
            None => Ok(()),
        }
    }

    fn source(&mut self) -> Climbed<()> {
        let mut source = SourceInstance::open(
            self.handle,
            self.settings,
            self.host(),
            self.description.reasons.len(),
            now_ns(),
        )
        .map_err(|error| self.call_error(&error, "its probe settings"))?;
        for _ in 0..FILLS {
            let mut batch = Batch::new(PROBE_RECORDS);
            self.calls += 1;
            let now = now_ns();
            let (filled, _, _) = source
                .fill(&mut batch, PROBE_RECORDS, now, now)
                .map_err(|error| self.call_error(&error, "an empty batch"))?;
            if source.counted().undeclared > 0 {
                return Err(self.no(
                    "undeclared",
                    "input is rejected for a reason that `describe` does not name",
                    "declared reasons",
                ));
            }
            if let Some(record) = batch.records().iter().find(|record| record.quality.0 & !0xff != 0) {
                let found = format!("a record with value kind {} or reserved bits", record.quality.kind());
                return Err(self.no("quality", found, "f64 values and zero in the reserved bits"));
            }
            if filled == Filled::Finished {
                if !self.does(Capability::Finite) {
                    return Err(self.no(
                        "undeclared",
                        "it ends, and `finite` is not declared",
                        "only declared effects",
                    ));
                }
                break;
            }
        }
        source.close(now_ns()).map_err(|error| self.call_error(&error, "an open instance"))
    }

    fn sink(&mut self) -> Climbed<()> {
        let mut sink = SinkInstance::open(
            self.handle,
            self.settings,
            self.host(),
            self.description.reasons.len(),
            now_ns(),
        )
        .map_err(|error| self.call_error(&error, "its probe settings"))?;
        for (epoch, (name, records)) in (1..).zip(batches::all(&self.environment.dictionary)) {
            let mut batch = batches::batch(&records, PROBE_RECORDS);
            self.calls += 2;
            sink.write(&mut batch, now_ns()).map_err(|error| self.call_error(&error, name))?;
            self.declared(sink.counted(), name)?;
            // Any of the three answers keeps the contract.
            sink.commit(epoch, now_ns()).map_err(|error| self.call_error(&error, name))?;
        }
        sink.close(now_ns()).map_err(|error| self.call_error(&error, "an open instance"))
    }
}
