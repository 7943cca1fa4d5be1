//! The thread that keeps the trail.

use super::chain::{Chain, HEAD_TARGET};
use super::collect::Collector;
use super::host_metrics::HostMetrics;
use super::trail::{Policy, Trail};
use super::{files, found};
use crate::clock::now_ns;
use cardcage_core::audit::{Head, Note};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the keeper looks without being woken, and so how long an entry waits for its block at most.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often cells are looked at whose news is not told one by one: the interval of `detail: interval`.
const ROUND_EVERY: Duration = Duration::from_secs(1);
/// How often the host's own metrics are written down; whoever reads them has them written down, too.
const NOTE_EVERY: Duration = Duration::from_secs(10);

/// Why a trail cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// Its folder cannot be made or looked through.
    #[error("the audit trail's folder {} cannot be used: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no thread to keep it.
    #[error("no thread to keep the audit trail: {0}")]
    Thread(io::Error),
}

/// A trail that is being kept. It ends in order when this is dropped, or with [`Keeper::end`].
#[derive(Debug)]
pub struct Keeper {
    trail: &'static Trail,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Trail {
    /// Begins to keep the trail, before any component is opened: cells that are older are not in it. A damaged trail is no
    /// error: it is set aside, and that is logged and counted. `version` is Cardcage's own.
    ///
    /// # Errors
    /// If the folder cannot be used, or there is no thread.
    pub fn keep(
        &'static self,
        policy: Policy,
        metrics: &HostMetrics,
        version: &str,
    ) -> Result<Keeper, KeepError> {
        let failed = |source| KeepError::Folder { path: policy.folder.clone(), source };
        files::make_folder(&policy.folder).map_err(failed)?;
        let found = found::look(&policy.folder).map_err(failed)?;
        for aside in &found.set_aside {
            let (folder, why) = (policy.folder.display(), &aside.why);
            if let Some(file) = &aside.file {
                tracing::warn!(
                    "a damaged part of the audit trail was set aside: {why}; in {folder} as {file}"
                );
            } else {
                tracing::warn!("a part of the audit trail in {folder} is damaged: {why}");
            }
        }
        self.figures.set_aside.store(found.set_aside.len() as u64, Ordering::Relaxed);
        let goes_on = found.head;
        self.begin(policy.detail);
        self.listen(true);
        metrics.begin();
        let (detail, most) = (policy.detail, policy.max_entries_per_second);
        let words = format!("{detail:?}, at most {most} entries a second").to_lowercase();
        let began = Note::Began { version: version.to_owned(), detail: words };
        let chain = Chain::new(self, policy, found);
        if goes_on != Head::NONE {
            tracing::info!(target: HEAD_TARGET, "audit head {goes_on} (going on from here)");
        }
        let mut collector = Collector::new(self, detail, most, chain, began, now_ns());
        let over = Arc::new(AtomicBool::new(false));
        let (told, metrics) = (Arc::clone(&over), metrics.clone());
        let run = move || {
            self.read_by(std::thread::current());
            keep(&mut collector, &metrics, &told);
        };
        let thread = std::thread::Builder::new().name("audit".to_owned()).spawn(run);
        let thread = Some(thread.map_err(KeepError::Thread)?);
        Ok(Keeper { trail: self, over, thread })
    }
}

fn keep(collector: &mut Collector, metrics: &HostMetrics, over: &AtomicBool) {
    // At once: a run that is killed has begun all the same.
    collector.pass(false, now_ns());
    collector.cut();
    collector.say_head();
    let (mut cut, mut round, mut note) = (Instant::now(), Instant::now(), Instant::now());
    while !over.load(Ordering::Acquire) {
        let round_due = round.elapsed() >= ROUND_EVERY;
        if round_due {
            round = Instant::now();
            collector.second();
        }
        if note.elapsed() >= NOTE_EVERY {
            note = Instant::now();
            metrics.note(collector.told_others());
        }
        collector.pass(round_due, now_ns());
        if cut.elapsed() >= LOOK_EVERY {
            cut = Instant::now();
            collector.cut();
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
    metrics.note(true);
    collector.end(now_ns());
}

impl Keeper {
    /// Ends the trail in order, once nothing writes any more: everything is told and made safe. Gives where it ends.
    pub fn end(mut self) -> Head {
        self.join();
        self.trail.status().head
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.over.store(true, Ordering::Release);
            thread.thread().unpark();
            // It has nothing that panics; if it did, the hook of the process has said so.
            let _ = thread.join();
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.join();
    }
}
