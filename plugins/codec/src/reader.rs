//! One reader for every format.

use crate::dictionary::Dictionary;
use crate::format::Format;
use crate::reject::{About, Reason, Rejected, Rejection};
use crate::settings::ReadSettings;
use crate::{csv, line_protocol, ndjson};
use cardcage_plugin_api::{Batch, Host, Record};

/// Turns lines into records.
///
/// It remembers what sensors and units look like in the data, so one reader is kept for as long as its source runs and
/// may go from file to file ([`Reader::begin`]). It is bound to the dictionary that it is first called with.
pub struct Reader {
    form: Form,
    /// See [`Reader::header`].
    header: Option<Box<[u8]>>,
    /// The most room that [`Reader::fill`] was ever given: the host lends the free part of a batch.
    batch_records: usize,
    line_max: usize,
}

enum Form {
    Ndjson(Box<ndjson::Reader>),
    Csv(Box<csv::Reader>),
    LineProtocol(Box<line_protocol::Reader>),
}

/// What holds for one call.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// The time for readings without one, UTC nanoseconds since 1970; their quality says so.
    pub now_ns: i64,
    /// How many records a whole batch holds. A line of line protocol with more of them is rejected; one that fits a
    /// batch but not the rest of this one is left for the next call.
    pub batch_records: usize,
}

/// How far a call got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Bytes used up, always whole lines. 0: there is no whole line yet, or no room.
    pub bytes: usize,
    /// Line ends among them (and a last line without one).
    pub lines: u64,
    /// Records written to the start of the room.
    pub records: usize,
    /// The next line is whole and has more records than there is room left, but not more than a batch holds. Without it,
    /// and with room left, what was not taken is the beginning of a line, also where line ends are in it.
    pub no_room: bool,
}

/// What Windows programs put in front of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

impl Reader {
    /// A reader at the first byte of a file.
    pub fn new(format: Format, settings: &ReadSettings) -> Self {
        let form = match format {
            Format::Ndjson => Form::Ndjson(Box::new(ndjson::Reader::new(settings.clone()))),
            Format::LineProtocol => Form::LineProtocol(Box::new(line_protocol::Reader::new(settings))),
            Format::Csv => Form::Csv(Box::new(csv::Reader::new(settings))),
        };
        Self { form, header: None, batch_records: 0, line_max: settings.max_line }
    }

    /// Goes to another file: to its first byte (`None`), or into its middle with what [`Reader::header`] said there.
    pub fn begin(&mut self, header: Option<&[u8]>) {
        self.header = header.map(Into::into);
        if let Form::Csv(reader) = &mut self.form {
            reader.begin(header);
        }
    }

    /// A line was thrown away before it came here ([`crate::lines::Window::skip_long_line`]): what follows does not begin
    /// the file.
    pub fn skip_line(&mut self) {
        self.header.get_or_insert_default();
    }

    /// What is needed to go on in the middle of this file: the line of CSV that names the columns, empty if the format
    /// has none. `None` before it was read: then only the file's start will do.
    pub fn header(&self) -> Option<&[u8]> {
        match &self.form {
            Form::Csv(reader) if self.header.is_some() => reader.header(),
            _ => self.header.as_deref(),
        }
    }

    /// Reads the lines at the start of `text` into `room` until either is used up. `end`: nothing follows, so the last
    /// line may lack its line end. Lines that are no readings go to `rejected`, in order.
    pub fn read<D: Dictionary>(
        &mut self,
        text: &[u8],
        end: bool,
        room: &mut [Record],
        round: Round,
        dictionary: &D,
        rejected: &mut dyn FnMut(&Rejected<'_>),
    ) -> Taken {
        if self.header.is_some() || text.is_empty() {
            return self.read_on(text, end, room, round, dictionary, rejected);
        }
        if text.len() < BYTE_ORDER_MARK.len() && !end {
            return Taken::default();
        }
        let Some(rest) = text.strip_prefix(BYTE_ORDER_MARK) else {
            return self.read_on(text, end, room, round, dictionary, rejected);
        };
        // The mark is part of the first line, as it is where lines are cut (see `lines::Window`).
        if let Some(len) = first_line(text, end).filter(|len| *len > self.line_max) {
            let raw = text[..len].strip_suffix(b"\n").unwrap_or(&text[..len]);
            let rejection = Rejection::new(Reason::TooLong, 0);
            rejected(&Rejected { rejection, line: 0, at: 0, raw, about: About::Nothing });
            self.skip_line();
            return Taken { bytes: len, lines: 1, ..Taken::default() };
        }
        let taken = self.read_on(rest, end, room, round, dictionary, &mut |line| {
            rejected(&Rejected { at: line.at + BYTE_ORDER_MARK.len(), ..*line });
        });
        // Taken together with the first line: in the middle of a file the mark would be part of it.
        if taken.bytes == 0 && !end {
            taken
        } else {
            Taken { bytes: taken.bytes + BYTE_ORDER_MARK.len(), ..taken }
        }
    }

    #[inline]
    fn read_on<D: Dictionary>(
        &mut self,
        text: &[u8],
        end: bool,
        room: &mut [Record],
        round: Round,
        dictionary: &D,
        rejected: &mut dyn FnMut(&Rejected<'_>),
    ) -> Taken {
        let Self { form, header, .. } = self;
        let taken = match form {
            Form::Ndjson(reader) => reader.read(text, end, room, round.now_ns, dictionary, rejected),
            Form::Csv(reader) => reader.read(text, end, room, round.now_ns, dictionary, rejected),
            Form::LineProtocol(reader) => reader.read(text, end, room, round, dictionary, rejected),
        };
        if header.is_none() && taken.bytes > 0 {
            *header = Some(Box::default());
        }
        taken
    }

    /// [`Reader::read`] into the free room of a batch.
    pub fn fill(
        &mut self,
        text: &[u8],
        end: bool,
        out: &mut Batch<'_>,
        host: &Host,
        rejected: &mut dyn FnMut(&Rejected<'_>),
    ) -> Taken {
        self.batch_records = self.batch_records.max(out.capacity());
        let round = Round { now_ns: out.now_ns(), batch_records: self.batch_records };
        let mut taken = Taken::default();
        out.fill_with(|room| {
            taken = self.read(text, end, room, round, host, rejected);
            taken.records
        });
        taken
    }
}

/// The bytes of the line at the start of `text`, line end included; `None` if its end is not there. `end`: nothing
/// follows the text.
pub(crate) fn first_line(text: &[u8], end: bool) -> Option<usize> {
    memchr::memchr(b'\n', text).map(|at| at + 1).or(end.then_some(text.len()))
}
