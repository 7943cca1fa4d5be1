//! `cardcage schema [FILE]`: the JSON Schema of `pipeline.yaml` with the plugins found, for editors.

#![forbid(unsafe_code)]

use super::plugin::offer::{self, Offer};
use crate::cli::SchemaArguments;
use crate::document::{self, Document, DocumentError};
use crate::exit;
use crate::loader::catalogue::{Catalogue, default_directories};
use crate::loader::libraries::SystemLibraries;
use crate::loader::vetting::Vetting;
use crate::report::{answer, say};
use cardcage_core::config::Trust;
use cardcage_core::config::json_schema::{self, ComponentType};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Prints the schema. A plugin that is refused is left out and said so: `check` refuses the pipelines that use it.
pub(crate) fn run(arguments: &SchemaArguments) -> ExitCode {
    let folders = match folders(arguments) {
        Ok(folders) => folders,
        Err(error) => {
            say(&format!("{error}\n"));
            return ExitCode::from(exit::IO);
        }
    };
    let (offers, complaints) = offers(&folders);
    say(&complaints);
    answer(&text(&offers));
    ExitCode::SUCCESS
}

/// The folders to look in. A pipeline that somebody is in the middle of writing has its folders, too.
fn folders(arguments: &SchemaArguments) -> Result<Vec<PathBuf>, DocumentError> {
    if !arguments.directory.is_empty() {
        return Ok(arguments.directory.clone());
    }
    let (folder, named) = match document::read(arguments.file.as_deref()) {
        Ok(Document { folder, config }) => (folder, config.plugins.directories),
        Err(DocumentError::Refused { folder, refused }) => {
            let named = refused.draft.map(|draft| draft.plugins().directories.clone());
            if named.is_none() {
                say("the pipeline cannot be read so far; these are the plugins in the default folders\n");
            }
            (folder, named.unwrap_or_default())
        }
        Err(DocumentError::NoFile) => return Ok(default_directories()),
        Err(error) => return Err(error),
    };
    if named.is_empty() {
        return Ok(default_directories());
    }
    Ok(named.iter().map(|directory| folder.join(directory)).collect())
}

/// The plugins in these folders, by name and rising version, and what is to be said of those that are refused.
pub(super) fn offers(folders: &[PathBuf]) -> (Vec<Offer>, String) {
    let catalogue = Catalogue::scan(folders, &Trust::default(), Vetting::default());
    let mut libraries = SystemLibraries::default();
    let files: Vec<PathBuf> = catalogue.plugins().map(|(file, _)| file.to_owned()).collect();
    let offers: Vec<Offer> = files.into_iter().map(|file| offer::look(file, &mut libraries)).collect();
    let left_out = |file: &Path, why: &str| format!("left out: {}: {why}\n", file.display());
    let unread = catalogue.refused().iter().map(|refusal| left_out(&refusal.file, &refusal.found));
    let refused =
        offers.iter().filter_map(|offer| Some(left_out(&offer.file, &offer.refusal.as_ref()?.found)));
    let complaints = unread.chain(refused).collect();
    (offers, complaints)
}

/// The schema for these plugins, as a file's text.
pub(super) fn text(offers: &[Offer]) -> String {
    // Maps with other keys than strings are what could fail here; there are none.
    let text = serde_json::to_string_pretty(&schema(offers)).unwrap_or_default();
    format!("{text}\n")
}

fn schema(offers: &[Offer]) -> Value {
    let types: Vec<ComponentType<'_>> = offers
        .iter()
        .filter_map(|offer| Some((offer.manifest.as_ref()?, &offer.types)))
        .flat_map(|(manifest, types)| {
            manifest.components.iter().zip(types).map(|(component, offered)| ComponentType {
                kind: component.kind,
                plugin: &manifest.name,
                version: &manifest.version,
                name: &component.name,
                description: match component.description.as_str() {
                    "" => &manifest.description,
                    own => own,
                },
                settings: &offered.schema,
            })
        })
        .collect();
    json_schema::pipeline(&types)
}
