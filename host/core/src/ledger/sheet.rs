//! The balance sheet: for each record that came in, where it is now or why it is gone.

use super::claims::Claim;
use super::render::{grouped, table, widest};
use super::{Books, EdgeRow};
use cardcage_plugin_api::manifest::Kind;
use std::fmt::Write as _;

/// The books as a balance sheet for people: accounts, edges, where all records went with their shares, and the line that
/// proves it. `of_one_moment`: whether nothing moved while the books were taken.
pub fn sheet(books: &Books, of_one_moment: bool, claims: &[Claim]) -> String {
    let whereabouts = whereabouts(books);
    let total = debit(books);
    let mut text = table(books);
    text.push('\n');
    text.push_str(&edges(books));
    text.push_str(&shares(&whereabouts, total, books));
    text.push_str(&claimed(claims));
    text.push('\n');
    text.push_str(&last_line(books, &whereabouts, of_one_moment));
    text
}

/// Some records, and what became of them.
struct Whereabouts {
    records: i128,
    /// Delivered, or explained otherwise.
    delivered: bool,
    what: &'static str,
    detail: String,
}

/// Everything that became of records, delivered first, then the largest first.
fn whereabouts(books: &Books) -> Vec<Whereabouts> {
    let mut all = Vec::new();
    let mut note = |records: u64, what: &'static str, detail: String| {
        if records > 0 {
            all.push(Whereabouts {
                records: i128::from(records),
                delivered: what == "delivered",
                what,
                detail,
            });
        }
    };
    for row in &books.components {
        let (name, account) = (&row.name, &row.account);
        if row.kind == Kind::Sink {
            note(account.output, "delivered", format!("by {name}"));
        }
        for (reason, count) in &account.dropped {
            note(*count, "dropped", format!("by {name}: {reason}"));
        }
        for (reason, count) in &account.rejected {
            note(*count, "rejected", format!("by {name}: {reason}"));
        }
        note(account.failed, "failed", format!("in {name}: lost with a call that failed"));
        let how = match row.kind {
            Kind::Source => "read, and on its way into a batch",
            Kind::Stage => "kept for later",
            Kind::Sink => "written, and not committed yet",
        };
        note(account.held.saturating_sub(account.in_hand), "held", format!("in {name}: {how}"));
        note(account.in_hand.min(account.held), "held", format!("in {name}: in the batch it works on"));
    }
    for row in &books.edges {
        let edge = format!("between {} and {}", row.from, row.to);
        note(row.account.queued, "held", format!("{edge}: waiting in the queue"));
        note(row.account.discarded, "discarded", format!("{edge}: {} was gone", row.to));
    }
    all.sort_by_key(|one| (!one.delivered, std::cmp::Reverse(one.records)));
    all
}

/// Everything that came in or was made.
fn debit(books: &Books) -> i128 {
    let totals = books.totals();
    totals.carried + totals.input + totals.created + totals.copied
}

type Column = (&'static str, fn(&EdgeRow) -> u64);

fn edges(books: &Books) -> String {
    let name = |row: &EdgeRow| match &row.output {
        super::OutputName::Main => format!("{} -> {}", row.from, row.to),
        other => format!("{}.{other} -> {}", row.from, row.to),
    };
    let names: Vec<String> = books.edges.iter().map(name).collect();
    let width = widest(names.iter().map(|name| name.chars().count()), "edge");
    let discarded = books.edges.iter().any(|row| row.account.discarded > 0);
    let mut lines: Vec<String> = names.iter().map(|name| format!("{name:width$}")).collect();
    let mut head = format!("{:width$}", "edge");
    let columns: [Column; 4] = [
        ("sent", |row| row.account.sent),
        ("received", |row| row.account.received),
        ("queued", |row| row.account.queued),
        ("discarded", |row| row.account.discarded),
    ];
    for (title, count) in columns.into_iter().filter(|(title, _)| discarded || *title != "discarded") {
        let cells: Vec<String> = books.edges.iter().map(|row| grouped(i128::from(count(row)))).collect();
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

/// What became of all records, with shares of the whole.
fn shares(whereabouts: &[Whereabouts], total: i128, books: &Books) -> String {
    if total == 0 {
        return "\nno record has come in yet\n".to_owned();
    }
    let mut text = format!("\nof {}:\n", came(books));
    let counts: Vec<String> = whereabouts.iter().map(|one| grouped(one.records)).collect();
    let width = widest(counts.iter().map(String::len), "");
    let what = widest(whereabouts.iter().map(|one| one.what.len()), "");
    for (one, count) in whereabouts.iter().zip(&counts) {
        let share = share(one.records, total);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {count:>width$}  {share:>7}  {:what$}  {}", one.what, one.detail);
    }
    text
}

/// What the shares are of.
fn came(books: &Books) -> String {
    let totals = books.totals();
    let parts = [
        (totals.input, "records that came in"),
        (totals.carried, "held from before"),
        (totals.created, "made by stages"),
        (totals.copied, "copies for outputs with several consumers"),
    ];
    let shown: Vec<String> = parts
        .iter()
        .enumerate()
        .filter(|(index, (count, _))| *index == 0 || *count != 0)
        .map(|(_, (count, what))| format!("{} {what}", grouped(*count)))
        .collect();
    shown.join(" + ")
}

/// `12.0 %`; what is not nothing is not shown as nothing, and what is not all not as all.
fn share(part: i128, total: i128) -> String {
    // In tenths of a percent, rounded.
    let tenths = (part * 1000 + total / 2).checked_div(total).unwrap_or(0);
    match tenths {
        0 if part > 0 => "< 0.1 %".to_owned(),
        1000 if part < total => "> 99.9 %".to_owned(),
        tenths => format!("{}.{} %", tenths / 10, tenths % 10),
    }
}

fn claimed(claims: &[Claim]) -> String {
    let mut text = String::new();
    for claim in claims.iter().filter(|claim| claim.is_false) {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "\n`{}` says {} in its metric `{}`; the host counted {}: the metric is wrong",
            claim.component,
            claim.claimed,
            claim.metric,
            grouped(i128::from(claim.counted))
        );
    }
    text
}

/// `1,000 in = 880 delivered + 120 explained`, with what is not explained if there is any.
fn last_line(books: &Books, whereabouts: &[Whereabouts], of_one_moment: bool) -> String {
    let totals = books.totals();
    let sum = |delivered: bool| -> i128 {
        whereabouts.iter().filter(|one| one.delivered == delivered).map(|one| one.records).sum()
    };
    let (delivered, explained, missing) = (sum(true), sum(false), totals.imbalance());
    let parts = [(totals.carried, "carried"), (totals.created, "created"), (totals.copied, "copied")];
    let mut text = format!("balance: {} in", grouped(totals.input));
    for (count, what) in parts.into_iter().filter(|(count, _)| *count != 0) {
        // Writing to a String cannot fail.
        let _ = write!(text, " + {} {what}", grouped(count));
    }
    let _ = write!(text, " = {} delivered + {} explained", grouped(delivered), grouped(explained));
    if !of_one_moment {
        let _ = writeln!(
            text,
            " {} {} that moved while this was read",
            if missing < 0 { "-" } else { "+" },
            grouped(missing.abs())
        );
        return text;
    }
    let imbalances = books.imbalances();
    if imbalances.is_empty() {
        text.push('\n');
        return text;
    }
    let sign = if missing < 0 { "-" } else { "+" };
    let _ = writeln!(text, " {sign} {} UNEXPLAINED", grouped(missing.abs()));
    for imbalance in imbalances {
        let _ = writeln!(text, "  {imbalance}");
    }
    text
}
