//! The graph: components as nodes, what flows between them as edges, and the lanes that follow from it.
//!
//! A node's index is its component's index in the config. A graph made by [`wiring::check`] has no cycle.

pub mod draw;
mod lanes;
pub mod picture;
pub mod units;
pub mod wiring;

pub use lanes::Lane;

use cardcage_plugin_api::manifest::Kind;

/// Components and what flows between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    /// One a component, in the config's order.
    pub nodes: Vec<Node>,
    /// In the order of the consumers, and of each consumer's inputs; dead letters come last.
    pub edges: Vec<Edge>,
    into: Adjacency,
    out_of: Adjacency,
}

/// One component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its index in the graph and in the config.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// Source, stage or sink.
    pub kind: Kind,
}

/// Which output of a component an edge begins at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Output {
    /// The main one.
    Main,
    /// The port with this index in the component's description.
    Port(usize),
    /// What failed there.
    DeadLetter,
}

/// What flows from one component into another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Edge {
    /// The producer's node.
    pub from: usize,
    /// Which of its outputs.
    pub output: Output,
    /// The consumer's node.
    pub to: usize,
}

impl Graph {
    /// Every edge must join two of the nodes.
    fn new(nodes: Vec<Node>, edges: Vec<Edge>) -> Self {
        let into = Adjacency::new(nodes.len(), edges.iter().map(|edge| edge.to));
        let out_of = Adjacency::new(nodes.len(), edges.iter().map(|edge| edge.from));
        Self { nodes, edges, into, out_of }
    }

    /// The edges that end at a node.
    pub fn incoming(&self, node: usize) -> impl Iterator<Item = &Edge> {
        self.into.of(node).iter().map(|edge| &self.edges[*edge])
    }

    /// The edges that begin at a node.
    pub fn outgoing(&self, node: usize) -> impl Iterator<Item = &Edge> {
        self.out_of.of(node).iter().map(|edge| &self.edges[*edge])
    }

    /// The consumers of one output of a node, in the order of the edges.
    pub fn consumers(&self, node: usize, output: Output) -> impl Iterator<Item = usize> {
        self.outgoing(node).filter(move |edge| edge.output == output).map(|edge| edge.to)
    }

    /// The lanes: each node is in exactly one, as its head or in the run behind the head.
    ///
    /// A source starts a lane. A stage is fused into its producer's lane if it has exactly one incoming edge (dead
    /// letters count), that edge comes from the producer's main output, and that output has no other consumer.
    /// Every other stage, and every sink, starts a lane of its own, with an inbox.
    pub fn lanes(&self) -> Vec<Lane> {
        lanes::lanes(self)
    }

    /// All nodes, each behind everything that flows into it; among equals the config's order.
    ///
    /// Nodes on a cycle, which a checked graph has none of, are left out.
    pub fn topological(&self) -> Vec<usize> {
        let mut waiting: Vec<usize> = vec![0; self.nodes.len()];
        let mut successors: Vec<Vec<usize>> = vec![Vec::new(); self.nodes.len()];
        for edge in &self.edges {
            waiting[edge.to] += 1;
            successors[edge.from].push(edge.to);
        }
        let mut ready: std::collections::BTreeSet<usize> =
            (0..self.nodes.len()).filter(|node| waiting[*node] == 0).collect();
        let mut order = Vec::with_capacity(self.nodes.len());
        while let Some(node) = ready.pop_first() {
            order.push(node);
            for next in &successors[node] {
                waiting[*next] -= 1;
                if waiting[*next] == 0 {
                    ready.insert(*next);
                }
            }
        }
        order
    }
}

/// The edges of each node, so that asking for them costs as much as there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Adjacency {
    /// Indices of edges, those of one node together and in the order of the edges.
    edges: Vec<usize>,
    /// Where the edges of each node begin, and the end of all.
    starts: Vec<usize>,
}

impl Adjacency {
    /// `ends` gives for each edge the node that it belongs to.
    fn new(nodes: usize, ends: impl Iterator<Item = usize> + Clone) -> Self {
        let mut starts = vec![0; nodes + 1];
        for node in ends.clone() {
            starts[node + 1] += 1;
        }
        for node in 0..nodes {
            starts[node + 1] += starts[node];
        }
        let mut next = starts.clone();
        let mut edges = vec![0; starts[nodes]];
        for (edge, node) in ends.enumerate() {
            edges[next[node]] = edge;
            next[node] += 1;
        }
        Self { edges, starts }
    }

    fn of(&self, node: usize) -> &[usize] {
        match (self.starts.get(node), self.starts.get(node + 1)) {
            (Some(start), Some(end)) => &self.edges[*start..*end],
            _ => &[],
        }
    }
}
