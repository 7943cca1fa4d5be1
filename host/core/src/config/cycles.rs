//! Circles: components that feed each other, so that records would go round for ever.

use super::valid::ComponentConfig;
use crate::codes;
use crate::diagnostic::{Diagnostic, Diagnostics};
use cardcage_plugin_api::manifest::Kind;
use std::collections::{BTreeSet, HashMap};

/// Reports each circle once, as a path in the direction of the flow.
pub(super) fn check(
    components: &[ComponentConfig],
    index: &HashMap<&str, usize>,
    problems: &mut Diagnostics,
) {
    let producers = producers(components, index);
    let mut state = vec![Visit::New; components.len()];
    let mut reported: BTreeSet<usize> = BTreeSet::new();
    for start in 0..components.len() {
        let mut path: Vec<(usize, usize)> = vec![(start, 0)];
        if state[start] != Visit::New {
            continue;
        }
        state[start] = Visit::Open;
        while let Some((node, next)) = path.last_mut() {
            let Some(&producer) = producers[*node].get(*next) else {
                state[*node] = Visit::Done;
                path.pop();
                continue;
            };
            *next += 1;
            match state[producer] {
                Visit::Done => {}
                Visit::New => {
                    state[producer] = Visit::Open;
                    path.push((producer, 0));
                }
                Visit::Open => {
                    let from = path.iter().position(|(node, _)| *node == producer).unwrap_or(0);
                    let members: Vec<usize> = path[from..].iter().map(|(node, _)| *node).collect();
                    if !members.iter().any(|node| reported.contains(node)) {
                        problems.push(cycle(components, &members));
                    }
                    reported.extend(members);
                }
            }
        }
    }
}

/// `members` against the flow: each takes what the next one gives, the last what the first one gives.
fn cycle(components: &[ComponentConfig], members: &[usize]) -> Diagnostic {
    /// A longer circle is shown by its beginning and end.
    const SHOWN_MAX: usize = 20;
    let mut path: Vec<usize> = members.iter().rev().copied().collect();
    // Begin with the one that stands first in the file.
    let first = (0..path.len()).min_by_key(|at| path[*at]).unwrap_or(0);
    path.rotate_left(first);
    let (consumer, last) = (&components[path[0]], &components[path[path.len() - 1]]);
    let mut names: Vec<&str> = path.iter().map(|node| components[*node].name.as_str()).collect();
    if names.len() > SHOWN_MAX {
        names.splice(SHOWN_MAX / 2..names.len() - SHOWN_MAX / 2, ["..."]);
    }
    names.push(&consumer.name);
    let closing = consumer.inputs.iter().find(|input| input.component == last.name);
    let location = closing.map(|input| &input.location);
    let dead_letter = last.dead_letter.as_ref().map(|(_, location)| location);
    let message = format!("these feed each other in a circle: {}", names.join(" -> "));
    Diagnostic::error(codes::CYCLE, message)
        .at(location.or(dead_letter).unwrap_or(&consumer.location).clone())
        .help("records would go round for ever; remove one input")
}

/// For each component what flows into it: its inputs, and components whose dead letters it takes. What was
/// refused for another reason is left out.
fn producers(components: &[ComponentConfig], index: &HashMap<&str, usize>) -> Vec<Vec<usize>> {
    let mut producers: Vec<Vec<usize>> = vec![Vec::new(); components.len()];
    for (at, component) in components.iter().enumerate() {
        if component.kind != Kind::Source {
            let inputs = component.inputs.iter();
            producers[at].extend(inputs.filter_map(|input| index.get(input.component.as_str())));
        }
        let sink = component.dead_letter.as_ref().and_then(|(sink, _)| index.get(sink.as_str()));
        if let Some(&sink) = sink.filter(|sink| **sink != at && components[**sink].kind == Kind::Sink) {
            producers[sink].push(at);
        }
    }
    producers
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    New,
    Open,
    Done,
}
