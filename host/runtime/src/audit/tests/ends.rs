//! What cannot be written now.

use super::*;
use crate::audit::chain::Chain;
use crate::audit::collect::Collector;
use crate::audit::found;
use cardcage_core::audit::{Fault, Finding, Remark};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::cell;

thread_local! {
    /// How many bytes the disk still takes of what this thread writes; `None` if there is no end to it.
    static ROOM: cell::Cell<Option<usize>> = const { cell::Cell::new(None) };
}

/// How many of so many bytes the disk still takes; `None` if all of them.
pub(in crate::audit) fn room_for(length: usize) -> Option<usize> {
    let room = ROOM.get()?;
    ROOM.set(Some(room.saturating_sub(length)));
    (room < length).then_some(room)
}

/// Whether the disk would not take so many bytes.
pub(in crate::audit) fn lacks_room_for(bytes: u64) -> bool {
    ROOM.get().is_some_and(|room| (room as u64) < bytes)
}

#[test]
fn while_the_folder_is_gone_changes_are_merged_and_then_all_of_them_are_told() {
    let mut bench = Bench::new();
    bench.policy.rotate_bytes = 1;
    let run = bench.run();
    let n = open(&run.cells("c"), MetricKind::Counter, "n");
    assert!(n.add(1.0));
    until(|| !bench.files().is_empty() && run.trail.status().entries > 0);
    // A file in its place at once, so that it is not made anew.
    let elsewhere = bench.folder.path().join("elsewhere");
    fs::write(&elsewhere, "").expect("written");
    let swap = || renameat_with(CWD, &bench.policy.folder, CWD, &elsewhere, RenameFlags::EXCHANGE);
    swap().expect("moved");
    (0..100_000).for_each(|_| assert!(n.add(1.0)));
    until(|| run.trail.status().stuck.is_some());
    swap().expect("moved back");
    until(|| run.trail.status().stuck.is_none());
    let records = bench.proven(run.end());
    assert_eq!(writes(&entries(&records, "n")), 100_001);
}

const SECOND_NS: i64 = 1_000_000_000;

/// A trail that this thread keeps itself, whose openings have several blocks.
struct Small {
    bench: Bench,
    trail: &'static Trail,
    collector: Collector,
    parts: Vec<&'static Part>,
    now_ns: i64,
}

impl Small {
    fn new() -> Self {
        let mut bench = Bench::new();
        bench.policy.rotate_bytes = 1;
        fs::create_dir(&bench.policy.folder).expect("made");
        let (trail, mut collector) = collector(&bench, SECOND_NS);
        collector.pass(false, SECOND_NS);
        let cells = Cells::new("c", trail, Arc::default());
        let long = |n: u32| MetricDeclaration {
            // What can hardly be compressed.
            help: (0..60).map(|word| mixed(n * 60 + word).to_string()).collect(),
            ..declaration(MetricKind::Counter, &format!("n{n}"))
        };
        let parts = (0..150).map(|n| cells.open(&long(n), 4096).expect("room")).collect();
        let mut small = Self { bench, trail, collector, parts, now_ns: SECOND_NS };
        small.write_and_pass();
        small
    }

    /// One write to each cell, and what the keeper does in two seconds.
    fn write_and_pass(&mut self) {
        self.now_ns += 2 * SECOND_NS;
        assert!(self.parts.iter().all(|part| part.add(1.0)));
        self.collector.second();
        self.collector.pass(true, self.now_ns);
        self.collector.cut();
    }

    fn is_whole(&self) {
        let (report, _) = self.bench.read(None);
        assert!(report.findings.is_empty(), "{report:?}");
    }

    /// It ends in order, and everything is in it.
    fn ends_with(mut self, rounds: u64) {
        self.collector.end(self.now_ns);
        let records = self.bench.proven(self.trail.status().head);
        assert_eq!(writes(&entries(&records, "n0")), rounds);
        assert_eq!(writes(&entries(&records, "n149")), rounds);
        assert_eq!(notes(&records).last(), Some(&&Note::Ended));
    }
}

/// Some number that looks like any other.
fn mixed(n: u32) -> u64 {
    u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

pub(super) fn collector(bench: &Bench, now_ns: i64) -> (&'static Trail, Collector) {
    let trail = Trail::new();
    trail.begin(bench.policy.detail);
    trail.listen(true);
    let found = found::look(&bench.policy.folder).expect("a folder");
    let chain = Chain::new(trail, bench.policy.clone(), found);
    let began = Note::Began { version: "1.2.3".to_owned(), detail: String::new() };
    (trail, Collector::new(trail, bench.policy.detail, u64::MAX, chain, began, now_ns))
}

/// Rooms that end everywhere in an opening, a block or a header.
fn rooms() -> impl Iterator<Item = usize> {
    (0..150).step_by(29).chain((150..200_000).step_by(9973))
}

#[test]
fn wherever_the_disk_fills_up_nothing_is_damaged_and_the_trail_goes_on_when_there_is_room() {
    for room in rooms() {
        let mut small = Small::new();
        let files = small.bench.files().len();
        ROOM.set(Some(room));
        small.write_and_pass();
        small.is_whole();
        small.write_and_pass();
        small.is_whole();
        assert!(room > 100_000 || small.trail.status().stuck.is_some(), "{room}");
        ROOM.set(None);
        small.write_and_pass();
        small.write_and_pass();
        small.is_whole();
        assert_eq!(small.trail.status().stuck, None);
        assert!(small.bench.files().len() > files);
        small.ends_with(5);
    }
}

#[test]
fn a_run_that_is_killed_while_the_disk_is_full_leaves_what_the_next_one_goes_on_with() {
    for room in rooms() {
        let mut small = Small::new();
        ROOM.set(Some(room));
        small.write_and_pass();
        ROOM.set(None);
        let Small { bench, collector: killed, .. } = small;
        drop(killed);
        fs::write(bench.policy.folder.join("00000009.trail.draft"), b"card").expect("written");
        let (trail, mut next) = collector(&bench, 9 * SECOND_NS);
        next.end(9 * SECOND_NS);
        bench.proven(trail.status().head);
        assert!(names(&bench.policy.folder).iter().all(|name| file_number(name).is_some()));
    }
}

/// A trail that this thread keeps itself, and a counter in it.
fn kept(bench: &Bench, now_ns: i64) -> (&'static Trail, Collector, &'static Part) {
    let _ = fs::create_dir(&bench.policy.folder);
    let (trail, mut collector) = collector(bench, now_ns);
    let n = open(&Cells::new("c", trail, Arc::default()), MetricKind::Counter, "n");
    collector.pass(false, now_ns);
    (trail, collector, n)
}

#[test]
fn a_run_can_end_in_order_on_a_full_disk() {
    let bench = Bench::new();
    let (trail, mut collector, n) = kept(&bench, 1);
    ROOM.set(Some(100_000));
    for _ in 0..2000 {
        assert!(n.add(1.0));
        collector.second();
        collector.pass(true, 2);
        collector.cut();
    }
    assert!(trail.status().stuck.is_some());
    collector.end(3);
    ROOM.set(None);
    let records = bench.proven(trail.status().head);
    assert_eq!(writes(&entries(&records, "n")), 2000);
    assert_eq!(notes(&records).last(), Some(&&Note::Ended));
}

#[test]
fn a_next_file_that_cannot_be_begun_is_no_reason_to_miss_the_end() {
    let mut bench = Bench::new();
    bench.policy.rotate_bytes = 1;
    let (trail, mut collector, n) = kept(&bench, 1);
    // In the way of the files that are next.
    for number in 1..20 {
        let draft = bench.policy.folder.join(format!("{number:08}.trail.draft"));
        fs::create_dir_all(draft.join("full")).expect("made");
    }
    for now_ns in 2..5 {
        assert!(n.add(1.0));
        collector.second();
        collector.pass(true, now_ns * SECOND_NS);
        collector.cut();
    }
    assert!(trail.status().stuck.is_some());
    collector.end(9 * SECOND_NS);
    assert_eq!(trail.status().stuck, None, "nothing is missing");
    let records = bench.proven(trail.status().head);
    assert_eq!(writes(&entries(&records, "n")), 3);
    assert_eq!(notes(&records).last(), Some(&&Note::Ended));
}

#[test]
fn a_file_that_is_removed_while_it_is_written_is_missed_and_followed_by_another() {
    for also_the_folder in [true, false] {
        let bench = Bench::new();
        let (trail, mut collector, n) = kept(&bench, 1);
        let mut write = || {
            assert!(n.add(1.0));
            collector.pass(true, 2);
            collector.cut();
        };
        write();
        if also_the_folder {
            fs::remove_dir_all(&bench.policy.folder).expect("removed");
        } else {
            let file = bench.policy.folder.join(&bench.files()[0]);
            // Another one of this name is not it.
            fs::copy(&file, bench.policy.folder.join("copy")).expect("copied");
            fs::rename(bench.policy.folder.join("copy"), file).expect("moved");
        }
        write();
        collector.second();
        assert!(trail.status().stuck.is_some_and(|why| why.contains("removed or moved")));
        assert!(n.add(1.0));
        collector.pass(true, 3);
        assert_eq!(trail.status().stuck, None);
        collector.end(4);
        let (report, records) = bench.read(Some(trail.status().head));
        assert!(matches!(report.findings[..], [Finding { fault: Fault::Missing { .. }, .. }]), "{report:?}");
        assert!(report.heads[0].block.is_some(), "what came later is proven: {report:?}");
        assert!(report.remarks.iter().any(|remark| matches!(remark, Remark::Said { .. })), "{report:?}");
        let last = records.iter().rev().find_map(|record| {
            if let Record::Balance(balance) = record { Some(balance.writes) } else { None }
        });
        assert!(last.is_some());
        let files = bench.files();
        assert_eq!(files.last().map(String::as_str), Some("00000002.trail"), "{files:?}");
    }
}

#[test]
fn a_file_that_a_wrong_clock_began_is_no_reason_to_begin_none() {
    let bench = Bench::new();
    let day_ns = i64::try_from(bench.policy.rotate_every.as_nanos()).expect("a day");
    let (_, mut early, n) = kept(&bench, 1000 * day_ns);
    assert!(n.add(1.0));
    early.end(1000 * day_ns);
    assert_eq!(bench.files().len(), 1);
    // The clock is right now.
    let (trail, mut collector, n) = kept(&bench, 10 * day_ns);
    assert_eq!(bench.files().len(), 2, "nobody knows how old the one before is");
    for (now_ns, files) in [(10 * day_ns + day_ns / 2, 2), (9 * day_ns, 2), (10 * day_ns, 3)] {
        assert!(n.add(1.0));
        collector.pass(true, now_ns);
        assert_eq!(bench.files().len(), files, "half a day, none that counts, and a day");
    }
    collector.end(11 * day_ns);
    bench.proven(trail.status().head);
}

#[test]
fn a_torn_end_on_a_full_disk_stays_where_it_is_and_the_chain_goes_on_behind_it() {
    let mut small = Small::new();
    small.write_and_pass();
    let Small { bench, collector: killed, .. } = small;
    drop(killed);
    let last = bench.policy.folder.join(bench.files().pop().expect("a file"));
    let whole = fs::read(&last).expect("a file");
    fs::write(&last, &whole[..whole.len() - 10]).expect("written");
    for _ in 0..3 {
        // Another start that finds no room.
        ROOM.set(Some(100));
        let (trail, mut stuck) = collector(&bench, 9 * SECOND_NS);
        stuck.pass(false, 9 * SECOND_NS);
        assert!(trail.status().stuck.is_some());
        ROOM.set(None);
        assert_eq!(bench.aside(), [""; 0], "no half of a copy");
    }
    ROOM.set(Some(100));
    let (trail, mut next) = collector(&bench, 9 * SECOND_NS);
    ROOM.set(None);
    next.end(9 * SECOND_NS);
    let records = bench.proven(trail.status().head);
    let said = |note: &&&Note| matches!(note, Note::Remark { text } if text.contains("stays where it is"));
    assert_eq!(notes(&records).iter().filter(said).count(), 1);
    assert_eq!(fs::read(&last).expect("a file").len(), whole.len() - 10, "nothing of it is lost");
}

#[test]
fn of_a_file_whose_opening_was_cut_nothing_is_gone_on_with() {
    let mut small = Small::new();
    small.write_and_pass();
    let Small { bench, collector: killed, .. } = small;
    drop(killed);
    let last = bench.files().pop().expect("a file");
    let path = bench.policy.folder.join(&last);
    let bytes = fs::read(&path).expect("a file");
    let starts = bytes.windows(4).enumerate().filter(|(_, four)| four == b"blk\n").map(|(at, _)| at);
    let starts: Vec<usize> = starts.collect();
    assert!(starts.len() > 2, "{starts:?}");
    fs::write(&path, &bytes[..starts[1]]).expect("written");
    let (trail, mut next) = collector(&bench, 9 * SECOND_NS);
    next.end(9 * SECOND_NS);
    let records = bench.proven(trail.status().head);
    assert!(notes(&records).iter().any(|note| matches!(note, Note::SetAside { .. })));
    assert_eq!(bench.aside(), [last + ".damaged-1"]);
}
