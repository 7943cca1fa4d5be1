//! Proving a trail: the chain, each cell's chain, and the sums.

use super::anchor::Anchor;
use super::block::{Hash, Head};
use super::decode::RecordError;
use super::file::FileHeader;
use super::record::{Declaration, Note, Record, What};
use super::report::{Fault, Finding, FoundHead, Place, Remark, Report, Segment};
use super::stream::{Block, Step};

/// Proves a trail. Give it the files in the order of their numbers, and of each file every step.
///
/// What it takes for granted is the BLAKE3 hash and the heads that it is given; nothing that the files say is.
#[derive(Debug)]
pub struct Verifier {
    report: Report,
    anchor: Anchor,
    /// The block before, or what a file's header says of it.
    before: Option<Head>,
    /// Whether that block was seen, and nothing damaged since.
    is_linked: bool,
    file: File,
    /// The first block that stays, by the last removal that the trail tells of.
    first_kept: u64,
    /// A run has begun and not ended.
    is_running: bool,
    /// Where the first block is, and whether nothing is wrong before it, so that blocks which are missing there were removed.
    first: Option<(Place, bool)>,
    /// Whether blocks may be missing before the next one, and nothing be wrong.
    may_lack: bool,
}

/// The file that is being read.
#[derive(Debug, Default)]
struct File {
    name: String,
    number: u64,
    header: Option<FileHeader>,
    /// A block of it was seen.
    has_block: bool,
    /// Something in it was damaged before its first block.
    is_damaged: bool,
}

impl Verifier {
    /// With the hashes of blocks that are known to be in the trail.
    pub fn new(heads: &[Hash]) -> Self {
        let heads = heads.iter().map(|hash| FoundHead { hash: *hash, block: None }).collect();
        Self {
            report: Report { heads, ..Report::default() },
            anchor: Anchor::new(),
            before: None,
            is_linked: false,
            file: File::default(),
            first_kept: 1,
            is_running: false,
            first: None,
            may_lack: false,
        }
    }

    /// The next file begins.
    pub fn file(&mut self, name: &str, number: u64) {
        self.file = File { name: name.to_owned(), number, ..File::default() };
        self.report.seen.files += 1;
    }

    /// Files were removed before they could be read, and the next one need not follow. For whoever reads along with a daemon;
    /// nothing is proven across such a place.
    pub fn skip(&mut self) {
        self.may_lack = true;
    }

    /// What was found so far.
    pub fn so_far(&self) -> &Report {
        &self.report
    }

    /// The next step in the file. [`Step::More`] is none.
    pub fn step(&mut self, step: &Step<'_>) {
        self.step_with(step, &mut |_, _, _| {});
    }

    /// As [`Verifier::step`], and gives each record with what is known by then and the number of its block. Of a block that
    /// stands where it does not belong, none is given.
    pub fn step_with(&mut self, step: &Step<'_>, each: &mut dyn FnMut(&Anchor, &Record, u64)) {
        match step {
            Step::More => {}
            Step::Header(header) => self.header(*header),
            Step::BadHeader(why) => self.damage(0, Fault::FileHeader(*why)),
            Step::Block(block) => self.block(block, each),
            Step::Damaged { offset, why } => self.damage(*offset, Fault::Block(*why)),
            Step::GivenUp { offset } => self.damage(*offset, Fault::GivenUp),
            Step::End { offset, left } => self.end(*offset, *left as u64),
        }
    }

    /// What was found.
    pub fn finish(mut self) -> Report {
        if let (Some(first), Some((place, true))) = (self.report.seen.first_block, self.first.take())
            && first > self.first_kept
        {
            let fault = Fault::Missing { from: self.first_kept, to: first - 1 };
            // In the order of the files, it is before all others.
            self.report.findings.insert(0, Finding { place, fault });
        }
        if self.first_kept > 1 {
            self.remark(Remark::Removed { first_kept: self.first_kept });
        }
        self.report
    }

    /// Where every part of every cell stands at the end.
    pub fn anchor(&self) -> &Anchor {
        &self.anchor
    }

    fn header(&mut self, header: FileHeader) {
        if self.before.is_none() {
            // The first file says what is before it. That is proven by its first block.
            self.before = Some(header.after);
            self.is_linked = true;
            if header.after != Head::NONE {
                self.anchor = Anchor::adrift();
            }
        }
        self.file.header = Some(header);
    }

    fn damage(&mut self, offset: u64, fault: Fault) {
        self.find(self.place(offset, None), fault);
        self.is_linked = false;
        self.anchor.lose();
        self.file.is_damaged |= !self.file.has_block;
    }

    fn block(&mut self, block: &Block<'_>, each: &mut dyn FnMut(&Anchor, &Record, u64)) {
        let place = self.place(block.offset, Some(block.head.block));
        let Some(continues) = self.link(block, &place) else {
            return;
        };
        let seen = &mut self.report.seen;
        seen.blocks += 1;
        seen.first_block.get_or_insert(block.head.block);
        seen.last = Some(block.head);
        if self.first.is_none() {
            // Damage that was named already may have been the blocks that are missing before.
            self.first = Some((place.clone(), self.report.findings.is_empty()));
        }
        self.join(block.head, continues);
        (self.before, self.is_linked) = (Some(block.head), true);
        let opens = !self.file.has_block && !self.file.is_damaged;
        if opens && !self.agrees(block) {
            self.find(place.clone(), Fault::HeaderDisagrees);
        }
        self.file.has_block = true;
        self.records(block, &place, opens, each);
    }

    /// Whether the block follows the one before; if not, says why. `None` for one that is no part of the trail here.
    fn link(&mut self, block: &Block<'_>, place: &Place) -> Option<bool> {
        let found = block.head.block;
        let before = self.before.unwrap_or(Head::NONE);
        let expected = before.block.saturating_add(1);
        let may_lack = std::mem::take(&mut self.may_lack);
        if found == expected && block.previous == before.hash {
            // What was damaged in between, if anything, was no block of the chain.
            return Some(true);
        }
        if found < expected {
            self.find(place.clone(), Fault::Misplaced { found, expected });
            return None;
        }
        if may_lack && found > expected {
            self.remark(Remark::Skipped { from: expected, to: found - 1 });
            self.anchor.lose();
            return Some(false);
        }
        // Damage that was named already may have been the missing blocks.
        if found == expected || self.is_linked {
            let missing = Fault::Missing { from: expected, to: found - 1 };
            self.find(place.clone(), if found == expected { Fault::Unlinked } else { missing });
            self.anchor.lose();
        }
        Some(false)
    }

    fn join(&mut self, head: Head, continues: bool) {
        let proven = self.report.heads.iter_mut().filter(|given| given.hash == head.hash);
        let proven_to = proven.map(|given| given.block = Some(head.block)).last().map(|()| head.block);
        let segments = &mut self.report.segments;
        let room = segments.len() < Report::FINDINGS_MAX;
        match segments.last_mut() {
            Some(segment) if continues => {
                segment.last = head;
                segment.proven_to = proven_to.or(segment.proven_to);
            }
            _ if room => segments.push(Segment { first: head.block, last: head, proven_to }),
            _ => {}
        }
    }

    /// Whether the file's name and header say what its first block says.
    fn agrees(&self, block: &Block<'_>) -> bool {
        let after = Head { block: block.head.block - 1, hash: block.previous };
        self.file.header == Some(FileHeader { number: self.file.number, after })
    }

    fn records(
        &mut self,
        block: &Block<'_>,
        place: &Place,
        opens: bool,
        each: &mut dyn FnMut(&Anchor, &Record, u64),
    ) {
        let number = self.file.number;
        for (index, record) in block.records.clone().enumerate() {
            let record = match record {
                Ok(record) => record,
                Err(why) => return self.unreadable(why, place),
            };
            let opened = |note: &Note| matches!(note, Note::Opened { file, .. } if *file == number);
            let is_opening = matches!(&record, Record::Note { note, .. } if opened(note));
            if opens && index == 0 && !is_opening {
                self.find(place.clone(), Fault::NoOpening);
            }
            self.count(&record, place);
            if let Err(misfit) = self.anchor.take(&record) {
                let of = misfit
                    .place()
                    .map_or_else(|| "the trail".to_owned(), |(cell, writer)| self.name_of(cell, writer));
                self.find(place.clone(), Fault::Misfit { of, misfit });
            }
            each(&self.anchor, &record, block.head.block);
        }
    }

    fn unreadable(&mut self, why: RecordError, place: &Place) {
        self.find(place.clone(), Fault::Record(why));
        self.anchor.lose();
    }

    /// `plausible.out_of_range, writer 0`.
    fn name_of(&self, cell: u32, writer: Option<u32>) -> String {
        let name = self.anchor.declaration(cell).map_or_else(|| format!("cell {cell}"), Declaration::name);
        writer.map_or(name.clone(), |writer| format!("{name}, writer {writer}"))
    }

    fn count(&mut self, record: &Record, place: &Place) {
        let seen = &mut self.report.seen;
        let time_ns = match record {
            Record::Entry(entry) => {
                if entry.what == What::Write {
                    seen.entries += 1;
                    seen.writes = seen.writes.saturating_add(entry.count);
                } else {
                    seen.violations = seen.violations.saturating_add(entry.count);
                }
                entry.time_ns
            }
            // One that is known was counted.
            Record::Declaration(declaration) if self.anchor.declaration(declaration.cell).is_none() => {
                seen.cells += 1;
                return;
            }
            Record::Declaration(_) | Record::Balance(_) => return,
            Record::Writer(writer) => writer.time_ns,
            Record::Note { time_ns, note } => {
                self.note(note, place);
                *time_ns
            }
        };
        let span = self.report.seen.time_ns.get_or_insert((time_ns, time_ns));
        *span = (span.0.min(time_ns), span.1.max(time_ns));
    }

    fn note(&mut self, note: &Note, place: &Place) {
        match note {
            Note::Began { .. } => {
                if self.is_running {
                    self.remark(Remark::NotEnded { place: place.clone() });
                }
                self.report.seen.runs += 1;
                self.is_running = true;
            }
            Note::Ended => self.is_running = false,
            // The run began in a file that was removed. Between two runs there is nothing to give an account of.
            Note::Opened { declarations: 1.., .. } if self.report.seen.runs == 0 => {
                self.report.seen.runs = 1;
                self.is_running = true;
            }
            Note::Removed { first_kept } => self.first_kept = self.first_kept.max(*first_kept),
            Note::SetAside { files, why } => {
                self.remark(Remark::SetAside { files: files.clone(), why: why.clone() });
            }
            Note::Remark { text } => self.remark(Remark::Said { text: text.clone() }),
            Note::Opened { .. } | Note::Undeclared { .. } => {}
        }
    }

    fn end(&mut self, offset: u64, left: u64) {
        self.report.seen.bytes += offset + left;
        // What was said of the end of a file is no longer said of the end of the trail.
        for remark in &mut self.report.remarks {
            if let Remark::Unfinished { at_end, .. } = remark {
                *at_end = false;
            }
        }
        if left > 0 {
            let place = self.place(offset, None);
            self.remark(Remark::Unfinished { place, bytes: left, at_end: true });
        }
        let header = self.file.header.filter(|_| !self.file.has_block && !self.file.is_damaged);
        // A file without blocks has no block that would prove its header.
        let fits = header.is_none_or(|header| {
            header.number == self.file.number && self.before.is_none_or(|before| before == header.after)
        });
        if !fits {
            self.find(self.place(0, None), Fault::HeaderDisagrees);
        }
    }

    fn place(&self, offset: u64, block: Option<u64>) -> Place {
        Place { file: self.file.name.clone(), offset, block }
    }

    fn find(&mut self, place: Place, fault: Fault) {
        if self.report.findings.len() < Report::FINDINGS_MAX {
            self.report.findings.push(Finding { place, fault });
        } else {
            self.report.more_findings += 1;
        }
    }

    fn remark(&mut self, remark: Remark) {
        if self.report.remarks.len() < Report::FINDINGS_MAX {
            self.report.remarks.push(remark);
        }
    }
}
