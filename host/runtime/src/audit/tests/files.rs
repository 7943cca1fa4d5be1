//! Files: rotation, retention, and what runs find of the runs before them.

use super::*;

fn write_some(bench: &Bench, times: u32) -> Head {
    let run = bench.run();
    let counter = open(&run.cells("c"), MetricKind::Counter, "n");
    (0..times).for_each(|_| assert!(counter.add(1.0)));
    run.end()
}

#[test]
fn runs_go_on_in_one_chain_and_one_file() {
    let bench = Bench::new();
    write_some(&bench, 3);
    let head = write_some(&bench, 4);
    let records = bench.proven(head);
    let began = notes(&records).into_iter().filter(|note| matches!(note, Note::Began { .. })).count();
    assert_eq!((bench.files().len(), began, writes(&entries(&records, "n"))), (1, 2, 7));
}

#[test]
fn a_full_file_is_followed_by_one_that_can_be_read_on_its_own() {
    let mut bench = Bench::new();
    bench.policy.rotate_bytes = 1;
    let run = bench.run();
    let cells = run.cells("c");
    let (n, h) = (open(&cells, MetricKind::Counter, "n"), open(&cells, MetricKind::Histogram, "h"));
    for file in 1..=5 {
        assert!(n.add(1.0) && h.observe(1.0) && !n.add(-1.0));
        until(|| bench.files().len() > file);
    }
    let head = run.end();
    assert!(bench.files().len() >= 6);
    let records = bench.proven(head);
    assert_eq!(writes(&entries(&records, "n")), 5);
    // Without the first three, as if somebody kept only the rest: still whole, its sums still known.
    for name in &bench.files()[..3] {
        fs::remove_file(bench.policy.folder.join(name)).expect("removed");
    }
    let (report, _) = bench.read(Some(head));
    assert!(report.heads[0].block.is_some(), "{report:?}");
}

#[test]
fn the_oldest_files_go_and_what_stays_is_proven() {
    let mut bench = Bench::new();
    (bench.policy.rotate_bytes, bench.policy.keep) = (1, 3);
    let run = bench.run();
    let n = open(&run.cells("c"), MetricKind::Counter, "n");
    for file in 2..=8u64 {
        assert!(n.add(1.0));
        until(|| bench.files().last().and_then(|name| file_number(name)) >= Some(file));
    }
    let head = run.end();
    assert!(bench.files().len() <= 3, "{:?}", bench.files());
    let records = bench.proven(head);
    assert!(notes(&records).iter().any(|note| matches!(note, Note::Removed { .. })));
    let balance = records
        .iter()
        .find_map(|record| if let Record::Balance(balance) = record { Some(balance) } else { None });
    assert!(balance.is_some_and(|balance| balance.writes > 0), "the sums before stay known");
}

#[test]
fn a_torn_end_is_set_aside_and_the_chain_goes_on() {
    for tail in [&b"blk\nhalf a block"[..], &[0; 700]] {
        let bench = Bench::new();
        write_some(&bench, 3);
        let path = bench.policy.folder.join(&bench.files()[0]);
        let mut bytes = fs::read(&path).expect("a file");
        bytes.extend_from_slice(tail);
        fs::write(&path, bytes).expect("written");
        let run = bench.run();
        assert_eq!(run.trail.status().set_aside, 1);
        let records = bench.proven(run.end());
        assert_eq!(bench.files().len(), 1);
        assert_eq!(fs::read(bench.policy.folder.join(&bench.aside()[0])).expect("kept"), tail);
        assert!(notes(&records).iter().any(|note| matches!(note, Note::SetAside { .. })));
    }
}

/// Changes a bit of a block of a file; gives the file's name.
fn flip(bench: &Bench, which_file: usize, which_block: usize) -> String {
    let name = bench.files()[which_file].clone();
    let path = bench.policy.folder.join(&name);
    let mut bytes = fs::read(&path).expect("a file");
    let starts = bytes.windows(4).enumerate().filter(|(_, four)| four == b"blk\n").map(|(at, _)| at);
    let at = starts.collect::<Vec<_>>()[which_block] + 70;
    bytes[at] ^= 1;
    fs::write(&path, bytes).expect("written");
    name
}

fn reasons(records: &[Record]) -> Vec<(&str, &str)> {
    notes(records)
        .into_iter()
        .filter_map(|note| {
            if let Note::SetAside { files, why } = note { Some((files.as_str(), why.as_str())) } else { None }
        })
        .collect()
}

#[test]
fn of_a_damaged_file_only_what_is_behind_the_damage_is_set_aside() {
    let bench = Bench::new();
    write_some(&bench, 3);
    let middle = write_some(&bench, 3);
    write_some(&bench, 3);
    let blocks = middle.block;
    let name = flip(&bench, 0, usize::try_from(middle.block).expect("few"));
    let run = bench.run();
    assert_eq!(run.trail.status().set_aside, 1);
    let records = bench.proven(run.end());
    assert_eq!((bench.files().len(), bench.aside()), (1, vec![format!("{name}.damaged-1")]));
    let (aside, why) = reasons(&records)[0];
    assert_eq!(aside, bench.aside()[0]);
    assert!(why.contains("was changed") && !why.contains("power"), "whole blocks are behind it: {why}");
    let (report, _) = bench.read(Some(middle));
    assert_eq!(report.heads[0].block, Some(blocks), "what is before it is still proven: {report:?}");
    assert_eq!(writes(&entries(&records, "n")), 6);
}

#[test]
fn a_last_block_that_was_changed_is_not_taken_for_a_power_failure() {
    let bench = Bench::new();
    let head = write_some(&bench, 3);
    let name = flip(&bench, 0, usize::try_from(head.block).expect("few") - 1);
    let records = bench.proven(write_some(&bench, 1));
    assert_eq!(reasons(&records)[0].0, format!("{name}.damaged-1"));
    assert!(reasons(&records)[0].1.contains("it was changed, or the power"), "{:?}", reasons(&records));
    assert!(bench.read(Some(head)).0.is_damaged(), "its head is not there any more");
}

#[test]
fn a_file_that_is_none_takes_no_other_with_it() {
    let mut bench = Bench::new();
    bench.policy.rotate_bytes = 1;
    write_some(&bench, 3);
    bench.policy.rotate_bytes = 1 << 30;
    let path = |name: &str| bench.policy.folder.join(name);
    let files = bench.files();
    fs::write(path("00000050.trail"), [7; 80]).expect("written");
    fs::create_dir(path("00000051.trail")).expect("made");
    let pipe = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, path("00000052.trail"), pipe).expect("made");
    std::os::unix::fs::symlink("/dev/zero", path("00000053.trail")).expect("made");
    let run = bench.run();
    assert_eq!(run.trail.status().set_aside, 4);
    let records = bench.proven(run.end());
    assert_eq!(writes(&entries(&records, "n")), 3);
    assert_eq!(bench.files(), files, "the chain goes on where it was");
    let aside = [50, 51, 52, 53].map(|number| format!("000000{number}.trail.damaged-1"));
    assert_eq!(bench.aside(), aside);
}

#[test]
fn what_was_set_aside_is_kept_no_longer_than_what_it_was_part_of() {
    let mut bench = Bench::new();
    bench.policy.keep = 3;
    for count in 1..=5 {
        let head = write_some(&bench, 1);
        flip(&bench, 0, usize::try_from(head.block).expect("few") - 1);
        write_some(&bench, 1);
        assert_eq!(bench.aside().len(), count.min(3), "{:?}", bench.aside());
    }
    bench.policy.rotate_bytes = 1;
    let run = bench.run();
    let n = open(&run.cells("c"), MetricKind::Counter, "n");
    until(|| {
        assert!(n.add(1.0));
        bench.aside().is_empty()
    });
    bench.proven(run.end());
}

#[test]
fn a_file_without_a_whole_header_is_set_aside_and_the_one_before_goes_on() {
    let bench = Bench::new();
    write_some(&bench, 3);
    fs::write(bench.policy.folder.join("00000002.trail"), b"cardcage").expect("written");
    let head = write_some(&bench, 2);
    let records = bench.proven(head);
    assert_eq!(writes(&entries(&records, "n")), 5);
    assert_eq!(bench.aside(), ["00000002.trail.damaged-1"]);
}
