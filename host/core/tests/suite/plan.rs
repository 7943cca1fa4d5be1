//! Plans: what changes, and in which order.

use crate::graph::pipeline;
use crate::pipeline::{good, graph};
use cardcage_core::plan::{Plan, Step, plan};
use proptest::prelude::*;
use std::collections::BTreeSet;

const OLD: &str = "
version: 1
sources:
  host: { plugin: host }
stages:
  plausible: { plugin: range, inputs: [host], settings: { min: 0 } }
  metric: { plugin: convert, inputs: [plausible] }
sinks:
  archive: { plugin: file, inputs: [metric] }
  screen: { plugin: stdout, inputs: [metric] }
";

/// The steps with names instead of indices.
fn steps(old: Option<&str>, new: &str) -> Vec<String> {
    let old = old.map(good).map(|config| (graph(&config), config));
    let new = good(new);
    let new_graph = graph(&new);
    let made = plan(old.as_ref().map(|(graph, config)| (config, graph)), (&new, &new_graph));
    let name = |node: usize| new_graph.nodes[node].name.clone();
    let old_name =
        |node: usize| old.as_ref().map_or(String::new(), |(graph, _)| graph.nodes[node].name.clone());
    let steps = made.steps.iter().map(|step| match *step {
        Step::Start { node } => format!("start {}", name(node)),
        Step::Keep { node, .. } => format!("keep {}", name(node)),
        Step::Rewire { node, .. } => format!("rewire {}", name(node)),
        Step::Replace { node, .. } => format!("replace {}", name(node)),
        Step::Stop { old } => format!("stop {}", old_name(old)),
    });
    steps.collect()
}

#[test]
fn a_start_begins_with_sinks() {
    let expected = ["start screen", "start archive", "start metric", "start plausible", "start host"];
    assert_eq!(steps(None, OLD), expected);
}

#[test]
fn the_same_config_keeps_everything_wherever_it_is_written() {
    let moved = OLD.replace("stages:\n", "\n# moved\nstages:\n").replace("version: 1\n", "");
    let expected = ["keep screen", "keep archive", "keep metric", "keep plausible", "keep host"];
    assert_eq!(steps(Some(OLD), &format!("version: 1\n{moved}")), expected);
}

#[test]
fn a_changed_setting_replaces_one_component_and_no_other() {
    let new = OLD.replace("min: 0", "min: 1");
    let expected = ["keep screen", "keep archive", "keep metric", "replace plausible", "keep host"];
    assert_eq!(steps(Some(OLD), &new), expected);
}

#[test]
fn a_removed_stage_stops_last_and_its_neighbours_are_rewired() {
    let new = OLD
        .replace("  metric: { plugin: convert, inputs: [plausible] }\n", "")
        .replace("[metric]", "[plausible]");
    let expected = ["rewire screen", "rewire archive", "rewire plausible", "keep host", "stop metric"];
    assert_eq!(steps(Some(OLD), &new), expected);
}

#[test]
fn the_same_name_for_another_kind_is_another_component() {
    let new = "
version: 1
sources: { plausible: { plugin: range } }
sinks: { archive: { plugin: file, inputs: [plausible] } }
";
    let expected =
        ["rewire archive", "start plausible", "stop host", "stop plausible", "stop metric", "stop screen"];
    assert_eq!(steps(Some(OLD), new), expected);
}

fn check_complete(made: &Plan, old_nodes: usize, new_nodes: usize) -> Result<(), TestCaseError> {
    let mut olds = Vec::new();
    let mut news = Vec::new();
    for step in &made.steps {
        match *step {
            Step::Start { node } => news.push(node),
            Step::Stop { old } => olds.push(old),
            Step::Keep { old, node } | Step::Rewire { old, node } | Step::Replace { old, node } => {
                olds.push(old);
                news.push(node);
            }
        }
    }
    let all = |count: usize| (0..count).collect::<BTreeSet<_>>();
    prop_assert_eq!((olds.len(), news.len()), (old_nodes, new_nodes), "none twice");
    prop_assert_eq!(olds.into_iter().collect::<BTreeSet<_>>(), all(old_nodes));
    prop_assert_eq!(news.into_iter().collect::<BTreeSet<_>>(), all(new_nodes));
    Ok(())
}

proptest! {
    #[test]
    fn every_random_change_is_complete_and_in_a_safe_order(old in pipeline(), new in pipeline()) {
        let (old, new) = (good(&old), good(&new));
        let (old_graph, new_graph) = (graph(&old), graph(&new));
        let made = plan(Some((&old, &old_graph)), (&new, &new_graph));
        check_complete(&made, old_graph.nodes.len(), new_graph.nodes.len())?;
        let stop = |node: usize| made.steps.iter().position(|step| *step == Step::Stop { old: node });
        let begin = |wanted: usize| made.steps.iter().position(|step| match *step {
            Step::Start { node } | Step::Keep { node, .. } | Step::Rewire { node, .. } | Step::Replace { node, .. } => {
                node == wanted
            }
            Step::Stop { .. } => false,
        });
        for edge in &new_graph.edges {
            prop_assert!(begin(edge.to) < begin(edge.from), "consumers first");
        }
        for edge in &old_graph.edges {
            if let (Some(producer), Some(consumer)) = (stop(edge.from), stop(edge.to)) {
                prop_assert!(producer < consumer, "producers stop first");
            }
        }
        let same = plan(Some((&new, &new_graph)), (&new, &new_graph));
        let all_kept = same.steps.iter().all(|step| matches!(step, Step::Keep { .. }));
        prop_assert!(all_kept);
    }
}
