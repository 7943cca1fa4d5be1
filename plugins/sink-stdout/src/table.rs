//! The table: the last reading of each sensor, drawn in place.
//!
//! After each drawing the cursor stands on the empty line above the table. What something else prints there, such as
//! the log on standard error, takes that line and pushes the table down; the next drawing starts below it. So log
//! lines scroll away above the table, and a process that is killed leaves the terminal as it should be.

use crate::cells::{age, columns, cut, natural_order, printable, push_left, push_right, value_and_unit};
use crate::output::{Size, Style};
use cardcage_codec::{Dictionary, quality_text};
use cardcage_plugin_api::{Host, Record, Status, UnitId};
use std::fmt::Write as _;

/// Rates are counted over at least this long, so that they stand still.
const RATE_WINDOW_NS: i64 = 1_000_000_000;
/// Lines that are no rows: the empty one above, the header, the cursor's below.
const OTHER_LINES: usize = 3;
const VALUE_COLUMNS: usize = 10;
const UNIT_COLUMNS: usize = 8;
const RATE_COLUMNS: usize = 8;
/// Names get what the other columns leave, but at least this.
const NAME_COLUMNS_MIN: usize = 12;
/// Qualities with several flags are cut here.
const QUALITY_COLUMNS_MAX: usize = 24;
const GAP: &str = "  ";

const CLEAR_LINE_END: &str = "\x1b[K\n";
const CLEAR_BELOW: &str = "\x1b[J";
const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const RESET: &str = "\x1b[0m";

/// The last reading of each sensor.
pub(crate) struct Table {
    style: Style,
    /// By the sensor's id: `limits.sensors` bounds it.
    rows: Vec<Option<Row>>,
    /// The ids of the rows in the order of their labels.
    order: Vec<u32>,
    is_sorted: bool,
    drawn_ns: i64,
    window_start_ns: i64,
    text: String,
}

struct Row {
    label: Box<str>,
    unit: UnitId,
    unit_code: Box<str>,
    last: Record,
    /// Readings in the current window.
    count: u64,
    /// Readings a second in the last window; `None` before its end.
    rate: Option<f64>,
}

/// The text of a row's cells.
struct Cells<'a> {
    row: &'a Row,
    value: String,
    unit: String,
    quality: String,
    age: String,
    rate: String,
}

/// Columns that depend on what is shown.
struct Widths {
    name: usize,
    quality: usize,
    age: usize,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(style: Style, now_ns: i64) -> Self {
        Self {
            style,
            rows: Vec::new(),
            order: Vec::new(),
            is_sorted: true,
            drawn_ns: i64::MIN / 2,
            window_start_ns: now_ns,
            text: String::new(),
        }
    }

    /// When it was drawn last, UTC nanoseconds.
    pub(crate) fn drawn_ns(&self) -> i64 {
        self.drawn_ns
    }

    /// Takes up readings; returns how many have an unknown sensor or unit.
    pub(crate) fn update(&mut self, records: &[Record], host: &Host) -> u64 {
        let mut unknown = 0;
        for record in records {
            match self.rows.get_mut(record.sensor.0 as usize) {
                Some(Some(row)) if row.unit == record.unit => {
                    row.last = *record;
                    row.count += 1;
                }
                _ => unknown += u64::from(self.add(record, host).is_none()),
            }
        }
        unknown
    }

    /// Draws it, and leaves the cursor above it.
    pub(crate) fn draw(&mut self, now_ns: i64, size: Size) -> &[u8] {
        let lines = self.render(now_ns, size);
        if lines > 0 {
            // Writing to a String cannot fail.
            let _ = write!(self.text, "\r\x1b[{lines}A");
        }
        self.text.as_bytes()
    }

    /// Draws it for the last time, and leaves the cursor below it.
    pub(crate) fn draw_last(&mut self, now_ns: i64, size: Size) -> &[u8] {
        self.render(now_ns, size);
        self.text.as_bytes()
    }

    /// A sensor that is new, or whose unit changed.
    #[cold]
    fn add(&mut self, record: &Record, host: &Host) -> Option<()> {
        let label = host.with_sensor(record.sensor, label)?;
        let unit_code = host.with_unit(record.unit, |code| Box::<str>::from(code))?;
        let index = record.sensor.0 as usize;
        if self.rows.len() <= index {
            self.rows.resize_with(index + 1, || None);
        }
        let earlier = self.rows[index].take();
        if earlier.is_none() {
            self.order.push(record.sensor.0);
            self.is_sorted = false;
        }
        self.rows[index] = Some(Row {
            label,
            unit: record.unit,
            unit_code,
            last: *record,
            count: earlier.as_ref().map_or(0, |row| row.count) + 1,
            rate: earlier.and_then(|row| row.rate),
        });
        Some(())
    }

    /// Puts the table's text, from the empty line on, into `self.text`; returns its lines.
    fn render(&mut self, now_ns: i64, size: Size) -> usize {
        self.text.clear();
        self.drawn_ns = now_ns;
        self.count_rates(now_ns);
        if self.order.is_empty() {
            return 0;
        }
        self.sort();
        let room = size.rows.saturating_sub(OTHER_LINES).max(1);
        // The line that says how many more there are takes the place of a row.
        let shown = if self.order.len() > room { room.saturating_sub(1) } else { self.order.len() };
        let rows: Vec<Cells<'_>> = self.order[..shown]
            .iter()
            .filter_map(|id| self.rows.get(*id as usize)?.as_ref())
            .map(|row| Cells::of(row, now_ns))
            .collect();
        let widths = Widths::of(&rows, size);
        let mut text = std::mem::take(&mut self.text);
        text.push_str(CLEAR_LINE_END);
        push_line(&header(&widths), size, self.style_of(BOLD), &mut text);
        for cells in &rows {
            let style = match cells.row.last.quality.status() {
                Status::Good => "",
                Status::Uncertain => self.style_of(YELLOW),
                Status::Bad => self.style_of(RED),
            };
            push_line(&cells.line(&widths), size, style, &mut text);
        }
        let mut lines = 2 + rows.len();
        let hidden = self.order.len() - shown;
        if hidden > 0 {
            push_line(&format!("… and {hidden} more"), size, "", &mut text);
            lines += 1;
        }
        text.push_str(CLEAR_BELOW);
        drop(rows);
        self.text = text;
        lines
    }

    fn style_of(&self, code: &'static str) -> &'static str {
        match self.style {
            Style::Plain => "",
            Style::Coloured => code,
        }
    }

    fn sort(&mut self) {
        if !self.is_sorted {
            let label = |id: u32| match self.rows.get(id as usize) {
                Some(Some(row)) => &*row.label,
                _ => "",
            };
            self.order.sort_by(|a, b| natural_order(label(*a), label(*b)));
            self.is_sorted = true;
        }
    }

    fn count_rates(&mut self, now_ns: i64) {
        let window_ns = now_ns.saturating_sub(self.window_start_ns);
        if window_ns < RATE_WINDOW_NS {
            return;
        }
        self.window_start_ns = now_ns;
        for row in self.rows.iter_mut().flatten() {
            #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
            let rate = row.count as f64 * 1e9 / window_ns as f64;
            row.rate = Some(rate);
            row.count = 0;
        }
    }
}

impl<'a> Cells<'a> {
    fn of(row: &'a Row, now_ns: i64) -> Self {
        let (value, unit) = value_and_unit(row.last.value, &row.unit_code);
        Self {
            value,
            unit,
            quality: quality_text(row.last.quality),
            age: age(row.last.timestamp_ns, now_ns),
            rate: row.rate.map_or_else(|| "-".to_owned(), rate_text),
            row,
        }
    }

    fn line(&self, widths: &Widths) -> String {
        line(widths, [&self.row.label, &self.value, &self.unit, &self.quality, &self.age, &self.rate])
    }
}

impl Widths {
    fn of(rows: &[Cells<'_>], size: Size) -> Self {
        let widest = |text: fn(&Cells<'_>) -> usize, title: &str| {
            rows.iter().map(text).max().unwrap_or(0).max(columns(title))
        };
        let quality = widest(|cells| columns(&cells.quality), "quality").min(QUALITY_COLUMNS_MAX);
        let age = widest(|cells| columns(&cells.age), "99m 59s");
        let others = VALUE_COLUMNS + 1 + UNIT_COLUMNS + quality + age + RATE_COLUMNS + 4 * GAP.len();
        let name = widest(|cells| columns(&cells.row.label), "sensor");
        let room = size.columns.saturating_sub(others).max(NAME_COLUMNS_MIN);
        Self { name: name.min(room), quality, age }
    }
}

fn header(widths: &Widths) -> String {
    line(widths, ["sensor", "value", "unit", "quality", "age", "per s"])
}

fn line(widths: &Widths, cells: [&str; 6]) -> String {
    let [name, value, unit, quality, age, rate] = cells;
    let mut line = String::new();
    push_left(name, widths.name, &mut line);
    line.push_str(GAP);
    push_right(value, VALUE_COLUMNS, &mut line);
    line.push(' ');
    push_left(unit, UNIT_COLUMNS, &mut line);
    line.push_str(GAP);
    push_left(quality, widths.quality, &mut line);
    line.push_str(GAP);
    push_right(age, widths.age, &mut line);
    line.push_str(GAP);
    push_right(rate, RATE_COLUMNS, &mut line);
    line
}

/// Appends a line, cut to the terminal's width: a line that wraps would move the table.
fn push_line(line: &str, size: Size, style: &str, into: &mut String) {
    let line = cut(line.trim_end(), size.columns);
    if style.is_empty() {
        into.push_str(&line);
    } else {
        for part in [style, &line, RESET] {
            into.push_str(part);
        }
    }
    into.push_str(CLEAR_LINE_END);
}

fn rate_text(rate: f64) -> String {
    if rate < 100.0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

/// `name{tag=value,…}`.
fn label(name: &str, tags: &[(&str, &str)]) -> Box<str> {
    let mut label = printable(name);
    for (index, (key, value)) in tags.iter().enumerate() {
        label.push(if index == 0 { '{' } else { ',' });
        label.push_str(&printable(key));
        label.push('=');
        label.push_str(&printable(value));
    }
    if !tags.is_empty() {
        label.push('}');
    }
    label.into()
}

#[cfg(test)]
mod tests;
