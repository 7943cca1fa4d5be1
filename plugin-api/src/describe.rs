//! What a component will do under given settings.

use crate::manifest::{Capabilities, Capability, Field, Kind};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The answer of `describe`: what the wiring is checked against before anything starts.
///
/// Built in a chain: `Description::stage().drops("out_of_range").port("dropped")`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// Source, stage or sink.
    pub kind: Kind,
    /// Named outputs besides the main one, in the order of the ABI's port batches.
    #[serde(default)]
    pub ports: Vec<String>,
    /// Why records may not come out, in the order of the ABI's tally.
    #[serde(default)]
    pub reasons: Vec<Reason>,
    /// What it does under these settings: within the manifest's bounds.
    #[serde(default)]
    pub capabilities: Capabilities,
    /// Whether it needs each sensor's readings in the order in which their source gave them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub needs_order: bool,
    /// How often `tick` is wanted, in nanoseconds; stages only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tick_every_ns: Option<u64>,
    /// What is known about the units that go in and come out.
    #[serde(default)]
    pub units: UnitRules,
    /// What is wrong with the settings beyond what the schema can say.
    #[serde(default)]
    pub problems: Vec<SettingProblem>,
}

/// Why a record did not come out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// Lower case, digits and `_`.
    pub name: String,
    /// Whether records are unfit (rejected) or unwanted (dropped) for this reason.
    pub rejects: bool,
}

/// What is known about units, in codes (`Cel`) and dimensions (`temperature`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UnitRules {
    /// The only dimensions taken; absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepts_dimensions: Option<Vec<String>>,
    /// The only unit codes taken, for components that don't convert by themselves; absent: all. The empty code stands
    /// for readings without a unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepts_units: Option<Vec<String>>,
    /// Unit codes that may come out of a source, or that a stage may give to readings that it creates; absent: unknown
    /// before the data comes. The empty code stands for readings without a unit; an empty list for nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gives: Option<Vec<String>>,
    /// Of a stage: everything that comes out has a unit of `gives`, and none of those that came in goes on, as where a
    /// temperature becomes its rate of change. Needs `writes(Field::Unit)` or the capability `creates`, like `gives`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replaces: bool,
    /// Unit codes that a stage turns readings of their dimension into.
    pub converts_to: Vec<String>,
}

/// Something wrong with a setting that only the plugin can see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingProblem {
    /// Where: the setting's key, nested ones joined by dots; empty for the settings as a whole.
    pub setting: String,
    /// What was found and what was expected.
    pub message: String,
    /// Whether the key is wrong and not its value: what is marked in the file.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_key: bool,
}

impl Description {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            ports: Vec::new(),
            reasons: Vec::new(),
            capabilities: Capabilities::default(),
            needs_order: false,
            tick_every_ns: None,
            units: UnitRules::default(),
            problems: Vec::new(),
        }
    }

    /// A source that gives what it reads.
    pub fn source() -> Self {
        Self::new(Kind::Source)
    }

    /// A stage that passes everything on as it came.
    pub fn stage() -> Self {
        Self::new(Kind::Stage)
    }

    /// A sink that takes everything.
    pub fn sink() -> Self {
        Self::new(Kind::Sink)
    }

    /// Adds a named output.
    #[must_use]
    pub fn port(mut self, name: &str) -> Self {
        self.ports.push(name.to_owned());
        self
    }

    /// Adds a reason for which unwanted records are dropped.
    #[must_use]
    pub fn drops(mut self, reason: &str) -> Self {
        self.reasons.push(Reason { name: reason.to_owned(), rejects: false });
        self.does(Capability::Drops)
    }

    /// Adds a reason for which unfit records or input lines are rejected.
    #[must_use]
    pub fn rejects(mut self, reason: &str) -> Self {
        self.reasons.push(Reason { name: reason.to_owned(), rejects: true });
        self.does(Capability::Drops)
    }

    /// Adds a capability.
    #[must_use]
    pub fn does(mut self, capability: Capability) -> Self {
        self.capabilities.does.insert(capability);
        self
    }

    /// Adds a record field that is written.
    #[must_use]
    pub fn writes(mut self, field: Field) -> Self {
        self.capabilities.writes.insert(field);
        self
    }

    /// Asks for each sensor's readings in the order in which their source gave them.
    #[must_use]
    pub fn needs_order(mut self) -> Self {
        self.needs_order = true;
        self
    }

    /// Says how many threads it starts at most.
    #[must_use]
    pub fn threads(mut self, most: u32) -> Self {
        self.capabilities.threads = most;
        self
    }

    /// Asks for `tick` at this interval.
    #[must_use]
    pub fn tick_every(mut self, interval: Duration) -> Self {
        self.tick_every_ns = Some(u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX));
        self.does(Capability::Ticks)
    }

    /// Says what is known about units.
    #[must_use]
    pub fn units(mut self, rules: UnitRules) -> Self {
        self.units = rules;
        self
    }

    /// Adds a problem with a setting (`"min"`, `"rotate.size"`); the component is then refused.
    #[must_use]
    pub fn problem(mut self, setting: &str, message: impl Into<String>) -> Self {
        self.problems.push(SettingProblem {
            setting: setting.to_owned(),
            message: message.into(),
            at_key: false,
        });
        self
    }

    /// Adds a problem with the key of a setting, where keys are the person's own choice (`to.temprature`).
    #[must_use]
    pub fn problem_with_key(mut self, setting: &str, message: impl Into<String>) -> Self {
        self.problems.push(SettingProblem {
            setting: setting.to_owned(),
            message: message.into(),
            at_key: true,
        });
        self
    }

    /// Whether a port or reason is named twice, or has too many; `None` if all is well.
    pub fn malformed(&self) -> Option<String> {
        let well_named = |name: &str| {
            !name.is_empty()
                && name.len() <= 64
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        let twice = |names: &[&str]| {
            names
                .iter()
                .enumerate()
                .find(|(i, name)| names[..*i].contains(name))
                .map(|(_, name)| (*name).to_owned())
        };
        let ports: Vec<&str> = self.ports.iter().map(String::as_str).collect();
        let reasons: Vec<&str> = self.reasons.iter().map(|reason| reason.name.as_str()).collect();
        if ports.len() > crate::abi::PORTS_MAX {
            return Some(format!("{} ports; at most {}", ports.len(), crate::abi::PORTS_MAX));
        }
        if reasons.len() > crate::abi::REASONS_MAX {
            return Some(format!("{} reasons; at most {}", reasons.len(), crate::abi::REASONS_MAX));
        }
        if let Some(name) = ports.iter().chain(&reasons).find(|name| !well_named(name)) {
            return Some(format!("`{name}` is no name: 1 to 64 lower-case letters, digits and `_`"));
        }
        if let Some(name) = twice(&ports) {
            return Some(format!("port `{name}` is described twice"));
        }
        if let Some(name) = twice(&reasons) {
            return Some(format!("reason `{name}` is described twice"));
        }
        if self.kind != Kind::Stage && !self.ports.is_empty() {
            return Some(format!("a {} has no ports; `{}` is described", self.kind, self.ports[0]));
        }
        None
    }
}
