//! What is left of the records when a job only reads: enough to tell whether two programs read the same.

use crate::window::Lines;
use std::fmt;

/// A sum over records in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sum {
    records: u64,
    rejected: u64,
    timestamps: u64,
    values: f64,
    sensors: usize,
    /// Which sensors came in which order.
    order: u64,
}

impl Sum {
    /// One more record. Sensors are numbered in the order in which they came first.
    #[inline]
    pub(crate) fn add(&mut self, timestamp_ns: u64, value: f64, sensor: u32) {
        self.records += 1;
        self.timestamps = self.timestamps.wrapping_add(timestamp_ns);
        self.values += value;
        self.order = self.order.wrapping_mul(31).wrapping_add(u64::from(sensor));
    }

    /// With what is known at the end.
    pub(crate) fn end(self, lines: Lines, sensors: usize) -> Self {
        Self { rejected: lines.rejected, sensors, ..self }
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { records, rejected, timestamps, values, sensors, order } = self;
        write!(f, "{records} {rejected} {timestamps} {:016x} {sensors} {order}", values.to_bits())
    }
}
