//! The systemd journal: lines as sets of fields, sent in its native protocol.
//!
//! Our own few lines in place of a library: what we know of drops what cannot be sent, and here no line may be lost
//! without a word. A line's length is bounded, so that each fits into one datagram.

use super::forms::{plain, severity};
use super::line::{Line, cut};
use serde_json::Value;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where the journal listens.
const SOCKET: &str = "/run/systemd/journal/socket";
/// The environment variable that says so where it listens elsewhere: in a container that has it mounted, in tests.
const SOCKET_VARIABLE: &str = "CARDCAGE_JOURNAL_SOCKET";
/// In which a service manager says that stderr leads to the journal: the device and inode of the stream.
const STREAM_VARIABLE: &str = "JOURNAL_STREAM";
/// How long a journal that takes nothing holds up the thread that writes the log. Less than the end of the process waits
/// for that thread: what is said last is then on stderr.
const SEND_PATIENCE: Duration = Duration::from_millis(500);
/// How long a journal that failed is left alone, from then on: else the log would be written at a line each
/// [`SEND_PATIENCE`], and lose most of what is said.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// What the names of our own fields begin with.
const PREFIX: &str = "CARDCAGE_";
/// The longest message, in which escapes take several bytes a character. With the other fields it is far below the 160
/// KiB that a datagram may have on any Linux.
const MESSAGE_MAX_BYTES: usize = 64 * 1024;
/// The longest name of a field that the journal takes.
const NAME_MAX_BYTES: usize = 64;

/// Whether stderr leads to the journal.
pub(crate) fn has_stderr() -> bool {
    let Ok(stream) = std::env::var(STREAM_VARIABLE) else { return false };
    let Ok(stderr) = rustix::fs::fstat(io::stderr()) else { return false };
    stream == format!("{}:{}", stderr.st_dev, stderr.st_ino)
}

/// The way to the journal.
pub(super) struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
    lost: Option<Lost>,
    retry_after: Duration,
}

/// Since the journal last took a line.
struct Lost {
    try_at: Instant,
    lines: u64,
}

/// What became of a line.
#[derive(Debug)]
pub(super) enum Sent {
    Yes,
    /// It is in the journal, which did not take this many before it.
    Again(u64),
    /// It is not; with the reason if it is the first of them.
    No(Option<io::Error>),
}

impl Journal {
    /// The journal of this machine. Whether it takes anything is seen at the first line.
    pub(super) fn of_machine() -> io::Result<Self> {
        let path = std::env::var_os(SOCKET_VARIABLE).map_or_else(|| PathBuf::from(SOCKET), PathBuf::from);
        Self::at(path, RETRY_AFTER)
    }

    fn at(path: PathBuf, retry_after: Duration) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(SEND_PATIENCE))?;
        Ok(Self { socket, path, lost: None, retry_after })
    }

    /// Where it listens.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Hands it a line.
    pub(super) fn send(&mut self, line: &Line) -> Sent {
        if let Some(lost) = self.lost.as_mut().filter(|lost| Instant::now() < lost.try_at) {
            lost.lines += 1;
            return Sent::No(None);
        }
        let sent = self.socket.send_to(&encoded(line), &self.path);
        // From now on: the try itself may have taken a while.
        let try_at = Instant::now() + self.retry_after;
        match (sent, self.lost.take()) {
            (Ok(_), None) => Sent::Yes,
            (Ok(_), Some(Lost { lines, .. })) => Sent::Again(lines),
            (Err(error), None) => {
                self.lost = Some(Lost { try_at, lines: 1 });
                Sent::No(Some(error))
            }
            (Err(_), Some(Lost { lines, .. })) => {
                self.lost = Some(Lost { try_at, lines: lines + 1 });
                Sent::No(None)
            }
        }
    }
}

/// The fields of a line as the journal reads them.
fn encoded(line: &Line) -> Vec<u8> {
    let mut fields = Fields(Vec::with_capacity(512));
    let mut message = plain(line);
    cut(&mut message, MESSAGE_MAX_BYTES);
    fields.put("MESSAGE", &message);
    fields.put("PRIORITY", &severity(line.level).to_string());
    fields.put("SYSLOG_IDENTIFIER", "cardcage");
    if let Some(file) = line.source {
        fields.put("CODE_FILE", file);
    }
    if let Some(row) = line.row {
        fields.put("CODE_LINE", &row.to_string());
    }
    fields.put_own("module", line.module.as_deref().unwrap_or(line.target));
    let named = [("component", &line.component), ("plugin", &line.plugin)];
    for (name, value) in named {
        if let Some(value) = value {
            fields.put_own(name, value);
        }
    }
    for (name, value) in &line.fields {
        match value {
            Value::String(text) => fields.put_own(name, text),
            value => fields.put_own(name, &value.to_string()),
        }
    }
    fields.0
}

struct Fields(Vec<u8>);

impl Fields {
    /// A field of ours: `CARDCAGE_` and its name in capitals.
    fn put_own(&mut self, name: &str, value: &str) {
        let letters =
            name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
        let name: String = PREFIX.chars().chain(letters).take(NAME_MAX_BYTES).collect();
        self.put(&name, value);
    }

    fn put(&mut self, name: &str, value: &str) {
        self.0.extend_from_slice(name.as_bytes());
        if value.contains('\n') {
            // With its length, so that nothing in the value passes for another field.
            self.0.push(b'\n');
            self.0.extend_from_slice(&(value.len() as u64).to_le_bytes());
        } else {
            self.0.push(b'=');
        }
        self.0.extend_from_slice(value.as_bytes());
        self.0.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    fn line(level: Level) -> Line {
        let mut line = Line::own(level, "line rejected".to_owned());
        (line.source, line.row) = (Some("slot.rs"), Some(7));
        line
    }

    #[test]
    fn priorities_are_those_of_syslog() {
        for (level, priority) in
            [(Level::ERROR, 3), (Level::WARN, 4), (Level::INFO, 6), (Level::DEBUG, 7), (Level::TRACE, 7)]
        {
            let text = String::from_utf8(encoded(&line(level))).expect("text");
            assert!(text.contains(&format!("\nPRIORITY={priority}\n")), "{text}");
        }
    }

    #[test]
    fn a_value_of_several_lines_cannot_forge_a_field() {
        let mut line = line(Level::WARN);
        line.component = Some("press\nPRIORITY=0".to_owned());
        line.fields = vec![("odd-näme.x", "a\nMESSAGE=b".into()), ("rejected", 4.into())];
        let expected = [
            &b"MESSAGE=press\\nPRIORITY=0: line rejected odd-n\xc3\xa4me.x=a\\nMESSAGE=b rejected=4\n"[..],
            b"PRIORITY=4\nSYSLOG_IDENTIFIER=cardcage\nCODE_FILE=slot.rs\nCODE_LINE=7\n",
            b"CARDCAGE_MODULE=cardcage::logging::line\n",
            b"CARDCAGE_COMPONENT\n\x10\0\0\0\0\0\0\0press\nPRIORITY=0\n",
            b"CARDCAGE_ODD_N_ME_X\n\x0b\0\0\0\0\0\0\0a\nMESSAGE=b\nCARDCAGE_REJECTED=4\n",
        ];
        assert_eq!(String::from_utf8_lossy(&encoded(&line)), String::from_utf8_lossy(&expected.concat()));
    }

    #[test]
    fn a_journal_that_went_is_left_alone_for_a_while_and_found_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let mut journal = Journal::at(path.clone(), Duration::from_mins(10)).expect("a socket");
        let line = line(Level::INFO);
        assert!(matches!(journal.send(&line), Sent::No(Some(_))), "nobody listens");
        let listener = UnixDatagram::bind(&path).expect("bound");
        assert!(matches!(journal.send(&line), Sent::No(None)), "not yet tried again");
        journal.lost.as_mut().expect("it failed").try_at = Instant::now();
        assert!(matches!(journal.send(&line), Sent::Again(2)));
        assert!(matches!(journal.send(&line), Sent::Yes));
        let mut bytes = [0; 4096];
        let length = listener.recv(&mut bytes).expect("a datagram");
        assert_eq!(bytes[..length], encoded(&line));
    }

    #[test]
    fn a_journal_that_is_full_is_left_alone_for_a_while_from_when_it_was_given_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let _nobody_reads = UnixDatagram::bind(&path).expect("bound");
        // No longer than one try takes: counted from its beginning, that would be over when it ends.
        let mut journal = Journal::at(path, SEND_PATIENCE).expect("a socket");
        let line = line(Level::INFO);
        while matches!(journal.send(&line), Sent::Yes) {}
        let lost = journal.lost.as_ref().expect("it is full");
        assert!(Instant::now() < lost.try_at, "the next line would wait as long");
        assert!(matches!(journal.send(&line), Sent::No(None)), "not tried");
    }

    #[test]
    fn the_longest_line_fits_into_a_datagram() {
        let mut line = line(Level::INFO);
        line.message = "\u{1b}".repeat(16 * 1024);
        line.fields = (0..16).map(|_| ("field", "x".repeat(2048).into())).collect();
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let _listener = UnixDatagram::bind(&path).expect("bound");
        let sent = Journal::at(path, RETRY_AFTER).expect("a socket").send(&line);
        assert!(matches!(sent, Sent::Yes), "{sent:?}");
        assert!(encoded(&line).len() < 128 * 1024, "{}", encoded(&line).len());
    }
}
