//! Running a program and what it cost.

use crate::Failure;
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::sleep;
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

/// Runs the program on these processors only and waits for it. What it says on standard error goes to the file, because
/// a terminal that scrolls costs time. A failure of it is an error.
pub(super) fn run_on(cores: Cores, stderr: &Path, command: &mut Command) -> Result<Cost, Failure> {
    let mut program = Running::start(cores, stderr, command.stdout(Stdio::piped()))?;
    let mut stdout = String::new();
    if let Some(mut pipe) = program.stdout() {
        pipe.read_to_string(&mut stdout).map_err(Failure::io("read what a program says"))?;
    }
    let cost = program.wait()?;
    Ok(Cost { stdout, ..cost })
}

/// A program that runs beside this one. Who drops it ends it.
pub(super) struct Running {
    name: String,
    /// Until it has been waited for.
    child: Option<Child>,
    pid: Pid,
    started: Instant,
    stderr: PathBuf,
}

impl Running {
    /// Starts it on these processors; what it says on standard error goes to the file.
    pub(super) fn start(cores: Cores, stderr: &Path, command: &mut Command) -> Result<Self, Failure> {
        let name = command.get_program().display().to_string();
        let said = File::create(stderr).map_err(Failure::io(format!("write {}", stderr.display())))?;
        let before = affinity()?;
        pin(&cores.0)?;
        let started = Instant::now();
        let child = command.stdin(Stdio::null()).stderr(said).spawn();
        pin(&before)?;
        let child = child.map_err(Failure::io(format!("start {name}")))?;
        let pid = Pid::from_child(&child);
        Ok(Self { name, child: Some(child), pid, started, stderr: stderr.to_path_buf() })
    }

    /// What it writes, if its command has a pipe for it.
    pub(super) fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.as_mut()?.stdout.take()
    }

    /// The memory it has now, in bytes. An error if it has ended.
    pub(super) fn rss(&self) -> Result<u64, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<u64>().ok());
        kib.map(|kib| kib * 1024).ok_or_else(|| {
            let said = fs::read_to_string(&self.stderr).unwrap_or_default();
            Failure::Program(format!("{} ended by itself\n{said}", self.name))
        })
    }

    /// The memory it has once that has been the same for this long, or after `patience`.
    pub(super) fn settled_rss(&self, settled: Duration, patience: Duration) -> Result<u64, Failure> {
        let began = Instant::now();
        let (mut rss, mut since) = (self.rss()?, Instant::now());
        while since.elapsed() < settled && began.elapsed() < patience {
            sleep(Duration::from_millis(50));
            let now = self.rss()?;
            if now != rss {
                (rss, since) = (now, Instant::now());
            }
        }
        Ok(rss)
    }

    /// Asks it to end and waits for it.
    pub(super) fn stop(self) -> Result<Cost, Failure> {
        self.signal(Signal::TERM)?;
        self.wait()
    }

    /// Waits for its end. Failing is an error.
    pub(super) fn wait(mut self) -> Result<Cost, Failure> {
        let ended = self.child.take().map(Wait4::wait4).transpose();
        let end = ended
            .ok()
            .flatten()
            .ok_or_else(|| Failure::Program(format!("{} cannot be waited for", self.name)))?;
        let wall = self.started.elapsed();
        if !end.status.success() {
            let said = fs::read_to_string(&self.stderr).unwrap_or_default();
            return Err(Failure::Program(format!("{}: {}\n{said}", self.name, end.status)));
        }
        let cpu = end.rusage.utime + end.rusage.stime;
        Ok(Cost { wall, cpu, max_rss: end.rusage.maxrss, stdout: String::new() })
    }

    fn signal(&self, signal: Signal) -> Result<(), Failure> {
        kill_process(self.pid, signal)
            .map_err(|error| Failure::Io(format!("end {}", self.name), error.into()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // A bench that failed half-way; whether its program has ended already does not matter.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The middle value; of an even number of them the lower middle one.
pub(super) fn median<T: PartialOrd + Copy>(values: impl IntoIterator<Item = T>) -> Option<T> {
    let mut values: Vec<T> = values.into_iter().collect();
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values.get(values.len().checked_sub(1)? / 2).copied()
}

/// Processors that a measured program may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cores(CpuSet);

impl Cores {
    /// The last `count` processors that this program may use, if there are so many: the first one has the interrupts
    /// on many machines.
    pub(super) fn last(count: usize) -> Result<Option<Self>, Failure> {
        let allowed = affinity()?;
        let mut set = CpuSet::new();
        (0..CpuSet::MAX_CPU)
            .rev()
            .filter(|core| allowed.is_set(*core))
            .take(count)
            .for_each(|core| set.set(core));
        Ok((count > 0 && set.count() as usize == count).then_some(Self(set)))
    }

    /// Those that this program may use besides these; `None` if that is none.
    pub(super) fn others(self) -> Result<Option<Self>, Failure> {
        let mut set = affinity()?;
        (0..CpuSet::MAX_CPU).filter(|core| self.0.is_set(*core)).for_each(|core| set.unset(core));
        Ok((set.count() > 0).then_some(Self(set)))
    }

    /// Has the thread that calls it run on these from now on.
    pub(super) fn take(self) -> Result<(), Failure> {
        pin(&self.0)
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cores = (0..CpuSet::MAX_CPU).filter(|core| self.0.is_set(*core));
        f.write_str(&cores.map(|core| core.to_string()).collect::<Vec<_>>().join(", "))
    }
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
    use super::{Cores, median, run_on};
    use std::path::Path;
    use std::process::Command;

    fn one() -> Cores {
        Cores::last(1).unwrap().unwrap()
    }

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median([3, 1, 2]), Some(2));
        assert_eq!(median([4.0, 1.0, 3.0, 2.0]), Some(2.0));
        assert_eq!(median::<u8>([]), None);
    }

    #[test]
    fn no_processor_is_among_the_others() {
        assert!(Cores::last(0).unwrap().is_none());
        if let Some(two) = Cores::last(2).unwrap() {
            let other = one().others().unwrap().unwrap();
            assert_ne!(other.to_string(), one().to_string());
            assert!(two.to_string().ends_with(&one().to_string()));
        }
    }

    #[test]
    fn a_busy_program_costs_processor_time_and_its_output_is_kept() {
        let mut busy = Command::new("sh");
        busy.args(["-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo done"]);
        let cost = run_on(one(), Path::new("/dev/null"), &mut busy).unwrap();
        assert_eq!(cost.stdout, "done\n");
        assert!(cost.cpu.as_micros() > 0 && cost.max_rss > 0);
    }

    #[test]
    fn a_program_that_fails_is_an_error_and_not_a_figure() {
        let failed = run_on(one(), Path::new("/dev/null"), &mut Command::new("false"));
        assert!(failed.is_err());
    }
}
