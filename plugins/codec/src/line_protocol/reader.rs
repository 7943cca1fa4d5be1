//! Lines to records.

use super::series::SeriesTable;
use super::syntax::{FieldValue, Line, LineEnd, boolean, decode_name};
use crate::dictionary::Dictionary;
use crate::number;
use crate::quality::parse_quality;
use crate::reader::{Round, Taken, first_line};
use crate::reject::{About, Reason, Rejected, Rejection};
use crate::settings::ReadSettings;
use crate::swar;
use crate::timestamp::TimestampReader;
use cardcage_plugin_api::{Quality, Record};

/// Reads lines of line protocol.
pub(crate) struct Reader {
    unit_key: String,
    quality_key: String,
    default_unit: String,
    line_max: usize,
    timestamps: TimestampReader,
    series: SeriesTable,
    line: Line,
    /// A key without its escapes.
    key: String,
    /// Fields of the line that are no readings.
    faults: Vec<Rejection>,
}

/// What a step found.
enum Step {
    /// A line of this many bytes; so many records were written.
    Records(usize, usize),
    Nothing(usize),
    Rejected(Rejection, usize),
    Incomplete,
    /// The line's records do not fit the room.
    NoRoom,
}

impl Reader {
    pub(crate) fn new(settings: &ReadSettings) -> Self {
        Self {
            unit_key: settings.fields.unit.clone(),
            quality_key: settings.fields.quality.clone(),
            default_unit: settings.defaults.unit.clone().unwrap_or_default(),
            line_max: settings.max_line,
            timestamps: TimestampReader::new(settings.timestamp.clone(), settings.zone.clone()),
            series: SeriesTable::default(),
            line: Line::default(),
            key: String::new(),
            faults: Vec::new(),
        }
    }

    /// [`crate::Reader::read`] for this format.
    #[inline]
    pub(crate) fn read<D: Dictionary>(
        &mut self,
        text: &[u8],
        end: bool,
        room: &mut [Record],
        round: Round,
        dictionary: &D,
        rejected: &mut dyn FnMut(&Rejected<'_>),
    ) -> Taken {
        let mut taken = Taken::default();
        while taken.records < room.len() {
            let (rest, free) = (&text[taken.bytes..], &mut room[taken.records..]);
            if let Some((records, len)) = self.follow(rest, free, round.now_ns) {
                taken.records += records;
                taken.bytes += len;
                taken.lines += 1;
                continue;
            }
            if rest.is_empty() {
                break;
            }
            let len = match self.step(rest, end, free, round, dictionary) {
                Step::Records(records, len) => {
                    // The line counts as kept once, however many of its fields are no readings.
                    let mut raw = without_line_end(&rest[..len]);
                    for rejection in self.faults.drain(..) {
                        let about = About::Nothing;
                        rejected(&Rejected { rejection, line: taken.lines, at: taken.bytes, raw, about });
                        raw = b"";
                    }
                    taken.records += records;
                    len
                }
                Step::Nothing(len) => len,
                Step::Rejected(rejection, len) => {
                    let raw = without_line_end(&rest[..len]);
                    let about = About::Nothing;
                    rejected(&Rejected { rejection, line: taken.lines, at: taken.bytes, raw, about });
                    len
                }
                Step::Incomplete => break,
                Step::NoRoom => {
                    taken.no_room = true;
                    break;
                }
            };
            let line_ends = memchr::memchr_iter(b'\n', &rest[..len]).count() as u64;
            taken.lines += line_ends + u64::from(rest[len - 1] != b'\n');
            taken.bytes += len;
        }
        taken
    }

    /// The records of a line as programs write them, of a series and fields that are known. Gives what the general way
    /// would give, or nothing; then what it wrote to the room does not count.
    #[inline]
    fn follow(&mut self, text: &[u8], room: &mut [Record], now_ns: i64) -> Option<(usize, usize)> {
        let space = swar::find(text, 0, b' ')?;
        if space == 0 || text[space - 1] == b'\\' {
            return None;
        }
        let series = self.series.known(&text[..space])?;
        let (mut at, mut records) = (space + 1, 0);
        loop {
            let (sensor, key_len) = series.field(text.get(at..)?, records)?;
            at += key_len;
            let (value, len) = plain_value(text.get(at..)?)?;
            at += len;
            *room.get_mut(records)? =
                Record { timestamp_ns: now_ns, value, sensor, unit: series.unit, quality: Quality::GOOD };
            records += 1;
            match text.get(at)? {
                b',' => at += 1,
                b' ' => break,
                // Readings without a time say so, which the general way sees to.
                _ => return None,
            }
        }
        let (integer, len) = number::plain_integer(text.get(at + 1..)?)?;
        at += 1 + len;
        let len = match text.get(at..)? {
            [b'\n', ..] => at + 1,
            [b'\r', b'\n', ..] => at + 2,
            _ => return None,
        };
        let timestamp_ns = self.timestamps.integer(integer).ok()?;
        for record in &mut room[..records] {
            record.timestamp_ns = timestamp_ns;
        }
        (len <= self.line_max).then_some((records, len))
    }

    #[inline(never)]
    fn step<D: Dictionary>(
        &mut self,
        text: &[u8],
        end: bool,
        room: &mut [Record],
        round: Round,
        dictionary: &D,
    ) -> Step {
        // No further, or what is found in a line that is too long would depend on how much of it is there by now.
        let within = &text[..text.len().min(self.line_max)];
        let fault = match self.line.parse(within, end && within.len() == text.len()) {
            LineEnd::Whole(len) => {
                return match self.records(text, room, round, dictionary) {
                    Ok(Some(records)) => Step::Records(records, len),
                    Ok(None) => Step::NoRoom,
                    Err(rejection) => Step::Rejected(rejection, len),
                };
            }
            LineEnd::Nothing(len) => return Step::Nothing(len),
            LineEnd::Broken(at) => Rejection::new(Reason::BadLine, at),
            LineEnd::Open if within.len() == text.len() => return Step::Incomplete,
            LineEnd::Open => TOO_LONG,
        };
        first_line(text, end).map_or(Step::Incomplete, |len| {
            Step::Rejected(if len > self.line_max { TOO_LONG } else { fault }, len)
        })
    }

    /// Writes the records of the line that was just parsed; `None` if they do not fit now but would fit a batch.
    fn records<D: Dictionary>(
        &mut self,
        text: &[u8],
        room: &mut [Record],
        round: Round,
        dictionary: &D,
    ) -> Result<Option<usize>, Rejection> {
        self.faults.clear();
        let fields = &self.line.fields;
        if fields.len() > round.batch_records {
            let at = fields.get(round.batch_records).map_or(0, |field| field.key.start);
            return Err(Rejection::new(Reason::TooManyFields, at));
        }
        if fields.len() > room.len() {
            return Ok(None);
        }
        let (timestamp_ns, mut quality) = self.timestamp(text, round.now_ns)?;
        let start = self.line.series.start;
        let series = self
            .series
            .number(&text[self.line.series.clone()], dictionary, &self.unit_key, &self.default_unit)
            .map_err(|reason| Rejection::new(reason, start))?;
        for field in &self.line.fields {
            if let FieldValue::Text(contents) = &field.value {
                let key = &mut self.key;
                key.clear();
                let is_quality =
                    decode_name(&text[field.key.clone()], key).is_some() && *key == self.quality_key;
                if is_quality {
                    let told = parse_quality(&text[contents.clone()]);
                    let told = told.ok_or(Rejection::new(Reason::BadQuality, field.value_at))?;
                    quality = Quality(quality.0 | told.0);
                } else {
                    self.faults.push(Rejection::new(Reason::TextField, field.value_at));
                }
            }
        }
        let mut records = 0;
        for field in &self.line.fields {
            let value = match field.value {
                FieldValue::Number(value) if value.is_finite() => value,
                FieldValue::Number(_) | FieldValue::TooLarge => {
                    self.faults.push(Rejection::new(Reason::BadNumber, field.value_at));
                    continue;
                }
                FieldValue::Text(_) => continue,
            };
            match self.series.sensor(series, &text[field.key.clone()], dictionary) {
                Ok((unit, sensor)) => {
                    room[records] = Record { timestamp_ns, value, sensor, unit, quality };
                    records += 1;
                }
                Err(reason) => self.faults.push(Rejection::new(reason, field.key.start)),
            }
        }
        Ok(Some(records))
    }

    fn timestamp(&self, text: &[u8], now_ns: i64) -> Result<(i64, Quality), Rejection> {
        let Some(span) = self.line.timestamp.clone() else {
            return Ok((now_ns, Quality::GOOD.with(Quality::TIME_SUBSTITUTED)));
        };
        let digits = &text[span.clone()];
        // Zeros in front are nothing special here, as they are in JSON.
        let is_integer =
            digits.strip_prefix(b"-").unwrap_or(digits).iter().all(u8::is_ascii_digit) && digits != b"-";
        let read = if is_integer { self.timestamps.number(digits) } else { Err(Reason::BadTimestamp) };
        let timestamp_ns = read.map_err(|reason| Rejection::new(reason, span.start))?;
        Ok((timestamp_ns, Quality::GOOD))
    }
}

const TOO_LONG: Rejection = Rejection { reason: Reason::TooLong, offset: 0 };

/// A value without quotes at the start of `text` and its length; `None` for what the general way must look at.
#[inline]
fn plain_value(text: &[u8]) -> Option<(f64, usize)> {
    if let Some(scanned) = number::scan(text) {
        return match text.get(scanned.len)? {
            b',' | b' ' if scanned.value.is_finite() => Some((scanned.value, scanned.len)),
            b'i' | b'u' => plain_integer(text),
            _ => None,
        };
    }
    let len = text.iter().take(6).position(|byte| matches!(byte, b',' | b' '))?;
    Some((boolean(&text[..len])?, len))
}

/// `12i`, `12u`.
#[inline]
fn plain_integer(text: &[u8]) -> Option<(f64, usize)> {
    let negative = text.first() == Some(&b'-');
    let start = usize::from(negative);
    let (number, len) = number::plain_integer(text.get(start..)?)?;
    let kind = *text.get(start + len)?;
    let is_signed = kind == b'i';
    let fits = if is_signed { number <= i64::MAX.unsigned_abs() } else { kind == b'u' && !negative };
    #[expect(clippy::cast_precision_loss, reason = "rounded to the nearest, as documented")]
    let magnitude = number as f64;
    fits.then_some((if negative { -magnitude } else { magnitude }, start + len + 1))
}

fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
