//! What `delivery: at_least_once` needs of everything upstream.
//!
//! Each source must be able to go back to what was not safe yet, and no stage may lose what it holds when it does. A
//! sink needs nothing: the promise allows a reading to arrive twice, and a commit is part of every sink.

use super::Wiring;
use crate::codes;
use crate::config::Delivery;
use crate::diagnostic::{Diagnostic, Diagnostics};
use cardcage_plugin_api::manifest::{Capability, Kind};

/// Of more that stand in the way, a problem says only how many.
const NAMED_MAX: usize = 3;

pub(super) fn check(wiring: &Wiring<'_>, problems: &mut Diagnostics) {
    let wanting = |node: &usize| wiring.component(*node).delivery == Delivery::AtLeastOnce;
    if !(0..wiring.graph.nodes.len()).any(|node| wanting(&node)) {
        return;
    }
    let live = upstream(wiring, |node| {
        let source = wiring.graph.nodes[node].kind == Kind::Source;
        source && !wiring.descriptions[node].capabilities.has(Capability::Replayable)
    });
    let forgetful = upstream(wiring, |node| {
        let does = &wiring.descriptions[node].capabilities;
        wiring.graph.nodes[node].kind == Kind::Stage
            && does.has(Capability::Holds)
            && !does.has(Capability::State)
    });
    for node in (0..wiring.graph.nodes.len()).filter(wanting) {
        if let Some(diagnostic) = not_replayable(wiring, node, &live[node]) {
            problems.push(diagnostic);
        }
        if let Some(diagnostic) = forgets(wiring, node, &forgetful[node]) {
            problems.push(diagnostic);
        }
    }
}

/// Nodes that stand in the way, at or above a node: the first few, and whether there are more.
#[derive(Clone, Default)]
struct Culprits {
    nodes: Vec<usize>,
    more: bool,
}

impl Culprits {
    fn add(&mut self, node: usize) {
        if self.nodes.contains(&node) {
            return;
        }
        if self.nodes.len() < NAMED_MAX {
            self.nodes.push(node);
        } else {
            self.more = true;
        }
    }
}

/// For each node those at or above it that are `wanted`.
fn upstream(wiring: &Wiring<'_>, wanted: impl Fn(usize) -> bool) -> Vec<Culprits> {
    let mut found: Vec<Culprits> = vec![Culprits::default(); wiring.graph.nodes.len()];
    for node in wiring.graph.topological() {
        let mut here = Culprits::default();
        for edge in wiring.graph.incoming(node) {
            for above in &found[edge.from].nodes {
                here.add(*above);
            }
            here.more |= found[edge.from].more;
        }
        if wanted(node) {
            here.add(node);
        }
        found[node] = here;
    }
    found
}

fn not_replayable(wiring: &Wiring<'_>, node: usize, live: &Culprits) -> Option<Diagnostic> {
    let first = wiring.component(*live.nodes.first()?);
    let component = wiring.component(node);
    let message = if component.kind == Kind::Source {
        format!("`{}` wants at_least_once, but cannot replay what was lost", component.name)
    } else {
        let source = listed(wiring, live, "its source", "its sources");
        format!("`{}` wants at_least_once, but {source} cannot replay what was lost", component.name)
    };
    let help = format!(
        "remove `delivery` (best_effort is the default), or read from a source that declares `replayable` instead of \
         plugin `{}`",
        first.plugin
    );
    let diagnostic = Diagnostic::error(codes::NOT_REPLAYABLE, message)
        .at(component.key_location("delivery").clone())
        .help(help);
    Some(live.nodes.iter().filter(|source| **source != node).fold(diagnostic, |diagnostic, source| {
        let source = wiring.component(*source);
        diagnostic.related(source.location.clone(), format!("source `{}` is here", source.name))
    }))
}

fn forgets(wiring: &Wiring<'_>, node: usize, forgetful: &Culprits) -> Option<Diagnostic> {
    let first = wiring.component(*forgetful.nodes.first()?);
    let component = wiring.component(node);
    let stage = if forgetful.nodes == [node] {
        "it".to_owned()
    } else {
        listed(wiring, forgetful, "stage", "stages")
    };
    let message = format!(
        "`{}` wants at_least_once, but {stage} holds readings back without saving them: they would be lost in a crash",
        component.name
    );
    let help = format!(
        "remove `delivery` (best_effort is the default), or let `{}` take its input from before `{}`, or use a plugin \
         that declares `state` instead of `{}`",
        component.name, first.name, first.plugin
    );
    let diagnostic = Diagnostic::error(codes::HELD_WITHOUT_STATE, message)
        .at(component.key_location("delivery").clone())
        .help(help);
    Some(forgetful.nodes.iter().filter(|stage| **stage != node).fold(diagnostic, |diagnostic, stage| {
        let stage = wiring.component(*stage);
        diagnostic.related(stage.location.clone(), format!("stage `{}` is here", stage.name))
    }))
}

fn listed(wiring: &Wiring<'_>, some: &Culprits, one: &str, several: &str) -> String {
    let names: Vec<String> = some.nodes.iter().map(|node| format!("`{}`", wiring.name(*node))).collect();
    let more = if some.more { " and others" } else { "" };
    format!("{} {}{more}", if names.len() == 1 { one } else { several }, names.join(", "))
}
