//! A dictionary in memory, and a source that reads a text in pieces.

mod names;

pub(crate) use names::Names;

use cardcage_codec::lines::Window;
use cardcage_codec::{Dictionary, Reader, Reason, Rejected, Round};
use cardcage_plugin_api::{Quality, Record};

pub(crate) const NOW_NS: i64 = 1_800_000_000_000_000_000;

/// A reading, with everything that its ids stand for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reading {
    pub(crate) timestamp_ns: i64,
    /// The bits, so that two NaN are the same.
    pub(crate) value: u64,
    pub(crate) sensor: String,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) unit: String,
    pub(crate) quality: Quality,
}

impl Names {
    pub(crate) fn reading(&self, record: &Record) -> Reading {
        let (sensor, tags) = self
            .with_sensor(record.sensor, |name, tags| {
                let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
                (name.to_owned(), tags.collect())
            })
            .unwrap();
        Reading {
            timestamp_ns: record.timestamp_ns,
            value: record.value.to_bits(),
            sensor,
            tags,
            unit: self.with_unit(record.unit, str::to_owned).unwrap(),
            quality: record.quality,
        }
    }
}

/// What came out of a text, in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    Reading(Reading),
    /// The reason, the line's number from 0, the byte where the trouble is, and the line.
    Rejected(Reason, u64, u64, Vec<u8>),
}

/// Reads a text as a source does: in pieces of these sizes, over and over, into batches of `batch` records.
pub(crate) fn read_in_pieces(
    reader: &mut Reader,
    names: &Names,
    text: &[u8],
    pieces: &[usize],
    line_max: usize,
    batch: usize,
) -> Vec<Event> {
    let mut events = Vec::new();
    let mut window = Window::new(line_max);
    let (mut line, mut position) = (0, 0);
    let mut rest = text;
    let mut sizes = pieces.iter().cycle();
    let round = Round { now_ns: NOW_NS, batch_records: batch };
    loop {
        let is_end = rest.is_empty();
        if !is_end {
            let size = sizes.next().copied().unwrap_or(rest.len()).clamp(1, rest.len());
            window.append(&rest[..size]);
            rest = &rest[size..];
            if let Some(skipped) = window.skip_long_line() {
                reader.skip_line();
                if let Some(begun) = skipped.begun {
                    events.push(Event::Rejected(Reason::TooLong, line, position, begun.into()));
                }
                position += skipped.bytes;
                line += u64::from(skipped.ended);
            }
        }
        if window.is_skipping() {
            if is_end {
                break;
            }
            continue;
        }
        loop {
            let mut room = vec![Record::default(); batch];
            let mut rejections = Vec::new();
            let taken =
                reader.read(window.unread(), is_end, &mut room, round, names, &mut |found: &Rejected<'_>| {
                    let at = position + (found.at + found.rejection.offset) as u64;
                    // Between two records it cannot be told where it was; so each call is one piece.
                    rejections.push(Event::Rejected(
                        found.rejection.reason,
                        line + found.line,
                        at,
                        found.raw.to_vec(),
                    ));
                    let _ = found.to_string();
                });
            events.extend(room[..taken.records].iter().map(|record| Event::Reading(names.reading(record))));
            events.extend(rejections);
            window.consume(taken.bytes);
            position += taken.bytes as u64;
            line += taken.lines;
            if taken.bytes == 0 {
                break;
            }
        }
        if is_end {
            assert!(window.unread().is_empty(), "left at the end: {:?}", window.unread());
            break;
        }
    }
    assert_eq!(position, text.len() as u64);
    let line_ends = memchr::memchr_iter(b'\n', text).count() as u64;
    // A byte order mark alone is no line.
    let is_open = text != b"\xEF\xBB\xBF" && text.last().is_some_and(|byte| *byte != b'\n');
    // A line that is too long and has no end is not counted.
    assert!(line == line_ends + u64::from(is_open) || window.is_skipping(), "{line} lines of {line_ends}");
    events
}

/// The readings and the rejections apart: their order within one call is not told.
pub(crate) fn sorted(events: &[Event]) -> (Vec<Reading>, Vec<Event>) {
    let mut readings = Vec::new();
    let mut rejections = Vec::new();
    for event in events {
        match event {
            Event::Reading(reading) => readings.push(reading.clone()),
            rejected @ Event::Rejected(..) => rejections.push(rejected.clone()),
        }
    }
    (readings, rejections)
}
