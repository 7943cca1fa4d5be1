//! What a write to an audited counter costs: a sink that does nothing else, through the SDK and the host's table, with
//! the trail kept or not. What is then in the trail must be every single write.

use cardcage_core::audit::{Report, Step, Stream, Verifier, file_number};
use cardcage_core::config::{AuditDetail, AuditSync};
use cardcage_plugin_api::prelude::*;
use cardcage_runtime::{Batch, Environment, HostHandle, Keeper, Policy, SinkInstance};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Writes in one call: as many as a batch has records, so that the host's bookkeeping around the call is as rare as it
/// is in a pipeline.
const WRITES_A_CALL: u64 = 4096;

/// Counts to [`WRITES_A_CALL`] for each batch.
pub(crate) struct Tally {
    counter: cardcage_plugin_api::Counter,
}

impl Sink for Tally {
    type Settings = NoSettings;

    fn describe(_: &NoSettings) -> Description {
        Description::sink()
    }

    fn open(_: NoSettings, host: &Host) -> Result<Self, PluginError> {
        let counter = host.counter("writes").ok_or_else(|| PluginError::new("no counter"))?;
        Ok(Self { counter })
    }

    fn write(&mut self, _: &Delivery<'_>) -> Result<(), PluginError> {
        let written = (0..WRITES_A_CALL).filter(|_| self.counter.add(1.0)).count();
        if written as u64 == WRITES_A_CALL { Ok(()) } else { Err(PluginError::new("a write was refused")) }
    }
}

export_plugin! {
    name: "tally",
    components: [sink Tally { metrics: [counter "writes" { unit: "1", min: 0.0 }] }],
    probe: {},
}

/// Writes so many times and prints: nanoseconds a write, writes, entries, and the writes that the entries stand for. With a
/// folder the trail is kept there.
pub(crate) fn writes(
    environment: &Arc<Environment>,
    count: u64,
    folder: Option<&Path>,
) -> Result<(), String> {
    let keeper = folder.map(|folder| keep(environment, folder.to_owned())).transpose()?;
    let handle = super::linked::tally().ok_or("the sink `tally` is not linked")?;
    let manifest = Arc::new(handle.manifest().clone());
    let host = HostHandle::for_component(environment, "sink", "tally", &BTreeMap::new(), manifest);
    let failed = |error: cardcage_runtime::CallError| error.to_string();
    let settings = serde_json::json!({});
    let mut sink =
        SinkInstance::open(&handle, &settings, host, 0, cardcage_runtime::now_ns()).map_err(failed)?;
    let mut batch = Batch::new(1);
    let calls = count.div_ceil(WRITES_A_CALL);
    let started = Instant::now();
    for _ in 0..calls {
        sink.write(&mut batch, cardcage_runtime::now_ns()).map_err(failed)?;
    }
    let took = started.elapsed();
    sink.close(0).map_err(failed)?;
    let done = calls * WRITES_A_CALL;
    let report = match (keeper, folder) {
        (Some(keeper), Some(folder)) => {
            let head = keeper.end();
            prove(folder, head.hash)?
        }
        _ => Report::default(),
    };
    #[expect(clippy::cast_precision_loss, reason = "a count of writes is far below 2^53")]
    let ns = took.as_secs_f64() * 1e9 / done as f64;
    println!("{ns:.4} {done} {} {}", report.seen.entries, report.seen.writes);
    Ok(())
}

/// Keeps the trail as a daemon does by default.
pub(crate) fn keep(environment: &Environment, folder: PathBuf) -> Result<Keeper, String> {
    let policy = Policy {
        folder,
        detail: AuditDetail::Write,
        max_entries_per_second: 1_000_000,
        rotate_bytes: 64 << 20,
        rotate_every: Duration::from_hours(24),
        keep: 1_000_000,
        sync: AuditSync::Rotation,
    };
    let kept = environment.trail.keep(policy, &environment.metrics, "bench");
    kept.map_err(|error| error.to_string())
}

/// Verifies the whole trail against its head.
fn prove(folder: &Path, head: cardcage_core::audit::Hash) -> Result<Report, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        names.extend(file_number(&name).map(|number| (number, name)));
    }
    names.sort();
    let mut verifier = Verifier::new(&[head]);
    for (number, name) in names {
        let mut file = std::fs::File::open(folder.join(&name)).map_err(failed)?;
        verifier.file(&name, number);
        let mut stream = Stream::new();
        loop {
            let step = stream.step();
            verifier.step(&step);
            match step {
                Step::End { .. } => break,
                Step::More => match file.read(stream.room()).map_err(failed)? {
                    0 => stream.end(),
                    read => stream.filled(read),
                },
                _ => {}
            }
        }
    }
    let report = verifier.finish();
    if report.is_proven() {
        Ok(report)
    } else {
        Err(format!("the trail is not whole: {:?}", report.findings))
    }
}
