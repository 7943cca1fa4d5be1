//! What to do with readings of each unit: looked up once a unit, then kept.

use crate::settings::Target;
use cardcage_plugin_api::prelude::*;
use cardcage_plugin_api::units::{self, Conversion};

/// The most units a dictionary can have; ids are 16 bits.
const UNITS_MAX: usize = 1 << 16;

/// What to do with readings of one unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Action {
    /// Nothing: the unit is the target.
    Pass,
    /// Nothing of its dimension is wanted.
    Other,
    /// One multiplication: the conversions that need no division, which takes four times as long.
    Scale { multiply: f64, add: f64, unit: UnitId },
    /// The whole fraction.
    Convert(Conversion, UnitId),
    /// The unit is none, or not in the table.
    Unknown,
}

/// The actions by unit id. Ids are dense, so the dictionary's bound (`limits.units`) bounds this, too.
pub(crate) struct Actions {
    by_unit: Vec<Option<Action>>,
    targets: Vec<(Target, UnitId)>,
    host: Host,
}

impl Actions {
    pub(crate) fn new(targets: Vec<Target>, host: &Host) -> Result<Self, PluginError> {
        let interned = |target: Target| {
            let id = host.unit(&target.code)?;
            Ok::<_, PluginError>((target, id))
        };
        Ok(Self {
            by_unit: Vec::new(),
            targets: targets.into_iter().map(interned).collect::<Result<_, _>>()?,
            host: host.clone(),
        })
    }

    #[inline]
    pub(crate) fn of(&mut self, unit: UnitId) -> Action {
        match self.by_unit.get(usize::from(unit.0)) {
            Some(Some(action)) => *action,
            _ => self.learn(unit),
        }
    }

    #[cold]
    fn learn(&mut self, unit: UnitId) -> Action {
        // An id that the dictionary does not have yet is not remembered: it may be given to a code later.
        let Some(code) = self.host.unit_code(unit) else {
            return Action::Unknown;
        };
        let action = self.find(unit, code);
        let index = usize::from(unit.0);
        if index >= self.by_unit.len() {
            self.by_unit.resize((index + 1).min(UNITS_MAX), None);
        }
        self.by_unit[index] = Some(action);
        action
    }

    fn find(&self, id: UnitId, code: &str) -> Action {
        let Some(unit) = units::parse(code) else {
            return Action::Unknown;
        };
        let wanted =
            self.targets.iter().find_map(|(target, target_id)| Some((unit.to(target.unit)?, *target_id)));
        match wanted {
            None => Action::Other,
            Some((_, target)) if target == id => Action::Pass,
            Some((conversion, target)) if conversion.is_product() => {
                Action::Scale { multiply: conversion.multiply, add: conversion.add, unit: target }
            }
            Some((conversion, target)) => Action::Convert(conversion, target),
        }
    }
}
