//! The bounds of each unit's readings: found once a unit, then kept.

use crate::settings::Limited;
use cardcage_plugin_api::prelude::*;
use cardcage_plugin_api::units;

/// What a value is measured by, in its own unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bounds {
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// Nothing is said of these readings: even NaN passes.
    pub(crate) open: bool,
}

impl Bounds {
    #[inline]
    pub(crate) fn hold(self, value: f64) -> bool {
        self.open || self.include(value)
    }

    /// False for NaN, whatever the bounds.
    #[inline]
    fn include(self, value: f64) -> bool {
        value >= self.min && value <= self.max
    }

    /// Without a branch for each record.
    #[inline]
    pub(crate) fn hold_all(self, records: &[Record]) -> bool {
        self.open || records.iter().fold(true, |all, record| all & self.include(record.value))
    }
}

/// The bounds by unit id. Ids are dense, so the dictionary's bound (`limits.units`) bounds this, too.
pub(crate) struct AllBounds {
    by_unit: Vec<Option<Bounds>>,
    limits: Vec<Limited>,
    others: Bounds,
    host: Host,
}

impl AllBounds {
    pub(crate) fn new(min: Option<f64>, max: Option<f64>, limits: Vec<Limited>, host: &Host) -> Self {
        let others = Bounds {
            min: min.unwrap_or(f64::NEG_INFINITY),
            max: max.unwrap_or(f64::INFINITY),
            open: min.is_none() && max.is_none(),
        };
        Self { by_unit: Vec::new(), limits, others, host: host.clone() }
    }

    /// The bounds that all of these readings share, if they do.
    #[inline]
    pub(crate) fn shared(&mut self, records: &[Record]) -> Option<Bounds> {
        if self.limits.is_empty() {
            return Some(self.others);
        }
        let unit = records.first()?.unit;
        // Without an early end, so that the comparison has no branch in it.
        let differing_bits = records.iter().fold(0, |bits, record| bits | (record.unit.0 ^ unit.0));
        (differing_bits == 0).then(|| self.of(unit))
    }

    #[inline]
    pub(crate) fn of(&mut self, unit: UnitId) -> Bounds {
        match self.by_unit.get(usize::from(unit.0)) {
            Some(Some(bounds)) => *bounds,
            _ => self.learn(unit),
        }
    }

    #[cold]
    fn learn(&mut self, id: UnitId) -> Bounds {
        // An id that the dictionary does not have yet is not remembered: it may be given to a code later.
        let Some(code) = self.host.unit_code(id) else {
            return self.others;
        };
        let unit = units::parse(code);
        let found = unit.and_then(|unit| self.limits.iter().find_map(|limited| limited.bounds_in(unit)));
        let bounds = found.map_or(self.others, |(min, max)| Bounds { min, max, open: false });
        let index = usize::from(id.0);
        if index >= self.by_unit.len() {
            self.by_unit.resize(index + 1, None);
        }
        self.by_unit[index] = Some(bounds);
        bounds
    }
}
