//! NDJSON file -> range -> convert -> NDJSON file: the daemon against the hand-fused program, on one processor.

use super::measure::{Cost, median, run_on};
use super::report::{Report, Target};
use super::{Bench, input};
use crate::Failure;
use std::path::Path;
use std::process::Command;

/// What the hand-fused program took when the targets were set, CPU-seconds for a million records. To tell a slow
/// machine from a slow program; no target.
const FUSED_WHEN_MEASURED: f64 = 0.094;

pub(super) fn files(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    let records = bench.records();
    let input = input::ndjson(&bench.directory, records)?;
    let output = bench.directory.join("fused.ndjson");
    let (mut whole, mut parse) = (Vec::new(), Vec::new());
    for _ in 0..bench.options.runs {
        whole.push(fused(bench, &input, Some(&output))?);
        parse.push(fused(bench, &input, None)?);
    }
    let million = records as f64 / 1e6;
    let cpu = |costs: &[Cost]| {
        median(costs.iter().map(|cost| cost.cpu.as_secs_f64() / million)).unwrap_or(f64::NAN)
    };
    report.figure(
        "fused: read, parse, convert, print, write",
        cpu(&whole),
        "CPU-s/M",
        Target::None,
    );
    report.figure("fused: read and parse", cpu(&parse), "CPU-s/M", Target::None);
    report.note(&format!(
        "the fused program took {FUSED_WHEN_MEASURED} when the targets were set"
    ));
    Ok(())
}

fn fused(bench: &Bench, input: &Path, output: Option<&Path>) -> Result<Cost, Failure> {
    let mut program = Command::new(bench.release.join("fused"));
    program.arg(input);
    if let Some(output) = output {
        remove(output)?;
        program.arg(output);
    }
    run_on(bench.core, &mut program)
}

/// Each run writes a new file: cutting an old one short would be measured with it.
fn remove(path: &Path) -> Result<(), Failure> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::Io(format!("remove {}", path.display()), error))
        }
        _ => Ok(()),
    }
}
