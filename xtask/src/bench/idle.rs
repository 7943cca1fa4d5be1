//! What the daemon takes when next to nothing happens: one reading a second into nowhere.

use super::measure::Running;
use super::report::{Report, Target};
use super::{Bench, mib, remove};
use crate::Failure;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

const RSS_MIB: Target = Target::AtMost(12.0);
/// The memory counts once it has been the same for this long.
const SETTLED: Duration = Duration::from_secs(3);
/// Longer than any start; what still grows then is measured as it is.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn idle(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    let state = bench.directory.join("idle.state");
    remove(&state)?;
    let config = bench.directory.join("idle.yaml");
    let text = format!(
        "version: 1\n\
         plugins: {{ directories: ['{plugins}'] }}\n\
         state_directory: '{state}'\n\
         sources:\n  made: {{ plugin: generate, settings: {{ rate: 1 }} }}\n\
         stages:\n  plausible: {{ plugin: range, inputs: [made], settings: {{ min: -50 }} }}\n\
         sinks:\n  nowhere: {{ plugin: blackhole, inputs: [plausible] }}\n",
        plugins = bench.release.display(),
        state = state.display(),
    );
    fs::write(&config, text).map_err(Failure::io(format!("write {}", config.display())))?;
    let mut daemon = Running::start(&bench.stderr(), bench.daemon().arg("run").arg(&config))?;
    let began = Instant::now();
    let (mut rss, mut since) = (daemon.rss()?, Instant::now());
    while since.elapsed() < SETTLED && began.elapsed() < PATIENCE {
        sleep(Duration::from_millis(100));
        let now = daemon.rss()?;
        if now != rss {
            (rss, since) = (now, Instant::now());
        }
    }
    daemon.stop()?;
    report.figure("idle: daemon with 3 components", Some(mib(rss)), "MiB", RSS_MIB);
    Ok(())
}
