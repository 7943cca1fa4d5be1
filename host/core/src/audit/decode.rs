//! Bytes as records. The bytes may be anything.

use super::encode::{note, rules, tag};
use super::record::{
    Balance, Declaration, Entry, Note, Number, Record, Rule, Rules, TEXT_MAX_BYTES, What, Writer,
};
use cardcage_plugin_api::manifest::MetricKind;

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The block ends in the middle of a record.
    #[error("a record is cut off by the block's end")]
    Cut,
    /// A number has more than 64 bits, or more than its field has.
    #[error("a number in a record is too large for its field")]
    TooLarge,
    /// A text is longer than [`TEXT_MAX_BYTES`], or no UTF-8.
    #[error("a text in a record is no UTF-8 of at most {TEXT_MAX_BYTES} bytes")]
    BadText,
    /// A kind of record, note, metric, number or rule that this version does not know.
    #[error("a record has a {what} with the number {number}, which this version does not know")]
    Unknown {
        /// Kind of what.
        what: &'static str,
        /// Its number.
        number: u8,
    },
    /// There are more or fewer records than the block's header says.
    #[error("the block has {found} records where its header says {said}")]
    Count {
        /// What the header says.
        said: u32,
        /// What there is; counting ends where there are more.
        found: u32,
    },
}

/// The records of a block, one after the other. The first error ends it.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
    time_ns: i64,
    said: u32,
    found: u32,
    over: bool,
}

impl<'a> Records<'a> {
    pub(super) fn new(bytes: &'a [u8], said: u32) -> Self {
        Self { bytes, time_ns: 0, said, found: 0, over: false }
    }

    fn record(&mut self) -> Result<Record, RecordError> {
        let first = self.byte()?;
        match first & 0x0f {
            kind @ (tag::WRITE | tag::VIOLATION) => self.entry(kind, first & 0xf0).map(Record::Entry),
            // Only entries have more bits in their first byte.
            _ if first & 0xf0 != 0 => Err(RecordError::Unknown { what: "kind", number: first }),
            tag::DECLARATION => self.declaration().map(Record::Declaration),
            tag::WRITER => self.writer().map(Record::Writer),
            tag::BALANCE => self.balance().map(Record::Balance),
            tag::NOTE => {
                let time_ns = self.time()?;
                Ok(Record::Note { time_ns, note: self.note()? })
            }
            _ => Err(RecordError::Unknown { what: "kind", number: first }),
        }
    }

    fn entry(&mut self, kind: u8, flags: u8) -> Result<Entry, RecordError> {
        if flags & !(tag::TURNED | tag::SINGLE) != 0 {
            return Err(RecordError::Unknown { what: "kind", number: kind | flags });
        }
        let turn = |bits: u64| if flags & tag::TURNED == 0 { bits } else { bits.swap_bytes() };
        let (cell, writer) = (self.small()?, self.small()?);
        let time_ns = self.time()?;
        let old = turn(self.number()?);
        let new = old ^ turn(self.number()?);
        let count = if flags & tag::SINGLE == 0 { self.number()? } else { 1 };
        let what = if kind == tag::WRITE {
            What::Write
        } else {
            let number = self.byte()?;
            let rule = usize::from(number).checked_sub(1).and_then(|index| Rule::ALL.get(index));
            let rule = *rule.ok_or(RecordError::Unknown { what: "rule", number })?;
            What::Violation { rule, attempted: turn(self.number()?) }
        };
        Ok(Entry { cell, writer, time_ns, old, new, count, what })
    }

    fn declaration(&mut self) -> Result<Declaration, RecordError> {
        let cell = self.small()?;
        let (component, metric) = (self.text()?, self.text()?);
        let kind = match self.byte()? {
            1 => MetricKind::Counter,
            2 => MetricKind::Gauge,
            3 => MetricKind::Histogram,
            number => return Err(RecordError::Unknown { what: "kind of metric", number }),
        };
        let number = match self.byte()? {
            1 => Number::Float,
            2 => Number::Integer,
            number => return Err(RecordError::Unknown { what: "kind of number", number }),
        };
        let (unit, help) = (self.text()?, self.text()?);
        let rules = self.rules()?;
        let count = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        if count > Declaration::BOUNDS_MAX {
            return Err(RecordError::TooLarge);
        }
        let bounds = (0..count).map(|_| self.float()).collect::<Result<_, _>>()?;
        Ok(Declaration { cell, component, metric, kind, number, unit, help, rules, bounds })
    }

    fn rules(&mut self) -> Result<Rules, RecordError> {
        let which = self.byte()?;
        if which & !(rules::MONOTONIC | rules::MIN | rules::MAX | rules::LARGEST_STEP) != 0 {
            return Err(RecordError::Unknown { what: "set of rules", number: which });
        }
        let mut optional = |bit: u8| if which & bit == 0 { Ok(None) } else { self.float().map(Some) };
        Ok(Rules {
            monotonic: which & rules::MONOTONIC != 0,
            min: optional(rules::MIN)?,
            max: optional(rules::MAX)?,
            largest_step: optional(rules::LARGEST_STEP)?,
        })
    }

    fn writer(&mut self) -> Result<Writer, RecordError> {
        Ok(Writer {
            cell: self.small()?,
            writer: self.small()?,
            time_ns: self.time()?,
            generation: self.small()?,
            thread: self.text()?,
        })
    }

    fn balance(&mut self) -> Result<Balance, RecordError> {
        Ok(Balance {
            cell: self.small()?,
            writer: self.small()?,
            value: u64::from_le_bytes(self.array()?),
            writes: self.number()?,
            violations: self.number()?,
        })
    }

    fn note(&mut self) -> Result<Note, RecordError> {
        Ok(match self.byte()? {
            note::BEGAN => Note::Began { version: self.text()?, detail: self.text()? },
            note::ENDED => Note::Ended,
            note::OPENED => Note::Opened {
                file: self.number()?,
                declarations: self.small()?,
                writers: self.small()?,
                balances: self.small()?,
            },
            note::REMOVED => Note::Removed { first_kept: self.number()? },
            note::SET_ASIDE => Note::SetAside { files: self.text()?, why: self.text()? },
            note::UNDECLARED => {
                Note::Undeclared { component: self.text()?, metric: self.text()?, count: self.number()? }
            }
            note::REMARK => Note::Remark { text: self.text()? },
            number => return Err(RecordError::Unknown { what: "kind of note", number }),
        })
    }

    fn time(&mut self) -> Result<i64, RecordError> {
        let zigzag = self.number()?;
        let step = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
        self.time_ns = self.time_ns.wrapping_add(step);
        Ok(self.time_ns)
    }

    fn text(&mut self) -> Result<String, RecordError> {
        let length = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        if length > TEXT_MAX_BYTES {
            return Err(RecordError::BadText);
        }
        let (text, rest) = self.bytes.split_at_checked(length).ok_or(RecordError::Cut)?;
        self.bytes = rest;
        String::from_utf8(text.to_vec()).map_err(|_| RecordError::BadText)
    }

    fn float(&mut self) -> Result<f64, RecordError> {
        self.array().map(|bytes| f64::from_bits(u64::from_le_bytes(bytes)))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let (array, rest) = self.bytes.split_first_chunk().ok_or(RecordError::Cut)?;
        self.bytes = rest;
        Ok(*array)
    }

    fn small(&mut self) -> Result<u32, RecordError> {
        u32::try_from(self.number()?).map_err(|_| RecordError::TooLarge)
    }

    fn number(&mut self) -> Result<u64, RecordError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if shift == 63 && part > 1 {
                return Err(RecordError::TooLarge);
            }
            number |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(RecordError::TooLarge)
    }

    fn byte(&mut self) -> Result<u8, RecordError> {
        let (byte, rest) = self.bytes.split_first().ok_or(RecordError::Cut)?;
        self.bytes = rest;
        Ok(*byte)
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        if self.bytes.is_empty() || self.found == self.said {
            self.over = true;
            let whole = self.bytes.is_empty() && self.found == self.said;
            let found = if self.bytes.is_empty() { self.found } else { self.found.saturating_add(1) };
            return (!whole).then_some(Err(RecordError::Count { said: self.said, found }));
        }
        let record = self.record();
        self.over = record.is_err();
        self.found += 1;
        Some(record)
    }
}
