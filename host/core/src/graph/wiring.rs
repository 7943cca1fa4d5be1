//! Rung 11: whether components fit together, as far as their descriptions tell before any data flows.
//!
//! What names alone tell (unknown inputs, circles, outputs that nothing consumes) was checked with the config, so
//! that it is reported before any plugin is loaded. Here is what takes descriptions: kinds and ports, units and
//! dimensions (`units`), order, what delivery needs, and keys that do nothing where they stand.
//!
//! Only what is certain is an error. What depends on the data is left to the run, where the component that cannot
//! take a reading rejects it with a reason.

mod delivery;
mod effects;
mod order;
mod proposal;
mod units;

use super::units::Flows;
use super::{Edge, Graph, Node, Output};
use crate::codes;
use crate::config::{ComponentConfig, Config};
use crate::diagnostic::{Diagnostic, Diagnostics, Location};
use crate::naming::suggestion;
use cardcage_plugin_api::describe::Description;
use std::collections::HashMap;

/// A pipeline that fits together.
#[derive(Clone, Debug)]
pub struct Wired {
    /// Its components and edges.
    pub graph: Graph,
    /// Which units flow along them.
    pub flows: Flows,
    /// What deserves a look.
    pub warnings: Diagnostics,
}

/// The graph of a config whose components described themselves so, or everything that does not fit.
///
/// `descriptions` holds one description a component, in the order of `config.components`.
pub fn check(config: &Config, descriptions: &[Description]) -> Result<Graph, Diagnostics> {
    wire(config, descriptions).map(|wired| wired.graph)
}

/// As [`check`], with what else was found out on the way.
pub fn wire(config: &Config, descriptions: &[Description]) -> Result<Wired, Diagnostics> {
    let mut problems = Diagnostics::new();
    if descriptions.len() != config.components.len() {
        let message = format!(
            "{} components, {} descriptions of them: this is a bug in the host",
            config.components.len(),
            descriptions.len()
        );
        return Err(Diagnostic::error(codes::DESCRIPTION_MISSING, message).into());
    }
    kinds(config, descriptions, &mut problems);
    let kinds_fit = problems.is_empty();
    let joints = joints(config, descriptions, &mut problems);
    let edges = joints.iter().map(|joint| joint.edge);
    let graph = Graph::new(nodes(config), edges.collect());
    // Descriptions of another kind say nothing of what will flow.
    if kinds_fit {
        let gaps = gaps(config, &graph);
        let flows = Flows::with_gaps(&graph, descriptions, &gaps);
        let wiring = Wiring { config, descriptions, graph: &graph, joints: &joints, flows: &flows };
        units::check(&wiring, &mut problems);
        order::check(&wiring, &mut problems);
        delivery::check(&wiring, &mut problems);
        effects::check(&wiring, &mut problems);
        config.quote(&mut problems);
        if !problems.has_errors() {
            return Ok(Wired { graph, flows, warnings: problems });
        }
    }
    config.quote(&mut problems);
    Err(problems)
}

/// What the checks look at.
struct Wiring<'a> {
    config: &'a Config,
    descriptions: &'a [Description],
    graph: &'a Graph,
    /// One an edge, in the order of the graph's.
    joints: &'a [Joint<'a>],
    flows: &'a Flows,
}

impl<'a> Wiring<'a> {
    fn component(&self, node: usize) -> &'a ComponentConfig {
        &self.config.components[node]
    }

    fn name(&self, node: usize) -> &'a str {
        &self.config.components[node].name
    }

    /// The edges that end at a node, with where each was written.
    fn into(&self, node: usize) -> impl Iterator<Item = &'a Joint<'a>> {
        self.graph.into.of(node).iter().map(|edge| &self.joints[*edge])
    }
}

/// An edge and where it was written.
struct Joint<'a> {
    edge: Edge,
    /// The item of `inputs`; for a dead letter the sink's name at the component that it comes from.
    location: &'a Location,
    /// The item as it was written; `None` for a dead letter.
    input: Option<String>,
}

/// Components with an input that names no port: something is missing there, which was reported.
fn gaps(config: &Config, graph: &Graph) -> Vec<usize> {
    let inputs = |node: usize| graph.incoming(node).filter(|edge| edge.output != Output::DeadLetter).count();
    let nodes = 0..config.components.len();
    nodes.filter(|node| inputs(*node) < config.components[*node].inputs.len()).collect()
}

fn nodes(config: &Config) -> Vec<Node> {
    let components = config.components.iter().enumerate();
    components
        .map(|(index, component)| Node { index, name: component.name.clone(), kind: component.kind })
        .collect()
}

fn kinds(config: &Config, descriptions: &[Description], problems: &mut Diagnostics) {
    for (component, description) in config.components.iter().zip(descriptions) {
        if component.kind != description.kind {
            let message = format!(
                "`{}` stands among the {}s, but plugin `{}` describes it as a {}",
                component.name, component.kind, component.plugin, description.kind
            );
            let diagnostic = Diagnostic::error(codes::WRONG_KIND, message).at(component.location.clone());
            problems.push(diagnostic.help(format!("this is a fault of plugin `{}`", component.plugin.name)));
        }
    }
}

fn joints<'a>(
    config: &'a Config,
    descriptions: &[Description],
    problems: &mut Diagnostics,
) -> Vec<Joint<'a>> {
    let names = config.components.iter().enumerate();
    let index: HashMap<&str, usize> = names.map(|(index, c)| (c.name.as_str(), index)).collect();
    let mut joints = Vec::new();
    for (to, component) in config.components.iter().enumerate() {
        for input in &component.inputs {
            let Some(&from) = index.get(input.component.as_str()) else {
                // Such a config is refused before it gets here.
                continue;
            };
            let (producer, description) = (&config.components[from], &descriptions[from]);
            match output(description, input.port.as_deref()) {
                Ok(output) => joints.push(Joint {
                    edge: Edge { from, output, to },
                    location: &input.location,
                    input: Some(written(&input.component, input.port.as_deref())),
                }),
                Err(port) => {
                    let problem = unknown_port(producer, description, port);
                    problems.push(problem.at(input.location.clone()));
                }
            }
        }
    }
    for (from, component) in config.components.iter().enumerate() {
        let letters = component.dead_letter.as_ref();
        let sink = letters.and_then(|(sink, location)| Some((*index.get(sink.as_str())?, location)));
        joints.extend(sink.map(|(to, location)| Joint {
            edge: Edge { from, output: Output::DeadLetter, to },
            location,
            input: None,
        }));
    }
    joints
}

fn written(component: &str, port: Option<&str>) -> String {
    port.map_or_else(|| component.to_owned(), |port| format!("{component}.{port}"))
}

/// The output that an input names, or the name of a port that does not exist.
fn output<'a>(description: &Description, port: Option<&'a str>) -> Result<Output, &'a str> {
    let Some(port) = port else {
        return Ok(Output::Main);
    };
    let index = description.ports.iter().position(|name| name == port);
    index.map(Output::Port).ok_or(port)
}

fn unknown_port(producer: &ComponentConfig, description: &Description, port: &str) -> Diagnostic {
    let ports: Vec<&str> = description.ports.iter().map(String::as_str).collect();
    let known = if ports.is_empty() {
        format!("a {} of plugin `{}` has no ports", producer.kind, producer.plugin)
    } else {
        let listed: Vec<String> = ports.iter().map(|port| format!("`{port}`")).collect();
        format!("with these settings it has {}", listed.join(", "))
    };
    let message = format!("`{}` has no port `{port}`: {known}", producer.name);
    let help = if ports.is_empty() {
        format!("write `{}` for its main output", producer.name)
    } else {
        let suggested = suggestion(port, &ports).unwrap_or_default();
        format!("{suggested} (`{}` alone is its main output)", producer.name)
    };
    Diagnostic::error(codes::UNKNOWN_PORT, message).help(help)
}
