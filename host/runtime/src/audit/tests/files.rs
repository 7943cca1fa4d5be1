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

#[test]
fn a_damaged_trail_is_set_aside_as_a_whole_and_a_new_chain_says_so_first() {
    let mut bench = Bench::new();
    bench.policy.rotate_bytes = 1;
    write_some(&bench, 3);
    bench.policy.rotate_bytes = 1 << 30;
    write_some(&bench, 3);
    write_some(&bench, 3);
    let files = bench.files();
    assert!(files.len() > 1);
    let path = bench.policy.folder.join(files.last().expect("a file"));
    let mut bytes = fs::read(&path).expect("a file");
    let first_block = 100;
    bytes[first_block] ^= 1;
    fs::write(&path, bytes).expect("written");
    let run = bench.run();
    assert_eq!(run.trail.status().set_aside, 1);
    let records = bench.proven(run.end());
    assert!(matches!(notes(&records)[2], Note::SetAside { .. }), "{records:?}");
    let first = file_number(&bench.files()[0]);
    assert!(first > file_number(files.last().expect("a file")), "no name is used twice");
    assert_eq!(bench.aside().len(), files.len());
    drop(bench.folder);
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
