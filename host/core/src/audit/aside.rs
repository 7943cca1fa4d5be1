//! What can still be proven of what was set aside.

use super::block::{Hash, Head};
use super::report::Report;
use super::stream::Step;

/// What was set aside, as far as it is whole. Give it the files in the order of their numbers, and of each every step.
///
/// A file that holds the end of another has no header; give its [`Stream`](super::Stream) one first.
#[derive(Debug, Default)]
pub struct Aside {
    wanted: Vec<Hash>,
    files: Vec<AsideFile>,
    runs: Vec<Run>,
    heads: Vec<(Hash, u64, usize, String)>,
}

/// A file that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsideFile {
    /// Its name.
    pub name: String,
    /// How many blocks in it are whole.
    pub blocks: u64,
    /// What is wrong with it, the first thing; `None` for what is no more than part of a block.
    pub fault: Option<String>,
}

/// A head that what was set aside has a block of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsideHead {
    /// The block.
    pub head: Head,
    /// The name of the file that it is in.
    pub file: String,
    /// The first of the blocks that follow each other up to it, and that it proves.
    pub proves_from: u64,
}

/// Blocks that follow each other.
#[derive(Clone, Copy, Debug)]
struct Run {
    first: u64,
    last: Head,
}

impl Aside {
    /// Looks for blocks with these hashes.
    pub fn new(wanted: &[Hash]) -> Self {
        Self { wanted: wanted.to_vec(), ..Self::default() }
    }

    /// The next file begins.
    pub fn file(&mut self, name: &str) {
        self.files.push(AsideFile { name: name.to_owned(), blocks: 0, fault: None });
    }

    /// The next step in the file.
    pub fn step(&mut self, step: &Step<'_>) {
        let Some(file) = self.files.last_mut() else {
            return;
        };
        let fault = match step {
            Step::Block(block) => {
                file.blocks += 1;
                let name = file.name.clone();
                let run = Self::join(&mut self.runs, block.previous, block.head);
                if self.wanted.contains(&block.head.hash) {
                    self.heads.push((block.head.hash, block.head.block, run, name));
                }
                return;
            }
            Step::BadHeader(why) => why.to_string(),
            Step::Damaged { why, .. } => why.to_string(),
            Step::GivenUp { .. } => "too much of it is damaged".to_owned(),
            Step::More | Step::Header(_) | Step::End { .. } => return,
        };
        file.fault.get_or_insert(fault);
    }

    /// The files, with what is in them.
    pub fn files(&self) -> &[AsideFile] {
        &self.files
    }

    /// The heads that were found.
    pub fn heads(&self) -> impl Iterator<Item = AsideHead> {
        self.heads.iter().map(|(hash, block, run, file)| AsideHead {
            head: Head { block: *block, hash: *hash },
            file: file.clone(),
            proves_from: self.runs.get(*run).map_or(*block, |run| run.first),
        })
    }

    /// Where the block belongs: behind the one that it names, or alone.
    fn join(runs: &mut Vec<Run>, previous: Hash, head: Head) -> usize {
        let before = Head { block: head.block - 1, hash: previous };
        if let Some(at) = runs.iter().position(|run| run.last == before) {
            runs[at].last = head;
            return at;
        }
        if runs.len() >= Report::FINDINGS_MAX {
            // Nothing is kept of it, and so it proves itself alone.
            return usize::MAX;
        }
        runs.push(Run { first: head.block, last: head });
        runs.len() - 1
    }
}
