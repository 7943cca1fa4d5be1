//! A wired pipeline as plain facts for people and programs: what `cardcage check` draws, and prints as JSON.

use super::units::{Flow, Flows};
use super::{Edge, Graph, Output};
use crate::config::{Config, Delivery};
use cardcage_plugin_api::describe::Description;
use cardcage_plugin_api::manifest::Kind;
use serde::Serialize;

/// A pipeline's components in the order of the flow, what flows between them, and the threads that they run on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Picture {
    /// By lane, in each lane as they run.
    pub components: Vec<Component>,
    /// By the component that they begin at.
    pub edges: Vec<Line>,
    /// In the order of the flow.
    pub lanes: Vec<LaneFacts>,
    /// All threads of all lanes.
    pub threads: u64,
}

/// One component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Component {
    /// Its name.
    pub name: String,
    /// Source, stage or sink.
    pub kind: Kind,
    /// The name of its plugin.
    pub plugin: String,
    /// The plugin's version.
    pub version: String,
    /// The index of its lane.
    pub lane: usize,
    /// `best_effort` or `at_least_once`.
    pub delivery: &'static str,
    /// The ports that it has, taken or not.
    pub ports: Vec<String>,
    /// Threads of its own that it starts at most.
    pub threads: u32,
}

/// What flows from one component to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The component that gives.
    pub from: String,
    /// `main`, `port` or `dead_letter`.
    pub output: &'static str,
    /// The port's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// The component that takes.
    pub to: String,
    /// The codes of units that may flow, as far as they are known; the empty one stands for readings without a unit.
    pub units: Vec<String>,
    /// Whether other units may flow, which are not known before the data comes.
    pub any: bool,
}

/// One lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LaneFacts {
    /// Its components, the head first.
    pub components: Vec<String>,
    /// Its own thread, and those that its components start at most.
    pub threads: u64,
}

impl Picture {
    /// The picture of a config whose wiring was checked. `plugins` holds for each component the name and version of its plugin; both
    /// lists are in the order of `config.components`.
    pub fn new(
        config: &Config,
        descriptions: &[Description],
        graph: &Graph,
        plugins: &[(String, String)],
    ) -> Self {
        let flows = Flows::new(graph, descriptions);
        let mut place = vec![0; graph.nodes.len()];
        for (at, node) in graph.topological().into_iter().enumerate() {
            place[node] = at;
        }
        let mut lanes = graph.lanes();
        lanes.sort_by_key(|lane| place[lane.head]);
        let mut picture = Self { components: Vec::new(), edges: Vec::new(), lanes: Vec::new(), threads: 0 };
        for (index, lane) in lanes.iter().enumerate() {
            let mut facts = LaneFacts { components: Vec::new(), threads: 1 };
            for node in lane.nodes() {
                let (component, description) = (&config.components[node], &descriptions[node]);
                let (plugin, version) = plugins.get(node).cloned().unwrap_or_default();
                facts.components.push(component.name.clone());
                facts.threads += u64::from(description.capabilities.threads);
                picture.components.push(Component {
                    name: component.name.clone(),
                    kind: component.kind,
                    plugin,
                    version,
                    lane: index,
                    delivery: match component.delivery {
                        Delivery::BestEffort => "best_effort",
                        Delivery::AtLeastOnce => "at_least_once",
                    },
                    ports: description.ports.clone(),
                    threads: description.capabilities.threads,
                });
                let mut leaving: Vec<&Edge> = graph.outgoing(node).collect();
                leaving.sort_by_key(|edge| edge.output);
                picture.edges.extend(leaving.into_iter().map(|edge| line(edge, graph, &flows, description)));
            }
            picture.threads += facts.threads;
            picture.lanes.push(facts);
        }
        picture
    }
}

fn line(edge: &Edge, graph: &Graph, flows: &Flows, from: &Description) -> Line {
    let Flow { units, unknown } = flows.on(edge);
    let (output, port) = match edge.output {
        Output::Main => ("main", None),
        Output::Port(index) => ("port", from.ports.get(index).cloned()),
        Output::DeadLetter => ("dead_letter", None),
    };
    let name = |node: usize| graph.nodes[node].name.clone();
    Line {
        from: name(edge.from),
        output,
        port,
        to: name(edge.to),
        units: units.iter().map(|unit| flows.code(unit).to_owned()).collect(),
        any: !unknown.is_none(),
    }
}
