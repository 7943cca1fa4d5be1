//! The program's output, on its way to becoming records.

use crate::settings::Checked;
use cardcage_codec::Reader;
use cardcage_codec::lines::{Filled, Window};
use cardcage_codec::rejects::{Place, Rejections};
use cardcage_plugin_api::prelude::*;
use std::io::{self, Read};

/// A reason of this source, beside those of the formats: the program was killed within a line.
pub(crate) const CUT_OFF: &str = "cut_off";

/// What was read of the output, and how far it is taken.
pub(crate) struct Output {
    host: Host,
    program: String,
    reader: Reader,
    window: Window,
    rejections: Rejections,
    cut_off: u64,
    /// Lines and bytes taken of this run.
    line: u64,
    position: u64,
    /// Bytes taken of all runs.
    position_in_all: u64,
}

impl Output {
    pub(crate) fn new(host: &Host, settings: &Checked) -> Result<Self, PluginError> {
        Ok(Self {
            host: host.clone(),
            program: settings.command.name.clone(),
            reader: Reader::new(settings.format, &settings.read),
            window: Window::new(settings.read.max_line),
            rejections: Rejections::new(settings.rejects.as_deref())?,
            cut_off: 0,
            line: 0,
            position: 0,
            position_in_all: 0,
        })
    }

    /// Begins another run.
    pub(crate) fn begin(&mut self) {
        (self.line, self.position) = (0, 0);
        self.window.clear();
        self.reader.begin(None);
    }

    /// One read; `None` at the end.
    pub(crate) fn refill(&mut self, from: &mut impl Read) -> io::Result<Option<u64>> {
        Ok(match self.window.refill(from)? {
            Filled::More(bytes) => Some(bytes),
            Filled::End => None,
        })
    }

    /// Turns the whole lines that were read into records, as far as `out` has room; at the end the last one, too. Whether
    /// more of them wait for more room.
    pub(crate) fn take(&mut self, out: &mut Batch<'_>, end: bool) -> bool {
        let Self { host, program, reader, window, rejections, line, position, position_in_all, .. } = self;
        loop {
            // First of all the rest of a line that is too long, which is no line of its own.
            let skipped = window.skip_long_line();
            if let Some(skipped) = &skipped {
                let place = Place { stream: program, line: *line, position: *position };
                rejections.add_skipped(place, skipped);
                reader.skip_line();
                *position += skipped.bytes;
                *position_in_all += skipped.bytes;
                *line += u64::from(skipped.ended);
            }
            let place = Place { stream: program, line: *line, position: *position };
            let taken = reader.fill(window.unread(), end, out, host, &mut |rejected| {
                rejections.add(place, rejected);
            });
            window.consume(taken.bytes);
            *position += taken.bytes as u64;
            *position_in_all += taken.bytes as u64;
            *line += taken.lines;
            if out.remaining() == 0 || taken.no_room {
                return true;
            }
            if window.unread().is_empty() || taken.bytes == 0 && skipped.is_none() {
                return false;
            }
        }
    }

    /// Takes what a program left behind that has ended; `false` if that needs another batch. The last line may lack its
    /// line end, unless the program was killed within it.
    pub(crate) fn take_rest(&mut self, out: &mut Batch<'_>, killed: bool) -> bool {
        if !killed && self.take(out, true) && !self.window.unread().is_empty() {
            return false;
        }
        // Half a line.
        self.cut_off += u64::from(!self.window.unread().is_empty() && !self.window.is_skipping());
        self.window.clear();
        true
    }

    /// Gives what was counted to the ledger, and the position behind what was taken to the batch.
    pub(crate) fn report(&mut self, out: &mut Batch<'_>) {
        self.rejections.report(out);
        out.reject(CUT_OFF, std::mem::take(&mut self.cut_off));
        out.set_position(0, self.position_in_all);
    }

    /// Whether there is something to report besides records.
    pub(crate) fn has_rejections(&self) -> bool {
        self.rejections.any() || self.cut_off > 0
    }

    /// Says how many lines were rejected in all.
    pub(crate) fn summarize(&mut self) {
        self.rejections.summarize();
    }

    /// Lines taken of this run.
    pub(crate) fn lines(&self) -> u64 {
        self.line
    }

    /// Bytes read and not taken.
    pub(crate) fn unread(&self) -> u64 {
        self.window.unread().len() as u64
    }
}
