//! One library with component types of all kinds that use what no ordinary plugin needs yet: state, acknowledgement,
//! ticks, `more`, ports, held and created records, threads, metrics, and logging from every kind of thread.

#![forbid(unsafe_code)]

use cardcage_plugin_api::abi::StreamPosition;
use cardcage_plugin_api::prelude::*;
use cardcage_plugin_api::{Counter, Gauge, Thread, tracing};
use std::io::Write as _;
use std::time::Duration;

/// How long a thread may take to end once its component is closed.
const JOIN_PATIENCE_NS: i64 = 5_000_000_000;

/// Settings of the source.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CountSettings {
    /// How many records to make.
    count: u64,
    /// Whether to log from threads.
    #[serde(default)]
    threads: bool,
}

/// Counts from 0: a finite source that can go back.
pub struct Count {
    next: u64,
    end: u64,
    sensor: SensorId,
    made: Option<Counter>,
    safe: u64,
    threads: Vec<Thread>,
    host: Host,
}

impl Source for Count {
    type Settings = CountSettings;

    fn describe(settings: &CountSettings) -> Description {
        let threads = u32::from(settings.threads);
        Description::source()
            .does(Capability::Finite)
            .does(Capability::Replayable)
            .does(Capability::Acknowledged)
            .does(Capability::State)
            .threads(threads)
    }

    fn open(settings: CountSettings, host: &Host) -> Result<Self, PluginError> {
        tracing::info!(count = settings.count, "exercise opens");
        let mut threads = Vec::new();
        if settings.threads {
            threads.push(host.spawn("helper", |_| {
                tracing::info!("exercise logs from a host thread");
                // A thread that the host does not know of: its events can still be told by the library.
                let bare = std::thread::spawn(|| tracing::info!("exercise logs from a bare thread"));
                bare.join().map_err(|_| PluginError::new("the bare thread panicked"))
            })?);
        }
        Ok(Self {
            next: 0,
            end: settings.count,
            sensor: host.sensor("count")?,
            made: host.counter("made"),
            safe: 0,
            threads,
            host: host.clone(),
        })
    }

    fn fill(&mut self, out: &mut Batch<'_>, _: i64) -> Result<Fill, PluginError> {
        let now_ns = out.now_ns();
        let mut made = 0_u32;
        while self.next < self.end {
            #[expect(clippy::cast_precision_loss, reason = "tests count far below 2^53")]
            let value = self.next as f64;
            let record = Record { timestamp_ns: now_ns, value, sensor: self.sensor, ..Record::default() };
            if !out.push(record) {
                break;
            }
            self.next += 1;
            made += 1;
        }
        out.set_position(0, self.next);
        if let Some(counter) = &self.made {
            counter.add(made.into());
        }
        Ok(if self.next == self.end { Fill::Finished } else { Fill::Produced })
    }

    fn acknowledge(&mut self, positions: &[StreamPosition]) -> Result<(), PluginError> {
        self.safe = positions.iter().map(|at| at.position).max().unwrap_or(self.safe);
        tracing::info!(safe = self.safe, "exercise is acknowledged");
        Ok(())
    }

    fn close(self) -> Result<(), PluginError> {
        for thread in self.threads {
            thread.join(self.host.now_ns() + JOIN_PATIENCE_NS)?;
        }
        Ok(())
    }
}

impl State for Count {
    const VERSION: u32 = 1;

    fn snapshot(&mut self, _: u32) -> Result<Vec<u8>, PluginError> {
        Ok(self.next.to_le_bytes().to_vec())
    }

    fn restore(&mut self, _: u32, state: &[u8]) -> Result<(), PluginError> {
        self.next = u64::from_le_bytes(state.try_into()?);
        Ok(())
    }
}

/// Settings of `Delay`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DelaySettings {
    /// How many records to hold back.
    hold: usize,
}

/// Holds the newest records back until more come, or the end; every second tick lets one go.
pub struct Delay {
    hold: usize,
    held: std::collections::VecDeque<Record>,
    depth: Option<Gauge>,
    ticks: u64,
}

impl Stage for Delay {
    type Settings = DelaySettings;

    fn describe(_: &DelaySettings) -> Description {
        Description::stage()
            .does(Capability::Holds)
            .does(Capability::State)
            .tick_every(Duration::from_millis(50))
    }

    fn open(settings: DelaySettings, host: &Host) -> Result<Self, PluginError> {
        Ok(Self {
            hold: settings.hold,
            held: std::collections::VecDeque::new(),
            depth: host.gauge("depth"),
            ticks: 0,
        })
    }

    fn process(&mut self, batch: &mut Batch<'_>, out: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        self.held.extend(batch.take_all());
        self.let_go(self.hold, out)
    }

    fn tick(&mut self, _: i64, out: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        self.ticks += 1;
        if self.ticks.is_multiple_of(2) {
            return Ok(Flow::Done);
        }
        self.let_go(self.held.len().saturating_sub(1), out)
    }

    fn finish(&mut self, out: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        self.let_go(0, out)
    }

    fn held(&self) -> u64 {
        self.held.len() as u64
    }
}

impl Delay {
    fn let_go(&mut self, keep: usize, out: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        while self.held.len() > keep {
            let Some(record) = self.held.pop_front() else {
                break;
            };
            if !out.forward(record) {
                self.held.push_front(record);
                return Ok(Flow::More);
            }
        }
        if let Some(depth) = &self.depth {
            depth.set(u32::try_from(self.held.len())?.into());
        }
        Ok(Flow::Done)
    }
}

impl State for Delay {
    const VERSION: u32 = 2;

    fn snapshot(&mut self, _: u32) -> Result<Vec<u8>, PluginError> {
        // The host's ids are its own: what outlives the process would carry names. This one is only brought back here.
        let values: Vec<u8> = self.held.iter().flat_map(|record| record.value.to_le_bytes()).collect();
        Ok(values)
    }

    fn restore(&mut self, _: u32, state: &[u8]) -> Result<(), PluginError> {
        for value in state.chunks_exact(8) {
            self.held.push_back(Record { value: f64::from_le_bytes(value.try_into()?), ..Record::default() });
        }
        Ok(())
    }
}

/// Gives every record twice, and those with an odd value to a port as well: needs `more`, since a full batch has no
/// room for its copies.
pub struct Twice {
    /// How many records of the current input were copied before the output was full.
    done: usize,
}

impl Stage for Twice {
    type Settings = NoSettings;

    fn describe(_: &NoSettings) -> Description {
        Description::stage().does(Capability::Creates).does(Capability::Deterministic).port("odd")
    }

    fn open(_: NoSettings, _: &Host) -> Result<Self, PluginError> {
        Ok(Self { done: 0 })
    }

    fn process(&mut self, batch: &mut Batch<'_>, out: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        // Asks for a second call in the middle of each batch that has one, so that `more` happens with any capacity.
        let half = batch.len() / 2;
        let until = if self.done < half { half } else { batch.len() };
        for record in &batch.records()[self.done..until] {
            if !out.create(*record) {
                return Ok(Flow::More);
            }
            #[expect(clippy::float_cmp, reason = "whole numbers are exact")]
            if record.value % 2.0 == 1.0 {
                out.port("odd").create(*record);
            }
            self.done += 1;
        }
        if self.done < batch.len() {
            return Ok(Flow::More);
        }
        self.done = 0;
        Ok(Flow::Done)
    }
}

/// Settings of `Lines`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinesSettings {
    /// The file that committed values are appended to, one a line.
    path: String,
}

/// Keeps values until `commit`, then appends them to a file.
pub struct Lines {
    file: std::fs::File,
    waiting: Vec<f64>,
}

impl Sink for Lines {
    type Settings = LinesSettings;

    fn describe(_: &LinesSettings) -> Description {
        Description::sink().rejects("not_a_number")
    }

    fn open(settings: LinesSettings, _: &Host) -> Result<Self, PluginError> {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&settings.path);
        Ok(Self {
            file: file.map_err(|error| PluginError::from(error).context(&settings.path))?,
            waiting: Vec::new(),
        })
    }

    fn write(&mut self, batch: &Delivery<'_>) -> Result<(), PluginError> {
        let (numbers, others): (Vec<f64>, Vec<f64>) =
            batch.records().iter().map(|record| record.value).partition(|value| !value.is_nan());
        batch.reject("not_a_number", others.len() as u64);
        self.waiting.extend(numbers);
        Ok(())
    }

    fn commit(&mut self, epoch: u64) -> Result<Commit, PluginError> {
        for value in self.waiting.drain(..) {
            writeln!(self.file, "{value}")?;
        }
        tracing::debug!(epoch, "exercise committed");
        Ok(Commit::Committed)
    }
}

export_plugin! {
    name: "exercise",
    version: "1.2.3",
    description: "uses everything that the ABI has",
    components: [
        source Count {
            finite, replayable, acknowledged, state, threads: 1,
            metrics: [counter "made" { unit: "1", help: "records made", min: 0.0 }],
            probe: { count: 100 },
        },
        stage Delay {
            holds, state, ticks,
            metrics: [gauge "depth" { help: "records held" }],
            probe: { hold: 3 },
        },
        stage Twice { creates, deterministic, probe: {} },
        sink Lines { drops, write: [settings.path], probe: none("it writes to the file that it is given") },
    ],
}
