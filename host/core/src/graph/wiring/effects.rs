//! Keys that do nothing where they stand, and components that nothing reaches.

use super::super::Output;
use super::Wiring;
use crate::codes;
use crate::diagnostic::{Diagnostic, Diagnostics, Location};
use cardcage_plugin_api::manifest::Kind;

pub(super) fn check(wiring: &Wiring<'_>, problems: &mut Diagnostics) {
    buffers(wiring, problems);
    for (node, component) in wiring.config.components.iter().enumerate() {
        let name = &component.name;
        if component.kind != Kind::Source
            && let Some(location) = component.locations.get("batch.linger")
        {
            let message = format!(
                "`linger` of {} `{name}` has no effect: only sources wait for records",
                component.kind
            );
            let help = "remove it, or set it where the batches are made: at the source";
            problems.push(no_effect(message, location).help(help));
        }
        if component.kind == Kind::Source
            && let Some((sink, location)) = &component.dead_letter
        {
            let message = format!(
                "nothing ever goes from `{name}` to `{sink}`: dead letters are batches that a component could not take, \
                 and nothing flows into a source"
            );
            let help = "remove `dead_letter` here, and set it at the stages and sinks behind";
            problems.push(no_effect(message, location).help(help));
        }
        unreachable(wiring, node, problems);
    }
}

/// Only what heads a lane has an inbox, and `buffer` is its bound.
fn buffers(wiring: &Wiring<'_>, problems: &mut Diagnostics) {
    for lane in wiring.graph.lanes() {
        for node in lane.nodes() {
            let component = wiring.component(node);
            let Some(location) = component.locations.get("buffer") else {
                continue;
            };
            let name = &component.name;
            let message = if component.kind == Kind::Source {
                format!("`buffer` of source `{name}` has no effect: nothing waits in front of a source")
            } else if node != lane.head {
                let head = wiring.name(lane.head);
                format!(
                    "`buffer` of stage `{name}` has no effect: it runs on the thread of `{head}`, with no queue between"
                )
            } else {
                continue;
            };
            let behind = wiring.graph.outgoing(lane.tail()).map(|edge| wiring.name(edge.to)).next();
            let help = match behind {
                Some(behind) => {
                    format!("remove it, or set it at `{behind}`, which has a queue in front of it")
                }
                None => "remove it".to_owned(),
            };
            problems.push(no_effect(message, location).help(help));
        }
    }
}

/// Every input leads up to a source, since there are no circles; but a sink may live on dead letters alone.
fn unreachable(wiring: &Wiring<'_>, node: usize, problems: &mut Diagnostics) {
    let mut edges = wiring.graph.incoming(node).peekable();
    let component = wiring.component(node);
    // With an input missing, something else was meant to come.
    if edges.peek().is_none() || !component.inputs.is_empty() {
        return;
    }
    let never = |edge: &super::Edge| {
        edge.output == Output::DeadLetter && wiring.graph.nodes[edge.from].kind == Kind::Source
    };
    if edges.all(never) {
        let message = format!(
            "nothing ever reaches sink `{}`: it only takes dead letters of sources, and these have none",
            component.name
        );
        let help =
            "set `dead_letter` at the stages and sinks whose failures it is to keep, or give it `inputs`";
        let diagnostic = Diagnostic::error(codes::UNREACHABLE, message);
        problems.push(diagnostic.at(component.location.clone()).help(help));
    }
}

fn no_effect(message: String, location: &Location) -> Diagnostic {
    Diagnostic::warning(codes::NO_EFFECT, message).at(location.clone())
}
