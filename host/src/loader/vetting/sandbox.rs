//! What confines the vetting child: Landlock for files and ports, seccomp for everything else that reaches outside.
//!
//! Landlock is enforced by the kernel alone. Seccomp asks the parent, which answers and keeps what it denied, so that a
//! plugin that fails because of the sandbox can be told from a faulty one (`docs/decisions/0008`). Either may be missing
//! from a kernel; then the child goes without it, says so, and its verdict counts for that level only.

#![deny(unsafe_code)]

mod filter;
pub(super) mod kernel;
mod landlock;
mod memory;
pub(super) mod reach;
mod rules;
pub(super) mod supervisor;

pub(super) use cardcage_core::verdict::Sandbox;
use reach::Reach;
use std::os::fd::OwnedFd;

/// What this kernel offers.
pub(crate) fn offered() -> Sandbox {
    // Written once at boot, so reading it is all that is needed; absent before Linux 4.14.
    let actions = std::fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail").unwrap_or_default();
    Sandbox {
        landlock: landlock::offered(),
        seccomp: actions.split_whitespace().any(|action| action == "user_notif"),
    }
}

/// For the key of the verdict cache.
pub(super) fn level(sandbox: &Sandbox) -> String {
    let landlock = sandbox.landlock.map_or("none".to_owned(), |version| version.to_string());
    format!("limits, no-new-privs, landlock {landlock}, seccomp {}, rules {RULES_VERSION}", sandbox.seccomp)
}

/// Raised when the rules get stricter, so that verdicts under the old ones are not used.
const RULES_VERSION: u32 = 2;

/// Confines this process for good. The descriptor is the parent's: on it the kernel asks.
pub(super) fn confine(reach: &Reach) -> (Sandbox, Option<OwnedFd>) {
    let landlock = landlock::enforce(reach).ok().flatten();
    let listener = kernel::install(&filter::program()).ok();
    (Sandbox { landlock, seccomp: listener.is_some() }, listener)
}
