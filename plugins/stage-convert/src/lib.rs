//! Converts readings to the units that are wanted, by their dimension: temperatures to degF, pressures to kPa.

#![forbid(unsafe_code)]

mod actions;
mod settings;

use actions::{Action, Actions};
use cardcage_plugin_api::prelude::*;
use settings::{ConvertSettings, Fault, OnUnknown};

/// How many records are looked at together. Neighbours mostly share a unit, so a whole chunk takes one look at the
/// table and one loop without a branch in it.
const CHUNK: usize = 64;

/// The stage.
pub struct Convert {
    on_unknown: OnUnknown,
    rejects_others: bool,
    actions: Actions,
}

impl Stage for Convert {
    type Settings = ConvertSettings;

    fn describe(settings: &ConvertSettings) -> Description {
        let mut description = Description::stage()
            .does(Capability::Deterministic)
            .does(Capability::ParallelBySensor)
            .writes(Field::Value)
            .writes(Field::Unit);
        match settings.on_unknown {
            OnUnknown::Pass => {}
            OnUnknown::Reject => description = description.rejects("unknown_unit"),
            OnUnknown::Flag => description = description.writes(Field::Quality),
        }
        if settings.rejects_others() {
            description = description.rejects("wrong_dimension");
        }
        let (targets, problems) = settings.targets();
        for Fault { setting, message, at_key } in problems {
            description = if at_key {
                description.problem_with_key(&setting, message)
            } else {
                description.problem(&setting, message)
            };
        }
        // A list of dimensions also shuts out readings without a unit.
        let shuts_out = settings.rejects_others() && settings.on_unknown == OnUnknown::Reject;
        let dimensions = targets.iter().map(|target| target.unit.dimension().name().to_owned()).collect();
        description.units(UnitRules {
            accepts_dimensions: shuts_out.then_some(dimensions),
            converts_to: targets.into_iter().map(|target| target.code).collect(),
            ..UnitRules::default()
        })
    }

    fn open(settings: ConvertSettings, host: &Host) -> Result<Self, PluginError> {
        let (targets, problems) = settings.targets();
        if let Some(fault) = problems.into_iter().next() {
            return Err(PluginError::new(fault.message).context(fault.setting));
        }
        let (on_unknown, rejects_others) = (settings.on_unknown, settings.rejects_others());
        Ok(Self { on_unknown, rejects_others, actions: Actions::new(targets, host)? })
    }

    fn process(&mut self, batch: &mut Batch<'_>, _: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        let mut met = Met::default();
        for chunk in batch.records_mut().chunks_mut(CHUNK) {
            met |= self.convert(chunk);
        }
        let actions = &mut self.actions;
        if met.unknown && self.on_unknown == OnUnknown::Reject {
            batch.retain("unknown_unit", |record| actions.of(record.unit) != Action::Unknown);
        }
        if met.other && self.rejects_others {
            batch.retain("wrong_dimension", |record| actions.of(record.unit) != Action::Other);
        }
        Ok(Flow::Done)
    }
}

impl Convert {
    /// Converts what can be.
    #[inline]
    fn convert(&mut self, chunk: &mut [Record]) -> Met {
        let Some(unit) = chunk.first().map(|record| record.unit) else {
            return Met::default();
        };
        // Without an early end, so that the comparison has no branch in it.
        let differing_bits = chunk.iter().fold(0, |bits, record| bits | (record.unit.0 ^ unit.0));
        if differing_bits == 0 {
            let action = self.actions.of(unit);
            return self.apply(action, chunk);
        }
        let mut met = Met::default();
        for record in chunk {
            let action = self.actions.of(record.unit);
            met |= self.apply(action, std::slice::from_mut(record));
        }
        met
    }

    /// One action for records that share a unit.
    #[inline]
    fn apply(&self, action: Action, records: &mut [Record]) -> Met {
        let mut met = Met::default();
        match action {
            Action::Pass => {}
            Action::Other => met.other = true,
            Action::Scale { multiply, add, unit } => {
                for record in records {
                    record.value = record.value * multiply + add;
                    record.unit = unit;
                }
            }
            Action::Convert(conversion, unit) => {
                // In pairs: the compiler then divides two at a time, which takes as long as dividing one.
                let (pairs, rest) = records.as_chunks_mut::<2>();
                for [first, second] in pairs {
                    let values = [first.value, second.value].map(|value| conversion.apply(value));
                    [first.value, second.value] = values;
                    (first.unit, second.unit) = (unit, unit);
                }
                for record in rest {
                    record.value = conversion.apply(record.value);
                    record.unit = unit;
                }
            }
            Action::Unknown => {
                if self.on_unknown == OnUnknown::Flag {
                    for record in records {
                        record.quality = flagged(record.quality);
                    }
                }
                met.unknown = true;
            }
        }
        met
    }
}

/// What was met among readings that cannot be converted.
#[derive(Clone, Copy, Debug, Default)]
struct Met {
    unknown: bool,
    other: bool,
}

impl std::ops::BitOrAssign for Met {
    fn bitor_assign(&mut self, more: Self) {
        self.unknown |= more.unknown;
        self.other |= more.other;
    }
}

/// Marks a reading whose unit is not known. It is no better than uncertain, and stays bad if it was.
fn flagged(quality: Quality) -> Quality {
    let flagged = quality.with(Quality::UNIT_UNKNOWN);
    match flagged.status() {
        Status::Good => flagged.with_status(Status::Uncertain),
        Status::Uncertain | Status::Bad => flagged,
    }
}

export_plugin! {
    name: "convert",
    description: "converts readings to the units that are wanted",
    components: [stage Convert { drops, deterministic, parallel_by_sensor, writes: [value, unit, quality] }],
    probe: { to: { temperature: "degF", pressure: "kPa" } },
}

#[cfg(test)]
mod tests;
