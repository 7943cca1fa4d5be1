//! The vetting child: climbs rungs 5 to 10 with a plugin and says how far it came.
//!
//! Started by `parent` as this same program: the plugin's sealed copy is its standard input, messages go to its
//! standard output. Both are moved out of the plugin's reach before any of its code runs. Each message begins with a
//! number that only the two sides know, and the exit code is made of it: a plugin that writes to descriptors which it
//! did not open, or ends the process with a success, is not taken for this code.

#![forbid(unsafe_code)]

use super::report::{Message, Secret, Step};
use super::sandbox;
use super::sandbox::reach::Reach;
use crate::loader::climb::{self, Stopwatch};
use crate::loader::libraries::SystemLibraries;
use crate::loader::process_state::{Alone, ProcessState, descriptors};
use crate::loader::refusal::{Climbed, Refusal, Rung};
use crate::loader::{file, probe, settings};
use cardcage_core::verdict::{ComponentVerdict, Probed, Sandbox, Verdict};
use cardcage_plugin_api::abi::Outcome;
use cardcage_plugin_api::manifest::Probe;
use cardcage_runtime::{ComponentTypeHandle, HostHandle};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Resource, Rlimit};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IoSlice, Write as _};
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Bounds of the child: far above what a probe needs, far below what would hurt the machine.
const LIMITS: [(Resource, u64); 5] = [
    (Resource::As, ADDRESSES_MAX_BYTES),
    (Resource::Data, DATA_MAX_BYTES),
    (Resource::Fsize, FILE_MAX_BYTES),
    (Resource::Nofile, FILES_MAX + descriptors::FILLED),
    (Resource::Core, 0),
];

/// Addresses, whether there is memory behind them or not.
pub(super) const ADDRESSES_MAX_BYTES: u64 = 8 * 1024 * 1024 * 1024;

/// Memory that is the child's own.
pub(super) const DATA_MAX_BYTES: u64 = 1024 * 1024 * 1024;

/// Of one file.
pub(super) const FILE_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Files that the plugin may have open at once.
pub(super) const FILES_MAX: u64 = 256;

/// The exit code of a child that could not say what it had to say: its descriptor is gone.
pub(super) const SILENCED: u8 = 150;

/// The exit code of a child that could not make itself ready; it has said nothing by then.
pub(super) const UNREADY: u8 = 151;

/// What the parent wants, as its arguments say it.
struct Order {
    deadline: Duration,
    /// Scratch space.
    folder: PathBuf,
    /// The file, for messages.
    file: PathBuf,
    secret: Secret,
    /// Component types that the sandbox kept from being probed: by their place in the manifest.
    skipped: Vec<usize>,
    /// Whether to go on with the next component type after one was refused.
    thorough: bool,
}

impl Order {
    /// `__vet DEADLINE_SECONDS FOLDER FILE SECRET SKIPPED,... THOROUGH`.
    fn of(arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        let arguments: Vec<OsString> = arguments.collect();
        let [deadline, folder, file, secret, skipped, thorough] = arguments.as_slice() else {
            return None;
        };
        let skipped = skipped.to_str()?.split(',').filter(|place| !place.is_empty());
        Some(Self {
            deadline: Duration::from_secs(deadline.to_str()?.parse().ok()?),
            folder: folder.into(),
            file: file.into(),
            secret: Secret::parse(secret.to_str()?)?,
            skipped: skipped.map(|place| place.parse().ok()).collect::<Option<_>>()?,
            thorough: thorough.to_str()?.parse().ok()?,
        })
    }
}

/// Runs the child.
pub(crate) fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let Some(order) = Order::of(arguments) else {
        return ExitCode::from(crate::exit::USAGE);
    };
    let Ok((memory, messages)) = prepare(order.deadline) else {
        return ExitCode::from(UNREADY);
    };
    // A plugin's log statements are code as well, and ones that a level switches on later.
    crate::logging::start_unheard();
    match vet(&order, memory, messages) {
        Ok(()) => ExitCode::from(order.secret.exit_code()),
        Err(_) => ExitCode::from(SILENCED),
    }
}

fn prepare(deadline: Duration) -> io::Result<(OwnedFd, File)> {
    let streams = private_streams()?;
    limit(deadline)?;
    descriptors::fill()?;
    Ok(streams)
}

fn vet(order: &Order, memory: OwnedFd, messages: File) -> io::Result<()> {
    let mut messages = Messages { to: ManuallyDrop::new(messages), secret: order.secret };
    let mut stopwatch = Stopwatch::default();
    let ended = climb(order, memory, &mut messages, &mut stopwatch);
    match ended {
        Ok(Some((sandbox, components))) => {
            stopwatch.stop();
            let rungs = stopwatch.laps().iter().filter(|(rung, _)| *rung > Rung::Vetting);
            let rungs = rungs.map(|(rung, time)| (*rung, micros(*time))).collect();
            messages.say(&Message::Passed(Verdict { sandbox, components, rungs }))
        }
        // Each was said when it was found.
        Ok(None) => Ok(()),
        Err(refusal) => messages.say(&Message::Refused(refusal)),
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Standard input (the sealed copy) and standard output (the messages) under numbers that the plugin does not expect;
/// in their places nothing, and standard error.
fn private_streams() -> io::Result<(OwnedFd, File)> {
    // Above those that a program gets by opening a few files, so that a plugin's stale number does not meet them.
    let memory = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), descriptors::PRIVATE_FROM)?;
    let messages = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), descriptors::PRIVATE_FROM)?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    Ok((memory, File::from(messages)))
}

fn limit(deadline: Duration) -> io::Result<()> {
    // A group of its own, so that the parent can end whatever the plugin started.
    rustix::process::setsid()?;
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    rustix::thread::set_no_new_privs(true)?;
    // Where memory runs out, this process goes first, and not the daemon. Older kernels may refuse; nothing is lost.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    // The parent's deadline ends a child that waits; this one ends a child that spins, should the parent be gone. Never
    // before the deadline, however many threads spin.
    let processors = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let cpu = (Resource::Cpu, (deadline.as_secs() + 1).saturating_mul(processors));
    for (resource, most) in LIMITS.into_iter().chain([cpu]) {
        let now = rustix::process::getrlimit(resource);
        let most = now.maximum.map_or(most, |maximum| most.min(maximum));
        rustix::process::setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}

struct Messages {
    /// Never dropped: should the plugin have closed it, closing it again would end the process before it is told why.
    to: ManuallyDrop<File>,
    secret: Secret,
}

impl Messages {
    fn say(&mut self, message: &Message) -> io::Result<()> {
        self.to.write_all(&self.secret.line(message)?)
    }

    /// Says it, and hands a descriptor to the parent, which keeps the only one.
    fn hand_over(&mut self, message: &Message, descriptor: &OwnedFd) -> io::Result<()> {
        let line = self.secret.line(message)?;
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut handed = SendAncillaryBuffer::new(&mut space);
        let descriptors = [descriptor.as_fd()];
        if !handed.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            return Err(io::Error::other("no room for a descriptor"));
        }
        let sent = sendmsg(&*self.to, &[IoSlice::new(&line)], &mut handed, SendFlags::empty())?;
        self.to.write_all(&line[sent..])
    }
}

fn climb(
    order: &Order,
    memory: OwnedFd,
    messages: &mut Messages,
    stopwatch: &mut Stopwatch,
) -> Climbed<Option<(Sandbox, Vec<ComponentVerdict>)>> {
    let path = order.file.as_path();
    let began = Instant::now();
    // A parent that is gone hears nothing, and the child dies with it; a descriptor that is gone is found out by the
    // last message.
    let mut say = |messages: &mut Messages, rung: Rung, component: &str| {
        stopwatch.begin(rung);
        let step = Step { rung, component: component.to_owned(), since_us: micros(began.elapsed()) };
        let _ = messages.say(&Message::Climbing(step));
    };
    let copy = file::adopt(memory, path)?;
    let candidate = climb::look_at(copy, &mut SystemLibraries::believed(), &mut |rung, component| {
        say(messages, rung, component);
    })?;
    // Never dropped, as the messages' file is not.
    let candidate = ManuallyDrop::new(candidate);
    say(messages, Rung::Vetting, "");
    let sandbox = confine(&Reach::of(&candidate, &order.folder), messages);
    let library = climb::load(&candidate, Alone::Yes, &mut |rung, component| say(messages, rung, component))?;
    say(messages, Rung::Probe, "");
    let mut before = ProcessState::now(Alone::Yes);
    let environment = probe::environment(&order.folder);
    let host = HostHandle::for_library(&environment, &candidate.manifest.name);
    let attached = library.attach.call(&host);
    if attached != Outcome::OK {
        return Err(not_attached(path, attached));
    }
    let mut components = Vec::with_capacity(library.types.len());
    let mut refused = false;
    for (place, handle) in library.types.iter().enumerate() {
        let name = &handle.manifest().name;
        say(messages, Rung::Probe, name);
        let probed = if order.skipped.contains(&place) {
            Ok(Probed::NotProbed { reason: String::new() })
        } else {
            probe::run(path, handle, &environment)
        };
        let found = probed.and_then(|probe| {
            say(messages, Rung::Settings, name);
            let (schema, sample) = settings::schema_of(path, handle, probe_settings(handle))?;
            unchanged(path, name, &before)?;
            Ok(ComponentVerdict { kind: handle.kind(), name: name.clone(), schema, sample, probe })
        });
        match found {
            Ok(verdict) => components.push(verdict),
            // Where it cannot be said, there is no going on.
            Err(refusal) if order.thorough && messages.say(&Message::Refused(refusal.clone())).is_ok() => {
                refused = true;
                // What this type changed is not to be blamed on the next one.
                before = ProcessState::now(Alone::Yes);
            }
            Err(refusal) => return Err(refusal),
        }
    }
    Ok((!refused).then_some((sandbox, components)))
}

/// No code of the plugin has run so far.
fn confine(reach: &Reach, messages: &mut Messages) -> Sandbox {
    let (sandbox, listener) = sandbox::confine(reach);
    let message = Message::Confined(sandbox.clone());
    // Without an answer every call that is asked about would hang; then the parent's deadline ends the child.
    let _ = match listener {
        Some(listener) => messages.hand_over(&message, &listener),
        None => messages.say(&message),
    };
    sandbox
}

/// What is opened, used and closed leaves the process as it was.
fn unchanged(path: &Path, component: &str, before: &ProcessState) -> Climbed<()> {
    let changes = ProcessState::changed_by_use_since(before);
    if changes.is_empty() {
        return Ok(());
    }
    Err(Refusal::new(
        Rung::Probe,
        "process-changed",
        path,
        format!("`{component}`: using it changed the process: {}", changes.join("; ")),
        "a component that leaves the process as it was when it is closed",
        "set it back before the call returns; start threads with `host.spawn`, and end them in `close`",
    ))
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
