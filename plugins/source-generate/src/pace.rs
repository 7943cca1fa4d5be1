//! When readings are due, and which time they carry.

use crate::wave::float;

/// Readings are made at least this far apart in time, several at once if the rate asks for it: a wake-up for each of
/// 10,000 readings a second would cost more than the readings.
const TICK_NS: i64 = 10_000_000;
/// How far the schedule may be behind the clock before it starts anew from the clock. Enough to make up for a blocked
/// pipeline; without a bound, a machine that slept a night would wake to a flood.
const LAG_MAX_NS: i64 = 10_000_000_000;
/// How far ahead of the clock, beyond one step, the schedule may be before it starts anew: the clock was set back.
const LEAD_MAX_NS: i64 = 1_000_000_000;

/// When readings are due. A schedule is a time for reading number 0 and a distance, so that no error adds up.
#[expect(clippy::struct_field_names, reason = "the unit goes last in a name")]
pub(crate) struct Pace {
    /// Nanoseconds from one reading to the next; flat out: none.
    step_ns: Option<f64>,
    /// The time that the first reading carries, if that is not the clock's.
    start_ns: Option<i64>,
    /// By the clock: when reading number 0 was due.
    due_0_ns: Option<i64>,
    /// By the clock: not before.
    next_ns: i64,
    /// Flat out: the next reading's time. Never goes back, and two readings never share one.
    stamp_ns: i64,
}

/// The times of readings that follow each other.
#[derive(Clone, Copy)]
pub(crate) enum Stamps {
    /// A nanosecond apart.
    Dense {
        /// Of the first of them.
        first_ns: i64,
    },
    /// By a schedule.
    Scheduled {
        /// Of reading number 0 of all.
        zero_ns: i64,
        /// The distance.
        step_ns: f64,
    },
}

impl Pace {
    pub(crate) fn new(rate: Option<f64>, start_ns: Option<i64>) -> Self {
        Self {
            step_ns: rate.map(|rate| 1e9 / rate),
            start_ns,
            due_0_ns: None,
            next_ns: i64::MIN,
            stamp_ns: i64::MIN,
        }
    }

    /// How many readings are due now, given how many were made; or the time to ask again.
    pub(crate) fn due(&mut self, made: u64, now_ns: i64) -> Result<u64, i64> {
        let Some(step_ns) = self.step_ns else {
            self.stamp_ns = self.stamp_ns.max(now_ns);
            return Ok(u64::MAX);
        };
        let after_ns = nanoseconds(float(made) * step_ns);
        let in_bounds = |due_0_ns: &i64| {
            let ahead_ns = due_0_ns.saturating_add(after_ns).saturating_sub(now_ns);
            ahead_ns > -LAG_MAX_NS && ahead_ns < LEAD_MAX_NS.saturating_add(nanoseconds(step_ns))
        };
        let due_0_ns = self.due_0_ns.filter(in_bounds).unwrap_or_else(|| {
            self.next_ns = now_ns;
            now_ns.saturating_sub(after_ns)
        });
        self.due_0_ns = Some(due_0_ns);
        let due_at_ns = due_0_ns.saturating_add(after_ns);
        let wake_ns = due_at_ns.max(self.next_ns);
        if wake_ns > now_ns {
            return Err(wake_ns);
        }
        self.next_ns = now_ns.saturating_add(TICK_NS);
        Ok(whole(float(now_ns.abs_diff(due_at_ns)) / step_ns) + 1)
    }

    /// More were due than the batch has room for: the rest at once, or small batches would slow the schedule down.
    pub(crate) fn not_all(&mut self) {
        self.next_ns = i64::MIN;
    }

    /// The times of the next `count` readings.
    pub(crate) fn stamps(&mut self, made: u64, count: u64) -> Stamps {
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        match (self.step_ns, self.start_ns) {
            (Some(step_ns), start_ns) => {
                Stamps::Scheduled { zero_ns: start_ns.or(self.due_0_ns).unwrap_or_default(), step_ns }
            }
            (None, Some(start_ns)) => Stamps::Dense { first_ns: start_ns.saturating_add(signed(made)) },
            (None, None) => {
                let first_ns = self.stamp_ns;
                self.stamp_ns = first_ns.saturating_add(signed(count));
                Stamps::Dense { first_ns }
            }
        }
    }
}

/// A duration as a whole number of nanoseconds; `as` keeps it within the type.
#[expect(clippy::cast_possible_truncation, reason = "a fraction of a nanosecond is nothing")]
pub(crate) fn nanoseconds(duration_ns: f64) -> i64 {
    duration_ns as i64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "never negative, and only whole readings are due"
)]
fn whole(number: f64) -> u64 {
    number as u64
}
