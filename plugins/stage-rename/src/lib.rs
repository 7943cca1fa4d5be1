//! Gives sensors other names, by a list or by a pattern, and changes their tags.
//!
//! What becomes of a sensor is found out once, when its first reading comes, and kept by its id: a batch costs one look at
//! a table per record.

#![forbid(unsafe_code)]

mod names;
mod rules;

use cardcage_plugin_api::prelude::*;
use names::{Fate, Names};
use rules::Rules;
use std::collections::BTreeMap;

/// Settings of the stage. A sensor is matched by `sensors`, else by `pattern`; where neither is given, all are.
#[settings]
#[derive(Clone, Debug, Default)]
pub struct RenameSettings {
    /// New names by the old ones, which must be whole names. Two sensors may be given one name: their readings are then
    /// mixed under it, and a warning says so.
    #[serde(default)]
    #[schemars(extend("examples" = [{"t1": "boiler.temperature"}]))]
    sensors: BTreeMap<String, String>,
    /// A regular expression, for sensors that `sensors` does not name. It may match any part of a name; `^` and `$` stand
    /// for its ends. Needs `replace`.
    #[serde(default)]
    #[schemars(extend("examples" = ["^plant/(\\w+)/"]))]
    pattern: Option<String>,
    /// What each part that `pattern` matches becomes; `$1` stands for its first group, `$name` for a named one, `$$` for a
    /// dollar. Where a letter, a digit or `_` follows, the group is put in braces; in `pipeline.yaml`, which has `${VAR}` of
    /// its own, that is written `$${1}`.
    #[serde(default)]
    #[schemars(extend("examples" = ["hall.$1."]))]
    replace: Option<String>,
    /// Tags that each matched sensor gets; one that it has already is replaced.
    #[serde(default)]
    #[schemars(extend("examples" = [{"site": "north"}]))]
    tags: BTreeMap<String, String>,
    /// Tags that are taken from each matched sensor.
    #[serde(default)]
    #[schemars(extend("examples" = [["rack"]]))]
    drop_tags: Vec<String>,
    /// What to do with readings of sensors that are not matched.
    #[serde(default)]
    on_unmatched: OnUnmatched,
}

/// What to do with readings of sensors that are not matched.
#[settings]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUnmatched {
    /// Let them pass as they are.
    #[default]
    Pass,
    /// Take them out.
    Drop,
}

/// The stage.
pub struct Rename {
    names: Names,
}

impl Stage for Rename {
    type Settings = RenameSettings;

    fn describe(settings: &RenameSettings) -> Description {
        // Not `parallel_by_sensor`: two sensors that become one would lose their order.
        let mut description = Description::stage()
            .rejects("sensor_limit")
            .does(Capability::Deterministic)
            .writes(Field::Sensor);
        if settings.pattern.is_some() {
            description = description.rejects("no_name");
        }
        if settings.on_unmatched == OnUnmatched::Drop {
            description = description.drops("unmatched");
        }
        match Rules::new(settings) {
            Ok(_) => description,
            Err(faults) => faults
                .into_iter()
                .fold(description, |description, fault| description.problem(&fault.setting, fault.message)),
        }
    }

    fn open(settings: RenameSettings, host: &Host) -> Result<Self, PluginError> {
        let rules = Rules::new(&settings).map_err(|faults| {
            let all: Vec<String> = faults.into_iter().map(|fault| fault.message).collect();
            PluginError::new(all.join("; "))
        })?;
        Ok(Self { names: Names::new(rules, settings.on_unmatched, host) })
    }

    fn process(&mut self, batch: &mut Batch<'_>, _: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        let records = batch.records_mut();
        let (mut kept, mut unmatched, mut full, mut nameless) = (0, 0, 0, 0);
        for index in 0..records.len() {
            let record = records[index];
            match self.names.of(record.sensor) {
                Fate::Becomes(sensor) => {
                    records[kept] = Record { sensor, ..record };
                    kept += 1;
                }
                Fate::Unmatched => unmatched += 1,
                Fate::Full => full += 1,
                Fate::Nameless => nameless += 1,
            }
        }
        batch.truncate(kept);
        batch.reject("unmatched", unmatched);
        batch.reject("sensor_limit", full);
        batch.reject("no_name", nameless);
        Ok(Flow::Done)
    }
}

export_plugin! {
    name: "rename",
    description: "renames sensors, by a list or by a pattern, and changes their tags",
    components: [stage Rename { drops, deterministic, writes: [sensor] }],
    // Names that the probe's dictionary has already: new ones would take ids that its records have made up, and these would
    // then be other sensors the second time.
    probe: { sensors: { "probe-1": "probe-2", "probe-8": "probe-10" } },
}

#[cfg(test)]
mod tests;
