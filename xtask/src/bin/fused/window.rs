//! A file's lines, read in large pieces.

use memchr::{memchr, memrchr};
use std::fs::File;
use std::io::{self, Read};

/// Stays in the second-level cache together with the output, and makes system calls rare.
pub(crate) const BUFFER_BYTES: usize = 256 * 1024;
/// Readable behind the last line, so that comparisons may take whole words.
pub(crate) const SLACK_BYTES: usize = 64;

/// How many lines there were, and how many of them were not understood.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lines {
    pub(crate) all: u64,
    pub(crate) rejected: u64,
}

/// Gives `line` what begins with each line, and has at least [`SLACK_BYTES`] behind its end; takes from it the line's
/// length with its newline. `None`: the line is none of this program's, and is skipped.
#[inline]
pub(crate) fn each_line(
    mut input: File,
    mut line: impl FnMut(&[u8]) -> io::Result<Option<usize>>,
) -> io::Result<Lines> {
    let mut lines = Lines::default();
    let mut buffer = vec![0; BUFFER_BYTES + SLACK_BYTES];
    let mut filled = 0;
    loop {
        let read = input.read(&mut buffer[filled..BUFFER_BYTES])?;
        filled += read;
        if read == 0 && filled > 0 && filled < BUFFER_BYTES && buffer[filled - 1] != b'\n' {
            buffer[filled] = b'\n';
            filled += 1;
        }
        let whole = match memrchr(b'\n', &buffer[..filled]) {
            Some(at) => at + 1,
            None if filled == 0 => return Ok(lines),
            None => return Err(io::Error::other("a line is longer than the buffer")),
        };
        let mut at = 0;
        while at < whole {
            lines.all += 1;
            let rest = &buffer[at..];
            if let Some(length) = line(rest)? {
                at += length;
            } else {
                lines.rejected += 1;
                at += memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            }
        }
        buffer.copy_within(whole..filled, 0);
        filled -= whole;
    }
}
