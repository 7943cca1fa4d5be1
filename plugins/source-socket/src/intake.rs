//! What came in, on its way to becoming records: one window and one reader for all connections, which take turns.
//!
//! A connection's turn begins with [`Intake::load`], which brings the unfinished line that it left behind, and ends with
//! [`Intake::unload`]. Between them one read is made and all whole lines are taken, over as many batches as that needs.
//! So a connection costs what it left of a line, and all of them together what `max_held` allows.

use crate::account::Seldom;
use crate::connection::{Connection, Datagram, Frame};
use crate::settings::{Checked, Framing};
use cardcage_codec::Reader;
use cardcage_codec::lines::{Filled, Skipped, Window};
use cardcage_codec::rejects::{Place, Rejections};
use cardcage_plugin_api::prelude::*;
use cardcage_plugin_api::tracing;
use std::io;
use std::time::Instant;

/// Lengths above this, the largest `max_line` that can be set, are no lengths: the stream is something else.
const FRAME_BYTES_MAX: usize = 64 << 20;
/// What a message and the file of rejects get of what is thrown away.
const SHOWN_BYTES: usize = 256;

/// Reasons of this source, beside those of the formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The connection broke in the middle of a line or frame.
    CutOff,
    /// A length that cannot be one.
    BadFrame,
    /// A datagram that is longer than its room.
    Truncated,
}

impl Broken {
    pub(crate) const ALL: [Self; 3] = [Self::CutOff, Self::BadFrame, Self::Truncated];

    /// The name in the ledger.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::CutOff => "cut_off",
            Self::BadFrame => "bad_frame",
            Self::Truncated => "truncated",
        }
    }
}

/// How far a call got with what is in the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// There is no more room; there may be more in the window.
    Full,
    /// Everything whole is taken.
    Dry,
    /// The stream makes no sense any more.
    Nonsense,
}

pub(crate) struct Intake {
    host: Host,
    reader: Reader,
    /// Whose columns the reader knows.
    reader_at: Option<u64>,
    window: Window,
    framing: Framing,
    line_max: usize,
    held: usize,
    held_max: usize,
    rejections: Rejections,
    broken: [u64; Broken::ALL.len()],
    broken_seldom: Seldom,
    /// Bytes taken of all streams.
    position: u64,
    /// Bytes read since they were last asked for.
    received: u64,
}

impl Intake {
    pub(crate) fn new(host: &Host, settings: &Checked) -> Result<Self, PluginError> {
        Ok(Self {
            host: host.clone(),
            reader: Reader::new(settings.format, &settings.read),
            reader_at: None,
            window: Window::new(settings.read.max_line),
            framing: settings.framing,
            line_max: settings.read.max_line,
            held: 0,
            held_max: settings.max_held,
            rejections: Rejections::new(settings.rejects.as_deref())?,
            broken: [0; Broken::ALL.len()],
            broken_seldom: Seldom::default(),
            position: 0,
            received: 0,
        })
    }

    /// Begins a connection's turn.
    pub(crate) fn load(&mut self, connection: &mut Connection) {
        self.window.clear();
        self.window.append(&connection.held);
        self.held -= connection.held.len();
        connection.hold(&[]);
        self.read_as(connection);
    }

    /// One read of a stream.
    pub(crate) fn receive(&mut self, connection: &Connection) -> io::Result<Filled> {
        let filled = self.window.refill(&mut connection.stream())?;
        if let Filled::More(bytes) = filled {
            self.received += bytes;
        }
        Ok(filled)
    }

    /// Reads the next datagram in place of what is in the window. `false`: it was empty, or did not fit.
    pub(crate) fn receive_datagram(&mut self, connection: &mut Connection) -> io::Result<bool> {
        self.window.clear();
        self.read_as(connection);
        let mut datagram = Datagram::new(&connection.socket);
        let filled = self.window.refill(&mut datagram)?;
        let (peer, lost) = (datagram.peer, datagram.lost);
        (connection.peer, connection.line, connection.position) = (peer, 0, 0);
        let Filled::More(bytes) = filled else {
            return Ok(false);
        };
        self.received += bytes;
        if lost > 0 {
            self.window.clear();
            self.reject(connection, Broken::Truncated, "a datagram is longer than 64 KiB");
            return Ok(false);
        }
        connection.frame = Frame::Body(self.window.unread().len());
        Ok(true)
    }

    /// Turns what is whole in the window into records. At the end of a stream the last line may lack its line end.
    pub(crate) fn take(&mut self, connection: &mut Connection, out: &mut Batch<'_>) -> Progress {
        match self.framing {
            Framing::Line => self.take_lines(connection, out),
            Framing::Length => self.take_frames(connection, out),
        }
    }

    /// The same for a datagram.
    pub(crate) fn take_datagram(&mut self, connection: &mut Connection, out: &mut Batch<'_>) -> Progress {
        match connection.frame {
            Frame::Body(left) => self.take_body(connection, left, out),
            _ => Progress::Dry,
        }
    }

    /// Ends a connection's turn: what is left in the window is the beginning of a line.
    pub(crate) fn unload(&mut self, connection: &mut Connection) {
        if connection.header.is_none() {
            connection.header = self.reader.header().map(Into::into);
        }
        let len = self.window.unread().len();
        // The beginning of a length is kept in any case: without it the stream could not be gone on with.
        if len < 4 || self.held + len <= self.held_max {
            connection.hold(self.window.unread());
            self.held += len;
            return;
        }
        self.throw_away(connection, len);
        self.count_taken(connection, len);
        match connection.frame {
            Frame::Body(left) => connection.frame = Frame::Skip(left.saturating_sub(len)),
            _ => connection.skipping = true,
        }
    }

    /// A connection is no more: what it left of a line is kept no longer.
    pub(crate) fn release(&mut self, connection: &Connection) {
        self.held -= connection.held.len();
    }

    /// Rejects what a connection left of a line, if it left one.
    pub(crate) fn cut_off(&mut self, connection: &Connection, why: &str) {
        let inside = !connection.held.is_empty() || matches!(connection.frame, Frame::Body(_));
        if inside && !connection.skipping {
            self.reject(connection, Broken::CutOff, why);
        }
    }

    /// Gives what was counted to the ledger, and the position behind what was taken to the batch.
    pub(crate) fn report(&mut self, out: &mut Batch<'_>) {
        self.rejections.report(out);
        for (broken, count) in Broken::ALL.into_iter().zip(std::mem::take(&mut self.broken)) {
            out.reject(broken.name(), count);
        }
        // One stream: order holds within a connection, and no position of it can be gone back to.
        out.set_position(0, self.position);
    }

    /// Whether there is something to report besides records.
    pub(crate) fn has_rejections(&self) -> bool {
        self.rejections.any() || self.broken.iter().any(|count| *count > 0)
    }

    /// How many bytes were read since this was last asked.
    pub(crate) fn take_received(&mut self) -> u64 {
        std::mem::take(&mut self.received)
    }

    /// How many bytes of unfinished lines are kept.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// Says how many lines were rejected in all.
    pub(crate) fn summarize(&mut self) {
        self.rejections.summarize();
    }

    /// Lets the reader know the columns of this connection.
    fn read_as(&mut self, connection: &Connection) {
        if self.reader_at != Some(connection.serial) {
            self.reader.begin(connection.header.as_deref());
            self.reader_at = Some(connection.serial);
        }
    }

    fn take_lines(&mut self, connection: &mut Connection, out: &mut Batch<'_>) -> Progress {
        loop {
            if connection.skipping && !self.skip_to_line_end(connection) {
                return Progress::Dry;
            }
            let before = self.window.unread().len();
            let taken = self.read(connection, before, connection.ended, out);
            if out.remaining() == 0 {
                return Progress::Full;
            }
            if let Some(skipped) = self.window.skip_long_line() {
                connection.skipping = !skipped.ended;
                self.skip(connection, &skipped);
                continue;
            }
            let rest = self.window.unread();
            match (taken, rest.len()) {
                (_, 0) => return Progress::Dry,
                // More than a whole batch takes, or more than a line has, of which nothing can be made.
                (0, len) if out.is_empty() && (connection.ended || len > self.line_max) => {
                    self.throw_away(connection, len);
                    self.count_taken(connection, len);
                    return Progress::Dry;
                }
                (0, _) if connection.ended => return Progress::Full,
                (_, _) if connection.ended => {}
                // Whole lines that wait for a larger room; with an empty one it is a quoted line end of CSV.
                _ if !out.is_empty() && memchr::memchr(b'\n', rest).is_some() => return Progress::Full,
                _ => return Progress::Dry,
            }
        }
    }

    fn take_frames(&mut self, connection: &mut Connection, out: &mut Batch<'_>) -> Progress {
        loop {
            let unread = self.window.unread();
            match connection.frame {
                Frame::Length => {
                    let Some(length) = unread.first_chunk::<4>() else {
                        return Progress::Dry;
                    };
                    let len = u32::from_be_bytes(*length) as usize;
                    self.count_taken(connection, 4);
                    if len > FRAME_BYTES_MAX {
                        let what = "what should be the length of a frame is more than 64 MiB; are lines sent \
                                    (`framing: line`)?";
                        self.reject(connection, Broken::BadFrame, what);
                        return Progress::Nonsense;
                    }
                    connection.frame = match len {
                        0 => Frame::Length,
                        len if len > self.line_max => {
                            self.throw_away(connection, len);
                            Frame::Skip(len)
                        }
                        len => Frame::Body(len),
                    };
                }
                Frame::Skip(left) => {
                    let here = left.min(unread.len());
                    self.count_taken(connection, here);
                    if here < left {
                        connection.frame = Frame::Skip(left - here);
                        return Progress::Dry;
                    }
                    connection.frame = Frame::Length;
                }
                Frame::Body(left) if unread.len() < left => return Progress::Dry,
                Frame::Body(left) => match self.take_body(connection, left, out) {
                    Progress::Dry => {}
                    other => return other,
                },
            }
            if out.remaining() == 0 {
                return Progress::Full;
            }
        }
    }

    /// Takes the lines of a frame that is all there. `Dry`: it is used up.
    fn take_body(&mut self, connection: &mut Connection, left: usize, out: &mut Batch<'_>) -> Progress {
        let mut left = left;
        while left > 0 {
            if out.remaining() == 0 {
                connection.frame = Frame::Body(left);
                return Progress::Full;
            }
            let taken = self.read(connection, left, true, out);
            left -= taken;
            if taken == 0 && !out.is_empty() {
                connection.frame = Frame::Body(left);
                return Progress::Full;
            }
            if taken == 0 {
                self.throw_away(connection, left);
                self.count_taken(connection, left);
                break;
            }
        }
        connection.frame = Frame::Length;
        Progress::Dry
    }

    /// Reads records from the first `len` bytes in the window; how many bytes that took.
    fn read(&mut self, connection: &mut Connection, len: usize, end: bool, out: &mut Batch<'_>) -> usize {
        let Self { host, reader, window, rejections, .. } = self;
        let Connection { peer, line, position, .. } = &*connection;
        let place = Place { stream: peer, line: *line, position: *position };
        let taken = reader.fill(&window.unread()[..len], end, out, host, &mut |rejected| {
            rejections.add(place, rejected);
        });
        self.count_taken(connection, taken.bytes);
        connection.line += taken.lines;
        if taken.lines > 0 {
            connection.heard = Instant::now();
        }
        taken.bytes
    }

    fn count_taken(&mut self, connection: &mut Connection, bytes: usize) {
        self.window.consume(bytes);
        connection.position += bytes as u64;
        self.position += bytes as u64;
    }

    /// Throws away what is left of a line that is too long; whether its end was there.
    fn skip_to_line_end(&mut self, connection: &mut Connection) -> bool {
        let unread = self.window.unread();
        let line_end = memchr::memchr(b'\n', unread);
        let len = line_end.map_or(unread.len(), |at| at + 1);
        self.count_taken(connection, len);
        connection.line += u64::from(line_end.is_some());
        connection.skipping = line_end.is_none();
        !connection.skipping
    }

    /// Counts what the window threw away.
    fn skip(&mut self, connection: &mut Connection, skipped: &Skipped) {
        let place = Place { stream: &connection.peer, line: connection.line, position: connection.position };
        self.rejections.add_skipped(place, skipped);
        self.reader.skip_line();
        connection.position += skipped.bytes;
        connection.line += u64::from(skipped.ended);
        self.position += skipped.bytes;
    }

    /// Rejects `len` bytes as too long, of which some are in the window, and leaves them there.
    fn throw_away(&mut self, connection: &Connection, len: usize) {
        let unread = self.window.unread();
        let begun = Some(unread[..unread.len().min(len).min(SHOWN_BYTES)].into());
        let place = Place { stream: &connection.peer, line: connection.line, position: connection.position };
        self.rejections.add_skipped(place, &Skipped { begun, ended: false, bytes: len as u64 });
    }

    #[cold]
    fn reject(&mut self, connection: &Connection, broken: Broken, what: &str) {
        self.broken[broken as usize] += 1;
        if let Some(rejected) = self.broken_seldom.count() {
            tracing::warn!(
                peer = %connection.peer,
                line = connection.line + 1,
                byte = connection.position,
                rejected,
                "input rejected ({}): {what}",
                broken.name(),
            );
        }
    }
}
