//! Capabilities, permissions and units in words.

#![forbid(unsafe_code)]

use super::table;
use cardcage_plugin_api::manifest::Capability;
use cardcage_plugin_api::units::{self, Dimension};

/// What each capability means.
pub(super) fn capabilities() -> String {
    let rows: Vec<Vec<String>> = Capability::ALL
        .into_iter()
        .map(|capability| vec![format!("`{}`", capability.name()), meaning(capability).to_owned()])
        .collect();
    table(&["Capability", "Meaning"], &rows)
}

const fn meaning(capability: Capability) -> &'static str {
    match capability {
        Capability::Drops => "may let records fall, each counted under a reason",
        Capability::Creates => "may make records that were not in its input",
        Capability::Reorders => "may give records in another order",
        Capability::Holds => "may keep records from one call to a later one",
        Capability::Deterministic => "gives the same output for the same input",
        Capability::ParallelBySensor => "treats each sensor on its own",
        Capability::Finite => "a source that ends by itself",
        Capability::Replayable => {
            "a source that can go back to a position: `delivery: at_least_once` needs one"
        }
        Capability::Acknowledged => "a source that is told when data is safe",
        Capability::Idempotent => "a sink for which writing a record twice is writing it once",
        Capability::Transactional => "a sink whose commit is all or nothing",
        Capability::State => "can save its state and take it up again",
        Capability::Ticks => "a stage that is called as time passes, too",
    }
}

/// The units that can be converted, by dimension.
pub(super) fn units() -> String {
    let known: Vec<(Dimension, String)> =
        units::names().filter_map(|name| Some((units::parse(&name)?.dimension(), name))).collect();
    let rows: Vec<Vec<String>> = Dimension::ALL
        .into_iter()
        .map(|dimension| {
            let names = known.iter().filter(|(of, _)| *of == dimension).map(|(_, name)| format!("`{name}`"));
            vec![format!("`{}`", dimension.name()), names.collect::<Vec<_>>().join(", ")]
        })
        .collect();
    table(&["Dimension", "Units"], &rows)
}
