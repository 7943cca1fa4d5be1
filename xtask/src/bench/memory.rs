//! What memory is spent on: records that wait in a queue, and a daemon that has nothing to do.

use super::flow::Flow;
use super::measure::Running;
use super::report::{Report, Target, note};
use super::{Bench, mib};
use crate::Failure;
use std::io::{self, Read};
use std::process::Stdio;
use std::time::Duration;

/// The record's own 24, and what is put around a batch of them.
const QUEUED_BYTES: Target = Target::AtMost(25.0);
const IDLE_MIB: Target = Target::AtMost(12.0);
/// The memory counts once it has been the same for this long.
const SETTLED: Duration = Duration::from_secs(2);
/// Longer than any start; what still grows then is measured as it is.
const PATIENCE: Duration = Duration::from_mins(1);
/// A full batch: what is queued when next to nothing is.
const BATCH: u64 = 4096;

pub(super) fn memory(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    let batches = if bench.options.quick { 128 } else { 1024 };
    let full = queued(bench, batches * BATCH, ["", ""])?;
    report.figure("memory: a record in a full queue", Some(full), "bytes", QUEUED_BYTES);
    // The source wakes every 10 ms: 2,500 readings are due then, and passed on at once. No two such batches fit into one.
    let early = queued(bench, 200 * 2500, [", rate: 250000", ", batch: { linger: 1ms }"])?;
    report.figure("memory: a record in a queue of batches 0.6 full", Some(early), "bytes", Target::None);
    idle(bench, report)?;
    note("a record is 24 bytes, which the plugin API asserts when it is compiled");
    Ok(())
}

/// Bytes that a queued record takes: of a pipeline whose sink waits for ever, with all records in front of it, against
/// the same with one batch.
fn queued(bench: &Bench, records: u64, more: [&str; 2]) -> Result<f64, Failure> {
    let (many, few) = (blocked(bench, records, more)?, blocked(bench, BATCH, more)?);
    #[expect(clippy::cast_precision_loss, reason = "sizes of memory are exact in a double")]
    let bytes = many.saturating_sub(few) as f64 / (records - BATCH) as f64;
    Ok(bytes)
}

/// The memory of the daemon when that many records wait for a sink that cannot write, in bytes.
fn blocked(bench: &Bench, records: u64, [setting, key]: [&str; 2]) -> Result<u64, Failure> {
    let body = format!(
        "sources:\n  made: {{ plugin: generate, settings: {{ count: {records}, unit: degC{setting} }}{key} }}\n\
         sinks:\n  full: {{ plugin: stdout, inputs: [made], buffer: 1GiB }}\n"
    );
    let flow = Flow::new(bench, "queued", &body)?;
    flow.refusal(bench)?;
    flow.forget()?;
    let mut command = flow.command(bench);
    // The queue has room for all of them, so the source ends, and only the sink waits: for someone to read this pipe.
    let mut daemon = Running::start(bench.core, &bench.stderr(), command.stdout(Stdio::piped()))?;
    let rss = daemon.settled_rss(SETTLED, PATIENCE)?;
    let lines =
        daemon.stdout().map_or(Ok(0), count_lines).map_err(Failure::io("read what the daemon wrote"))?;
    daemon.wait()?;
    flow.totals()?.expect(records)?;
    if lines == records {
        Ok(rss)
    } else {
        Err(Failure::Program(format!("{lines} of {records} were written")))
    }
}

fn count_lines(mut pipe: impl Read) -> io::Result<u64> {
    let (mut lines, mut buffer) = (0, vec![0; 1 << 16]);
    loop {
        match pipe.read(&mut buffer)? {
            0 => return Ok(lines),
            read => lines += memchr::memchr_iter(b'\n', &buffer[..read]).count() as u64,
        }
    }
}

/// One reading a second into nowhere.
fn idle(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    let body = "sources:\n  made: { plugin: generate, settings: { rate: 1 } }\n\
                stages:\n  plausible: { plugin: range, inputs: [made], settings: { min: -50 } }\n\
                sinks:\n  nowhere: { plugin: blackhole, inputs: [plausible] }\n";
    let flow = Flow::new(bench, "idle", body)?;
    flow.refusal(bench)?;
    flow.forget()?;
    let daemon = Running::start(bench.core, &bench.stderr(), &mut flow.command(bench))?;
    let rss = daemon.settled_rss(SETTLED, PATIENCE)?;
    daemon.stop()?;
    report.figure("memory: idle daemon with 3 components", Some(mib(rss)), "MiB", IDLE_MIB);
    Ok(())
}
