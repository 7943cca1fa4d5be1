//! Rung 11: units along edges, and the proposals, which are pasted and tried.

use crate::pipeline::good;
use cardcage_core::codes;
use cardcage_core::config::Config;
use cardcage_core::diagnostic::{Code, Diagnostic, Diagnostics};
use cardcage_core::graph::wiring;
use cardcage_plugin_api::Description;
use cardcage_plugin_api::describe::UnitRules;
use cardcage_plugin_api::manifest::{Capability, Field, Kind};
use std::fmt::Write as _;

/// A description by a component's plugin: `gives-hPa-Cel`, `takes-temperature` (dimensions), `only-degC` (units),
/// `to-K-kPa`, `makes-Cel` (besides what comes), `becomes-Cel` (instead of what comes); any other one passes what comes. Sources of another plugin give what nobody knows.
fn descriptions(config: &Config) -> Vec<Description> {
    config.components.iter().map(|component| described(component.kind, &component.plugin.name)).collect()
}

fn described(kind: Kind, plugin: &str) -> Description {
    let (what, names) = plugin.split_once('-').unwrap_or((plugin, ""));
    let list: Vec<String> = names.split('-').map(|name| name.replace("none", "")).collect();
    let rules = match what {
        "gives" | "makes" => UnitRules { gives: Some(list), ..UnitRules::default() },
        "becomes" => UnitRules { gives: Some(list), replaces: true, ..UnitRules::default() },
        "takes" => UnitRules { accepts_dimensions: Some(list), ..UnitRules::default() },
        "only" => UnitRules { accepts_units: Some(list), ..UnitRules::default() },
        "to" => UnitRules { converts_to: list, ..UnitRules::default() },
        // What a proposal adds: it converts to what its name says in these tests' settings.
        _ => UnitRules::default(),
    };
    let description = match kind {
        Kind::Source => Description::source().does(Capability::Replayable),
        Kind::Stage => Description::stage().drops("odd").port("dropped"),
        Kind::Sink => Description::sink(),
    };
    let description = match what {
        "shuffles" => description.does(Capability::Reorders),
        "ordered" => description.needs_order(),
        "holds" => description.does(Capability::Holds),
        "saves" => description.does(Capability::Holds).does(Capability::State),
        "names" | "becomes" => description.writes(Field::Unit),
        "makes" => description.does(Capability::Creates),
        _ => description,
    };
    description.units(rules)
}

/// A pipeline of lines `name: plugin <- input input ! dead letter`, sections by what the lines have.
fn pipeline(lines: &str) -> String {
    let mut sections = [("sources", String::new()), ("stages", String::new()), ("sinks", String::new())];
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (section, rest) = line.split_once(' ').expect("`stage name: plugin`");
        let (name, rest) = rest.split_once(": ").expect("`name: plugin`");
        let (rest, dead_letter) = rest.split_once(" ! ").map_or((rest, None), |(a, b)| (a, Some(b)));
        let (plugin, inputs) = rest.split_once(" <- ").unwrap_or((rest, ""));
        let mut keys = format!("plugin: {plugin}");
        if !inputs.is_empty() {
            write!(keys, ", inputs: [{}]", inputs.replace(' ', ", ")).expect("text takes text");
        }
        if let Some(sink) = dead_letter {
            write!(keys, ", dead_letter: {sink}").expect("text takes text");
        }
        let text = &mut sections.iter_mut().find(|(name, _)| name.starts_with(section)).expect("a section").1;
        writeln!(text, "  {name}: {{ {keys} }}").expect("text takes text");
    }
    let filled = sections.iter().filter(|(_, text)| !text.is_empty());
    filled.fold("version: 1\n".to_owned(), |all, (name, text)| format!("{all}{name}:\n{text}"))
}

fn problems_of(text: &str) -> Diagnostics {
    let config = good(text);
    match wiring::wire(&config, &converting(&config, descriptions(&config))) {
        Ok(wired) => wired.warnings,
        Err(problems) => problems,
    }
}

/// The `convert` stages that proposals add do what their settings say.
fn converting(config: &Config, mut descriptions: Vec<Description>) -> Vec<Description> {
    for (component, description) in config.components.iter().zip(&mut descriptions) {
        if component.plugin.name == "convert" {
            let to = &component.settings["to"];
            let one = to.as_str().map(str::to_owned);
            let several =
                to.as_object().into_iter().flatten().map(|(_, unit)| unit.as_str().unwrap_or("").to_owned());
            description.units.converts_to = one.into_iter().chain(several).collect();
        }
    }
    descriptions
}

fn codes_of(lines: &str) -> Vec<Code> {
    problems_of(&pipeline(lines)).iter().map(|problem| problem.code).collect()
}

fn only_problem(text: &str) -> Diagnostic {
    let problems = problems_of(text);
    assert_eq!(problems.len(), 1, "{text}{problems}");
    problems.iter().next().expect("one").clone()
}

/// The text with a problem's proposal carried out: lines pasted, inputs rewritten, a stage removed.
fn carried_out(text: &str, problem: &Diagnostic) -> String {
    let help = problem.help.as_deref().unwrap_or_default();
    let mut text = text.to_owned();
    if let Some((_, rest)) = help.split_once("remove `") {
        let gone = rest.split('`').next().unwrap_or_default();
        text = text
            .lines()
            .filter(|line| !line.starts_with(&format!("  {gone}:")))
            .fold(String::new(), |all, line| all + line + "\n");
        text = text.replace("stages:\nsinks:", "sinks:");
    }
    for rewritten in help.split("`inputs: [").skip(1) {
        let (inputs, rest) = rewritten.split_once("]` at `").expect("`inputs: [...]` at `name`");
        let name = rest.split('`').next().unwrap_or_default();
        let line = text
            .lines()
            .find(|line| line.contains(&format!("{name}: {{")))
            .expect("the component")
            .to_owned();
        let at = line.find(&format!("{name}: {{")).expect("the component");
        let start = at + line[at..].find("inputs: [").expect("has inputs");
        let end = start + line[start..].find(']').expect("a list") + 1;
        text = text.replacen(&line, &format!("{}inputs: [{inputs}]{}", &line[..start], &line[end..]), 1);
    }
    if let Some(lines) = &problem.paste {
        text = if lines.starts_with("stages:") {
            let others = text.lines().filter(|line| !line.starts_with("stages:"));
            others.chain([lines.as_str(), ""]).collect::<Vec<_>>().join("\n")
        } else if text.contains("stages: {") {
            text.replacen("stages: {", &format!("stages: {{ {lines}"), 1)
        } else {
            text.replacen("stages:\n", &format!("stages:\n{lines}\n"), 1)
        };
    }
    text
}

fn is_mended(text: &str) -> String {
    let problem = only_problem(text);
    let mended = carried_out(text, &problem);
    assert_ne!(mended, text, "{problem:?}");
    let problems = problems_of(&mended);
    assert!(problems.is_empty(), "{mended}{problems}");
    mended
}

#[test]
fn a_unit_that_is_refused_shows_the_way_on_which_it_came() {
    let text = pipeline(
        "source boiler: gives-Cel
         source press: gives-bar-mbar
         stage joined: any <- press
         stage kilo: to-kPa <- joined
         stage late: any <- kilo.dropped
         sink heat: takes-temperature <- late
         sink rest: any <- boiler kilo",
    );
    let problem = problems_of(&text).iter().next().expect("refused").clone();
    assert_eq!(problem.code, codes::WRONG_DIMENSION);
    let way: Vec<&str> = problem.related.iter().map(|related| related.message.as_str()).collect();
    assert_eq!(
        way,
        ["`press` gives bar", "`joined` passes it on", "`kilo` passes it on", "`late` passes it on"],
        "what a port carries may not be converted yet"
    );
    assert_eq!(
        problem.message,
        "`heat` takes only temperature, but `late` gives bar (pressure), mbar (pressure), kPa (pressure)"
    );
    assert_eq!(
        problem.help.as_deref(),
        Some("`boiler` gives what `heat` takes: write `inputs: [boiler]` at `heat`")
    );
}

#[test]
fn a_conversion_is_part_of_the_way() {
    let text = pipeline(
        "source press: gives-mbar
         stage kilo: to-kPa <- press
         sink heat: only-hPa <- kilo",
    );
    let problem = only_problem(&text);
    let way: Vec<&str> = problem.related.iter().map(|related| related.message.as_str()).collect();
    assert_eq!(way, ["`press` gives mbar", "`kilo` turns it into kPa"]);
}

#[test]
fn a_long_way_is_shown_by_its_ends() {
    let mut lines = "source s: gives-hPa\nstage a0: any <- s\n".to_owned();
    for stage in 1..20 {
        writeln!(lines, "stage a{stage}: any <- a{}", stage - 1).expect("text takes text");
    }
    lines.push_str("sink out: takes-temperature <- a19");
    let problem = only_problem(&pipeline(&lines));
    assert_eq!(problem.related.len(), 6);
    assert_eq!(problem.related[2].message, "`a1` passes it on; 15 more components follow");
}

#[test]
fn units_are_compared_as_units_and_not_as_text() {
    assert_eq!(codes_of("source s: gives-degC\nsink out: only-Cel <- s"), []);
    assert_eq!(codes_of("source s: gives-degC\nsink out: takes-temperature <- s"), []);
    assert_eq!(codes_of("source s: gives-C\nstage k: to-K <- s\nsink out: only-kelvin <- k"), []);
}

#[test]
fn a_stage_that_computes_another_quantity_lets_no_unit_through_that_came_in() {
    let lines =
        |stage| format!("source s: gives-hPa\nstage n: {stage}-Cel <- s\nsink out: takes-temperature <- n");
    assert_eq!(codes_of(&lines("becomes")), []);
    assert_eq!(codes_of(&lines("makes")), [codes::REFUSED_IN_PART]);
    let back = "source s: gives-Cel\nstage n: becomes-hPa <- s\nsink out: takes-temperature <- n";
    assert_eq!(codes_of(back), [codes::WRONG_DIMENSION]);
}

#[test]
fn what_is_not_known_before_the_data_comes_is_not_refused() {
    assert_eq!(codes_of("source s: file\nsink out: takes-temperature <- s"), []);
    assert_eq!(codes_of("source s: file\nstage k: to-K <- s\nsink out: takes-temperature <- k"), []);
    assert_eq!(
        codes_of("source s: gives-widgets\nsink out: takes-temperature <- s"),
        [],
        "a newer plugin may know it"
    );
    assert_eq!(codes_of("source s: gives-widgets\nstage k: to-K <- s\nsink out: any <- k"), []);
    assert_eq!(
        codes_of("source s: gives-hPa\nstage n: names <- s\nsink out: takes-temperature <- n"),
        [codes::REFUSED_IN_PART],
        "who writes units may give any"
    );
}

#[test]
fn one_useless_input_among_good_ones_is_an_error() {
    let text = pipeline(
        "source boiler: gives-Cel
         source press: gives-hPa
         sink heat: takes-temperature <- boiler press",
    );
    assert_eq!(only_problem(&text).code, codes::WRONG_DIMENSION);
}

#[test]
fn an_input_of_which_some_readings_are_taken_is_a_warning() {
    let text = pipeline(
        "source boiler: gives-Cel
         source press: gives-hPa
         stage both: any <- boiler press
         sink heat: takes-temperature <- both",
    );
    let problem = only_problem(&text);
    assert_eq!(problem.code, codes::REFUSED_IN_PART);
    let way: Vec<&str> = problem.related.iter().map(|related| related.message.as_str()).collect();
    assert_eq!(way, ["`press` gives hPa", "`both` passes it on"]);
    assert!(
        is_mended(&text.replace("sinks:\n", "sinks:\n  rest: { plugin: any, inputs: [both] }\n"))
            .contains("[boiler]")
    );
}

#[test]
fn behind_a_component_that_takes_nothing_nothing_else_is_reported() {
    let codes = codes_of(
        "source press: gives-hPa
         stage hot: takes-temperature <- press
         stage k: to-K <- hot
         sink out: takes-temperature <- k",
    );
    assert_eq!(codes, [codes::WRONG_DIMENSION]);
}

#[test]
fn dead_letters_carry_what_came_in() {
    let codes = codes_of(
        "source s: gives-hPa
         stage k: to-kPa <- s ! spare
         sink out: only-kPa <- k
         sink spare: only-kPa <-"
            .trim_end_matches(" <-"),
    );
    assert_eq!(codes, [codes::WRONG_UNIT]);
}

#[test]
fn a_conversion_is_proposed_so_that_pasting_it_helps() {
    let base = "source s: gives-degF
         stage plausible: any <- s
         sink out: only-degC <- plausible";
    let mended = is_mended(&pipeline(base));
    assert!(
        mended.contains("\n  out_units: { plugin: convert, inputs: [plausible], settings: { to: degC } }\n")
    );
    // A unit that YAML would not take as text.
    is_mended(&pipeline(&base.replace("only-degC", "only-1").replace("gives-degF", "gives-ppm")));
    // Several dimensions; one of the units fits already.
    let several = is_mended(&pipeline(
        &base.replace("gives-degF", "gives-degF-mbar-ppm").replace("only-degC", "only-K-kPa-ppm"),
    ));
    assert!(several.contains("to: { temperature: \"K\", pressure: kPa }"), "{several}");
    // One of several inputs, through a port; the name is taken.
    let inputs = is_mended(&pipeline(
        "source s: gives-degF
         source t: gives-K
         stage out_units: any <- t
         stage plausible: any <- s
         sink rest: any <- plausible
         sink out: only-K <- out_units plausible.dropped",
    ));
    assert!(inputs.contains("out: { plugin: only-K, inputs: [out_units, out_units_2] }"), "{inputs}");
}

#[test]
fn a_proposed_stage_goes_where_the_file_has_its_stages() {
    let text = pipeline("source s: gives-degF\nsink out: only-degC <- s");
    let at_the_end = is_mended(&text);
    assert!(
        at_the_end
            .ends_with("stages:\n  out_units: { plugin: convert, inputs: [s], settings: { to: degC } }\n")
    );
    is_mended(&text.replace("sinks:", "stages:\nsinks:"));
    is_mended(&text.replace("sinks:", "stages: {}\nsinks:"));
    let stage = "p: { plugin: any, inputs: [s] }";
    let text = text.replace("inputs: [s]", "inputs: [p]");
    is_mended(&text.replace("sinks:", &format!("stages: {{ {stage} }}\nsinks:")));
    let deep = is_mended(&text.replace("sinks:", &format!("stages:\n      {stage}\nsinks:")));
    assert!(deep.contains("\n      out_units: {"), "{deep}");
}

#[test]
fn another_component_that_gives_what_is_taken_is_proposed() {
    let text = pipeline(
        "source press: gives-hPa
         source boiler: gives-Cel
         stage kelvin: to-K <- boiler
         sink rest: any <- press kelvin
         sink heat: takes-temperature <- press",
    );
    assert!(is_mended(&text).contains("takes-temperature, inputs: [boiler]"));
    // What lies behind a component cannot flow into it.
    let text = pipeline(
        "source press: gives-hPa
         stage warm: takes-temperature <- press
         stage count: makes-Cel <- warm
         sink rest: any <- count",
    );
    assert!(only_problem(&text).help.expect("has help").starts_with("nothing in this pipeline gives"));
}

#[test]
fn a_stage_with_nothing_to_convert_is_an_error() {
    let text = pipeline(
        "source press: gives-hPa-bar
         stage kelvin: to-K <- press
         sink out: any <- kelvin
         sink too: any <- press kelvin",
    );
    let problem = only_problem(&text);
    assert_eq!(problem.code, codes::NOTHING_TO_CONVERT);
    assert_eq!(
        problem.message,
        "`kelvin` converts to K (temperature), but only hPa (pressure), bar (pressure) can come"
    );
    let mended = is_mended(&text);
    assert!(
        mended.contains("too: { plugin: any, inputs: [press] }") && !mended.contains("kelvin"),
        "{mended}"
    );
    let text = text
        .replace("stages:", "  boiler: { plugin: gives-Cel }\nstages:")
        .replace("[press, kelvin]", "[boiler, press]");
    assert!(is_mended(&text).contains("kelvin: { plugin: to-K, inputs: [boiler] }"));
    assert_eq!(
        codes_of("source s: gives-Cel\nstage c: to-K-kPa <- s\nsink o: any <- c"),
        [],
        "one of two is enough"
    );
}

#[test]
fn readings_without_a_unit_are_refused_and_help_says_where_to_give_them_one() {
    let text = pipeline("source made: gives-none\nsink heat: takes-temperature <- made");
    let problem = only_problem(&text);
    assert_eq!(problem.message, "`heat` takes only temperature, but `made` gives readings without a unit");
    assert!(problem.help.expect("has help").starts_with("give the readings of `made` a unit"));
    let text = pipeline("source made: gives-none\nstage k: to-K <- made\nsink out: any <- k");
    assert!(only_problem(&text).help.expect("has help").starts_with("give the readings of `made` a unit"));
    assert_eq!(codes_of("source made: gives-none\nsink out: only-none <- made"), []);
}

#[test]
fn a_component_with_an_unknown_port_among_its_inputs_may_get_anything() {
    let codes = codes_of(
        "source s: gives-hPa
         stage a: any <- s
         stage k: to-K <- a a.droped
         sink out: any <- k",
    );
    assert_eq!(codes, [codes::UNKNOWN_PORT]);
}

#[test]
fn order_is_lost_behind_who_changes_it_and_where_ways_meet() {
    let lost = |lines: &str| {
        let problems = problems_of(&pipeline(lines));
        problems.iter().map(|problem| (problem.code, problem.message.clone())).collect::<Vec<_>>()
    };
    let behind = lost("source s: x\nstage a: shuffles <- s\nstage b: any <- a\nsink o: ordered <- b");
    let message =
        "`o` needs the readings of each sensor in order, but stage `a` may give them in another order";
    assert_eq!(behind, [(codes::OUT_OF_ORDER, message.to_owned())]);
    let meet =
        lost("source s: x\nstage a: any <- s\nstage b: any <- s\nstage c: any <- a b\nsink o: ordered <- c");
    let message = "`o` needs the readings of each sensor in order, but what `s` gives comes to `c` on several ways, some \
                   longer than others";
    assert_eq!(meet, [(codes::OUT_OF_ORDER, message.to_owned())]);
    let ports = lost("source s: x\nstage a: any <- s\nsink o: ordered <- a a.dropped");
    assert_eq!(ports.len(), 1, "a port is a way of its own");
    let fine = "source s: x\nsource t: x\nstage b: any <- s t\nsink o: ordered <- b\nstage a: shuffles <- b\nsink p: any <- a b";
    assert_eq!(lost(fine), [], "sources have no order among each other, and what is behind does not count");
    assert_eq!(lost("source s: x\nstage a: ordered <- s\nsink o: ordered <- a"), []);
}

#[test]
fn what_a_stage_holds_and_saves_is_delivered() {
    let wants = |lines: &str| {
        let text = pipeline(lines).replace("plugin: safe", "plugin: safe, delivery: at_least_once");
        problems_of(&text).iter().map(|problem| problem.code).collect::<Vec<_>>()
    };
    assert_eq!(wants("source s: x\nstage h: holds <- s\nsink o: safe <- h"), [codes::HELD_WITHOUT_STATE]);
    assert_eq!(wants("source s: x\nstage h: saves <- s\nsink o: safe <- h"), []);
    assert_eq!(wants("source s: x\nstage h: holds <- s\nsink o: safe <- s\nsink p: any <- h"), []);
}

#[test]
fn keys_that_do_nothing_where_they_stand_are_warned_of() {
    let text = pipeline("source s: x\nstage a: any <- s\nstage b: any <- a\nsink o: any <- b b.dropped");
    let with = |from: &str, key: &str| {
        let changed = text.replacen(from, &format!("{from}, {key}"), 1);
        assert_ne!(changed, text);
        problems_of(&changed).iter().map(|problem| problem.code).collect::<Vec<_>>()
    };
    assert_eq!(with("plugin: x", "buffer: 64MiB"), [codes::NO_EFFECT]);
    assert_eq!(with("inputs: [a]", "buffer: 64MiB"), [codes::NO_EFFECT], "fused");
    assert_eq!(with("inputs: [b, b.dropped]", "buffer: 64MiB"), []);
    assert_eq!(with("inputs: [a]", "batch: { linger: 5ms }"), [codes::NO_EFFECT]);
    assert_eq!(with("plugin: x", "batch: { linger: 5ms }"), []);
    assert_eq!(with("plugin: x", "dead_letter: o"), [codes::NO_EFFECT]);
    assert_eq!(with("inputs: [a]", "dead_letter: o"), []);
}

#[test]
fn thousands_of_problems_are_found_and_counted() {
    let mut lines = "source s: gives-hPa\nsource t: gives-hPa\nstage a0: any <- s t\n".to_owned();
    for at in 1..2000 {
        writeln!(lines, "stage a{at}: any <- a{}\nsink o{at}: takes-temperature <- a{at}", at - 1)
            .expect("text takes text");
    }
    let problems = problems_of(&pipeline(&lines));
    assert_eq!(problems.count(cardcage_core::diagnostic::Severity::Error), 1999);
}
