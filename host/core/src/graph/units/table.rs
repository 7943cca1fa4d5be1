//! The units that a graph's descriptions name, each understood once.

use super::{Flow, Refusal, Unknown};
use cardcage_plugin_api::describe::UnitRules;
use cardcage_plugin_api::units::{self, Unit};
use std::collections::HashMap;

/// Units that are told apart: ids of units are 16 bits wide, so more can never flow. What is beyond counts as unknown.
const UNITS_MAX: usize = 1 << 16;

/// A unit of one graph's table. Units that are written differently (`degC`, `Cel`) are different entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnitIndex(pub(super) usize);

#[derive(Clone, Debug)]
pub(super) struct Table {
    codes: Vec<String>,
    /// `None` where the host's table lacks the code.
    units: Vec<Option<Unit>>,
    index: HashMap<String, UnitIndex>,
}

impl Table {
    pub(super) fn new<'a>(rules: impl Iterator<Item = &'a UnitRules>) -> Self {
        let mut table = Self { codes: Vec::new(), units: Vec::new(), index: HashMap::new() };
        table.add("");
        for rules in rules {
            let lists = [rules.gives.as_ref(), rules.accepts_units.as_ref(), Some(&rules.converts_to)];
            for code in lists.into_iter().flatten().flatten() {
                table.add(code);
            }
        }
        table
    }

    fn add(&mut self, code: &str) {
        if self.codes.len() < UNITS_MAX && !self.index.contains_key(code) {
            self.index.insert(code.to_owned(), UnitIndex(self.codes.len()));
            self.codes.push(code.to_owned());
            self.units.push(units::parse(code));
        }
    }

    pub(super) fn code(&self, unit: UnitIndex) -> &str {
        &self.codes[unit.0]
    }

    pub(super) fn unit(&self, unit: UnitIndex) -> Option<Unit> {
        self.units[unit.0]
    }

    /// What a source with these rules gives.
    pub(super) fn given(&self, rules: &UnitRules) -> Flow {
        let Some(codes) = &rules.gives else {
            return Flow { unknown: Unknown::ANY, ..Flow::default() };
        };
        let mut flow = Flow::default();
        for code in codes {
            match self.index.get(code) {
                Some(unit) => flow.units.insert(*unit),
                None => flow.unknown = Unknown::ANY,
            }
        }
        if codes.is_empty() {
            flow.units.extend(self.index.get("").copied());
        }
        flow
    }

    pub(super) fn targets<'a>(&'a self, rules: &'a UnitRules) -> impl Iterator<Item = UnitIndex> + 'a {
        rules.converts_to.iter().filter_map(|code| self.index.get(code).copied())
    }

    pub(super) fn accepted<'a>(&'a self, rules: &'a UnitRules) -> impl Iterator<Item = UnitIndex> + 'a {
        rules.accepts_units.iter().flatten().filter_map(|code| self.index.get(code).copied())
    }

    pub(super) fn refusal(&self, rules: &UnitRules, unit: UnitIndex) -> Option<Refusal> {
        let (code, known) = (self.code(unit), self.unit(unit));
        if known.is_none() && !code.is_empty() {
            // Beyond the host's table: the plugin may know it.
            return None;
        }
        if let Some(dimensions) = &rules.accepts_dimensions {
            let dimension = known.map(|known| known.dimension().name());
            if !dimensions.iter().any(|accepted| Some(accepted.as_str()) == dimension) {
                return Some(Refusal::Dimension);
            }
        }
        let accepted = rules.accepts_units.as_ref()?;
        let mut dimension_fits = false;
        for accepted in accepted {
            let unit = self.index.get(accepted).and_then(|accepted| self.unit(*accepted));
            if accepted == code || known.is_some() && unit == known {
                return None;
            }
            dimension_fits |= matches!((unit, known), (Some(a), Some(b)) if a.dimension() == b.dimension());
        }
        Some(if dimension_fits { Refusal::Unit } else { Refusal::Dimension })
    }
}
