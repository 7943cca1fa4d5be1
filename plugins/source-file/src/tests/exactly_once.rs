//! Whatever happens to files and to the source, each line comes once.

use super::follow::drain;
use super::{FileSource, line};
use cardcage_plugin_api::serde_json::{Value, json};
use cardcage_plugin_api::testing::SourceHarness;
use proptest::prelude::*;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// So many lines are written to one of the files.
    Write(usize, u32),
    /// Part of a line, whose rest comes with the next write.
    WritePart(usize),
    /// The file gets another name, and the next write makes a new one.
    Rename(usize),
    /// The source fills so many batches.
    Read(u32),
    /// The source is closed; another one takes up its last state.
    Restart,
    /// Time passes.
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..2_usize, 1..40_u32).prop_map(|(file, count)| Step::Write(file, count)),
        1 => (0..2_usize).prop_map(Step::WritePart),
        2 => (0..2_usize).prop_map(Step::Rename),
        4 => (1..6_u32).prop_map(Step::Read),
        2 => Just(Step::Restart),
        1 => Just(Step::Wait),
    ]
}

struct Writers<'a> {
    folder: &'a Path,
    pending: [String; 2],
    written: u32,
    renamed: u32,
}

impl Writers<'_> {
    fn append(&self, file: usize, text: &str) {
        let path = self.folder.join(format!("{file}.ndjson"));
        let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn write(&mut self, file: usize, count: u32) {
        let mut text = std::mem::take(&mut self.pending[file]);
        for _ in 0..count {
            text.push_str(&line(self.written));
            self.written += 1;
        }
        self.append(file, &text);
    }

    fn write_part(&mut self, file: usize) {
        self.write(file, 0);
        let text = line(self.written);
        self.written += 1;
        let (head, rest) = text.split_at(text.len() / 2);
        rest.clone_into(&mut self.pending[file]);
        self.append(file, head);
    }

    fn rename(&mut self, file: usize) {
        // Programs finish their line first.
        self.write(file, 0);
        self.renamed += 1;
        let to = self.folder.join(format!("{file}.old.{}", self.renamed));
        // Not there: it was renamed before.
        let _ = std::fs::rename(self.folder.join(format!("{file}.ndjson")), to);
    }
}

fn run(steps: &[Step], settings: &Value, folder: &Path) -> (Vec<u32>, u32) {
    let mut writers = Writers { folder, pending: [String::new(), String::new()], written: 0, renamed: 0 };
    let mut source = SourceHarness::<FileSource>::open(settings.clone()).unwrap().with_capacity(7);
    let mut came = Vec::new();
    for step in steps {
        match step {
            Step::Write(file, count) => writers.write(*file, *count),
            Step::WritePart(file) => writers.write_part(*file),
            Step::Rename(file) => {
                // Of a file that came and went between two looks nobody knows.
                source.host().advance(Duration::from_secs(1));
                came.extend(super::values(&source.fill().unwrap().records));
                writers.rename(*file);
            }
            Step::Read(fills) => {
                for _ in 0..*fills {
                    came.extend(super::values(&source.fill().unwrap().records));
                }
            }
            Step::Restart => {
                let (version, state) = source.snapshot().unwrap();
                source.close().unwrap();
                source = SourceHarness::open(settings.clone()).unwrap().with_capacity(7);
                source.restore(version, &state).unwrap();
            }
            Step::Wait => source.host().advance(Duration::from_secs(2)),
        }
    }
    writers.write(0, 0);
    writers.write(1, 0);
    came.extend(drain(&mut source));
    (came, writers.written)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn each_line_comes_once_through_writes_renames_and_restarts(
        steps in prop::collection::vec(step(), 1..40),
        open in 1..4_u32,
        wide in any::<bool>(),
    ) {
        let folder = TempDir::new().unwrap();
        // With the wide pattern old files still match; with the narrow one they do not.
        let pattern = if wide { "*.*" } else { "*.ndjson" };
        let path = folder.path().join(pattern);
        let settings = json!({
            "path": path, "format": "ndjson", "follow": true, "max_open_files": open, "poll": "10ms",
        });
        let (mut came, written) = run(&steps, &settings, folder.path());
        came.sort_unstable();
        prop_assert_eq!(came, (0..written).collect::<Vec<_>>());
    }
}
