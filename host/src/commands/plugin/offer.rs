//! What a plugin file offers: its manifest, and what its code says of settings, ports and reasons. That code runs in the
//! vetting child only.

#![forbid(unsafe_code)]

use super::settings_table::{self, Row};
use crate::loader::climb;
use crate::loader::libraries::SystemLibraries;
use crate::loader::refusal::Refusal;
use crate::loader::vetting::Vetting;
use cardcage_core::verdict::Sample;
use cardcage_plugin_api::manifest::Manifest;
use serde::Serialize;
use serde_json::Value;
use std::path::PathBuf;

/// A plugin file, as far as the ladder let it come.
#[derive(Debug, Serialize)]
pub(crate) struct Offer {
    /// The file.
    pub(crate) file: PathBuf,
    /// What its note says; absent if it was refused before.
    pub(crate) manifest: Option<Manifest>,
    /// One for each component type, in the manifest's order; none if the plugin was refused.
    pub(crate) types: Vec<OfferedType>,
    /// Why it cannot be used, if it cannot.
    pub(crate) refusal: Option<Refusal>,
}

/// What a component type's code says of itself.
#[derive(Debug, Serialize)]
pub(crate) struct OfferedType {
    /// Its settings, as rows for people.
    pub(crate) settings: Vec<Row>,
    /// Their JSON Schema, as the plugin gave it.
    pub(crate) schema: Value,
    /// What it does under its probe's settings, or its defaults and examples.
    pub(crate) sample: Option<Sample>,
}

/// Climbs the ladder with a file.
pub(crate) fn look(file: PathBuf, libraries: &mut SystemLibraries) -> Offer {
    let looked = climb::look(&file, libraries, &mut |_, _| ());
    let vetted = looked
        .as_ref()
        .map_err(Clone::clone)
        .and_then(|candidate| Ok(Vetting::default().vet(candidate, libraries)?));
    let (types, refusal) = match vetted {
        Ok(vetted) => {
            let types = vetted.verdict.components.into_iter().map(|component| OfferedType {
                settings: settings_table::rows(&component.schema),
                schema: component.schema,
                sample: component.sample,
            });
            (types.collect(), None)
        }
        Err(refusal) => (Vec::new(), Some(refusal)),
    };
    Offer { file, manifest: looked.ok().map(|candidate| candidate.manifest), types, refusal }
}
