//! What a run finds of the runs before it: where their chain ends, and what of it is damaged.
//!
//! Nothing that is found here keeps the daemon from starting. What cannot be gone on with is set aside under another name,
//! from the first damaged block on: what is before it stays, and the chain goes on from there.

use super::aside::{self, SetAside};
use super::files;
use cardcage_core::audit::{
    Block, BlockError, FILE_HEADER_BYTES, FileHeader, Head, Note, Record, Step, Stream, file_name,
    file_number,
};
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// A file of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) number: u64,
    /// The number of its first block.
    pub(super) first_block: u64,
}

/// The file that the chain ends in.
#[derive(Debug)]
pub(super) struct Last {
    pub(super) file: File,
    pub(super) number: u64,
    pub(super) bytes: u64,
    /// When it was begun (UTC nanoseconds); 0 if it does not say.
    pub(super) begun_ns: i64,
}

/// What a folder holds.
#[derive(Debug)]
pub(super) struct Found {
    /// In their order.
    pub(super) members: Vec<Member>,
    /// Unless the chain goes on in a new file.
    pub(super) last: Option<Last>,
    pub(super) head: Head,
    /// The number of the next file: no file had it before.
    pub(super) next_number: u64,
    pub(super) set_aside: Vec<SetAside>,
}

/// Looks through the folder, which is there.
///
/// # Errors
/// If it cannot be looked through. What single files are is no error.
pub(super) fn look(folder: &Path) -> io::Result<Found> {
    files::remove_drafts(folder)?;
    let (mut numbers, strange) = numbers(folder)?;
    let aside = aside::list(folder)?.into_iter().map(|(number, ..)| number);
    let next_number = numbers.iter().chain(&strange).copied().chain(aside).max();
    let mut found = Found {
        members: Vec::new(),
        last: None,
        head: Head::NONE,
        next_number: next_number.map_or(1, |last| last.saturating_add(1)),
        set_aside: Vec::new(),
    };
    for name in strange.into_iter().map(file_name) {
        let why = format!("{name} is no regular file");
        found.set_aside.push(SetAside::file(folder, &name, why));
    }
    while let Some(number) = numbers.last().copied() {
        let name = file_name(number);
        match examine(&folder.join(&name)) {
            Ok(Condition::Whole(whole)) => {
                found.take(folder, number, &whole, &numbers);
                break;
            }
            Ok(Condition::To(whole, why)) => {
                let aside = SetAside::end(folder, &name, whole.bytes, format!("{name}: {why}"));
                let goes_on = aside.file.is_some();
                found.set_aside.push(aside);
                found.take(folder, number, &whole, &numbers);
                // Behind a damaged end nothing is written.
                found.last = found.last.filter(|_| goes_on);
                break;
            }
            // There is nothing in it; if it stays, it is in nobody's way.
            Ok(Condition::OnlyBegun) => drop(fs::remove_file(folder.join(&name))),
            Ok(Condition::Nothing(why)) => {
                found.set_aside.push(SetAside::file(folder, &name, format!("{name}: {why}")));
            }
            Err(error) => {
                let why = format!("{name} cannot be read: {error}");
                found.set_aside.push(SetAside::file(folder, &name, why));
            }
        }
        numbers.pop();
    }
    Ok(found)
}

impl Found {
    fn take(&mut self, folder: &Path, number: u64, whole: &Whole, numbers: &[u64]) {
        for number in numbers {
            self.members.push(Member { number: *number, first_block: first_block(folder, *number) });
        }
        let name = file_name(number);
        match files::open(&folder.join(&name), true) {
            Ok(file) => {
                self.last = Some(Last { file, number, bytes: whole.bytes, begun_ns: whole.begun_ns });
            }
            Err(error) => {
                tracing::warn!(
                    "audit trail: {name} cannot be written to ({error}); a new file goes on behind it"
                );
            }
        }
        self.head = whole.head;
    }
}

/// The numbers of the trail's files, and those of what has the name of one and is none; both rising.
fn numbers(folder: &Path) -> io::Result<(Vec<u64>, Vec<u64>)> {
    let (mut numbers, mut strange) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if let Some(number) = entry.file_name().to_str().and_then(file_number) {
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            if is_file { numbers.push(number) } else { strange.push(number) }
        }
    }
    numbers.sort_unstable();
    strange.sort_unstable();
    Ok((numbers, strange))
}

/// The number of a file's first block, by its header; 0 where it cannot be read.
fn first_block(folder: &Path, number: u64) -> u64 {
    let mut bytes = [0; FILE_HEADER_BYTES];
    let path = folder.join(file_name(number));
    let read = files::open(&path, false).and_then(|mut file| file.read_exact(&mut bytes));
    match (read, FileHeader::decode(&bytes)) {
        (Ok(()), Ok(header)) => header.after.block + 1,
        _ => 0,
    }
}

/// The whole part of a file.
struct Whole {
    bytes: u64,
    head: Head,
    begun_ns: i64,
    /// How many records of its opening are still to come.
    opening_lacks: u64,
}

impl Whole {
    fn take(&mut self, record: &Record) {
        match record {
            Record::Note { time_ns, note } => {
                if self.begun_ns == 0 {
                    self.begun_ns = *time_ns;
                }
                if let Note::Opened { declarations, writers, balances, .. } = *note {
                    self.opening_lacks = [declarations, writers, balances].map(u64::from).iter().sum();
                }
            }
            Record::Entry(_) => {}
            Record::Declaration(_) | Record::Writer(_) | Record::Balance(_) => {
                self.opening_lacks = self.opening_lacks.saturating_sub(1);
            }
        }
    }

    /// What can be done with a file that is whole up to there; `why` says what is behind.
    fn end(self, why: Option<String>) -> Condition {
        let has_blocks = self.bytes > FILE_HEADER_BYTES as u64;
        match why {
            None if !has_blocks => Condition::OnlyBegun,
            // Its opening says what went before: without that the file cannot be gone on with.
            why if !has_blocks || self.opening_lacks > 0 => Condition::Nothing(match why {
                Some(why) => format!("{why}; the account of what went before is not whole"),
                None => "the account of what went before, which it begins with, is not whole".to_owned(),
            }),
            Some(why) => Condition::To(self, why),
            None => Condition::Whole(self),
        }
    }
}

enum Condition {
    Whole(Whole),
    /// Whole up to there; what is behind is damaged.
    To(Whole, String),
    /// Nothing in it can be gone on with.
    Nothing(String),
    /// A header and nothing else: the run ended before it had said anything.
    OnlyBegun,
}

/// What a block at the end that is there and damaged may be.
const OR_CHANGED: &str = "; it was changed, or the power or the system failed while it was written";

fn examine(path: &Path) -> io::Result<Condition> {
    let mut file = files::open(path, false)?;
    let mut stream = Stream::new();
    let mut whole: Option<Whole> = None;
    let mut lost: Option<(BlockError, u64)> = None;
    loop {
        let behind = match stream.step() {
            Step::More => match file.read(stream.room())? {
                0 => {
                    stream.end();
                    continue;
                }
                read => {
                    stream.filled(read);
                    continue;
                }
            },
            Step::Header(header) => {
                let bytes = FILE_HEADER_BYTES as u64;
                whole = Some(Whole { bytes, head: header.after, begun_ns: 0, opening_lacks: 0 });
                continue;
            }
            Step::BadHeader(why) => return Ok(Condition::Nothing(why.to_string())),
            Step::Damaged { offset, why } => {
                // What is behind tells whether this may have been a power failure.
                lost = lost.or(Some((why, offset)));
                continue;
            }
            Step::GivenUp { .. } => Some(said(lost, "")),
            Step::Block(block) => match (&mut whole, lost) {
                (Some(whole), None) => {
                    if let Some(why) = follow(whole, &block) {
                        Some(why)
                    } else {
                        continue;
                    }
                }
                // A whole block is behind it: it was not being written when anything failed.
                (_, lost) => Some(said(lost, "")),
            },
            Step::End { left, .. } => match (&whole, lost) {
                (Some(whole), Some((BlockError::NoBlock, _))) if is_zeros(&mut file, whole.bytes)? => {
                    Some("its end is zeros: the power or the system failed before it was written".to_owned())
                }
                (_, Some(_)) => Some(said(lost, OR_CHANGED)),
                (_, None) if left > 0 => Some(
                    "its end is part of a block: the daemon, the power or the system failed while it was written, or \
                     the file was cut"
                        .to_owned(),
                ),
                (_, None) => None,
            },
        };
        return Ok(match whole {
            Some(whole) => whole.end(behind),
            None => Condition::Nothing("it has no whole header".to_owned()),
        });
    }
}

fn said(lost: Option<(BlockError, u64)>, or: &str) -> String {
    match lost {
        Some((why, offset)) => format!("at byte {offset}: {why}{or}"),
        None => "too much of it is damaged".to_owned(),
    }
}

/// Goes on to this block; says why if it is not the next one.
fn follow(whole: &mut Whole, block: &Block<'_>) -> Option<String> {
    let offset = block.offset;
    if block.previous != whole.head.hash || block.head.block != whole.head.block + 1 {
        let number = block.head.block;
        return Some(format!("block {number} at byte {offset} does not follow the one before it"));
    }
    let lacked = whole.opening_lacks;
    for record in block.records.clone() {
        match record {
            Ok(record) => whole.take(&record),
            Err(why) => {
                whole.opening_lacks = lacked;
                return Some(format!("at byte {offset}: {why}"));
            }
        }
    }
    (whole.head, whole.bytes) = (block.head, offset + block.length);
    None
}

/// Whether there is nothing but zeros from there on.
fn is_zeros(file: &mut File, from: u64) -> io::Result<bool> {
    file.seek(SeekFrom::Start(from))?;
    let mut piece = vec![0; 64 * 1024];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(true),
            read if piece[..read].iter().any(|byte| *byte != 0) => return Ok(false),
            _ => {}
        }
    }
}
