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
    cells: Arc<Mutex<Vec<Arc<Cell>>>>,
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
    /// A new cell for one writing thread.
    pub(crate) fn open(&self, declaration: &MetricDeclaration) -> Arc<Cell> {
        let cell = Arc::new(Cell {
            declaration: declaration.clone(),
            value: AtomicU64::new(0f64.to_bits()),
            violations: AtomicU64::new(0),
        });
        self.cells.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&cell));
        cell
    }

    /// How many cells there are.
    pub(crate) fn count(&self) -> usize {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Every metric, in the order in which they were first asked for.
    pub fn read(&self) -> Vec<MetricReading> {
        let mut readings: Vec<MetricReading> = Vec::new();
        for cell in self.cells.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let (value, violations) = (cell.value(), cell.violations.load(Ordering::Relaxed));
            match readings.iter_mut().find(|reading| reading.name == cell.declaration.name) {
                Some(reading) => {
                    reading.violations += violations;
                    reading.value = if cell.declaration.kind == MetricKind::Gauge {
                        value
                    } else {
                        reading.value + value
                    };
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
        let cell = cells.open(&declaration(MetricKind::Counter));
        assert!(cell.add(4.0));
        assert!(!cell.add(-1.0));
        assert!(!cell.add(f64::NAN));
        assert!(!cell.add(7.0));
        let reading = &cells.read()[0];
        assert_eq!((reading.value.to_bits(), reading.violations), (4.0f64.to_bits(), 3));
    }

    #[test]
    fn the_cells_of_two_threads_are_one_counter() {
        let cells = Cells::default();
        let (a, b) =
            (cells.open(&declaration(MetricKind::Counter)), cells.open(&declaration(MetricKind::Counter)));
        assert!(a.add(1.0) && b.add(2.0));
        assert_eq!(cells.read().len(), 1);
        assert_eq!(cells.read()[0].value.to_bits(), 3.0f64.to_bits());
    }
}
