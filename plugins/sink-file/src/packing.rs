//! How text becomes bytes of a file: as it is, or compressed.
//!
//! A compressed file is a row of members (gzip) or frames (zstd), each of them whole in itself: so a file can be
//! appended to, and cut back to where any of them ends. All programs that read the formats read them on end.

use cardcage_plugin_api::settings;
use flate2::GzBuilder;
use flate2::bufread::GzDecoder;
use std::io::{self, BufReader, Read, Write as _};
use std::path::Path;

/// The most bytes that a member written by this sink has: its text is far shorter, and text that cannot be compressed
/// grows by little.
pub(crate) const MEMBER_MAX_BYTES: u64 = 128 << 20;
/// What gzip's header holds of ours: an extra field `Cg` of four bytes, the member's length.
const GZIP_FIELD: [u8; 4] = [b'C', b'g', 4, 0];
/// Where the length stands in a member of ours: behind ten bytes of header, the extra fields' length and ours' name.
const GZIP_LEN_AT: usize = 16;
const GZIP_HEAD_BYTES: usize = 20;
const ZSTD_MAGIC: u32 = 0xFD2F_B528;

/// How a file is compressed.
#[settings]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// It is not.
    None,
    /// As `gzip` does: read everywhere.
    Gzip,
    /// As `zstd` does: smaller and faster.
    Zstd,
}

impl Compression {
    /// What a file's ending stands for.
    pub(crate) fn of_path(path: &Path) -> Self {
        match path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase).as_deref() {
            Some("gz") => Self::Gzip,
            Some("zst") => Self::Zstd,
            _ => Self::None,
        }
    }

    /// The levels that it has; the one taken where none is set.
    pub(crate) const fn levels(self) -> Option<(std::ops::RangeInclusive<u32>, u32)> {
        match self {
            Self::None => None,
            Self::Gzip => Some((1..=9, 6)),
            // Levels from 20 on take gigabytes of memory to read, too.
            Self::Zstd => Some((1..=19, 3)),
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// Turns text into members.
pub(crate) struct Packer {
    form: Form,
    packed: Vec<u8>,
}

enum Form {
    Plain,
    Gzip(flate2::Compression),
    Zstd(Box<zstd::bulk::Compressor<'static>>),
}

impl Packer {
    /// A packer of this kind; the level is one that the kind has.
    pub(crate) fn new(compression: Compression, level: u32) -> io::Result<Self> {
        let form = match compression {
            Compression::None => Form::Plain,
            Compression::Gzip => Form::Gzip(flate2::Compression::new(level)),
            Compression::Zstd => {
                let mut compressor = zstd::bulk::Compressor::new(
                    i32::try_from(level).unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL),
                )?;
                compressor.include_checksum(true)?;
                Form::Zstd(Box::new(compressor))
            }
        };
        Ok(Self { form, packed: Vec::new() })
    }

    /// What is appended to the file for this text.
    pub(crate) fn pack<'a>(&'a mut self, text: &'a [u8]) -> io::Result<&'a [u8]> {
        self.packed.clear();
        match &mut self.form {
            Form::Plain => return Ok(text),
            Form::Gzip(level) => {
                let extra = [&GZIP_FIELD[..], &[0; 4]].concat();
                let mut encoder =
                    GzBuilder::new().extra(extra).write(std::mem::take(&mut self.packed), *level);
                encoder.write_all(text)?;
                self.packed = encoder.finish()?;
                let len = u32::try_from(self.packed.len()).map_err(io::Error::other)?;
                if let Some(place) = self.packed.get_mut(GZIP_LEN_AT..GZIP_HEAD_BYTES) {
                    place.copy_from_slice(&len.to_le_bytes());
                }
            }
            Form::Zstd(compressor) => {
                self.packed.reserve(zstd::zstd_safe::compress_bound(text.len()));
                compressor.compress_to_buffer(text, &mut self.packed)?;
            }
        }
        Ok(&self.packed)
    }
}

/// A file that can be read at any place.
pub(crate) trait ReadAt {
    /// Reads as much as there is from `offset` on, up to the buffer's length; 0 at the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}

/// Bytes up to the end of the last whole member of a file that is `len` long. A damaged member in the middle is an
/// error; so is one at the end that this sink cannot have left.
pub(crate) fn whole_members_len(compression: Compression, file: &impl ReadAt, len: u64) -> io::Result<u64> {
    let (mut at, mut last) = (0, 0);
    while at < len {
        let end = match compression {
            Compression::None => return Ok(len),
            Compression::Gzip => gzip_member_end(file, at, len)?,
            Compression::Zstd => zstd_frame_end(file, at, len)?,
        };
        match end.filter(|end| *end <= len) {
            Some(end) => (last, at) = (at, end),
            None if len - at > MEMBER_MAX_BYTES => {
                let text = format!("it is damaged from byte {at} on, and not by this sink");
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            None => break,
        }
    }
    // A power cut can leave a last member whose length is there and whose bytes are not.
    if at > last && at - last <= MEMBER_MAX_BYTES && text_of(compression, file, last, at).is_err() {
        return Ok(last);
    }
    Ok(at)
}

/// The first bytes of a file's text, at most `most` of them.
pub(crate) fn text_start(compression: Compression, file: &impl ReadAt, most: u64) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let reader = Span { file, at: 0, end: u64::MAX };
    match compression {
        Compression::None => reader.take(most).read_to_end(&mut text)?,
        Compression::Gzip => flate2::read::MultiGzDecoder::new(reader).take(most).read_to_end(&mut text)?,
        Compression::Zstd => zstd::Decoder::new(reader)?.take(most).read_to_end(&mut text)?,
    };
    Ok(text)
}

/// Reads a member through, its checksum included.
fn text_of(compression: Compression, file: &impl ReadAt, from: u64, to: u64) -> io::Result<u64> {
    let reader = Span { file, at: from, end: to };
    let text = &mut io::sink();
    match compression {
        Compression::None => Ok(to - from),
        Compression::Gzip => io::copy(&mut flate2::read::GzDecoder::new(reader), text),
        Compression::Zstd => io::copy(&mut zstd::Decoder::new(reader)?.single_frame(), text),
    }
}

/// Where a gzip member ends: told by our own field, else found by reading it through. `None` if it is not whole.
fn gzip_member_end(file: &impl ReadAt, at: u64, len: u64) -> io::Result<Option<u64>> {
    let Some(head) = read_array::<GZIP_HEAD_BYTES>(file, at)? else {
        return Ok(None);
    };
    if head[..3] != [0x1f, 0x8b, 8] {
        return Ok(None);
    }
    if head[3] == 4 && head[12..GZIP_LEN_AT] == GZIP_FIELD {
        let [a, b, c, d] = [head[16], head[17], head[18], head[19]];
        return Ok(Some(at + u64::from(u32::from_le_bytes([a, b, c, d]).max(1))));
    }
    let mut decoder = GzDecoder::new(BufReader::new(Span { file, at, end: len }));
    if io::copy(&mut decoder, &mut io::sink()).is_err() {
        return Ok(None);
    }
    let buffered = decoder.into_inner();
    Ok(Some(buffered.get_ref().at - buffered.buffer().len() as u64))
}

/// Where a zstd frame ends, told by the lengths of its blocks (RFC 8878). `None` if it is not whole.
fn zstd_frame_end(file: &impl ReadAt, at: u64, len: u64) -> io::Result<Option<u64>> {
    let Some([a, b, c, d, descriptor]) = read_array::<5>(file, at)? else {
        return Ok(None);
    };
    let magic = u32::from_le_bytes([a, b, c, d]);
    if magic & 0xFFFF_FFF0 == 0x184D_2A50 {
        // A skippable frame: its length follows the magic number.
        let size = read_array::<4>(file, at + 4)?;
        return Ok(size.map(|size| at + 8 + u64::from(u32::from_le_bytes(size))));
    }
    if magic != ZSTD_MAGIC {
        return Ok(None);
    }
    let single_segment = descriptor & 0x20 != 0;
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let size_bytes = match descriptor >> 6 {
        0 => u64::from(single_segment),
        more => 1 << more,
    };
    let checksum = if descriptor & 4 != 0 { 4 } else { 0 };
    let mut block = at + 5 + u64::from(!single_segment) + dictionary + size_bytes;
    while block < len {
        let Some([a, b, c]) = read_array::<3>(file, block)? else {
            return Ok(None);
        };
        let header = u32::from_le_bytes([a, b, c, 0]);
        // A block of one repeated byte says how often, and holds it once.
        let bytes = if (header >> 1) & 3 == 1 { 1 } else { header >> 3 };
        block += 3 + u64::from(bytes);
        if header & 1 == 1 {
            return Ok(Some(block + checksum));
        }
    }
    Ok(None)
}

fn read_array<const N: usize>(file: &impl ReadAt, at: u64) -> io::Result<Option<[u8; N]>> {
    let mut bytes = [0; N];
    let mut filled = 0;
    while filled < N {
        match file.read_at(&mut bytes[filled..], at + filled as u64)? {
            0 => return Ok(None),
            more => filled += more,
        }
    }
    Ok(Some(bytes))
}

/// A part of a file as a stream.
struct Span<'a, F> {
    file: &'a F,
    at: u64,
    end: u64,
}

impl<F: ReadAt> Read for Span<'_, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let most = buffer.len().min(left);
        let read = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
