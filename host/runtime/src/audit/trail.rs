//! What all threads share of the trail: which cells there are, the rings, and how it goes.

use super::ring::Ring;
use super::{thread, who};
use crate::cells::{Cell, Part};
use cardcage_core::audit::{CellId, Declaration, Head, Number, Rules};
use cardcage_core::config::{AuditDetail, AuditSync};
use cardcage_plugin_api::manifest::{MetricDeclaration, MetricKind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::Duration;

/// Room for news in each ring. Its reader is woken when half of it is full; at the million entries a second that are kept
/// by default that is every half millisecond. 32 KiB a writing thread.
const RING_ITEMS: usize = 1024;
/// The most rings: 8 MiB. Threads past it are not told of one by one; their cells are looked at instead.
const RINGS_MAX: usize = 256;
/// The most undeclared names that wait to be told; further ones are counted together.
const UNDECLARED_MAX: usize = 64;

/// Where and how a trail is kept.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The folder of its files; made if it is not there.
    pub folder: PathBuf,
    /// How much is kept.
    pub detail: AuditDetail,
    /// Entries a second that are written singly; what is beyond is merged.
    pub max_entries_per_second: u64,
    /// Bytes after which a new file is begun.
    pub rotate_bytes: u64,
    /// Time after which a new file is begun.
    pub rotate_every: Duration,
    /// Files kept.
    pub keep: u32,
    /// When what was written is made safe.
    pub sync: AuditSync,
}

/// How a trail goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrailStatus {
    /// Whether one is kept at all.
    pub kept: bool,
    /// The end of the chain as it is on disk.
    pub head: Head,
    /// Entries written in this run.
    pub entries: u64,
    /// Writes that share an entry with others: those that `entries` does not tell one by one.
    pub merged: u64,
    /// Refused writes that were told.
    pub violations: u64,
    /// Blocks written in this run.
    pub blocks: u64,
    /// Bytes written in this run.
    pub bytes: u64,
    /// Damaged files (or damaged ends of files) that were set aside at the start.
    pub set_aside: u64,
    /// Why nothing can be written now; entries are merged meanwhile.
    pub stuck: Option<String>,
}

/// The trail as the writing threads and everybody else see it. Lives until the process ends, as the cells do that lead
/// to it.
#[derive(Debug)]
pub struct Trail {
    kept: AtomicBool,
    /// Whether writes are told one by one at all.
    news: AtomicBool,
    /// Whether they are right now: not once a second has had its entries, and not while the disk is full.
    listens: AtomicBool,
    listed: Mutex<Listed>,
    rings: Mutex<Vec<Lent>>,
    /// Rises with each ring that is lent.
    lendings: AtomicU64,
    /// Whether some thread has left its ring.
    left: AtomicBool,
    reader: OnceLock<Thread>,
    pub(super) figures: Figures,
}

/// What the keeper counts, for others to read.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) entries: AtomicU64,
    pub(super) merged: AtomicU64,
    pub(super) violations: AtomicU64,
    pub(super) blocks: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) set_aside: AtomicU64,
    pub(super) end: Mutex<End>,
}

/// Where the chain ends, and why it does not go on.
#[derive(Debug)]
pub(super) struct End {
    pub(super) head: Head,
    pub(super) stuck: Option<String>,
}

impl Default for End {
    fn default() -> Self {
        Self { head: Head::NONE, stuck: None }
    }
}

/// Everything that was ever declared, in order: the keeper remembers how far it has read.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) declarations: Vec<Declaration>,
    pub(super) slots: Vec<Slot>,
    next_cell: CellId,
    pub(super) undeclared: Vec<Undeclared>,
}

/// A cell in the list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) part: &'static Part,
    /// Which of the part's cells.
    pub(super) offset: usize,
    pub(super) cell: CellId,
    pub(super) writer: u32,
}

impl Slot {
    pub(super) fn cell(&self) -> Option<&'static Cell> {
        self.part.cells().nth(self.offset)
    }
}

/// Writes to a metric that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Undeclared {
    pub(super) component: String,
    pub(super) metric: String,
    pub(super) count: u64,
}

/// A ring and who writes to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lent {
    pub(super) ring: &'static Ring,
    /// The thread, by its number.
    pub(super) thread: u32,
    state: Holding,
}

/// Whose a ring is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holding {
    /// A thread writes to it.
    Held,
    /// The thread has ended; what it wrote may not be read yet, and would be taken for that of another.
    Left,
    /// Nobody's.
    Free,
}

impl Trail {
    /// A trail that nobody keeps yet.
    pub fn new() -> &'static Self {
        Box::leak(Box::new(Self {
            kept: AtomicBool::new(false),
            news: AtomicBool::new(false),
            listens: AtomicBool::new(false),
            listed: Mutex::default(),
            rings: Mutex::default(),
            lendings: AtomicU64::new(0),
            left: AtomicBool::new(false),
            reader: OnceLock::new(),
            figures: Figures::default(),
        }))
    }

    /// How it goes.
    pub fn status(&self) -> TrailStatus {
        let figures = &self.figures;
        let read = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        let end = figures.end.lock().unwrap_or_else(PoisonError::into_inner);
        TrailStatus {
            kept: self.kept.load(Ordering::Relaxed),
            head: end.head,
            entries: read(&figures.entries),
            merged: read(&figures.merged),
            violations: read(&figures.violations),
            blocks: read(&figures.blocks),
            bytes: read(&figures.bytes),
            set_aside: read(&figures.set_aside),
            stuck: end.stuck.clone(),
        }
    }

    /// From now on it is kept, by a thread that says so with [`Trail::read_by`]. Before any cell is made.
    pub(super) fn begin(&self, detail: AuditDetail) {
        self.kept.store(true, Ordering::Relaxed);
        self.news.store(detail != AuditDetail::Interval, Ordering::Relaxed);
    }

    /// Whether news is welcome; what is not told is looked up later.
    #[inline]
    pub(super) fn listens(&self) -> bool {
        self.listens.load(Ordering::Relaxed)
    }

    /// From now on news is welcome, or not.
    pub(super) fn listen(&self, listens: bool) {
        self.listens.store(listens, Ordering::Relaxed);
    }

    /// The keeper's thread.
    pub(super) fn read_by(&self, reader: Thread) {
        // There is one keeper; a second one would be refused before it starts.
        let _ = self.reader.set(reader);
    }

    /// A new metric; gives its first cell's number.
    pub(crate) fn declare(&self, component: &str, declaration: &MetricDeclaration) -> CellId {
        let mut listed = self.listed();
        let cell = listed.next_cell;
        let cells = u32::try_from(Part::cells_of(declaration)).unwrap_or(u32::MAX);
        listed.next_cell = cell.saturating_add(cells);
        listed.declarations.push(as_declared(cell, component, declaration));
        cell
    }

    /// A new part of a metric.
    pub(crate) fn part(
        &'static self,
        declaration: &MetricDeclaration,
        first: CellId,
        writer: u32,
        generation: u32,
        news: bool,
    ) -> &'static Part {
        let mut listed = self.listed();
        let slot = u32::try_from(listed.slots.len()).unwrap_or(u32::MAX);
        let told = (news && self.news.load(Ordering::Relaxed)).then_some(self);
        let part = Box::leak(Box::new(Part::new(declaration, told, thread::tag(slot, generation))));
        for (cell, offset) in (first..).zip(0..Part::cells_of(declaration)) {
            listed.slots.push(Slot { part, offset, cell, writer });
        }
        part
    }

    /// Someone wrote to a metric that is not there.
    pub(crate) fn undeclared(&self, component: &str, metric: &str) {
        let mut listed = self.listed();
        let same = |known: &&mut Undeclared| known.component == component && known.metric == metric;
        if let Some(known) = listed.undeclared.iter_mut().find(same) {
            known.count = known.count.saturating_add(1);
        } else if listed.undeclared.len() < UNDECLARED_MAX {
            let (component, metric) = (component.to_owned(), metric.to_owned());
            listed.undeclared.push(Undeclared { component, metric, count: 1 });
        } else if let Some(last) = listed.undeclared.last_mut() {
            "(others)".clone_into(&mut last.metric);
            last.count = last.count.saturating_add(1);
        }
    }

    pub(super) fn listed(&self) -> MutexGuard<'_, Listed> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A ring for the calling thread; `None` if there are no more.
    pub(super) fn lend(&self) -> Option<&'static Ring> {
        let thread = who::number();
        let mut rings = self.rings();
        self.lendings.fetch_add(1, Ordering::Relaxed);
        if let Some(lent) = rings.iter_mut().find(|lent| lent.state == Holding::Free) {
            (lent.thread, lent.state) = (thread, Holding::Held);
            return Some(lent.ring);
        }
        if rings.len() >= RINGS_MAX {
            return None;
        }
        let ring: &'static Ring = Box::leak(Box::new(Ring::new(RING_ITEMS)));
        rings.push(Lent { ring, thread, state: Holding::Held });
        Some(ring)
    }

    /// The thread that had it has ended.
    pub(super) fn give_back(&self, ring: &'static Ring) {
        let mut rings = self.rings();
        if let Some(lent) = rings.iter_mut().find(|lent| std::ptr::eq(lent.ring, ring)) {
            lent.state = Holding::Left;
            self.left.store(true, Ordering::Relaxed);
        }
    }

    /// For the keeper, after it has read all rings: those that were left are free once they are empty.
    pub(super) fn free_left(&self) {
        if self.left.swap(false, Ordering::Relaxed) {
            for lent in self.rings().iter_mut().filter(|lent| lent.state == Holding::Left) {
                if lent.ring.is_empty() {
                    lent.state = Holding::Free;
                } else {
                    self.left.store(true, Ordering::Relaxed);
                }
            }
        }
    }

    /// Brings a copy of the rings up to date.
    pub(super) fn lent(&self, seen: &mut u64, copy: &mut Vec<Lent>) {
        if *seen != self.lendings.load(Ordering::Relaxed) {
            let rings = self.rings();
            *seen = self.lendings.load(Ordering::Relaxed);
            copy.clone_from(&rings);
        }
    }

    fn rings(&self) -> MutexGuard<'_, Vec<Lent>> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the keeper: a ring is filling up.
    #[cold]
    pub(super) fn wake(&self) {
        if let Some(reader) = self.reader.get() {
            reader.unpark();
        }
    }
}

fn as_declared(cell: CellId, component: &str, declaration: &MetricDeclaration) -> Declaration {
    Declaration {
        cell,
        component: component.to_owned(),
        metric: declaration.name.clone(),
        kind: declaration.kind,
        number: Number::Float,
        unit: declaration.unit.clone(),
        help: declaration.help.clone(),
        rules: Rules {
            monotonic: declaration.kind == MetricKind::Counter,
            min: declaration.min,
            max: declaration.max,
            largest_step: declaration.largest_step,
        },
        bounds: declaration.bucket_bounds().to_vec(),
    }
}
