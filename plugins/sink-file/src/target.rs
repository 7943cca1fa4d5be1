//! One file that text is appended to, which never keeps half a line or half a batch.
//!
//! Text waits in memory until there is enough for a write. Three places in the file are kept: how long it is, how long it
//! was when the running batch began, and how long it was at the last commit; it can be cut back to each of them.

use crate::disk::{FileError, Medium, Opened};
use crate::packing::{Compression, Packer, text_start, whole_members_len};
use cardcage_plugin_api::tracing;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// How much of the file is read at a time to find its last line end.
const TAIL_BYTES: usize = 64 * 1024;

/// Batches that wait in a file without its list of them growing: more only where batches are of a few readings.
const WAITING_BATCHES: usize = 64;

/// What all files of a sink have in common.
pub(crate) struct Form {
    pub(crate) compression: Compression,
    pub(crate) packer: Packer,
    /// What stands at the start of each file.
    pub(crate) header: Option<Vec<u8>>,
    /// A header and the text behind it, while they are written.
    headed: Vec<u8>,
    /// Bytes handed to the kernel, those that were cut off again included.
    pub(crate) written_bytes: u64,
}

impl Form {
    pub(crate) fn new(compression: Compression, level: u32, header: Option<&[u8]>) -> io::Result<Self> {
        Ok(Self {
            compression,
            packer: Packer::new(compression, level)?,
            header: header.map(<[u8]>::to_vec),
            headed: Vec::new(),
            written_bytes: 0,
        })
    }
}

/// Where a file stood when a batch began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The batch's number; they begin at 1.
    pub(crate) batch: u64,
    pub(crate) file_len: u64,
    text_len: usize,
}

impl Mark {
    /// A place in a file whose text was all written by then.
    pub(crate) fn written(batch: u64, file_len: u64) -> Self {
        Self { batch, file_len, text_len: 0 }
    }
}

/// A whole batch whose text waits.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    /// Where in the file it begins if a part of it is there already, and else how long the file was.
    file_start: u64,
    /// Where its text ends.
    text_end: usize,
    records: u64,
}

/// A file that lines are appended to.
pub(crate) struct Target<M> {
    pub(crate) path: PathBuf,
    medium: M,
    is_regular: bool,
    /// Bytes in the file, all of them whole lines.
    pub(crate) len: u64,
    pub(crate) committed_len: u64,
    /// Lines that the kernel does not have yet.
    pub(crate) text: Vec<u8>,
    pub(crate) mark: Mark,
    /// The batches that `text` is made of, where the sink told them.
    batches: Vec<Waiting>,
    /// When the file was begun, UTC nanoseconds.
    pub(crate) begun_ns: i64,
    /// Whether the disk may lack what the kernel has.
    pub(crate) is_unsynced: bool,
}

impl<M: Medium> Target<M> {
    /// A target on an open file. What a crash left half at its end is cut off; columns that are not ours are refused.
    pub(crate) fn new(path: &Path, opened: Opened<M>, form: &Form, now_ns: i64) -> Result<Self, FileError> {
        let begun_ns = if opened.len == 0 { now_ns } else { opened.begun_ns.unwrap_or(now_ns) };
        let mut target = Self {
            path: path.to_owned(),
            medium: opened.medium,
            is_regular: opened.is_regular,
            len: if opened.is_regular { opened.len } else { 0 },
            committed_len: 0,
            text: Vec::new(),
            mark: Mark::default(),
            batches: Vec::with_capacity(WAITING_BATCHES),
            begun_ns,
            is_unsynced: false,
        };
        target.cut_torn_end(form.compression)?;
        target.check_header(form)?;
        target.committed_len = target.len;
        Ok(target)
    }

    /// Whether it is a file, and not a device.
    pub(crate) fn is_regular(&self) -> bool {
        self.is_regular
    }

    /// Whether the file is still the one at its path.
    pub(crate) fn is_in_place(&self) -> bool {
        !self.is_regular || self.medium.is_at(&self.path)
    }

    /// Bytes that the file will have, as far as that is known.
    pub(crate) fn expected_len(&self, form: &Form) -> u64 {
        match form.compression {
            Compression::None => self.len + self.text.len() as u64,
            Compression::Gzip | Compression::Zstd => self.len,
        }
    }

    /// Takes up another file under the same path.
    pub(crate) fn begin_anew(
        &mut self,
        opened: Opened<M>,
        form: &Form,
        now_ns: i64,
    ) -> Result<(), FileError> {
        let text = std::mem::take(&mut self.text);
        *self = Self::new(&self.path, opened, form, now_ns)?;
        self.text = text;
        Ok(())
    }

    /// Notes where the file stands as a batch begins.
    pub(crate) fn begin_batch(&mut self, batch: u64) -> Result<(), FileError> {
        if self.text.is_empty() && self.len == self.committed_len {
            self.look()?;
        }
        self.mark = Mark { batch, file_len: self.len, text_len: self.text.len() };
        Ok(())
    }

    /// Notes that the text ends with a whole batch of so many records.
    pub(crate) fn end_batch(&mut self, records: u64) {
        if !self.text.is_empty() && records > 0 {
            let file_start = self.mark.file_len.min(self.len);
            self.batches.push(Waiting { file_start, text_end: self.text.len(), records });
        }
    }

    /// Goes back to where the running batch began, if it is this one.
    pub(crate) fn undo_batch(&mut self, batch: u64) -> Result<(), FileError> {
        if self.mark.batch != batch {
            return Ok(());
        }
        self.text.truncate(self.mark.text_len);
        if self.len > self.mark.file_len { self.cut_to(self.mark.file_len) } else { Ok(()) }
    }

    /// Hands all text to the kernel while a batch is under way: what is of earlier batches on its own, so that the file
    /// can be cut back to it. That works with compressed files, too.
    pub(crate) fn flush_midway(&mut self, form: &mut Form) -> Result<(), FileError> {
        let earlier = self.mark.text_len;
        if earlier > 0 {
            self.append(form, 0..earlier)?;
            self.text.drain(..earlier);
            self.batches.clear();
            self.mark = Mark::written(self.mark.batch, self.len);
        }
        self.flush(form)
    }

    /// Hands all text to the kernel, between batches.
    pub(crate) fn flush(&mut self, form: &mut Form) -> Result<(), FileError> {
        self.append(form, 0..self.text.len())?;
        self.text.clear();
        self.batches.clear();
        Ok(())
    }

    /// Where not all of the text can be handed on: as many of its batches, each of them whole, as there is room for. The
    /// others' text goes. Returns how many records those have; `None` if that is not known, or the file is not in order.
    pub(crate) fn flush_whole_batches(&mut self, form: &mut Form) -> Option<u64> {
        let batches = std::mem::take(&mut self.batches);
        if batches.last().map_or(0, |last| last.text_end) != self.text.len() {
            return None;
        }
        let mut lost: u64 = batches.iter().map(|batch| batch.records).sum();
        let mut from = 0;
        for batch in batches {
            if self.append(form, from..batch.text_end).is_err() {
                // Only the first can have a part in the file, which is the first to be written.
                if from == 0 {
                    self.cut_to(batch.file_start).ok()?;
                }
                break;
            }
            lost -= batch.records;
            from = batch.text_end;
        }
        self.text.clear();
        self.mark = Mark::default();
        let is_in_order = !self.is_regular || self.current_len().is_ok_and(|len| len == self.len);
        is_in_order.then_some(lost)
    }

    /// Waits until the disk has everything that the kernel has.
    pub(crate) fn sync(&mut self) -> Result<(), FileError> {
        if self.is_regular && self.is_unsynced {
            self.medium.sync_data().map_err(|source| FileError::Sync { path: self.path.clone(), source })?;
        }
        self.is_unsynced = false;
        Ok(())
    }

    /// Everything written so far counts as delivered.
    pub(crate) fn committed(&mut self) {
        self.committed_len = self.len;
    }

    /// Goes back to the last commit.
    pub(crate) fn discard(&mut self) -> Result<(), FileError> {
        self.text.clear();
        self.batches.clear();
        self.mark = Mark::default();
        if self.len > self.committed_len { self.cut_to(self.committed_len) } else { Ok(()) }
    }

    /// How long the file is now: an earlier generation of this sink may have written to it since it was opened, and
    /// someone may have emptied it.
    fn look(&mut self) -> Result<(), FileError> {
        if self.is_regular {
            self.len = self.current_len()?;
            self.committed_len = self.len;
        }
        Ok(())
    }

    /// Someone may have emptied the file while text waited, as `copytruncate` does: what was there is not ours to cut any
    /// more, and a file that is empty begins with a header.
    fn look_whether_shortened(&mut self) -> Result<(), FileError> {
        if !self.is_regular {
            return Ok(());
        }
        let len = self.current_len()?;
        if len < self.len {
            tracing::info!(file = %self.path.display(), "the file was shortened by another program, to {len} bytes");
            self.len = len;
            self.committed_len = self.committed_len.min(len);
            self.mark.file_len = self.mark.file_len.min(len);
            self.batches.iter_mut().for_each(|batch| batch.file_start = batch.file_start.min(len));
        }
        Ok(())
    }

    fn current_len(&self) -> Result<u64, FileError> {
        self.medium.current_len().map_err(|source| FileError::Open { path: self.path.clone(), source })
    }

    /// Appends a part of the text: all of it, or none and an error.
    fn append(&mut self, form: &mut Form, range: Range<usize>) -> Result<(), FileError> {
        if range.is_empty() {
            return Ok(());
        }
        self.look_whether_shortened()?;
        let mut text = &self.text[range];
        if let (Some(header), 0) = (&form.header, self.len) {
            form.headed.clear();
            form.headed.extend_from_slice(header);
            form.headed.extend_from_slice(text);
            text = &form.headed;
        }
        let bytes =
            form.packer.pack(text).map_err(|source| FileError::Pack { path: self.path.clone(), source })?;
        self.is_unsynced = true;
        let len = bytes.len();
        if let Err(source) = self.medium.append(bytes) {
            let at = self.len;
            // What the disk took of them is cut off again. If even that fails, the caller's cut will fail as well, and
            // says so.
            let _ = self.cut_to(at);
            return Err(FileError::Write { path: self.path.clone(), at, bytes: len, source });
        }
        self.len += len as u64;
        form.written_bytes += len as u64;
        Ok(())
    }

    /// Cuts the file back to a length that it had. It is never made longer: someone may have emptied it.
    fn cut_to(&mut self, len: u64) -> Result<(), FileError> {
        let mut cut_len = len;
        if self.is_regular {
            let current = self.current_len()?;
            cut_len = len.min(current);
            if current > len {
                self.medium.set_len(len).map_err(|source| FileError::Cut {
                    path: self.path.clone(),
                    len,
                    source,
                })?;
                self.is_unsynced = true;
            }
        }
        self.len = cut_len;
        self.committed_len = self.committed_len.min(self.len);
        Ok(())
    }

    /// Cuts off what a crash or a power cut left half at the end.
    fn cut_torn_end(&mut self, compression: Compression) -> Result<(), FileError> {
        if !self.is_regular || self.len == 0 {
            return Ok(());
        }
        let whole = match compression {
            Compression::None => whole_lines_len(&self.medium, self.len),
            Compression::Gzip | Compression::Zstd => whole_members_len(compression, &self.medium, self.len),
        };
        let whole = whole.map_err(|source| FileError::Tail { path: self.path.clone(), source })?;
        if whole < self.len {
            let bytes = self.len - whole;
            let half =
                if compression == Compression::None { "half a line" } else { "half a compressed part" };
            tracing::warn!(
                file = %self.path.display(), bytes,
                "the file ends in {half}, left by a crash; it is cut off"
            );
            self.cut_to(whole)?;
        }
        Ok(())
    }

    /// A file that is appended to must begin as this sink would begin it.
    fn check_header(&self, form: &Form) -> Result<(), FileError> {
        let Some(header) = form.header.as_ref().filter(|_| self.len > 0) else {
            return Ok(());
        };
        let start = text_start(form.compression, &self.medium, header.len() as u64)
            .map_err(|source| FileError::Tail { path: self.path.clone(), source })?;
        if start == *header {
            return Ok(());
        }
        let line = |text: &[u8]| {
            let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
            String::from_utf8_lossy(line).trim_end().escape_debug().to_string()
        };
        Err(FileError::OtherColumns { path: self.path.clone(), found: line(&start), written: line(header) })
    }
}

/// The bytes up to and with the last line end, searched from the end.
fn whole_lines_len(file: &impl Medium, len: u64) -> io::Result<u64> {
    let mut piece = vec![0; TAIL_BYTES];
    let mut end = len;
    while end > 0 {
        let start = end.saturating_sub(TAIL_BYTES as u64);
        let wanted = usize::try_from(end - start).unwrap_or(TAIL_BYTES);
        let mut filled = 0;
        while filled < wanted {
            match file.read_at(&mut piece[filled..wanted], start + filled as u64)? {
                // It was shortened meanwhile.
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                more => filled += more,
            }
        }
        if let Some(at) = piece[..wanted].iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}
