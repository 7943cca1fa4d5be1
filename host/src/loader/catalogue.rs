//! The plugins found in the configured folders, and the way from `plugin: NAME[/TYPE][@VERSION]` to a component type.
//!
//! Every file climbs rungs 1 to 3, which run none of its code, so that names and versions are known; only what a
//! pipeline uses climbs further. A file that is refused and that nothing asks for is a warning, no error.

#![forbid(unsafe_code)]

mod choose;
mod error;

use super::climb::{self, Candidate, LoadedLibrary};
use super::elf;
use super::file;
use super::libraries::SystemLibraries;
use super::process_state::Alone;
use super::refusal::{Climbed, Refusal, Rung};
use super::settings::{self, Misfit, Settled};
use super::side_by_side;
use super::vetting::{Vetted, Vetting};
use cardcage_core::config::{ComponentConfig, PluginRef, Trust};
use cardcage_plugin_api::abi::Outcome;
use cardcage_plugin_api::manifest::{Kind, Manifest};
use cardcage_runtime::{ComponentTypeHandle, Environment, HostHandle};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use error::LoadError;

/// The most plugin files looked at in one folder.
const FILES_MAX: usize = 4096;
/// Where packages put plugins.
const PACKAGED: &str = "/usr/lib/cardcage";

/// The folders looked in when none is configured: the one that this program is in, and the packages' one.
pub(crate) fn default_directories() -> Vec<PathBuf> {
    let own = std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned));
    let all = own.into_iter().chain([PathBuf::from(PACKAGED)]);
    all.filter(|folder| folder.is_dir()).collect()
}

/// What was found in the plugin folders.
#[derive(Debug)]
pub(crate) struct Catalogue {
    directories: Vec<PathBuf>,
    plugins: Vec<Candidate>,
    refused: Vec<Refusal>,
    libraries: SystemLibraries,
    vetting: Vetting,
    trust: Trust,
    /// What came of rung 4, until the plugin is loaded.
    vetted: HashMap<usize, Climbed<Vetted>>,
    loaded: HashMap<usize, Result<Arc<LoadedPlugin>, Refusal>>,
}

/// A plugin that climbed all rungs that need no configuration.
struct LoadedPlugin {
    library: LoadedLibrary,
    /// For each type, as in the library: the schema of its settings.
    schemas: Vec<Arc<Value>>,
}

impl std::fmt::Debug for LoadedPlugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedPlugin").finish_non_exhaustive()
    }
}

/// A component type, ready to be configured and opened.
#[derive(Clone)]
pub(crate) struct LoadedType {
    handle: ComponentTypeHandle,
    schema: Arc<Value>,
}

impl LoadedType {
    /// What the runtime opens instances with.
    pub(crate) fn handle(&self) -> &ComponentTypeHandle {
        &self.handle
    }

    /// Rung 10 for a configured component: its settings as the plugin wants them, and what it will do under them; or
    /// every misfit.
    pub(crate) fn settle(&self, component: &ComponentConfig) -> Result<Settled, Vec<Misfit>> {
        settings::settle(&self.handle, &self.schema, &component.settings, &component.substituted)
    }
}

impl Catalogue {
    /// Looks at every `lib*.so` directly inside the folders: rungs 1 to 3.
    pub(crate) fn scan(directories: &[PathBuf], trust: &Trust, vetting: Vetting) -> Self {
        let mut catalogue = Self {
            directories: directories.to_vec(),
            plugins: Vec::new(),
            refused: Vec::new(),
            libraries: SystemLibraries::default(),
            vetting,
            trust: trust.clone(),
            vetted: HashMap::new(),
            loaded: HashMap::new(),
        };
        for directory in directories {
            match library_files(directory) {
                Ok((files, left_out)) => {
                    catalogue.look_at(&files);
                    catalogue.refused.extend((left_out > 0).then(|| too_many(directory, &files, left_out)));
                }
                Err(error) => catalogue.refused.push(Refusal::new(
                    Rung::File,
                    "folder",
                    directory,
                    error.to_string(),
                    "a folder of plugins that this user can read",
                    "correct `plugins.directories`; relative folders are relative to the pipeline's file",
                )),
            }
        }
        catalogue.refuse_conflicts();
        catalogue.refuse_names_that_others_need();
        catalogue
    }

    /// The plugins that passed rungs 1 to 3, by name and rising version.
    pub(crate) fn plugins(&self) -> impl Iterator<Item = (&Path, &Manifest)> {
        let mut all: Vec<_> =
            self.plugins.iter().map(|plugin| (plugin.copy.path(), &plugin.manifest)).collect();
        all.sort_by_key(|(_, manifest)| (&manifest.name, choose::version_key(&manifest.version)));
        all.into_iter()
    }

    /// The files that did not.
    pub(crate) fn refused(&self) -> &[Refusal] {
        &self.refused
    }

    /// The component type that a pipeline asks for: rungs 4 to 8 of its plugin, at the first time (4 unless [`Self::vet`]
    /// was asked before).
    pub(crate) fn load(&mut self, kind: Kind, wanted: &PluginRef) -> Result<Arc<LoadedType>, LoadError> {
        let (index, type_index) = choose::choose(self, kind, wanted)?;
        if !self.loaded.contains_key(&index) {
            let loaded = self.climb(index);
            self.loaded.insert(index, loaded);
        }
        match self.loaded.get(&index) {
            Some(Ok(plugin)) => Ok(Arc::new(plugin.of(type_index))),
            Some(Err(refusal)) => Err(LoadError::Refused(refusal.clone())),
            None => Err(LoadError::unknown(self, wanted)),
        }
    }

    /// Rung 4 of every plugin that a pipeline asks for, several at a time. What came of it is said when they are loaded.
    pub(crate) fn vet<'a>(&mut self, wanted: impl IntoIterator<Item = (Kind, &'a PluginRef)>) {
        let chosen: BTreeSet<usize> = wanted
            .into_iter()
            .filter_map(|(kind, wanted)| Some(choose::choose(self, kind, wanted).ok()?.0))
            .filter(|index| !self.loaded.contains_key(index))
            .collect();
        let chosen: Vec<usize> = chosen.into_iter().collect();
        let vetted = side_by_side::each(&chosen, &self.libraries, |index, libraries| {
            self.vetting.vet(&self.plugins[*index], libraries).map_err(Refusal::from)
        });
        self.vetted.extend(chosen.into_iter().zip(vetted));
    }

    /// Gives every loaded plugin its way to the host's log. To be called once, before any component is opened.
    pub(crate) fn attach(&self, environment: &Arc<Environment>) -> Result<(), Refusal> {
        for (index, loaded) in &self.loaded {
            let (Ok(loaded), candidate) = (loaded, &self.plugins[*index]) else {
                continue;
            };
            let host = HostHandle::for_library(environment, &candidate.manifest.name);
            let outcome = loaded.library.attach.call(&host);
            if outcome != Outcome::OK {
                return Err(super::vetting::child::not_attached(candidate.copy.path(), outcome));
            }
        }
        Ok(())
    }

    fn look_at(&mut self, files: &[PathBuf]) {
        let trust = &self.trust;
        let looked = side_by_side::each(files, &self.libraries, |path, libraries| {
            let copy = file::read(path, trust.permissions)?;
            climb::look_at(file::listed(copy, &trust.sha256)?, libraries, &mut |_, _| ())
        });
        for candidate in looked {
            match candidate {
                // The same library in two places is one plugin.
                Ok(candidate) => {
                    let twin = self.plugins.iter().any(|known| known.copy.hash() == candidate.copy.hash());
                    if !twin {
                        self.plugins.push(candidate);
                    }
                }
                Err(refusal) => self.refused.push(refusal),
            }
        }
    }

    /// Two files that say they are the same version of the same plugin with a kind in common, and are not the same:
    /// neither is taken, since which one ran would depend on the order of folders.
    fn refuse_conflicts(&mut self) {
        let others: Vec<Vec<String>> = self.plugins.iter().map(|plugin| self.rivals(plugin)).collect();
        let mut others = others.into_iter();
        let refused = &mut self.refused;
        self.plugins.retain(|plugin| {
            let rivals = others.next().unwrap_or_default();
            if rivals.is_empty() {
                return true;
            }
            let (name, version) = (&plugin.manifest.name, &plugin.manifest.version);
            refused.push(Refusal::new(
                Rung::Manifest,
                "conflict",
                plugin.copy.path(),
                format!("{name} {version}, which {} says it is too, with other content", rivals.join(", ")),
                "one file for each version of a plugin",
                "remove the old file, or build one of them with another version",
            ));
            false
        });
    }

    /// A plugin with the name of a library that another one needs: once it is loaded, the linker would take it for that
    /// library, so that what the other one gets would depend on the order of loading, and not be what was vetted.
    fn refuse_names_that_others_need(&mut self) {
        if self.plugins.iter().all(|plugin| plugin.image.soname.is_none()) {
            return;
        }
        let needed: Vec<BTreeSet<String>> =
            self.plugins.iter().map(|plugin| self.libraries.all_needed(&plugin.image.needed)).collect();
        let files: Vec<PathBuf> = self.plugins.iter().map(|plugin| plugin.copy.path().to_owned()).collect();
        let refused = &mut self.refused;
        self.plugins.retain(|plugin| {
            let Some(name) = &plugin.image.soname else {
                return true;
            };
            let own = plugin.copy.path();
            let needs =
                files.iter().zip(&needed).find(|(file, needed)| *file != own && needed.contains(name));
            let Some((other, _)) = needs else {
                return true;
            };
            let found =
                format!("it calls itself `{name}`, which is a library that {} needs", other.display());
            refused.push(elf::soname(own, found));
            false
        });
    }

    /// The other files that say they are this plugin.
    fn rivals(&self, plugin: &Candidate) -> Vec<String> {
        let kinds = |plugin: &Candidate| -> Vec<Kind> {
            plugin.manifest.components.iter().map(|component| component.kind).collect()
        };
        let mine = kinds(plugin);
        self.plugins
            .iter()
            .filter(|other| other.copy.path() != plugin.copy.path())
            .filter(|other| {
                other.manifest.name == plugin.manifest.name
                    && other.manifest.version == plugin.manifest.version
                    && kinds(other).iter().any(|kind| mine.contains(kind))
            })
            .map(|other| other.copy.path().display().to_string())
            .collect()
    }

    /// Rungs 4 to 8.
    fn climb(&mut self, index: usize) -> Result<Arc<LoadedPlugin>, Refusal> {
        let candidate = &self.plugins[index];
        let vetted = match self.vetted.remove(&index) {
            Some(vetted) => vetted?,
            None => self.vetting.vet(candidate, &mut self.libraries)?,
        };
        tracing::debug!(
            plugin = %candidate.copy.path().display(),
            remembered = vetted.cached,
            "vetted"
        );
        let library = climb::load(candidate, Alone::No, &mut |_, _| ())?;
        let components = vetted.verdict.components.into_iter();
        let schemas = components.map(|component| Arc::new(component.schema)).collect();
        Ok(Arc::new(LoadedPlugin { library, schemas }))
    }

    /// The folders that were looked in, for messages.
    fn folders(&self) -> String {
        let all: Vec<String> = self.directories.iter().map(|folder| folder.display().to_string()).collect();
        all.join(", ")
    }
}

impl LoadedPlugin {
    fn of(&self, type_index: usize) -> LoadedType {
        LoadedType {
            handle: self.library.types[type_index].clone(),
            schema: Arc::clone(&self.schemas[type_index]),
        }
    }
}

/// The `lib*.so` directly inside, in the order of their names, and how many there are beyond the bound.
pub(crate) fn library_files(directory: &Path) -> std::io::Result<(Vec<PathBuf>, usize)> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with("lib") && Path::new(name).extension().is_some_and(|ending| ending == "so")
        })
        .collect();
    // Before the bound: which files are looked at must not depend on the file system.
    files.sort();
    let left_out = files.len().saturating_sub(FILES_MAX);
    files.truncate(FILES_MAX);
    Ok((files, left_out))
}

fn too_many(directory: &Path, files: &[PathBuf], left_out: usize) -> Refusal {
    let last = files.last().and_then(|file| file.file_name()).unwrap_or_default();
    Refusal::new(
        Rung::File,
        "too-many",
        directory,
        format!(
            "{} libraries; the {left_out} behind {} were not looked at",
            files.len() + left_out,
            last.display()
        ),
        format!("at most {FILES_MAX} libraries in one folder"),
        "keep what no pipeline uses elsewhere, or spread the plugins over several `plugins.directories`",
    )
}
