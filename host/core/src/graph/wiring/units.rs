//! Whether the units that come are units that are taken.
//!
//! If a component refuses every unit that may come over one of its inputs, that input is of no use: an error. If it
//! takes some of them, a warning: the readings that it takes flow, each other one is rejected with a reason and
//! counted, and a source that reads several things at once (a whole machine) can often not be told to read less.
//! Where a unit is not known before the data comes, there is nothing to say.
//!
//! A stage that converts to dimensions of which no reading can come is an error as well: it would do nothing, while
//! whoever wrote it counts on it.

use super::super::units::{Refusal, UnitIndex, UnitSet};
use super::super::{Edge, Output};
use super::proposal::{self, Fault};
use super::{Joint, Wiring};
use crate::codes;
use crate::diagnostic::{Diagnostic, Diagnostics};
use cardcage_plugin_api::manifest::Kind;

/// Among more problems than this nobody reads ways and proposals, and searching for them costs time.
const EXPLAINED_MAX: usize = 100;
/// Units that a message names.
const NAMED_MAX: usize = 5;
/// Components of a way that are shown at its beginning, and at its end.
const SHOWN_ENDS: usize = 3;

pub(super) fn check(wiring: &Wiring<'_>, problems: &mut Diagnostics) {
    for node in wiring.graph.topological() {
        for joint in wiring.into(node) {
            if let Some(diagnostic) = refused(wiring, node, joint, problems.len()) {
                problems.push(diagnostic);
            }
        }
        if let Some(diagnostic) = idle(wiring, node, problems.len()) {
            problems.push(diagnostic);
        }
    }
}

/// What a node does not take of what comes over one edge.
fn refused(wiring: &Wiring<'_>, node: usize, joint: &Joint<'_>, before: usize) -> Option<Diagnostic> {
    let rules = &wiring.descriptions[node].units;
    if rules.accepts_dimensions.is_none() && rules.accepts_units.is_none() {
        return None;
    }
    let flow = wiring.flows.on(&joint.edge);
    let refusals: Vec<(UnitIndex, Refusal)> =
        flow.units.iter().filter_map(|unit| Some((unit, wiring.flows.refusal(rules, unit)?))).collect();
    let (first, _) = *refusals.first()?;
    let wrong: UnitSet = refusals.iter().map(|(unit, _)| *unit).collect();
    let all = flow.unknown.is_none() && wrong == flow.units;
    let by_unit = refusals.iter().all(|(_, refusal)| *refusal == Refusal::Unit);
    let (name, giver) = (wiring.name(node), giver(wiring, joint));
    let (accepted, refused) = (takes(wiring, node, by_unit), named(wiring, &wrong));
    let diagnostic = if all {
        let code = if by_unit { codes::WRONG_UNIT } else { codes::WRONG_DIMENSION };
        Diagnostic::error(code, format!("`{name}` takes only {accepted}, but {giver} gives {refused}"))
    } else {
        let message =
            format!("`{name}` takes only {accepted}: of what {giver} gives it would reject {refused}");
        Diagnostic::warning(codes::REFUSED_IN_PART, message)
    };
    let diagnostic = diagnostic.at(joint.location.clone());
    if before >= EXPLAINED_MAX {
        return Some(diagnostic);
    }
    let way = way(wiring, joint.edge, first);
    let proposal = proposal::refused(
        wiring,
        &Fault { node, joint, wrong: &wrong, origin: way.first().map(|step| step.node) },
    );
    Some(proposal.to(with_way(wiring, diagnostic, &way)))
}

/// A stage that converts nothing, since nothing of the dimensions that it converts to can come.
fn idle(wiring: &Wiring<'_>, node: usize, before: usize) -> Option<Diagnostic> {
    let (rules, flows) = (&wiring.descriptions[node].units, wiring.flows);
    let flow = flows.into(node);
    let coming = flows.taken_of(rules, flow);
    if rules.converts_to.is_empty() || !coming.unknown.is_none() || coming.is_empty() {
        return None;
    }
    let targets: Vec<UnitIndex> = flows.targets(rules).collect();
    let may_convert = |unit: UnitIndex| {
        let dimension = flows.dimension(unit);
        let beyond_the_table = dimension.is_none() && !flows.code(unit).is_empty();
        beyond_the_table
            || targets.iter().any(|target| {
                let wanted = flows.dimension(*target);
                wanted.is_none() || wanted == dimension
            })
    };
    if coming.units.iter().any(may_convert) {
        return None;
    }
    let (name, wanted) = (wiring.name(node), named(wiring, &targets.iter().copied().collect()));
    let message =
        format!("`{name}` converts to {wanted}, but only {} can come", named(wiring, &coming.units));
    let diagnostic = Diagnostic::error(codes::NOTHING_TO_CONVERT, message)
        .at(wiring.component(node).key_location("inputs").clone());
    if before >= EXPLAINED_MAX {
        return Some(diagnostic);
    }
    let first = coming.units.iter().next()?;
    let edge = wiring.graph.incoming(node).find(|edge| flows.on(edge).units.contains(first))?;
    let proposal = proposal::idle(wiring, node, &targets);
    Some(proposal.to(with_way(wiring, diagnostic, &way(wiring, *edge, first))))
}

fn giver(wiring: &Wiring<'_>, joint: &Joint<'_>) -> String {
    match &joint.input {
        Some(input) => format!("`{input}`"),
        None => format!("the dead letters of `{}`", wiring.name(joint.edge.from)),
    }
}

/// What a component takes: units where dimensions would all fit, else dimensions.
fn takes(wiring: &Wiring<'_>, node: usize, by_unit: bool) -> String {
    let rules = &wiring.descriptions[node].units;
    let list = match (&rules.accepts_dimensions, &rules.accepts_units) {
        (Some(dimensions), _) if !by_unit => dimensions,
        (_, Some(units)) => units,
        (Some(dimensions), None) => dimensions,
        (None, None) => return "everything".to_owned(),
    };
    let shown =
        list.iter().map(|item| if item.is_empty() { "readings without a unit" } else { item.as_str() });
    or_more(shown.map(str::to_owned).collect())
}

/// Units with their dimensions, as in a sentence.
fn named(wiring: &Wiring<'_>, units: &UnitSet) -> String {
    let each = units.iter().map(|unit| match (wiring.flows.code(unit), wiring.flows.dimension(unit)) {
        ("", _) => "readings without a unit".to_owned(),
        (code, Some(dimension)) => format!("{code} ({})", dimension.name()),
        (code, None) => code.to_owned(),
    });
    or_more(each.collect())
}

fn or_more(mut names: Vec<String>) -> String {
    if names.is_empty() {
        return "nothing".to_owned();
    }
    let more = names.len().saturating_sub(NAMED_MAX);
    names.truncate(NAMED_MAX);
    if more > 0 {
        return format!("{} and {more} more", names.join(", "));
    }
    names.join(", ")
}

/// A component on the way of a unit, and the unit that comes out of it.
struct Step {
    node: usize,
    unit: UnitIndex,
}

/// The way on which a unit comes to the end of an edge, beginning where it is given.
fn way(wiring: &Wiring<'_>, edge: Edge, unit: UnitIndex) -> Vec<Step> {
    let (mut edge, mut unit) = (edge, unit);
    let mut steps = Vec::new();
    // A way visits no component twice.
    for _ in 0..wiring.graph.nodes.len() {
        steps.push(Step { node: edge.from, unit });
        let Some((before, came_as)) = step_back(wiring, edge, unit) else {
            break;
        };
        (edge, unit) = (before, came_as);
    }
    steps.reverse();
    steps
}

/// The edge on which a unit that leaves over `edge` came in, and the unit it was then; `None` where it began.
fn step_back(wiring: &Wiring<'_>, edge: Edge, unit: UnitIndex) -> Option<(Edge, UnitIndex)> {
    let (node, flows) = (edge.from, wiring.flows);
    if wiring.graph.nodes[node].kind == Kind::Source {
        return None;
    }
    let rules = &wiring.descriptions[node].units;
    let came_in = &flows.into(node).units;
    let taken = flows.taken(rules, came_in);
    let passes = match edge.output {
        Output::Main => taken.contains(unit) && flows.converted(rules, unit) == unit,
        Output::Port(_) | Output::DeadLetter => came_in.contains(unit),
    };
    let came_as =
        if passes { unit } else { taken.iter().find(|before| flows.converted(rules, *before) == unit)? };
    let before = wiring.graph.incoming(node).find(|edge| flows.on(edge).units.contains(came_as))?;
    Some((*before, came_as))
}

fn with_way(wiring: &Wiring<'_>, diagnostic: Diagnostic, way: &[Step]) -> Diagnostic {
    let left_out = way.len().saturating_sub(2 * SHOWN_ENDS);
    let mut diagnostic = diagnostic;
    let mut came_as: Option<UnitIndex> = None;
    for (at, step) in way.iter().enumerate() {
        let (component, code) = (wiring.component(step.node), wiring.flows.code(step.unit));
        let code = if code.is_empty() { "readings without a unit" } else { code };
        let name = &component.name;
        let message = match came_as {
            None => format!("`{name}` gives {code}"),
            Some(before) if before == step.unit => format!("`{name}` passes it on"),
            Some(_) => format!("`{name}` turns it into {code}"),
        };
        came_as = Some(step.unit);
        if left_out > 0 && (SHOWN_ENDS..way.len() - SHOWN_ENDS).contains(&at) {
            continue;
        }
        let message = if left_out > 0 && at + 1 == SHOWN_ENDS {
            format!("{message}; {left_out} more components follow")
        } else {
            message
        };
        diagnostic = diagnostic.related(component.location.clone(), message);
    }
    diagnostic
}
