//! Rung 10: the settings of a component fit the plugin's schema, and it can say what it will do under them.
//!
//! The schema gives errors with the setting's path and a way out; the plugin's own reading of the settings (in
//! `describe`) has the last word, so a schema keyword that is not known here weakens the message and not the check.

#![forbid(unsafe_code)]

mod schema;

use super::refusal::{Climbed, Refusal, Rung};
use cardcage_plugin_api::describe::{Description, SettingProblem};
use cardcage_runtime::ComponentTypeHandle;
use serde_json::Value;
use std::path::Path;

pub(crate) use schema::fit;

/// A component type under settings that were found to fit.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    /// The settings, with substituted texts where the schema wants strings.
    pub(crate) settings: Value,
    /// What the component will do.
    pub(crate) description: Description,
}

/// Rung 10 for one component. `text_of` gives the text that was substituted for a setting, by its dotted path; where
/// the schema wants a string there, that text is taken instead of the number or boolean it looks like.
///
/// Every problem is given, each with the setting's dotted path (empty for the settings as a whole).
pub(crate) fn settle(
    handle: &ComponentTypeHandle,
    schema: &Value,
    settings: &Value,
    text_of: &dyn Fn(&str) -> Option<String>,
) -> Result<Settled, Vec<SettingProblem>> {
    let settings = fit(schema, settings, text_of)?;
    let description = handle.describe(&settings).map_err(|error| vec![whole(error.message)])?;
    if !description.problems.is_empty() {
        return Err(description.problems);
    }
    let beyond = description.capabilities.beyond(&handle.manifest().capabilities);
    if beyond.is_empty() {
        return Ok(Settled { settings, description });
    }
    Err(vec![whole(format!(
        "under these settings the plugin would do more than its manifest declares: {}; declare it in export_plugin!",
        beyond.join(", ")
    ))])
}

/// Rung 10 for a type that nobody configured yet: its schema is one, and takes the probe's settings.
pub(crate) fn schema_of(path: &Path, handle: &ComponentTypeHandle, probe: Option<&Value>) -> Climbed<Value> {
    let name = &handle.manifest().name;
    let no = |what: &str, found: String, expected: &str| {
        Refusal::new(
            Rung::Settings,
            what,
            path,
            found,
            expected,
            "derive JsonSchema for the settings type, and give the probe settings that it takes",
        )
    };
    let schema = handle
        .schema()
        .map_err(|error| no("schema", format!("`{name}`: {error}"), "a JSON Schema of the settings"))?;
    if !schema.is_object() {
        return Err(no(
            "schema",
            format!("`{name}`: a schema that is no object"),
            "a JSON Schema of the settings",
        ));
    }
    if let Some(probe) = probe {
        settle(handle, &schema, probe, &|_| None).map_err(|problems| {
            let lines: Vec<String> = problems
                .iter()
                .map(|problem| format!("`{name}`, setting `{}`: {}", problem.setting, problem.message))
                .collect();
            no("probe-settings", lines.join("\n"), "probe settings that the schema and `describe` take")
        })?;
    }
    Ok(schema)
}

fn whole(message: String) -> SettingProblem {
    SettingProblem { setting: String::new(), message }
}
