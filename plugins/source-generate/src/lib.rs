//! Makes readings from a formula: for trying a pipeline out, for tests, and for measuring how fast the rest is.

#![forbid(unsafe_code)]

mod pace;
mod settings;
mod wave;

use cardcage_plugin_api::prelude::*;
use pace::{Pace, Stamps};
use settings::GenerateSettings;
use wave::Wave;

/// The source. Every reading follows from its number (how many were made before it), so that this number is the whole
/// state, and the position.
pub struct Generate {
    wave: Wave,
    count: u64,
    made: u64,
    pace: Pace,
}

impl Source for Generate {
    type Settings = GenerateSettings;

    fn describe(settings: &GenerateSettings) -> Description {
        let mut description = Description::source().does(Capability::Replayable).does(Capability::State);
        if settings.count.is_some() {
            description = description.does(Capability::Finite);
        }
        if settings.start.is_some() {
            // Without it, the timestamps are the clock's.
            description = description.does(Capability::Deterministic);
        }
        for (setting, message) in settings.problems() {
            description = description.problem(setting, message);
        }
        let unit = settings.unit.clone().into_iter().filter(|unit| !unit.is_empty());
        description.units(UnitRules { gives: Some(unit.collect()), ..UnitRules::default() })
    }

    fn open(settings: GenerateSettings, host: &Host) -> Result<Self, PluginError> {
        if let Some((setting, message)) = settings.problems().into_iter().next() {
            return Err(PluginError::new(message).context(setting));
        }
        let sensors = (0..settings.sensors).map(|number| host.sensor(&format!("generate-{number}")));
        let sensors = sensors.collect::<Result<Vec<_>, _>>()?;
        let unit = host.unit(settings.unit.as_deref().unwrap_or(""))?;
        Ok(Self {
            wave: Wave::new(&settings, &sensors, unit),
            count: settings.count.unwrap_or(u64::MAX),
            made: 0,
            pace: Pace::new(settings.rate, settings.start),
        })
    }

    fn fill(&mut self, out: &mut Batch<'_>, _wait_until_ns: i64) -> Result<Fill, PluginError> {
        let left = self.count - self.made;
        if left == 0 {
            return Ok(Fill::Finished);
        }
        let due = match self.pace.due(self.made, out.now_ns()) {
            Ok(due) => due.min(left),
            Err(idle_until_ns) => return Ok(Fill::IdleUntil(idle_until_ns)),
        };
        let mut written = 0;
        out.fill_with(|room| {
            written = room.len().min(usize::try_from(due).unwrap_or(usize::MAX));
            self.write(&mut room[..written]);
            written
        });
        self.made += written as u64;
        if (written as u64) < due {
            self.pace.not_all();
        }
        out.set_position(0, self.made);
        Ok(if self.made == self.count { Fill::Finished } else { Fill::Produced })
    }
}

impl Generate {
    /// Writes the next readings.
    fn write(&mut self, room: &mut [Record]) {
        let made = self.made;
        match self.pace.stamps(made, room.len() as u64) {
            Stamps::Dense { first_ns } => {
                let stamp = |index| first_ns.wrapping_add(i64::from(index));
                self.wave.write(room, made, stamp);
            }
            Stamps::Scheduled { zero_ns, step_ns } => {
                // From the number and not from the one before, so that times don't depend on how batches are cut.
                let stamp = |index| {
                    let after_ns = pace::nanoseconds((wave::float(made) + f64::from(index)) * step_ns);
                    zero_ns.saturating_add(after_ns)
                };
                self.wave.write(room, made, stamp);
            }
        }
    }
}

impl State for Generate {
    const VERSION: u32 = 1;

    fn snapshot(&mut self, version: u32) -> Result<Vec<u8>, PluginError> {
        supported(version)?;
        Ok(self.made.to_le_bytes().to_vec())
    }

    fn restore(&mut self, version: u32, state: &[u8]) -> Result<(), PluginError> {
        supported(version)?;
        let made = <[u8; 8]>::try_from(state).map_err(|_| {
            PluginError::new(format!("the saved position has {} bytes; 8 are expected", state.len()))
        })?;
        // `count` may be smaller than when the state was saved: then everything is made.
        self.made = u64::from_le_bytes(made).min(self.count);
        Ok(())
    }
}

fn supported(version: u32) -> Result<(), PluginError> {
    if version == Generate::VERSION {
        return Ok(());
    }
    Err(PluginError::new(format!(
        "state version {version} was asked for; this plugin knows version {}",
        Generate::VERSION
    )))
}

export_plugin! {
    name: "generate",
    description: "makes readings from a formula",
    components: [source Generate { finite, deterministic, replayable, state }],
    probe: { count: 10000, sensors: 3, start: 0 },
}

#[cfg(test)]
mod tests;
