//! The source: when the program runs, and what becomes of its output.

use crate::messages::Messages;
use crate::output::{CUT_OFF, Output};
use crate::process::Process;
use crate::program::{ProgramError, find};
use crate::settings::{Command, ExecSettings, Restart, Schedule};
use cardcage_plugin_api::prelude::*;
use cardcage_plugin_api::{Backoff, Counter, tracing};
use std::io::{self, Read as _};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// How much one call reads at most, so that output without a reading cannot keep the lane from draining: some
/// milliseconds' worth.
const BYTES_PER_FILL_MAX: u64 = 4 << 20;
/// How much of the output is read after the program's end: what the largest pipe holds. More comes only from a process
/// that left the group, and so outlived it.
const BYTES_AFTER_END_MAX: u64 = 1 << 20;
/// How much is read of the program's messages at a time.
const MESSAGE_BYTES: usize = 16 * 1024;
/// The longest wait before it is looked whether the pipeline drains; half of what the ABI allows.
const WAIT_MAX: Duration = Duration::from_millis(50);
/// So many failures are logged one by one; from then on the 10th, 100th, 1000th, …
const LOGGED_FIRST: u64 = 5;

enum State {
    /// Until it is time to start the program.
    Waiting(Instant),
    /// With how much was read since the program's end.
    Running(Box<Process>, u64),
    /// The failure that is still to be told, if it is one.
    Ended(Option<String>),
}

/// The source.
pub struct ExecSource {
    host: Host,
    command: Command,
    schedule: Schedule,
    grace: Duration,
    backoff: Backoff,
    state: State,
    /// When this run was to begin.
    due: Instant,
    output: Output,
    messages: Messages,
    failures: u64,
    metrics: Metrics,
}

struct Metrics {
    starts: Option<Counter>,
    start_failures: Option<Counter>,
    failures: Option<Counter>,
    timeouts: Option<Counter>,
    received: Option<Counter>,
    messages: Option<Counter>,
}

fn add(counter: Option<&Counter>, by: u64) {
    if let Some(counter) = counter.filter(|_| by > 0) {
        #[expect(clippy::cast_precision_loss, reason = "what came since the last time, far below 2^53")]
        counter.add(by as f64);
    }
}

impl Source for ExecSource {
    type Settings = ExecSettings;

    fn describe(settings: &ExecSettings) -> Description {
        let description = settings.problems(Description::source()).rejects(CUT_OFF);
        if settings.is_finite() { description.does(Capability::Finite) } else { description }
    }

    fn open(settings: ExecSettings, host: &Host) -> Result<Self, PluginError> {
        let settings = settings.check()?;
        // Now: a program that is missing is to show at the start, not when it is first due.
        find(&settings.command)?;
        let backoff = match settings.schedule {
            Schedule::Continuous { backoff, .. } => Backoff::new(backoff.first.0, backoff.max.0),
            Schedule::Periodic { every, .. } => Backoff::new(every, every),
        };
        let metrics = Metrics {
            starts: host.counter("starts"),
            start_failures: host.counter("start_failures"),
            failures: host.counter("failures"),
            timeouts: host.counter("timeouts"),
            received: host.counter("received_bytes"),
            messages: host.counter("messages"),
        };
        Ok(Self {
            host: host.clone(),
            output: Output::new(host, &settings)?,
            messages: Messages::new(settings.command.name.clone()),
            command: settings.command,
            schedule: settings.schedule,
            grace: settings.grace,
            backoff,
            state: State::Waiting(Instant::now()),
            due: Instant::now(),
            failures: 0,
            metrics,
        })
    }

    fn fill(&mut self, out: &mut Batch<'_>, wait_until_ns: i64) -> Result<Fill, PluginError> {
        // From here on by a clock that nobody sets.
        let wait_ns = u64::try_from(wait_until_ns.saturating_sub(out.now_ns())).unwrap_or(0);
        let deadline = Instant::now() + Duration::from_nanos(wait_ns);
        let filled = self.advance(out, deadline)?;
        self.output.report(out);
        if filled == Fill::Finished {
            self.output.summarize();
        }
        Ok(filled)
    }

    fn close(mut self) -> Result<(), PluginError> {
        self.output.summarize();
        if let State::Running(process, _) = &mut self.state {
            let (let_go, messages) = wait_for_end(process, &mut self.messages, self.grace)?;
            add(self.metrics.messages.as_ref(), messages);
            let (program, unread_bytes) = (&self.command.name, let_go + self.output.unread());
            if unread_bytes == 0 {
                tracing::info!(program, "the program was ended");
            } else {
                tracing::warn!(
                    program,
                    unread_bytes,
                    "the program was ended; what it still wrote is lost, since the pipeline takes nothing any more"
                );
            }
        }
        Ok(())
    }
}

impl ExecSource {
    fn advance(&mut self, out: &mut Batch<'_>, deadline: Instant) -> Result<Fill, PluginError> {
        let mut read_bytes = 0;
        loop {
            let now = Instant::now();
            match &mut self.state {
                State::Ended(failure) => match failure.take() {
                    // What came before goes on first; the next call tells.
                    Some(why) if !out.is_empty() || self.output.has_rejections() => {
                        *failure = Some(why);
                        return Ok(Fill::Produced);
                    }
                    Some(why) => return Err(PluginError::new(why)),
                    None => return Ok(Fill::Finished),
                },
                State::Waiting(at) if now < *at => {
                    let left = i64::try_from((*at - now).as_nanos()).unwrap_or(i64::MAX);
                    // The rest of the wait is the host's, so that a drain is never held up here.
                    let idle = Fill::IdleUntil(self.host.now_ns().saturating_add(left));
                    return Ok(if out.is_empty() && !self.output.has_rejections() {
                        idle
                    } else {
                        Fill::Produced
                    });
                }
                State::Waiting(_) if self.host.cancelled() => return Ok(Fill::Produced),
                State::Waiting(due) => {
                    self.due = *due;
                    self.start(now);
                }
                State::Running(..) => {
                    // Also while it writes without end.
                    self.enforce_timeout(now);
                    // Where lines wait for room, reading on would only pile up text.
                    if self.output.take(out, false) || read_bytes >= BYTES_PER_FILL_MAX {
                        return Ok(Fill::Produced);
                    }
                    match self.read()? {
                        0 => {
                            let hurry =
                                !out.is_empty() || self.output.has_rejections() || self.host.cancelled();
                            if self.look_after(out, now)? {
                                continue;
                            }
                            if hurry || now >= deadline {
                                return Ok(Fill::Produced);
                            }
                            self.wait(deadline.saturating_duration_since(now))?;
                        }
                        bytes => read_bytes += bytes,
                    }
                }
            }
        }
    }

    fn start(&mut self, now: Instant) {
        self.output.begin();
        let started = find(&self.command)
            .map_err(StartError::Program)
            .and_then(|program| Process::start(&program, &self.command).map_err(StartError::Start));
        match started {
            Ok(process) => {
                add(self.metrics.starts.as_ref(), 1);
                tracing::debug!(program = self.command.name, pid = process.number(), "started");
                self.state = State::Running(Box::new(process), 0);
            }
            Err(error) => {
                add(self.metrics.start_failures.as_ref(), 1);
                let error = PluginError::from(error).to_string();
                self.after(now, now, Some(format!("cannot start `{}`: {error}", self.command.name)));
            }
        }
    }

    /// One read of the output; how much there was. Messages are read along, so that the program never waits for them.
    fn read(&mut self) -> Result<u64, PluginError> {
        let State::Running(process, after_end) = &mut self.state else {
            return Ok(0);
        };
        let messages = read_messages(process, &mut self.messages);
        add(self.metrics.messages.as_ref(), messages.unwrap_or(0));
        if process.has_ended() && *after_end > BYTES_AFTER_END_MAX {
            process.stdout = None;
        }
        let Some(stdout) = &mut process.stdout else {
            return Ok(0);
        };
        let bytes = match self.output.refill(stdout) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                process.stdout = None;
                return Ok(0);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
            Err(error) => return Err(PluginError::from(error).context("reading the program's output")),
        };
        add(self.metrics.received.as_ref(), bytes);
        *after_end += bytes;
        Ok(bytes)
    }

    /// Looks whether the program has ended; whether anything changed.
    fn look_after(&mut self, out: &mut Batch<'_>, now: Instant) -> Result<bool, PluginError> {
        let State::Running(process, after_end) = &mut self.state else {
            return Ok(true);
        };
        let had_ended = process.has_ended();
        let Some(status) = process.ended()? else {
            return Ok(false);
        };
        if !had_ended {
            // What it wrote last may have come after the output was last read.
            *after_end = 0;
            return Ok(true);
        }
        if self.output.take_rest(out, status.code().is_none()) {
            let messages = read_last_messages(process, &mut self.messages);
            add(self.metrics.messages.as_ref(), messages);
            self.messages.end(now);
            self.tell_end(status, now);
            return Ok(true);
        }
        // The rest needs another batch.
        Ok(out.remaining() == 0)
    }

    /// Ends a run that takes too long.
    fn enforce_timeout(&mut self, now: Instant) {
        let State::Running(process, _) = &mut self.state else {
            return;
        };
        if let Schedule::Periodic { timeout, .. } = self.schedule
            && !process.has_ended()
            && now.saturating_duration_since(process.started) >= timeout
        {
            if !process.is_ending() {
                add(self.metrics.timeouts.as_ref(), 1);
                tracing::warn!(
                    program = self.command.name,
                    "the program takes longer than {} ms (`timeout`); it is ended",
                    timeout.as_millis()
                );
            }
            process.end(self.grace, now);
        }
    }

    fn tell_end(&mut self, status: ExitStatus, now: Instant) {
        let State::Running(process, _) = &self.state else {
            return;
        };
        let (started, lines) = (process.started, self.output.lines());
        let ran_ms = now.saturating_duration_since(started).as_millis();
        if status.success() {
            tracing::debug!(program = self.command.name, lines, ran_ms, "the program ended with 0");
            return self.after(started, now, None);
        }
        add(self.metrics.failures.as_ref(), 1);
        let why = format!("`{}` ended with {status} after {ran_ms} ms and {lines} lines", self.command.name);
        self.after(started, now, Some(why));
    }

    /// What comes after a run, or after an attempt at one.
    fn after(&mut self, started: Instant, now: Instant, failure: Option<String>) {
        let wait_for = match (self.schedule, &failure) {
            (Schedule::Periodic { every, .. }, _) => time_to_next(self.due, now, every),
            (Schedule::Continuous { restart: Restart::Never, .. }, _)
            | (Schedule::Continuous { restart: Restart::OnFailure, .. }, None) => {
                self.state = State::Ended(failure);
                return;
            }
            (Schedule::Continuous { backoff, .. }, _) => {
                if now.saturating_duration_since(started) >= backoff.max.0 {
                    self.backoff.reset();
                }
                self.backoff.next_delay()
            }
        };
        self.state = State::Waiting(now + wait_for);
        if let Some(why) = failure {
            self.failures += 1;
            let failures = self.failures;
            let power_of_ten = |n: u64| n.checked_ilog10().is_some_and(|digits| 10_u64.pow(digits) == n);
            if failures <= LOGGED_FIRST || power_of_ten(failures) {
                tracing::warn!(failures, "{why}; started again in {} ms", wait_for.as_millis());
            }
        }
    }

    fn wait(&mut self, how_long: Duration) -> Result<(), PluginError> {
        let State::Running(process, _) = &self.state else {
            return Ok(());
        };
        let mut how_long = how_long.min(WAIT_MAX);
        if let Schedule::Periodic { timeout, .. } = self.schedule {
            let left = timeout.saturating_sub(process.started.elapsed());
            // Past it, the grace runs, and is looked at every now and then.
            how_long = if left.is_zero() { how_long.min(WAIT_MAX / 5) } else { how_long.min(left) };
        }
        Ok(process.wait(how_long)?)
    }
}

/// Why the program was not started.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error(transparent)]
    Program(ProgramError),
    #[error("the system refuses it")]
    Start(#[source] io::Error),
}

/// The time to the next point of the grid on which runs begin; those that were missed are not made up for.
fn time_to_next(started: Instant, now: Instant, every: Duration) -> Duration {
    let since = now.saturating_duration_since(started).as_nanos();
    let every_ns = every.as_nanos().max(1);
    let past = since % every_ns;
    let left = if since == 0 { every_ns } else { every_ns - past };
    Duration::from_nanos(u64::try_from(left).unwrap_or(u64::MAX))
}

/// One read of the messages; how many lines ended in it. `None` if nothing is there.
fn read_messages(process: &mut Process, messages: &mut Messages) -> Option<u64> {
    let stderr = process.stderr.as_mut()?;
    let mut text = [0; MESSAGE_BYTES];
    match stderr.read(&mut text) {
        Ok(0) => process.stderr = None,
        Ok(read) => return Some(messages.take(&text[..read], Instant::now())),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => return Some(0),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        Err(_) => process.stderr = None,
    }
    None
}

/// What a program that has ended left of its messages; how many lines ended in it.
fn read_last_messages(process: &mut Process, messages: &mut Messages) -> u64 {
    let reads_max = usize::try_from(BYTES_AFTER_END_MAX).unwrap_or(usize::MAX) / MESSAGE_BYTES;
    std::iter::from_fn(|| read_messages(process, messages)).take(reads_max).sum()
}

/// Ends the program, with its group; how many bytes of its output were let go meanwhile, and how many lines of messages
/// came.
fn wait_for_end(
    process: &mut Process,
    messages: &mut Messages,
    grace: Duration,
) -> Result<(u64, u64), PluginError> {
    let (mut let_go, mut lines) = (0, 0);
    let mut scrap = vec![0; MESSAGE_BYTES];
    while process.ended()?.is_none() {
        process.end(grace, Instant::now());
        // A program that waits for its output to be read would not end.
        let_go += let_go_once(process, &mut scrap).unwrap_or(0);
        lines += read_messages(process, messages).unwrap_or(0);
        process.wait(WAIT_MAX / 5)?;
    }
    // Its last words.
    while let Some(read) = let_go_once(process, &mut scrap).filter(|_| let_go < BYTES_AFTER_END_MAX) {
        let_go += read;
    }
    lines += read_last_messages(process, messages);
    messages.end(Instant::now());
    Ok((let_go, lines))
}

/// Reads some of the output for nothing; how much. `None` if nothing is there.
fn let_go_once(process: &mut Process, scrap: &mut [u8]) -> Option<u64> {
    match process.stdout.as_mut()?.read(scrap) {
        Ok(0) => process.stdout = None,
        Ok(read) => return Some(read as u64),
        Err(_) => {}
    }
    None
}
