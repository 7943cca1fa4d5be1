//! Following files through everything that happens to files.

use super::{FileSource, file, line, lines, open, values};
use cardcage_plugin_api::Fill;
use cardcage_plugin_api::serde_json::{Value, json};
use cardcage_plugin_api::testing::{SourceHarness, TestHost};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn append(path: &Path, text: impl AsRef<[u8]>) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_ref()).unwrap();
}

fn follow(path: &Path) -> SourceHarness<FileSource> {
    open(json!({ "path": path, "follow": true }))
}

/// Lets the source read until it is idle, having looked at every file once more.
pub(super) fn drain(source: &mut SourceHarness<FileSource>) -> Vec<u32> {
    let (mut all, mut looks) = (Vec::new(), 0);
    while looks < 2 {
        let filled = source.fill().unwrap();
        all.extend(values(&filled.records));
        match filled.fill {
            Fill::Produced => {}
            Fill::IdleUntil(_) => {
                source.host().advance(Duration::from_secs(1));
                looks += 1;
            }
            Fill::Finished => panic!("a source that follows never finishes"),
        }
    }
    all
}

fn numbers(range: std::ops::Range<u32>) -> String {
    range.map(line).collect()
}

fn logged(host: TestHost, text: &str) -> bool {
    host.logs().iter().any(|line| line.message.contains(text))
}

#[test]
fn what_is_appended_comes_and_a_partial_line_waits_for_its_end() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "a.ndjson", lines(3));
    let mut source = follow(&path);
    assert_eq!(drain(&mut source), [0, 1, 2]);
    let next = line(3);
    append(&path, &next[..20]);
    assert_eq!(drain(&mut source), [] as [u32; 0]);
    append(&path, &next[20..]);
    append(&path, line(4));
    assert_eq!(drain(&mut source), [3, 4]);
}

#[test]
fn the_kernel_says_that_a_file_grew_before_the_next_poll() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "a.ndjson", lines(3));
    let mut source = open(json!({ "path": path, "follow": true, "poll": "1h" }));
    source.fill().unwrap();
    assert!(matches!(source.fill().unwrap().fill, Fill::IdleUntil(_)));
    append(&path, line(3));
    assert_eq!(values(&source.fill().unwrap().records), [3]);
    // A new file of a pattern, too, once looking again is due.
    let mut source = open(json!({ "path": folder.path().join("*.ndjson"), "follow": true, "poll": "1h" }));
    source.fill().unwrap();
    file(&folder, "b.ndjson", line(9));
    source.fill().unwrap();
    source.host().advance(Duration::from_millis(20));
    assert_eq!(values(&source.fill().unwrap().records), [9]);
}

#[test]
fn a_renamed_file_is_read_to_its_end_before_the_one_with_its_name() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "a.ndjson", lines(3));
    let mut source = follow(&path);
    assert_eq!(drain(&mut source), [0, 1, 2]);
    let mut writer = OpenOptions::new().append(true).open(&path).unwrap();
    writer.write_all(numbers(3..5).as_bytes()).unwrap();
    std::fs::rename(&path, folder.path().join("a.ndjson.1")).unwrap();
    append(&path, numbers(10..12));
    assert_eq!(drain(&mut source), [3, 4, 10, 11]);
    // Programs write on into the old file until they notice; its last line may lack its end.
    writer.write_all(numbers(5..7).trim_end().as_bytes()).unwrap();
    append(&path, numbers(12..13));
    let mut late = drain(&mut source);
    late.sort_unstable();
    assert_eq!(late, [5, 12]);
    source.host().advance(Duration::from_secs(6));
    assert_eq!(drain(&mut source), [6]);
    append(&path, numbers(13..14));
    assert_eq!(drain(&mut source), [13]);
}

/// Lets the source read until so many readings came: `notify`'s thread tells in its own time.
fn until(source: &mut SourceHarness<FileSource>, count: usize) -> Vec<u32> {
    let end = Instant::now() + Duration::from_mins(1);
    let mut all = Vec::new();
    while all.len() < count {
        assert!(Instant::now() < end, "in vain: {all:?}");
        all.extend(drain(source));
    }
    all
}

#[test]
fn files_that_came_and_went_while_nobody_looked_are_read() {
    for with_numbers in [false, true] {
        let folder = TempDir::new().unwrap();
        let path = file(&folder, "a.ndjson", lines(3));
        let host = TestHost::of::<super::CardcagePlugin>("file");
        let settings = json!({ "path": path, "follow": true });
        let mut source = SourceHarness::<FileSource>::open_on(host, settings).unwrap();
        assert_eq!(drain(&mut source), [0, 1, 2]);
        append(&path, line(3));
        let name = |number: u32| folder.path().join(format!("a.ndjson.{number}"));
        for round in 0..6 {
            for old in (1..=round).rev().filter(|_| with_numbers) {
                std::fs::rename(name(old), name(old + 1)).unwrap();
            }
            std::fs::rename(&path, name(if with_numbers { 1 } else { round })).unwrap();
            append(&path, numbers(10 * (round + 1)..10 * (round + 1) + 2));
        }
        let mut all = until(&mut source, 13);
        all.sort_unstable();
        assert_eq!(all, [3, 10, 11, 20, 21, 30, 31, 40, 41, 50, 51, 60, 61]);
        assert_eq!(host.metric("rotations"), Some(6.0));
        assert_eq!(host.metric("lost_files"), Some(0.0));
        assert!(!logged(source.host(), "came and went"));
    }
}

/// Rotated files are renamed again and again, long after they were read and let go.
#[test]
fn a_rotated_file_that_is_renamed_again_is_not_read_again() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "a.ndjson", lines(2));
    let host = TestHost::of::<super::CardcagePlugin>("file");
    let settings = json!({ "path": path, "follow": true });
    let mut source = SourceHarness::<FileSource>::open_on(host, settings).unwrap();
    assert_eq!(drain(&mut source), [0, 1]);
    let name = |number: u32| folder.path().join(format!("a.ndjson.{number}"));
    for round in 0..4 {
        for old in (1..=round).rev() {
            std::fs::rename(name(old), name(old + 1)).unwrap();
        }
        std::fs::rename(&path, name(1)).unwrap();
        append(&path, line(10 + round));
        // `notify`'s thread has told of everything before it once this one is known.
        assert_eq!(until(&mut source, 1), [10 + round]);
        for _ in 0..10 {
            source.host().advance(Duration::from_secs(1));
            assert_eq!(drain(&mut source), [0; 0], "round {round}");
        }
    }
    assert_eq!(host.metric("rotations"), Some(4.0));
    assert_eq!(host.metric("lost_files"), Some(0.0));
}

#[test]
fn a_checkpoint_knows_files_that_came_and_went_while_nobody_looked() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "a.ndjson", lines(3));
    let mut source = follow(&path);
    assert_eq!(drain(&mut source), [0, 1, 2]);
    for round in 0..3 {
        std::fs::rename(&path, folder.path().join(format!("old.{round}"))).unwrap();
        append(&path, line(10 + round));
    }
    let end = Instant::now() + Duration::from_mins(1);
    let state = loop {
        assert!(Instant::now() < end);
        let (version, state) = source.snapshot().unwrap();
        let saved: Value = cardcage_plugin_api::serde_json::from_slice(&state).unwrap();
        if saved["files"].as_array().unwrap().len() == 4 {
            break (version, state);
        }
    };
    source.close().unwrap();
    let mut later = follow(&path);
    later.restore(state.0, &state.1).unwrap();
    let mut all = until(&mut later, 3);
    all.sort_unstable();
    assert_eq!(all, [10, 11, 12]);
}

#[test]
fn a_file_that_cannot_be_saved_is_counted_and_warned_of() {
    let folder = TempDir::new().unwrap();
    let paths: Vec<PathBuf> = (0..40).map(|n| file(&folder, &format!("{n}.ndjson"), line(n))).collect();
    let host = TestHost::of::<super::CardcagePlugin>("file");
    let settings = json!({ "path": folder.path().join("*.ndjson"), "follow": true, "max_open_files": 1 });
    let mut source = SourceHarness::<FileSource>::open_on(host, settings).unwrap();
    source.fill().unwrap();
    // Not read yet, and not open.
    std::fs::remove_file(&paths[39]).unwrap();
    assert_eq!(drain(&mut source).len(), 38);
    assert_eq!(host.metric("lost_files"), Some(1.0));
    assert!(logged(source.host(), "gone before it was read"));
}

#[test]
fn a_rename_within_the_pattern_is_read_once() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "a.ndjson", lines(3));
    let mut source = follow(&folder.path().join("a*.ndjson"));
    assert_eq!(drain(&mut source), [0, 1, 2]);
    append(&path, line(3));
    std::fs::rename(&path, folder.path().join("a-1.ndjson")).unwrap();
    append(&path, line(4));
    let mut all = drain(&mut source);
    all.sort_unstable();
    assert_eq!(all, [3, 4]);
}

#[test]
fn a_copy_that_matches_as_well_is_read_and_warned_of() {
    for truncated_first in [false, true] {
        let folder = TempDir::new().unwrap();
        let path = file(&folder, "a.ndjson", lines(40));
        let host = TestHost::of::<super::CardcagePlugin>("file");
        let settings = json!({ "path": folder.path().join("a*.ndjson"), "follow": true });
        let mut source = SourceHarness::<FileSource>::open_on(host, settings).unwrap();
        assert_eq!(drain(&mut source).len(), 40);
        // Another file, whatever it is called.
        file(&folder, "a-other.ndjson", numbers(100..140));
        assert_eq!(drain(&mut source).len(), 40);
        assert!(!logged(source.host(), "begins exactly as"));
        std::fs::copy(&path, folder.path().join("a-1.ndjson")).unwrap();
        if truncated_first {
            File::create(&path).unwrap();
        }
        assert_eq!(drain(&mut source), (0..40).collect::<Vec<_>>(), "nothing is left out on a guess");
        assert!(logged(source.host(), "begins exactly as another one did"));
    }
}

#[test]
fn a_truncated_file_is_read_from_its_start_with_a_warning_and_a_count() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "a.ndjson", lines(30));
    let host = TestHost::of::<super::CardcagePlugin>("file");
    let mut source =
        SourceHarness::<FileSource>::open_on(host, json!({ "path": path, "follow": true })).unwrap();
    assert_eq!(drain(&mut source).len(), 30);
    File::create(&path).unwrap();
    append(&path, numbers(40..42));
    assert_eq!(drain(&mut source), [40, 41]);
    assert!(logged(source.host(), "shorter than what was read"));
    // Already longer again when it is looked at: its first bytes tell.
    File::create(&path).unwrap();
    append(&path, numbers(50..90).replace("1700000000", "1700000001"));
    assert_eq!(drain(&mut source).len(), 40);
    assert!(logged(source.host(), "begins otherwise"));
    assert_eq!(source.host().metric("truncations"), Some(2.0));
}

#[test]
fn a_deleted_file_is_read_to_its_end_and_the_next_of_its_name_from_its_start() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "a.ndjson", lines(3));
    let host = TestHost::of::<super::CardcagePlugin>("file");
    let settings = json!({ "path": path, "follow": true });
    let mut source = SourceHarness::<FileSource>::open_on(host, settings).unwrap();
    assert_eq!(drain(&mut source), [0, 1, 2]);
    append(&path, numbers(3..5));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(drain(&mut source), [3, 4]);
    file(&folder, "a.ndjson", numbers(7..9));
    assert_eq!(drain(&mut source), [7, 8]);
    assert_eq!(host.metric("rotations"), Some(1.0));
}

#[test]
fn a_file_and_a_folder_that_are_not_there_yet_are_waited_for() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("later/a.ndjson");
    let mut source = follow(&path);
    assert_eq!(drain(&mut source), [] as [u32; 0]);
    std::fs::create_dir(folder.path().join("later")).unwrap();
    append(&path, lines(2));
    assert_eq!(drain(&mut source), [0, 1]);
    assert!(logged(source.host(), "it is waited for"));
}

#[test]
fn a_link_is_followed_to_another_file() {
    let folder = TempDir::new().unwrap();
    let first = file(&folder, "first.log", lines(2));
    let second = file(&folder, "second.log", numbers(5..7));
    let link = folder.path().join("a.ndjson");
    std::os::unix::fs::symlink(&first, &link).unwrap();
    let mut source = follow(&link);
    assert_eq!(drain(&mut source), [0, 1]);
    append(&first, line(2));
    assert_eq!(values(&source.fill().unwrap().records), [2]);
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(&second, &link).unwrap();
    assert_eq!(drain(&mut source), [5, 6]);
}

#[test]
fn more_files_than_may_be_open_all_come() {
    let folder = TempDir::new().unwrap();
    let paths: Vec<PathBuf> = (0..300).map(|n| file(&folder, &format!("{n}.ndjson"), line(n))).collect();
    let settings =
        |open: u32| json!({ "path": folder.path().join("*.ndjson"), "follow": true, "max_open_files": open });
    let mut source = open(settings(8));
    assert_eq!(drain(&mut source), (0..300).collect::<Vec<_>>());
    let open_now = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let ours = open_now.filter(|fd| fd.path().read_link().is_ok_and(|path| path.starts_with(folder.path())));
    assert!(ours.count() <= 8);
    for (number, path) in paths.iter().enumerate() {
        append(path, line(1000 + u32::try_from(number).unwrap()));
    }
    // Renamed while it was closed: still found, by its inode.
    std::fs::rename(&paths[0], folder.path().join("0.rotated")).unwrap();
    let mut all = drain(&mut source);
    all.sort_unstable();
    assert_eq!(all, (1000..1300).collect::<Vec<_>>());
}

#[test]
fn one_file_that_never_ends_does_not_keep_others_waiting() {
    let folder = TempDir::new().unwrap();
    file(&folder, "a.ndjson", lines(500_000));
    file(&folder, "b.ndjson", line(7));
    let mut source = follow(&folder.path().join("*.ndjson"));
    let mut streams = Vec::new();
    for _ in 0..400 {
        let filled = source.fill().unwrap();
        streams.push(filled.header.stream);
    }
    let other = streams.iter().position(|stream| *stream == 1).unwrap();
    assert!(streams[other..].contains(&0), "the first file came to its end before the second began");
}

#[test]
fn a_damaged_file_is_said_once_and_the_others_go_on() {
    let folder = TempDir::new().unwrap();
    file(&folder, "a.ndjson.gz", [0x1F, 0x8B, 1, 1, 1, 1, 1]);
    let path = file(&folder, "b.ndjson", line(1));
    let mut source = follow(&folder.path().join("*.ndjson*"));
    assert_eq!(drain(&mut source), [1]);
    append(&path, line(2));
    assert_eq!(drain(&mut source), [2]);
    let logs = source.host().logs();
    let said = logs.iter().filter(|line| line.message.contains("a.ndjson.gz")).count();
    assert_eq!(said, 1, "{logs:?}");
}

#[test]
fn a_line_that_is_too_long_stays_skipped_through_others_and_restarts() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "a.ndjson", format!("{}{}", line(0), "x".repeat(300)));
    let other = file(&folder, "b.ndjson", line(1));
    let settings = json!({ "path": folder.path().join("*.ndjson"), "follow": true, "max_line": "128B" });
    let mut source = open(settings.clone());
    assert_eq!(drain(&mut source), [0, 1]);
    append(&path, "x".repeat(300));
    append(&other, line(2));
    assert_eq!(drain(&mut source), [2]);
    let (version, state) = source.snapshot().unwrap();
    let mut later = open(settings);
    later.restore(version, &state).unwrap();
    append(&path, format!("xx\n{}", line(3)));
    assert_eq!(drain(&mut later), [3]);
}

#[test]
fn settings_of_a_source_that_follows_say_that_it_never_finishes() {
    let finite = |settings: Value| {
        let description = SourceHarness::<FileSource>::describe(settings).unwrap();
        description.capabilities.has(cardcage_plugin_api::manifest::Capability::Finite)
    };
    assert!(finite(json!({ "path": "a.json" })));
    assert!(!finite(json!({ "path": "a.json", "follow": true })));
}
