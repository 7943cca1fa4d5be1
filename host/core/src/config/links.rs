//! What names alone tell of how components are connected: checked with the config, before any plugin is loaded.

use super::cycles;
use super::valid::{ComponentConfig, Input};
use crate::codes;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::naming::{nearest, suggestion};
use cardcage_plugin_api::manifest::Kind;
use std::collections::{HashMap, HashSet};

/// Among more problems than this, nobody reads what an unknown name may have meant, and the search costs time.
const SUGGESTED_MAX: usize = 100;

/// Reports everything that does not fit. `refused` names components with inputs that could not be read: what would
/// follow from their absence is not worth saying.
pub(super) fn check(components: &[ComponentConfig], refused: &HashSet<&str>, problems: &mut Diagnostics) {
    let links = Links::new(components, problems);
    let mut misspelt: HashSet<&str> = HashSet::new();
    for component in components {
        if !refused.contains(component.name.as_str()) {
            links.arity(component, problems);
        }
        for input in &component.inputs {
            links.input(component, input, &mut misspelt, problems);
        }
        links.dead_letter(component, problems);
    }
    if refused.is_empty() {
        links.unused(&misspelt, problems);
    }
    cycles::check(components, &links.index, problems);
}

struct Links<'a> {
    components: &'a [ComponentConfig],
    index: HashMap<&'a str, usize>,
}

impl<'a> Links<'a> {
    fn new(components: &'a [ComponentConfig], problems: &mut Diagnostics) -> Self {
        let mut index: HashMap<&str, usize> = HashMap::new();
        for (at, component) in components.iter().enumerate() {
            let Some(first) = index.get(component.name.as_str()) else {
                index.insert(&component.name, at);
                continue;
            };
            let first = &components[*first];
            let message = format!("a {} is already named `{}`", first.kind, component.name);
            problems.push(
                Diagnostic::error(codes::DUPLICATE_NAME, message)
                    .at(component.location.clone())
                    .related(first.location.clone(), format!("the {} is here", first.kind))
                    .help("give one of them another name: names are shared by sources, stages and sinks"),
            );
        }
        Self { components, index }
    }

    fn get(&self, name: &str) -> Option<&'a ComponentConfig> {
        self.index.get(name).map(|index| &self.components[*index])
    }

    fn names(&self, fits: impl Fn(&ComponentConfig) -> bool) -> Vec<&'a str> {
        let fitting = self.components.iter().filter(|component| fits(component));
        fitting.map(|component| component.name.as_str()).collect()
    }

    /// Sources have no inputs, others have some; a sink may live on dead letters alone.
    fn arity(&self, component: &ComponentConfig, problems: &mut Diagnostics) {
        let written = component.locations.get("inputs");
        let name = &component.name;
        match component.kind {
            Kind::Source => {
                if let Some(location) = written {
                    let message = format!("source `{name}` has `inputs`, but nothing flows into a source");
                    let help = "remove `inputs`, or move the component to `stages` or `sinks`";
                    problems.push(
                        Diagnostic::error(codes::SOURCE_WITH_INPUTS, message).at(location.clone()).help(help),
                    );
                }
            }
            Kind::Stage | Kind::Sink => {
                let dead_letters = || {
                    self.components.iter().any(|other| {
                        other.dead_letter.as_ref().is_some_and(|(sink, _)| sink == name)
                            && other.name != *name
                    })
                };
                if component.inputs.is_empty() && !dead_letters() {
                    let message =
                        format!("{} `{name}` has no inputs, so nothing would ever reach it", component.kind);
                    let help = self.input_example(component);
                    let location = written.unwrap_or(&component.location).clone();
                    problems.push(Diagnostic::error(codes::NO_INPUTS, message).at(location).help(help));
                }
            }
        }
    }

    fn input_example(&self, component: &ComponentConfig) -> String {
        let givers = self.names(|other| other.kind != Kind::Sink && other.name != component.name);
        match givers.last() {
            Some(giver) => format!("add `inputs: [{giver}]`, for example"),
            None => "add a source first".to_owned(),
        }
    }

    fn input(
        &self,
        component: &ComponentConfig,
        input: &Input,
        misspelt: &mut HashSet<&'a str>,
        problems: &mut Diagnostics,
    ) {
        let name = &input.component;
        let problem = match self.get(name) {
            None => {
                let givers = match problems.len() {
                    0..SUGGESTED_MAX => {
                        self.names(|other| other.kind != Kind::Sink && other.name != component.name)
                    }
                    _ => Vec::new(),
                };
                misspelt.extend(nearest(name, givers.iter().copied()));
                let message = format!("`{}` takes input from `{name}`, which does not exist", component.name);
                Diagnostic::error(codes::UNKNOWN_INPUT, message).maybe_help(suggestion(name, &givers))
            }
            Some(other) if other.kind == Kind::Sink => {
                let message = format!(
                    "`{}` takes input from sink `{name}`, but nothing comes out of a sink",
                    component.name
                );
                let through: Vec<&str> = other.inputs.iter().map(|input| input.component.as_str()).collect();
                let help = match through.first() {
                    Some(giver) => format!("take what the sink takes: `inputs: [{giver}]`"),
                    None => "name a source or stage".to_owned(),
                };
                Diagnostic::error(codes::SINK_AS_INPUT, message)
                    .related(other.location.clone(), "the sink is here")
                    .help(help)
            }
            Some(_) => return,
        };
        problems.push(problem.at(input.location.clone()));
    }

    fn dead_letter(&self, component: &ComponentConfig, problems: &mut Diagnostics) {
        let Some((name, location)) = &component.dead_letter else {
            return;
        };
        let message = match self.get(name) {
            Some(_) if *name == component.name => format!("`{name}` cannot take its own dead letters"),
            Some(other) if other.kind == Kind::Sink => return,
            Some(other) => format!("dead letters go to a sink; `{name}` is a {}", other.kind),
            None => format!("dead letters of `{}` go to `{name}`, which does not exist", component.name),
        };
        let sinks = self.names(|other| other.kind == Kind::Sink && other.name != component.name);
        let help = suggestion(name, &sinks).unwrap_or_else(|| "add a sink for them".to_owned());
        problems.push(Diagnostic::error(codes::BAD_DEAD_LETTER, message).at(location.clone()).help(help));
    }

    /// `misspelt` are names that an unknown input probably meant: saying that nothing takes them would mislead.
    fn unused(&self, misspelt: &HashSet<&str>, problems: &mut Diagnostics) {
        let inputs = || self.components.iter().flat_map(|component| &component.inputs);
        let taken: HashSet<&str> =
            inputs().filter(|input| input.port.is_none()).map(|input| input.component.as_str()).collect();
        for component in self.components.iter().filter(|component| component.kind != Kind::Sink) {
            let name = component.name.as_str();
            let second_of_name = self.get(name).is_some_and(|first| first.location != component.location);
            if taken.contains(name) || misspelt.contains(name) || second_of_name {
                continue;
            }
            let port = inputs().find(|input| input.component == name && input.port.is_some());
            let (what, help) = match port.and_then(|input| input.port.as_deref()) {
                Some(port) => (
                    "main output",
                    format!("its port `{port}` is taken; add `{name}` itself to the `inputs` of a sink, too"),
                ),
                None => ("output", format!("add `{name}` to the `inputs` of a stage or sink, or remove it")),
            };
            let message = format!("nothing takes the {what} of {} `{name}`", component.kind);
            problems.push(
                Diagnostic::error(codes::UNUSED_OUTPUT, message).at(component.location.clone()).help(help),
            );
        }
    }
}
