//! Rung 10: the settings of a component fit the plugin's schema, and it can say what it will do under them.
//!
//! The schema gives errors with the setting's path and a way out; the plugin's own reading of the settings (in
//! `describe`) has the last word, so a schema keyword that is not known here weakens the message and not the check.

#![forbid(unsafe_code)]

mod corrected;
mod misfit;
mod schema;

use super::refusal::{Climbed, Refusal, Rung};
use cardcage_core::config::{Secrets, Substituted};
use cardcage_core::verdict::Sample;
use cardcage_plugin_api::describe::Description;
use cardcage_runtime::ComponentTypeHandle;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

use corrected::Corrected;
pub(crate) use misfit::{About, Misfit};
pub(crate) use schema::fit;
pub(crate) use schema::numbers::bounds_in_words;

/// A component type under settings that were found to fit.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    /// The settings, with substituted texts where the schema wants strings.
    pub(crate) settings: Value,
    /// What the component will do.
    pub(crate) description: Description,
}

/// Rung 10 for one component. `substituted` has the settings that came from outside the file; where the schema wants a
/// string and one of them looks like a number or boolean, its text is taken.
///
/// Every misfit is given.
pub(crate) fn settle(
    handle: &ComponentTypeHandle,
    schema: &Value,
    settings: &Value,
    substituted: &BTreeMap<String, Substituted>,
) -> Result<Settled, Vec<Misfit>> {
    let settings = fit(schema, settings, substituted)
        .map_err(|misfits| with_described(handle, schema, settings, substituted, misfits))?;
    let masked = |misfit: Misfit| Misfit { message: masked(&misfit.message, substituted), ..misfit };
    let description =
        handle.describe(&settings).map_err(|error| vec![masked(Misfit::whole(error.message))])?;
    if !description.problems.is_empty() {
        return Err(description.problems.into_iter().map(|problem| masked(problem.into())).collect());
    }
    let beyond = description.capabilities.beyond(&handle.manifest().capabilities);
    if beyond.is_empty() {
        return Ok(Settled { settings, description });
    }
    Err(vec![Misfit::whole(format!(
        "under these settings the plugin would do more than its manifest declares: {}; declare it in export_plugin!",
        beyond.join(", ")
    ))])
}

/// The misfits, and what the plugin has against the settings once misspelt keys are put right.
fn with_described(
    handle: &ComponentTypeHandle,
    schema: &Value,
    settings: &Value,
    substituted: &BTreeMap<String, Substituted>,
    mut misfits: Vec<Misfit>,
) -> Vec<Misfit> {
    let described = Corrected::new(schema, settings, substituted, &misfits)
        .and_then(|corrected| Some((handle.describe(&corrected.settings).ok()?, corrected)));
    if let Some((description, corrected)) = described {
        misfits.extend(description.problems.into_iter().map(|problem| {
            let misfit = Misfit::from(problem);
            Misfit {
                setting: corrected.written(&misfit.setting),
                message: masked(&misfit.message, substituted),
                ..misfit
            }
        }));
    }
    misfits
}

/// A plugin's message, in which what came from outside the file may be quoted: it may be a secret.
fn masked(message: &str, substituted: &BTreeMap<String, Substituted>) -> String {
    Secrets::of_settings(substituted).mask(message).into_owned()
}

/// Rung 10 for a type that nobody configured yet: its schema is one, and takes the probe's settings. Also gives what
/// the type does under these, or under its defaults and examples where there are none.
pub(crate) fn schema_of(
    path: &Path,
    handle: &ComponentTypeHandle,
    probe: Option<&Value>,
) -> Climbed<(Value, Option<Sample>)> {
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
    let nothing = BTreeMap::new();
    if let Some(probe) = probe {
        let settled = settle(handle, &schema, probe, &nothing).map_err(|problems| {
            let lines: Vec<String> = problems
                .iter()
                .map(|problem| format!("`{name}`, setting `{}`: {}", problem.setting, problem.message))
                .collect();
            no("probe-settings", lines.join("\n"), "probe settings that the schema and `describe` take")
        })?;
        let sample = Sample { settings: probe.clone(), description: settled.description };
        return Ok((schema, Some(sample)));
    }
    let sample = examples(&schema)
        .and_then(|settings| Some((settle(handle, &schema, &settings, &nothing).ok()?, settings)))
        .map(|(settled, settings)| Sample { settings, description: settled.description });
    Ok((schema, sample))
}

/// What has to be set, each with the schema's example for it. `None` if something has none.
fn examples(schema: &Value) -> Option<Value> {
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    let settings = required.filter_map(Value::as_str).map(|name| {
        let example = schema.get("properties")?.get(name)?.get("examples")?.get(0)?;
        Some((name.to_owned(), example.clone()))
    });
    settings.collect::<Option<serde_json::Map<_, _>>>().map(Value::Object)
}
