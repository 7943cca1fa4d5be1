//! Lanes: which components share a thread.

use super::{Graph, Output};
use cardcage_plugin_api::manifest::Kind;

/// A head and the straight run of stages behind it: one thread, no queue inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// The node that starts it: a source, or a stage or sink with an inbox.
    pub head: usize,
    /// The stages fused behind the head, in the order of the flow; may be empty.
    pub stages: Vec<usize>,
}

impl Lane {
    /// All its nodes, head first.
    pub fn nodes(&self) -> impl Iterator<Item = usize> {
        std::iter::once(self.head).chain(self.stages.iter().copied())
    }

    /// The last node, whose outputs leave the lane.
    pub fn tail(&self) -> usize {
        self.stages.last().copied().unwrap_or(self.head)
    }
}

pub(super) fn lanes(graph: &Graph) -> Vec<Lane> {
    let followers = followers(graph);
    let mut fused = vec![false; graph.nodes.len()];
    for follower in followers.iter().flatten() {
        fused[*follower] = true;
    }
    let heads = (0..graph.nodes.len()).filter(|node| !fused[*node]);
    heads
        .map(|head| {
            let mut stages = Vec::new();
            let mut last = head;
            while let Some(next) = followers[last] {
                stages.push(next);
                last = next;
            }
            Lane { head, stages }
        })
        .collect()
}

/// For each node the stage that is fused behind it.
fn followers(graph: &Graph) -> Vec<Option<usize>> {
    let count = graph.nodes.len();
    let mut incoming = vec![0_usize; count];
    let mut main_consumers = vec![0_usize; count];
    for edge in &graph.edges {
        incoming[edge.to] += 1;
        if edge.output == Output::Main {
            main_consumers[edge.from] += 1;
        }
    }
    let mut followers = vec![None; count];
    for edge in &graph.edges {
        let alone = incoming[edge.to] == 1 && main_consumers[edge.from] == 1;
        if edge.output == Output::Main && alone && graph.nodes[edge.to].kind == Kind::Stage {
            followers[edge.from] = Some(edge.to);
        }
    }
    followers
}
