//! `cardcage audit explain COMPONENT.METRIC`: who changed it, when, by how much, and whether that can be believed.

use super::aside::SetAside;
use super::folder::{News, Trail};
use super::history::{History, Run, Share, Who};
use super::words::{counted, described, value_json};
use super::{AuditError, ExplainArguments, code_of, verify, when, words};
use crate::commands::plugin::Format;
use crate::report::answer;
use cardcage_core::audit::{Entry, Report, Value, Verifier, file_name};
use cardcage_core::naming::nearest;
use cardcage_plugin_api::manifest::MetricKind;
use serde_json::{Value as Json, json};
use std::fmt::Write as _;

/// How many names are listed where the one that was asked for is unknown.
const NAMES_LISTED: usize = 20;

/// Tells the story of a metric.
pub(super) fn run(arguments: &ExplainArguments) -> Result<u8, AuditError> {
    let folder = arguments.of.folder()?;
    let begin = || (Verifier::new(&arguments.head), History::new(&arguments.metric));
    let (trail, (verifier, mut history)) =
        Trail::walk(&folder, begin, |(verifier, history), news| match news {
            News::File(number) => verifier.file(&file_name(number), number),
            News::Step(step) => {
                verifier.step_with(step, &mut |anchor, record, _| history.record(anchor, record));
            }
        })?;
    let report = verifier.finish();
    if !history.finish() {
        return Err(AuditError::UnknownMetric(unknown(&arguments.metric, &history)));
    }
    let aside = SetAside::look(&trail, &report)?;
    match arguments.format {
        Format::Text => answer(&text(&arguments.metric, &history, &report, &aside)),
        Format::Json => answer(&format!("{}\n", json(&arguments.metric, &history, &report))),
    }
    Ok(code_of(&report))
}

fn unknown(metric: &str, history: &History) -> String {
    let names = history.names.iter().map(String::as_str);
    let help = match nearest(metric, names.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if history.names.is_empty() => "it has none at all".to_owned(),
        None => {
            let some: Vec<&str> = names.take(NAMES_LISTED).collect();
            let more = history.names.len().saturating_sub(NAMES_LISTED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("it has {}{more}", some.join(", "))
        }
    };
    format!("the trail has no metric `{metric}`; {help}")
}

fn text(metric: &str, history: &History, report: &Report, aside: &SetAside) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    if let Some(declaration) = history.runs.back().and_then(|run| run.declaration.as_ref()) {
        let _ = writeln!(out, "{metric}: {}", described(declaration));
        if !declaration.help.is_empty() {
            let _ = writeln!(out, "{}", declaration.help);
        }
    }
    if history.runs_left_out > 0 {
        let _ = writeln!(out, "\nonly the latest {} runs are told of", history.runs.len());
    }
    for (index, run) in history.runs.iter().enumerate() {
        let is_last = index + 1 == history.runs.len();
        let _ = write!(out, "\n{}", run_text(run, is_last, report));
    }
    out.push('\n');
    if report.is_damaged() {
        out.push_str(&verify::damage(report, aside));
        out.push_str("so this is not the whole truth; `cardcage audit verify` says what still holds\n");
    } else {
        out.push_str(&verify::verdict(report));
    }
    out
}

fn run_text(run: &Run, is_last: bool, report: &Report) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}", title(run, is_last, report));
    let _ = writeln!(out, "  {}", standing(run));
    let rows: Vec<[String; 5]> = rows(run);
    if !rows.is_empty() {
        let head = ["by", "by how much", "writes", "changes", "first and last change"].map(str::to_owned);
        let _ = write!(out, "{}", table(&[&[head], &rows[..]].concat()));
    }
    if let Some((entry, who)) = &run.largest {
        let by = words::change(run.number(), entry.old, entry.new);
        let writes = counted(entry.count, "write");
        let _ = writeln!(
            out,
            "  largest change: {by} in {writes} at {}, by {}",
            when::show(entry.time_ns),
            name(who)
        );
    }
    if let Some((entry, rule, attempted, who)) = &run.refused {
        let attempted = run.number().value(*attempted);
        let (time, by) = (when::show(entry.time_ns), name(who));
        let _ = writeln!(out, "  last refused: {attempted} {} at {time}, by {by}", rule.broken());
    }
    out
}

fn title(run: &Run, is_last: bool, report: &Report) -> String {
    let removed = if report.findings.is_empty() {
        "a run whose beginning retention has removed"
    } else {
        "a run whose beginning is not there"
    };
    let began = run.began.as_ref().map_or_else(
        || removed.to_owned(),
        |(time_ns, version)| format!("run of cardcage {version} that began at {}", when::show(*time_ns)),
    );
    match (run.ended_ns, is_last) {
        (Some(time_ns), _) => format!("{began}; it ended in order at {}", when::show(time_ns)),
        (None, true) => format!("{began}; it goes on, or was ended without a word"),
        (None, false) => format!("{began}; it was ended without a word"),
    }
}

/// The value, and what it is made of.
fn standing(run: &Run) -> String {
    let kind = run.declaration.as_ref().map(|declaration| declaration.kind);
    let shares = || run.shares.iter().map(|(_, share)| share).chain([&run.before]);
    let writes = shares().fold(0u64, |sum, share| sum.saturating_add(share.writes));
    let refused = shares().fold(0u64, |sum, share| sum.saturating_add(share.refused));
    let changes = shares().fold(0u64, |sum, share| sum.saturating_add(share.changes));
    let value = match kind {
        Some(MetricKind::Gauge) => {
            let values = run.parts.values().map(|part| run.number().value(part.value).to_string());
            let values: Vec<String> = values.collect();
            if values.is_empty() { "0".to_owned() } else { values.join(" and ") }
        }
        Some(MetricKind::Histogram) => format!("{writes} observations with a sum of {}", run.sum()),
        Some(MetricKind::Counter) | None => run.sum().to_string(),
    };
    let refused = match refused {
        0 => "none was refused".to_owned(),
        several => format!("{several} refused"),
    };
    let (told, writes) = (counted(changes, "change"), counted(writes, "write"));
    let told = match run.before.writes {
        0 => format!("told in {told}"),
        before => format!("{before} of them before what is kept and the others told in {told}"),
    };
    format!(
        "it stands at {value}, after {writes}{} {told}; {refused}",
        if run.before.writes > 0 { "," } else { "" }
    )
}

fn rows(run: &Run) -> Vec<[String; 5]> {
    let before = Some((None, &run.before)).filter(|(_, share)| share.writes + share.refused > 0);
    let shares = run.shares.iter().map(|(who, share)| (Some(who), share));
    before.into_iter().chain(shares).map(|(who, share)| row(who, share)).collect()
}

fn row(who: Option<&Who>, share: &Share) -> [String; 5] {
    let by = if share.by.is_sign_negative() { format!("{}", share.by) } else { format!("+{}", share.by) };
    let span = share.time_ns.map_or_else(
        || "-".to_owned(),
        |(from, to)| {
            if from == to { when::show(from) } else { format!("{} to {}", when::show(from), when::show(to)) }
        },
    );
    let changes = if who.is_some() { share.changes.to_string() } else { "-".to_owned() };
    [who.map_or_else(|| "before what is kept".to_owned(), name), by, share.writes.to_string(), changes, span]
}

/// `thread lane-host, generation 0`.
fn name(who: &Who) -> String {
    who.by.as_ref().map_or_else(
        || format!("writer {}", who.writer),
        |(generation, thread)| format!("thread {thread}, generation {generation}"),
    )
}

/// Columns of one width; the numbers in the middle stand to the right.
fn table(rows: &[[String; 5]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let [first, second, third, fourth] = [0, 1, 2, 3].map(width);
    rows.iter().fold(String::new(), |mut out, [by, change, writes, changes, span]| {
        let _ =
            writeln!(out, "  {by:first$}  {change:>second$}  {writes:>third$}  {changes:>fourth$}  {span}");
        out
    })
}

fn json(metric: &str, history: &History, report: &Report) -> Json {
    let declaration = history.runs.back().and_then(|run| run.declaration.as_ref());
    json!({
        "metric": metric,
        "kind": declaration.map(|declaration| declaration.kind),
        "unit": declaration.map(|declaration| declaration.unit.as_str()),
        "help": declaration.map(|declaration| declaration.help.as_str()),
        "runs_left_out": history.runs_left_out,
        "runs": history.runs.iter().map(run_json).collect::<Vec<_>>(),
        "damaged": report.is_damaged(),
        "proven": report.is_proven(),
        "intact_to": report.seen.last.filter(|_| !report.is_damaged()).map(|last| last.block),
    })
}

fn run_json(run: &Run) -> Json {
    let number = run.number();
    let value = |bits: u64| value_json(number.value(bits));
    let who = |who: &Who| {
        json!({
            "writer": who.writer,
            "generation": who.by.as_ref().map(|(generation, _)| generation),
            "thread": who.by.as_ref().map(|(_, thread)| thread),
        })
    };
    let share = |share: &Share| {
        json!({
            "by": value_json(Value::Float(share.by)),
            "writes": share.writes,
            "changes": share.changes,
            "refused": share.refused,
            "first": share.time_ns.map(|(from, _)| when::show(from)),
            "last": share.time_ns.map(|(_, to)| when::show(to)),
        })
    };
    let shares = run.shares.iter().map(|(by, done)| {
        let mut object = share(done);
        object["who"] = who(by);
        object
    });
    let changed = |entry: &Entry| json!({ "time": when::show(entry.time_ns), "old": value(entry.old), "new": value(entry.new), "count": entry.count });
    json!({
        "began": run.began.as_ref().map(|(time_ns, _)| when::show(*time_ns)),
        "version": run.began.as_ref().map(|(_, version)| version),
        "ended": run.ended_ns.map(when::show),
        "value": value_json(run.sum()),
        "parts": run.parts.values().map(|part| value(part.value)).collect::<Vec<_>>(),
        "before": share(&run.before),
        "shares": shares.collect::<Vec<_>>(),
        "largest": run.largest.as_ref().map(|(entry, by)| {
            let mut object = changed(entry);
            object["who"] = who(by);
            object
        }),
        "last_refused": run.refused.as_ref().map(|(entry, rule, attempted, by)| {
            let mut object = changed(entry);
            object["rule"] = json!(rule);
            object["attempted"] = value(*attempted);
            object["who"] = who(by);
            object
        }),
    })
}
