//! Why a pipeline's `plugin:` leads to no component type.

#![forbid(unsafe_code)]

use super::Catalogue;
use crate::loader::refusal::Refusal;
use cardcage_core::codes;
use cardcage_core::config::PluginRef;
use cardcage_core::diagnostic::Code;
use cardcage_core::naming::nearest;
use std::fmt::Write as _;
use std::path::Path;

/// Why a pipeline's `plugin:` leads to no component type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LoadError {
    /// Nothing of that name, type or version.
    #[error("{found}")]
    Unknown {
        /// `plugin.unknown`, `plugin.unknown-version`, `plugin.unknown-type` or `plugin.which-type`.
        code: Code,
        /// What was asked for and not found.
        found: String,
        /// What to do about it.
        help: String,
        /// The plugin that was probably meant.
        meant: Option<String>,
    },
    /// It is there, and a rung refused it.
    #[error("{0}")]
    Refused(Refusal),
}

impl LoadError {
    /// No plugin of this name.
    pub(super) fn unknown(catalogue: &Catalogue, wanted: &PluginRef) -> Self {
        let mut names: Vec<&str> =
            catalogue.plugins.iter().map(|plugin| plugin.manifest.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let mut help = String::new();
        let meant = nearest(&wanted.name, names.iter().copied());
        if let Some(near) = meant {
            // Writing to a String cannot fail.
            let _ = write!(help, "did you mean `{near}`? ");
        }
        let _ = match names.as_slice() {
            [] => write!(
                help,
                "no plugin at all was found in {}; were the plugins built, and is `plugins.directories` right? It is \
                 relative to the pipeline's file",
                catalogue.folders()
            ),
            names => write!(help, "found in {}: {}", catalogue.folders(), names.join(", ")),
        };
        if let Some(refusal) =
            catalogue.refused().iter().find(|refusal| is_file_of(&refusal.file, &wanted.name))
        {
            let (file, rung, code) = (refusal.file.display(), refusal.rung, &refusal.code);
            let _ = write!(help, "; {file} may be it, but was refused at {rung} [{code}]: {}", refusal.found);
        }
        Self::Unknown {
            code: codes::PLUGIN_UNKNOWN,
            found: format!("there is no plugin `{}`", wanted.name),
            help,
            meant: meant.map(str::to_owned),
        }
    }
}

/// Whether a library's file name says that it is this plugin: `libcardcage_stage_range.so`, `librange.so`.
fn is_file_of(file: &Path, plugin: &str) -> bool {
    let name = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let plugin = plugin.replace('-', "_");
    name.strip_suffix(&plugin).is_some_and(|front| front.ends_with('_') || front == "lib")
}
