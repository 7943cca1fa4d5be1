//! The trail as a whole: threads write, the keeper keeps, and what is on disk is proven by core's verifier.

use super::{HostMetrics, Keeper, Policy, Trail};
use crate::cells::{Cells, Part};
use crate::dictionary::{Dictionary, DictionaryLimits};
use cardcage_core::audit::{Entry, Head, Note, Record, Report, Step, Stream, Verifier, What, file_number};
use cardcage_core::config::{AuditDetail, AuditSync};
use cardcage_plugin_api::manifest::{MetricDeclaration, MetricKind};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

pub(super) mod ends;
mod files;
mod writes;

/// A trail in a folder of its own.
struct Bench {
    folder: TempDir,
    policy: Policy,
}

/// A run of it.
struct Run {
    trail: &'static Trail,
    keeper: Keeper,
    metrics: HostMetrics,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let policy = Policy {
            folder: folder.path().join("audit"),
            detail: AuditDetail::Write,
            max_entries_per_second: 1_000_000_000,
            rotate_bytes: 1 << 30,
            rotate_every: Duration::from_hours(24),
            keep: 1000,
            sync: AuditSync::Never,
        };
        Self { folder, policy }
    }

    fn run(&self) -> Run {
        let trail = Trail::new();
        let dictionary = Arc::new(Dictionary::new(DictionaryLimits { sensors: 9, units: 9 }));
        let metrics = HostMetrics::new(trail, &dictionary);
        let keeper = trail.keep(self.policy.clone(), &metrics, "1.2.3").expect("it can be kept");
        Run { trail, keeper, metrics }
    }

    fn files(&self) -> Vec<String> {
        names(&self.policy.folder).into_iter().filter(|name| file_number(name).is_some()).collect()
    }

    fn aside(&self) -> Vec<String> {
        names(&self.policy.folder).into_iter().filter(|name| name.contains(".damaged-")).collect()
    }

    /// Everything in the trail, which is whole and ends with this head.
    fn proven(&self, head: Head) -> Vec<Record> {
        let (report, records) = self.read(Some(head));
        assert!(report.is_proven(), "{report:?}");
        records
    }

    fn read(&self, head: Option<Head>) -> (Report, Vec<Record>) {
        let heads: Vec<_> = head.into_iter().map(|head| head.hash).collect();
        let mut verifier = Verifier::new(&heads);
        let mut records = Vec::new();
        for name in self.files() {
            verifier.file(&name, file_number(&name).expect("a number"));
            let bytes = fs::read(self.policy.folder.join(&name)).expect("a file");
            let (mut stream, mut bytes) = (Stream::new(), bytes.as_slice());
            loop {
                let step = stream.step();
                let (is_end, wants_more) = (matches!(step, Step::End { .. }), matches!(step, Step::More));
                verifier.step_with(&step, &mut |_, record, _| records.push(record.clone()));
                if is_end {
                    break;
                }
                if wants_more {
                    let room = stream.room();
                    let length = room.len().min(bytes.len());
                    room[..length].copy_from_slice(&bytes[..length]);
                    bytes = &bytes[length..];
                    if length == 0 { stream.end() } else { stream.filled(length) }
                }
            }
        }
        (verifier.finish(), records)
    }
}

impl Run {
    fn cells(&self, component: &str) -> Cells {
        Cells::new(component, self.trail, Arc::default())
    }

    fn end(self) -> Head {
        self.keeper.end()
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("a file").file_name().into_string().expect("a name")).collect();
    names.sort();
    names
}

fn open(cells: &Cells, kind: MetricKind, name: &str) -> &'static Part {
    cells.open(&declaration(kind, name), 4096).expect("room")
}

fn declaration(kind: MetricKind, name: &str) -> MetricDeclaration {
    MetricDeclaration {
        name: name.to_owned(),
        kind,
        unit: "1".to_owned(),
        help: String::new(),
        min: None,
        max: Some(1e12),
        largest_step: None,
        buckets: Vec::new(),
    }
}

/// The entries of the metric's cells, in their order.
fn entries(records: &[Record], metric: &str) -> Vec<Entry> {
    let mut cells = None;
    let mut found = Vec::new();
    for record in records {
        match record {
            Record::Declaration(of) if of.metric == metric => cells = Some(of.cells()),
            Record::Entry(entry) if cells.as_ref().is_some_and(|cells| cells.contains(&entry.cell)) => {
                found.push(*entry);
            }
            _ => {}
        }
    }
    found
}

/// The writes that entries stand for.
fn writes(entries: &[Entry]) -> u64 {
    entries.iter().filter(|entry| entry.what == What::Write).map(|entry| entry.count).sum()
}

fn notes(records: &[Record]) -> Vec<&Note> {
    records
        .iter()
        .filter_map(|record| if let Record::Note { note, .. } = record { Some(note) } else { None })
        .collect()
}

/// Waits until something that a thread does is done.
fn until(mut done: impl FnMut() -> bool) {
    let started = std::time::Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_mins(1), "it does not come");
        std::thread::yield_now();
    }
}
