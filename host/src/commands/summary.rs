//! The end of a run, as a person reads it and as a program does.

use crate::exit;
use cardcage_core::ledger::Totals;
use cardcage_plugin_api::manifest::Kind;
use cardcage_runtime::{Ended, Summary};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Duration;

/// The exit code that a run ends with: 0 only if no record was lost and the trail has its end.
pub(crate) fn exit_code(summary: &Summary, is_unaudited: bool) -> u8 {
    let clean = summary.balances() && !summary.any_failed() && summary.ended != Ended::DrainDeadline;
    let lost = summary.books.components.iter().filter(|row| row.account.failed > 0);
    let lost_by: Vec<Kind> = lost.map(|row| row.kind).collect();
    match lost_by[..] {
        [] if clean && !is_unaudited => 0,
        [] if clean => exit::IO,
        [_, ..] if clean && lost_by.iter().all(|kind| *kind == Kind::Sink) => exit::IO,
        _ => exit::SOFTWARE,
    }
}

/// For people: the books, then what they don't say. `unaudited`: why the end of the run is not in the trail.
pub(crate) fn render(summary: &Summary, unaudited: Option<&str>, took: Duration) -> String {
    let mut text = format!("\n{}", summary.books.render());
    for component in &summary.components {
        let name = &component.name;
        // Writing to a String cannot fail.
        if let Some(why) = &component.failed {
            let _ = writeln!(text, "failed for good: {name}: {why}");
        } else if component.failed_calls > 0 {
            let _ = writeln!(text, "failed calls: {name}: {}; restarted each time", component.failed_calls);
        }
        if component.unexplained > 0 {
            let _ =
                writeln!(text, "unexplained: {name}: its own numbers miss {} records", component.unexplained);
        }
        for metric in component.metrics.iter().filter(|metric| metric.violations > 0) {
            let _ =
                writeln!(text, "refused writes: {name}: {} to metric `{}`", metric.violations, metric.name);
        }
    }
    for row in summary.books.components.iter().filter(|row| row.account.failed > 0) {
        let _ = writeln!(
            text,
            "lost: {}: {} records are nowhere; a `dead_letter` has those of calls that fail, not of calls that never end",
            row.name, row.account.failed
        );
    }
    if summary.ended == Ended::DrainDeadline {
        text.push_str("the drain did not end in time; what is held above was not delivered\n");
    }
    if let Some(why) = unaudited {
        let _ = writeln!(text, "the audit trail lacks the end of this run: {why}");
    }
    // Writing to a String cannot fail.
    let _ = writeln!(text, "took {:.2} s", took.as_secs_f64());
    text
}

/// For programs.
pub(crate) fn json(summary: &Summary, unaudited: Option<&str>, code: u8, took: Duration) -> String {
    let ended = match summary.ended {
        Ended::Finished => "finished",
        Ended::Drained => "drained",
        Ended::DrainDeadline => "drain_deadline",
    };
    let totals: Totals = summary.books.totals();
    let components: Vec<Value> = summary
        .components
        .iter()
        .map(|component| {
            let metrics: Vec<Value> = component
                .metrics
                .iter()
                .map(|metric| {
                    json!({
                        "name": metric.name, "unit": metric.unit, "value": metric.value,
                        "violations": metric.violations,
                    })
                })
                .collect();
            json!({
                "name": component.name, "failed": component.failed, "failed_calls": component.failed_calls,
                "overdue_calls": component.overdue_calls, "unexplained": component.unexplained, "metrics": metrics,
            })
        })
        .collect();
    let document = json!({
        "ended": ended,
        "exit_code": code,
        "duration_seconds": took.as_secs_f64(),
        "balances": summary.balances(),
        "committed_epochs": summary.committed_epochs,
        "unaudited": unaudited,
        "totals": totals,
        "books": summary.books,
        "imbalances": summary.books.imbalances(),
        "components": components,
    });
    format!("{document:#}\n")
}
