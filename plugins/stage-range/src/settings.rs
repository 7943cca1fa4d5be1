//! The settings, and what can be wrong with them.

use cardcage_plugin_api::prelude::*;
use cardcage_plugin_api::units::{self, Dimension, Unit};
use serde::de::{Deserializer, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// What to do with a reading outside the range.
#[settings]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnViolation {
    /// Take it out: to the port `dropped` where something consumes it.
    #[default]
    Drop,
    /// Let it pass with the quality flag `out_of_range` and status bad.
    Flag,
}

/// Settings of the stage: `min` and `max` for every reading, or `limits` for some.
#[settings]
#[derive(Clone, Debug)]
pub struct RangeSettings {
    /// The smallest value that passes, whatever its unit; absent: no lower bound. Readings that `limits` names are not
    /// measured by it. At least one of `min`, `max` and `limits` must be given.
    #[serde(default)]
    #[schemars(extend("examples" = [-50]))]
    pub(crate) min: Option<f64>,
    /// The largest value that passes; absent: no upper bound.
    #[serde(default)]
    #[schemars(extend("examples" = [400]))]
    pub(crate) max: Option<f64>,
    /// Bounds by what readings measure (`temperature`) or by their unit (`degC`), which goes first. Where neither this nor
    /// `min` and `max` say anything of a reading, it passes.
    #[serde(default)]
    #[schemars(extend("examples" = [{"temperature": {"min": "-50 degC", "max": "200 degC"}, "pressure": {"max": "1.2 MPa"}}]))]
    pub(crate) limits: BTreeMap<String, Limit>,
    /// What to do with a reading outside. NaN is outside of every range.
    #[serde(default)]
    pub(crate) on_violation: OnViolation,
}

/// Bounds of some readings.
#[settings]
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    /// The smallest value that passes: a number in the reading's own unit, or a text with a unit (`-50 degC`), which is
    /// converted to the reading's.
    #[serde(default)]
    min: Option<Bound>,
    /// The largest value that passes.
    #[serde(default)]
    max: Option<Bound>,
}

/// A bound as it is written.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum Bound {
    /// In the reading's own unit.
    Number(f64),
    /// A number with its unit.
    Quantity(String),
}

/// Readings with bounds of their own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limited {
    pub(crate) of: Of,
    pub(crate) min: Option<Value>,
    pub(crate) max: Option<Value>,
}

/// Which readings.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Of {
    Dimension(Dimension),
    Unit(Unit),
}

/// A bound, understood; a number alone is in the reading's own unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value {
    pub(crate) number: f64,
    pub(crate) unit: Option<Unit>,
}

/// What is wrong with a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Its dotted path.
    pub(crate) setting: String,
    pub(crate) message: String,
    /// Whether its key is wrong and not its value.
    pub(crate) at_key: bool,
}

fn fault(setting: impl Into<String>, message: impl Into<String>) -> Fault {
    Fault { setting: setting.into(), message: message.into(), at_key: false }
}

impl RangeSettings {
    /// The limits, units before dimensions, and what is wrong with the settings.
    pub(crate) fn limited(&self) -> (Vec<Limited>, Vec<Fault>) {
        let mut faults = Vec::new();
        if self.min.is_none() && self.max.is_none() && self.limits.is_empty() {
            faults.push(fault("", "none of `min`, `max` and `limits` is given, so nothing would be checked"));
        }
        if let (Some(min), Some(max)) = (self.min, self.max)
            && min > max
        {
            faults.push(fault("min", format!("`min` ({min}) is above `max` ({max})")));
        }
        let mut limited: Vec<Limited> =
            self.limits.iter().filter_map(|(key, limit)| limit.understood(key, &mut faults)).collect();
        limited.sort_by_key(|limited| matches!(limited.of, Of::Dimension(_)));
        (limited, faults)
    }
}

impl Limit {
    fn understood(&self, key: &str, faults: &mut Vec<Fault>) -> Option<Limited> {
        let setting = format!("limits.{key}");
        let known = Dimension::from_name(key).map(Of::Dimension).or_else(|| units::parse(key).map(Of::Unit));
        let Some(of) = known else {
            let near = units::nearest_dimension(key).map(str::to_owned).or_else(|| units::nearest(key));
            let hint = near.map_or_else(
                || "; write `temperature` or `degC`, for example".to_owned(),
                |near| format!("; did you mean `{near}`?"),
            );
            let message = format!("`{key}` is neither a dimension nor a unit{hint}");
            faults.push(Fault { at_key: true, ..fault(setting, message) });
            return None;
        };
        if self.min.is_none() && self.max.is_none() {
            faults.push(fault(setting, "neither `min` nor `max` is given"));
            return None;
        }
        let mut value = |bound: &Option<Bound>, name: &str| {
            let understood = bound.as_ref().map(|bound| bound.understood(of));
            understood.and_then(|value| {
                value.map_err(|message| faults.push(fault(format!("{setting}.{name}"), message))).ok()
            })
        };
        let limited = Limited { of, min: value(&self.min, "min"), max: value(&self.max, "max") };
        if limited.is_empty() {
            faults.push(fault(format!("{setting}.min"), "`min` is above `max`, so nothing would pass"));
        }
        Some(limited)
    }
}

impl Bound {
    fn understood(&self, of: Of) -> Result<Value, String> {
        match self {
            Self::Number(number) => Ok(Value { number: *number, unit: None }),
            Self::Quantity(text) => quantity(text, of.dimension()),
        }
    }
}

impl Of {
    fn dimension(self) -> Dimension {
        match self {
            Self::Dimension(dimension) => dimension,
            Self::Unit(unit) => unit.dimension(),
        }
    }
}

impl Limited {
    /// The bounds in a unit; `None` if readings of it are not meant.
    pub(crate) fn bounds_in(&self, unit: Unit) -> Option<(f64, f64)> {
        let meant = match self.of {
            Of::Dimension(dimension) => dimension == unit.dimension(),
            Of::Unit(own) => own == unit,
        };
        let of = |value: Option<Value>, open: f64| value.map_or(open, |value| value.in_unit(unit));
        meant.then(|| (of(self.min, f64::NEG_INFINITY), of(self.max, f64::INFINITY)))
    }

    /// Whether nothing lies between the bounds, as far as they can be compared.
    fn is_empty(&self) -> bool {
        let (Some(min), Some(max)) = (self.min, self.max) else {
            return false;
        };
        match (self.of, max.unit) {
            (Of::Unit(unit), _) => min.in_unit(unit) > max.in_unit(unit),
            (Of::Dimension(_), Some(unit)) => min.unit.is_some() && min.in_unit(unit) > max.number,
            (Of::Dimension(_), None) => min.unit.is_none() && min.number > max.number,
        }
    }
}

impl Value {
    fn in_unit(self, unit: Unit) -> f64 {
        self.unit.and_then(|own| own.convert(unit, self.number)).unwrap_or(self.number)
    }
}

/// `-50 degC`: a number and a unit of this dimension.
fn quantity(text: &str, dimension: Dimension) -> Result<Value, String> {
    let text = text.trim();
    let number_at =
        |end: usize| text.get(..end)?.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    // The longest part that is a number, so that `1e3 Pa` is not 1 of something.
    let Some((end, number)) = (1..=text.len()).rev().find_map(|end| Some((end, number_at(end)?))) else {
        return Err(format!("`{text}` does not begin with a number, as `20 degC` does"));
    };
    let code = text[end..].trim();
    if code.is_empty() {
        return Err(format!(
            "`{text}` has no unit; write it behind the number, or the number without quotes"
        ));
    }
    let unit = units::parse(code).ok_or_else(|| {
        let near = units::nearest_of(dimension, code).or_else(|| units::nearest(code));
        let hint = near.map_or_else(String::new, |near| format!("; did you mean `{number} {near}`?"));
        format!("`{code}` is not a known unit{hint}")
    })?;
    if unit.dimension() != dimension {
        return Err(format!("`{code}` measures {}, not {dimension}", unit.dimension()));
    }
    Ok(Value { number, unit: Some(unit) })
}

// By hand: serde's untagged enums answer a wrong value with "did not match any variant".
impl<'de> Deserialize<'de> for Bound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BoundVisitor;

        impl Visitor<'_> for BoundVisitor {
            type Value = Bound;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or a number with its unit such as `-50 degC`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Bound, E> {
                Ok(Bound::Quantity(text.to_owned()))
            }

            fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Bound, E> {
                Ok(Bound::Number(number))
            }

            #[expect(
                clippy::cast_precision_loss,
                reason = "readings are doubles, and so is what they are compared with"
            )]
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Bound, E> {
                Ok(Bound::Number(number as f64))
            }

            #[expect(clippy::cast_precision_loss, reason = "as above")]
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Bound, E> {
                Ok(Bound::Number(number as f64))
            }
        }

        deserializer.deserialize_any(BoundVisitor)
    }
}
