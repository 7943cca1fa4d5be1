//! Threads that parse chunks of a large file, each chunk by one thread.
//!
//! Chunks go out in order and are taken back in order, so the order of the file is kept. A chunk that nobody began is
//! taken back as it is: the source's own thread is one of the team.

use crate::error::FileError;
use crate::names::{Lookup, Names};
use cardcage_codec::{Format, ReadSettings, Reader, Round};
use cardcage_plugin_api::{Host, PluginError, Record, Thread};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The bytes of a chunk: some thousand lines, and small enough for the L2 cache.
/// Tests have small files.
pub(crate) const CHUNK_BYTES: usize = if cfg!(test) { 8 * 1024 } else { 256 * 1024 };
/// Records between two places at which a batch can end without parsing again.
const SLICE_RECORDS: usize = 64;
/// How long threads have to end when the source closes: far longer than any takes for its chunk.
const JOIN_NS: i64 = 2_000_000_000;

/// How the lines of a chunk are read.
pub(crate) struct Job {
    pub(crate) format: Format,
    pub(crate) settings: ReadSettings,
    /// The same for all files that are read alike.
    pub(crate) reader: usize,
    /// What a reader needs in the middle of the file.
    pub(crate) header: Box<[u8]>,
}

/// Whole lines, and what was made of them. Used again and again.
pub(crate) struct Chunk {
    number: u64,
    /// `len` bytes of it are text.
    pub(crate) text: Box<[u8]>,
    pub(crate) len: usize,
    pub(crate) job: Option<Arc<Job>>,
    pub(crate) batch_records: usize,
    /// The first ones are records of the text.
    pub(crate) records: Vec<Record>,
    /// Places at which the records so far are those of whole lines.
    pub(crate) marks: VecDeque<Mark>,
}

/// How far the text was turned into records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) records: usize,
    pub(crate) bytes: usize,
    pub(crate) lines: u64,
}

impl Chunk {
    pub(crate) fn new() -> Self {
        Self {
            number: 0,
            text: vec![0; CHUNK_BYTES].into_boxed_slice(),
            len: 0,
            job: None,
            batch_records: 0,
            records: Vec::new(),
            marks: VecDeque::new(),
        }
    }

    /// Makes records of the text, up to the first line that is none or needs a name that is new: the rest is for the
    /// source's own thread, which counts and names in order.
    fn parse(&mut self, reader: &mut Reader, names: &Lookup) {
        let round = Round { now_ns: names.host.now_ns(), batch_records: self.batch_records };
        let mut at = Mark::default();
        let mut room = SLICE_RECORDS;
        while at.bytes < self.len {
            if self.records.len() < at.records + room {
                self.records.resize(at.records + room, Record::default());
            }
            let mut stopped = false;
            let slice = &mut self.records[at.records..at.records + room];
            let taken = reader
                .read(&self.text[at.bytes..self.len], false, slice, round, names, &mut |_| stopped = true);
            if stopped {
                return;
            }
            if taken.bytes == 0 {
                // A line of many readings needs more room at once.
                if room >= self.batch_records {
                    return;
                }
                room = self.batch_records;
                continue;
            }
            at = Mark {
                records: at.records + taken.records,
                bytes: at.bytes + taken.bytes,
                lines: at.lines + taken.lines,
            };
            self.marks.push_back(at);
            room = SLICE_RECORDS;
        }
    }
}

/// The threads, and the chunks that are with them.
pub(crate) struct Team {
    host: Host,
    shared: Arc<Shared>,
    threads: Vec<Thread>,
    /// The source's own thread lends a hand while it waits.
    parser: Parser,
    next_number: u64,
    /// The numbers of the chunks that are out, in order.
    out: VecDeque<u64>,
}

#[derive(Default)]
struct Shared {
    desk: Mutex<Desk>,
    /// There is something to parse, or nothing more ever.
    work: Condvar,
    /// Something was parsed, or a thread failed.
    done: Condvar,
}

#[derive(Default)]
struct Desk {
    todo: VecDeque<Chunk>,
    done: Vec<Chunk>,
    failed: bool,
    stop: bool,
}

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        // Nothing that can panic runs under this lock.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Team {
    /// Starts so many threads.
    pub(crate) fn start(host: &Host, threads: u32, names: &Arc<Names>) -> Result<Self, PluginError> {
        let shared = Arc::new(Shared::default());
        let mut team = Self {
            host: host.clone(),
            shared,
            threads: Vec::new(),
            parser: Parser::new(Lookup { host: host.clone(), names: Arc::clone(names) }),
            next_number: 0,
            out: VecDeque::new(),
        };
        for _ in 0..threads {
            let (shared, names) = (Arc::clone(&team.shared), Arc::clone(names));
            let thread = host.spawn("parse", move |host| {
                work(&shared, &mut Parser::new(Lookup { host, names }));
                Ok(())
            })?;
            team.threads.push(thread);
        }
        Ok(team)
    }

    /// How many chunks are out.
    pub(crate) fn out(&self) -> usize {
        self.out.len()
    }

    /// Gives a chunk to whoever is free.
    pub(crate) fn give(&mut self, mut chunk: Chunk) {
        chunk.number = self.next_number;
        chunk.marks.clear();
        self.out.push_back(chunk.number);
        self.next_number += 1;
        self.shared.desk().todo.push_back(chunk);
        self.shared.work.notify_one();
    }

    /// Takes the chunk back that was given first, parsed or as it was; `None` if none is out.
    pub(crate) fn take(&mut self) -> Result<Option<Chunk>, FileError> {
        let Some(number) = self.out.pop_front() else {
            return Ok(None);
        };
        let mut desk = self.shared.desk();
        loop {
            if let Some(at) = desk.done.iter().position(|chunk| chunk.number == number) {
                return Ok(Some(desk.done.swap_remove(at)));
            }
            // The first that is out is the first on the desk, if nobody began it.
            if desk.todo.front().is_some_and(|chunk| chunk.number == number) {
                return Ok(desk.todo.pop_front());
            }
            if desk.failed {
                return Err(FileError::Thread);
            }
            if let Some(mut chunk) = desk.todo.pop_front() {
                drop(desk);
                self.parser.parse(&mut chunk);
                desk = self.shared.desk();
                desk.done.push(chunk);
                continue;
            }
            desk = self.shared.done.wait(desk).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends the threads.
    pub(crate) fn stop(&mut self) -> Result<(), PluginError> {
        self.shared.desk().stop = true;
        self.shared.work.notify_all();
        let until_ns = self.host.now_ns().saturating_add(JOIN_NS);
        self.threads.drain(..).try_for_each(|thread| thread.join(until_ns))
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        // Where the source could not be closed, its threads end by themselves.
        self.shared.desk().stop = true;
        self.shared.work.notify_all();
    }
}

/// Says so when a thread ends in a panic: nobody may wait for the chunk that it had.
struct Bell<'a>(&'a Shared);

impl Drop for Bell<'_> {
    fn drop(&mut self) {
        self.0.desk().failed = true;
        self.0.done.notify_all();
    }
}

fn work(shared: &Shared, parser: &mut Parser) {
    let bell = Bell(shared);
    let mut desk = shared.desk();
    while !desk.stop {
        let Some(mut chunk) = desk.todo.pop_front() else {
            desk = shared.work.wait(desk).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        drop(desk);
        parser.parse(&mut chunk);
        desk = shared.desk();
        desk.done.push(chunk);
        shared.done.notify_one();
    }
    drop(desk);
    std::mem::forget(bell);
}

/// A thread's own readers: each remembers the names that it has seen.
struct Parser {
    names: Lookup,
    readers: Vec<(usize, Reader)>,
    last: Option<Arc<Job>>,
}

impl Parser {
    fn new(names: Lookup) -> Self {
        Self { names, readers: Vec::new(), last: None }
    }

    fn parse(&mut self, chunk: &mut Chunk) {
        let Some(job) = chunk.job.clone() else {
            return;
        };
        let known = self.readers.iter().position(|(number, _)| *number == job.reader);
        let at = known.unwrap_or(self.readers.len());
        if known.is_none() {
            self.readers.push((job.reader, Reader::new(job.format, &job.settings)));
        }
        let reader = &mut self.readers[at].1;
        if !self.last.as_ref().is_some_and(|last| Arc::ptr_eq(last, &job)) {
            reader.begin(Some(&job.header));
            self.last = Some(job);
        }
        chunk.parse(reader, &self.names);
    }
}
