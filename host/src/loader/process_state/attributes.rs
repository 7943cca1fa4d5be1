//! Numbers that the kernel and the C library keep for this thread and process: how it is scheduled, what it is called,
//! what becomes of it.
//!
//! Threads that are started later inherit most of them, so a constructor that sets one slows or changes every lane.

#![forbid(unsafe_code)]

use super::kernel;
use libc::{
    PR_GET_CHILD_SUBREAPER, PR_GET_DUMPABLE, PR_GET_KEEPCAPS, PR_GET_PDEATHSIG, PR_GET_SECUREBITS,
    PR_GET_THP_DISABLE, PR_GET_TIMERSLACK, PR_SET_CHILD_SUBREAPER, PR_SET_DUMPABLE, PR_SET_KEEPCAPS,
    PR_SET_PDEATHSIG, PR_SET_SECUREBITS, PR_SET_THP_DISABLE, PR_SET_TIMERSLACK,
};
use std::ffi::CString;

/// One of the numbers of `prctl`.
struct Attribute {
    what: &'static str,
    read: fn() -> i64,
    write: fn(i64),
}

const ATTRIBUTES: [Attribute; 8] = [
    Attribute {
        what: "the execution domain",
        read: || kernel::personality().into(),
        write: |to| kernel::set_personality(i32::try_from(to).unwrap_or(0)),
    },
    Attribute {
        what: "the signal at the parent's death",
        read: || kernel::attribute_behind(PR_GET_PDEATHSIG),
        write: |to| kernel::set_attribute(PR_SET_PDEATHSIG, to),
    },
    Attribute {
        what: "how late timers may be (in nanoseconds)",
        read: || kernel::attribute(PR_GET_TIMERSLACK),
        write: |to| kernel::set_attribute(PR_SET_TIMERSLACK, to),
    },
    Attribute {
        what: "whether its memory may be looked at and dumped",
        read: || kernel::attribute(PR_GET_DUMPABLE),
        write: |to| kernel::set_attribute(PR_SET_DUMPABLE, to),
    },
    Attribute {
        what: "whether it adopts orphaned processes",
        read: || kernel::attribute_behind(PR_GET_CHILD_SUBREAPER),
        write: |to| kernel::set_attribute(PR_SET_CHILD_SUBREAPER, to),
    },
    Attribute {
        what: "whether it keeps privileges as another user",
        read: || kernel::attribute(PR_GET_KEEPCAPS),
        write: |to| kernel::set_attribute(PR_SET_KEEPCAPS, to),
    },
    Attribute {
        what: "the rules for privileges (a bit mask)",
        read: || kernel::attribute(PR_GET_SECUREBITS),
        write: |to| kernel::set_attribute(PR_SET_SECUREBITS, to),
    },
    Attribute {
        what: "whether it goes without huge pages",
        read: || kernel::attribute(PR_GET_THP_DISABLE),
        write: |to| kernel::set_attribute(PR_SET_THP_DISABLE, to),
    },
];

/// All of them at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attributes {
    numbers: [i64; ATTRIBUTES.len()],
    name: Option<CString>,
    nice: Option<i32>,
    scheduling: (i32, i32),
    io_priority: i64,
    locale: CString,
    thread_locale: usize,
}

impl Attributes {
    /// Now.
    pub(super) fn now() -> Self {
        Self {
            numbers: ATTRIBUTES.map(|attribute| (attribute.read)()),
            name: rustix::thread::name().ok(),
            nice: rustix::process::getpriority_process(None).ok(),
            scheduling: kernel::scheduling(),
            io_priority: kernel::io_priority(),
            locale: kernel::locale(),
            thread_locale: kernel::thread_locale(),
        }
    }

    /// What differs, in words.
    pub(super) fn changed_since(&self, before: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        let mut compare = |what: &str, was: String, is: String| {
            if was != is {
                changes.push(format!("{what} went from {was} to {is}"));
            }
        };
        let locale = |state: &Self| format!("{:?}", state.locale);
        compare("the locale", locale(before), locale(self));
        let nice = |state: &Self| state.nice.unwrap_or_default().to_string();
        compare("the niceness", nice(before), nice(self));
        compare("the scheduling policy", policy(before.scheduling), policy(self.scheduling));
        let (was, is) = (before.io_priority, self.io_priority);
        compare("the priority of reading and writing", format!("{was:#x}"), format!("{is:#x}"));
        let name = |state: &Self| format!("{:?}", state.name.clone().unwrap_or_default());
        compare("the thread's name", name(before), name(self));
        for ((was, is), attribute) in before.numbers.iter().zip(&self.numbers).zip(&ATTRIBUTES) {
            compare(attribute.what, was.to_string(), is.to_string());
        }
        if self.thread_locale != before.thread_locale {
            changes.push("this thread got a locale of its own".to_owned());
        }
        changes
    }

    /// Sets back what differs from `now`.
    pub(super) fn restore(&self, now: &Self) {
        for ((was, is), attribute) in self.numbers.iter().zip(&now.numbers).zip(&ATTRIBUTES) {
            if was != is {
                (attribute.write)(*was);
            }
        }
        if let Some(name) = self.name.as_ref().filter(|_| now.name != self.name) {
            let _ = rustix::thread::set_name(name);
        }
        if now.scheduling != self.scheduling {
            kernel::set_scheduling(self.scheduling);
        }
        // Only who is root may become less nice again.
        if let Some(nice) = self.nice.filter(|_| now.nice != self.nice) {
            let _ = rustix::process::setpriority_process(None, nice);
        }
        if now.io_priority != self.io_priority {
            kernel::set_io_priority(self.io_priority);
        }
        if now.thread_locale != self.thread_locale {
            kernel::set_thread_locale(self.thread_locale);
        }
        if now.locale != self.locale {
            kernel::set_locale(&self.locale);
        }
    }
}

fn policy((policy, priority): (i32, i32)) -> String {
    let name = match policy & !libc::SCHED_RESET_ON_FORK {
        libc::SCHED_OTHER => "SCHED_OTHER".to_owned(),
        libc::SCHED_FIFO => format!("SCHED_FIFO {priority}"),
        libc::SCHED_RR => format!("SCHED_RR {priority}"),
        libc::SCHED_BATCH => "SCHED_BATCH".to_owned(),
        libc::SCHED_IDLE => "SCHED_IDLE".to_owned(),
        other => format!("number {other}"),
    };
    let reset = if policy & libc::SCHED_RESET_ON_FORK == 0 { "" } else { ", not inherited" };
    name + reset
}
