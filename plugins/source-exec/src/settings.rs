//! The source's settings: as people write them, and checked.

use cardcage_codec::{Format, ReadSettings};
use cardcage_plugin_api::prelude::*;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The shortest `every`: starting a program takes milliseconds.
const EVERY_MIN: Duration = Duration::from_millis(100);
/// The shortest delay before a program is started again.
const BACKOFF_MIN: Duration = Duration::from_millis(10);
/// The longest `grace`: a drain waits for it.
const GRACE_MAX: Duration = Duration::from_mins(1);

/// When a program that has ended is started again.
#[settings]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    /// However it ended.
    #[default]
    Always,
    /// Unless it ended with 0, which ends the source.
    OnFailure,
    /// Not by the source: with 0 the source ends, else it fails, and the component's `restarts` decide.
    Never,
}

/// How long to wait before starting again: twice as long each time, each delay shortened at random by up to a half; from the
/// first again once the program ran for longer than the longest.
#[settings]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delays {
    /// The first delay.
    #[serde(default = "default_first")]
    pub(crate) first: Interval,
    /// The longest delay.
    #[serde(default = "default_max")]
    pub(crate) max: Interval,
}

impl Default for Delays {
    fn default() -> Self {
        Self { first: default_first(), max: default_max() }
    }
}

fn default_first() -> Interval {
    Interval(Duration::from_secs(1))
}

fn default_max() -> Interval {
    Interval(Duration::from_mins(1))
}

cardcage_codec::input_settings! {
    /// Settings of the source.
    #[derive(Clone, Debug)]
    pub struct ExecSettings {
        /// The program, and each of its arguments by itself. No shell reads them, so nothing in them has a meaning of its
        /// own: no `|`, `*` or `$HOME`. A name without `/` is looked for in `PATH`.
        #[schemars(extend("examples" = [["mosquitto_sub", "-t", "plant/#"], ["/usr/local/bin/read-meter", "--all"]]))]
        command: Vec<String>,
        /// Variables for the program, beside those of the daemon.
        #[serde(default)]
        env: BTreeMap<String, String>,
        /// The folder in which it runs; absent: that of the pipeline's file.
        #[serde(default)]
        cwd: Option<PathBuf>,
        /// When a program that has ended is started again.
        #[serde(default)]
        restart: Restart,
        /// How long to wait before starting it again.
        #[serde(default)]
        backoff: Delays,
        /// Starts the program again and again at this interval, in place of `restart`: for programs that read once and end.
        #[serde(default)]
        every: Option<Interval>,
        /// How long one run may take, with `every`; absent: until the next is due.
        #[serde(default)]
        timeout: Option<Interval>,
        /// How long the program has to end by itself after it was asked to (SIGTERM) and before it is killed (SIGKILL).
        /// When the pipeline stops, what the program writes from then on is lost, and a warning says how many bytes that
        /// were; a program should write readings as they come. If the daemon itself is killed with SIGKILL, nobody asks the
        /// program: systemd ends it with the service; elsewhere it runs on until it writes again, unless `command` begins
        /// with `setpriv --pdeathsig TERM`.
        #[serde(default = "default_grace")]
        grace: Interval,
    }
}

fn default_grace() -> Interval {
    Interval(Duration::from_secs(2))
}

/// When runs begin and how they end, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schedule {
    /// One run after the other.
    Continuous { restart: Restart, backoff: Delays },
    /// One run each interval, of at most `timeout`.
    Periodic { every: Duration, timeout: Duration },
}

/// What to run, checked.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    /// As it was written.
    pub(crate) name: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) cwd: Option<PathBuf>,
}

/// The settings, checked.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    pub(crate) command: Command,
    pub(crate) schedule: Schedule,
    pub(crate) grace: Duration,
    pub(crate) format: Format,
    pub(crate) read: ReadSettings,
    pub(crate) rejects: Option<PathBuf>,
}

impl ExecSettings {
    /// What is wrong with the settings goes into the description.
    pub(crate) fn problems(&self, mut description: Description) -> Description {
        for (setting, message) in self.faults() {
            description = description.problem(setting, message);
        }
        let formats: Vec<Format> = self.format.into_iter().collect();
        self.input().problems(description, &formats)
    }

    /// Whether it can end by itself.
    pub(crate) fn is_finite(&self) -> bool {
        self.every.is_none() && self.restart != Restart::Always
    }

    pub(crate) fn check(self) -> Result<Checked, PluginError> {
        if let Some((setting, message)) = self.faults().into_iter().next() {
            return Err(PluginError::new(format!("`{setting}`: {message}")));
        }
        let input = self.input();
        let (format, read) = input.read_settings(None)?;
        let schedule = match self.every {
            Some(every) => Schedule::Periodic {
                every: every.0,
                timeout: self.timeout.map_or(every.0, |timeout| timeout.0),
            },
            None => Schedule::Continuous { restart: self.restart, backoff: self.backoff },
        };
        let mut words = self.command.into_iter();
        let name = words.next().unwrap_or_default();
        Ok(Checked {
            command: Command { name, arguments: words.collect(), env: self.env, cwd: self.cwd },
            schedule,
            grace: self.grace.0,
            format,
            read,
            rejects: input.rejects,
        })
    }

    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let mut fault = |setting, message: String| faults.push((setting, message));
        match self.command.first() {
            None => fault("command", "no program is named".to_owned()),
            Some(name) if name.is_empty() => fault("command", "the program's name is empty".to_owned()),
            Some(name) if self.command.len() == 1 && name.contains(' ') => {
                let words: Vec<&str> = name.split_whitespace().collect();
                let message = format!("no shell takes `{name}` apart; write [{}]", words.join(", "));
                fault("command", message);
            }
            Some(_) => {}
        }
        if self.command.iter().any(|word| word.contains('\0')) {
            fault("command", "an argument holds a NUL character, which no program can be given".to_owned());
        }
        let unfit = |(key, value): (&String, &String)| {
            key.is_empty() || key.contains(['=', '\0']) || value.contains('\0')
        };
        if let Some((key, _)) = self.env.iter().find(|pair| unfit(*pair)) {
            let key: String = key.chars().filter(|c| !c.is_control()).collect();
            fault("env", format!("`{key}` is no variable: a name without `=`, a value without NUL"));
        }
        if self.format.is_none() {
            fault("format", "no file's ending tells the format here; set `format: ndjson`".to_owned());
        }
        if self.grace.0 > GRACE_MAX {
            fault("grace", format!("{} is longer than {}, the longest", self.grace, Interval(GRACE_MAX)));
        }
        faults.extend(self.schedule_faults());
        faults
    }

    fn schedule_faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let mut fault = |setting, message: String| faults.push((setting, message));
        if self.backoff.first.0 < BACKOFF_MIN {
            let message = format!("{} is shorter than {}", self.backoff.first, Interval(BACKOFF_MIN));
            fault("backoff.first", message);
        }
        if self.backoff.max < self.backoff.first {
            let message = format!("{} is shorter than `first`, {}", self.backoff.max, self.backoff.first);
            fault("backoff.max", message);
        }
        let Some(every) = self.every else {
            if self.timeout.is_some() {
                fault(
                    "timeout",
                    "only runs that `every` starts have one; a program that runs on has none".to_owned(),
                );
            }
            return faults;
        };
        if every.0 < EVERY_MIN {
            fault("every", format!("{every} is shorter than {}, the shortest", Interval(EVERY_MIN)));
        }
        if self.restart != Restart::Always {
            fault(
                "restart",
                "`every` says when the program is started again; leave out one of the two".to_owned(),
            );
        }
        if let Some(timeout) = self.timeout.filter(|timeout| timeout.0.is_zero() || *timeout > every) {
            fault("timeout", format!("{timeout} is not between 0 and `every`, {every}"));
        }
        faults
    }
}
