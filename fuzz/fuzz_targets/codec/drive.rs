//! What every format's target does with its bytes.

use cardcage_codec::lines::Window;
use cardcage_codec::{Dictionary, Format, ReadSettings, Reader, Reason, Round};
use cardcage_plugin_api::{DictionaryFull, Record, SensorId, UnitId};
use std::cell::RefCell;

/// Short, so that lines that are too long are met often.
const LINE_MAX: usize = 96;
const BATCH: usize = 5;

/// Names in the order in which they came, with a bound that is met.
#[derive(Default)]
struct Names(RefCell<Vec<String>>);

impl Names {
    fn id(&self, name: String) -> Result<usize, DictionaryFull> {
        let mut names = self.0.borrow_mut();
        let known = names.iter().position(|known| *known == name);
        if known.is_none() && names.len() >= 40 {
            return Err(DictionaryFull);
        }
        Ok(known.unwrap_or_else(|| {
            names.push(name);
            names.len() - 1
        }))
    }
}

impl Dictionary for Names {
    fn sensor_id(&self, name: &str, tags: &[(&str, &str)]) -> Result<SensorId, DictionaryFull> {
        assert!(!name.is_empty());
        let mut tags = tags.to_vec();
        tags.sort_unstable();
        Ok(SensorId(self.id(format!("{name} {tags:?}"))? as u32))
    }
    fn unit_id(&self, code: &str) -> Result<UnitId, DictionaryFull> {
        Ok(UnitId(self.id(format!("unit {code}"))? as u16))
    }
    fn with_sensor<R>(&self, _: SensorId, _: impl FnOnce(&str, &[(&str, &str)]) -> R) -> Option<R> {
        None
    }
    fn with_unit<R>(&self, _: UnitId, _: impl FnOnce(&str) -> R) -> Option<R> {
        None
    }
}

/// The first byte says into what pieces the rest is cut. Whole and in pieces it must come to the same; and so again once
/// everything is known.
pub fn read(format: Format, data: &[u8]) {
    let Some((size, text)) = data.split_first() else { return };
    // A mark behind a first line that was thrown away piece by piece is taken for the file's own.
    let second = text.iter().position(|byte| *byte == b'\n').map_or(&b""[..], |end| &text[end + 1..]);
    if second.starts_with(b"\xEF") && text.len() - second.len() > LINE_MAX {
        return;
    }
    let settings = ReadSettings { max_line: LINE_MAX, ..ReadSettings::default() };
    let mut known = Reader::new(format, &settings);
    let names = Names::default();
    let first = pieces(&mut known, &names, text, text.len());
    known.begin(None);
    let again = pieces(&mut known, &names, text, usize::from(*size) + 1);
    let mut fresh = Reader::new(format, &settings);
    let other = pieces(&mut fresh, &names, text, usize::from(*size) + 1);
    assert_eq!(again, other, "what was learned changes what is read");
    // Names that found no room the first time find none the second.
    assert_eq!(first, other, "how a text is cut changes what is read");
}

type Found = (Vec<Record>, Vec<(Reason, u64, u64)>);

fn pieces(reader: &mut Reader, names: &Names, text: &[u8], size: usize) -> Found {
    let (mut records, mut rejections) = (Vec::new(), Vec::new());
    let mut window = Window::new(LINE_MAX);
    let (mut line, mut position) = (0, 0);
    let mut chunks = text.chunks(size.max(1));
    let round = Round { now_ns: 0, batch_records: BATCH };
    loop {
        let chunk = chunks.next();
        if let Some(chunk) = chunk {
            window.append(chunk);
            if let Some(skipped) = window.skip_long_line() {
                reader.skip_line();
                if skipped.begun.is_some() {
                    rejections.push((Reason::TooLong, line, position));
                }
                position += skipped.bytes;
                line += u64::from(skipped.ended);
            }
        }
        while !window.is_skipping() {
            let mut room = [Record::default(); BATCH];
            let taken =
                reader.read(window.unread(), chunk.is_none(), &mut room, round, names, &mut |found| {
                    assert!(!found.to_string().is_empty());
                    let at = position + (found.at + found.rejection.offset) as u64;
                    rejections.push((found.rejection.reason, line + found.line, at));
                });
            records.extend_from_slice(&room[..taken.records]);
            window.consume(taken.bytes);
            position += taken.bytes as u64;
            line += taken.lines;
            if taken.bytes == 0 {
                break;
            }
        }
        if chunk.is_none() {
            assert!(window.is_skipping() || window.unread().is_empty(), "something is left");
            return (records, rejections);
        }
    }
}
