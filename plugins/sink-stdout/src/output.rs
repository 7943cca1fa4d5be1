//! Standard output: what it is, how large it is, and writes that end in words if its reader goes away.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::termios::tcgetwinsize;
use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use thiserror::Error;

/// Where a terminal does not say its size: the size of a terminal for sixty years.
const SIZE_UNKNOWN: Size = Size { columns: 80, rows: 24 };

/// Why nothing can be shown.
#[derive(Debug, Error)]
pub(crate) enum OutputError {
    #[error(
        "`format: table` needs a terminal, and standard output is none; use `format: ndjson`, `csv`, `line_protocol` or `auto`"
    )]
    NoTerminal,
    #[error("standard output is not open")]
    NotOpen { source: io::Error },
    #[error("the reader of standard output went away (broken pipe)")]
    ReaderGone,
    #[error("cannot write to standard output")]
    Write { source: io::Error },
}

/// A terminal's size in character cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

/// What a terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Coloured,
}

/// Standard output, without the standard library's own buffer.
pub(crate) struct Output {
    file: File,
}

impl Output {
    /// The process's standard output.
    pub(crate) fn standard() -> Result<Self, OutputError> {
        let descriptor =
            io::stdout().as_fd().try_clone_to_owned().map_err(|source| OutputError::NotOpen { source })?;
        Ok(Self::to(File::from(descriptor)))
    }

    /// Output to this file.
    pub(crate) fn to(file: File) -> Self {
        Self { file }
    }

    pub(crate) fn is_terminal(&self) -> bool {
        self.file.is_terminal()
    }

    /// Whether it is a terminal that can move its cursor.
    pub(crate) fn can_show_table(&self) -> bool {
        self.is_terminal() && std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb")
    }

    /// Colours, unless `NO_COLOR` is set (<https://no-color.org>).
    pub(crate) fn style() -> Style {
        if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
            Style::Plain
        } else {
            Style::Coloured
        }
    }

    pub(crate) fn size(&self) -> Size {
        match tcgetwinsize(&self.file) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
                Size { columns: usize::from(size.ws_col), rows: usize::from(size.ws_row) }
            }
            _ => SIZE_UNKNOWN,
        }
    }

    /// Writes all of it.
    pub(crate) fn write(&mut self, text: &[u8]) -> Result<(), OutputError> {
        let mut rest = text;
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return Err(OutputError::ReaderGone),
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // A program that shares the terminal can have made it non-blocking for us, too.
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait()?,
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Err(OutputError::ReaderGone),
                Err(source) => return Err(OutputError::Write { source }),
            }
        }
        Ok(())
    }

    fn wait(&self) -> Result<(), OutputError> {
        let mut waited = [PollFd::new(&self.file, PollFlags::OUT)];
        match poll(&mut waited, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(OutputError::Write { source: error.into() }),
        }
    }
}
