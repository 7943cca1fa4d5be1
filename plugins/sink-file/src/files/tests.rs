//! Files on a disk that fills up, fails and loses power on demand.

mod sim;

use super::*;
use crate::disk::Medium as _;
use crate::packing::{Compression, text_start};
use proptest::prelude::*;
use sim::Sim;
use std::collections::BTreeMap;

const NOW_NS: i64 = 1_767_225_600_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;

fn rules(open_max: usize, rotation: Option<Rotation>) -> Rules {
    Rules { open_max, flush_bytes: 24, flush_midway_bytes: 40, is_safe: true, flushes_early: false, rotation }
}

fn by_size(bytes: u64) -> Rotation {
    Rotation { bytes: Some(bytes), not_before_ns: i64::MIN, ..Rotation::default() }
}

fn files(sim: &Sim, compression: Compression, rules: Rules) -> Files<Sim> {
    Files::new(sim.clone(), rules, Form::new(compression, 1, None).unwrap())
}

/// Writes a batch as a sink does that has several files.
fn batch(files: &mut Files<Sim>, lines: &[(usize, String)], now_ns: i64) -> Result<(), FileError> {
    write(files, lines, now_ns, false)
}

/// Writes a batch as the sink does; `is_one`: all batches go to one file.
fn write(
    files: &mut Files<Sim>,
    lines: &[(usize, String)],
    now_ns: i64,
    is_one: bool,
) -> Result<(), FileError> {
    files.begin_batch();
    let mut one = None;
    let mut take = || {
        for (target, line) in lines {
            let file = files.file(&path(*target), now_ns)?;
            files.text(file).extend_from_slice(line.as_bytes());
            files.relieve(file)?;
            one = Some(file);
        }
        files.end_batch(now_ns)
    };
    let taken = take();
    if taken.is_err() {
        files.undo_batch();
    } else if let Some(file) = one.filter(|_| is_one) {
        files.count_batch(file, lines.len() as u64);
    }
    taken
}

fn path(target: usize) -> PathBuf {
    PathBuf::from(format!("out/t{target}.ndjson"))
}

/// What a target's files hold, the oldest first.
fn text(sim: &Sim, target: usize, compression: Compression) -> String {
    let naming = crate::finished::Naming::of(&path(target)).unwrap();
    let serials = naming.serials(&sim.names(naming.folder()).unwrap());
    let paths = serials.iter().map(|serial| naming.path(serial)).chain([path(target)]);
    let mut text = String::new();
    for path in paths {
        if let Some(file) = sim.file(&path)
            && file.current_len().unwrap() > 0
        {
            let bytes = text_start(compression, &file, u64::MAX).unwrap();
            text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }
    text
}

#[derive(Clone, Debug)]
enum Step {
    Batch(Vec<usize>),
    Commit,
    /// From now on so many more bytes fit.
    Room(usize),
    Time(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => proptest::collection::vec(0..5_usize, 0..12).prop_map(Step::Batch),
        2 => Just(Step::Commit),
        1 => (0..300_usize).prop_map(Step::Room),
        1 => Just(Step::Room(usize::MAX)),
        1 => (-3_i64..5).prop_map(Step::Time),
    ];
    proptest::collection::vec(step, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    /// Whatever fills up and whenever: what a commit took is there, once and in order, and nothing else.
    #[test]
    fn files_hold_exactly_what_was_committed(
        steps in steps(),
        open_max in 1..6_usize,
        is_one: bool,
        compression in prop_oneof![Just(Compression::None), Just(Compression::Gzip), Just(Compression::Zstd)],
        rotation in prop_oneof![
            Just(None),
            Just(Some(by_size(60))),
            Just(Some(Rotation { every_ns: Some(2 * SECOND_NS), ..by_size(200) })),
        ],
    ) {
        let sim = Sim::default();
        let mut files = files(&sim, compression, rules(open_max, rotation));
        let mut committed: BTreeMap<usize, String> = BTreeMap::new();
        let mut taken: Vec<(usize, String)> = Vec::new();
        let (mut now_ns, mut number) = (NOW_NS, 0);
        for step in steps.into_iter().chain([Step::Room(usize::MAX), Step::Commit]) {
            match step {
                Step::Room(room) => sim.set_room(room),
                Step::Time(seconds) => now_ns += seconds * SECOND_NS,
                Step::Batch(targets) => {
                    number += 1;
                    let line = |target: usize| {
                        let target = if is_one { 0 } else { target };
                        (target, format!("batch {number} {target}\n"))
                    };
                    let lines: Vec<_> = targets.into_iter().map(line).collect();
                    if write(&mut files, &lines, now_ns, is_one).is_ok() {
                        taken.extend(lines);
                    }
                }
                Step::Commit => {
                    let mut taken = std::mem::take(&mut taken);
                    if let Ok(lost) = files.commit(now_ns, true) {
                        if let Some(lost) = lost {
                            let records = usize::try_from(lost.records).unwrap();
                            prop_assert!(is_one && (1..=taken.len()).contains(&records), "{:?}", lost);
                            taken.truncate(taken.len() - records);
                        }
                        for (target, line) in taken {
                            committed.entry(target).or_default().push_str(&line);
                        }
                    }
                    for target in 0..5 {
                        let expected = committed.get(&target).map_or("", String::as_str);
                        prop_assert_eq!(text(&sim, target, compression), expected, "target {}", target);
                    }
                }
            }
        }
    }
}

/// The steps of a run with rotations, until the power fails. Returns how many batches were committed.
fn run_until_power_fails(sim: &Sim, compression: Compression) -> usize {
    let mut files = files(sim, compression, rules(1, Some(by_size(50))));
    let mut committed = 0;
    for number in 0..20 {
        let _ = batch(&mut files, &[(0, format!("batch {number:02}\n"))], NOW_NS);
        // Not as often as text is handed on: files are finished with and without a commit before.
        if number % 5 == 4 && files.commit(NOW_NS, true).is_ok() && !sim.is_dark() {
            committed = number + 1;
        }
    }
    // What the sink would still do to the files does not happen.
    committed
}

#[test]
fn a_power_cut_at_any_moment_loses_nothing_committed_and_finishes_no_half_file() {
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let mut cuts = 0;
        for after in 0.. {
            let sim = Sim::default();
            sim.fail_power_after(after);
            let committed = run_until_power_fails(&sim, compression);
            if !sim.is_dark() {
                assert!(sim.names(Path::new("out")).unwrap().len() > 2, "it rotates");
                break;
            }
            cuts += 1;
            // A rename that was not synced may have reached the disk or not.
            for renames_survive in [false, true] {
                let after_cut = sim.after_power_cut(renames_survive);
                for name in after_cut.names(Path::new("out")).unwrap() {
                    let finished = Path::new("out").join(&name);
                    if finished != path(0) {
                        let file = after_cut.file(&finished).unwrap();
                        let bytes = text_start(compression, &file, u64::MAX)
                            .unwrap_or_else(|error| panic!("{name} is damaged: {error}, cut {after}"));
                        assert!(bytes.ends_with(b"\n"), "{name} is not whole, cut {after}");
                    }
                }
                let mut again = files(&after_cut, compression, rules(1, Some(by_size(50))));
                batch(&mut again, &[(0, "again\n".to_owned())], NOW_NS).unwrap();
                again.commit(NOW_NS, true).unwrap();
                let text = text(&after_cut, 0, compression);
                let lines: Vec<&str> = text.lines().collect();
                let expected: Vec<String> =
                    (0..committed).map(|number| format!("batch {number:02}")).collect();
                assert!(lines.len() > committed, "cut {after}: {committed} committed, {lines:?}");
                assert_eq!(lines[..committed], expected, "cut {after} {compression:?}");
                assert!(lines.is_sorted_by(|a, b| *b == "again" || a < b), "{lines:?}");
            }
        }
        assert!(cuts > 20, "{cuts} cuts");
    }
}

#[test]
fn a_commit_without_room_for_all_keeps_the_batches_that_came_first_and_then_each_fails_itself() {
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let sim = Sim::default();
        let large = Rules { flush_bytes: 1 << 20, ..rules(1, None) };
        let mut files = files(&sim, compression, large);
        let line = |number: usize| [(0, format!("line {number}\n"))];
        for number in 0..5 {
            write(&mut files, &line(number), NOW_NS, true).unwrap();
        }
        // Room for two batches, however they are packed, and not for all five.
        let mut packer = crate::packing::Packer::new(compression, 1).unwrap();
        let one = packer.pack(b"line 0\n").unwrap().len();
        sim.set_room(2 * one + 3);
        if compression == Compression::None {
            let lost = files.commit(NOW_NS, true).unwrap().unwrap();
            assert_eq!(lost.records, 3);
            assert!(matches!(lost.why, FileError::Write { .. }), "{}", lost.why);
            assert_eq!(text(&sim, 0, compression), "line 0\nline 1\n");
            write(&mut files, &line(5), NOW_NS, true).unwrap_err();
            assert!(files.commit(NOW_NS, true).unwrap().is_none(), "nothing else is lost");
        } else {
            // Together they are packed into less.
            sim.set_room(one + 1);
            let lost = files.commit(NOW_NS, true).unwrap().map_or(0, |lost| lost.records);
            let expected: Vec<String> = (0..5 - lost).map(|number| format!("line {number}\n")).collect();
            let expected = expected.concat();
            assert_eq!(text(&sim, 0, compression), expected);
        }
    }
}

#[test]
fn a_file_is_synced_before_it_is_renamed_and_the_folder_after() {
    let sim = Sim::default();
    let mut files = files(&sim, Compression::None, rules(1, Some(by_size(10))));
    batch(&mut files, &[(0, "first line\n".to_owned())], NOW_NS).unwrap();
    sim.forget_operations();
    batch(&mut files, &[(0, "second\n".to_owned())], NOW_NS).unwrap();
    assert_eq!(sim.operations(), ["append", "sync", "rename", "sync folder", "open", "sync folder"]);
}

#[test]
fn the_oldest_finished_files_go_after_the_commit_and_no_others() {
    let sim = Sim::default();
    for other in
        ["out/t0-notes.ndjson", "out/t1-20250101T000000Z-000.ndjson", "out/t0-20250101T000000Z-000.csv"]
    {
        sim.open(Path::new(other), false).unwrap();
    }
    sim.open(Path::new("out/t0-20250101T000000Z-000.ndjson"), false).unwrap();
    let rotation = Rotation { keep: Some(2), ..by_size(8) };
    let mut files = files(&sim, Compression::None, rules(2, Some(rotation)));
    for number in 0..5 {
        batch(&mut files, &[(0, format!("line {number}\n"))], NOW_NS + number * SECOND_NS).unwrap();
        batch(&mut files, &[(0, format!("line {number}\n"))], NOW_NS + number * SECOND_NS).unwrap();
    }
    assert_eq!(sim.names(Path::new("out")).unwrap().len(), 4 + 5, "none is removed before the commit");
    files.commit(NOW_NS + 5 * SECOND_NS, true).unwrap();
    let mut names = sim.names(Path::new("out")).unwrap();
    names.sort();
    assert_eq!(
        names,
        [
            "t0-20250101T000000Z-000.csv",
            "t0-20260101T000004Z-000.ndjson",
            "t0-20260101T000005Z-000.ndjson",
            "t0-notes.ndjson",
            "t0.ndjson",
            "t1-20250101T000000Z-000.ndjson",
        ]
    );
}

#[test]
fn age_rotates_at_full_intervals_also_when_nothing_comes_and_never_backwards() {
    let sim = Sim::default();
    let hour_ns = 3_600 * SECOND_NS;
    let rotation = Rotation { every_ns: Some(hour_ns), not_before_ns: i64::MIN, ..Rotation::default() };
    let mut files = files(&sim, Compression::None, rules(1, Some(rotation)));
    let names = || sim.names(Path::new("out")).unwrap().len();
    batch(&mut files, &[(0, "one\n".to_owned())], NOW_NS + hour_ns - 1).unwrap();
    files.commit(NOW_NS + hour_ns - 1, true).unwrap();
    assert_eq!(names(), 1);
    files.commit(NOW_NS, true).unwrap();
    assert_eq!(names(), 1, "a clock that goes backwards makes nothing due");
    files.commit(NOW_NS + hour_ns, true).unwrap();
    assert_eq!(names(), 2, "idle files are finished, too");
    files.commit(NOW_NS + 5 * hour_ns, true).unwrap();
    assert_eq!(names(), 2, "an empty file is not");
}

#[test]
fn a_rotation_that_fails_lets_the_file_grow() {
    let sim = Sim::default();
    let mut files = files(&sim, Compression::None, rules(1, Some(by_size(8))));
    sim.refuse_renames(true);
    for number in 0..3 {
        batch(&mut files, &[(0, format!("line {number}\n"))], NOW_NS).unwrap();
    }
    files.commit(NOW_NS, true).unwrap();
    assert_eq!(text(&sim, 0, Compression::None), "line 0\nline 1\nline 2\n");
    sim.refuse_renames(false);
    batch(&mut files, &[(0, "line 3\n".to_owned())], NOW_NS + 59 * SECOND_NS).unwrap();
    assert_eq!(sim.names(Path::new("out")).unwrap().len(), 1, "not again at once");
    batch(&mut files, &[(0, "line 4\n".to_owned())], NOW_NS + 60 * SECOND_NS).unwrap();
    assert_eq!(sim.names(Path::new("out")).unwrap().len(), 2);
}

#[test]
fn a_disk_that_cannot_sync_fails_the_commit_and_takes_back_what_it_held() {
    let sim = Sim::default();
    let mut files = files(&sim, Compression::None, rules(1, None));
    batch(&mut files, &[(0, "kept\n".to_owned())], NOW_NS).unwrap();
    files.commit(NOW_NS, true).unwrap();
    batch(&mut files, &[(0, "lost\n".to_owned())], NOW_NS).unwrap();
    sim.refuse_syncs(true);
    let error = files.commit(NOW_NS, true).unwrap_err();
    assert!(matches!(error, FileError::Sync { .. }), "{error}");
    assert_eq!(text(&sim, 0, Compression::None), "kept\n");
}

#[test]
fn no_more_files_are_open_than_allowed() {
    let sim = Sim::default();
    let mut files = files(&sim, Compression::None, rules(3, None));
    let lines: Vec<_> = (0..50).map(|number| (number % 10, format!("line {number}\n"))).collect();
    batch(&mut files, &lines, NOW_NS).unwrap();
    files.commit(NOW_NS, true).unwrap();
    assert_eq!((files.slots.len(), sim.most_open()), (3, 3));
    for target in 0..10 {
        assert_eq!(text(&sim, target, Compression::None).lines().count(), 5);
    }
}
