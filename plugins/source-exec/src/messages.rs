//! What the program writes to standard error: into the log, line by line, however much it is.

use cardcage_plugin_api::tracing;
use std::time::{Duration, Instant};

/// The longest line that the log gets; the rest of it is left out, which [`CUT`] says.
const LINE_BYTES_MAX: usize = 1024;
/// By this the host knows that a secret may have been cut there, and hides what is left of it.
const CUT: char = '…';
/// So many lines are logged in each span of time; the others are counted.
const LINES_PER_SPAN: u32 = 20;
const SPAN: Duration = Duration::from_secs(10);

/// The program's messages on their way into the log.
pub(crate) struct Messages {
    program: String,
    line: Vec<u8>,
    is_cut: bool,
    span_began: Instant,
    logged: u32,
    held_back: u64,
}

impl Messages {
    pub(crate) fn new(program: String) -> Self {
        Self { program, line: Vec::new(), is_cut: false, span_began: Instant::now(), logged: 0, held_back: 0 }
    }

    /// Takes what was read, and logs the lines that ended in it; how many there were.
    pub(crate) fn take(&mut self, text: &[u8], now: Instant) -> u64 {
        let mut ended = 0;
        for piece in text.split_inclusive(|byte| *byte == b'\n') {
            let content = piece.strip_suffix(b"\n");
            let room = LINE_BYTES_MAX.saturating_sub(self.line.len());
            let body = content.unwrap_or(piece);
            self.line.extend_from_slice(&body[..body.len().min(room)]);
            self.is_cut |= body.len() > room;
            if content.is_some() {
                ended += 1;
                self.log(now);
            }
        }
        ended
    }

    /// The program has ended: what it left of a line is logged, and how many lines were not.
    pub(crate) fn end(&mut self, now: Instant) {
        self.log(now);
        self.tell_held_back();
    }

    fn log(&mut self, now: Instant) {
        if now.saturating_duration_since(self.span_began) >= SPAN {
            self.tell_held_back();
            (self.span_began, self.logged) = (now, 0);
        }
        let text = String::from_utf8_lossy(&self.line);
        // Cutting may have split a character.
        let text = if self.is_cut {
            format!("{}{CUT}", text.trim_end_matches(char::REPLACEMENT_CHARACTER))
        } else {
            text.trim_end().to_owned()
        };
        if text.is_empty() {
            // Nothing to say.
        } else if self.logged >= LINES_PER_SPAN {
            self.held_back += 1;
        } else {
            self.logged += 1;
            // Nothing in it may steer a terminal.
            let text: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
            tracing::warn!(program = self.program, "{text}");
        }
        self.line.clear();
        self.is_cut = false;
    }

    fn tell_held_back(&mut self) {
        if self.held_back > 0 {
            tracing::warn!(
                program = self.program,
                held_back = self.held_back,
                "more lines on its standard error than the log takes"
            );
            self.held_back = 0;
        }
    }
}
