//! `run --dry-run`: the pipeline as it is, but each sink prints what it would have delivered.
//!
//! Sources, stages and dead letters are the real ones. The sinks' own plugins are checked like all others and then
//! stay closed; no source is told that its data is safe, and nothing is written into the state directory, so that a
//! rehearsal may run beside the daemon whose config it tries.

#![forbid(unsafe_code)]

use crate::assemble::Assembled;
use cardcage_plugin_api::manifest::Kind;
use cardcage_plugin_api::prelude::*;
use cardcage_runtime::{Cancel, ComponentTypeHandle, DrainHandle};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the end of a rehearsal is looked for beside its time.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Puts a printer in the place of every sink.
pub(crate) fn print_instead(assembled: &mut Assembled) {
    let printer = ComponentTypeHandle::of_the_host::<Printer>("dry-run");
    for part in assembled.parts.iter_mut().filter(|part| part.config.kind == Kind::Sink) {
        part.config.settings = serde_json::json!({ "component": part.config.name });
        part.handle = printer.clone();
        part.description = Printer::describe(&PrinterSettings { component: part.config.name.clone() });
    }
}

/// Drains the pipeline after this time, or as soon as nobody reads what is printed any more.
pub(crate) fn end_after(
    how_long: Duration,
    cancel: &Arc<Cancel>,
    handle: DrainHandle,
) -> std::io::Result<()> {
    let (cancel, until) = (Arc::clone(cancel), Instant::now() + how_long);
    let watch = move || {
        while Instant::now() < until && !cancel.is_raised() && !reader_is_gone() {}
        handle.drain();
    };
    std::thread::Builder::new().name("dry-run".to_owned()).spawn(watch).map(|_| ())
}

/// Whether the other end of stdout's pipe is closed (`| head`); waits a little for it.
fn reader_is_gone() -> bool {
    let stdout = std::io::stdout();
    let mut one = [PollFd::new(&stdout, PollFlags::empty())];
    let wait = Timespec::try_from(LOOK_EVERY).ok();
    // An interrupted wait is looked at again by the caller.
    poll(&mut one, wait.as_ref()).is_ok_and(|ready| ready > 0)
}

/// Stands in for a sink.
struct Printer {
    component: String,
    host: Host,
    /// What is printed of a sensor, by its id.
    sensors: BTreeMap<SensorId, String>,
    text: String,
}

/// The printer's settings.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PrinterSettings {
    /// The component that it stands in for.
    component: String,
}

/// A record with an id that the dictionary never gave out.
const UNKNOWN_ID: &str = "unknown_id";
/// Texts of sensors kept; beyond, they are asked for anew. A person does not read more.
const SENSORS_MAX: usize = 10_000;

impl Sink for Printer {
    type Settings = PrinterSettings;

    fn describe(_: &PrinterSettings) -> Description {
        Description::sink().rejects(UNKNOWN_ID)
    }

    fn open(settings: PrinterSettings, host: &Host) -> Result<Self, PluginError> {
        let component = settings.component;
        Ok(Self { component, host: host.clone(), sensors: BTreeMap::new(), text: String::new() })
    }

    fn write(&mut self, batch: &Delivery<'_>) -> Result<(), PluginError> {
        self.text.clear();
        let mut unknown = 0;
        for record in batch.records() {
            if self.line(record).is_none() {
                unknown += 1;
            }
        }
        if unknown > 0 {
            batch.reject(UNKNOWN_ID, unknown);
        }
        match std::io::stdout().write_all(self.text.as_bytes()) {
            // Somebody who has seen enough closes the pipe; the watch ends the rehearsal.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(PluginError::new(format!("stdout: {error}")))
            }
            _ => Ok(()),
        }
    }
}

impl Printer {
    /// `archive  2026-11-22T18:04:05.25Z  boiler.temperature{room=lab}  81.5 degC`, and the quality if it is not good.
    fn line(&mut self, record: &Record) -> Option<()> {
        if !self.sensors.contains_key(&record.sensor) {
            if self.sensors.len() >= SENSORS_MAX {
                self.sensors.clear();
            }
            self.sensors.insert(record.sensor, sensor(&self.host, record.sensor)?);
        }
        let (sensor, unit) = (self.sensors.get(&record.sensor)?, self.host.unit_code(record.unit)?);
        let time = jiff::Timestamp::from_nanosecond(i128::from(record.timestamp_ns)).ok()?;
        // Writing to a String cannot fail.
        let _ = write!(self.text, "{}  {time}  {sensor}  {}", self.component, record.value);
        if !unit.is_empty() {
            let _ = write!(self.text, " {unit}");
        }
        if record.quality != Quality::GOOD {
            let _ = write!(self.text, "  {}", record.quality.status().name());
            for (_, name) in Quality::FLAGS.iter().filter(|(flag, _)| record.quality.has(*flag)) {
                let _ = write!(self.text, "|{name}");
            }
        }
        self.text.push('\n');
        Some(())
    }
}

/// A sensor's name and tags, without characters that steer a terminal.
fn sensor(host: &Host, id: SensorId) -> Option<String> {
    let sensor = host.sensor_entry(id)?;
    let tags: Vec<String> = sensor.tags().map(|(key, value)| format!("{key}={value}")).collect();
    let tags = if tags.is_empty() { String::new() } else { format!("{{{}}}", tags.join(",")) };
    Some(format!("{}{tags}", sensor.name()).replace(char::is_control, "\u{fffd}"))
}
