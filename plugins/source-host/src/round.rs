//! One round of readings: made at one time, given over one or more batches.

use cardcage_plugin_api::{Batch, Host, PluginError, Quality, Record, SensorCache, SensorId, UnitId};

/// The units that readings come in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unit {
    Percent,
    Bytes,
    BytesPerSecond,
    Celsius,
    Seconds,
    One,
}

impl Unit {
    const CODES: [(Self, &'static str); 6] = [
        (Self::Percent, "%"),
        (Self::Bytes, "By"),
        (Self::BytesPerSecond, "By/s"),
        (Self::Celsius, "Cel"),
        (Self::Seconds, "s"),
        (Self::One, "1"),
    ];
}

/// Readings on their way out. Bounded by what the machine has.
pub(crate) struct Round {
    sensors: SensorCache,
    units: [UnitId; Unit::CODES.len()],
    readings: Vec<Record>,
    given: usize,
    unnamed: u64,
    key: String,
}

impl Round {
    /// No readings yet.
    pub(crate) fn new(host: &Host) -> Result<Self, PluginError> {
        let mut units = [UnitId::NONE; Unit::CODES.len()];
        for (unit, code) in Unit::CODES {
            units[unit as usize] = host.unit(code)?;
        }
        Ok(Self {
            sensors: SensorCache::new(host),
            units,
            readings: Vec::new(),
            given: 0,
            unnamed: 0,
            key: String::new(),
        })
    }

    /// Whether everything of this round is out.
    pub(crate) fn is_given(&self) -> bool {
        self.given == self.readings.len() && self.unnamed == 0
    }

    /// Forgets the last round and takes the readings of one at this time.
    pub(crate) fn start(&mut self, now_ns: i64) -> Taking<'_> {
        self.readings.clear();
        (self.given, self.unnamed) = (0, 0);
        Taking { round: self, now_ns }
    }

    /// Gives what fits; returns how many readings had no room in the dictionary.
    pub(crate) fn give(&mut self, out: &mut Batch<'_>) -> u64 {
        while let Some(reading) = self.readings.get(self.given)
            && out.push(*reading)
        {
            self.given += 1;
        }
        std::mem::take(&mut self.unnamed)
    }

    fn sensor(&mut self, name: &str, tags: &[(&str, &str)]) -> Option<SensorId> {
        self.key.clear();
        self.key.push_str(name);
        for (key, value) in tags {
            // A NUL stands in no name that the kernel gives.
            for part in ["\0", key, "\0", value] {
                self.key.push_str(part);
            }
        }
        self.sensors.id_by(&self.key, |host| host.tagged_sensor(name, tags)).ok()
    }
}

/// Takes the readings of one round.
pub(crate) struct Taking<'a> {
    round: &'a mut Round,
    now_ns: i64,
}

impl Taking<'_> {
    /// Takes a reading.
    pub(crate) fn take(&mut self, name: &str, tags: &[(&str, &str)], unit: Unit, value: f64) {
        match self.round.sensor(name, tags) {
            Some(sensor) => self.round.readings.push(Record {
                timestamp_ns: self.now_ns,
                value,
                sensor,
                unit: self.round.units[unit as usize],
                quality: Quality::GOOD,
            }),
            None => self.round.unnamed += 1,
        }
    }

    /// Takes a reading of a count of bytes.
    pub(crate) fn take_bytes(&mut self, name: &str, tags: &[(&str, &str)], bytes: u64) {
        #[expect(clippy::cast_precision_loss, reason = "exact up to 8 PiB, and to 16 digits beyond")]
        self.take(name, tags, Unit::Bytes, bytes as f64);
    }
}
