//! From news and cells to records of the trail: what is told one by one, what is merged, and who did it.

mod tell;

use super::aside::SetAside;
use super::chain::Chain;
use super::ring::{Item, Ring};
use super::settle::Told;
use super::thread::Tag;
use super::trail::{Lent, Slot, Trail};
use crate::cells::{Cell, rule_of};
use cardcage_core::audit::{Balance, Declaration, Note, Record};
use cardcage_core::config::AuditDetail;

/// Turns what threads did into records.
#[derive(Debug)]
pub(super) struct Collector {
    trail: &'static Trail,
    detail: AuditDetail,
    max_entries: u64,
    chain: Chain,
    rings: Vec<Lent>,
    lendings: u64,
    known: Vec<Known>,
    declarations: Vec<Declaration>,
    /// How many of them the chain has.
    declared: usize,
    /// Entries that may yet be written singly in this second.
    budget: u64,
    /// Where the next round over all cells begins, so that a small budget reaches each of them in turn.
    from: usize,
    /// What stands at the chain's beginning, or at that of this run; `None` once it is there.
    beginning: Option<Vec<Record>>,
    /// Whether something was told that is not of the trail itself.
    told_others: bool,
}

/// A cell and what was told of it.
#[derive(Debug)]
struct Known {
    slot: Slot,
    cell: &'static Cell,
    told: Told,
    /// Who writes it, as the trail has it; kept with the first cell of a part.
    by: Option<By>,
    /// Where the part's first cell is in the list.
    first: usize,
    /// How often its thread had left news out when it was last looked at.
    missed: u64,
    /// News of it was left out here.
    behind: bool,
    /// News that may yet be joined by more of the same batch.
    held: Option<News>,
    /// One of the trail's own figures: telling it must not be a reason to tell it again.
    own: bool,
}

impl Known {
    /// Whether writes (0) or refused writes (1), of which `told` are told and `count` done, are of more than the one who did
    /// the last of them.
    fn is_of_several(&self, which: usize, told: u64, news: &News) -> bool {
        let is_one = !news.is_sampled && news.count <= told + 1;
        !is_one && self.cell.writer().1[which] > told
    }
}

/// What a piece of news says.
#[derive(Clone, Copy, Debug)]
struct News {
    slot: usize,
    value: u64,
    count: u64,
    time_ns: i64,
    generation: u32,
    /// The thread that wrote last.
    thread: u32,
    /// Found by looking at the cell: what was done since it was told of last, and not one write.
    is_sampled: bool,
}

/// Who did what is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct By {
    generation: u32,
    thread: u32,
    /// And others before it, whose writes are told together with its own.
    others: bool,
}

impl Collector {
    pub(super) fn new(
        trail: &'static Trail,
        detail: AuditDetail,
        max_entries: u64,
        (chain, set_aside): (Chain, Vec<SetAside>),
        began: Note,
        now_ns: i64,
    ) -> Self {
        let notes = set_aside.into_iter().map(|SetAside { file, why }| match file {
            Some(files) => Note::SetAside { files, why },
            None => Note::Remark { text: why },
        });
        // The run first: between an opening without cells and it, anything else would leave the cells of the run before
        // unaccounted for.
        let beginning =
            std::iter::once(began).chain(notes).map(|note| Record::Note { time_ns: now_ns, note }).collect();
        Self {
            trail,
            detail,
            max_entries,
            chain,
            rings: Vec::new(),
            lendings: 0,
            known: Vec::new(),
            declarations: Vec::new(),
            declared: 0,
            budget: max_entries,
            from: 0,
            beginning: Some(beginning),
            told_others: false,
        }
    }

    /// Another second has begun.
    pub(super) fn second(&mut self) {
        self.budget = self.max_entries;
        self.chain.look_for_file();
        self.trail.listen(self.chain.ready());
    }

    /// Whether, since this was last asked, anything was told but the trail's own figures, so that they are worth telling.
    pub(super) fn told_others(&mut self) -> bool {
        std::mem::take(&mut self.told_others)
    }

    /// Takes up everything that came since the last time. `round` says that cells whose news is not told one by one are
    /// to be looked at.
    pub(super) fn pass(&mut self, round: bool, now_ns: i64) {
        self.chain.retry();
        if self.chain.wants_file(now_ns) {
            self.next_file(now_ns);
        }
        self.begin();
        self.catch_up();
        self.drain();
        self.let_go();
        self.look(round, now_ns);
        self.undeclared(now_ns);
        self.chain.retain(now_ns);
    }

    /// Writes what waits in the block.
    pub(super) fn cut(&mut self) {
        self.chain.seal();
    }

    /// Says in the log where the chain ends, and makes that safe.
    pub(super) fn say_head(&mut self) {
        if self.chain.ready() {
            self.chain.settle();
        }
    }

    /// The end of the run: everything that is not told yet, where each part stands, and the end.
    pub(super) fn end(&mut self, now_ns: i64) {
        self.chain.look_for_file();
        self.chain.ends();
        self.pass(false, now_ns);
        self.budget = u64::MAX;
        for slot in 0..self.known.len() {
            self.sample(slot, now_ns);
        }
        for balance in self.balances() {
            if self.chain.ready() {
                self.chain.push(&balance);
            }
        }
        if self.chain.ready() {
            self.chain.push(&Record::Note { time_ns: now_ns, note: Note::Ended });
            self.chain.seal();
        }
        if self.chain.ready() {
            self.chain.release();
            self.chain.forget_next_file();
            self.chain.settle();
        } else {
            tracing::error!(
                "the end of the audit trail could not be written: what changed since {} is not in it",
                self.chain.head()
            );
        }
    }

    fn begin(&mut self) {
        if !self.chain.ready() {
            return;
        }
        for record in self.beginning.take().into_iter().flatten() {
            self.chain.push(&record);
        }
    }

    /// A file that can be read on its own.
    fn next_file(&mut self, now_ns: i64) {
        let writers: Vec<Record> =
            (0..self.known.len()).filter_map(|slot| self.announcement(slot, now_ns)).collect();
        let balances = self.balances();
        // None of them is more than there are cells, whose numbers have 32 bits.
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let note = Note::Opened {
            file: self.chain.next_number(),
            declarations: count(self.declared),
            writers: count(writers.len()),
            balances: count(balances.len()),
        };
        let declared = self.declarations[..self.declared].iter().cloned().map(Record::Declaration);
        let opening = std::iter::once(Record::Note { time_ns: now_ns, note }).chain(declared);
        self.chain.next_file(now_ns, opening.chain(writers).chain(balances));
    }

    fn balances(&self) -> Vec<Record> {
        let declared = self.known.iter().filter(|known| self.is_declared(known));
        let balance = |known: &Known| {
            let Told { value, writes, violations } = known.told;
            Record::Balance(Balance {
                cell: known.slot.cell,
                writer: known.slot.writer,
                value,
                writes,
                violations,
            })
        };
        declared.filter(|known| known.told != Told::default()).map(balance).collect()
    }

    fn is_declared(&self, known: &Known) -> bool {
        let declared = self.declarations[..self.declared].last();
        declared.is_some_and(|last| known.slot.cell <= *last.cells().end())
    }

    /// Takes up what was declared since the last time.
    fn catch_up(&mut self) {
        let listed = self.trail.listed();
        self.declarations.extend_from_slice(&listed.declarations[self.declarations.len()..]);
        for slot in &listed.slots[self.known.len()..] {
            let Some(cell) = slot.cell() else {
                continue;
            };
            let at = self.known.len();
            let own = self.declarations.iter().rfind(|of| of.cells().contains(&slot.cell));
            self.known.push(Known {
                slot: *slot,
                cell,
                told: Told { value: 0f64.to_bits(), ..Told::default() },
                by: None,
                first: at - slot.offset,
                missed: 0,
                behind: false,
                held: None,
                own: own.is_some_and(|of| {
                    of.component.is_empty() && of.metric.starts_with(super::host_metrics::OWN)
                }),
            });
        }
        drop(listed);
        while self.declared < self.declarations.len() && self.chain.ready() {
            self.chain.push(&Record::Declaration(self.declarations[self.declared].clone()));
            self.declared += 1;
        }
    }

    fn drain(&mut self) {
        let mut rings = std::mem::take(&mut self.rings);
        self.trail.lent(&mut self.lendings, &mut rings);
        for lent in &rings {
            let ring: &Ring = lent.ring;
            ring.drain(|item| self.take(item, lent.thread));
        }
        self.rings = rings;
        self.trail.free_left();
    }

    fn take(&mut self, [tag, value, count, time]: Item, thread: u32) {
        let Tag { slot, rule, generation } = Tag::of(tag);
        let time_ns = time.cast_signed();
        let news = News { slot, value, count, time_ns, generation, thread, is_sampled: false };
        if slot >= self.known.len() {
            self.catch_up();
        }
        let Some(known) = self.known.get_mut(slot) else {
            return;
        };
        if let Some(rule) = rule_of(rule) {
            self.tell_refusal(&news, rule);
        } else if self.detail == AuditDetail::Batch {
            // The news of one batch carries one time.
            if let Some(held) = known.held.replace(news).filter(|held| held.time_ns != news.time_ns) {
                self.tell(&held);
            }
        } else {
            self.tell(&news);
        }
    }

    /// What was held back for its batch is told.
    fn let_go(&mut self) {
        if self.detail == AuditDetail::Batch {
            for slot in 0..self.known.len() {
                if let Some(held) = self.known[slot].held.take() {
                    self.tell(&held);
                }
            }
        }
    }

    /// Looks at the cells that there was no news of, though they may have been written.
    fn look(&mut self, round: bool, now_ns: i64) {
        let count = self.known.len();
        if round {
            self.from = (self.from + 1) % count.max(1);
        }
        for at in 0..count {
            let slot = (at + self.from) % count;
            let known = &mut self.known[slot];
            let missed_by_now = known.cell.missed();
            let missed = std::mem::replace(&mut known.missed, missed_by_now) != missed_by_now;
            let wanted = known.behind || !known.cell.has_news();
            if missed || (round && wanted) {
                self.sample(slot, now_ns);
            }
            self.note_generation(slot, now_ns);
        }
    }

    /// A new generation of a component is announced even before it writes.
    fn note_generation(&mut self, slot: usize, now_ns: i64) {
        let known = &self.known[slot];
        let generation = Tag::of(known.cell.tag()).generation;
        if known.slot.offset == 0
            && let Some(by) = known.by.filter(|by| by.generation < generation)
            && self.chain.ready()
        {
            self.announce(slot, By { generation, others: false, ..by }, now_ns);
        }
    }

    /// Tells where a cell stands, without news of how it got there.
    fn sample(&mut self, slot: usize, now_ns: i64) {
        let known = &mut self.known[slot];
        let generation = Tag::of(known.cell.tag()).generation;
        known.behind = false;
        let Some((value, count)) = known.cell.stands() else {
            known.behind = true;
            return;
        };
        let refused = known.cell.refused().filter(|refused| refused.violations > known.told.violations);
        // After the rest, so that it is not behind it.
        let (thread, _) = known.cell.writer();
        let news = News { slot, value, count, time_ns: now_ns, generation, thread, is_sampled: true };
        if count > known.told.writes {
            self.tell(&news);
        }
        if let Some(refused) = refused {
            let news = News { value: refused.attempted, count: refused.violations, ..news };
            self.tell_refusal(&news, refused.rule);
        }
    }
}
