//! Graphs and lanes: a few by hand, then whatever random pipelines bring.

use crate::pipeline::{config_of, descriptions, good, graph, parse};
use cardcage_core::codes;
use cardcage_core::graph::{Graph, Lane, Output, wiring};
use cardcage_plugin_api::Description;
use cardcage_plugin_api::manifest::{Capability, Kind};
use proptest::prelude::*;

fn lanes_by_name(graph: &Graph) -> Vec<Vec<&str>> {
    let name = |node: usize| graph.nodes[node].name.as_str();
    graph.lanes().iter().map(|lane| lane.nodes().map(name).collect()).collect()
}

fn lanes_of(text: &str) -> Vec<Vec<String>> {
    let config = good(text);
    let graph = graph(&config);
    let own = |lane: Vec<&str>| lane.into_iter().map(str::to_owned).collect();
    lanes_by_name(&graph).into_iter().map(own).collect()
}

#[test]
fn a_straight_run_is_one_lane_and_the_sink_another() {
    let lanes = lanes_of(
        "
version: 1
sources: { s: { plugin: p } }
stages: { b: { plugin: p, inputs: [a] }, a: { plugin: p, inputs: [s] } }
sinks: { out: { plugin: p, inputs: [b] } }
",
    );
    assert_eq!(lanes, [vec!["s", "a", "b"], vec!["out"]]);
}

#[test]
fn a_fan_in_a_fan_out_a_port_and_a_dead_letter_each_start_a_lane() {
    let lanes = lanes_of(
        "
version: 1
sources: { s: { plugin: p }, t: { plugin: p } }
stages:
  joined: { plugin: p, inputs: [s, t], dead_letter: spare }
  behind: { plugin: p, inputs: [joined] }
  left: { plugin: p, inputs: [behind] }
  right: { plugin: p, inputs: [behind] }
  odd: { plugin: p, inputs: [left.dropped] }
sinks:
  out: { plugin: p, inputs: [left, right, odd] }
  spare: { plugin: p }
",
    );
    let expected = [
        vec!["s"],
        vec!["t"],
        vec!["joined", "behind"],
        vec!["left"],
        vec!["right"],
        vec!["odd"],
        vec!["out"],
        vec!["spare"],
    ];
    assert_eq!(lanes, expected);
}

#[test]
fn a_stage_with_its_main_output_and_a_port_taken_still_fuses_along_the_main_one() {
    let lanes = lanes_of(
        "
version: 1
sources: { s: { plugin: p } }
stages: { a: { plugin: p, inputs: [s] }, b: { plugin: p, inputs: [a] } }
sinks: { out: { plugin: p, inputs: [b] }, rest: { plugin: p, inputs: [a.dropped] } }
",
    );
    assert_eq!(lanes, [vec!["s", "a", "b"], vec!["out"], vec!["rest"]]);
}

#[test]
fn edges_name_the_port_by_its_index_in_the_description() {
    let config = good(
        "
version: 1
sources: { s: { plugin: p } }
stages: { a: { plugin: p, inputs: [s], dead_letter: out } }
sinks: { out: { plugin: p, inputs: [a.late, a, a.dropped] } }
",
    );
    let graph = graph(&config);
    let edges: Vec<_> = graph.edges.iter().map(|edge| (edge.from, edge.output, edge.to)).collect();
    let expected = [
        (0, Output::Main, 1),
        (1, Output::Port(1), 2),
        (1, Output::Main, 2),
        (1, Output::Port(0), 2),
        (1, Output::DeadLetter, 2),
    ];
    assert_eq!(edges, expected);
}

#[test]
fn at_least_once_looks_through_the_whole_way_up() {
    let config = good(
        "
version: 1
sources: { live: { plugin: p }, log: { plugin: p } }
stages: { a: { plugin: p, inputs: [live] }, b: { plugin: p, inputs: [a, log] } }
sinks: { out: { plugin: p, inputs: [b], delivery: at_least_once }, other: { plugin: p, inputs: [live] } }
",
    );
    assert!(wiring::check(&config, &descriptions(&config)).is_ok(), "both can replay");
    let mut described = descriptions(&config);
    described[0] = Description::source().does(Capability::Acknowledged);
    let problems = wiring::check(&config, &described).expect_err("live cannot");
    let codes: Vec<_> = problems.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, [codes::NOT_REPLAYABLE], "{problems}");
}

#[test]
fn two_circles_are_two_problems() {
    let problems = parse(
        "
version: 1
sources: { s: { plugin: p } }
stages:
  a: { plugin: p, inputs: [s, b] }
  b: { plugin: p, inputs: [a] }
  c: { plugin: p, inputs: [c] }
sinks: { out: { plugin: p, inputs: [a, c] } }
",
    )
    .expect_err("has circles");
    let messages: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    let expected =
        ["these feed each other in a circle: a -> b -> a", "these feed each other in a circle: c -> c"];
    assert_eq!(messages, expected);
}

#[test]
fn a_circle_of_any_length_is_reported_as_exactly_its_path() {
    for length in 1..=200 {
        // The circle's members stand in the file in another order than they feed each other.
        let member = |at: usize| format!("c{}", (at * 7) % length);
        let member = |at: usize| if length % 7 == 0 { format!("c{}", at % length) } else { member(at) };
        let mut stages: Vec<(String, String)> =
            (0..length).map(|at| (member(at), member((at + length - 1) % length))).collect();
        stages.sort_by_key(|(name, _)| name[1..].parse::<usize>().expect("a number"));
        let lines = stages.iter().map(|(name, input)| {
            let source = if name == "c0" { "s, " } else { "" };
            format!("  {name}: {{ plugin: p, inputs: [{source}{input}] }}\n")
        });
        let text = format!(
            "version: 1\nsources: {{ s: {{ plugin: p }} }}\nstages:\n{}sinks: {{ o: {{ plugin: p, inputs: [c0] }} }}\n",
            lines.collect::<String>()
        );
        let problems = parse(&text).expect_err("has a circle");
        assert_eq!(problems.len(), 1, "{text}{problems}");
        let problem = problems.iter().next().expect("one");
        assert_eq!(problem.code, codes::CYCLE);
        let mut path: Vec<String> = (0..=length).map(member).collect();
        if length > 20 {
            path.splice(10..length - 10, ["...".to_owned()]);
        }
        let expected = format!("these feed each other in a circle: {}", path.join(" -> "));
        assert_eq!(problem.message, expected, "{length}");
    }
}

/// A random pipeline without circles: each component takes from earlier ones, and what nobody takes gets a sink.
pub(crate) fn pipeline() -> impl Strategy<Value = String> {
    let picks = || proptest::collection::vec((any::<proptest::sample::Index>(), 0_u8..4), 1..4);
    let stages = proptest::collection::vec(picks(), 0..12);
    let sinks = proptest::collection::vec((picks(), any::<Option<proptest::sample::Index>>()), 1..5);
    (1_usize..4, stages, sinks).prop_map(|(sources, stages, sinks)| {
        let mut givers: Vec<String> = Vec::new();
        let mut components = Vec::new();
        for source in 0..sources {
            givers.push(format!("source{source}"));
            components.push((Kind::Source, format!("source{source}"), Vec::new(), String::new()));
        }
        let inputs = |givers: &[String], picks: &[(proptest::sample::Index, u8)]| {
            let picked = picks.iter().map(|(index, port)| {
                let giver = index.get(givers);
                // Sources have no ports.
                if *port == 0 && giver.starts_with("stage") {
                    format!("{giver}.dropped")
                } else {
                    giver.clone()
                }
            });
            let mut inputs: Vec<String> = picked.collect();
            inputs.sort();
            inputs.dedup();
            inputs
        };
        for (stage, picks) in stages.iter().enumerate() {
            let inputs = inputs(&givers, picks);
            let dead_letter = if stage % 3 == 0 { ", dead_letter: sink0" } else { "" };
            components.push((Kind::Stage, format!("stage{stage}"), inputs, dead_letter.to_owned()));
            givers.push(format!("stage{stage}"));
        }
        for (sink, (picks, _)) in sinks.iter().enumerate() {
            components.push((Kind::Sink, format!("sink{sink}"), inputs(&givers, picks), String::new()));
        }
        let taken: Vec<String> = components.iter().flat_map(|(_, _, inputs, _)| inputs.clone()).collect();
        let rest: Vec<String> = givers.into_iter().filter(|giver| !taken.contains(giver)).collect();
        if !rest.is_empty() {
            components.push((Kind::Sink, "rest".to_owned(), rest, String::new()));
        }
        config_of(&components)
    })
}

fn check_lanes(graph: &Graph, lanes: &[Lane]) -> Result<(), TestCaseError> {
    let mut seen: Vec<usize> = lanes.iter().flat_map(Lane::nodes).collect();
    seen.sort_unstable();
    prop_assert_eq!(&seen, &(0..graph.nodes.len()).collect::<Vec<_>>(), "each node in exactly one lane");
    for lane in lanes {
        let run: Vec<usize> = lane.nodes().collect();
        for pair in run.windows(2) {
            let into: Vec<_> = graph.incoming(pair[1]).collect();
            prop_assert_eq!(into.len(), 1, "a fused stage has one way in");
            prop_assert_eq!((into[0].from, into[0].output), (pair[0], Output::Main));
            prop_assert_eq!(graph.consumers(pair[0], Output::Main).count(), 1, "and nobody else takes it");
            prop_assert_eq!(graph.nodes[pair[1]].kind, Kind::Stage);
        }
        // The head has a reason to be one, and so has the end of the run.
        let head = lane.head;
        let into: Vec<_> = graph.incoming(head).collect();
        let fusable = graph.nodes[head].kind == Kind::Stage
            && into.len() == 1
            && into[0].output == Output::Main
            && graph.consumers(into[0].from, Output::Main).count() == 1;
        prop_assert!(!fusable, "`{}` could have been fused", graph.nodes[head].name);
    }
    Ok(())
}

proptest! {
    #[test]
    fn lanes_cover_every_random_pipeline_as_they_must(text in pipeline()) {
        let config = good(&text);
        let graph = graph(&config);
        check_lanes(&graph, &graph.lanes())?;
        let order = graph.topological();
        prop_assert_eq!(order.len(), graph.nodes.len());
        let place = |node: usize| order.iter().position(|other| *other == node);
        for edge in &graph.edges {
            prop_assert!(place(edge.from) < place(edge.to));
        }
    }
}
