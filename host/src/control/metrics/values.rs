//! The same metrics as JSON: each as its component declared it, with what was written.

use cardcage_runtime::{MetricReading, View};
use serde_json::{Value, json};

/// Those of all components, and the host's own.
pub(in crate::control) fn json(view: &View) -> Value {
    let components: Vec<Value> = view
        .components
        .iter()
        .map(|component| json!({ "name": component.name, "metrics": readings(&component.metrics) }))
        .collect();
    json!({ "components": components, "host": readings(&view.host_metrics) })
}

fn readings(readings: &[MetricReading]) -> Vec<Value> {
    let of = |reading: &MetricReading| {
        let spread = reading.distribution.as_ref();
        json!({
            "name": reading.name, "about": (!reading.component.is_empty()).then_some(&reading.component),
            "kind": reading.kind.name(), "unit": reading.unit, "help": reading.help, "value": reading.value,
            "writes": reading.writes, "violations": reading.violations,
            "bounds": spread.map(|spread| &spread.bounds), "counts": spread.map(|spread| &spread.counts),
        })
    };
    readings.iter().map(of).collect()
}
