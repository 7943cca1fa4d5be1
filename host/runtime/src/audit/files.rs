//! What a run finds of the runs before it: where their chain ends, and what of it is damaged.
//!
//! Nothing that is found here keeps the daemon from starting. What cannot be gone on with is set aside under another name.

use cardcage_core::audit::{
    BlockBuilder, FILE_HEADER_BYTES, Head, Note, Record, Step, Stream, file_name, file_number,
};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

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
    pub(super) bytes: u64,
    /// When it was begun (UTC nanoseconds); 0 if it does not say.
    pub(super) begun_ns: i64,
}

/// Something that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SetAside {
    /// The names of the files now.
    pub(super) files: Vec<String>,
    pub(super) why: String,
}

/// What a folder holds.
#[derive(Debug)]
pub(super) struct Found {
    /// In their order.
    pub(super) members: Vec<Member>,
    pub(super) last: Option<Last>,
    pub(super) head: Head,
    /// The number of the next file: no file had it before.
    pub(super) next_number: u64,
    pub(super) set_aside: Vec<SetAside>,
}

/// Looks through the folder, which is there.
pub(super) fn look(folder: &Path) -> io::Result<Found> {
    remove_drafts(folder)?;
    let mut numbers = numbers(folder)?;
    let next_number = numbers.iter().chain(&set_aside_numbers(folder)?).max().map_or(1, |last| last + 1);
    let mut found =
        Found { members: Vec::new(), last: None, head: Head::NONE, next_number, set_aside: Vec::new() };
    while let Some(number) = numbers.last().copied() {
        let name = file_name(number);
        match examine(&folder.join(&name))? {
            Condition::Whole(whole) => {
                found.take(folder, number, &whole, &numbers)?;
                break;
            }
            Condition::Torn(whole) => {
                let why =
                    "its end is no whole block: it was being written when the power or the system failed";
                let aside = free_name(folder, &name);
                cut(folder, &name, whole.bytes, &aside)?;
                found.set_aside.push(SetAside { files: vec![aside], why: why.to_owned() });
                found.take(folder, number, &whole, &numbers)?;
                break;
            }
            Condition::Empty => {
                let aside = move_aside(folder, &name)?;
                let why = "its beginning is not whole: no block, or half an account of what went before";
                found.set_aside.push(SetAside { files: vec![aside], why: why.to_owned() });
                numbers.pop();
            }
            Condition::OnlyBegun => {
                fs::remove_file(folder.join(&name))?;
                numbers.pop();
            }
            Condition::Damaged(why) => {
                let files = numbers.iter().map(|number| move_aside(folder, &file_name(*number)));
                let files = files.collect::<io::Result<_>>()?;
                found.set_aside.push(SetAside { files, why: format!("{name}: {why}") });
                break;
            }
        }
    }
    Ok(found)
}

impl Found {
    fn take(&mut self, folder: &Path, number: u64, whole: &Whole, numbers: &[u64]) -> io::Result<()> {
        for number in numbers {
            self.members.push(Member { number: *number, first_block: first_block(folder, *number) });
        }
        let file = OpenOptions::new().read(true).write(true).open(folder.join(file_name(number)))?;
        self.last = Some(Last { file, bytes: whole.bytes, begun_ns: whole.begun_ns });
        self.head = whole.head;
        Ok(())
    }
}

/// The numbers of the trail's files, rising.
fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        numbers.extend(entry?.file_name().to_str().and_then(file_number));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

const DAMAGED: &str = ".damaged-";

fn set_aside_numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        numbers.extend(name.to_str().and_then(|name| file_number(name.split_once(DAMAGED)?.0)));
    }
    Ok(numbers)
}

/// The number of a file's first block, by its header; 0 where it cannot be read.
fn first_block(folder: &Path, number: u64) -> u64 {
    let mut bytes = [0; FILE_HEADER_BYTES];
    let read = File::open(folder.join(file_name(number))).and_then(|mut file| file.read_exact(&mut bytes));
    match (read, cardcage_core::audit::FileHeader::decode(&bytes)) {
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
}

enum Condition {
    Whole(Whole),
    /// Whole up to there, and then something that no block follows.
    Torn(Whole),
    /// Not even its opening is whole.
    Empty,
    /// A header and nothing else: the run ended before it had said anything.
    OnlyBegun,
    Damaged(String),
}

fn examine(path: &Path) -> io::Result<Condition> {
    let mut file = File::open(path)?;
    let mut stream = Stream::new();
    let mut whole: Option<Whole> = None;
    let mut lost: Option<String> = None;
    loop {
        match stream.step() {
            Step::More => match file.read(stream.room())? {
                0 => stream.end(),
                read => stream.filled(read),
            },
            Step::Header(header) => {
                let bytes = FILE_HEADER_BYTES as u64;
                whole = Some(Whole { bytes, head: header.after, begun_ns: 0, opening_lacks: 0 });
            }
            Step::BadHeader(why) => return Ok(Condition::Damaged(why.to_string())),
            Step::Damaged { offset, why } => {
                lost.get_or_insert_with(|| format!("{why}, at byte {offset}"));
            }
            Step::GivenUp { .. } => {
                return Ok(Condition::Damaged(
                    lost.unwrap_or_else(|| "too much of it is damaged".to_owned()),
                ));
            }
            Step::Block(block) => {
                let Some(whole) = &mut whole else {
                    return Ok(Condition::Damaged("a block stands before the file's header".to_owned()));
                };
                if let Some(why) = lost {
                    return Ok(Condition::Damaged(why));
                }
                if block.previous != whole.head.hash || block.head.block != whole.head.block + 1 {
                    let (number, offset) = (block.head.block, block.offset);
                    let why = format!("block {number} at byte {offset} does not follow the one before it");
                    return Ok(Condition::Damaged(why));
                }
                for record in block.records {
                    match record {
                        Ok(record) => whole.take(&record),
                        Err(why) => {
                            return Ok(Condition::Damaged(format!("{why}, at byte {}", block.offset)));
                        }
                    }
                }
                (whole.head, whole.bytes) = (block.head, block.offset + block.length);
            }
            Step::End { left, .. } => {
                let torn = left > 0 || lost.is_some();
                return Ok(match whole {
                    // Its opening says what went before: without that the file cannot be gone on with.
                    Some(whole) if whole.opening_lacks > 0 => Condition::Empty,
                    Some(whole) if whole.bytes > FILE_HEADER_BYTES as u64 && torn => Condition::Torn(whole),
                    Some(whole) if whole.bytes > FILE_HEADER_BYTES as u64 => Condition::Whole(whole),
                    Some(_) if !torn => Condition::OnlyBegun,
                    Some(_) | None => Condition::Empty,
                });
            }
        }
    }
}

/// A name for what is set aside that nothing has yet.
fn free_name(folder: &Path, name: &str) -> String {
    let mut names = (1u64..).map(|count| format!("{name}{DAMAGED}{count}"));
    names.find(|name| !folder.join(name).exists()).unwrap_or_default()
}

fn move_aside(folder: &Path, name: &str) -> io::Result<String> {
    let aside = free_name(folder, name);
    fs::rename(folder.join(name), folder.join(&aside))?;
    Ok(aside)
}

/// Moves what stands behind `bytes` to a file of its own.
fn cut(folder: &Path, name: &str, bytes: u64, aside: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(folder.join(name))?;
    file.seek(SeekFrom::Start(bytes))?;
    let mut rest = File::create_new(folder.join(aside))?;
    io::copy(&mut file, &mut rest)?;
    rest.sync_all()?;
    file.set_len(bytes)?;
    file.sync_all()
}

/// Makes the names in a folder safe.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// What the name of a draft ends with.
const DRAFT: &str = ".draft";

/// Removes what a run that was killed has left of a file that it was about to begin. The chain has nothing of it.
fn remove_drafts(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let number = entry.file_name().to_str().and_then(|name| file_number(name.strip_suffix(DRAFT)?));
        if number.is_some() {
            // One that stays is in nobody's way: the next file takes another number.
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}

/// A new file of the chain before it has its name there: nobody takes it for one, and dropped it is gone.
#[derive(Debug)]
pub(super) struct Draft {
    file: Option<File>,
    path: PathBuf,
    name: PathBuf,
    bytes: u64,
}

impl Draft {
    pub(super) fn create(folder: &Path, number: u64) -> io::Result<Self> {
        let name = folder.join(file_name(number));
        let path = folder.join(file_name(number) + DRAFT);
        // What a trail says of a plant is nobody else's business.
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { file: Some(file), path, name, bytes: 0 })
    }

    /// Writes it to the end.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(file) = &self.file {
            write_at(file, bytes, self.bytes)?;
        }
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// The block that follows `after`; gives the head that it makes.
    pub(super) fn append_block(&mut self, builder: &mut BlockBuilder, after: Head) -> io::Result<Head> {
        let sealed = builder.finish(after);
        self.append(sealed.bytes)?;
        Ok(sealed.head)
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), File::sync_all)
    }

    /// Makes it a file of the chain; gives its length, too.
    pub(super) fn name(mut self) -> io::Result<(File, u64)> {
        if self.name.try_exists()? {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the next file is there already"));
        }
        fs::rename(&self.path, &self.name)?;
        let file = self.file.take().ok_or_else(|| io::Error::other("no file"))?;
        Ok((file, self.bytes))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.file.is_some() {
            // If it stays, the next start removes it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Writes all of it to a place in a file.
pub(super) fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    #[cfg(test)]
    if let Some(fits) = super::tests::ends::room_for(bytes.len()) {
        file.write_all_at(&bytes[..fits], at)?;
        return Err(io::ErrorKind::StorageFull.into());
    }
    file.write_all_at(bytes, at)
}
