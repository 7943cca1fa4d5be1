//! The part of a metric that one thread writes: a cell, or one for each bucket of a histogram.

use super::cell::Cell;
use super::reading::MetricReading;
use crate::audit::{Trail, thread};
use cardcage_core::audit::Rule;
use cardcage_plugin_api::manifest::{MetricDeclaration, MetricKind};

/// A part of a metric. The pointer that a plugin holds leads here.
#[derive(Debug)]
pub(crate) struct Part {
    kind: MetricKind,
    /// A counter's or gauge's only cell, or that of a histogram's first bucket.
    cell: Cell,
    /// The cells of the other buckets.
    buckets: Box<[Cell]>,
    /// Their upper bounds, rising; the last bucket has none.
    bounds: Box<[f64]>,
    /// The rules of a histogram are for each observation.
    least: f64,
    most: f64,
}

impl Part {
    /// A part at 0. Its cells have tags that follow each other, beginning with `tag`.
    pub(crate) fn new(declaration: &MetricDeclaration, trail: Option<&'static Trail>, tag: u64) -> Self {
        let bounds = declaration.bucket_bounds();
        let more = 1..Self::cells_of(declaration) as u64;
        Self {
            kind: declaration.kind,
            cell: Cell::new(declaration, trail, tag),
            buckets: more.map(|offset| Cell::new(declaration, trail, tag + offset)).collect(),
            bounds: bounds.into(),
            least: declaration.min.unwrap_or(f64::MIN),
            most: declaration.max.unwrap_or(f64::MAX),
        }
    }

    /// How many cells a part of this metric has.
    pub(crate) fn cells_of(declaration: &MetricDeclaration) -> usize {
        match declaration.kind {
            MetricKind::Histogram => declaration.bucket_bounds().len() + 1,
            MetricKind::Counter | MetricKind::Gauge => 1,
        }
    }

    /// Adds to a counter; `false` if a rule, or its being something else, forbids it.
    #[inline]
    pub(crate) fn add(&self, by: f64) -> bool {
        self.kind == MetricKind::Counter && self.cell.add(by)
    }

    /// Sets a gauge; `false` if a rule, or its being something else, forbids it.
    #[inline]
    pub(crate) fn set(&self, to: f64) -> bool {
        self.kind == MetricKind::Gauge && self.cell.set(to)
    }

    /// Brings a metric of the host to where it stands; what does not move is not written.
    pub(crate) fn stand_at(&self, value: f64) {
        // The same bits: a count that stayed where it was.
        if value.to_bits() != self.cell.value().to_bits() {
            self.cell.set(value);
        }
    }

    /// Puts an observation into a histogram; `false` if a rule, or its being something else, forbids it.
    #[inline]
    pub(crate) fn observe(&self, value: f64) -> bool {
        if self.kind != MetricKind::Histogram {
            return false;
        }
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        let Some(cell) = self.cells().nth(bucket).filter(|_| value >= self.least && value <= self.most)
        else {
            self.cell.refuse(self.broken(value), value);
            return false;
        };
        cell.collect(value);
        true
    }

    fn broken(&self, value: f64) -> Rule {
        if !value.is_finite() {
            Rule::NotANumber
        } else if value < self.least {
            Rule::Min
        } else {
            Rule::Max
        }
    }

    /// All cells, in the order of their tags.
    pub(crate) fn cells(&self) -> impl Iterator<Item = &Cell> {
        std::iter::once(&self.cell).chain(&self.buckets)
    }

    /// From now on another generation writes here.
    pub(super) fn begin(&self, generation: u32) {
        self.cells().for_each(|cell| cell.retag(thread::of_generation(cell.tag(), generation)));
    }

    pub(super) fn violations(&self) -> u64 {
        // Those of a histogram are noted in its first bucket.
        self.cell.violations()
    }

    /// Adds this part to what the metric reads as; the value only if `counts`.
    pub(super) fn add_to(&self, reading: &mut MetricReading, counts: bool) {
        reading.violations = reading.violations.saturating_add(self.violations());
        for (index, cell) in self.cells().enumerate() {
            let (bits, writes) = cell.stands().unwrap_or((cell.value().to_bits(), 0));
            reading.writes = reading.writes.saturating_add(writes);
            if counts {
                reading.add(index, f64::from_bits(bits), writes);
            }
        }
    }
}
