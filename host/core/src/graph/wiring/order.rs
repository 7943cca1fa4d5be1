//! Components that need each sensor's readings in the order in which their source gave them.
//!
//! The order is lost where a component may change it, and where the ways of one source meet again: what went the
//! longer way comes later. Readings of different sources have no order among each other to lose.

use super::Wiring;
use crate::codes;
use crate::diagnostic::{Diagnostic, Diagnostics};
use cardcage_plugin_api::manifest::{Capability, Kind};

/// Why there is no order behind a node, and at which node it was lost.
#[derive(Clone, Copy)]
enum Lost {
    /// A component may change it.
    Reordered(usize),
    /// What one source gives arrives there over several edges.
    Met { at: usize, source: usize },
}

pub(super) fn check(wiring: &Wiring<'_>, problems: &mut Diagnostics) {
    let needing: Vec<bool> = wiring.descriptions.iter().map(|description| description.needs_order).collect();
    if !needing.contains(&true) {
        return;
    }
    let nodes = wiring.graph.nodes.len();
    let mut lost: Vec<Option<Lost>> = vec![None; nodes];
    let mut sources: Vec<Sources> = vec![Sources::default(); nodes];
    for node in wiring.graph.topological() {
        for edge in wiring.graph.incoming(node) {
            lost[node] = lost[node].or(lost[edge.from]);
            let above = std::mem::take(&mut sources[edge.from]);
            if let (None, Some(source)) = (lost[node], sources[node].unite(&above)) {
                lost[node] = Some(Lost::Met { at: node, source });
            }
            sources[edge.from] = above;
        }
        if wiring.graph.nodes[node].kind == Kind::Source {
            sources[node].insert(node);
        }
        if let Some(lost) = lost[node].filter(|_| needing[node]) {
            problems.push(diagnostic(wiring, node, lost));
        }
        if wiring.descriptions[node].capabilities.has(Capability::Reorders) {
            lost[node] = lost[node].or(Some(Lost::Reordered(node)));
        }
    }
}

fn diagnostic(wiring: &Wiring<'_>, node: usize, lost: Lost) -> Diagnostic {
    let component = wiring.component(node);
    let name = &component.name;
    let (why, place, help) = match lost {
        Lost::Reordered(by) => {
            let by = wiring.component(by);
            (
                format!("{} `{}` may give them in another order", by.kind, by.name),
                (by.location.clone(), format!("`{}` is here", by.name)),
                format!("let `{name}` take its input from before `{}`", by.name),
            )
        }
        Lost::Met { at, source } => {
            let (at, source) = (wiring.component(at), wiring.name(source));
            (
                format!(
                    "what `{source}` gives comes to `{}` on several ways, some longer than others",
                    at.name
                ),
                (at.key_location("inputs").clone(), format!("the ways of `{source}` meet here")),
                format!("let `{}` take what comes from `{source}` on one way only", at.name),
            )
        }
    };
    let message = format!("`{name}` needs the readings of each sensor in order, but {why}");
    Diagnostic::error(codes::OUT_OF_ORDER, message)
        .at(component.key_location("inputs").clone())
        .related(place.0, place.1)
        .help(help)
}

/// A set of sources, as bits.
#[derive(Clone, Default)]
struct Sources {
    words: Vec<u64>,
}

impl Sources {
    fn insert(&mut self, source: usize) {
        let word = source / 64;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (source % 64);
    }

    /// Puts all of another set in; one that was in already, if one was.
    fn unite(&mut self, other: &Self) -> Option<usize> {
        if other.words.len() > self.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        let mut both = None;
        for (at, (word, more)) in self.words.iter_mut().zip(&other.words).enumerate() {
            if *word & more != 0 && both.is_none() {
                both = Some(at * 64 + (*word & more).trailing_zeros() as usize);
            }
            *word |= more;
        }
        both
    }
}
