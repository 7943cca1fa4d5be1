//! How fast and how steady this machine is: the hand-fused program, again and again, before and after everything else.

use super::input::{Form, SENSORS, readings};
use super::measure::median;
use super::{Bench, remove};
use crate::Failure;
use std::process::Command;

/// What the hand-fused program took when the targets were set, on a quiet machine: CPU-seconds for a million records.
/// To tell a slow machine from a slow program; no target.
const FUSED_WHEN_MEASURED: f64 = 0.094;
/// Large enough that starting the program does not count, small enough to be run often.
const RECORDS: u32 = 500_000;
const RUNS: usize = 7;

/// Measures it and prints a line. Nothing is done about what it says.
pub(super) fn noise(bench: &Bench, when: &str) -> Result<(), Failure> {
    let input = readings(&bench.directory, Form::Ndjson, u64::from(RECORDS), SENSORS)?;
    let output = bench.directory.join("noise.ndjson");
    let mut taken = Vec::new();
    for _ in 0..RUNS {
        remove(&output)?;
        let cost = bench.run(Command::new(bench.release.join("fused")).args([&input, &output]))?;
        taken.push(cost.cpu.as_secs_f64() * 1e6 / f64::from(RECORDS));
    }
    remove(&output)?;
    let (least, most) =
        taken.iter().fold((f64::MAX, 0.0_f64), |(least, most), time| (least.min(*time), most.max(*time)));
    if let Some(middle) = median(taken) {
        println!(
            "noise {when}: the hand-fused program takes {middle:.3} CPU-s/M, {:.2} x what it took on a quiet machine; \
             {RUNS} runs, the slowest {:.2} x the fastest",
            middle / FUSED_WHEN_MEASURED,
            most / least
        );
    }
    Ok(())
}
