//! Records of what was found to be new: entries, who made them, and what is said of them in the log.

use super::{Collector, NOBODY, News};
use cardcage_core::audit::{Declaration, Entry, Note, Record, Rule, What, Writer};
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Collector {
    pub(super) fn tell(&mut self, news: &News) {
        let known = &mut self.known[news.slot];
        if news.count <= known.told.writes {
            return;
        }
        if self.budget == 0 || !self.chain.ready() {
            self.trail.listen(false);
            known.behind = true;
            return;
        }
        let Some(change) = known.told.change(news.value, news.count) else {
            return;
        };
        let entry = Entry {
            cell: known.slot.cell,
            writer: known.slot.writer,
            time_ns: news.time_ns,
            old: change.old,
            new: change.new,
            count: change.count,
            what: What::Write,
        };
        self.trail.figures.merged.fetch_add(change.count - 1, Ordering::Relaxed);
        self.write(news, &entry);
    }

    pub(super) fn tell_refusal(&mut self, news: &News, rule: Rule) {
        let known = &mut self.known[news.slot];
        if self.budget == 0 || !self.chain.ready() {
            self.trail.listen(false);
            known.behind = true;
            return;
        }
        let Some(count) = known.told.refused(news.count) else {
            return;
        };
        let entry = Entry {
            cell: known.slot.cell,
            writer: known.slot.writer,
            time_ns: news.time_ns,
            old: known.told.value,
            new: known.told.value,
            count,
            what: What::Violation { rule, attempted: news.value },
        };
        self.trail.figures.violations.fetch_add(count, Ordering::Relaxed);
        self.say_refused(&entry, news.count);
        self.write(news, &entry);
    }

    fn write(&mut self, news: &News, entry: &Entry) {
        let first = self.known[news.slot].first;
        let by = (news.generation, news.lending);
        let same = match self.known[first].by {
            // Nobody's ring told it, so it is taken for whoever wrote before.
            Some((generation, _)) if news.lending == NOBODY => generation == news.generation,
            told => told == Some(by),
        };
        if !same {
            self.announce(first, by, news.time_ns);
        }
        self.told_others |= !self.known[news.slot].own;
        self.budget -= 1;
        self.trail.figures.entries.fetch_add(1, Ordering::Relaxed);
        if self.chain.ready() {
            self.chain.push_entry(entry);
        } else {
            // Between the check and here only the announcement was pushed, and it filled the block of a full disk. The
            // entry is not told, so it must count as not told.
            let told = &mut self.known[news.slot].told;
            match entry.what {
                What::Write => {
                    told.value = entry.old;
                    told.writes -= entry.count;
                }
                What::Violation { .. } => told.violations -= entry.count,
            }
            self.known[news.slot].behind = true;
        }
    }

    pub(super) fn announce(&mut self, first: usize, by: (u32, u64), now_ns: i64) {
        let lent = self.rings.iter().find(|lent| lent.lending == by.1).map(|lent| Arc::clone(&lent.holder));
        let known = &mut self.known[first];
        known.by = Some(by);
        if let Some(thread) = lent {
            known.thread = thread;
        }
        if let Some(record) = self.announcement(first, now_ns) {
            self.chain.push(&record);
        }
    }

    /// Who writes a part; nothing for cells that are not the first of one, or that nobody wrote to.
    pub(super) fn announcement(&self, slot: usize, time_ns: i64) -> Option<Record> {
        let known = self.known.get(slot).filter(|known| known.slot.offset == 0)?;
        let (generation, _) = known.by?;
        Some(Record::Writer(Writer {
            cell: known.slot.cell,
            writer: known.slot.writer,
            time_ns,
            generation,
            thread: known.thread.to_string(),
        }))
    }

    pub(super) fn undeclared(&mut self, now_ns: i64) {
        if !self.chain.ready() {
            return;
        }
        let undeclared = std::mem::take(&mut self.trail.listed().undeclared);
        for told in undeclared {
            let component = told.component.as_str();
            tracing::error!(
                component,
                "it asked for the metric `{}`, which its manifest does not declare (as that kind)",
                told.metric
            );
            let note = Note::Undeclared { component: told.component, metric: told.metric, count: told.count };
            self.chain.push(&Record::Note { time_ns: now_ns, note });
        }
    }

    /// Says it in the log: the first time, then at powers of two.
    fn say_refused(&self, entry: &Entry, violations: u64) {
        let What::Violation { rule, attempted } = entry.what else {
            return;
        };
        if (violations - entry.count + 1).next_power_of_two() > violations {
            return;
        }
        let found = self.declarations.iter().find(|of| of.cells().contains(&entry.cell));
        if let Some(Declaration { component, metric, .. }) = found {
            let component = component.as_str();
            let (attempted, old) = (f64::from_bits(attempted), f64::from_bits(entry.old));
            tracing::error!(
                component,
                "a write of {attempted} to its metric `{metric}` was refused, which stays {old}: it {} \
                 ({violations} refused so far)",
                rule.broken()
            );
        }
    }
}
