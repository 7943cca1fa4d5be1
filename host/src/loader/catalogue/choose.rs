//! Which library and which of its types a `plugin: NAME[/TYPE][@VERSION]` means.

#![forbid(unsafe_code)]

use super::{Catalogue, LoadError};
use crate::loader::climb::Candidate;
use crate::loader::manifest::version_numbers;
use cardcage_core::codes;
use cardcage_core::config::PluginRef;
use cardcage_core::naming::nearest;
use cardcage_plugin_api::manifest::Kind;

/// The places of the plugin in the catalogue and of the type in the plugin.
pub(super) fn choose(
    catalogue: &Catalogue,
    kind: Kind,
    wanted: &PluginRef,
) -> Result<(usize, usize), LoadError> {
    let named: Vec<(usize, &Candidate)> = catalogue
        .plugins
        .iter()
        .enumerate()
        .filter(|(_, plugin)| plugin.manifest.name == wanted.name)
        .collect();
    if named.is_empty() {
        return Err(LoadError::unknown(catalogue, wanted));
    }
    // Libraries of different kinds may share a name (the source `file`, the sink `file`): the section says which.
    let of_kind: Vec<_> = named.iter().copied().filter(|(_, plugin)| offers(plugin, kind)).collect();
    let named = if of_kind.is_empty() { named } else { of_kind };
    let chosen = named
        .iter()
        .filter(|(_, plugin)| {
            wanted.version.as_ref().is_none_or(|version| *version == plugin.manifest.version)
        })
        .max_by_key(|(_, plugin)| version_key(&plugin.manifest.version));
    let Some((index, plugin)) = chosen else {
        return Err(unknown_version(wanted, &named));
    };
    Ok((*index, type_of(plugin, kind, wanted)?))
}

fn offers(plugin: &Candidate, kind: Kind) -> bool {
    plugin.manifest.components.iter().any(|component| component.kind == kind)
}

/// Orders versions; one that is none never got this far.
pub(super) fn version_key(version: &str) -> [u32; 3] {
    version_numbers(version).unwrap_or_default()
}

/// The named type, else the one with the plugin's name, else the only one of the kind.
fn type_of(plugin: &Candidate, kind: Kind, wanted: &PluginRef) -> Result<usize, LoadError> {
    let types = &plugin.manifest.components;
    let of_kind: Vec<usize> = (0..types.len()).filter(|index| types[*index].kind == kind).collect();
    let find = |name: &str| of_kind.iter().copied().find(|index| types[*index].name == name);
    let has = || {
        let all: Vec<String> =
            types.iter().map(|component| format!("{} `{}`", component.kind, component.name)).collect();
        format!("{} {} has {}", plugin.manifest.name, plugin.manifest.version, all.join(", "))
    };
    let Some(name) = &wanted.type_name else {
        return match (find(&wanted.name), of_kind.as_slice()) {
            (Some(index), _) => Ok(index),
            (None, [only]) => Ok(*only),
            (None, []) => Err(LoadError::Unknown {
                code: codes::PLUGIN_UNKNOWN_TYPE,
                found: format!("plugin `{}` has no {kind}", wanted.name),
                help: match types.as_slice() {
                    [only] => format!("`{}` is a {1}: move the component to `{1}s`", wanted.name, only.kind),
                    _ => has(),
                },
                meant: None,
            }),
            (None, _) => Err(LoadError::Unknown {
                code: codes::PLUGIN_WHICH_TYPE,
                found: format!("plugin `{}` has several {kind}s", wanted.name),
                help: format!("write `plugin: {}/TYPE`; {}", wanted.name, has()),
                meant: None,
            }),
        };
    };
    find(name).ok_or_else(|| {
        let near = nearest(name, of_kind.iter().map(|index| types[*index].name.as_str()))
            .map_or_else(String::new, |near| format!("did you mean `{near}`? "));
        LoadError::Unknown {
            code: codes::PLUGIN_UNKNOWN_TYPE,
            found: format!("plugin `{}` has no {kind} `{name}`", wanted.name),
            help: format!("{near}{}", has()),
            meant: None,
        }
    })
}

fn unknown_version(wanted: &PluginRef, named: &[(usize, &Candidate)]) -> LoadError {
    let mut versions: Vec<&str> = named.iter().map(|(_, plugin)| plugin.manifest.version.as_str()).collect();
    versions.sort_by_key(|version| version_key(version));
    LoadError::Unknown {
        code: codes::PLUGIN_UNKNOWN_VERSION,
        found: format!(
            "there is no version {} of plugin `{}`",
            wanted.version.as_deref().unwrap_or("?"),
            wanted.name
        ),
        help: format!("versions here: {}", versions.join(", ")),
        meant: None,
    }
}
