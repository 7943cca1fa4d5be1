//! Records as bytes.
//!
//! Numbers are LEB128. Times are differences to the record before, values of floats are turned round so that the zeros at
//! their end cost nothing, and `new` is what differs from `old`: an entry takes about 12 bytes instead of 41.

use super::record::{
    Balance, Declaration, Entry, Note, Number, Record, Rule, Rules, TEXT_MAX_BYTES, What, Writer,
};
use cardcage_plugin_api::manifest::MetricKind;

/// The kind of a record, in the low four bits of its first byte.
pub(super) mod tag {
    pub(in super::super) const WRITE: u8 = 1;
    pub(in super::super) const VIOLATION: u8 = 2;
    pub(in super::super) const DECLARATION: u8 = 3;
    pub(in super::super) const WRITER: u8 = 4;
    pub(in super::super) const BALANCE: u8 = 5;
    pub(in super::super) const NOTE: u8 = 6;
    /// Of an entry: its values are written from their high end.
    pub(in super::super) const TURNED: u8 = 0x10;
    /// Of an entry: it stands for one write.
    pub(in super::super) const SINGLE: u8 = 0x20;
}

/// The kind of a note.
pub(super) mod note {
    pub(in super::super) const BEGAN: u8 = 1;
    pub(in super::super) const ENDED: u8 = 2;
    pub(in super::super) const OPENED: u8 = 3;
    pub(in super::super) const REMOVED: u8 = 4;
    pub(in super::super) const SET_ASIDE: u8 = 5;
    pub(in super::super) const UNDECLARED: u8 = 6;
    pub(in super::super) const REMARK: u8 = 7;
}

/// Which rules a declaration has.
pub(super) mod rules {
    pub(in super::super) const MONOTONIC: u8 = 1;
    pub(in super::super) const MIN: u8 = 2;
    pub(in super::super) const MAX: u8 = 4;
    pub(in super::super) const LARGEST_STEP: u8 = 8;
}

/// Appends a record. `time_ns` is that of the record before in the same block, 0 at its beginning.
pub(super) fn record(out: &mut Vec<u8>, time_ns: &mut i64, record: &Record) {
    match record {
        Record::Entry(entry) => self::entry(out, time_ns, entry),
        Record::Declaration(declaration) => self::declaration(out, declaration),
        Record::Writer(writer) => self::writer(out, time_ns, writer),
        Record::Balance(balance) => self::balance(out, balance),
        Record::Note { time_ns: at, note } => {
            out.push(tag::NOTE);
            time(out, time_ns, *at);
            self::note(out, note);
        }
    }
}

/// Appends an entry.
pub(super) fn entry(out: &mut Vec<u8>, time_ns: &mut i64, entry: &Entry) {
    let Entry { cell, writer, time_ns: at, old, new, count, what } = *entry;
    let both = old | new;
    let turned = both.trailing_zeros() > both.leading_zeros();
    let mut first = match what {
        What::Write => tag::WRITE,
        What::Violation { .. } => tag::VIOLATION,
    };
    if turned {
        first |= tag::TURNED;
    }
    if count == 1 {
        first |= tag::SINGLE;
    }
    out.push(first);
    number(out, cell.into());
    number(out, writer.into());
    time(out, time_ns, at);
    let bits = |bits: u64| if turned { bits.swap_bytes() } else { bits };
    number(out, bits(old));
    number(out, bits(old ^ new));
    if count != 1 {
        number(out, count);
    }
    if let What::Violation { rule, attempted } = what {
        out.push(rule_number(rule));
        number(out, bits(attempted));
    }
}

fn rule_number(rule: Rule) -> u8 {
    match rule {
        Rule::Monotonic => 1,
        Rule::NotANumber => 2,
        Rule::Min => 3,
        Rule::Max => 4,
        Rule::LargestStep => 5,
    }
}

fn declaration(out: &mut Vec<u8>, declaration: &Declaration) {
    let Declaration { cell, component, metric, kind, number: form, unit, help, rules, bounds } = declaration;
    out.push(tag::DECLARATION);
    number(out, (*cell).into());
    text(out, component);
    text(out, metric);
    out.push(match kind {
        MetricKind::Counter => 1,
        MetricKind::Gauge => 2,
        MetricKind::Histogram => 3,
    });
    out.push(match form {
        Number::Float => 1,
        Number::Integer => 2,
    });
    text(out, unit);
    text(out, help);
    self::rules(out, rules);
    let bounds = &bounds[..bounds.len().min(Declaration::BOUNDS_MAX)];
    number(out, bounds.len() as u64);
    for bound in bounds {
        out.extend_from_slice(&bound.to_bits().to_le_bytes());
    }
}

fn rules(out: &mut Vec<u8>, rules: &Rules) {
    let Rules { monotonic, min, max, largest_step } = *rules;
    let optional = [(min, rules::MIN), (max, rules::MAX), (largest_step, rules::LARGEST_STEP)];
    let mut which = if monotonic { rules::MONOTONIC } else { 0 };
    for (value, bit) in optional {
        if value.is_some() {
            which |= bit;
        }
    }
    out.push(which);
    for value in optional.into_iter().filter_map(|(value, _)| value) {
        out.extend_from_slice(&value.to_bits().to_le_bytes());
    }
}

fn writer(out: &mut Vec<u8>, time_ns: &mut i64, writer: &Writer) {
    let Writer { cell, writer, time_ns: at, generation, thread } = writer;
    out.push(tag::WRITER);
    number(out, (*cell).into());
    number(out, (*writer).into());
    time(out, time_ns, *at);
    number(out, (*generation).into());
    text(out, thread);
}

fn balance(out: &mut Vec<u8>, balance: &Balance) {
    let Balance { cell, writer, value, writes, violations } = *balance;
    out.push(tag::BALANCE);
    number(out, cell.into());
    number(out, writer.into());
    out.extend_from_slice(&value.to_le_bytes());
    number(out, writes);
    number(out, violations);
}

fn note(out: &mut Vec<u8>, note: &Note) {
    match note {
        Note::Began { version, detail } => {
            out.push(note::BEGAN);
            text(out, version);
            text(out, detail);
        }
        Note::Ended => out.push(note::ENDED),
        Note::Opened { file, declarations, writers, balances } => {
            out.push(note::OPENED);
            number(out, *file);
            for count in [declarations, writers, balances] {
                number(out, (*count).into());
            }
        }
        Note::Removed { first_kept } => {
            out.push(note::REMOVED);
            number(out, *first_kept);
        }
        Note::SetAside { files, why } => {
            out.push(note::SET_ASIDE);
            text(out, files);
            text(out, why);
        }
        Note::Undeclared { component, metric, count } => {
            out.push(note::UNDECLARED);
            text(out, component);
            text(out, metric);
            number(out, *count);
        }
        Note::Remark { text } => {
            out.push(note::REMARK);
            self::text(out, text);
        }
    }
}

fn time(out: &mut Vec<u8>, before_ns: &mut i64, at_ns: i64) {
    let step = at_ns.wrapping_sub(*before_ns);
    *before_ns = at_ns;
    // Zigzag: small steps back cost as little as small steps ahead.
    number(out, ((step << 1) ^ (step >> 63)).cast_unsigned());
}

fn text(out: &mut Vec<u8>, text: &str) {
    let text = &text[..text.floor_char_boundary(TEXT_MAX_BYTES)];
    number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        // The low seven bits; the eighth says that there are more.
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}
