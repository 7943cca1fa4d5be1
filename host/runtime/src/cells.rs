//! Metric cells: numbers that plugins change through handles and never own.
//!
//! Every write passes [`Cell`], which holds the declared rules and tells the trail. A metric has a *part* for each thread
//! that writes to it, so that a cell has one writer and needs no lock; what the metric reads as is the sum of its parts
//! (the last one that was opened, for a gauge). Parts are never taken back: a plugin may write to one as long as the
//! process lives, and how many there are is bounded.

mod cell;
mod part;
mod reading;
mod state;

pub(crate) use cell::{Cell, rule_of};
pub(crate) use part::Part;
pub use reading::{Distribution, MetricReading};

use crate::audit::Trail;
use crate::threads::ThreadCount;
use cardcage_core::audit::CellId;
use cardcage_plugin_api::manifest::{MetricDeclaration, MetricKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The cells of one component, or of the host itself. Clones are the same cells.
#[derive(Clone, Debug)]
pub struct Cells {
    component: Arc<str>,
    trail: &'static Trail,
    /// Whether the trail is told of each write; else it looks from time to time.
    news: bool,
    /// The threads that the component started.
    threads: Arc<ThreadCount>,
    all: Arc<Mutex<All>>,
}

#[derive(Debug, Default)]
struct All {
    metrics: Vec<Metric>,
    /// Cells in all parts of all metrics: a histogram's part has one for each bucket.
    cells: usize,
    /// How often the component was started before.
    generation: u32,
    /// Writes to metrics that were not declared.
    undeclared: u64,
}

/// A metric that was asked for, with its parts.
#[derive(Debug)]
struct Metric {
    declaration: MetricDeclaration,
    /// What the trail calls it.
    cell: CellId,
    parts: Vec<&'static Part>,
    /// Those that wait for another thread to go on in them.
    free: Vec<usize>,
    /// The one that was opened last.
    latest: usize,
}

impl Cells {
    /// No cells yet, of a component with these threads of its own.
    pub(crate) fn new(component: &str, trail: &'static Trail, threads: Arc<ThreadCount>) -> Self {
        Self { component: component.into(), trail, news: true, threads, all: Arc::default() }
    }

    /// No cells yet, for what the host counts elsewhere and writes down from time to time.
    pub(crate) fn of_host(component: &str, trail: &'static Trail) -> Self {
        Self { news: false, ..Self::new(component, trail, Arc::default()) }
    }

    /// A part of a metric for one writing thread; `None` past `most` cells.
    pub(crate) fn open(&self, declaration: &MetricDeclaration, most: usize) -> Option<&'static Part> {
        let mut all = self.lock();
        let generation = all.generation;
        let found = all.metrics.iter().position(|metric| metric.declaration.name == declaration.name);
        let index = if let Some(index) = found {
            index
        } else {
            let cell = self.trail.declare(&self.component, declaration);
            all.metrics.push(Metric::new(declaration.clone(), cell));
            all.metrics.len() - 1
        };
        let needed = Part::cells_of(declaration);
        let room = most.saturating_sub(all.cells) >= needed;
        let metric = &mut all.metrics[index];
        if let Some(free) = metric.free.pop() {
            metric.latest = free;
            metric.parts[free].begin(generation);
            return Some(metric.parts[free]);
        }
        if !room {
            return None;
        }
        let writer = u32::try_from(metric.parts.len()).unwrap_or(u32::MAX);
        let part = self.trail.part(declaration, metric.cell, writer, generation, self.news);
        metric.latest = metric.parts.len();
        metric.parts.push(part);
        all.cells += needed;
        Some(part)
    }

    /// The instance that wrote to the cells is closed: the next one goes on in them. If threads of it still run, they
    /// may still write: then their parts stay theirs, and the next instance gets others.
    pub(crate) fn retire(&self) {
        let mut all = self.lock();
        all.generation = all.generation.saturating_add(1);
        if self.threads.running() > 0 {
            return;
        }
        for metric in &mut all.metrics {
            metric.free = (0..metric.parts.len()).rev().collect();
        }
    }

    /// Someone wrote to a metric that the component does not have.
    pub(crate) fn undeclared(&self, metric: &str) {
        let mut all = self.lock();
        all.undeclared = all.undeclared.saturating_add(1);
        self.trail.undeclared(&self.component, metric);
    }

    /// Every metric that was asked for, in the order in which they first were.
    pub fn read(&self) -> Vec<MetricReading> {
        let all = self.lock();
        all.metrics.iter().map(|metric| metric.read(&self.component)).collect()
    }

    /// What counts against the component: writes that a rule forbade, and those to metrics that it did not declare.
    pub fn violations(&self) -> u64 {
        let all = self.lock();
        let parts = all.metrics.iter().flat_map(|metric| &metric.parts);
        parts.map(|part| part.violations()).sum::<u64>().saturating_add(all.undeclared)
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Metric {
    fn new(declaration: MetricDeclaration, cell: CellId) -> Self {
        Self { declaration, cell, parts: Vec::new(), free: Vec::new(), latest: 0 }
    }

    fn read(&self, component: &str) -> MetricReading {
        let mut reading = MetricReading::of(component, &self.declaration);
        for (index, part) in self.parts.iter().enumerate() {
            let counts = self.declaration.kind != MetricKind::Gauge || index == self.latest;
            part.add_to(&mut reading, counts);
        }
        reading
    }
}

#[cfg(test)]
mod tests;
