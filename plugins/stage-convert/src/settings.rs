//! The settings, and what can be wrong with them.

use cardcage_plugin_api::prelude::*;
use cardcage_plugin_api::units::{self, Dimension, Unit};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// Settings of the stage.
#[settings]
#[derive(Clone, Debug)]
pub struct ConvertSettings {
    /// The unit that readings of its dimension are converted to (`degF`), or several: by dimension
    /// (`{temperature: degF, pressure: kPa}`), or as a list (`[degF, W/(m2.K)]`), which also takes compound units that
    /// measure nothing with a name.
    #[schemars(extend("examples" = ["degC", {"temperature": "degF", "pressure": "kPa"}, ["degC", "W/(m2.K)"]]))]
    pub(crate) to: To,
    /// What to do with a reading whose unit is not known, or that has none.
    #[serde(default)]
    pub(crate) on_unknown: OnUnknown,
    /// What to do with a reading whose unit is known and of another dimension than any in `to`, such as a pressure where
    /// `to` is `degF`. Where it is absent: `reject` if `to` is one unit, for that says what all readings are; `pass` if
    /// `to` is several, which picks among what comes.
    #[serde(default)]
    pub(crate) on_other_dimension: Option<OnOtherDimension>,
}

/// What to do with a reading of a dimension that is not wanted.
#[settings]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnOtherDimension {
    /// Let it pass as it is.
    Pass,
    /// Take it out, counted as rejected for `wrong_dimension`.
    Reject,
}

/// What to do with a reading whose unit is not known, or that has none.
#[settings]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OnUnknown {
    /// Let it pass as it is.
    #[default]
    Pass,
    /// Take it out, counted as rejected for `unknown_unit`.
    Reject,
    /// Let it pass with the quality flag `unit_unknown`, as uncertain at best.
    Flag,
}

/// One unit, several, or one for each dimension.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum To {
    /// A unit's code or name.
    Unit(String),
    /// Several codes or names, each of another dimension.
    Units(Vec<String>),
    /// Dimension names with a unit each.
    ByDimension(#[schemars(with = "BTreeMap<String, String>")] Vec<(String, String)>),
}

/// A unit to convert to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target {
    /// As it was written: what comes out is what was asked for.
    pub(crate) code: String,
    pub(crate) unit: Unit,
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

impl Fault {
    fn new(setting: &str, message: String, at_key: bool) -> Self {
        Self { setting: setting.to_owned(), message, at_key }
    }
}

impl ConvertSettings {
    /// Whether readings of other dimensions are rejected.
    pub(crate) fn rejects_others(&self) -> bool {
        let by_default = match self.to {
            To::Unit(_) => OnOtherDimension::Reject,
            To::Units(_) | To::ByDimension(_) => OnOtherDimension::Pass,
        };
        self.on_other_dimension.unwrap_or(by_default) == OnOtherDimension::Reject
    }

    /// The targets, and what is wrong.
    pub(crate) fn targets(&self) -> (Vec<Target>, Vec<Fault>) {
        let mut targets: Vec<Target> = Vec::new();
        let mut problems = Vec::new();
        let wanted: Vec<(String, Option<&str>, &str)> = match &self.to {
            To::Unit(code) => vec![("to".to_owned(), None, code)],
            To::Units(codes) => {
                codes.iter().enumerate().map(|(at, code)| (format!("to.{at}"), None, code.as_str())).collect()
            }
            To::ByDimension(pairs) => pairs
                .iter()
                .map(|(name, code)| (format!("to.{name}"), Some(name.as_str()), code.as_str()))
                .collect(),
        };
        if wanted.is_empty() {
            let message = "no unit is given, so nothing would be converted".to_owned();
            problems.push(Fault::new("to", message, false));
        }
        for (setting, dimension, code) in wanted {
            let dimension = dimension.and_then(|name| match known_dimension(name) {
                Ok(dimension) => Some(dimension),
                Err(message) => {
                    problems.push(Fault::new(&setting, message, true));
                    // What it was probably meant to be shows whether the unit is wrong, too.
                    Dimension::from_name(units::nearest_dimension(name)?)
                }
            });
            match target(dimension, code) {
                Err(message) => problems.push(Fault::new(&setting, message, false)),
                Ok(new) => match targets.iter().find(|t| t.unit.dimension() == new.unit.dimension()) {
                    Some(other) => {
                        let dimension = new.unit.dimension();
                        let message = format!(
                            "`{code}` is a second unit for {dimension}, after `{}`; keep one",
                            other.code
                        );
                        problems.push(Fault::new(&setting, message, false));
                    }
                    None => targets.push(new),
                },
            }
        }
        (targets, problems)
    }
}

fn target(dimension: Option<Dimension>, code: &str) -> Result<Target, String> {
    let unit = units::parse(code).ok_or_else(|| {
        let of_dimension = dimension.and_then(|dimension| units::nearest_of(dimension, code));
        let hint = of_dimension.or_else(|| units::nearest(code)).map_or_else(
            || "; units are written as `degC`, `kPa`, `m3/h`, `MiB`".to_owned(),
            |near| format!("; did you mean `{near}`?"),
        );
        format!("`{code}` is not a known unit{hint}")
    })?;
    match dimension {
        Some(wanted) if wanted != unit.dimension() => {
            Err(format!("`{code}` measures {}, not {wanted}", unit.dimension()))
        }
        _ => Ok(Target { code: code.trim().to_owned(), unit }),
    }
}

fn known_dimension(name: &str) -> Result<Dimension, String> {
    Dimension::from_name(name).ok_or_else(|| {
        let hint = units::nearest_dimension(name).map_or_else(
            || {
                let known: Vec<&str> = Dimension::ALL.iter().map(|dimension| dimension.name()).collect();
                format!("; known: {}", known.join(", "))
            },
            |near| format!("; did you mean `{near}`?"),
        );
        format!("`{name}` is not a known dimension{hint}")
    })
}

// By hand: serde's untagged enums answer a wrong value with "did not match any variant", and a map would lose the first
// of two equal keys.
impl<'de> Deserialize<'de> for To {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ToVisitor;

        impl<'de> Visitor<'de> for ToVisitor {
            type Value = To;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a unit such as `degF`, units by dimension such as `{temperature: degF, pressure: kPa}`, or a list of units",
                )
            }

            fn visit_str<E: serde::de::Error>(self, code: &str) -> Result<To, E> {
                Ok(To::Unit(code.to_owned()))
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<To, S::Error> {
                let mut codes = Vec::new();
                while let Some(code) = list.next_element()? {
                    codes.push(code);
                }
                Ok(To::Units(codes))
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<To, M::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(To::ByDimension(pairs))
            }
        }

        deserializer.deserialize_any(ToVisitor)
    }
}
