//! What to do about units that do not fit, as YAML to paste where there is something that helps.
//!
//! A proposal is made only if the pipeline would then be taken, as far as this problem goes: a stage that converts,
//! where the dimension fits; else another component of the pipeline that gives what is wanted; else words.

use super::super::Output;
use super::super::units::{Flow, UnitIndex, UnitSet};
use super::{Joint, Wiring};
use crate::diagnostic::Diagnostic;
use cardcage_plugin_api::manifest::Kind;
use cardcage_plugin_api::units::Dimension;

/// The longest name that a proposed stage takes from its consumer: with `_units_4096` behind it is still a name.
const NAME_STEM_MAX_BYTES: usize = 50;
/// Consumers whose inputs a proposal spells out.
const CONSUMERS_MAX: usize = 3;

/// Units that a component refuses on one of its inputs.
pub(super) struct Fault<'a> {
    pub(super) node: usize,
    pub(super) joint: &'a Joint<'a>,
    pub(super) wrong: &'a UnitSet,
    /// Where the first of them begins.
    pub(super) origin: Option<usize>,
}

/// What to do, and lines to paste for it.
pub(super) struct Proposal {
    help: String,
    paste: Option<String>,
}

impl Proposal {
    pub(super) fn to(self, diagnostic: Diagnostic) -> Diagnostic {
        let diagnostic = diagnostic.help(self.help);
        match self.paste {
            Some(lines) => diagnostic.paste(lines),
            None => diagnostic,
        }
    }
}

impl From<String> for Proposal {
    fn from(help: String) -> Self {
        Self { help, paste: None }
    }
}

/// What to do about refused units.
pub(super) fn refused(wiring: &Wiring<'_>, fault: &Fault<'_>) -> Proposal {
    let name = wiring.name(fault.node);
    if let Some(input) = &fault.joint.input {
        if let Some(targets) = conversions(wiring, fault) {
            return inserted(wiring, fault.node, input, &targets);
        }
        let rules = &wiring.descriptions[fault.node].units;
        let fits = |flow: &Flow| {
            let all_taken = || flow.units.iter().all(|unit| wiring.flows.refusal(rules, unit).is_none());
            !flow.is_empty() && flow.unknown.is_none() && all_taken()
        };
        if let Some(other) = other_giver(wiring, fault.node, fits) {
            let inputs = with_input(wiring, fault.node, input, &[other]);
            return format!("`{other}` gives what `{name}` takes: write `{inputs}` at `{name}`").into();
        }
    }
    let without_unit = |unit: UnitIndex| wiring.flows.code(unit).is_empty();
    if let Some(origin) = fault.origin.filter(|_| fault.wrong.iter().any(without_unit)) {
        return give_a_unit(wiring, origin).into();
    }
    let origin = fault.origin.map_or("the source", |origin| wiring.name(origin));
    format!(
        "nothing in this pipeline gives only what `{name}` takes: let `{origin}` read something else, add a source, or \
         give these readings to a component that takes them"
    )
    .into()
}

/// What to do about a stage with nothing to convert.
pub(super) fn idle(wiring: &Wiring<'_>, node: usize, targets: &[UnitIndex]) -> Proposal {
    let flows = wiring.flows;
    let dimensions: Vec<Dimension> = targets.iter().filter_map(|target| flows.dimension(*target)).collect();
    let fits = |flow: &Flow| {
        let measures = |unit| flows.dimension(unit).is_some_and(|dimension| dimensions.contains(&dimension));
        flow.unknown.is_none() && flow.units.iter().any(measures)
    };
    let name = wiring.name(node);
    if let Some(other) = other_giver(wiring, node, fits) {
        return format!("`{other}` gives something to convert: write `inputs: [{other}]` at `{name}`").into();
    }
    let came: Vec<UnitIndex> = flows.into(node).units.iter().collect();
    if came.iter().all(|unit| flows.code(*unit).is_empty()) {
        let source = wiring.graph.topological().into_iter().find(|source| {
            wiring.graph.nodes[*source].kind == Kind::Source
                && flows.out_of(*source).units.iter().any(|u| came.contains(&u))
        });
        if let Some(source) = source {
            return give_a_unit(wiring, source).into();
        }
    }
    let otherwise = format!("name a unit of what comes in the settings of `{name}`");
    match removed(wiring, node) {
        Some(removed) => format!("{otherwise}, or remove `{name}` and write {removed}"),
        None => format!("{otherwise}, or take `{name}` out"),
    }
    .into()
}

fn give_a_unit(wiring: &Wiring<'_>, source: usize) -> String {
    let source = wiring.component(source);
    format!(
        "give the readings of `{}` a unit: `cardcage plugin inspect {}` shows its settings",
        source.name, source.plugin.name
    )
}

/// For each dimension of the refused units the unit to convert to; `None` if that would not help all of them.
fn conversions(wiring: &Wiring<'_>, fault: &Fault<'_>) -> Option<Vec<(Dimension, String)>> {
    let (flows, rules) = (wiring.flows, &wiring.descriptions[fault.node].units);
    let accepted = rules.accepts_units.as_ref()?;
    let mut targets: Vec<(Dimension, String)> = Vec::new();
    for unit in fault.wrong.iter() {
        let dimension = flows.dimension(unit)?;
        if targets.iter().any(|(other, _)| *other == dimension) {
            continue;
        }
        let named = rules
            .accepts_dimensions
            .as_ref()
            .is_none_or(|names| names.iter().any(|name| name == dimension.name()));
        let measures = |code: &&String| {
            let unit = cardcage_plugin_api::units::parse(code);
            unit.is_some_and(|unit| unit.dimension() == dimension)
        };
        targets.push((dimension, accepted.iter().filter(|_| named).find(measures)?.clone()));
    }
    Some(targets)
}

/// A stage in front of one input that converts.
fn inserted(wiring: &Wiring<'_>, node: usize, input: &str, targets: &[(Dimension, String)]) -> Proposal {
    let name = wiring.name(node);
    let stem: String = name.chars().take(NAME_STEM_MAX_BYTES).collect();
    let numbers = std::iter::once(String::new()).chain((2..).map(|number| format!("_{number}")));
    let stage = numbers
        .map(|number| format!("{stem}_units{number}"))
        .find(|free| wiring.config.component(free).is_none())
        .unwrap_or_default();
    let to = match targets {
        [(_, code)] => scalar(code),
        several => {
            let each =
                several.iter().map(|(dimension, code)| format!("{}: {}", dimension.name(), scalar(code)));
            format!("{{ {} }}", each.collect::<Vec<_>>().join(", "))
        }
    };
    let entry = format!("{stage}: {{ plugin: convert, inputs: [{input}], settings: {{ to: {to} }} }}");
    let consumer = with_input(wiring, node, input, &[&stage]);
    let (place, lines) = placed(wiring, &entry);
    let help = format!("convert on the way: add a stage {place}, and write `{consumer}` at `{name}`");
    Proposal { help, paste: Some(lines) }
}

/// Where a stage's entry goes, and the entry, indented as its neighbours are.
fn placed(wiring: &Wiring<'_>, entry: &str) -> (&'static str, String) {
    let stages = wiring.config.components.iter().filter(|component| component.kind == Kind::Stage);
    if let Some(first) = stages.min_by_key(|stage| (stage.location.line, stage.location.column)) {
        let line = usize::try_from(first.location.line).unwrap_or(usize::MAX).saturating_sub(1);
        let indent = usize::try_from(first.location.column).unwrap_or(1).saturating_sub(1);
        let before = wiring.config.text.lines().nth(line).unwrap_or_default();
        if before.chars().take(indent).all(|c| c == ' ') {
            return ("under `stages:`", format!("{}{entry}", " ".repeat(indent)));
        }
        return ("inside the braces behind `stages:`, in front of what is there", format!("{entry},"));
    }
    // The key may be there with nothing behind it.
    let empty = wiring.config.text.lines().any(|line| line.starts_with("stages:"));
    let place = if empty { "in place of the empty `stages`" } else { "at the end of the file" };
    (place, format!("stages:\n  {entry}"))
}

/// The key `inputs` of a component with others in place of one input.
fn with_input(wiring: &Wiring<'_>, node: usize, input: &str, others: &[&str]) -> String {
    let mut inputs: Vec<&str> = Vec::new();
    for joint in wiring.into(node) {
        match joint.input.as_deref() {
            Some(written) if written == input => inputs.extend(others),
            Some(written) => inputs.push(written),
            None => {}
        }
    }
    let mut seen = std::collections::HashSet::new();
    inputs.retain(|input| seen.insert(*input));
    format!("inputs: [{}]", inputs.join(", "))
}

/// The inputs of a stage's consumers once it is gone; `None` if more than that would have to change.
fn removed(wiring: &Wiring<'_>, node: usize) -> Option<String> {
    let name = wiring.name(node);
    let inputs: Vec<&str> = wiring.into(node).filter_map(|joint| joint.input.as_deref()).collect();
    let mut consumers: Vec<usize> = Vec::new();
    for edge in wiring.graph.outgoing(node) {
        if edge.output != Output::Main {
            return None;
        }
        consumers.push(edge.to);
    }
    if consumers.len() > CONSUMERS_MAX || wiring.graph.incoming(node).count() != inputs.len() {
        return None;
    }
    let lines = consumers.into_iter().map(|consumer| {
        format!("`{}` at `{}`", with_input(wiring, consumer, name, &inputs), wiring.name(consumer))
    });
    Some(lines.collect::<Vec<_>>().join(", "))
}

/// The component whose main output carries what fits: the nearest one upstream, else the first of the file. What lies
/// behind the node cannot flow into it, and what flows into it already did not help.
fn other_giver<'a>(wiring: &Wiring<'a>, node: usize, fits: impl Fn(&Flow) -> bool) -> Option<&'a str> {
    let behind = reached(wiring, node, |at| wiring.graph.outgoing(at).map(|edge| edge.to).collect());
    let upstream = reached(wiring, node, |at| wiring.graph.incoming(at).map(|edge| edge.from).collect());
    let taken = |giver: usize| wiring.graph.consumers(giver, Output::Main).any(|consumer| consumer == node);
    let mut candidates: Vec<usize> = wiring.graph.topological();
    candidates.retain(|giver| {
        let gives = wiring.graph.nodes[*giver].kind != Kind::Sink;
        gives && !behind[*giver] && !taken(*giver) && fits(wiring.flows.out_of(*giver))
    });
    let nearest = candidates.iter().rev().find(|giver| upstream[**giver]);
    nearest.or_else(|| candidates.iter().min()).map(|giver| wiring.name(*giver))
}

/// The node and everything that can be reached from it.
fn reached(wiring: &Wiring<'_>, node: usize, next: impl Fn(usize) -> Vec<usize>) -> Vec<bool> {
    let mut reached = vec![false; wiring.graph.nodes.len()];
    let mut open = vec![node];
    while let Some(at) = open.pop() {
        if !std::mem::replace(&mut reached[at], true) {
            open.extend(next(at));
        }
    }
    reached
}

/// A unit's code as YAML takes it inside of braces: plain only where nothing else could be meant.
fn scalar(code: &str) -> String {
    const WORDS: [&str; 8] = ["true", "false", "yes", "no", "on", "off", "null", "nan"];
    let letters = code.len() > 1 && code.chars().all(|c| c.is_ascii_alphabetic());
    if letters && !WORDS.contains(&code.to_ascii_lowercase().as_str()) {
        return code.to_owned();
    }
    format!("\"{}\"", code.replace('\\', "\\\\").replace('"', "\\\""))
}
