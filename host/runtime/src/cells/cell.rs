//! One number, written by one thread at a time, under rules, with news of each write for the trail.

use super::state::State;
use crate::audit::{Trail, thread, who};
use cardcage_core::audit::Rule;
use cardcage_plugin_api::manifest::{MetricDeclaration, MetricKind};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A cell. On cache lines of its own, since neighbours belong to other threads.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Cell {
    /// The bits of an `f64`.
    state: State,
    bounds: Bounds,
    /// Who gets the news of each write.
    trail: Option<&'static Trail>,
    /// Under which number, and for which generation: see [`thread::Tag`].
    tag: AtomicU64,
    /// The thread that wrote last, by its number.
    by: AtomicU32,
    /// How many writes and refused writes there were when it, or the generation, came in place of another.
    since: [AtomicU64; 2],
    /// How often news was left out: then the trail must look at the cell itself. Written by the writing thread.
    missed: AtomicU64,
    /// Refused writes; written by the writing thread, as are the two below.
    violations: AtomicU64,
    /// The number of the rule that refused the last one.
    rule: AtomicU64,
    /// What it attempted.
    attempted: AtomicU64,
}

/// The rules as four comparisons, each of which is false for what is not a number.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    least: f64,
    most: f64,
    least_step: f64,
    most_step: f64,
}

/// A refused write, as the trail tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// How many there were by then.
    pub(crate) violations: u64,
    pub(crate) rule: Rule,
    /// Bits of an `f64`.
    pub(crate) attempted: u64,
}

impl Cell {
    /// A cell at 0 that tells its trail, if it has one, under this tag.
    pub(crate) fn new(declaration: &MetricDeclaration, trail: Option<&'static Trail>, tag: u64) -> Self {
        Self {
            state: State::new(0f64.to_bits()),
            bounds: Bounds::of(declaration),
            trail,
            tag: AtomicU64::new(tag),
            by: AtomicU32::new(who::NOBODY),
            since: [0, 0].map(AtomicU64::new),
            missed: AtomicU64::new(0),
            violations: AtomicU64::new(0),
            rule: AtomicU64::new(0),
            attempted: AtomicU64::new(0),
        }
    }

    /// Adds; `false` if a rule forbids it.
    #[inline]
    pub(crate) fn add(&self, by: f64) -> bool {
        let old = self.value();
        self.write(old, old + by)
    }

    /// Sets; `false` if a rule forbids it.
    #[inline]
    pub(crate) fn set(&self, to: f64) -> bool {
        self.write(self.value(), to)
    }

    /// Adds what may be of either sign: for a bucket, whose rules are those of the observation.
    #[inline]
    pub(super) fn collect(&self, value: f64) {
        self.settle(self.value() + value);
    }

    #[inline]
    fn write(&self, old: f64, new: f64) -> bool {
        if self.bounds.allow(old, new) {
            self.settle(new);
            return true;
        }
        self.forbid(old, new);
        false
    }

    #[inline]
    fn settle(&self, new: f64) {
        // Nearly always, so that it costs no more than to look.
        if self.by.load(Ordering::Relaxed) == who::here() {
            self.put(new);
        } else {
            self.put_as_another(new);
        }
    }

    /// Another thread than before writes.
    #[cold]
    #[inline(never)]
    fn put_as_another(&self, new: f64) {
        self.note_thread();
        self.put(new);
    }

    #[inline]
    fn put(&self, new: f64) {
        let writes = self.state.write(new.to_bits());
        if let Some(trail) = self.trail {
            self.tell(trail, new, writes);
        }
    }

    /// Not part of what is inlined into the calls of the host's table, so that these need no stack.
    #[inline(never)]
    fn tell(&self, trail: &'static Trail, new: f64, writes: u64) {
        if !thread::tell(trail, self.tag.load(Ordering::Relaxed), new.to_bits(), writes) {
            self.miss();
        }
    }

    #[cold]
    fn forbid(&self, old: f64, new: f64) {
        self.refuse(self.bounds.broken(old, new), new);
    }

    /// Notes a write that was not done.
    #[cold]
    pub(super) fn refuse(&self, rule: Rule, attempted: f64) {
        self.note_thread();
        self.rule.store(rule_number(rule), Ordering::Relaxed);
        self.attempted.store(attempted.to_bits(), Ordering::Relaxed);
        let violations = self.violations.load(Ordering::Relaxed) + 1;
        self.violations.store(violations, Ordering::Release);
        if let Some(trail) = self.trail {
            let tag = thread::refusal(self.tag.load(Ordering::Relaxed), rule_number(rule));
            if !thread::tell(trail, tag, attempted.to_bits(), violations) {
                self.miss();
            }
        }
    }

    /// Notes which thread writes from now on. Before it does: whoever sees what it wrote sees this, too.
    fn note_thread(&self) {
        let number = who::number();
        if self.by.load(Ordering::Relaxed) != number {
            self.note_change();
            self.by.store(number, Ordering::Release);
        }
    }

    /// Notes where those who wrote before have left it.
    fn note_change(&self) {
        // Nobody writes meanwhile.
        let writes = self.state.read().map_or(u64::MAX, |(_, writes)| writes);
        let violations = self.violations.load(Ordering::Relaxed);
        for (since, count) in self.since.iter().zip([writes, violations]) {
            since.store(count, Ordering::Release);
        }
    }

    /// The thread that wrote last, and how many writes and refused writes there were when it came in place of another, or
    /// its generation did. Asked after [`Cell::stands`] it may be ahead of that, never behind.
    pub(crate) fn writer(&self) -> (u32, [u64; 2]) {
        let by = self.by.load(Ordering::Acquire);
        (by, [0, 1].map(|which| self.since[which].load(Ordering::Acquire)))
    }

    /// Notes that news was left out.
    #[inline]
    fn miss(&self) {
        self.missed.store(self.missed.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
    }

    #[inline]
    pub(crate) fn value(&self) -> f64 {
        f64::from_bits(self.state.value())
    }

    /// The value's bits and the writes that led to it, taken together; `None` if it is being written all the time.
    pub(crate) fn stands(&self) -> Option<(u64, u64)> {
        /// A write takes a nanosecond or two: a reader that is this often in its way is better off coming again.
        const TRIES: usize = 64;
        (0..TRIES).find_map(|_| self.state.read())
    }

    pub(crate) fn violations(&self) -> u64 {
        self.violations.load(Ordering::Acquire)
    }

    /// The last refused write. Its parts may be those of two, if it happens right now; how many there were is exact.
    pub(crate) fn refused(&self) -> Option<Refused> {
        let violations = self.violations();
        let rule = rule_of(self.rule.load(Ordering::Relaxed))?;
        Some(Refused { violations, rule, attempted: self.attempted.load(Ordering::Relaxed) })
    }

    /// Whether the trail is told of each write.
    pub(crate) fn has_news(&self) -> bool {
        self.trail.is_some()
    }

    /// How often news was left out. Whoever looks at the cell after it has asked sees all that was left out by then.
    pub(crate) fn missed(&self) -> u64 {
        self.missed.load(Ordering::Acquire)
    }

    /// The next write is told under this tag; those before are another generation's.
    pub(super) fn retag(&self, tag: u64) {
        self.note_change();
        self.tag.store(tag, Ordering::Relaxed);
    }

    pub(crate) fn tag(&self) -> u64 {
        self.tag.load(Ordering::Relaxed)
    }
}

impl Bounds {
    fn of(declaration: &MetricDeclaration) -> Self {
        let step = declaration.largest_step.unwrap_or(f64::INFINITY);
        Self {
            // What is infinite is no number that anyone could add up.
            least: declaration.min.unwrap_or(f64::MIN),
            most: declaration.max.unwrap_or(f64::MAX),
            least_step: if declaration.kind == MetricKind::Counter { 0.0 } else { -step },
            most_step: step,
        }
    }

    #[inline]
    fn allow(&self, old: f64, new: f64) -> bool {
        let step = new - old;
        new >= self.least && new <= self.most && step >= self.least_step && step <= self.most_step
    }

    /// Which rule forbids what [`Bounds::allow`] does not allow.
    fn broken(&self, old: f64, new: f64) -> Rule {
        if !new.is_finite() {
            Rule::NotANumber
        } else if new < old && self.least_step >= 0.0 {
            Rule::Monotonic
        } else if new < self.least {
            Rule::Min
        } else if new > self.most {
            Rule::Max
        } else {
            Rule::LargestStep
        }
    }
}

/// The rules, numbered by their place, from 1.
const RULES: [Rule; 5] = [Rule::Monotonic, Rule::NotANumber, Rule::Min, Rule::Max, Rule::LargestStep];

/// The number that stands for a rule in a cell and in its news; never 0.
fn rule_number(rule: Rule) -> u64 {
    RULES.iter().zip(1..).find(|(known, _)| **known == rule).map_or(1, |(_, number)| number)
}

/// The rule behind a number; `None` for 0.
pub(crate) fn rule_of(number: u64) -> Option<Rule> {
    RULES.get(usize::try_from(number.checked_sub(1)?).ok()?).copied()
}
