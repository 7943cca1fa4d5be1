//! Settings with misspelt keys, read as they were probably meant: what the plugin has against the rest comes out with
//! the misspellings and not at the next try.

#![forbid(unsafe_code)]

use super::{About, Misfit, fit};
use cardcage_core::config::Substituted;
use serde_json::Value;
use std::collections::BTreeMap;

/// A key that was misspelt: its dotted path as written and as meant, without what is misspelt above it.
struct Renamed {
    written: String,
    meant: String,
}

/// The settings with every misspelt key put right; `None` where something else is wrong with them.
pub(super) struct Corrected {
    pub(super) settings: Value,
    renamed: Vec<Renamed>,
}

impl Corrected {
    pub(super) fn new(
        schema: &Value,
        settings: &Value,
        substituted: &BTreeMap<String, Substituted>,
        misfits: &[Misfit],
    ) -> Option<Self> {
        let renamed: Option<Vec<Renamed>> = misfits.iter().map(renamed).collect();
        let mut renamed = renamed?;
        // From the innermost outwards: a path stays right until what it leads through is renamed.
        renamed.sort_by_key(|one| std::cmp::Reverse(one.written.matches('.').count()));
        let mut settings = settings.clone();
        for one in &renamed {
            rename(&mut settings, one)?;
        }
        let settings = fit(schema, &settings, substituted).ok()?;
        Some(Self { settings, renamed })
    }

    /// The path as the person wrote it, of a path in the corrected settings.
    pub(super) fn written(&self, path: &str) -> String {
        // From the outermost inwards, each brings the written name of one part.
        self.renamed.iter().rev().fold(path.to_owned(), |path, one| match path.strip_prefix(&one.meant) {
            Some(rest) if rest.is_empty() || rest.starts_with('.') => format!("{}{rest}", one.written),
            _ => path,
        })
    }
}

fn renamed(misfit: &Misfit) -> Option<Renamed> {
    let About::Key { meant: Some(meant) } = &misfit.about else { return None };
    let written = misfit.setting.clone();
    let meant = match written.rsplit_once('.') {
        Some((above, _)) => format!("{above}.{meant}"),
        None => meant.clone(),
    };
    Some(Renamed { written, meant })
}

fn rename(settings: &mut Value, one: &Renamed) -> Option<()> {
    let (above, name) = one.written.rsplit_once('.').unwrap_or(("", &one.written));
    let (_, meant) = one.meant.rsplit_once('.').unwrap_or(("", &one.meant));
    let parts = above.split('.').filter(|part| !part.is_empty());
    let mut place = settings;
    for part in parts {
        place = match place {
            Value::Array(items) => items.get_mut(part.parse::<usize>().ok()?)?,
            other => other.get_mut(part)?,
        };
    }
    let entries = place.as_object_mut()?;
    let value = entries.remove(name)?;
    entries.insert(meant.to_owned(), value);
    Some(())
}
