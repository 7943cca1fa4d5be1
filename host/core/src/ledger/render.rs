//! The books as a table for people.

use super::{Books, ComponentRow};
use std::fmt::Write as _;

pub(super) fn books(books: &Books) -> String {
    let mut text = table(books);
    text.push_str(&reasons(books));
    text.push_str(&last_line(books));
    text
}

type Column = (&'static str, fn(&ComponentRow) -> u64);

/// Shown always, or only where any row has something in it.
const COLUMNS: [(Column, bool); 9] = [
    (("carried", |row| row.account.carried), false),
    (("in", |row| row.account.input), true),
    (("created", |row| row.account.created), false),
    (("out", |row| row.account.output), true),
    (("dropped", |row| row.account.dropped_total()), true),
    (("rejected", |row| row.account.rejected_total()), true),
    (("failed", |row| row.account.failed), true),
    (("dead-lettered", |row| row.account.dead_lettered), false),
    (("held", |row| row.account.held), true),
];

pub(super) fn table(books: &Books) -> String {
    let rows = &books.components;
    let columns: Vec<Column> = COLUMNS
        .into_iter()
        .filter(|((_, count), always)| *always || rows.iter().any(|row| count(row) > 0))
        .map(|(column, _)| column)
        .collect();
    let name_width = widest(rows.iter().map(|row| row.name.chars().count()), "component");
    let mut head = format!("{:name_width$}  {:6}", "component", "kind");
    let mut lines: Vec<String> =
        rows.iter().map(|row| format!("{:name_width$}  {:6}", row.name, row.kind.name())).collect();
    for (title, count) in columns {
        let cells: Vec<String> = rows.iter().map(|row| grouped(i128::from(count(row)))).collect();
        let width = widest(cells.iter().map(String::len), title);
        // Writing to a String cannot fail.
        let _ = write!(head, "  {title:>width$}");
        for (line, cell) in lines.iter_mut().zip(cells) {
            let _ = write!(line, "  {cell:>width$}");
        }
    }
    lines.insert(0, head);
    lines.iter().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

pub(super) fn widest(widths: impl Iterator<Item = usize>, title: &str) -> usize {
    widths.max().unwrap_or(0).max(title.len())
}

fn reasons(books: &Books) -> String {
    let mut text = String::new();
    for row in &books.components {
        let dropped = row.account.dropped.iter().map(|reason| ("dropped", reason));
        let rejected = row.account.rejected.iter().map(|reason| ("rejected", reason));
        for (how, (reason, count)) in dropped.chain(rejected).filter(|(_, (_, count))| *count > 0) {
            let count = grouped(i128::from(*count));
            let _ = writeln!(text, "  {} {how} {count}: {reason}", row.name);
        }
    }
    for edge in books.edges.iter().filter(|edge| edge.account.queued > 0) {
        let count = grouped(i128::from(edge.account.queued));
        let _ = writeln!(text, "  {} -> {} queued {count}", edge.from, edge.to);
    }
    for edge in books.edges.iter().filter(|edge| edge.account.discarded > 0) {
        let count = grouped(i128::from(edge.account.discarded));
        let _ = writeln!(text, "  {} -> {} discarded {count}", edge.from, edge.to);
    }
    text
}

fn last_line(books: &Books) -> String {
    let imbalances = books.imbalances();
    if !imbalances.is_empty() {
        let mut text = String::from("balance: DOES NOT ADD UP\n");
        for imbalance in imbalances {
            let _ = writeln!(text, "  {imbalance}");
        }
        return text;
    }
    let t = books.totals();
    let debit = [
        (t.input, "in", true),
        (t.carried, "carried", false),
        (t.created, "created", false),
        (t.copied, "copied", false),
    ];
    let credit = [
        (t.delivered, "delivered", true),
        (t.dropped, "dropped", true),
        (t.rejected, "rejected", true),
        (t.failed, "failed", true),
        (t.held, "held", true),
        (t.queued, "queued", false),
        (t.discarded, "discarded", false),
    ];
    format!("balance: {} = {}\n", side(&debit), side(&credit))
}

fn side(terms: &[(i128, &str, bool)]) -> String {
    let shown: Vec<String> = terms
        .iter()
        .filter(|(count, _, always)| *always || *count != 0)
        .map(|(count, name, _)| format!("{} {name}", grouped(*count)))
        .collect();
    shown.join(" + ")
}

/// `12,345`.
pub(super) fn grouped(count: i128) -> String {
    let digits = count.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    if count < 0 {
        text.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
