//! Passes a reading only where its sensor moved: what stays within a band around the last reading that passed is dropped.

#![forbid(unsafe_code)]

mod state;

use cardcage_plugin_api::prelude::*;

/// Settings of the stage: `absolute` or `percent`, and how long a sensor may be silent.
#[settings]
#[derive(Clone, Debug)]
pub struct DeadbandSettings {
    /// The band on both sides of the last reading that passed, in the reading's own unit: what differs by more passes. 0
    /// passes every change. Either this or `percent` must be given.
    #[serde(default)]
    #[schemars(extend("examples" = [0.5]))]
    absolute: Option<f64>,
    /// The same in percent of the last reading that passed. Around 0 the band is 0, so that every change passes there.
    #[serde(default)]
    #[schemars(extend("examples" = [1]))]
    percent: Option<f64>,
    /// A reading passes, however little it moved, when it is this much later than the last one that passed, or this much
    /// earlier, as after a clock was set back. Absent: a steady sensor is silent for good.
    #[serde(default)]
    #[schemars(extend("examples" = ["10m"]))]
    longest_silence: Option<Interval>,
}

/// The band, as it is computed with.
#[derive(Clone, Copy, Debug)]
enum Band {
    Absolute(f64),
    /// A hundredth of the percentage.
    Share(f64),
}

/// The last reading of a sensor that passed. 24 bytes a sensor.
#[derive(Clone, Copy, Debug, Default)]
struct Last {
    value: f64,
    timestamp_ns: i64,
    unit: UnitId,
    quality: Quality,
    known: Known,
}

/// How much of a [`Last`] is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Known {
    /// The sensor was not heard yet.
    #[default]
    Nothing,
    /// A state of version 1 holds neither unit nor quality.
    ValueAndTime,
    All,
}

/// The stage.
pub struct Deadband {
    band: Band,
    longest_silence_ns: Option<u64>,
    /// By sensor id. Ids are dense, so the dictionary bounds this.
    last: Vec<Last>,
    host: Host,
}

impl Stage for Deadband {
    type Settings = DeadbandSettings;

    fn describe(settings: &DeadbandSettings) -> Description {
        let description = Description::stage()
            .drops("within_deadband")
            .does(Capability::Deterministic)
            .does(Capability::ParallelBySensor)
            .does(Capability::State)
            .needs_order();
        let description = match settings.band() {
            Ok(_) => description,
            Err((setting, message)) => description.problem(setting, message),
        };
        match settings.longest_silence {
            Some(silence) if silence.0.is_zero() => description.problem(
                "longest_silence",
                "after no time at all every reading would pass; write `10m`, for example",
            ),
            _ => description,
        }
    }

    fn open(settings: DeadbandSettings, host: &Host) -> Result<Self, PluginError> {
        let band =
            settings.band().map_err(|(setting, message)| PluginError::new(message).context(setting))?;
        let longest_silence_ns = settings.longest_silence.map(|silence| silence.as_nanos().unsigned_abs());
        Ok(Self { band, longest_silence_ns, last: Vec::new(), host: host.clone() })
    }

    fn process(&mut self, batch: &mut Batch<'_>, _: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        self.make_room(batch.records());
        let (band, silence, all) = (self.band, self.longest_silence_ns, &mut self.last[..]);
        batch.retain("within_deadband", |record| {
            // A sensor that the dictionary does not know has no place, and is not for this stage to judge.
            let Some(last) = all.get_mut(record.sensor.0 as usize) else {
                return true;
            };
            let passes = last.is_left_by(record, band, silence);
            if passes {
                *last = Last::of(record);
            }
            passes
        });
        Ok(Flow::Done)
    }
}

impl DeadbandSettings {
    /// The band, or which setting is wrong and why.
    fn band(&self) -> Result<Band, (&'static str, String)> {
        let (setting, width) = match (self.absolute, self.percent) {
            (Some(absolute), None) => ("absolute", absolute),
            (None, Some(percent)) => ("percent", percent),
            (None, None) => {
                return Err((
                    "",
                    "neither `absolute` nor `percent` is given, so there is no band".to_owned(),
                ));
            }
            (Some(_), Some(_)) => {
                return Err(("percent", "`absolute` is given as well; keep one of them".to_owned()));
            }
        };
        if !width.is_finite() || width < 0.0 {
            return Err((setting, format!("{width} is no width of a band; write 0 or more")));
        }
        Ok(if setting == "absolute" { Band::Absolute(width) } else { Band::Share(width / 100.0) })
    }
}

impl Last {
    fn of(record: &Record) -> Self {
        Self {
            value: record.value,
            timestamp_ns: record.timestamp_ns,
            unit: record.unit,
            quality: record.quality,
            known: Known::All,
        }
    }

    /// Whether a reading passes.
    #[inline]
    fn is_left_by(&self, record: &Record, band: Band, silence: Option<u64>) -> bool {
        let width = match band {
            Band::Absolute(width) => width,
            Band::Share(share) => self.value.abs() * share,
        };
        let (value, before) = (record.value, self.value);
        // False for NaN, before and now: it always passes, and so does the first number behind it. Equal infinities have no
        // difference.
        let near =
            (value - before).abs() <= width || (value.is_infinite() && value.total_cmp(&before).is_eq());
        let same = match self.known {
            Known::All => self.unit == record.unit && self.quality == record.quality,
            Known::ValueAndTime => true,
            Known::Nothing => false,
        };
        let apart = record.timestamp_ns.abs_diff(self.timestamp_ns);
        !(near && same) || silence.is_some_and(|silence| apart >= silence)
    }
}

impl Deadband {
    /// Makes places for the sensors of a batch, if they are in the dictionary: an id that a faulty component made up must
    /// not cost gigabytes.
    fn make_room(&mut self, records: &[Record]) {
        let highest = records.iter().map(|record| record.sensor.0).max().unwrap_or(0);
        if (highest as usize) < self.last.len() {
            return;
        }
        let known = records
            .iter()
            .map(|record| record.sensor)
            .filter(|sensor| sensor.0 as usize >= self.last.len())
            .filter(|sensor| self.host.sensor_entry(*sensor).is_some())
            .max();
        if let Some(sensor) = known {
            self.last.resize(sensor.0 as usize + 1, Last::default());
        }
    }
}

export_plugin! {
    name: "deadband",
    description: "passes readings that moved, and one after a longest silence",
    components: [stage Deadband { drops, deterministic, parallel_by_sensor, state }],
    probe: { absolute: 0.5, longest_silence: "10m" },
}

#[cfg(test)]
mod tests;
