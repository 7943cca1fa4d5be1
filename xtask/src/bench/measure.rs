//! Running a program and what it cost.

use crate::Failure;
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use wait4::Wait4;

/// What one run of a program cost, its children included.
#[derive(Clone, Debug)]
pub(super) struct Cost {
    pub(super) wall: Duration,
    /// User and system time together.
    pub(super) cpu: Duration,
    /// The most memory it had at once, in bytes. The kernel counts this program's own as the least, because the
    /// other began as its copy; so this program stays small.
    pub(super) max_rss: u64,
    /// What it wrote to its standard output.
    pub(super) stdout: String,
}

/// Runs the program on one processor only and waits for it. What it says on standard error goes to the file, because
/// a terminal that scrolls costs time. A failure of it is an error.
pub(super) fn run_on(core: usize, stderr: &Path, command: &mut Command) -> Result<Cost, Failure> {
    let name = command.get_program().display().to_string();
    let said = File::create(stderr).map_err(Failure::io(format!("write {}", stderr.display())))?;
    let before = affinity()?;
    pin(&only(core))?;
    let started = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(said).spawn();
    pin(&before)?;
    let mut child = child.map_err(Failure::io(format!("start {name}")))?;
    let mut stdout = String::new();
    if let Some(mut pipe) = child.stdout.take() {
        pipe.read_to_string(&mut stdout).map_err(Failure::io(format!("read what {name} says")))?;
    }
    let end = child.wait4().map_err(Failure::io(format!("wait for {name}")))?;
    let wall = started.elapsed();
    if !end.status.success() {
        let said = fs::read_to_string(stderr).unwrap_or_default();
        return Err(Failure::Program(format!("{name}: {}\n{said}", end.status)));
    }
    let cpu = end.rusage.utime + end.rusage.stime;
    Ok(Cost { wall, cpu, max_rss: end.rusage.maxrss, stdout })
}

/// A program that runs beside this one.
pub(super) struct Running {
    name: String,
    child: Child,
}

impl Running {
    /// Starts it; what it says goes to the file.
    pub(super) fn start(said: &Path, command: &mut Command) -> Result<Self, Failure> {
        let name = command.get_program().display().to_string();
        let file = File::create(said).map_err(Failure::io(format!("write {}", said.display())))?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn();
        Ok(Self { child: child.map_err(Failure::io(format!("start {name}")))?, name })
    }

    /// The memory it has now, in bytes. An error if it has ended.
    pub(super) fn rss(&mut self) -> Result<u64, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<u64>().ok());
        kib.map(|kib| kib * 1024).ok_or_else(|| Failure::Program(format!("{} ended by itself", self.name)))
    }

    /// Asks it to end and waits for it.
    pub(super) fn stop(mut self) -> Result<(), Failure> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)
            .map_err(|error| Failure::Io(format!("end {}", self.name), error.into()))?;
        let status = self.child.wait().map_err(Failure::io(format!("wait for {}", self.name)))?;
        if status.success() { Ok(()) } else { Err(Failure::Program(format!("{}: {status}", self.name))) }
    }
}

/// The middle value; of an even number of them the lower middle one.
pub(super) fn median<T: PartialOrd + Copy>(values: impl IntoIterator<Item = T>) -> Option<T> {
    let mut values: Vec<T> = values.into_iter().collect();
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values.get(values.len().checked_sub(1)? / 2).copied()
}

/// The last processor this program may use: the first one has the interrupts on many machines.
pub(super) fn last_core() -> Result<usize, Failure> {
    let allowed = affinity()?;
    (0..CpuSet::MAX_CPU)
        .rev()
        .find(|core| allowed.is_set(*core))
        .ok_or_else(|| Failure::Program("this program may run on no processor".to_owned()))
}

fn only(core: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(core);
    set
}

fn affinity() -> Result<CpuSet, Failure> {
    sched_getaffinity(None)
        .map_err(|error| Failure::Io("read the processor affinity".to_owned(), error.into()))
}

fn pin(set: &CpuSet) -> Result<(), Failure> {
    sched_setaffinity(None, set).map_err(|error| Failure::Io("pin to a processor".to_owned(), error.into()))
}

#[cfg(test)]
mod tests {
    use super::{last_core, median, run_on};
    use std::path::Path;
    use std::process::Command;

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median([3, 1, 2]), Some(2));
        assert_eq!(median([4.0, 1.0, 3.0, 2.0]), Some(2.0));
        assert_eq!(median::<u8>([]), None);
    }

    #[test]
    fn a_busy_program_costs_processor_time_and_its_output_is_kept() {
        let mut busy = Command::new("sh");
        busy.args(["-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo done"]);
        let cost = run_on(last_core().unwrap(), Path::new("/dev/null"), &mut busy).unwrap();
        assert_eq!(cost.stdout, "done\n");
        assert!(cost.cpu.as_micros() > 0 && cost.max_rss > 0);
    }

    #[test]
    fn a_program_that_fails_is_an_error_and_not_a_figure() {
        let failed = run_on(last_core().unwrap(), Path::new("/dev/null"), &mut Command::new("false"));
        assert!(failed.is_err());
    }
}
