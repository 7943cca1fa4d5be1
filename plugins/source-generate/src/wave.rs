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
    /// They take turns. Never empty.
    sensors: Vec<SensorId>,
}

/// Which reading it is.
#[derive(Clone, Copy)]
struct At {
    /// Of all.
    number: f64,
    /// Of its sensor.
    turn: f64,
    /// The sensor's place among the sensors.
    place: usize,
}

impl Wave {
    pub(crate) fn new(settings: &GenerateSettings, sensors: Vec<SensorId>, unit: UnitId) -> Self {
        Self {
            waveform: settings.waveform,
            amplitude: settings.amplitude,
            offset: settings.offset,
            period: settings.period,
            seed: settings.seed,
            unit,
            sensors,
        }
    }

    /// Writes the readings from number `first` on, with the timestamps that `stamp` gives for their places in `room`.
    #[inline]
    pub(crate) fn write(&self, room: &mut [Record], first: u64, stamp: impl Fn(u32) -> i64) {
        // One loop for each waveform: what does not change is decided outside of it.
        let Self {
            amplitude,
            offset,
            seed,
            ..
        } = *self;
        match self.waveform {
            Waveform::Constant => self.each(room, first, stamp, |_| amplitude + offset),
            Waveform::Count => self.each(room, first, stamp, |at| at.number * amplitude + offset),
            Waveform::Noise => self.each(room, first, stamp, |at| {
                noise(seed, at.number) * amplitude + offset
            }),
            Waveform::Sine => self.each(room, first, stamp, |at| {
                (self.phase(at) * TAU).sin() * amplitude + offset
            }),
            Waveform::Square => self.each(room, first, stamp, |at| {
                if self.phase(at) < 0.5 {
                    offset + amplitude
                } else {
                    offset - amplitude
                }
            }),
            // From 0 up to 1, down to -1 and up to 0: in step with the sine.
            Waveform::Triangle => self.each(room, first, stamp, |at| {
                let shifted = (self.phase(at) + 0.75).fract();
                ((shifted - 0.5).abs() * 4.0 - 1.0) * amplitude + offset
            }),
            Waveform::Sawtooth => self.each(room, first, stamp, |at| {
                (self.phase(at) * 2.0 - 1.0) * amplitude + offset
            }),
        }
    }

    #[inline]
    fn each(&self, room: &mut [Record], first: u64, stamp: impl Fn(u32) -> i64, value: impl Fn(At) -> f64) {
        let count = self.sensors.len() as u64;
        let mut at = At {
            number: 0.0,
            turn: float(first / count),
            place: usize::try_from(first % count).unwrap_or(0),
        };
        let first = float(first);
        // Counted in 32 bits (a batch has no more records), since those become floats in one instruction.
        for (index, record) in (0_u32..).zip(room) {
            at.number = first + f64::from(index);
            *record = Record {
                timestamp_ns: stamp(index),
                value: value(at),
                sensor: self.sensors[at.place],
                unit: self.unit,
                ..Record::default()
            };
            at.place += 1;
            if at.place == self.sensors.len() {
                at.place = 0;
                at.turn += 1.0;
            }
        }
    }

    /// How much of the wave has passed, 0 to 1. Sensors are spread over it, so that they can be told apart.
    fn phase(&self, at: At) -> f64 {
        let spread = float(at.place as u64) / float(self.sensors.len() as u64);
        (at.turn / self.period + spread).fract()
    }
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
