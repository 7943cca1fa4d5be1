//! The plan: what to do to get from one running graph to another, as data. Carrying it out is the runtime's.

use crate::config::{ComponentConfig, Config};
use crate::graph::{Graph, Output};
use std::collections::{BTreeSet, HashMap};

/// Steps in the order in which they are safe: consumers start before what feeds them, producers stop before what
/// they feed, and nothing stops before everything that is new runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What to do, first to last.
    pub steps: Vec<Step>,
}

/// One thing to do. `node` is an index in the new graph, `old` one in the old graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A component that was not there before.
    Start {
        /// In the new graph.
        node: usize,
    },
    /// The same component with the same neighbours: not touched.
    Keep {
        /// In the old graph.
        old: usize,
        /// In the new graph.
        node: usize,
    },
    /// The same component, with other neighbours: its instance stays, its connections change.
    Rewire {
        /// In the old graph.
        old: usize,
        /// In the new graph.
        node: usize,
    },
    /// The component's own config changed: a new instance takes over from the old one.
    Replace {
        /// In the old graph.
        old: usize,
        /// In the new graph.
        node: usize,
    },
    /// A component that is gone.
    Stop {
        /// In the old graph.
        old: usize,
    },
}

/// The plan from `old` (nothing runs yet: `None`) to `new`. A component is the same one if name and kind are the same.
pub fn plan(old: Option<(&Config, &Graph)>, new: (&Config, &Graph)) -> Plan {
    let (config, graph) = new;
    let mut steps = Vec::with_capacity(graph.nodes.len());
    let was = old.map(|(config, graph)| Running::new(config, graph));
    for node in graph.topological().into_iter().rev() {
        let component = &config.components[node];
        let previous = was.as_ref().and_then(|was| was.find(component).map(|old| (was, old)));
        steps.push(match previous {
            None => Step::Start { node },
            Some((was, old)) => was.step(old, component, graph, node),
        });
    }
    if let Some(was) = &was {
        steps.extend(was.stops(config));
    }
    Plan { steps }
}

struct Running<'a> {
    config: &'a Config,
    graph: &'a Graph,
    by_name: HashMap<&'a str, usize>,
}

impl<'a> Running<'a> {
    fn new(config: &'a Config, graph: &'a Graph) -> Self {
        let names = config.components.iter().enumerate();
        Self { config, graph, by_name: names.map(|(index, c)| (c.name.as_str(), index)).collect() }
    }

    fn find(&self, component: &ComponentConfig) -> Option<usize> {
        let index = *self.by_name.get(component.name.as_str())?;
        (self.config.components[index].kind == component.kind).then_some(index)
    }

    fn step(&self, old: usize, component: &ComponentConfig, graph: &Graph, node: usize) -> Step {
        let before = &self.config.components[old];
        // Whom a component is connected to is no part of what it is.
        let connected_alike = ComponentConfig {
            inputs: component.inputs.clone(),
            dead_letter: component.dead_letter.clone(),
            ..before.clone()
        };
        if !connected_alike.same_as(component) {
            Step::Replace { old, node }
        } else if neighbours(self.graph, old) == neighbours(graph, node) {
            Step::Keep { old, node }
        } else {
            Step::Rewire { old, node }
        }
    }

    fn stops(&self, config: &Config) -> Vec<Step> {
        let kept: BTreeSet<usize> = config.components.iter().filter_map(|c| self.find(c)).collect();
        let order = self.graph.topological().into_iter();
        order.filter(|old| !kept.contains(old)).map(|old| Step::Stop { old }).collect()
    }
}

/// Everything a node is connected to, by name: incoming and outgoing.
fn neighbours(graph: &Graph, node: usize) -> BTreeSet<(bool, Output, &str)> {
    let name = |node: usize| graph.nodes[node].name.as_str();
    let incoming = graph.incoming(node).map(|edge| (true, edge.output, name(edge.from)));
    let outgoing = graph.outgoing(node).map(|edge| (false, edge.output, name(edge.to)));
    incoming.chain(outgoing).collect()
}
