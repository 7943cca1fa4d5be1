//! The analysis of units against single readings that are sent through random pipelines one by one.

use crate::graph::pipeline;
use crate::pipeline::good;
use cardcage_core::codes;
use cardcage_core::config::{Config, Input};
use cardcage_core::diagnostic::{Code, Diagnostics, Location};
use cardcage_core::graph::{Edge, Graph, Output, wiring};
use cardcage_plugin_api::Description;
use cardcage_plugin_api::describe::UnitRules;
use cardcage_plugin_api::manifest::{Capability, Field, Kind};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Every unit that a reading has here, with its dimension; the table lacks `widget`, of which nothing is known.
const UNITS: [(&str, Option<&str>); 7] = [
    ("", None),
    ("Cel", Some("temperature")),
    ("K", Some("temperature")),
    ("hPa", Some("pressure")),
    ("kPa", Some("pressure")),
    ("%", Some("fraction")),
    ("widget", None),
];

fn dimension(code: &str) -> Option<&'static str> {
    UNITS.iter().find(|(unit, _)| *unit == code).and_then(|(_, dimension)| *dimension)
}

fn picked(bits: u8) -> Vec<String> {
    let picked = UNITS.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1);
    picked.map(|(_, (code, _))| (*code).to_owned()).collect()
}

/// What a component says of units, by three random numbers.
fn rules(kind: Kind, (what, units, more): (u8, u8, u8)) -> UnitRules {
    let dimensions = ["temperature", "pressure", "fraction"].iter().enumerate();
    let dimensions = dimensions.filter(|(at, _)| more >> at & 1 == 1).map(|(_, name)| (*name).to_owned());
    let targets = ["Cel", "kPa", "widget"].iter().enumerate();
    // A stage that converts to what the table lacks is rare.
    let targets = targets.filter(|(at, _)| units >> at & 1 == 1 && (*at < 2 || units >= 224));
    match (kind, what % 4) {
        (Kind::Source, 0) => UnitRules::default(),
        (Kind::Source, _) => UnitRules { gives: Some(picked(units & more)), ..UnitRules::default() },
        (_, 0) => UnitRules { accepts_dimensions: Some(dimensions.collect()), ..UnitRules::default() },
        (_, 1) => UnitRules { accepts_units: Some(picked(units)), ..UnitRules::default() },
        (Kind::Stage, 2) => UnitRules {
            converts_to: targets.map(|(_, code)| (*code).to_owned()).collect(),
            gives: (more % 3 == 0).then(|| picked(more & units)),
            ..UnitRules::default()
        },
        _ => UnitRules::default(),
    }
}

fn description(kind: Kind, numbers: (u8, u8, u8)) -> Description {
    let rules = rules(kind, numbers);
    match kind {
        Kind::Source => Description::source(),
        Kind::Sink => Description::sink(),
        Kind::Stage => {
            let stage = Description::stage().drops("odd").port("dropped");
            let stage = if numbers.2.is_multiple_of(5) { stage.does(Capability::Creates) } else { stage };
            if numbers.2.is_multiple_of(7) { stage.writes(Field::Unit) } else { stage }
        }
    }
    .units(rules)
}

/// Whether a reading of this unit is refused; of what the table lacks nobody can say.
fn refuses(rules: &UnitRules, code: &str) -> bool {
    let by_dimension = rules
        .accepts_dimensions
        .as_ref()
        .is_some_and(|accepted| !accepted.iter().any(|name| Some(name.as_str()) == dimension(code)));
    let by_unit =
        rules.accepts_units.as_ref().is_some_and(|accepted| !accepted.iter().any(|unit| unit == code));
    code != "widget" && (by_dimension || by_unit)
}

/// What a source gives, or a stage that makes readings.
fn given(rules: &UnitRules) -> Vec<String> {
    match &rules.gives {
        None => UNITS.iter().map(|(code, _)| (*code).to_owned()).collect(),
        Some(codes) if codes.is_empty() => vec![String::new()],
        Some(codes) => codes.clone(),
    }
}

/// The units that one reading may have when it leaves a stage by the main output.
fn comes_out(description: &Description, code: &str) -> Vec<String> {
    let rules = &description.units;
    if refuses(rules, code) {
        return Vec::new();
    }
    // What the plugin makes of a unit that the table lacks, or of which readings it makes that unit, may be anything.
    let mut out = vec![code.to_owned()];
    if let Some(target) = rules
        .converts_to
        .iter()
        .find(|target| dimension(target).is_some() && dimension(target) == dimension(code))
    {
        out = vec![target.clone()];
    }
    out
}

/// The units of all readings that arrive over each edge.
fn simulate(
    graph: &Graph,
    descriptions: &[Description],
) -> BTreeMap<(usize, Output, usize), BTreeSet<String>> {
    let mut arrived: BTreeMap<(usize, Output, usize), BTreeSet<String>> = BTreeMap::new();
    let mut open: Vec<(Edge, String)> = Vec::new();
    for node in &graph.nodes {
        let description = &descriptions[node.index];
        let creates = description.capabilities.has(Capability::Creates);
        let names = description.capabilities.writes.contains(&Field::Unit)
            && description.units.converts_to.is_empty();
        let mut made = Vec::new();
        if node.kind == Kind::Source || creates || names {
            made = given(&description.units);
        }
        // What is made of readings that nobody understands.
        made.extend(description.units.converts_to.iter().filter(|code| dimension(code).is_none()).cloned());
        let outputs = graph.outgoing(node.index).filter(|edge| edge.output != Output::DeadLetter);
        open.extend(outputs.flat_map(|edge| made.iter().map(|code| (*edge, code.clone()))));
    }
    while let Some((edge, code)) = open.pop() {
        if !arrived.entry((edge.from, edge.output, edge.to)).or_default().insert(code.clone()) {
            continue;
        }
        let out = comes_out(&descriptions[edge.to], &code);
        for next in graph.outgoing(edge.to) {
            if next.output != Output::DeadLetter {
                open.extend(out.iter().map(|code| (*next, code.clone())));
            }
            if next.output != Output::Main {
                open.push((*next, code.clone()));
            }
        }
    }
    arrived
}

fn place<'a>(config: &'a Config, edge: &Edge) -> &'a Location {
    let (from, to) = (&config.components[edge.from], &config.components[edge.to]);
    if let (Some((_, location)), Output::DeadLetter) = (&from.dead_letter, edge.output) {
        return location;
    }
    let port = matches!(edge.output, Output::Port(_));
    let is_it = |input: &&Input| input.component == from.name && input.port.is_some() == port;
    &to.inputs.iter().find(is_it).expect("an input").location
}

fn reported(problems: &Diagnostics, wanted: &[Code]) -> BTreeSet<Location> {
    let found = problems.iter().filter(|problem| wanted.contains(&problem.code));
    found.filter_map(|problem| problem.location.clone()).collect()
}

proptest! {
    #[test]
    fn an_error_is_reported_exactly_where_every_reading_is_refused(
        text in pipeline(),
        numbers in proptest::collection::vec(any::<(u8, u8, u8)>(), 24),
    ) {
        let config = good(&text.replace(".late", ".dropped"));
        let described = config.components.iter().zip(numbers.iter().cycle());
        let described: Vec<_> = described.map(|(component, numbers)| description(component.kind, *numbers)).collect();
        let bare: Vec<_> = config.components.iter().map(|c| description(c.kind, (3, 0, 1))).collect();
        let graph = wiring::check(&config, &bare).unwrap_or_else(|problems| panic!("{problems}"));
        let arrived = simulate(&graph, &described);
        let problems = match wiring::wire(&config, &described) {
            Ok(wired) => wired.warnings,
            Err(problems) => problems,
        };

        let (mut refused, mut some_refused, mut idle) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for edge in &graph.edges {
            let Some(codes) = arrived.get(&(edge.from, edge.output, edge.to)) else { continue };
            let rules = &described[edge.to].units;
            if codes.iter().all(|code| refuses(rules, code)) {
                refused.insert(place(&config, edge).clone());
            } else if codes.iter().any(|code| refuses(rules, code)) {
                some_refused.insert(place(&config, edge).clone());
            }
        }
        for node in &graph.nodes {
            let rules = &described[node.index].units;
            let into = graph.incoming(node.index).filter_map(|e| arrived.get(&(e.from, e.output, e.to))).flatten();
            let mut taken = into.filter(|code| !refuses(rules, code)).peekable();
            let may_convert = |code: &String| {
                code == "widget" || rules.converts_to.iter().any(|target| {
                    dimension(target).is_none() || dimension(target) == dimension(code)
                })
            };
            if !rules.converts_to.is_empty() && taken.peek().is_some() && !taken.any(may_convert) {
                idle.insert(config.components[node.index].key_location("inputs").clone());
            }
        }
        let errors = [codes::WRONG_DIMENSION, codes::WRONG_UNIT];
        prop_assert_eq!(reported(&problems, &errors), refused, "{}{}", text, problems);
        prop_assert_eq!(reported(&problems, &[codes::NOTHING_TO_CONVERT]), idle, "{}{}", text, problems);
        let warned = reported(&problems, &[codes::REFUSED_IN_PART]);
        prop_assert!(warned.is_subset(&some_refused), "{}{}", text, problems);
    }
}
