//! The probe of a source: it fills what it is lent, says when to come again, and stops when it is told.

#![forbid(unsafe_code)]

use super::help::Lack;
use super::places::Places;
use super::{PROBE_RECORDS, Trial, Tried};
use crate::loader::guard::Access;
use cardcage_plugin_api::abi::StreamPosition;
use cardcage_plugin_api::manifest::Capability;
use cardcage_plugin_api::record::Record;
use cardcage_runtime::{Filled, HostHandle, SourceInstance, now_ns};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Calls of `fill` before the probe of a source that does not end is over.
const FILLS: u32 = 8;
/// Calls of `fill` within which a finite source ends: half a million records.
const FILLS_TO_END: u32 = 1_000;
/// How long the last `fill` may wait if nobody cancels it.
const LONG_WAIT: Duration = Duration::from_secs(5);
/// When it is cancelled. Long enough for most to be waiting, short enough to cost nothing.
const CANCEL_AFTER: Duration = Duration::from_millis(1);
/// The contract says 100 ms. A loaded machine may keep a thread waiting for longer, and that is no fault of the plugin.
const CANCELLED_WITHIN: Duration = Duration::from_secs(1);
/// How far ahead a source can ask to be called again: a year. Whoever waits for ever gives the largest time there is.
const IDLE_MAX_NS: i64 = 366 * DAY_NS;
const DAY_NS: i64 = 24 * 3600 * 1_000_000_000;

/// How much later each call of `fill` is said to be than the one before, where two lives are compared.
const STEP_NS: i64 = 10_000_000;

/// What one instance gave in its life.
struct Life {
    records: Vec<Record>,
    ended: bool,
}

/// What a call of `fill` gave.
pub(super) struct Given {
    pub(super) filled: Filled,
    pub(super) records: Vec<Record>,
    pub(super) at: StreamPosition,
}

impl Given {
    pub(super) fn ended(&self) -> bool {
        matches!(self.filled, Filled::Finished)
    }
}

impl Trial<'_> {
    pub(super) fn source(&mut self) -> Tried<()> {
        let (mut source, host) = self.open_source("its probe settings")?;
        let mut places = Places::new("its batch", PROBE_RECORDS)?;
        let mut positions = BTreeMap::new();
        let ended = self.fills(&mut source, &mut places, &mut positions)?;
        if !positions.is_empty() {
            let safe: Vec<StreamPosition> = positions.into_values().collect();
            self.calls += 1;
            source
                .acknowledge(&safe, now_ns())
                .map_err(|error| self.call_error(&error, "the positions that it gave"))?;
            self.left_alone(&places, "acknowledge", "the positions that it gave")?;
        }
        self.source_state(&mut source)?;
        self.replayed(&mut places)?;
        self.the_same_twice(&mut places)?;
        if !ended {
            self.cancelled(&mut source, &mut places)?;
        }
        source.close(now_ns()).map_err(|error| self.call_error(&error, "an open instance"))?;
        self.joined(&host)?;
        self.left_alone(&places, "close", "an open instance")
    }

    /// Two instances, asked for the same at the same times, give the same: as far as both go, since a source that waits for
    /// the outside world may have got less by then.
    fn the_same_twice(&mut self, places: &mut Places) -> Tried<()> {
        if !self.does(Capability::Deterministic) {
            return Ok(());
        }
        let began = now_ns();
        let first = self.led(places, began)?;
        let second = self.led(places, began)?;
        let bits = |record: &Record| {
            let Record { timestamp_ns, value, sensor, unit, quality } = *record;
            (timestamp_ns, value.to_bits(), sensor, unit, quality)
        };
        let differs = first.records.iter().zip(&second.records).position(|(one, two)| bits(one) != bits(two));
        let (one, two) = (first.records.len(), second.records.len());
        let found = match differs {
            Some(at) => format!("a second instance gave other records, from record {at} on"),
            None if first.ended && two > one || second.ended && one > two => {
                format!("one instance gave {one} records, a second one {two}")
            }
            None => return Ok(()),
        };
        let expected = "the same records under the same settings, as `deterministic` says; a source whose times are the \
                        clock's does not declare it";
        Err(self.no("nondeterministic", found, expected))
    }

    fn led(&mut self, places: &mut Places, began: i64) -> Tried<Life> {
        let (mut source, host) = self.open_source("a further instance")?;
        let mut life = Life { records: Vec::new(), ended: false };
        for fill in 0..FILLS {
            let now = began.saturating_add(i64::from(fill) * STEP_NS);
            let given = self.fill(&mut source, places, now, PROBE_RECORDS)?;
            life.ended = given.ended();
            life.records.extend(given.records);
            if life.ended {
                break;
            }
        }
        source.close(now_ns()).map_err(|error| self.call_error(&error, "a further instance"))?;
        self.joined(&host)?;
        self.left_alone(places, "close", "a further instance")?;
        Ok(life)
    }

    pub(super) fn open_source(&self, with: &str) -> Tried<(SourceInstance, HostHandle)> {
        let (reasons, host) = (self.description.reasons.len(), self.host());
        SourceInstance::open(self.handle, self.settings, host, reasons, now_ns())
            .map(|source| (source, host))
            .map_err(|error| self.call_error(&error, with))
    }

    /// Whether it ended by itself.
    fn fills(
        &mut self,
        source: &mut SourceInstance,
        places: &mut Places,
        positions: &mut BTreeMap<u32, StreamPosition>,
    ) -> Tried<bool> {
        let finite = self.does(Capability::Finite);
        let (mut records, mut past, mut idle) = (0_u64, 0, 0);
        for fill in 0..FILLS_TO_END {
            let now = now_ns();
            let given = self.fill(source, places, now, PROBE_RECORDS)?;
            let produced = given.records.len();
            records += produced as u64;
            if produced > 0
                && let Some(before) = positions.insert(given.at.stream, given.at)
            {
                self.moved(before, given.at)?;
            }
            match given.filled {
                Filled::Finished if finite => return Ok(true),
                Filled::Finished => {
                    let expected = "a source that goes on, or `finite` in `describe` and in export_plugin!";
                    let lack = Lack::Capability(Capability::Finite);
                    return Err(self.undeclared("it ends, and `finite` is not declared", expected, &lack));
                }
                Filled::Produced => {}
                Filled::IdleUntil(at_ns) => {
                    idle += 1;
                    past += u32::from(at_ns <= now && produced == 0);
                    if at_ns != i64::MAX && at_ns.saturating_sub(now) > IDLE_MAX_NS {
                        let days = at_ns.saturating_sub(now) / DAY_NS;
                        let found =
                            format!("`fill` is idle until {days} days from now, more than a year ahead");
                        return Err(self.no("idle", found, "UTC nanoseconds, within a year, or i64::MAX"));
                    }
                }
            }
            if (fill + 1 >= FILLS && !finite) || idle >= FILLS {
                break;
            }
            if fill + 1 == FILLS_TO_END {
                let found = format!(
                    "it declares `finite` and did not end within {FILLS_TO_END} calls, {records} records"
                );
                return Err(self.no("endless", found, "an end; probe settings under which it comes soon"));
            }
        }
        if past >= FILLS {
            let found =
                format!("{past} times in a row, `fill` gave nothing and was idle until a time that was over");
            return Err(self.no("idle", found, "a time ahead, else the lane spins"));
        }
        Ok(false)
    }

    /// One call, for this many records at most.
    pub(super) fn fill(
        &mut self,
        source: &mut SourceInstance,
        places: &mut Places,
        now: i64,
        most: u32,
    ) -> Tried<Given> {
        let with = "an empty batch";
        let mut batch = places.lend(&[], Access::Write)?;
        self.calls += 1;
        let filled = source.fill(&mut batch, most, now, now);
        let records = places.take_back(batch)?;
        self.left_alone(places, "fill", with)?;
        let (filled, _, at) = filled.map_err(|error| self.call_error(&error, with))?;
        let counted = source.counted();
        if counted.undeclared > 0 {
            let found = format!(
                "{} inputs are rejected for a reason that `describe` does not name",
                counted.undeclared
            );
            return Err(self.undeclared(found, "declared reasons", &Lack::Reason));
        }
        self.sound(&records, with)?;
        Ok(Given { filled, records, at })
    }

    /// What is to be gone back to, or told to be safe, has a name of its own.
    pub(super) fn moved(&self, before: StreamPosition, after: StreamPosition) -> Tried<()> {
        let needs = [Capability::Replayable, Capability::Acknowledged];
        let Some(needs) = needs.into_iter().find(|capability| self.does(*capability)) else {
            return Ok(());
        };
        if before.stream != after.stream || before.position != after.position {
            return Ok(());
        }
        let found = format!(
            "it declares `{}`, and its position in stream {} was {} behind one batch and behind the next",
            needs.name(),
            after.stream,
            after.position
        );
        Err(self.no("position", found, "a position behind each batch's last record"))
    }

    /// A snapshot must be taken up by a fresh instance of the same version.
    fn source_state(&mut self, source: &mut SourceInstance) -> Tried<()> {
        let saved = source.snapshot().map_err(|error| self.call_error(&error, "what it has given"))?;
        let Some((version, bytes)) = saved else {
            return Ok(());
        };
        let (mut fresh, host) = self.open_source("a second instance")?;
        fresh.restore(version, &bytes).map_err(|error| self.call_error(&error, "its own snapshot"))?;
        let again = fresh.snapshot().map_err(|error| self.call_error(&error, "a restored instance"))?;
        if again.as_ref() != Some(&(version, bytes)) {
            let found =
                "a snapshot that was restored gives another snapshot, though nothing was filled meanwhile";
            return Err(self.no("state", found, "the position that was saved"));
        }
        fresh.close(now_ns()).map_err(|error| self.call_error(&error, "a restored instance"))?;
        self.joined(&host)
    }

    /// One more `fill` that may wait for long, and the word to stop while it does.
    fn cancelled(&mut self, source: &mut SourceInstance, places: &mut Places) -> Tried<()> {
        let with = "the pipeline draining while it waits";
        let mut batch = places.lend(&[], Access::Write)?;
        let cancel = Arc::clone(&self.environment.cancel);
        let word = std::thread::Builder::new().name("cancel".to_owned()).spawn(move || {
            std::thread::sleep(CANCEL_AFTER);
            cancel.raise();
            Instant::now()
        })?;
        self.calls += 1;
        let now = now_ns();
        let until = now.saturating_add(i64::try_from(LONG_WAIT.as_nanos()).unwrap_or(i64::MAX));
        let filled = source.fill(&mut batch, PROBE_RECORDS, now, until);
        let returned = Instant::now();
        let raised = word.join().unwrap_or(returned);
        let records = places.take_back(batch)?;
        self.left_alone(places, "fill", with)?;
        filled.map_err(|error| self.call_error(&error, with))?;
        self.sound(&records, with)?;
        let late = returned.saturating_duration_since(raised);
        if late > CANCELLED_WITHIN {
            let found = format!("`fill` returned {} ms after it was cancelled", late.as_millis());
            let expected = "within 100 ms: wait with the host's `wait`, or ask `cancelled` while waiting";
            return Err(self.no("cancellation", found, expected));
        }
        Ok(())
    }
}
