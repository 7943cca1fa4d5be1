//! Reads readings from standard input: what another program pipes in.

#![forbid(unsafe_code)]

use cardcage_codec::lines::{Filled, Window};
use cardcage_codec::rejects::{Place, Rejections};
use cardcage_codec::{Format, InputSettings, Reader};
use cardcage_plugin_api::prelude::*;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use thiserror::Error;

/// How much one call reads at most, so that a stream of lines that are no readings cannot keep the lane from draining.
const BYTES_PER_FILL_MAX: u64 = 4 << 20;

/// Whether a component has standard input: two would each get a part of it.
static TAKEN: AtomicBool = AtomicBool::new(false);

cardcage_codec::input_settings! {
    /// Settings of the source. Without `format`, it is ndjson.
    #[derive(Clone, Debug)]
    pub struct StdinSettings {}
}

impl StdinSettings {
    fn lines(&self) -> InputSettings {
        InputSettings { format: Some(self.format.unwrap_or(Format::Ndjson)), ..self.input() }
    }
}

/// Why standard input cannot be read.
#[derive(Debug, Error)]
enum StdinError {
    #[error("another component reads standard input already; there can be one")]
    Taken,
    #[error("cannot open standard input")]
    Open(#[source] io::Error),
    #[error("cannot read standard input at byte {position}")]
    Read { position: u64, source: io::Error },
}

/// The source.
pub struct StdinSource {
    host: Host,
    reader: Reader,
    window: Window,
    rejections: Rejections,
    input: File,
    position: u64,
    line: u64,
    finished: bool,
    /// Given back when the source goes.
    #[expect(dead_code, reason = "held for what its end does")]
    taken: Option<Taken>,
}

/// Standard input, for one component.
struct Taken;

impl Taken {
    fn take() -> Result<Self, StdinError> {
        if TAKEN.swap(true, Ordering::AcqRel) { Err(StdinError::Taken) } else { Ok(Self) }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        TAKEN.store(false, Ordering::Release);
    }
}

impl Source for StdinSource {
    type Settings = StdinSettings;

    fn describe(settings: &StdinSettings) -> Description {
        let input = settings.lines();
        let formats: Vec<Format> = input.format.into_iter().collect();
        input.problems(Description::source().does(Capability::Finite), &formats)
    }

    fn open(settings: StdinSettings, host: &Host) -> Result<Self, PluginError> {
        let input = io::stdin().as_fd().try_clone_to_owned().map_err(StdinError::Open)?;
        let source = Self::reading(input.into(), &settings, host)?;
        Ok(Self { taken: Some(Taken::take()?), ..source })
    }

    fn fill(&mut self, out: &mut Batch<'_>, wait_until_ns: i64) -> Result<Fill, PluginError> {
        let filled = self.fill_from(out, wait_until_ns);
        out.set_position(0, self.position);
        self.rejections.report(out);
        if self.finished {
            self.rejections.summarize();
        }
        Ok(filled?)
    }
}

impl StdinSource {
    /// Reads from this file as if it were standard input.
    fn reading(input: File, settings: &StdinSettings, host: &Host) -> Result<Self, PluginError> {
        let lines = settings.lines();
        let (format, read) = lines.read_settings(None)?;
        Ok(Self {
            host: host.clone(),
            reader: Reader::new(format, &read),
            window: Window::new(read.max_line),
            rejections: Rejections::new(lines.rejects.as_deref())?,
            input,
            position: 0,
            line: 0,
            finished: false,
            taken: None,
        })
    }

    fn fill_from(&mut self, out: &mut Batch<'_>, wait_until_ns: i64) -> Result<Fill, StdinError> {
        let mut read_bytes = 0;
        while !self.finished {
            // A line with more readings than there is room for waits for the next batch; reading on would only pile up
            // text. One whose end has not come is read on, also where it has line ends in it.
            let waits = self.take_lines(out, false);
            if out.remaining() == 0 || read_bytes >= BYTES_PER_FILL_MAX || waits {
                return Ok(Fill::Produced);
            }
            // What is there goes on at once; only for the first line it waits.
            let has_some = !out.is_empty() || self.rejections.any();
            let wait_ns = if has_some { 0 } else { wait_until_ns.saturating_sub(self.host.now_ns()) };
            if !self.is_ready(wait_ns)? {
                return Ok(if has_some { Fill::Produced } else { Fill::IdleUntil(wait_until_ns) });
            }
            match self.refill()? {
                Filled::More(bytes) => read_bytes += bytes,
                Filled::End => {
                    let waits = self.take_lines(out, true);
                    if !self.window.unread().is_empty() && (waits || out.remaining() == 0) {
                        return Ok(Fill::Produced);
                    }
                    self.finished = true;
                }
            }
        }
        Ok(Fill::Finished)
    }

    /// Whether a read would not wait: something is there, or the end.
    fn is_ready(&self, wait_ns: i64) -> Result<bool, StdinError> {
        let wait_ns = wait_ns.max(0);
        let timeout = Timespec { tv_sec: wait_ns / 1_000_000_000, tv_nsec: wait_ns % 1_000_000_000 };
        match poll(&mut [PollFd::new(&self.input, PollFlags::IN)], Some(&timeout)) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(StdinError::Read { position: self.position, source: error.into() }),
        }
    }

    /// Turns the whole lines in the window into records, as far as `out` has room; at the end the last one, too. Whether
    /// the next line waits for more room.
    fn take_lines(&mut self, out: &mut Batch<'_>, end: bool) -> bool {
        let Self { host, reader, window, rejections, .. } = self;
        let place = Place { stream: &"stdin", line: self.line, position: self.position };
        let taken = reader.fill(window.unread(), end, out, host, &mut |rejected| {
            rejections.add(place, rejected);
        });
        window.consume(taken.bytes);
        self.position += taken.bytes as u64;
        self.line += taken.lines;
        taken.no_room
    }

    /// Reads on. A line that outgrows `max_line` is rejected here and its rest skipped as it comes.
    fn refill(&mut self) -> Result<Filled, StdinError> {
        let filled = match self.window.refill(&mut self.input) {
            // A terminal or socket that someone set so; `is_ready` waits the next time.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Filled::More(0),
            other => other.map_err(|source| StdinError::Read { position: self.position, source })?,
        };
        if let Some(skipped) = self.window.skip_long_line() {
            let place = Place { stream: &"stdin", line: self.line, position: self.position };
            self.rejections.add_skipped(place, &skipped);
            self.reader.skip_line();
            self.position += skipped.bytes;
            self.line += u64::from(skipped.ended);
        }
        Ok(filled)
    }
}

export_plugin! {
    name: "stdin",
    description: "reads readings from standard input",
    components: [source StdinSource as "stdin" { drops, finite, write: [settings.rejects] }],
    probe: none("would take the daemon's input"),
}

#[cfg(test)]
mod tests;
