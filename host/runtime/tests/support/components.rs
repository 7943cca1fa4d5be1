//! The component types of these pipelines: a source that counts, one that gives three or none, a stage that does odd values
//! some harm, a sink that keeps what it was given.

use super::Type;
use cardcage_plugin_api::__private::{sink, source, stage};
use cardcage_plugin_api::manifest::Capability;
use cardcage_plugin_api::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Gives `count` records with the values 0, 1, 2 …, `per_fill` in each call; endless without a count.
struct Count {
    next: u64,
    settings: CountSettings,
}

#[derive(Clone, Deserialize, JsonSchema)]
struct CountSettings {
    count: Option<u64>,
    #[serde(default = "hundred")]
    per_fill: u64,
    /// Fails once, when so many were given.
    fail_at: Option<u64>,
}

fn hundred() -> u64 {
    100
}

impl Source for Count {
    type Settings = CountSettings;
    fn describe(_: &CountSettings) -> Description {
        Description::source()
    }
    fn open(settings: CountSettings, _: &Host) -> Result<Self, PluginError> {
        Ok(Self { next: 0, settings })
    }
    #[expect(clippy::cast_precision_loss, reason = "the tests count to thousands")]
    fn fill(&mut self, out: &mut Batch<'_>, _: i64) -> Result<Fill, PluginError> {
        if self.settings.fail_at == Some(self.next) {
            self.settings.fail_at = None;
            return Err(PluginError::new("the cable is out"));
        }
        let end = self.settings.count.unwrap_or(u64::MAX);
        for _ in 0..self.settings.per_fill.min(end - self.next) {
            if !out.push(Record { value: self.next as f64, ..Record::default() }) {
                break;
            }
            self.next += 1;
        }
        out.set_position(0, self.next);
        Ok(if self.next == end { Fill::Finished } else { Fill::Produced })
    }
}

/// Gives 30 readings, three at a time or none: as lines do that hold several.
struct Threes {
    given: u32,
    refused: u32,
}

impl Source for Threes {
    type Settings = NoSettings;
    fn describe(_: &NoSettings) -> Description {
        Description::source()
    }
    fn open(_: NoSettings, _: &Host) -> Result<Self, PluginError> {
        Ok(Self { given: 0, refused: 0 })
    }
    fn fill(&mut self, out: &mut Batch<'_>, _: i64) -> Result<Fill, PluginError> {
        if out.remaining() >= 3 {
            for _ in 0..3 {
                out.push(Record::default());
            }
            self.given += 3;
        } else {
            self.refused += 1;
        }
        if self.refused > 30 {
            return Err(PluginError::new("asked again and again, without room"));
        }
        Ok(if self.given == 30 { Fill::Finished } else { Fill::Produced })
    }
}

/// Does with odd values what its settings say.
struct Odd {
    settings: OddSettings,
    kept: Vec<Record>,
}

#[derive(Clone, Copy, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Deed {
    Drop,
    Port,
    LoseSilently,
    DropUndeclared,
    Panic,
    Fail,
    Hold,
    Double,
    Hang,
    SwallowIntoMore,
    EndlessMore,
}

#[derive(Clone, Deserialize, JsonSchema)]
struct OddSettings {
    deed: Deed,
}

fn odd(record: &Record) -> bool {
    record.value.rem_euclid(2.0) > 0.5
}

impl Stage for Odd {
    type Settings = OddSettings;
    fn describe(settings: &OddSettings) -> Description {
        let plain = Description::stage();
        match settings.deed {
            Deed::Drop => plain.drops("odd"),
            Deed::Port => plain.drops("odd").port("odd"),
            _ => plain,
        }
    }
    fn open(settings: OddSettings, _: &Host) -> Result<Self, PluginError> {
        Ok(Self { settings, kept: Vec::new() })
    }
    fn process(&mut self, batch: &mut Batch<'_>, out: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        match self.settings.deed {
            Deed::Drop => batch.retain("odd", |record| !odd(record)),
            Deed::Port => batch.retain_or(out.port("odd"), "odd", |record| !odd(record)),
            Deed::LoseSilently => batch.truncate(batch.len() - 1),
            Deed::DropUndeclared => batch.retain("not_described", |record| !odd(record)),
            Deed::Panic => assert!(!batch.records().iter().any(odd), "an odd value"),
            Deed::Fail => return Err(PluginError::new("odd values are not for me")),
            Deed::Hold => self.kept.extend(batch.take_all()),
            Deed::Double => {
                for record in batch.records() {
                    out.create(*record);
                }
            }
            Deed::EndlessMore => return Ok(Flow::More),
            Deed::Hang => loop {
                std::thread::park();
            },
            Deed::SwallowIntoMore => {
                // Gives one record at a time, and asks to be called again for the rest.
                let mut rest = batch.take_all();
                let last = rest.pop();
                if let Some(record) = last {
                    assert!(out.forward(record));
                }
                batch.fill_with(|room| {
                    room[..rest.len()].copy_from_slice(&rest);
                    rest.len()
                });
                return Ok(if batch.is_empty() { Flow::Done } else { Flow::More });
            }
        }
        Ok(Flow::Done)
    }
    fn finish(&mut self, out: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        while let Some(record) = self.kept.pop() {
            if !out.forward(record) {
                self.kept.push(record);
                return Ok(Flow::More);
            }
        }
        Ok(Flow::Done)
    }
    fn held(&self) -> u64 {
        self.kept.len() as u64
    }
}

/// What every `Keep` sink of this process was given, by the name in its settings.
static KEPT: Mutex<Vec<(String, f64)>> = Mutex::new(Vec::new());

/// How many commits `Keep` sinks have lost.
static COMMITS_LOST: AtomicU64 = AtomicU64::new(0);

pub(crate) fn commits_lost() -> u64 {
    COMMITS_LOST.load(Ordering::Relaxed)
}

pub(crate) fn kept(name: &str) -> Vec<f64> {
    let all = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    all.iter().filter(|(of, _)| of == name).map(|(_, value)| *value).collect()
}

/// Keeps what it is given; fails its `fail_write`th write and its commits as told.
struct Keep {
    settings: KeepSettings,
    writes: u64,
    commits: u64,
}

/// What becomes of commits.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Commits {
    #[default]
    Succeed,
    AreLost,
    Fail,
}

#[derive(Clone, Deserialize, JsonSchema)]
struct KeepSettings {
    name: String,
    fail_write: Option<u64>,
    #[serde(default)]
    put_off_commits: u64,
    #[serde(default)]
    commits: Commits,
    /// Of each commit so many are lost.
    #[serde(default)]
    lose_last: u64,
    #[serde(default)]
    reject_odd: bool,
    #[serde(default)]
    refuse_to_open: bool,
}

impl Sink for Keep {
    type Settings = KeepSettings;
    fn describe(_: &KeepSettings) -> Description {
        Description::sink().rejects("odd")
    }
    fn open(settings: KeepSettings, _: &Host) -> Result<Self, PluginError> {
        if settings.refuse_to_open {
            return Err(PluginError::new("there is no such place"));
        }
        Ok(Self { settings, writes: 0, commits: 0 })
    }
    fn write(&mut self, batch: &Delivery<'_>) -> Result<(), PluginError> {
        self.writes += 1;
        if self.settings.fail_write == Some(self.writes) {
            return Err(PluginError::new("no space left"));
        }
        if self.settings.reject_odd {
            batch.reject("odd", batch.records().iter().filter(|record| odd(record)).count() as u64);
        }
        let mut all = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(batch.records().iter().map(|record| (self.settings.name.clone(), record.value)));
        Ok(())
    }
    fn commit(&mut self, _: u64) -> Result<Commit, PluginError> {
        self.commits += 1;
        if self.settings.commits == Commits::Fail {
            return Err(PluginError::new("no space left"));
        }
        if self.settings.lose_last > 0 {
            return Ok(Commit::Partly { lost: self.settings.lose_last, why: "no space left".to_owned() });
        }
        if self.settings.commits == Commits::AreLost {
            COMMITS_LOST.fetch_add(1, Ordering::Relaxed);
            return Ok(Commit::Permanent { why: "gone".to_owned() });
        }
        if self.commits <= self.settings.put_off_commits {
            return Ok(Commit::Retry { after: Duration::from_millis(1), why: "not yet".to_owned() });
        }
        Ok(Commit::Committed)
    }
}

pub(crate) fn types() -> [Type; 4] {
    use Capability::{Creates, Drops, Holds};
    [
        Type { plugin: "count", entry: source::<Count>("count"), does: &[] },
        Type { plugin: "odd", entry: stage::<Odd>("odd"), does: &[Drops, Holds, Creates] },
        Type { plugin: "keep", entry: sink::<Keep>("keep"), does: &[] },
        Type { plugin: "threes", entry: source::<Threes>("threes"), does: &[] },
    ]
}
