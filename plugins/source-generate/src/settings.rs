//! The settings, and what can be wrong with them.

use cardcage_plugin_api::prelude::*;

/// The most sensors: the default of the host's `limits.sensors`.
const SENSORS_MAX: u32 = 1_000_000;
/// More readings a second than the clock has nanoseconds make no sense.
const RATE_MAX: f64 = 1e9;

/// Settings of the source.
#[settings]
#[derive(Clone, Debug)]
pub struct GenerateSettings {
    /// Readings a second, over all sensors; absent: as many as the pipeline takes.
    #[serde(default)]
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1_000_000_000, "examples" = [1000]))]
    pub(crate) rate: Option<f64>,
    /// How many readings to make, over all sensors; absent: without end.
    #[serde(default)]
    pub(crate) count: Option<u64>,
    /// How many sensors take turns; they are called `generate-0`, `generate-1`, …
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = SENSORS_MAX))]
    pub(crate) sensors: u32,
    /// Which random numbers `noise` draws; the same seed draws the same.
    #[serde(default)]
    pub(crate) seed: u64,
    /// The shape of the values.
    #[serde(default)]
    pub(crate) waveform: Waveform,
    /// Half the distance between the lowest and the highest value; for `count` the step.
    #[serde(default = "one")]
    pub(crate) amplitude: f64,
    /// What is added to every value.
    #[serde(default)]
    pub(crate) offset: f64,
    /// How many readings of a sensor make a full wave.
    #[serde(default = "hundred")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub(crate) period: f64,
    /// The unit of the values; absent: none.
    #[serde(default)]
    #[schemars(extend("examples" = ["degC"]))]
    pub(crate) unit: Option<String>,
    /// The first reading's time, in nanoseconds since 1970; later ones follow at the rate, or a nanosecond apart
    /// without one. Absent: the time when it is made. With it, every run gives exactly the same records.
    #[serde(default)]
    pub(crate) start: Option<i64>,
}

/// The shape of the values over a sensor's readings. All but `constant`, `count` and `noise` repeat after `period`.
#[settings]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Waveform {
    /// A sine, each sensor a little later than the one before it.
    #[default]
    Sine,
    /// `amplitude` for half a period, `-amplitude` for the other.
    Square,
    /// Up and down in straight lines.
    Triangle,
    /// Up in a straight line, then down at once.
    Sawtooth,
    /// Evenly spread random values.
    Noise,
    /// Always `amplitude`.
    Constant,
    /// 0, 1, 2, … times `amplitude`, over all sensors.
    Count,
}

impl GenerateSettings {
    /// What is wrong: settings with messages.
    pub(crate) fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if let Some(rate) = self.rate
            && !(rate > 0.0 && rate <= RATE_MAX)
        {
            let message = format!("{rate} is no rate; above 0 and at most 1e9 a second is expected");
            problems.push(("rate", message));
        }
        if self.sensors == 0 || self.sensors > SENSORS_MAX {
            problems.push(("sensors", format!("{} sensors; 1 to {SENSORS_MAX} are expected", self.sensors)));
        }
        if !(self.period.is_finite() && self.period > 0.0) {
            let message = format!("{} is no period; a number of readings above 0 is expected", self.period);
            problems.push(("period", message));
        }
        for (setting, value) in [("amplitude", self.amplitude), ("offset", self.offset)] {
            if !value.is_finite() {
                problems.push((setting, format!("{value} is not finite")));
            }
        }
        problems
    }
}

fn ten() -> u32 {
    10
}

fn one() -> f64 {
    1.0
}

fn hundred() -> f64 {
    100.0
}
