//! Metric cells: numbers that plugins change through handles and never own.
//!
//! The audit trail is not kept yet; what is here is its place: every write passes [`Cell::write`], which knows the rules.

use cardcage_plugin_api::manifest::{MetricDeclaration, MetricKind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// One number of one component, written by one thread at a time.
#[derive(Debug)]
pub(crate) struct Cell {
    declaration: MetricDeclaration,
    /// The bits of an `f64`.
    value: AtomicU64,
    violations: AtomicU64,
}

impl Cell {
    /// Adds; `false` if a rule forbids it.
    pub(crate) fn add(&self, by: f64) -> bool {
        let old = self.value();
        self.write(old, old + by)
    }

    /// Sets; `false` if a rule forbids it.
    pub(crate) fn set(&self, to: f64) -> bool {
        self.write(self.value(), to)
    }

    fn write(&self, old: f64, new: f64) -> bool {
        let rules = &self.declaration;
        let forbidden = new.is_nan()
            || (rules.kind == MetricKind::Counter && new < old)
            || rules.min.is_some_and(|min| new < min)
            || rules.max.is_some_and(|max| new > max)
            || rules.largest_step.is_some_and(|step| (new - old).abs() > step);
        if forbidden {
            self.violations.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        // A plain store: one writing thread a cell is the ABI's rule.
        self.value.store(new.to_bits(), Ordering::Relaxed);
        true
    }

    fn value(&self) -> f64 {
        f64::from_bits(self.value.load(Ordering::Relaxed))
    }
}

/// The cells of one component: one for each metric and writing thread.
#[derive(Clone, Debug, Default)]
pub struct Cells {
    cells: Arc<Mutex<All>>,
}

#[derive(Debug, Default)]
struct All {
    /// Every cell ever made: a plugin may write to one as long as the process lives.
    cells: Vec<Arc<Cell>>,
    /// Which of them are free to be given out again.
    free: Vec<usize>,
    /// What earlier instances counted.
    retired: Vec<MetricReading>,
}

/// A metric as it reads now: the sum over its cells for counters, the last cell for gauges.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricReading {
    /// Its name.
    pub name: String,
    /// Its unit code.
    pub unit: String,
    /// Its value.
    pub value: f64,
    /// Writes that a rule forbade.
    pub violations: u64,
}

impl Cells {
    /// A cell for one writing thread; `None` past `most` cells.
    pub(crate) fn open(&self, declaration: &MetricDeclaration, most: usize) -> Option<Arc<Cell>> {
        let mut all = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |index: &usize| all.cells[*index].declaration.name == declaration.name;
        if let Some(at) = all.free.iter().position(same) {
            let index = all.free.swap_remove(at);
            return Some(Arc::clone(&all.cells[index]));
        }
        if all.cells.len() >= most {
            return None;
        }
        let cell = Arc::new(Cell {
            declaration: declaration.clone(),
            value: AtomicU64::new(0f64.to_bits()),
            violations: AtomicU64::new(0),
        });
        all.cells.push(Arc::clone(&cell));
        Some(cell)
    }

    /// The instance that wrote to the cells is closed: what they say is kept, and they are given to the next one.
    pub(crate) fn retire(&self) {
        let mut all = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        all.retired = all.read();
        for cell in &all.cells {
            cell.value.store(0f64.to_bits(), Ordering::Relaxed);
            cell.violations.store(0, Ordering::Relaxed);
        }
        all.free = (0..all.cells.len()).collect();
    }

    /// Every metric, in the order in which they were first asked for.
    pub fn read(&self) -> Vec<MetricReading> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner).read()
    }
}

impl All {
    fn read(&self) -> Vec<MetricReading> {
        let mut readings = self.retired.clone();
        let in_use = self.cells.iter().enumerate().filter(|(index, _)| !self.free.contains(index));
        for cell in in_use.map(|(_, cell)| cell) {
            let (value, violations) = (cell.value(), cell.violations.load(Ordering::Relaxed));
            match readings.iter_mut().find(|reading| reading.name == cell.declaration.name) {
                Some(reading) => {
                    reading.violations += violations;
                    let gauge = cell.declaration.kind == MetricKind::Gauge;
                    reading.value = if gauge { value } else { reading.value + value };
                }
                None => readings.push(MetricReading {
                    name: cell.declaration.name.clone(),
                    unit: cell.declaration.unit.clone(),
                    value,
                    violations,
                }),
            }
        }
        readings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declaration(kind: MetricKind) -> MetricDeclaration {
        MetricDeclaration {
            name: "n".into(),
            kind,
            unit: "1".into(),
            help: String::new(),
            min: None,
            max: Some(10.0),
            largest_step: None,
        }
    }

    #[test]
    fn a_forbidden_write_changes_nothing_and_is_counted() {
        let cells = Cells::default();
        let cell = cells.open(&declaration(MetricKind::Counter), 9).expect("room");
        assert!(cell.add(4.0));
        assert!(!cell.add(-1.0));
        assert!(!cell.add(f64::NAN));
        assert!(!cell.add(7.0));
        let reading = &cells.read()[0];
        assert_eq!((reading.value.to_bits(), reading.violations), (4.0f64.to_bits(), 3));
    }

    fn open(cells: &Cells) -> Arc<Cell> {
        cells.open(&declaration(MetricKind::Counter), 2).expect("room")
    }

    #[test]
    fn a_restarted_component_goes_on_counting_in_the_same_cells() {
        let cells = Cells::default();
        for _ in 0..10 {
            assert!(open(&cells).add(1.0));
            cells.retire();
        }
        assert_eq!(cells.read()[0].value.to_bits(), 10.0f64.to_bits());
        let _two = (open(&cells), open(&cells));
        assert!(cells.open(&declaration(MetricKind::Counter), 2).is_none(), "the bound holds");
    }

    #[test]
    fn the_cells_of_two_threads_are_one_counter() {
        let cells = Cells::default();
        let (a, b) = (open(&cells), open(&cells));
        assert!(a.add(1.0) && b.add(2.0));
        assert_eq!(cells.read().len(), 1);
        assert_eq!(cells.read()[0].value.to_bits(), 3.0f64.to_bits());
    }
}
