//! Which units flow along every edge, as far as descriptions tell before any data flows.
//!
//! What is known is what *may* come: a source's `gives`, changed by the stages on the way. Where nothing is known
//! (a file's units stand in the file) anything may come. So a reading that comes is always among what was said to
//! come, and "every unit that may come is refused" is certain, while "this one unit comes" never is.
//!
//! Units are compared as units ([`cardcage_plugin_api::units`]), not as text: `degC` and `Cel` are one. A code that
//! the host's table lacks has no known dimension: a newer plugin may know it, so nothing is concluded from it.

mod set;
mod table;
mod unknown;

pub use set::UnitSet;
pub use table::UnitIndex;
pub use unknown::Unknown;

use super::{Edge, Graph, Output};
use cardcage_plugin_api::describe::{Description, UnitRules};
use cardcage_plugin_api::manifest::{Capability, Field, Kind};
use cardcage_plugin_api::units::Dimension;
use table::Table;

/// What may flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// The units that are known to be possible.
    pub units: UnitSet,
    /// What readings of units that are not known may measure.
    pub unknown: Unknown,
}

/// Why a component does not take readings of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// It takes other dimensions only.
    Dimension,
    /// It takes the dimension, but in other units only.
    Unit,
}

/// What flows where.
#[derive(Clone, Debug)]
pub struct Flows {
    table: Table,
    /// What may reach each node.
    inputs: Vec<Flow>,
    /// What may leave each node by its main output.
    outputs: Vec<Flow>,
}

impl Flows {
    /// What flows in a graph without circles whose nodes have these descriptions.
    pub fn new(graph: &Graph, descriptions: &[Description]) -> Self {
        Self::with_gaps(graph, descriptions, &[])
    }

    /// The same for a graph that lacks edges, since something is wrong with them: whatever is missing, anything may
    /// flow into these nodes.
    pub(super) fn with_gaps(graph: &Graph, descriptions: &[Description], gaps: &[usize]) -> Self {
        let table = Table::new(descriptions.iter().map(|description| &description.units));
        let nothing = vec![Flow::default(); graph.nodes.len()];
        let mut flows = Self { table, inputs: nothing.clone(), outputs: nothing };
        for gap in gaps {
            flows.inputs[*gap].unknown = Unknown::ANY;
        }
        for node in graph.topological() {
            let mut input = std::mem::take(&mut flows.inputs[node]);
            for edge in graph.incoming(node) {
                flows.add(edge, &mut input);
            }
            flows.outputs[node] = match graph.nodes[node].kind {
                Kind::Source => flows.table.given(&descriptions[node].units),
                Kind::Stage => flows.through(&descriptions[node], &input),
                Kind::Sink => Flow::default(),
            };
            flows.inputs[node] = input;
        }
        flows
    }

    /// What may flow along an edge.
    pub fn on(&self, edge: &Edge) -> Flow {
        let mut flow = Flow::default();
        self.add(edge, &mut flow);
        flow
    }

    /// What may reach a node over all its edges.
    pub fn into(&self, node: usize) -> &Flow {
        &self.inputs[node]
    }

    /// What may leave a node by its main output.
    pub fn out_of(&self, node: usize) -> &Flow {
        &self.outputs[node]
    }

    /// A unit's code as it was written first; empty for readings without a unit.
    pub fn code(&self, unit: UnitIndex) -> &str {
        self.table.code(unit)
    }

    /// What a unit measures; `None` for readings without one, and where the host's table lacks it.
    pub fn dimension(&self, unit: UnitIndex) -> Option<Dimension> {
        self.table.unit(unit).map(cardcage_plugin_api::units::Unit::dimension)
    }

    /// Whether a component with these rules refuses readings of a unit for certain.
    pub fn refusal(&self, rules: &UnitRules, unit: UnitIndex) -> Option<Refusal> {
        self.table.refusal(rules, unit)
    }

    /// What of these units a component with these rules takes, or may take.
    pub fn taken(&self, rules: &UnitRules, units: &UnitSet) -> UnitSet {
        units.iter().filter(|unit| self.refusal(rules, *unit).is_none()).collect()
    }

    /// What a component with these rules takes, or may take, of what flows in. Units that stand in the data become
    /// known where only known ones are taken.
    pub(super) fn taken_of(&self, rules: &UnitRules, input: &Flow) -> Flow {
        let mut taken = Flow { units: self.taken(rules, &input.units), unknown: input.unknown };
        if let Some(names) = &rules.accepts_dimensions {
            taken.unknown = taken.unknown.of_dimensions(names);
        }
        for unit in self.table.accepted(rules) {
            let comes = match self.dimension(unit) {
                Some(dimension) => taken.unknown.may_measure(dimension),
                None => self.code(unit).is_empty() && taken.unknown.may_lack_a_unit(),
            };
            if comes {
                taken.units.insert(unit);
            }
        }
        if rules.accepts_units.is_some() {
            taken.unknown = taken.unknown.beyond_the_table();
        }
        taken
    }

    /// What a stage with these rules turns readings of a unit into, if it takes them.
    pub fn converted(&self, rules: &UnitRules, unit: UnitIndex) -> UnitIndex {
        let dimension = self.dimension(unit);
        let mut targets = self.table.targets(rules);
        targets.find(|target| dimension.is_some() && self.dimension(*target) == dimension).unwrap_or(unit)
    }

    /// The units that a stage with these rules converts to.
    pub fn targets<'a>(&'a self, rules: &'a UnitRules) -> impl Iterator<Item = UnitIndex> + 'a {
        self.table.targets(rules)
    }

    fn add(&self, edge: &Edge, flow: &mut Flow) {
        let (input, main) = (&self.inputs[edge.from], &self.outputs[edge.from]);
        match edge.output {
            Output::Main => flow.extend(main),
            // Whether a reading leaves by a port before or after it was changed, only the stage knows.
            Output::Port(_) => {
                flow.extend(input);
                flow.extend(main);
            }
            // What failed goes as it came.
            Output::DeadLetter => flow.extend(input),
        }
    }

    /// What leaves a stage by its main output.
    fn through(&self, description: &Description, input: &Flow) -> Flow {
        let rules = &description.units;
        let taken = self.taken_of(rules, input);
        let mut out = Flow { units: UnitSet::default(), unknown: taken.unknown };
        out.units.extend(taken.units.iter().map(|unit| self.converted(rules, unit)));
        for target in self.targets(rules) {
            match self.dimension(target) {
                Some(dimension) if out.unknown.may_measure(dimension) => {
                    out.units.insert(target);
                    out.unknown = out.unknown.without(dimension);
                }
                Some(_) => {}
                // Which readings become a unit that the host's table lacks, only the plugin knows.
                None => out.units.insert(target),
            }
        }
        let does = &description.capabilities;
        let renames = does.writes.contains(&Field::Unit) && rules.converts_to.is_empty();
        if renames || does.has(Capability::Creates) {
            if rules.replaces {
                return self.table.given(rules);
            }
            out.extend(&self.table.given(rules));
        }
        out
    }
}

impl Flow {
    /// Whether nothing can come.
    pub fn is_empty(&self) -> bool {
        self.unknown.is_none() && self.units.is_empty()
    }

    fn extend(&mut self, other: &Self) {
        self.units.unite(&other.units);
        self.unknown.unite(other.unknown);
    }
}
