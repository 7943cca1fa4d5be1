//! The balance sheet of a running pipeline.

use super::status::{health_json, how_long};
use cardcage_core::ledger::sheet;
use cardcage_runtime::{Health, View};
use serde_json::{Map, Value, json};

/// For people.
pub(super) fn text(file: &str, view: &View) -> String {
    let moment = if view.of_one_moment { "" } else { "; too much moved to count all of it at one moment" };
    let head = format!("{file}: for {}{moment}", how_long(view.uptime));
    format!("{head}\n\n{}", sheet(&view.books, view.of_one_moment, &view.claims))
}

/// For programs.
pub(super) fn json(file: &str, view: &View) -> Value {
    let unexplained: Map<String, Value> = view
        .components
        .iter()
        .filter(|component| component.unexplained > 0)
        .map(|component| (component.name.clone(), component.unexplained.into()))
        .collect();
    let imbalances = view.books.imbalances();
    json!({
        "file": file,
        "uptime_seconds": view.uptime.as_secs_f64(),
        "of_one_moment": view.of_one_moment,
        "balances": view.of_one_moment.then_some(imbalances.is_empty()),
        "totals": view.books.totals(),
        "books": view.books,
        "imbalances": if view.of_one_moment { json!(imbalances) } else { Value::Null },
        "unexplained": unexplained,
        "claims": view.claims,
        "health": health_json(&Health::of(view)),
    })
}
