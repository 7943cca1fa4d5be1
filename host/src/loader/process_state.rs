//! What a library may not change about the process: by being opened, and by being used.
//!
//! A constructor that changes how floats are rounded, takes over a signal or moves to another folder harms every other
//! plugin. Compared is what the kernel and the C library tell of this process. In the vetting child a change is why a
//! plugin is refused; in the daemon, where only a plugin that behaves differently there comes so far, it is set back as
//! well. What depends on the processor, and what needs system calls, have a module each.

#![deny(unsafe_code)]

mod attributes;
pub(crate) mod descriptors;
mod float_control;
mod kernel;
mod told;

use attributes::Attributes;
use descriptors::Descriptors;
use kernel::{AlternateStack, Disposition, SIGNALS};
use rustix::process::{Resource, Rlimit};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use told::Told;

/// How much of the process nothing else changes meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alone {
    /// The vetting child: one thread, so threads and descriptors are compared too.
    Yes,
    /// The daemon: other threads may start threads at any time. What becomes of its descriptors is found by
    /// [`descriptors::Kept`].
    No,
}

/// The lines of `/proc/self/status` that matter, what they are, and whether they count only when alone: other threads
/// of the daemon may come and go.
const STATUS: [(&str, &str, Alone); 13] = [
    ("Umask", "the umask", Alone::No),
    ("SigBlk", "the blocked signals (a bit mask)", Alone::No),
    ("Threads", "the number of threads", Alone::Yes),
    ("VmLck", "the memory locked", Alone::No),
    ("NoNewPrivs", "whether new privileges can be gained", Alone::No),
    ("Seccomp_filters", "the number of seccomp filters", Alone::No),
    ("Cpus_allowed", "the processors it may run on (a bit mask)", Alone::No),
    ("Uid", "the user", Alone::No),
    ("Gid", "the group", Alone::No),
    ("CapInh", "the privileges that programs inherit (a bit mask)", Alone::No),
    ("CapPrm", "the privileges that it may take up (a bit mask)", Alone::No),
    ("CapEff", "the privileges (a bit mask)", Alone::No),
    ("CapAmb", "the privileges that every program gets (a bit mask)", Alone::No),
];

/// Limits that a process sets for itself.
const LIMITS: [(Resource, &str); 10] = [
    (Resource::As, "address space"),
    (Resource::Core, "core files"),
    (Resource::Cpu, "processor time"),
    (Resource::Data, "data"),
    (Resource::Fsize, "file size"),
    (Resource::Memlock, "locked memory"),
    (Resource::Nofile, "open files"),
    (Resource::Nproc, "processes"),
    (Resource::Rss, "resident memory"),
    (Resource::Stack, "stack"),
];

/// The C library's own signals, which it takes up with the first thread.
const THREADS_OWN: [i32; 2] = [32, 33];

/// How long threads may take to be gone after they were joined: the kernel counts them until they are reaped.
const THREADS_SETTLE: Duration = Duration::from_millis(200);

/// The process at one moment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ProcessState {
    alone: Alone,
    float_control: u64,
    folder: Option<PathBuf>,
    status: BTreeMap<&'static str, String>,
    descriptors: Descriptors,
    dispositions: [Disposition; SIGNALS],
    alternate_stack: AlternateStack,
    timers: [bool; 3],
    posix_timers: usize,
    environment: BTreeMap<OsString, OsString>,
    limits: Vec<Rlimit>,
    attributes: Attributes,
}

impl ProcessState {
    /// The state now, as this thread sees it.
    pub(crate) fn now(alone: Alone) -> Self {
        let (anew, told) = (Told::anew(), (alone == Alone::Yes).then(kept));
        let told = told.unwrap_or(&anew);
        let descriptors = if alone == Alone::Yes { Descriptors::now(told) } else { Descriptors::default() };
        let timers = told.timers();
        Self {
            alone,
            float_control: float_control::read(),
            folder: std::env::current_dir().ok(),
            status: status(&told.status(), alone),
            descriptors,
            dispositions: kernel::dispositions(),
            alternate_stack: kernel::alternate_stack(),
            timers: kernel::running_timers(),
            posix_timers: timers.lines().filter(|line| line.starts_with("ID:")).count(),
            environment: std::env::vars_os().collect(),
            limits: LIMITS.iter().map(|(resource, _)| rustix::process::getrlimit(*resource)).collect(),
            attributes: Attributes::now(),
        }
    }

    /// What differs from `before`, in words; empty if nothing does.
    pub(crate) fn changed_since(&self, before: &Self) -> Vec<String> {
        let mut changes = self.lasting_changes(before);
        changes.extend(self.descriptors.harmed_since(&before.descriptors));
        changes.extend(self.descriptors.opened_since(&before.descriptors));
        changes
    }

    /// What components left behind that were opened, used and closed. They may keep descriptors: a library may hold on
    /// to what it made at first use.
    pub(crate) fn changed_by_use_since(before: &Self) -> Vec<String> {
        let until = Instant::now() + THREADS_SETTLE;
        loop {
            let now = Self::now(before.alone);
            if now.status.get("Threads") == before.status.get("Threads") || Instant::now() >= until {
                let mut changes = now.lasting_changes(before);
                changes.extend(now.descriptors.harmed_since(&before.descriptors));
                return changes;
            }
            std::thread::yield_now();
        }
    }

    /// Sets back what can be set back. Threads cannot; a user, a group, privileges and a filter could not be changed by
    /// whoever may not, and not back either.
    pub(crate) fn restore(&self) {
        let now = Self::now(self.alone);
        float_control::write(self.float_control);
        if let Some(folder) = self.folder.as_ref().filter(|_| now.folder != self.folder) {
            // A folder that is gone cannot be gone back to; the refusal says what changed.
            let _ = std::env::set_current_dir(folder);
        }
        self.restore_status(&now);
        for (signal, (was, is)) in (1..).zip(self.dispositions.iter().zip(&now.dispositions)) {
            if was != is {
                kernel::set_disposition(signal, was);
            }
        }
        if now.alternate_stack != self.alternate_stack {
            kernel::set_alternate_stack(self.alternate_stack);
        }
        kernel::stop_timers(self.timers);
        for name in now.environment.keys().chain(self.environment.keys()) {
            if now.environment.get(name) != self.environment.get(name) {
                kernel::set_variable(name, self.environment.get(name).map(OsString::as_os_str));
            }
        }
        for ((resource, _), (was, is)) in LIMITS.iter().zip(self.limits.iter().zip(&now.limits)) {
            if was != is {
                // A hard limit that was lowered stays so for whoever is not root.
                let _ = rustix::process::setrlimit(*resource, *was);
            }
        }
        self.attributes.restore(&now.attributes);
    }

    fn restore_status(&self, now: &Self) {
        for (name, was) in self.status.iter().filter(|(name, was)| now.status.get(*name) != Some(*was)) {
            match *name {
                "Umask" => {
                    let mode = u32::from_str_radix(was, 8).unwrap_or(0o077);
                    rustix::process::umask(rustix::fs::Mode::from_bits_truncate(mode));
                }
                "SigBlk" => {
                    if let Ok(mask) = u64::from_str_radix(was, 16) {
                        kernel::set_blocked(mask);
                    }
                }
                "VmLck" => kernel::unlock_memory(),
                _ => {}
            }
        }
    }

    /// All but the descriptors.
    fn lasting_changes(&self, before: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        if self.float_control != before.float_control {
            changes.push(format!(
                "the floating-point control word went from {} to {} (a C library built with -Ofast or -ffast-math does \
                 that)",
                float_control::describe(before.float_control),
                float_control::describe(self.float_control)
            ));
        }
        if self.folder != before.folder {
            let shown = |state: &Self| {
                state
                    .folder
                    .as_ref()
                    .map_or("one that is gone".to_owned(), |folder| folder.display().to_string())
            };
            changes.push(format!("the working folder went from {} to {}", shown(before), shown(self)));
        }
        for (name, what, _) in STATUS {
            if let (Some(was), Some(is)) = (before.status.get(name), self.status.get(name))
                && was != is
            {
                changes.push(format!("{what} went from {was} to {is}"));
            }
        }
        changes.extend(self.signals_changed(before));
        if self.timers != before.timers || self.posix_timers != before.posix_timers {
            changes.push("it left a timer running, whose signal would end the process".to_owned());
        }
        changes.extend(self.environment_changed(before));
        for ((_, what), (was, is)) in LIMITS.iter().zip(before.limits.iter().zip(&self.limits)) {
            if was != is {
                let limit = |one: &Rlimit| one.current.map_or("none".to_owned(), |most| most.to_string());
                changes.push(format!("the limit on {what} went from {} to {}", limit(was), limit(is)));
            }
        }
        changes.extend(self.attributes.changed_since(&before.attributes));
        changes
    }

    fn signals_changed(&self, before: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        for (signal, (was, is)) in (1..).zip(before.dispositions.iter().zip(&self.dispositions)) {
            if was != is && !THREADS_OWN.contains(&signal) {
                changes.push(format!(
                    "the disposition of {} went from {} to {}",
                    signal_name(signal),
                    disposition(was),
                    if was.handler > 1 && is.handler > 1 { "another" } else { disposition(is) }
                ));
            }
        }
        if self.alternate_stack != before.alternate_stack {
            changes.push("the stack for signal handlers was replaced".to_owned());
        }
        changes
    }

    /// Names only: values may be secrets.
    fn environment_changed(&self, before: &Self) -> Option<String> {
        let names: BTreeSet<_> = self
            .environment
            .keys()
            .chain(before.environment.keys())
            .filter(|name| self.environment.get(*name) != before.environment.get(*name))
            .map(|name| name.display().to_string())
            .collect();
        let names: Vec<String> = names.into_iter().collect();
        (!names.is_empty()).then(|| format!("the environment changed: {}", names.join(", ")))
    }
}

/// A signal's name, as in `SIGSEGV`.
pub(crate) fn signal_name(signal: i32) -> String {
    signal_hook::low_level::signal_name(signal).map_or_else(|| format!("signal {signal}"), str::to_owned)
}

/// Never the address: it is another one each time.
fn disposition(one: &Disposition) -> &'static str {
    match one.handler {
        0 => "the default",
        1 => "ignored",
        _ => "a handler",
    }
}

/// What this thread keeps open to read. Never closed: should a library have closed one of them, closing it again would
/// end the process.
fn kept() -> &'static Told {
    thread_local!(static KEPT: &'static Told = Box::leak(Box::new(Told::kept())));
    KEPT.with(|kept| *kept)
}

fn status(text: &str, alone: Alone) -> BTreeMap<&'static str, String> {
    let wanted = STATUS.iter().filter(|(_, _, when)| *when == Alone::No || alone == Alone::Yes);
    let line = |name: &str| {
        text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned()))
    };
    wanted.filter_map(|(name, ..)| Some((*name, line(name)?))).collect()
}

/// Tests that change or compare the state of the process take turns: they share one.
#[cfg(test)]
pub(crate) fn turn() -> std::sync::MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "x86_64")]
    const FLUSH_TO_ZERO: u64 = 1 << 15;
    #[cfg(target_arch = "aarch64")]
    const FLUSH_TO_ZERO: u64 = 1 << 24;

    #[test]
    fn an_unchanged_process_shows_no_change() {
        let _turn = turn();
        let before = ProcessState::now(Alone::No);
        assert_eq!(ProcessState::now(Alone::No).changed_since(&before), Vec::<String>::new());
    }

    #[test]
    fn what_was_changed_is_set_back() {
        const SIGUSR2: usize = 12;
        let _turn = turn();
        let before = ProcessState::now(Alone::No);
        kernel::set_disposition(SIGUSR2, &Disposition::ignored());
        kernel::set_blocked(1 << (SIGUSR2 - 1));
        let changed = ProcessState::now(Alone::No).changed_since(&before);
        before.restore();
        assert_eq!(changed.len(), 2, "{changed:?}");
        assert_eq!(ProcessState::now(Alone::No).changed_since(&before), Vec::<String>::new());
    }

    #[test]
    fn a_changed_float_control_word_is_seen_and_set_back() {
        let _turn = turn();
        let before = ProcessState::now(Alone::No);
        float_control::write(before.float_control | FLUSH_TO_ZERO);
        let changed = ProcessState::now(Alone::No).changed_since(&before);
        before.restore();
        assert_eq!(changed.len(), 1, "{changed:?}");
        assert!(changed[0].contains("floating-point"));
        assert_eq!(ProcessState::now(Alone::No).changed_since(&before), Vec::<String>::new());
    }
}
