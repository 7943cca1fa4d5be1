//! Entries and notes in words, for people, and as JSON, for scripts.

use super::when;
use cardcage_core::audit::{Anchor, Declaration, Entry, Note, Number, Value, What, Writer};
use serde_json::{Value as Json, json};

/// A cell's name: `plausible.out_of_range`, and which bucket it is of a histogram.
pub(super) fn name_of(anchor: &Anchor, cell: u32) -> String {
    anchor.declaration(cell).map_or_else(
        || format!("cell {cell}"),
        |declaration| match declaration.bucket(cell) {
            Some(bound) => format!("{} (up to {bound})", declaration.name()),
            None => declaration.name(),
        },
    )
}

/// `thread lane-host, generation 0`.
pub(super) fn by(writer: Option<&Writer>, number: u32) -> String {
    writer.map_or_else(
        || format!("writer {number}"),
        |writer| format!("thread {}, generation {}", writer.thread, writer.generation),
    )
}

/// How much a value changed: `+5`, `-2.5`.
pub(super) fn change(number: Number, old: u64, new: u64) -> String {
    match (number.value(old), number.value(new)) {
        (Value::Integer(old), Value::Integer(new)) if new >= old => format!("+{}", new - old),
        (Value::Integer(old), Value::Integer(new)) => format!("-{}", old - new),
        (old, new) => {
            let by = new.as_f64() - old.as_f64();
            if by.is_sign_negative() { format!("{by}") } else { format!("+{by}") }
        }
    }
}

/// `1 write`, `2 writes`.
pub(super) fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// An entry in one line.
pub(super) fn entry(anchor: &Anchor, entry: &Entry) -> String {
    let number = anchor.declaration(entry.cell).map_or(Number::Float, |declaration| declaration.number);
    let (time, name) = (when::show(entry.time_ns), name_of(anchor, entry.cell));
    let by = by(anchor.writer(entry.cell, entry.writer), entry.writer);
    let (old, new) = (number.value(entry.old), number.value(entry.new));
    let count = entry.count;
    match entry.what {
        What::Write => {
            let change = change(number, entry.old, entry.new);
            let merged = if count == 1 { String::new() } else { format!(" in {count} writes") };
            format!("{time}  {name}  {old} -> {new}  {change}{merged}, by {by}")
        }
        What::Violation { rule, attempted } => {
            let attempted = number.value(attempted);
            let times = if count == 1 { String::new() } else { format!(", the last of {count} such writes") };
            let broken = rule.broken();
            format!("{time}  {name}  {old} stays  VIOLATION: {attempted} {broken}{times}, by {by}")
        }
    }
}

/// An entry as an object.
pub(super) fn entry_json(anchor: &Anchor, entry: &Entry, block: u64) -> Json {
    let declaration = anchor.declaration(entry.cell);
    let number = declaration.map_or(Number::Float, |declaration| declaration.number);
    let writer = anchor.writer(entry.cell, entry.writer);
    let value = |bits: u64| value_json(number.value(bits));
    let mut object = json!({
        "time": when::show(entry.time_ns),
        "time_ns": entry.time_ns,
        "what": "write",
        "component": declaration.map(|declaration| declaration.component.as_str()),
        "metric": declaration.map(|declaration| declaration.metric.as_str()),
        "writer": entry.writer,
        "thread": writer.map(|writer| writer.thread.as_str()),
        "generation": writer.map(|writer| writer.generation),
        "old": value(entry.old),
        "new": value(entry.new),
        "count": entry.count,
        "block": block,
    });
    if let Some(bound) = declaration.and_then(|declaration| declaration.bucket(entry.cell)) {
        object["bucket"] = value_json(Value::Float(bound));
    }
    if let What::Violation { rule, attempted } = entry.what {
        object["what"] = json!("violation");
        object["rule"] = json!(rule);
        object["attempted"] = value(attempted);
    }
    object
}

/// A number where JSON has one, else its name: `"NaN"`, `"inf"`.
pub(super) fn value_json(value: Value) -> Json {
    match value {
        Value::Float(float) if !float.is_finite() => json!(float.to_string()),
        Value::Float(float) => json!(float),
        Value::Integer(integer) => json!(integer),
    }
}

/// A note in words; `None` for the ones that only machines need.
pub(super) fn note(note: &Note) -> Option<String> {
    Some(match note {
        Note::Began { version, detail } => {
            format!("a run of cardcage {version} begins, all values at 0; kept is: {detail}")
        }
        Note::Ended => "the run ends in order".to_owned(),
        Note::Removed { first_kept } => format!("retention removes the blocks before {first_kept}"),
        Note::SetAside { files, why } => {
            format!("a damaged part of the trail was set aside as {files} ({why})")
        }
        Note::Undeclared { component, metric, count } => {
            let writes = counted(*count, "write");
            format!("VIOLATION: {writes} of {component} to `{metric}`, which it does not declare")
        }
        Note::Remark { text } => text.clone(),
        Note::Opened { .. } => return None,
    })
}

/// A note as an object.
pub(super) fn note_json(time_ns: i64, note: &Note, block: u64) -> Option<Json> {
    let mut object = match note {
        Note::Began { version, detail } => json!({ "what": "began", "version": version, "detail": detail }),
        Note::Ended => json!({ "what": "ended" }),
        Note::Removed { first_kept } => json!({ "what": "removed", "first_kept": first_kept }),
        Note::SetAside { files, why } => json!({ "what": "set-aside", "files": files, "why": why }),
        Note::Undeclared { component, metric, count } => {
            json!({ "what": "undeclared", "component": component, "metric": metric, "count": count })
        }
        Note::Remark { text } => json!({ "what": "remark", "text": text }),
        Note::Opened { .. } => return None,
    };
    object["time"] = json!(when::show(time_ns));
    object["time_ns"] = json!(time_ns);
    object["block"] = json!(block);
    Some(object)
}

/// What a metric is, in one line: `counter in 1; it never falls`.
pub(super) fn described(declaration: &Declaration) -> String {
    use cardcage_plugin_api::manifest::MetricKind;
    let kind = match declaration.kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
        MetricKind::Histogram => "histogram",
    };
    let unit = match declaration.unit.as_str() {
        "" | "1" => String::new(),
        unit => format!(" in {unit}"),
    };
    let rules = &declaration.rules;
    let limits = [("at least", rules.min), ("at most", rules.max), ("steps of at most", rules.largest_step)];
    let limits = limits.into_iter().filter_map(|(what, limit)| Some(format!("{what} {}", limit?)));
    let falls = rules.monotonic.then(|| "never falls".to_owned());
    let rules: Vec<String> = falls.into_iter().chain(limits).collect();
    if rules.is_empty() {
        format!("{kind}{unit}")
    } else {
        format!("{kind}{unit}; rules: {}", rules.join(", "))
    }
}
