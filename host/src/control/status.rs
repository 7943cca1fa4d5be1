//! What a pipeline is doing: health, states, rates, queues.

use super::rates::Rates;
use crate::logging::{self, Backlog};
use cardcage_runtime::{ComponentState, ComponentView, Health, Phase, View};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Duration;

/// A reader of the log who takes nothing for so long is not merely slow.
const STUCK_MIN: Duration = Duration::from_secs(1);

/// For programs.
pub(super) fn json(file: &str, view: &View, rates: &Rates) -> Value {
    let rates = rates.of(&view.books);
    let components: Vec<Value> =
        (0..view.components.len()).map(|index| component(view, rates.as_deref(), index)).collect();
    let edges = view.books.edges.iter().zip(&view.edges).map(|(row, edge)| {
        json!({
            "from": row.from, "output": row.output, "to": row.to, "queued": row.account.queued, "room": edge.room,
            "blocked_seconds": edge.blocked.as_secs_f64(),
        })
    });
    let edges: Vec<Value> = edges.collect();
    let dictionary = view.dictionary;
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "file": file,
        "process": std::process::id(),
        "state": phase(view.phase),
        "uptime_seconds": view.uptime.as_secs_f64(),
        "health": health_json(&Health::of(view)),
        "lanes": { "running": view.lanes_running, "all": view.lanes },
        "committed_epochs": view.committed_epochs,
        "audit": {
            "kept": view.trail.kept, "head": view.trail.head.to_string(), "entries": view.trail.entries,
            "blocks": view.trail.blocks, "set_aside": view.trail.set_aside, "stuck": view.trail.stuck,
        },
        "log": logging::backlog().map(|log| json!({
            "waiting_lines": log.waiting, "lost_lines": log.lost, "stuck_seconds": log.stuck.as_secs_f64(),
        })),
        "dictionary": {
            "sensors": dictionary.sensors, "sensors_max": dictionary.sensors_max,
            "units": dictionary.units, "units_max": dictionary.units_max,
        },
        "components": components,
        "edges": edges,
    })
}

fn component(view: &View, rates: Option<&[(f64, f64)]>, index: usize) -> Value {
    let (of, account) = (&view.components[index], &view.books.components[index].account);
    let why = match &of.state {
        ComponentState::Failed(why) => Some(why.clone()),
        ComponentState::Hung { call, running } => {
            Some(format!("`{call}` has not returned for {}", how_long(*running)))
        }
        _ => None,
    };
    let rate = rates.map(|rates| rates[index]);
    json!({
        "name": of.name, "kind": of.kind.name(), "plugin": of.plugin, "state": of.state.word(), "why": why,
        "in": account.input, "out": account.output, "held": account.held,
        "in_per_second": rate.map(|rate| rate.0), "out_per_second": rate.map(|rate| rate.1),
        "failed_calls": of.failed_calls, "overdue_calls": of.overdue_calls, "restarts": of.restarts,
        "violations": of.violations, "unexplained": of.unexplained,
    })
}

/// Of `/health`, and a part of other answers.
pub(super) fn health_json(health: &Health) -> Value {
    let reasons: Vec<Value> = health
        .reasons
        .iter()
        .map(|reason| {
            json!({
                "health": reason.ruling.to_string(), "component": reason.component, "what": reason.what,
                "message": reason.message,
            })
        })
        .collect();
    json!({ "health": health.ruling.to_string(), "live": health.live, "ready": health.ready, "reasons": reasons })
}

/// For people.
pub(super) fn text(file: &str, view: &View, rates: &Rates) -> String {
    let health = Health::of(view);
    let mut text =
        format!("{file}: {} for {}, {}\n", phase(view.phase), how_long(view.uptime), health.ruling);
    for reason in &health.reasons {
        let whose = reason.component.as_ref().map_or_else(String::new, |name| format!("{name}: "));
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {}: {whose}{}", reason.ruling, reason.message);
    }
    text.push('\n');
    text.push_str(&columns(&rows(view, rates.of(&view.books).as_deref())));
    let dictionary = view.dictionary;
    let _ = writeln!(
        text,
        "\nlanes running: {} of {}; epochs committed: {}; dictionary: {} of {} sensors, {} of {} units",
        view.lanes_running,
        view.lanes,
        view.committed_epochs,
        dictionary.sensors,
        dictionary.sensors_max,
        dictionary.units,
        dictionary.units_max
    );
    let trail = &view.trail;
    if trail.kept {
        let _ = writeln!(
            text,
            "audit trail: head {}, {} entries in {} blocks of this run",
            trail.head, trail.entries, trail.blocks
        );
    }
    if let Some(log) = logging::backlog() {
        text.push_str(&unread(log));
    }
    text
}

/// A line about a log that is not read; nothing if it is.
fn unread(log: Backlog) -> String {
    let stuck = (log.stuck >= STUCK_MIN)
        .then(|| format!("nobody has read it for {}, {} lines wait", how_long(log.stuck), log.waiting));
    let lost = (log.lost > 0).then(|| format!("{} lines were lost, since nobody read it", log.lost));
    let said: Vec<String> = stuck.into_iter().chain(lost).collect();
    if said.is_empty() { String::new() } else { format!("log: {}\n", said.join("; ")) }
}

type Column = (&'static str, fn(&ComponentView) -> u64);

/// Columns that are there only when something went wrong.
const TROUBLES: [Column; 4] = [
    ("failed calls", |component| component.failed_calls),
    ("restarts", |component| component.restarts),
    ("violations", |component| component.violations),
    ("unexplained", |component| component.unexplained),
];

/// The table: a head, and a row for each component. Columns that have nothing to say are left out.
fn rows(view: &View, rates: Option<&[(f64, f64)]>) -> Vec<Vec<String>> {
    let any = |count: fn(&ComponentView) -> u64| view.components.iter().any(|component| count(component) > 0);
    let shown: Vec<_> = TROUBLES.into_iter().filter(|(_, count)| any(*count)).collect();
    let mut head: Vec<String> =
        ["component", "kind", "plugin", "state", "in/s", "out/s", "held", "queue"].map(str::to_owned).into();
    head.extend(shown.iter().map(|(title, _)| (*title).to_owned()));
    let mut rows = vec![head];
    for (index, component) in view.components.iter().enumerate() {
        let shown_rate = |which: fn(&(f64, f64)) -> f64| {
            rates.map_or_else(|| "-".to_owned(), |rates| rounded(which(&rates[index])))
        };
        let mut row = vec![
            component.name.clone(),
            component.kind.name().to_owned(),
            component.plugin.clone(),
            component.state.word().to_owned(),
            shown_rate(|both| both.0),
            shown_rate(|both| both.1),
            view.books.components[index].account.held.to_string(),
            queue(view, &component.name),
        ];
        row.extend(shown.iter().map(|(_, count)| count(component).to_string()));
        rows.push(row);
    }
    rows
}

/// How full the fullest queue in front of a component is.
fn queue(view: &View, name: &str) -> String {
    let into = view.books.edges.iter().zip(&view.edges).filter(|(row, edge)| row.to == name && edge.room > 0);
    let fullest = into.map(|(row, edge)| row.account.queued.saturating_mul(100) / edge.room).max();
    fullest.map_or_else(|| "-".to_owned(), |percent| format!("{percent} %"))
}

/// Columns: text to the left, numbers (the fifth and those behind it) to the right.
fn columns(rows: &[Vec<String>]) -> String {
    const LEFT: usize = 4;
    let count = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> =
        (0..count).map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(at, (cell, width))| {
            if at < LEFT { format!("{cell:width$}") } else { format!("{cell:>width$}") }
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn rounded(rate: f64) -> String {
    if rate > 0.0 && rate < 10.0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Running => "running",
        Phase::Draining => "draining",
        Phase::Ended => "ended",
    }
}

/// `3 min 12 s`: the two largest parts.
pub(super) fn how_long(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(parts.len() - 1);
    let shown = parts[first..].iter().take(2).map(|(count, unit)| format!("{count} {unit}"));
    shown.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_is_read_is_not_spoken_of() {
        let log = |lost, seconds| Backlog { waiting: 7, lost, stuck: Duration::from_secs(seconds) };
        assert_eq!(unread(log(0, 0)), "");
        assert_eq!(unread(log(0, 61)), "log: nobody has read it for 1 min 1 s, 7 lines wait\n");
        assert_eq!(unread(log(3, 0)), "log: 3 lines were lost, since nobody read it\n");
    }

    #[test]
    fn a_duration_shows_its_two_largest_parts() {
        let cases =
            [(0, "0 s"), (59, "59 s"), (192, "3 min 12 s"), (3_600, "1 h 0 min"), (90_000, "1 d 1 h")];
        for (seconds, expected) in cases {
            assert_eq!(how_long(Duration::from_secs(seconds)), expected);
        }
    }
}
