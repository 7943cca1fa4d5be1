//! `/metrics`: the pipeline's counts as Prometheus and its kin read them.
//!
//! Names and units follow Prometheus' conventions; every label's values are bounded by what the pipeline's config and its
//! plugins' manifests name: components, outputs, reasons, calls. Sensors are no label.

mod exposition;
mod plugins;
mod values;

pub(super) use exposition::Form;
pub(super) use values::json;

use crate::logging;
use cardcage_core::ledger::{Account, EdgeAccount};
use cardcage_plugin_api::manifest::MetricKind;
use cardcage_runtime::{BOUNDS_NS, ComponentState, ComponentView, EdgeView, Health, Ruling, View};
use exposition::{Exposition, Label, Type};
use std::time::Duration;

/// A family of one number for each component: name, type, help, and the number.
type OfComponent = (&'static str, Type, &'static str, fn(&ComponentView, &Account) -> u64);

const COMPONENTS: [OfComponent; 11] = [
    ("cardcage_component_in_records", Type::Counter, "Records that came in.", |_, account| account.input),
    (
        "cardcage_component_out_records",
        Type::Counter,
        "Records that went on, or were delivered.",
        |_, account| account.output,
    ),
    (
        "cardcage_component_created_records",
        Type::Counter,
        "Records that the component made.",
        |_, account| account.created,
    ),
    (
        "cardcage_component_failed_records",
        Type::Counter,
        "Records lost with a call that failed.",
        |_, account| account.failed,
    ),
    (
        "cardcage_component_dead_lettered_records",
        Type::Counter,
        "Records of failed calls that went to the dead letter.",
        |_, account| account.dead_lettered,
    ),
    (
        "cardcage_component_unexplained_records",
        Type::Counter,
        "Records that the component's own numbers miss: a bug of its plugin.",
        |component, _| component.unexplained,
    ),
    ("cardcage_component_held_records", Type::Gauge, "Records that the component holds.", |_, account| {
        account.held
    }),
    ("cardcage_component_failed_calls", Type::Counter, "Calls that failed or panicked.", |component, _| {
        component.failed_calls
    }),
    (
        "cardcage_component_overdue_calls",
        Type::Counter,
        "Calls that outlasted the deadline.",
        |component, _| component.overdue_calls,
    ),
    ("cardcage_component_restarts", Type::Counter, "Restarts after a failure.", |component, _| {
        component.restarts
    }),
    (
        "cardcage_component_metric_violations",
        Type::Counter,
        "Writes to the component's metrics that broke a declared rule.",
        |component, _| component.violations,
    ),
];

/// As for components, for each edge.
type OfEdge = (&'static str, Type, &'static str, fn(&EdgeView, &EdgeAccount) -> u64);

const EDGES: [OfEdge; 5] = [
    ("cardcage_edge_sent_records", Type::Counter, "Records that the producer gave.", |_, account| {
        account.sent
    }),
    ("cardcage_edge_received_records", Type::Counter, "Records that the consumer took.", |_, account| {
        account.received
    }),
    (
        "cardcage_edge_discarded_records",
        Type::Counter,
        "Records given up, the consumer being gone.",
        |_, account| account.discarded,
    ),
    ("cardcage_edge_queued_records", Type::Gauge, "Records that wait.", |_, account| account.queued),
    (
        "cardcage_edge_room_records",
        Type::Gauge,
        "The most records that may wait; 0 inside a lane.",
        |edge, _| edge.room,
    ),
];

/// All of it as text.
pub(super) fn text(view: &View, form: Form) -> String {
    let mut text = Exposition::new(form);
    process(view, &mut text);
    for (name, of, help, count) in COMPONENTS {
        text.family(name, of, unit_of(name), help);
        for (component, row) in view.components.iter().zip(&view.books.components) {
            text.count(&labels(component), count(component, &row.account));
        }
    }
    reasons(view, &mut text);
    states(view, &mut text);
    latencies(view, &mut text);
    edges(view, &mut text);
    trail(view, &mut text);
    plugins::write(view, &mut text);
    text.finish()
}

fn unit_of(name: &str) -> &'static str {
    if name.ends_with("_records") { "records" } else { "" }
}

fn labels(component: &ComponentView) -> [Label<'_>; 2] {
    [("component", &component.name), ("kind", component.kind.name())]
}

fn process(view: &View, text: &mut Exposition) {
    text.family("cardcage_build_info", Type::Gauge, "", "The program's version; the value is always 1.");
    text.count(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    text.family("cardcage_uptime_seconds", Type::Gauge, "seconds", "Since the pipeline was built.");
    text.sample(&[], view.uptime.as_secs_f64());
    let health = Health::of(view);
    text.family(
        "cardcage_healthy",
        Type::Gauge,
        "",
        "1 if nothing is wrong, 0 if something deserves a look.",
    );
    text.count(&[], u64::from(health.ruling == Ruling::Healthy));
    text.family(
        "cardcage_ready",
        Type::Gauge,
        "",
        "1 if records flow through every lane, as /health/ready says.",
    );
    text.count(&[], u64::from(health.ready));
    text.family("cardcage_lanes_running", Type::Gauge, "", "Lanes that run.");
    text.count(&[], view.lanes_running as u64);
    text.family("cardcage_committed_epochs", Type::Counter, "", "Epochs that every sink committed.");
    text.count(&[], view.committed_epochs);
    if let Some(log) = logging::backlog() {
        text.family(
            "cardcage_log_lost_lines",
            Type::Counter,
            "lines",
            "Lines of the log for which there was no room, since nobody read it.",
        );
        text.count(&[], log.lost);
    }
    let dictionary = view.dictionary;
    for (name, help, entries, limit) in [
        (
            "cardcage_dictionary_sensors",
            "Sensors in the dictionary.",
            dictionary.sensors,
            dictionary.sensors_max,
        ),
        ("cardcage_dictionary_units", "Units in the dictionary.", dictionary.units, dictionary.units_max),
    ] {
        text.family(name, Type::Gauge, "", help);
        text.count(&[], entries as u64);
        text.family(
            &format!("{name}_limit"),
            Type::Gauge,
            "",
            "The most that the dictionary takes of these.",
        );
        text.count(&[], limit as u64);
    }
}

/// What the host counts of its audit trail; the rest of its own metrics is above.
fn trail(view: &View, text: &mut Exposition) {
    for reading in view.host_metrics.iter().filter(|reading| reading.name.starts_with("cardcage_audit_")) {
        let name = reading.name.strip_suffix("_total").unwrap_or(&reading.name);
        let of = if reading.kind == MetricKind::Counter { Type::Counter } else { Type::Gauge };
        let unit = if name.ends_with("_bytes") { "bytes" } else { "" };
        text.family(name, of, unit, &reading.help);
        text.sample(&[], reading.value);
    }
}

/// A family of one number for each component and reason: name, help, and the numbers.
type ByReason = (&'static str, &'static str, fn(&Account) -> &[(String, u64)]);

const SIDES: [ByReason; 2] = [
    ("cardcage_component_dropped_records", "Records that were unwanted, by reason.", |account| {
        &account.dropped
    }),
    ("cardcage_component_rejected_records", "Records that were unfit, by reason.", |account| {
        &account.rejected
    }),
];

fn reasons(view: &View, text: &mut Exposition) {
    for (name, help, side) in SIDES {
        text.family(name, Type::Counter, "records", help);
        for (component, row) in view.components.iter().zip(&view.books.components) {
            for (reason, count) in side(&row.account) {
                let [component, kind] = labels(component);
                text.count(&[component, kind, ("reason", reason)], *count);
            }
        }
    }
}

fn states(view: &View, text: &mut Exposition) {
    let name = "cardcage_component_state";
    text.family(name, Type::Gauge, "", "1 for the state that the component is in, 0 for the others.");
    for component in &view.components {
        for state in ["running", "restarting", "finished", "stopped", "hung", "failed"] {
            let [name, kind] = labels(component);
            text.count(&[name, kind, ("state", state)], u64::from(component.state.word() == state));
        }
    }
    text.family(
        "cardcage_component_hung_seconds",
        Type::Gauge,
        "seconds",
        "How long a call past its deadline has run; 0 if there is none.",
    );
    for component in &view.components {
        let hung = match &component.state {
            ComponentState::Hung { running, .. } => *running,
            _ => Duration::ZERO,
        };
        text.sample(&labels(component), hung.as_secs_f64());
    }
}

fn latencies(view: &View, text: &mut Exposition) {
    let bounds = BOUNDS_NS.map(seconds);
    text.family(
        "cardcage_call_duration_seconds",
        Type::Histogram,
        "seconds",
        "How long calls of plugins took; waiting for data is part of `fill`.",
    );
    for component in &view.components {
        for times in &component.calls {
            let [name, kind] = labels(component);
            text.histogram(
                &[name, kind, ("call", times.call)],
                &bounds,
                &times.buckets,
                seconds(times.sum_ns),
            );
        }
    }
}

/// Nanoseconds as seconds, with the decimals that they are written with.
#[expect(clippy::cast_precision_loss, reason = "a sum of durations is rounded for showing")]
fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

fn edges(view: &View, text: &mut Exposition) {
    let rows: Vec<_> = view
        .books
        .edges
        .iter()
        .zip(&view.edges)
        .map(|(row, edge)| (row, row.output.to_string(), edge))
        .collect();
    for (name, of, help, count) in EDGES {
        text.family(name, of, "records", help);
        for (row, output, edge) in &rows {
            let labels = [("from", row.from.as_str()), ("output", output), ("to", &row.to)];
            text.count(&labels, count(edge, &row.account));
        }
    }
    let name = "cardcage_edge_blocked_seconds";
    text.family(name, Type::Counter, "seconds", "How long the producer waited for room.");
    for (row, output, edge) in &rows {
        let labels = [("from", row.from.as_str()), ("output", output), ("to", &row.to)];
        text.sample(&labels, edge.blocked.as_secs_f64());
    }
}
