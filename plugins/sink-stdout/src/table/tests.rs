//! The table as a terminal would show it.

use super::*;
use cardcage_plugin_api::Quality;
use cardcage_plugin_api::testing::{START_NS, TestHost};

const SECOND_NS: i64 = 1_000_000_000;
const LARGE: Size = Size { columns: 100, rows: 40 };

fn reading(host: TestHost, name: &str, value: f64) -> Record {
    Record {
        timestamp_ns: START_NS,
        value,
        sensor: host.sensor(name),
        unit: host.unit("Cel"),
        ..Record::default()
    }
}

/// The lines drawn, without what moves the cursor.
fn shown(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8(text.to_vec()).unwrap();
    let (table, _) = text.split_once(CLEAR_BELOW).unwrap();
    let lines: Vec<String> = table.split(CLEAR_LINE_END).map(str::to_owned).collect();
    assert_eq!(lines.first().map(String::as_str), Some(""), "the line for the log");
    assert_eq!(lines.last().map(String::as_str), Some(""));
    lines[1..lines.len() - 1].to_vec()
}

#[test]
fn rows_are_sorted_and_hold_the_last_reading() {
    let host = TestHost::new();
    let mut table = Table::new(Style::Plain, START_NS);
    let tagged = Record {
        sensor: host.host().tagged_sensor("a", &[("line", "7"), ("at", "x")]).unwrap(),
        ..reading(host, "a", 3.0)
    };
    table.update(
        &[reading(host, "b", 1.0), reading(host, "a", 2.0), tagged, reading(host, "b", 4.0)],
        &host.host(),
    );
    let lines = shown(table.draw(START_NS + 2 * SECOND_NS, LARGE));
    assert_eq!(
        lines,
        [
            "sensor               value unit      quality      age     per s",
            "a                     2.00 Cel       good          2s       0.5",
            "a{at=x,line=7}        3.00 Cel       good          2s       0.5",
            "b                     4.00 Cel       good          2s       1.0",
        ]
    );
}

#[test]
fn rates_are_of_the_last_whole_window() {
    let host = TestHost::new();
    let mut table = Table::new(Style::Plain, START_NS);
    let rate = |text: &[u8]| shown(text)[1].split_whitespace().last().unwrap().to_owned();
    table.update(&[reading(host, "a", 1.0)], &host.host());
    assert_eq!(rate(table.draw(START_NS + 1, LARGE)), "-");
    table.update(&[reading(host, "a", 1.0); 9], &host.host());
    assert_eq!(rate(table.draw(START_NS + SECOND_NS, LARGE)), "10.0");
    assert_eq!(rate(table.draw(START_NS + SECOND_NS + 1, LARGE)), "10.0");
    assert_eq!(rate(table.draw(START_NS + 2 * SECOND_NS, LARGE)), "0.0");
}

#[test]
fn a_table_never_outgrows_the_terminal() {
    let host = TestHost::new();
    let mut table = Table::new(Style::Coloured, START_NS);
    let records: Vec<Record> = (0..50)
        .map(|n| reading(host, &format!("a very long name of a sensor, number {n:02}"), 1.0))
        .collect();
    table.update(&records, &host.host());
    for rows in 0..60 {
        for columns in [0, 1, 20, 64, 200] {
            let lines = shown(table.draw(START_NS, Size { columns, rows }));
            assert!(lines.len() + 2 <= rows.max(4), "{} lines for {rows} rows", lines.len());
            for line in &lines {
                let text = line.replace(BOLD, "").replace(RESET, "");
                assert!(super::columns(&text) <= columns, "{text:?} in {columns}");
            }
        }
    }
    let lines = shown(table.draw(START_NS, Size { columns: 100, rows: 13 }));
    assert_eq!((lines.len(), lines.last().unwrap().as_str()), (11, "… and 41 more"));
}

#[test]
fn the_cursor_ends_above_the_table_and_at_last_below() {
    let host = TestHost::new();
    let mut table = Table::new(Style::Plain, START_NS);
    assert!(table.draw(START_NS, LARGE).is_empty(), "nothing to show yet");
    table.update(&[reading(host, "a", 1.0)], &host.host());
    assert!(table.draw(START_NS, LARGE).ends_with(b"\r\x1b[3A"));
    assert!(table.draw_last(START_NS, LARGE).ends_with(CLEAR_BELOW.as_bytes()));
}

#[test]
fn bad_readings_stand_out_unless_colours_are_off() {
    let host = TestHost::new();
    for (style, coloured) in [(Style::Coloured, true), (Style::Plain, false)] {
        let mut table = Table::new(style, START_NS);
        let bad =
            Record { quality: Quality::OUT_OF_RANGE.with_status(Status::Bad), ..reading(host, "a", 1.0) };
        table.update(&[bad], &host.host());
        let lines = shown(table.draw(START_NS, LARGE));
        assert_eq!(lines[1].starts_with(RED), coloured);
        assert!(lines[1].contains("bad|out_of_range"));
    }
}

#[test]
fn a_unit_that_changes_is_shown_and_an_unknown_id_counted() {
    let host = TestHost::new();
    let mut table = Table::new(Style::Plain, START_NS);
    let kelvin = Record { unit: host.unit("K"), ..reading(host, "a", 1.0) };
    let unknown = Record { unit: UnitId(99), ..kelvin };
    assert_eq!(table.update(&[reading(host, "a", 1.0), kelvin, unknown], &host.host()), 1);
    assert!(shown(table.draw(START_NS, LARGE))[1].contains(" K "));
}
