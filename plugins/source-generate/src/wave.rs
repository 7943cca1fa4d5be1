//! The values: each follows from a reading's number alone.

use crate::settings::{GenerateSettings, Waveform};
use cardcage_plugin_api::record::{Record, SensorId, UnitId};
use std::f64::consts::TAU;

/// What the readings of a source look like, and whose they are.
pub(crate) struct Wave {
    waveform: Waveform,
    amplitude: f64,
    offset: f64,
    period: f64,
    seed: u64,
    unit: UnitId,
    /// How many sensors take turns. Never 0.
    sensors: usize,
    /// The turns written out, about [`TURNS`] of them, or once if there are more sensors.
    turns: Vec<SensorId>,
    /// The same as records that lack time and value; empty if there are more sensors than [`TURNS`].
    ready: Vec<Record>,
}

/// So many sensors in a row can be copied without a look at whose turn it is: about 4 KiB of ids. As records they take
/// 24 KiB, which still leaves the first-level cache room; more are not written out as records, since reading them would
/// then take longer than what it saves.
const TURNS: usize = 1024;

/// Which reading of which sensor.
#[derive(Clone, Copy)]
struct At {
    /// Its number among the sensor's readings.
    turn: f64,
    /// The sensor's place among the sensors.
    place: usize,
}

impl Wave {
    pub(crate) fn new(settings: &GenerateSettings, sensors: &[SensorId], unit: UnitId) -> Self {
        let turns = sensors.repeat((TURNS / sensors.len().max(1)).max(1));
        let ready = if sensors.len() <= TURNS { turns.as_slice() } else { &[] };
        let ready =
            ready.iter().map(|sensor| Record { sensor: *sensor, unit, ..Record::default() }).collect();
        Self {
            waveform: settings.waveform,
            amplitude: settings.amplitude,
            offset: settings.offset,
            period: settings.period,
            seed: settings.seed,
            unit,
            sensors: sensors.len(),
            turns,
            ready,
        }
    }

    /// Writes the readings from number `first` on, with the timestamps that `stamp` gives for their places in `room`.
    #[inline]
    pub(crate) fn write(&self, room: &mut [Record], first: u64, stamp: impl Fn(u32) -> i64) {
        // One loop for each waveform: what does not change is decided outside of it.
        let Self { amplitude, offset, seed, .. } = *self;
        match self.waveform {
            Waveform::Constant => self.each_number(room, first, stamp, |_| amplitude + offset),
            Waveform::Count => self.each_number(room, first, stamp, |number| number * amplitude + offset),
            Waveform::Noise => {
                self.each_number(room, first, stamp, |number| noise(seed, number) * amplitude + offset);
            }
            Waveform::Sine => {
                self.each(room, first, stamp, |at| (self.phase(at) * TAU).sin() * amplitude + offset);
            }
            Waveform::Square => self.each(room, first, stamp, |at| {
                if self.phase(at) < 0.5 { offset + amplitude } else { offset - amplitude }
            }),
            // From 0 up to 1, down to -1 and up to 0: in step with the sine.
            Waveform::Triangle => self.each(room, first, stamp, |at| {
                let shifted = fraction(self.phase(at) + 0.75);
                ((shifted - 0.5).abs() * 4.0 - 1.0) * amplitude + offset
            }),
            Waveform::Sawtooth => {
                self.each(room, first, stamp, |at| (self.phase(at) * 2.0 - 1.0) * amplitude + offset);
            }
        }
    }

    /// Values that follow from the number alone: the fast way, for when the rest of a pipeline is measured.
    #[inline]
    fn each_number(
        &self,
        room: &mut [Record],
        first: u64,
        stamp: impl Fn(u32) -> i64,
        value: impl Fn(f64) -> f64,
    ) {
        let first_number = float(first);
        let value = |index| value(first_number + f64::from(index));
        if self.ready.is_empty() {
            in_turn(&self.turns, room, first, |index, sensor| Record {
                timestamp_ns: stamp(index),
                value: value(index),
                sensor: *sensor,
                unit: self.unit,
                ..Record::default()
            });
        } else {
            // Copied whole, sensor, unit and quality are one store instead of three.
            in_turn(&self.ready, room, first, |index, ready| Record {
                timestamp_ns: stamp(index),
                value: value(index),
                ..*ready
            });
        }
    }

    /// Values that follow from the sensor and how many readings it had.
    #[inline]
    fn each(&self, room: &mut [Record], first: u64, stamp: impl Fn(u32) -> i64, value: impl Fn(At) -> f64) {
        let count = self.sensors as u64;
        let mut at = At { turn: float(first / count), place: usize::try_from(first % count).unwrap_or(0) };
        for (index, record) in (0_u32..).zip(room) {
            *record = Record {
                timestamp_ns: stamp(index),
                value: value(at),
                sensor: self.turns[at.place],
                unit: self.unit,
                ..Record::default()
            };
            at.place += 1;
            if at.place == self.sensors {
                at.place = 0;
                at.turn += 1.0;
            }
        }
    }

    /// How much of the wave has passed, 0 to 1. Sensors are spread over it, so that they can be told apart.
    fn phase(&self, at: At) -> f64 {
        let spread = float(at.place as u64) / float(self.sensors as u64);
        fraction(at.turn / self.period + spread)
    }
}

/// Writes what `record` makes of each place in `room` and of whose turn it is there, number `first` being the first.
#[inline]
fn in_turn<T>(turns: &[T], room: &mut [Record], first: u64, record: impl Fn(u32, &T) -> Record) {
    let mut turn = usize::try_from(first % turns.len().max(1) as u64).unwrap_or(0);
    // Counted in 32 bits (a batch has no more records), since those become floats in one instruction.
    let mut index = 0_u32;
    let mut rest = room;
    while !rest.is_empty() {
        let (now, behind) = rest.split_at_mut(rest.len().min(turns.len() - turn));
        for (place, whose) in now.iter_mut().zip(&turns[turn..]) {
            *place = record(index, whose);
            index += 1;
        }
        (rest, turn) = (behind, 0);
    }
}

/// What is behind the point of a number that is not negative. `f64::fract` is a call into libm on CPUs that may lack
/// the instruction for it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "the whole part is cut off on purpose; above 2^53 there is no other part"
)]
fn fraction(number: f64) -> f64 {
    number - number as i64 as f64
}

/// Evenly spread between -1 and 1, the same for the same seed and number (`SplitMix64`).
fn noise(seed: u64, number: f64) -> f64 {
    let mut bits = seed
        .wrapping_mul(0xD134_2543_DE82_EF95)
        .wrapping_add(number.to_bits())
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^= bits >> 31;
    // 53 bits fill a double's fraction.
    float(bits >> 11) / float(1 << 52) - 1.0
}

/// Exact up to 2^53, which at a billion readings a second is reached after 104 days.
#[expect(clippy::cast_precision_loss, reason = "the doc comment says when")]
pub(crate) fn float(number: u64) -> f64 {
    number as f64
}
