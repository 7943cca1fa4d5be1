//! From a config to parts that can be started: each component's plugin climbs the ladder, its settings are checked, and
//! then the wiring. Opens nothing. All problems are reported at once.

#![forbid(unsafe_code)]

mod feedback;

use crate::loader::catalogue::{Catalogue, LoadError, LoadedType, default_directories};
use crate::loader::refusal::Refusal;
use crate::loader::settings::{About, Misfit};
use crate::loader::vetting::Vetting;
use cardcage_core::codes;
use cardcage_core::config::{ComponentConfig, Config, Limits, OnBadConfig, Plugins, Refused, Secrets};
use cardcage_core::diagnostic::{Code, Diagnostic, Diagnostics, Severity};
use cardcage_core::graph::{Graph, wiring};
use cardcage_runtime::{Environment, Part};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folder of the verdict cache, inside the state directory.
const VERDICTS: &str = "verdicts";

/// A pipeline in which everything that can be checked without opening it has been.
pub(crate) struct Assembled {
    pub(crate) config: Config,
    pub(crate) graph: Graph,
    /// In the config's order.
    pub(crate) parts: Vec<Part>,
}

/// Loads, settles and wires up a config. `state` is where verdicts are remembered; without it every plugin is vetted anew.
pub(crate) fn assemble(
    mut config: Config,
    folder: &Path,
    state: Option<&Path>,
    environment: &Arc<Environment>,
) -> Result<Assembled, Diagnostics> {
    let secrets = Arc::new(Secrets::of(&config));
    let vetting = Vetting { cache: state.map(|state| state.join(VERDICTS)), secrets, ..Vetting::default() };
    let mut catalogue =
        Catalogue::scan(&directories(&config.plugins, folder), &config.plugins.trust, vetting);
    catalogue.vet(config.components.iter().map(|component| (component.kind, &component.plugin)));
    let mut problems = Diagnostics::new();
    let mut parts = Vec::with_capacity(config.components.len());
    for component in &config.components {
        if let Some(part) = part(&mut catalogue, component, &mut problems) {
            parts.push(part);
        }
    }
    if problems.has_errors() {
        return Err(refuse(&config, problems, &catalogue));
    }
    let descriptions: Vec<_> = parts.iter().map(|part| part.description.clone()).collect();
    let wired = wiring::wire(&config, &descriptions).map_err(|found| refuse(&config, found, &catalogue))?;
    if let Err(refusal) = catalogue.attach(environment) {
        problems.push(refused(codes::PLUGIN_REFUSED, &refusal));
        return Err(refuse(&config, problems, &catalogue));
    }
    config.warnings.append(wired.warnings);
    config.warnings.append(unused(&catalogue));
    let mut fed_back = feedback::warnings(&config, &wired.graph, &parts, folder);
    config.quote(&mut fed_back);
    config.warnings.append(fed_back);
    let mut without_effect = without_effect(&config);
    config.quote(&mut without_effect);
    config.warnings.append(without_effect);
    Ok(Assembled { config, graph: wired.graph, parts })
}

/// Everything that is wrong with a refused config: what the text alone tells, and what the plugins say of the settings of
/// those components that could be read.
pub(crate) fn all_problems(refused: Refused, folder: &Path) -> Diagnostics {
    let Refused { mut problems, draft: Some(draft) } = refused else {
        return refused.problems;
    };
    let verdicts = folder.join(draft.state_directory()).join(VERDICTS);
    let vetting = Vetting { cache: verdicts.is_dir().then_some(verdicts), ..Vetting::default() };
    let mut catalogue =
        Catalogue::scan(&directories(draft.plugins(), folder), &draft.plugins().trust, vetting);
    catalogue.vet(draft.askable().map(|component| (component.kind, &component.plugin)));
    let mut found = Diagnostics::new();
    for component in draft.askable() {
        part(&mut catalogue, component, &mut found);
    }
    draft.quote(&mut found);
    problems.append(found);
    problems.sort();
    problems
}

fn directories(plugins: &Plugins, folder: &Path) -> Vec<PathBuf> {
    if plugins.directories.is_empty() {
        return default_directories();
    }
    plugins.directories.iter().map(|directory| folder.join(directory)).collect()
}

fn part(catalogue: &mut Catalogue, component: &ComponentConfig, problems: &mut Diagnostics) -> Option<Part> {
    let loaded: Arc<LoadedType> = match catalogue.load(component.kind, &component.plugin) {
        Ok(loaded) => loaded,
        Err(error) => {
            let (diagnostic, meant) = match error {
                LoadError::Unknown { code, found, help, meant } => {
                    (Diagnostic::error(code, found).help(help), meant)
                }
                LoadError::Refused(refusal) => (refused(codes::PLUGIN_REFUSED, &refusal), None),
            };
            problems.push(diagnostic.at(component.key_location("plugin").clone()));
            // What the plugin that was probably meant has against the settings comes out now and not at the next try.
            let mut corrected = component.clone();
            corrected.plugin.name = meant?;
            let loaded = catalogue.load(corrected.kind, &corrected.plugin).ok()?;
            let found = loaded.settle(&corrected).err()?;
            problems.extend(found.into_iter().map(|misfit| refused_setting(&corrected, misfit)));
            return None;
        }
    };
    match loaded.settle(component) {
        Ok(settled) => Some(Part {
            config: ComponentConfig { settings: settled.settings, ..component.clone() },
            handle: loaded.handle().clone(),
            description: settled.description,
        }),
        Err(found) => {
            problems.extend(found.into_iter().map(|misfit| refused_setting(component, misfit)));
            None
        }
    }
}

/// A setting that does not fit, marked at its key or its value, whichever is wrong.
fn refused_setting(component: &ComponentConfig, misfit: Misfit) -> Diagnostic {
    let Misfit { setting, about, message, help } = misfit;
    let message = if setting.is_empty() || matches!(about, About::Key { .. }) {
        format!("`{}`: {message}", component.name)
    } else if about == About::Missing {
        format!("`{}`: the setting `{setting}` is missing", component.name)
    } else {
        format!("`{}`: setting `{setting}`: {message}", component.name)
    };
    let place = match about {
        About::Key { .. } => component.setting_key_location(&setting),
        // What is missing has no place of its own; what it should be in has.
        About::Value | About::Missing => component.setting_location(&setting),
    };
    let inspect = format!("`cardcage plugin inspect {}` shows its settings", component.plugin.name);
    let help = help.map_or_else(|| inspect.clone(), |help| format!("{help}\n{inspect}"));
    Diagnostic::error(codes::SETTINGS_REFUSED, message).at(place.clone()).help(help)
}

/// The problems as they are shown, behind the config's own warnings.
fn refuse(config: &Config, mut problems: Diagnostics, catalogue: &Catalogue) -> Diagnostics {
    config.quote(&mut problems);
    let mut all = config.warnings.clone();
    all.append(problems);
    all.append(unused(catalogue));
    all
}

/// Files that were refused though nothing asks for them: a warning, so that a broken file does not go unnoticed and does
/// not stop a pipeline that does well without it.
fn unused(catalogue: &Catalogue) -> Diagnostics {
    let mut seen = BTreeSet::new();
    catalogue
        .refused()
        .iter()
        .filter(|refusal| !is_some_library(refusal) && seen.insert(refusal.file.clone()))
        .map(|refusal| Diagnostic {
            severity: Severity::Warning,
            ..refused(codes::PLUGIN_REFUSED_UNUSED, refusal)
        })
        .collect()
}

/// Whether the file is a library that has nothing to do with Cardcage, such as those that a build leaves beside its
/// plugins: it has no note, and no plugin's name.
fn is_some_library(refusal: &Refusal) -> bool {
    let name = refusal.file.file_name().map(|name| name.to_string_lossy());
    let kinds = ["source", "stage", "sink"].map(|kind| format!("libcardcage_{kind}_"));
    let named = name.is_some_and(|name| kinds.iter().any(|start| name.starts_with(start.as_str())));
    &*refusal.code == "ladder.manifest.missing" && !named
}

/// Keys that say something which this version does not do yet: taking them in silence would be a promise.
fn without_effect(config: &Config) -> Diagnostics {
    let limits = Limits::default();
    let set = [
        ("on_bad_config", config.on_bad_config != OnBadConfig::default()),
        ("limits.memory", config.limits.memory != limits.memory),
        ("limits.retired_generations", config.limits.retired_generations != limits.retired_generations),
    ];
    set.into_iter()
        .filter(|(_, set)| *set)
        .map(|(key, _)| {
            let warning =
                Diagnostic::warning(codes::NOT_YET, format!("`{key}` has no effect in this version"));
            let warning = warning.help("remove it, or keep it for a later version");
            match config.places.get(key) {
                Some(place) => warning.at(place.clone()),
                None => warning,
            }
        })
        .collect()
}

/// A refusal of the ladder as one problem among others.
fn refused(code: Code, refusal: &Refusal) -> Diagnostic {
    let Refusal { rung, code: why, file, found, expected, help, further: _ } = refusal;
    Diagnostic::error(code, format!("a plugin's file was refused at {rung} [{why}]"))
        .note(format!("file: {}", file.display()))
        .note(format!("found: {found}"))
        .note(format!("expected: {expected}"))
        .help(format!("{help}\n`cardcage plugin check {}` shows every rung", file.display()))
}
