//! Rung 11: whether components fit together, as far as their descriptions tell before any data flows.
//!
//! What names alone tell (unknown inputs, cycles, outputs that nothing consumes) was checked with the config, so
//! that it is reported before any plugin is loaded. Units and dimensions along edges are not compared yet: that
//! check belongs here, over the finished graph.

use super::{Edge, Graph, Node, Output};
use crate::codes;
use crate::config::{ComponentConfig, Config, Delivery};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::naming::suggestion;
use cardcage_plugin_api::describe::Description;
use cardcage_plugin_api::manifest::{Capability, Kind};
use std::collections::HashMap;

/// The graph of a config whose components described themselves so, or everything that does not fit.
///
/// `descriptions` holds one description a component, in the order of `config.components`.
pub fn check(config: &Config, descriptions: &[Description]) -> Result<Graph, Diagnostics> {
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
    let graph = Graph { nodes: nodes(config), edges: edges(config, descriptions, &mut problems) };
    delivery(config, descriptions, &graph, &mut problems);
    if problems.has_errors() {
        config.quote(&mut problems);
        return Err(problems);
    }
    Ok(graph)
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

fn edges(config: &Config, descriptions: &[Description], problems: &mut Diagnostics) -> Vec<Edge> {
    let names = config.components.iter().enumerate();
    let index: HashMap<&str, usize> = names.map(|(index, c)| (c.name.as_str(), index)).collect();
    let mut edges = Vec::new();
    for (to, component) in config.components.iter().enumerate() {
        for input in &component.inputs {
            let Some(&from) = index.get(input.component.as_str()) else {
                // Such a config is refused before it gets here.
                continue;
            };
            let (producer, description) = (&config.components[from], &descriptions[from]);
            match output(description, input.port.as_deref()) {
                Ok(output) => edges.push(Edge { from, output, to }),
                Err(port) => {
                    let problem = unknown_port(producer, description, port);
                    problems.push(problem.at(input.location.clone()));
                }
            }
        }
    }
    for (from, component) in config.components.iter().enumerate() {
        let sink = component.dead_letter.as_ref().and_then(|(sink, _)| index.get(sink.as_str()));
        edges.extend(sink.map(|&to| Edge { from, output: Output::DeadLetter, to }));
    }
    edges
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

/// At-least-once needs every source that flows into the component, however far upstream, to go back on demand.
fn delivery(config: &Config, descriptions: &[Description], graph: &Graph, problems: &mut Diagnostics) {
    for (node, component) in config.components.iter().enumerate() {
        if component.delivery != Delivery::AtLeastOnce {
            continue;
        }
        for source in upstream_sources(graph, node) {
            if descriptions[source].capabilities.has(Capability::Replayable) {
                continue;
            }
            let source = &config.components[source];
            let message = format!(
                "`{}` wants at_least_once, but its source `{}` cannot replay what was lost",
                component.name, source.name
            );
            let help = format!(
                "remove `delivery` (best_effort is the default), or read from a source that declares `replayable` \
                 instead of plugin `{}`",
                source.plugin
            );
            problems.push(
                Diagnostic::error(codes::NOT_REPLAYABLE, message)
                    .at(component.key_location("delivery").clone())
                    .related(source.location.clone(), format!("source `{}` is here", source.name))
                    .help(help),
            );
        }
    }
}

fn upstream_sources(graph: &Graph, node: usize) -> Vec<usize> {
    let mut seen = vec![false; graph.nodes.len()];
    let mut open = vec![node];
    while let Some(node) = open.pop() {
        if !std::mem::replace(&mut seen[node], true) {
            open.extend(graph.incoming(node).map(|edge| edge.from));
        }
    }
    (0..seen.len()).filter(|node| seen[*node] && graph.nodes[*node].kind == Kind::Source).collect()
}
