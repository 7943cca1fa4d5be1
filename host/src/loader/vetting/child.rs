//! The vetting child: climbs rungs 5 to 10 with a plugin and says how far it came.
//!
//! Started by `parent` as this same program: the plugin's sealed copy is its standard input, messages go to its
//! standard output. Both are moved out of the plugin's reach before any of its code runs.

#![forbid(unsafe_code)]

use super::report::{ComponentVerdict, Message, Step, Verdict};
use crate::loader::climb::{self, Stopwatch};
use crate::loader::libraries::SystemLibraries;
use crate::loader::process_state::Alone;
use crate::loader::refusal::{Climbed, Refusal, Rung};
use crate::loader::{file, probe, settings};
use cardcage_plugin_api::abi::Outcome;
use cardcage_plugin_api::manifest::Probe;
use cardcage_runtime::{ComponentTypeHandle, HostHandle};
use rustix::process::{Resource, Rlimit};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Bounds of the child: far above what a probe needs, far below what would hurt the machine.
const LIMITS: [(Resource, u64); 4] = [
    (Resource::As, 8 * 1024 * 1024 * 1024),
    (Resource::Fsize, 64 * 1024 * 1024),
    (Resource::Nofile, 256),
    (Resource::Core, 0),
];

/// Runs the child: `__vet DEADLINE_SECONDS FOLDER FILE`.
pub(crate) fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.collect();
    let [deadline, folder, file] = arguments.as_slice() else {
        return ExitCode::from(crate::exit::USAGE);
    };
    let seconds = deadline.to_str().and_then(|text| text.parse().ok()).unwrap_or(1);
    match vet(Path::new(file), &PathBuf::from(folder), Duration::from_secs(seconds)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(crate::exit::IO),
    }
}

fn vet(path: &Path, folder: &Path, deadline: Duration) -> io::Result<()> {
    let (memory, messages) = private_streams()?;
    confine(deadline)?;
    let mut messages = Messages { to: messages };
    let mut stopwatch = Stopwatch::default();
    let ended = climb(path, folder, memory, &mut messages, &mut stopwatch);
    messages.say(&match ended {
        Ok(components) => {
            stopwatch.stop();
            let micros = |time: &Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
            Message::Passed(Verdict {
                components,
                rungs: stopwatch
                    .laps()
                    .iter()
                    .filter(|(rung, _)| *rung > Rung::Vetting)
                    .map(|(rung, time)| (*rung, micros(time)))
                    .collect(),
            })
        }
        Err(refusal) => Message::Refused(refusal),
    })
}

/// Standard input (the sealed copy) and standard output (the messages) under numbers that the plugin does not expect;
/// in their places nothing, and standard error.
fn private_streams() -> io::Result<(OwnedFd, File)> {
    /// Above the three standard streams, so that what replaces them is not caught.
    const FIRST: i32 = 3;
    let memory = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), FIRST)?;
    let messages = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), FIRST)?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    Ok((memory, File::from(messages)))
}

fn confine(deadline: Duration) -> io::Result<()> {
    // A group of its own, so that the parent can end whatever the plugin started.
    rustix::process::setsid()?;
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    rustix::thread::set_no_new_privs(true)?;
    // The parent's deadline ends a child that waits; this one ends a child that spins, should the parent be gone.
    let cpu = (Resource::Cpu, deadline.as_secs() + 1);
    for (resource, most) in LIMITS.into_iter().chain([cpu]) {
        let now = rustix::process::getrlimit(resource);
        let most = now.maximum.map_or(most, |maximum| most.min(maximum));
        rustix::process::setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}

struct Messages {
    to: File,
}

impl Messages {
    fn say(&mut self, message: &Message) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.to.write_all(&line)
    }
}

fn climb(
    path: &Path,
    folder: &Path,
    memory: OwnedFd,
    messages: &mut Messages,
    stopwatch: &mut Stopwatch,
) -> Climbed<Vec<ComponentVerdict>> {
    let mut watch = |rung: Rung, component: &str| {
        stopwatch.begin(rung);
        // A parent that is gone does not hear it, and the child dies with it.
        let _ = messages.say(&Message::Climbing(Step { rung, component: component.to_owned() }));
    };
    let copy = file::adopt(memory, path)?;
    let candidate = climb::look_at(copy, &mut SystemLibraries::default(), &mut watch)?;
    let library = climb::load(&candidate, Alone::Yes, &mut watch)?;
    watch(Rung::Probe, "");
    let environment = probe::environment(folder);
    let host = HostHandle::for_library(&environment, &candidate.manifest.name);
    let attached = library.attach.call(&host);
    if attached != Outcome::OK {
        return Err(not_attached(path, attached));
    }
    library
        .types
        .iter()
        .map(|handle| {
            let name = handle.manifest().name.clone();
            watch(Rung::Probe, &name);
            let probe = probe::run(path, handle, &environment)?;
            watch(Rung::Settings, &name);
            let (schema, sample) = settings::schema_of(path, handle, probe_settings(handle))?;
            Ok(ComponentVerdict { kind: handle.kind(), name, schema, sample, probe })
        })
        .collect()
}

fn probe_settings(handle: &ComponentTypeHandle) -> Option<&serde_json::Value> {
    match &handle.manifest().probe {
        Probe::Settings(settings) => Some(settings),
        Probe::None(_) => None,
    }
}

pub(crate) fn not_attached(path: &Path, outcome: Outcome) -> Refusal {
    Refusal::new(
        Rung::Probe,
        "attach",
        path,
        format!("`attach` answered with outcome {}", outcome.0),
        "a library that takes up the host's log",
        "build the plugin with the cardcage-plugin-api of this Cardcage",
    )
}
