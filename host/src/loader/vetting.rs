//! Rung 4: rungs 5 to 10 in a short-lived child process first.
//!
//! A faulty library crashes, hangs or changes the process when it is opened or first used; here it does so in a child
//! that nobody misses. The child is this very program, so what it finds holds here too. It is bounded by a deadline and
//! by resource limits, gains no privileges, and reaches only what it needs and what the manifest declares. It does not
//! protect from a library that behaves well in the child and badly here: who may put libraries there is a matter of trust.

#![deny(unsafe_code)]

mod cache;
pub(crate) mod child;
mod parent;
pub(crate) mod report;
pub(crate) mod sandbox;

pub(crate) use parent::scratch::remove_all as leave_nothing;

use super::climb::Candidate;
use super::libraries::SystemLibraries;
use super::refusal::{Refusal, Rung};
use cardcage_core::config::Secrets;
use cardcage_core::verdict::{Sandbox, Verdict};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long a child may take if nothing else is said: a probe takes milliseconds, a loaded machine many times that.
pub(crate) const DEADLINE_DEFAULT: Duration = Duration::from_secs(10);

/// The hidden subcommand that makes this program a vetting child.
pub(crate) const SUBCOMMAND: &str = "__vet";

/// How to vet.
#[derive(Clone, Debug)]
pub(crate) struct Vetting {
    /// The folder of the verdict cache; absent: every plugin is vetted anew.
    pub(crate) cache: Option<PathBuf>,
    /// The longest that vetting may take, however many children it needs.
    pub(crate) deadline: Duration,
    /// Whether the child goes on with the next component type after it refused one: for somebody who wants to know all,
    /// and not for a daemon that wants to know soon.
    pub(crate) thorough: bool,
    /// What the child's environment must not hold, besides what its names tell.
    pub(crate) secrets: Arc<Secrets>,
}

impl Default for Vetting {
    fn default() -> Self {
        Self { cache: None, deadline: DEADLINE_DEFAULT, thorough: false, secrets: Arc::default() }
    }
}

/// A plugin that was vetted.
#[derive(Clone, Debug)]
pub(crate) struct Vetted {
    /// What the child found.
    pub(crate) verdict: Verdict,
    /// Whether it was found in an earlier run.
    pub(crate) cached: bool,
}

/// What a child told before it refused a plugin, or came to its end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// What it was confined by, if it came that far.
    pub(crate) sandbox: Option<Sandbox>,
    /// The rungs that it began, in order, with how long each took in microseconds. The last one has no time: it was
    /// refused there, or ended.
    pub(crate) rungs: Vec<(Rung, Option<u64>)>,
}

/// A plugin that was vetted and not taken.
#[derive(Clone, Debug)]
pub(crate) struct Unfit {
    /// Why.
    pub(crate) refusal: Refusal,
    /// How far the child came.
    pub(crate) told: Told,
}

impl From<Box<Unfit>> for Refusal {
    fn from(unfit: Box<Unfit>) -> Self {
        unfit.refusal
    }
}

impl Vetting {
    /// Rung 4.
    pub(crate) fn vet(
        &self,
        candidate: &Candidate,
        libraries: &mut SystemLibraries,
    ) -> Result<Vetted, Box<Unfit>> {
        let cache = self.cache.as_ref().map(|folder| cache::Entry::of(folder, candidate, libraries));
        let remembered = cache.as_ref().and_then(cache::Entry::read);
        if let Some(verdict) = remembered.filter(|verdict| verdict.is_of(&candidate.manifest)) {
            return Ok(Vetted { verdict, cached: true });
        }
        let verdict = parent::run(candidate, self)?;
        if let Some(lacks) = verdict.sandbox.lacks() {
            tracing::debug!(plugin = %candidate.copy.path().display(), "{lacks}");
        }
        // What could not be enforced this once may be the next time; the key speaks of what the kernel offers.
        let whole = verdict.sandbox == sandbox::offered();
        if let Some(entry) = cache.filter(|_| whole) {
            entry.write(&verdict);
        }
        Ok(Vetted { verdict, cached: false })
    }
}
