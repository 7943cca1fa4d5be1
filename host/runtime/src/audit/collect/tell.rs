//! Records of what was found to be new: entries, who made them, and what is said of them in the log.

use super::{By, Collector, News};
use crate::audit::who;
use cardcage_core::audit::{Declaration, Entry, Note, Record, Rule, What, Writer};
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
        let others = known.is_of_several(0, known.told.writes, news);
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
        self.write(news, others, &entry);
    }

    pub(super) fn tell_refusal(&mut self, news: &News, rule: Rule) {
        let known = &mut self.known[news.slot];
        if self.budget == 0 || !self.chain.ready() {
            self.trail.listen(false);
            known.behind = true;
            return;
        }
        let others = known.is_of_several(1, known.told.violations, news);
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
        self.write(news, others, &entry);
    }

    fn write(&mut self, news: &News, others: bool, entry: &Entry) {
        let first = self.known[news.slot].first;
        let by = By { generation: news.generation, thread: news.thread, others };
        if self.known[first].by != Some(by) {
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

    pub(super) fn announce(&mut self, first: usize, by: By, now_ns: i64) {
        self.known[first].by = Some(by);
        if let Some(record) = self.announcement(first, now_ns) {
            self.chain.push(&record);
        }
    }

    /// Who writes a part; nothing for cells that are not the first of one, or that nobody wrote to.
    pub(super) fn announcement(&self, slot: usize, time_ns: i64) -> Option<Record> {
        let known = self.known.get(slot).filter(|known| known.slot.offset == 0)?;
        let By { generation, thread, others } = known.by?;
        let name = who::name_of(thread);
        Some(Record::Writer(Writer {
            cell: known.slot.cell,
            writer: known.slot.writer,
            time_ns,
            generation,
            thread: if others { format!("{name} and others") } else { name.to_string() },
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
