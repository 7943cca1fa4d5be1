//! Component types of which each but one breaks a promise of its own: `plugin check` has to tell all of them at once.

#![forbid(unsafe_code)]

use cardcage_plugin_api::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};

/// Declares that each sensor is treated on its own, and takes every third reading, whatever its sensor.
pub struct EveryThird(u64);

impl Stage for EveryThird {
    type Settings = NoSettings;

    fn describe(_: &NoSettings) -> Description {
        let description =
            Description::stage().does(Capability::Deterministic).does(Capability::ParallelBySensor);
        description.drops("not_third")
    }

    fn open(_: NoSettings, _: &Host) -> Result<Self, PluginError> {
        Ok(Self(0))
    }

    fn process(&mut self, batch: &mut Batch<'_>, _: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        let seen = &mut self.0;
        batch.retain("not_third", |_| {
            *seen += 1;
            seen.is_multiple_of(3)
        });
        Ok(Flow::Done)
    }
}

/// Gives the whole numbers.
struct Numbers {
    next: u64,
    sensor: SensorId,
}

impl Numbers {
    fn new(host: &Host) -> Result<Self, PluginError> {
        Ok(Self { next: 0, sensor: host.sensor("numbers")? })
    }

    fn fill(&mut self, out: &mut Batch<'_>) {
        #[expect(clippy::cast_precision_loss, reason = "a probe counts far below 2^53")]
        let value = self.next as f64;
        let now_ns = out.now_ns();
        out.push(Record { timestamp_ns: now_ns, value, sensor: self.sensor, ..Record::default() });
        self.next += 1;
    }
}

fn replayable() -> Description {
    Description::source().does(Capability::Replayable).does(Capability::State)
}

/// Declares that it can go back, and does not move when it is told to.
pub struct GoesOn(Numbers);

impl Source for GoesOn {
    type Settings = NoSettings;

    fn describe(_: &NoSettings) -> Description {
        replayable()
    }

    fn open(_: NoSettings, host: &Host) -> Result<Self, PluginError> {
        Ok(Self(Numbers::new(host)?))
    }

    fn fill(&mut self, out: &mut Batch<'_>, _: i64) -> Result<Fill, PluginError> {
        self.0.fill(out);
        out.set_position(0, self.0.next);
        Ok(Fill::Produced)
    }
}

impl State for GoesOn {
    const VERSION: u32 = 1;

    fn snapshot(&mut self, _: u32) -> Result<Vec<u8>, PluginError> {
        Ok(Vec::new())
    }

    fn restore(&mut self, _: u32, _: &[u8]) -> Result<(), PluginError> {
        Ok(())
    }
}

/// Declares that it wants to be told what is safe, and gives nothing a position.
pub struct Placeless(Numbers);

impl Source for Placeless {
    type Settings = NoSettings;

    fn describe(_: &NoSettings) -> Description {
        Description::source().does(Capability::Acknowledged)
    }

    fn open(_: NoSettings, host: &Host) -> Result<Self, PluginError> {
        Ok(Self(Numbers::new(host)?))
    }

    fn fill(&mut self, out: &mut Batch<'_>, _: i64) -> Result<Fill, PluginError> {
        self.0.fill(out);
        Ok(Fill::Produced)
    }
}

/// Declares that it gives the same each time, and goes on where the instance before it ended.
pub struct Moody(Numbers);

/// What all of its instances gave.
static GIVEN: AtomicU64 = AtomicU64::new(0);

impl Source for Moody {
    type Settings = NoSettings;

    fn describe(_: &NoSettings) -> Description {
        Description::source().does(Capability::Deterministic)
    }

    fn open(_: NoSettings, host: &Host) -> Result<Self, PluginError> {
        Ok(Self(Numbers::new(host)?))
    }

    fn fill(&mut self, out: &mut Batch<'_>, _: i64) -> Result<Fill, PluginError> {
        self.0.next = GIVEN.fetch_add(1, Ordering::Relaxed);
        self.0.fill(out);
        Ok(Fill::Produced)
    }
}

/// Keeps all its promises.
pub struct Honest;

impl Sink for Honest {
    type Settings = NoSettings;

    fn describe(_: &NoSettings) -> Description {
        Description::sink()
    }

    fn open(_: NoSettings, _: &Host) -> Result<Self, PluginError> {
        Ok(Self)
    }

    fn write(&mut self, _: &Delivery<'_>) -> Result<(), PluginError> {
        Ok(())
    }

    fn commit(&mut self, _: u64) -> Result<Commit, PluginError> {
        Ok(Commit::Committed)
    }
}

/// Cannot do what a sink is for.
pub struct Weary;

impl Sink for Weary {
    type Settings = NoSettings;

    fn describe(_: &NoSettings) -> Description {
        Description::sink()
    }

    fn open(_: NoSettings, _: &Host) -> Result<Self, PluginError> {
        Ok(Self)
    }

    fn write(&mut self, _: &Delivery<'_>) -> Result<(), PluginError> {
        Ok(())
    }

    fn commit(&mut self, _: u64) -> Result<Commit, PluginError> {
        Err(PluginError::new("no more today"))
    }
}

export_plugin! {
    name: "false-promises",
    components: [
        stage EveryThird { drops, deterministic, parallel_by_sensor },
        source GoesOn { replayable, state },
        source Placeless { acknowledged },
        source Moody { deterministic },
        sink Honest {},
        sink Weary {},
    ],
    probe: {},
}
