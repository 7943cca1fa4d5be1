//! Damages a library in ways that files get damaged, and finds out what the program makes of it.
//!
//! A mutation is told by a seed and a number, so that any one of them can be made again. What it does to the library is
//! asked of the program as people would: by running a pipeline with it.
//! A damaged library that is taken must do what the whole one does, to the byte.

use crate::build::binary;
use crate::pipeline::Pipeline;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The longest that the program may take for one library: the vetting child's deadline, and a loaded machine.
const PATIENCE: Duration = Duration::from_secs(40);
/// The vetting child's deadline.
const DEADLINE: &str = "5s";

/// A pipeline in which each component type of the library has a part.
const PIPELINE: &str = "version: 1
sources:
  numbers: { plugin: exercise/count, settings: { count: 3000 } }
stages:
  late: { plugin: exercise/delay, inputs: [numbers], settings: { hold: 100 } }
  double: { plugin: exercise/twice, inputs: [late] }
sinks:
  lines: { plugin: exercise/lines, inputs: [double], settings: { path: lines.txt } }
";

/// What became of a damaged library.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// A rung refused it, by this code.
    Refused(String),
    /// It was taken, and did what the whole library does.
    Same,
    /// It was taken, ran, and was found out while it ran: refused, failed, or unbalanced books.
    FoundOut(i32),
    /// It was taken, ran to the end, and wrote something else.
    Different,
    /// It was taken, and then ended the program, or kept it from ending, while the pipeline ran.
    Crashed(String),
    /// The program ended in a way that it should not, while it only looked.
    Died(String),
    /// The program did not end.
    Hung,
}

impl Outcome {
    /// What must never be.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Died(_) | Self::Hung)
    }
}

/// One mutation, and what came of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its number.
    pub number: u64,
    /// What was done, and where.
    pub change: String,
    /// The bytes that were changed.
    pub places: Vec<Range<usize>>,
    /// What came of it.
    pub outcome: Outcome,
}

/// A whole library, with the parts that are worth damaging.
#[derive(Debug)]
pub struct Whole {
    bytes: Vec<u8>,
    /// What the linker reads: headers, dynamic section, tables, notes.
    structure: Vec<Range<usize>>,
    /// What a pipeline with it writes.
    output: Vec<u8>,
}

impl Whole {
    /// This library. `sealed`: as linked; else without the mark by which the program knows how its build id was made, as
    /// if another linker had made it.
    pub fn new(library: &Path, sealed: bool) -> Self {
        let mut bytes = fs::read(library).expect("the library can be read");
        if !sealed {
            const MARK: &[u8] = b"Linker: LLD";
            let at = bytes.windows(MARK.len()).rposition(|window| window == MARK);
            let at = at.expect("the library was linked by LLD");
            bytes[at] = b'l';
        }
        let structure = structure(&bytes);
        let mut whole = Self { bytes, structure, output: Vec::new() };
        let desk = Desk::new();
        fs::write(&desk.file, &whole.bytes).expect("the library can be written");
        whole.output = desk.run().unwrap_or_else(|outcome| panic!("the whole library: {outcome:?}"));
        whole
    }

    /// The library with one mutation: what was done, where, and the bytes.
    pub fn mutate(&self, seed: u64, number: u64) -> (String, Vec<Range<usize>>, Vec<u8>) {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number);
        let mut bytes = self.bytes.clone();
        let mut places = Vec::new();
        let mut changes = Vec::new();
        // One change in most cases: several hide each other.
        let count = if random.below(4) == 0 { 1 + random.below(4) } else { 1 };
        for _ in 0..count {
            let at = self.place(&mut random, bytes.len());
            let (what, place) = damage(&mut random, &mut bytes, at);
            changes.push(format!("{what} at {:#x}", place.start));
            places.push(place);
        }
        (changes.join(", "), places, bytes)
    }

    /// Half of all damage is done to what the linker reads, which is a small part of the file.
    fn place(&self, random: &mut Random, len: usize) -> usize {
        if random.below(2) == 0 {
            return random.below(len);
        }
        let part = &self.structure[random.below(self.structure.len())];
        (part.start + random.below(part.len())).min(len - 1)
    }

    /// Whether all of these bytes are code, constants and data, which the linker only maps.
    pub fn is_content(&self, places: &[Range<usize>]) -> bool {
        !places
            .iter()
            .any(|place| self.structure.iter().any(|part| place.start < part.end && part.start < place.end))
    }

    /// Makes mutation after mutation and asks the program about each.
    pub fn try_all(&self, seed: u64, numbers: impl Iterator<Item = u64>, see: &mut dyn FnMut(Case)) {
        let desk = Desk::new();
        for number in numbers {
            let (change, places, bytes) = self.mutate(seed, number);
            let outcome = desk.judge(&bytes, &self.output);
            see(Case { number, change, places, outcome });
        }
    }
}

/// One of several equal ways to damage a file here.
fn damage(random: &mut Random, bytes: &mut Vec<u8>, at: usize) -> (&'static str, Range<usize>) {
    let word = at..(at + 8).min(bytes.len());
    match random.below(10) {
        0..3 => {
            bytes[at] ^= 1 << random.below(8);
            ("a bit turned", at..at + 1)
        }
        3..5 => {
            bytes[at] = random.byte();
            ("a byte set", at..at + 1)
        }
        5 => {
            let value = random.extreme().to_le_bytes();
            bytes[word.clone()].copy_from_slice(&value[..word.len()]);
            ("a word set", word)
        }
        6 => {
            let other = random.below(bytes.len());
            bytes.swap(at, other);
            ("two bytes swapped", at..at + 1)
        }
        7 => {
            let len = (1 + random.below(4096)).min(bytes.len() - at);
            bytes[at..at + len].fill(0);
            ("zeroes", at..at + len)
        }
        8 => {
            let len = (1 + random.below(512)).min(bytes.len() - at);
            let from = random.below(bytes.len() - len);
            bytes.copy_within(from..from + len, at);
            ("bytes from elsewhere", at..at + len)
        }
        _ if random.below(2) == 0 => {
            bytes.truncate(at.max(1));
            ("the rest cut off", at..usize::MAX)
        }
        _ => {
            let len = (1 + random.below(64)).min(bytes.len() - at);
            let again = bytes[at..at + len].to_vec();
            bytes.splice(at..at, again);
            ("bytes doubled", at..usize::MAX)
        }
    }
}

/// Types of sections: notes, symbol tables, hash tables, strings, versions, relocations, the dynamic section, arrays of
/// what runs first.
const READ_BY_THE_LINKER: [usize; 11] = [3, 4, 5, 6, 7, 11, 14, 15, 0x6fff_fff6, 0x6fff_fffe, 0x6fff_ffff];

/// The parts of a 64-bit little-endian library that the linker reads: its headers, tables and notes, the dynamic section.
fn structure(bytes: &[u8]) -> Vec<Range<usize>> {
    let number = |at: usize, len: usize| {
        let mut word = [0; 8];
        word[..len].copy_from_slice(&bytes[at..at + len]);
        usize::try_from(u64::from_le_bytes(word)).expect("a library has numbers that fit")
    };
    let mut parts = vec![0..64, number(32, 8)..number(32, 8) + number(56, 2) * 56];
    let (table, size, count) = (number(40, 8), number(58, 2), number(60, 2));
    for header in (0..count).map(|index| table + index * size) {
        let (kind, flags) = (number(header + 4, 4), number(header + 8, 8));
        let (offset, len) = (number(header + 24, 8), number(header + 32, 8));
        let read = READ_BY_THE_LINKER.contains(&kind);
        if flags & 2 != 0 && read && len > 0 {
            parts.push(offset..offset + len);
        }
    }
    parts
}

/// A folder in which libraries are tried, one after the other.
struct Desk {
    pipeline: Pipeline,
    file: PathBuf,
}

impl Desk {
    fn new() -> Self {
        let pipeline = Pipeline::new(PIPELINE, &[]);
        let file = pipeline.path("plugins/libexercise.so");
        Self { pipeline, file }
    }

    fn judge(&self, bytes: &[u8], expected: &[u8]) -> Outcome {
        fs::write(&self.file, bytes).expect("the library can be written");
        match self.run() {
            Ok(output) if output == expected => Outcome::Same,
            Ok(_) => Outcome::Different,
            Err(Outcome::Died(how)) => self.blame(how),
            Err(Outcome::Hung) => self.blame("it did not end".to_owned()),
            Err(outcome) => outcome,
        }
    }

    /// Whether the program also dies or hangs when it only looks at the library.
    fn blame(&self, how: String) -> Outcome {
        let file = self.file.display().to_string();
        match self.finish(&["plugin", "check", "--deadline", DEADLINE, &file]) {
            Ok((0, _)) => Outcome::Crashed(how),
            Ok((code, said)) => Outcome::Died(format!("{how}, and the check ended with {code}: {said}")),
            Err(outcome) => outcome,
        }
    }

    /// What a pipeline with the library writes.
    fn run(&self) -> Result<Vec<u8>, Outcome> {
        let lines = self.pipeline.path("lines.txt");
        // Not there the first time.
        let _ = fs::remove_file(&lines);
        let _ = fs::remove_dir_all(self.pipeline.path(".cardcage"));
        match self.finish(&["run"])? {
            (0, _) => Ok(fs::read(&lines).unwrap_or_default()),
            (78, said) => Err(code(&said).map_or(Outcome::FoundOut(78), Outcome::Refused)),
            (code, _) => Err(Outcome::FoundOut(code)),
        }
    }

    /// Runs the program to its end: its exit code and what it said.
    fn finish(&self, arguments: &[&str]) -> Result<(i32, String), Outcome> {
        let said = self.pipeline.path("said.txt");
        let file = fs::File::create(&said).expect("a file can be made");
        let mut child = Command::new(binary())
            .args(arguments)
            .current_dir(self.pipeline.folder())
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a file can be shared"))
            .stderr(file)
            .spawn()
            .expect("the program can be started");
        if !ends_within(&child, PATIENCE) {
            child.kill().expect("a child can be ended");
            child.wait().expect("a child can be waited for");
            return Err(Outcome::Hung);
        }
        let status = child.wait().expect("a child can be waited for");
        let text = String::from_utf8_lossy(&fs::read(&said).unwrap_or_default()).into_owned();
        status.code().map(|code| (code, text)).ok_or_else(|| Outcome::Died(status.to_string()))
    }
}

fn ends_within(child: &Child, patience: Duration) -> bool {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a child has a process number");
    let handle = pidfd_open(pid, PidfdFlags::empty()).expect("a child can be watched");
    let until = Instant::now() + patience;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).expect("a minute fits");
        let mut watched = [PollFd::new(&handle, PollFlags::IN)];
        match poll(&mut watched, Some(&timeout)) {
            Ok(ended) if ended > 0 => return true,
            _ if left.is_zero() => return false,
            _ => {}
        }
    }
}

/// The ladder's code in what the program said.
fn code(said: &str) -> Option<String> {
    let from = &said[said.find("ladder.")?..];
    let end = from
        .find(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit() && c != '.' && c != '-')
        .unwrap_or(from.len());
    Some(from[..end].to_owned())
}

/// The outcomes of many mutations.
#[derive(Debug, Default)]
pub struct Tally {
    /// How often each outcome was.
    pub counts: BTreeMap<Outcome, u64>,
    /// Those that were taken and are not the same, and those that must never be.
    pub odd: Vec<Case>,
}

impl Tally {
    /// Adds one.
    pub fn add(&mut self, case: Case) {
        *self.counts.entry(case.outcome.clone()).or_default() += 1;
        if !matches!(case.outcome, Outcome::Refused(_) | Outcome::Same) {
            self.odd.push(case);
        }
    }

    /// How many ended like this.
    pub fn count(&self, of: impl Fn(&Outcome) -> bool) -> u64 {
        self.counts.iter().filter(|(outcome, _)| of(outcome)).map(|(_, count)| count).sum()
    }

    /// All of it, for reading.
    pub fn summary(&self) -> String {
        let counts = self.counts.iter().map(|(outcome, count)| format!("{count:>8}  {outcome:?}\n"));
        let odd = self
            .odd
            .iter()
            .map(|case| format!("          number {}: {:?}: {}\n", case.number, case.outcome, case.change));
        counts.chain(odd).collect()
    }
}

/// `SplitMix64`: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.next() % end).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    /// A number at which arithmetic goes wrong, or any.
    fn extreme(&mut self) -> u64 {
        const EXTREMES: [u64; 8] =
            [0, 1, u64::MAX, u64::MAX - 7, 1 << 63, 0x7fff_ffff_ffff_ffff, 0xffff_ffff, 1 << 32];
        if self.below(2) == 0 { self.next() } else { EXTREMES[self.below(EXTREMES.len())] }
    }
}
