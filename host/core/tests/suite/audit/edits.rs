//! Random edits of a trail: each is found against a known head, whatever it is. What is edited is as small as a trail with
//! all kinds of records can be, so that a few thousand edits take seconds and hit every field of every block.

use super::trail::{Trail, records, sample, steps, verify};
use cardcage_core::audit::{
    BlockBuilder, Entry, FILE_HEADER_BYTES, FileHeader, Head, Record, Report, Step, What,
};
use std::ops::Range;

/// Numbers that look random, and are the same for the same seed (splitmix64).
struct Source(u64);

impl Source {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("below a usize")
    }

    /// A part of this many bytes, not empty.
    fn part(&mut self, length: usize) -> Range<usize> {
        let from = self.below(length);
        from..from + 1 + self.below(length - from)
    }
}

/// How often a soak says how far it is, in edits.
const STRIDE: u64 = 10_000;

/// What somebody does to a trail: its name, and how. `None` where it happens to change nothing.
type Edit = fn(&mut Source, Trail) -> Option<Trail>;

const EDITS: [(&str, Edit); 17] = [
    ("a bit is flipped", |source, mut trail| {
        let file = some_file(source, &mut trail);
        let at = source.below(file.len());
        file[at] ^= 1 << source.below(8);
        Some(trail)
    }),
    ("bytes are overwritten", |source, mut trail| {
        let file = some_file(source, &mut trail);
        let from = source.below(file.len());
        let to = file.len().min(from + 1 + source.below(64));
        file[from..to].iter_mut().for_each(|byte| *byte = source.next().to_le_bytes()[0]);
        Some(trail)
    }),
    ("bytes are zeroed", |source, mut trail| {
        let file = some_file(source, &mut trail);
        let part = source.part(file.len());
        file[part].fill(0);
        Some(trail)
    }),
    ("bytes are cut out", |source, mut trail| {
        let file = some_file(source, &mut trail);
        let part = source.part(file.len());
        file.drain(part);
        Some(trail)
    }),
    ("bytes are put in", |source, mut trail| {
        let file = some_file(source, &mut trail);
        let at = source.below(file.len());
        let more: Vec<u8> = (0..=source.below(200)).map(|_| source.next().to_le_bytes()[0]).collect();
        file.splice(at..at, more);
        Some(trail)
    }),
    ("the tail is cut off", |source, mut trail| {
        let (_, file) = trail.files.last_mut()?;
        file.truncate(source.below(file.len()));
        Some(trail)
    }),
    ("two blocks are swapped", |source, trail| {
        let mut blocks = Blocks::of(&trail);
        let (one, other) = (source.below(blocks.all.len()), source.below(blocks.all.len()));
        let bytes = blocks.all[one].1.clone();
        blocks.all[one].1 = std::mem::replace(&mut blocks.all[other].1, bytes);
        Some(blocks.joined())
    }),
    ("blocks are removed", |source, trail| {
        let mut blocks = Blocks::of(&trail);
        let part = source.part(blocks.all.len());
        blocks.all.drain(part);
        Some(blocks.joined())
    }),
    ("a block is put in a second time", |source, trail| {
        let mut blocks = Blocks::of(&trail);
        let (from, to) = (source.below(blocks.all.len()), source.below(blocks.all.len()));
        let (file, bytes) = (blocks.all[to].0, blocks.all[from].1.clone());
        blocks.all.insert(to, (file, bytes));
        Some(blocks.joined())
    }),
    ("a block replaces another", |source, trail| {
        let mut blocks = Blocks::of(&trail);
        let (from, to) = (source.below(blocks.all.len()), source.below(blocks.all.len()));
        let bytes = blocks.all[from].1.clone();
        blocks.all[to].1 = bytes;
        Some(blocks.joined())
    }),
    ("a block is replaced by the one of its number in a forged chain", |source, trail| {
        let mut written = Written::of(&trail);
        let at = written.some_entry(source)?;
        let Record::Entry(entry) = &mut written.all[at].1 else {
            return None;
        };
        entry.time_ns += 1;
        let mut forged = Blocks::of(&written.sealed_again());
        let mut blocks = Blocks::of(&trail);
        let at = source.below(blocks.all.len());
        std::mem::swap(&mut blocks.all[at], &mut forged.all[at]);
        Some(blocks.joined())
    }),
    ("a file is removed", |source, mut trail| {
        trail.files.remove(source.below(trail.files.len()));
        Some(trail)
    }),
    ("two files change places", |source, mut trail| {
        let (one, other) = (source.below(trail.files.len()), source.below(trail.files.len()));
        let bytes = trail.files[one].1.clone();
        trail.files[one].1 = std::mem::replace(&mut trail.files[other].1, bytes);
        Some(trail)
    }),
    ("a file is there under another number", |source, mut trail| {
        let at = source.below(trail.files.len());
        trail.files[at].0 += 1 + source.next() % 9;
        trail.files.sort_by_key(|(number, _)| *number);
        Some(trail)
    }),
    ("a value is changed, and the chain computed anew", |source, trail| {
        let mut written = Written::of(&trail);
        let at = written.some_entry(source)?;
        let Record::Entry(entry) = &mut written.all[at].1 else {
            return None;
        };
        entry.new ^= 1 << source.below(64);
        Some(written.sealed_again())
    }),
    ("an entry is taken out without a gap, and the chain computed anew", |source, trail| {
        let mut written = Written::of(&trail);
        let at = written.some_entry(source)?;
        let (_, record) = written.all.remove(at);
        let Record::Entry(gone) = record else {
            return None;
        };
        // The next entry of the part begins where the one that is gone did.
        if let Some(next) = written.next_of(at, &gone) {
            next.old = gone.old;
        }
        Some(written.sealed_again())
    }),
    ("an entry is made up, and the chain computed anew", |source, trail| {
        let mut written = Written::of(&trail);
        let at = written.some_entry(source)?;
        let (block, Record::Entry(entry)) = written.all[at].clone() else {
            return None;
        };
        let more = Entry { old: entry.new, what: What::Write, ..entry };
        written.all.insert(at + 1, (block, Record::Entry(more)));
        Some(written.sealed_again())
    }),
];

fn some_file<'a>(source: &mut Source, trail: &'a mut Trail) -> &'a mut Vec<u8> {
    let at = source.below(trail.files.len());
    &mut trail.files[at].1
}

/// A trail, block by block, each with the index of its file.
struct Blocks {
    headers: Vec<(u64, Vec<u8>)>,
    all: Vec<(usize, Vec<u8>)>,
}

impl Blocks {
    fn of(trail: &Trail) -> Self {
        let mut all = Vec::new();
        for (index, (_, file)) in trail.files.iter().enumerate() {
            steps(file, usize::MAX, |step| {
                if let Step::Block(block) = step {
                    let at = usize::try_from(block.offset).expect("small");
                    let length = usize::try_from(block.length).expect("small");
                    all.push((index, file[at..at + length].to_vec()));
                }
            });
        }
        let header = |(number, file): &(u64, Vec<u8>)| (*number, file[..FILE_HEADER_BYTES].to_vec());
        Self { headers: trail.files.iter().map(header).collect(), all }
    }

    fn joined(self) -> Trail {
        let mut files = self.headers;
        for (index, block) in self.all {
            files[index].1.extend(block);
        }
        Trail { files }
    }
}

/// A trail, record by record, each with the index of its file and the number of its block.
struct Written {
    numbers: Vec<u64>,
    all: Vec<((usize, u64), Record)>,
}

impl Written {
    fn of(trail: &Trail) -> Self {
        let mut all = Vec::new();
        for (index, (_, file)) in trail.files.iter().enumerate() {
            steps(file, usize::MAX, |step| {
                if let Step::Block(block) = step {
                    let place = (index, block.head.block);
                    all.extend(records(block).into_iter().map(|record| (place, record)));
                }
            });
        }
        Self { numbers: trail.files.iter().map(|(number, _)| *number).collect(), all }
    }

    /// Where a random entry is.
    fn some_entry(&self, source: &mut Source) -> Option<usize> {
        let from = source.below(self.all.len());
        let is_entry = |at: &usize| matches!(self.all[*at].1, Record::Entry(_));
        (from..self.all.len()).find(is_entry)
    }

    fn next_of(&mut self, from: usize, entry: &Entry) -> Option<&mut Entry> {
        self.all[from..].iter_mut().find_map(|(_, record)| match record {
            Record::Entry(next) if (next.cell, next.writer) == (entry.cell, entry.writer) => Some(next),
            _ => None,
        })
    }

    /// With hashes that are right, as anybody can compute them.
    fn sealed_again(self) -> Trail {
        let mut head = Head::NONE;
        let mut block = BlockBuilder::new();
        let mut files: Vec<(u64, Vec<u8>)> =
            self.numbers.iter().map(|number| (*number, Vec::new())).collect();
        for chunk in self.all.chunk_by(|(one, _), (other, _)| one == other) {
            let (number, file) = &mut files[chunk[0].0.0];
            if file.is_empty() {
                file.extend(FileHeader { number: *number, after: head }.encode());
            }
            for (_, record) in chunk {
                block.push(record).expect("it had room before");
            }
            let sealed = block.finish(head);
            file.extend(sealed.bytes);
            head = sealed.head;
        }
        Trail { files }
    }
}

/// What is said of an edited trail, if the edit is found. `number` is all that an edit depends on.
fn edited(whole: &Trail, head: Head, seed: u64, number: u64) -> Option<(&'static str, Report)> {
    let mut source = Source(seed.wrapping_mul(0x2545_f491_4f6c_dd1d).wrapping_add(number));
    loop {
        let (name, edit) = EDITS[source.below(EDITS.len())];
        // Swapped with itself, overwritten with what was there, …
        let Some(trail) = edit(&mut source, whole.clone()).filter(|trail| trail.files != whole.files) else {
            continue;
        };
        return Some((name, verify(&trail, &[head.hash])));
    }
}

/// Tries so many edits and gives how many there were of each kind. Fails at the first that is not found.
fn try_edits(seed: u64, numbers: Range<u64>) -> Vec<(&'static str, u64)> {
    let (whole, head) = sample();
    assert!(verify(&whole, &[head.hash]).is_proven());
    let mut counts: Vec<(&str, u64)> = EDITS.iter().map(|(name, _)| (*name, 0)).collect();
    for number in numbers {
        if let Some((name, report)) = edited(&whole, head, seed, number) {
            assert!(
                report.is_damaged() && !report.is_proven(),
                "edit {number} of seed {seed} ({name}): {report:#?}"
            );
            counts.iter_mut().filter(|(counted, _)| *counted == name).for_each(|(_, count)| *count += 1);
        }
    }
    counts
}

#[test]
fn five_thousand_random_edits_are_found_against_a_known_head() {
    let counts = try_edits(1, 0..5000);
    assert!(counts.iter().all(|(_, count)| *count > 100), "{counts:?}");
}

#[test]
fn a_chain_that_was_computed_anew_with_all_its_sums_is_found_by_the_head_alone() {
    let (whole, head) = sample();
    let mut written = Written::of(&whole);
    let shift = |value: &mut u64| *value = (f64::from_bits(*value) + 1.0).to_bits();
    for (_, record) in &mut written.all {
        match record {
            Record::Entry(entry) if entry.cell == 1 && entry.writer == 0 => {
                shift(&mut entry.new);
                if f64::from_bits(entry.old) > 0.0 {
                    shift(&mut entry.old);
                }
            }
            Record::Balance(balance) if balance.cell == 1 && balance.writer == 0 => shift(&mut balance.value),
            _ => {}
        }
    }
    let trail = written.sealed_again();
    assert_ne!(trail.files, whole.files);
    assert!(
        !verify(&trail, &[]).is_damaged(),
        "nothing in it contradicts itself: {:?}",
        verify(&trail, &[]).findings
    );
    assert!(verify(&trail, &[head.hash]).is_damaged());
}

/// `cargo xtask soak --what trail` runs this one with more of them: `SOAK_COUNT`, `SOAK_SEED`, `SOAK_FROM`.
#[test]
#[ignore = "as long as one likes: cargo xtask soak --what trail"]
fn soak() {
    let asked = |name: &str, or: u64| {
        std::env::var(name).ok().map_or(or, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
    };
    let (seed, from, count) = (asked("SOAK_SEED", 1), asked("SOAK_FROM", 0), asked("SOAK_COUNT", 100_000));
    let mut sums: Vec<(&str, u64)> = Vec::new();
    let mut at = from;
    while at < from + count {
        let to = (at + STRIDE).min(from + count);
        for (index, counted) in try_edits(seed, at..to).into_iter().enumerate() {
            match sums.get_mut(index) {
                Some(sum) => sum.1 += counted.1,
                None => sums.push(counted),
            }
        }
        at = to;
        println!("{} edits tried, all found", at - from);
    }
    for (name, count) in sums {
        println!("{count:>8}  {name}");
    }
}
