//! Compressed files, read as if they were not.

use flate2::bufread::GzDecoder;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;
use zstd::stream::read::Decoder;

/// One read of a compressed file.
const READ_BYTES: usize = 64 * 1024;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    Gzip,
    Zstd,
}

/// Why a compressed file cannot be read on.
#[derive(Debug, Error)]
pub(crate) enum ArchiveError {
    #[error("`{path}` ends in `.{ending}` and does not begin like it; rename it or replace it")]
    Mistaken { path: PathBuf, ending: &'static str },
    #[error("`{path}` breaks off at byte {at}, in the middle of its {kind} data; give the whole file")]
    CutOff { path: PathBuf, at: u64, kind: &'static str },
    #[error("the {kind} data of `{path}` is damaged at byte {at}; what came before was read ({problem})")]
    Damaged { path: PathBuf, at: u64, kind: &'static str, problem: String },
    #[error("cannot read `{path}` at byte {at}")]
    Read { path: PathBuf, at: u64, source: io::Error },
}

impl ArchiveError {
    /// Whether it may be over once the file has grown.
    pub(crate) fn may_grow(&self) -> bool {
        matches!(self, Self::CutOff { .. })
    }
}

/// How a file is compressed, by its first bytes; its ending only says what they should be. `None` for plain text.
pub(crate) fn compression(path: &Path, file: &File) -> Result<Option<Compression>, ArchiveError> {
    let mut start = [0; 4];
    let len = file.read_at(&mut start, 0).map_err(|source| ArchiveError::Read {
        path: path.to_owned(),
        at: 0,
        source,
    })?;
    let start = &start[..len];
    if start.starts_with(&[0x1F, 0x8B]) {
        return Ok(Some(Compression::Gzip));
    }
    let skippable = matches!(start, [0x50..=0x5F, 0x2A, 0x4D, 0x18]);
    if skippable || start == [0x28, 0xB5, 0x2F, 0xFD] {
        return Ok(Some(Compression::Zstd));
    }
    let (compression, ending) = match path.extension().and_then(OsStr::to_str) {
        Some("gz") => (Compression::Gzip, "gz"),
        Some("zst") => (Compression::Zstd, "zst"),
        _ => return Ok(None),
    };
    // Perhaps only begun: what reads it will say.
    if len < 4 {
        return Ok(Some(compression));
    }
    Err(ArchiveError::Mistaken { path: path.to_owned(), ending })
}

/// The text in a compressed file, from its start.
pub(crate) struct Archive {
    path: PathBuf,
    form: Form,
}

enum Form {
    /// One member after the other.
    Gzip(Box<GzDecoder<Input>>),
    Zstd(Box<Decoder<'static, Input>>),
}

impl Archive {
    pub(crate) fn new(path: &Path, file: Arc<File>, compression: Compression) -> Result<Self, ArchiveError> {
        let input = Input::new(file);
        let form = match compression {
            Compression::Gzip => Form::Gzip(Box::new(GzDecoder::new(input))),
            Compression::Zstd => {
                Form::Zstd(Box::new(Decoder::with_buffer(input).map_err(|source| ArchiveError::Read {
                    path: path.to_owned(),
                    at: 0,
                    source,
                })?))
            }
        };
        Ok(Self { path: path.to_owned(), form })
    }

    /// What an error of [`Read::read`] means.
    pub(crate) fn explain(&mut self, error: &io::Error) -> ArchiveError {
        let (input, kind) = match &mut self.form {
            Form::Gzip(decoder) => (decoder.get_mut(), "gzip"),
            Form::Zstd(decoder) => (decoder.get_mut(), "zstd"),
        };
        let (path, at) = (self.path.clone(), input.position);
        if let Some(source) = input.failed.take() {
            return ArchiveError::Read { path, at, source };
        }
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return ArchiveError::CutOff { path, at, kind };
        }
        ArchiveError::Damaged { path, at, kind, problem: error.to_string() }
    }
}

impl Read for Archive {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        // An empty file has no member and no frame, which decoders would call cut off.
        let input = match &mut self.form {
            Form::Gzip(decoder) => decoder.get_mut(),
            Form::Zstd(decoder) => decoder.get_mut(),
        };
        if input.position == 0 && input.fill_buf()?.is_empty() {
            return Ok(0);
        }
        match &mut self.form {
            Form::Gzip(decoder) => loop {
                let read = decoder.read(into)?;
                if read > 0 || into.is_empty() || !decoder.get_mut().has_more()? {
                    return Ok(read);
                }
                let input = decoder.get_mut().take();
                **decoder = GzDecoder::new(input);
            },
            Form::Zstd(decoder) => decoder.read(into),
        }
    }
}

/// A compressed file with a count of the bytes that were used.
struct Input {
    file: Arc<File>,
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
    /// Bytes used: where the trouble is, if there is any.
    position: u64,
    /// The system's own error: decoders pack errors into theirs.
    failed: Option<io::Error>,
}

impl Input {
    fn new(file: Arc<File>) -> Self {
        let bytes = vec![0; READ_BYTES].into_boxed_slice();
        Self { file, bytes, start: 0, end: 0, position: 0, failed: None }
    }

    /// Itself, for another decoder; what stays cannot be read.
    fn take(&mut self) -> Self {
        let spent = Self { bytes: Box::default(), failed: None, file: Arc::clone(&self.file), ..*self };
        std::mem::replace(self, spent)
    }

    /// Behind a member: whether another follows. Zeros do not count: tapes and block devices are padded with them, and
    /// `gzip` takes no offence.
    fn has_more(&mut self) -> io::Result<bool> {
        loop {
            let bytes = self.fill_buf()?;
            let (zeros, len) = (bytes.iter().take_while(|byte| **byte == 0).count(), bytes.len());
            self.consume(zeros);
            if zeros < len || len == 0 {
                return Ok(len > 0);
            }
        }
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            let at = self.position;
            let read = loop {
                match self.file.read_at(&mut self.bytes, at) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => {
                        let kind = error.kind();
                        self.failed = Some(error);
                        return Err(kind.into());
                    }
                    Ok(read) => break read,
                }
            };
            (self.start, self.end) = (0, read);
        }
        Ok(&self.bytes[self.start..self.end])
    }

    fn consume(&mut self, len: usize) {
        self.start = (self.start + len).min(self.end);
        self.position += len as u64;
    }
}

impl Read for Input {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let len = available.len().min(into.len());
        into[..len].copy_from_slice(&available[..len]);
        self.consume(len);
        Ok(len)
    }
}
