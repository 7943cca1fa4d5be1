//! What `cardcage check` draws, as people see it.

use crate::pipeline::good;
use cardcage_core::config::Config;
use cardcage_core::graph::draw::{Style, draw};
use cardcage_core::graph::picture::Picture;
use cardcage_core::graph::wiring;
use cardcage_plugin_api::Description;
use cardcage_plugin_api::describe::UnitRules;
use cardcage_plugin_api::manifest::{Capability, Kind};

const BOXES: Style = Style { unicode: true, width: 100, components_max: usize::MAX };
const ASCII: Style = Style { unicode: false, ..BOXES };

/// Fan-in, fan-out, ports, dead letters, a promise, threads of a plugin's own, units that are known and not.
const PLANT: &str = "
version: 1
sources:
  boiler: { plugin: gauge }
  press: { plugin: file, batch: { records: 100 } }
  made: { plugin: generate }
stages:
  odd: { plugin: range, inputs: [plausible.dropped] }
  plausible: { plugin: range, inputs: [boiler], dead_letter: spare }
  units: { plugin: convert, inputs: [plausible, press] }
sinks:
  archive: { plugin: store, inputs: [units, made], delivery: at_least_once }
  screen: { plugin: stdout, inputs: [units, odd] }
  spare: { plugin: stdout }
";

fn descriptions(config: &Config) -> Vec<Description> {
    let gives = |codes: &[&str]| {
        let gives = Some(codes.iter().map(|&code| code.to_owned()).collect());
        Description::source().does(Capability::Replayable).units(UnitRules { gives, ..UnitRules::default() })
    };
    let description = |kind: Kind, plugin: &str| match (kind, plugin) {
        (_, "gauge") => gives(&["Cel", "hPa", "%"]),
        (_, "generate") => gives(&[]),
        (Kind::Source, _) => Description::source().does(Capability::Replayable),
        (_, "convert") => Description::stage()
            .units(UnitRules { converts_to: vec!["degF".to_owned()], ..UnitRules::default() }),
        (Kind::Stage, _) => Description::stage().drops("out_of_range").port("dropped").port("late"),
        (_, "store") => Description::sink().threads(2),
        (Kind::Sink, _) => Description::sink(),
    };
    config.components.iter().map(|component| description(component.kind, &component.plugin.name)).collect()
}

fn picture(text: &str) -> Picture {
    let config = good(text);
    let descriptions = descriptions(&config);
    let graph = wiring::check(&config, &descriptions).unwrap_or_else(|problems| panic!("{problems}"));
    let plugins =
        config.components.iter().map(|component| (component.plugin.name.clone(), "0.1.0".to_owned()));
    Picture::new(&config, &descriptions, &graph, &plugins.collect::<Vec<_>>())
}

#[test]
fn a_plant_is_drawn_in_the_order_of_the_flow() {
    insta::assert_snapshot!("plant", draw(&picture(PLANT), BOXES));
}

#[test]
fn without_unicode_it_is_drawn_with_plain_characters() {
    let drawing = draw(&picture(PLANT), ASCII);
    assert!(drawing.is_ascii(), "{drawing}");
    insta::assert_snapshot!("plant-ascii", drawing);
}

#[test]
fn long_names_and_lists_are_cut_to_the_width() {
    let long = "the-temperature-of-the-feed-water-behind-the-second-economizer-1";
    let sink = |at: usize| format!("  sink-number-{at}: {{ plugin: p, inputs: [{long}] }}\n");
    let sinks = (0..12).map(sink).collect::<Vec<_>>().concat();
    let text = format!("version: 1\nsources:\n  {long}: {{ plugin: gauge }}\nsinks:\n{sinks}");
    let drawing = draw(&picture(&text), BOXES);
    assert!(drawing.lines().all(|line| line.chars().count() <= 100), "{drawing}");
    insta::assert_snapshot!("long-names", drawing);
}

#[test]
fn what_is_beyond_the_bound_is_counted() {
    let drawing = draw(&picture(PLANT), Style { components_max: 3, ..BOXES });
    insta::assert_snapshot!("cut", drawing);
}

#[test]
fn the_same_facts_come_as_data() {
    let json = serde_json::to_string_pretty(&picture(PLANT)).expect("a picture serializes");
    insta::assert_snapshot!("plant-json", json);
}

#[test]
fn a_units_code_cannot_move_the_cursor() {
    let config =
        good("version: 1\nsources: { s: { plugin: p } }\nsinks: { o: { plugin: p, inputs: [s] } }\n");
    let rules = UnitRules { gives: Some(vec!["\u{1b}[2J".to_owned()]), ..UnitRules::default() };
    let descriptions = [Description::source().units(rules), Description::sink()];
    let graph = wiring::check(&config, &descriptions).unwrap_or_else(|problems| panic!("{problems}"));
    let drawing = draw(&Picture::new(&config, &descriptions, &graph, &[]), BOXES);
    assert!(drawing.chars().all(|c| c == '\n' || !c.is_control()), "{drawing:?}");
}
