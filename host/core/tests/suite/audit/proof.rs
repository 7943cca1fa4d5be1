//! What a trail proves, and what is said of one that does not.

use super::trail::{Scribe, Trail, sample, steps, verify};
use cardcage_core::audit::{
    Aside, Declaration, Entry, Fault, Finding, Hash, Head, Misfit, Note, Record, Remark, Report, Rule, Rules,
    Step, Verifier, What, Writer, file_name,
};
use cardcage_plugin_api::manifest::MetricKind;

/// Everything that is said of a trail, line by line.
fn said(report: &Report) -> String {
    let findings = report.findings.iter().map(|finding| format!("{}: {}", finding.place, finding.fault));
    findings.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_whole_trail_is_proven_by_its_head() {
    let (trail, head) = sample();
    let report = verify(&trail, &[head.hash]);
    assert!(report.is_proven() && !report.is_damaged(), "{}", said(&report));
    assert_eq!(report.remarks, []);
    let seen = report.seen;
    assert_eq!((seen.files, seen.runs, seen.cells, seen.last), (4, 1, 2, Some(head)));
    // 16 blocks with four single writes, four double ones, and one of seven; and one that was forbidden.
    assert_eq!((seen.writes, seen.violations), (16 * (4 + 8 + 7), 16));
}

#[test]
fn without_a_head_the_end_is_not_proven() {
    let (trail, _) = sample();
    let report = verify(&trail, &[]);
    assert!(!report.is_proven() && !report.is_damaged());
}

#[test]
fn an_earlier_head_proves_what_was_there_then() {
    let mut scribe = Scribe::new();
    scribe.declare(1, "host", "n", MetricKind::Counter);
    scribe.seal();
    let head = scribe.head;
    scribe.write(1, 0, 1.0, 1);
    let (trail, last) = scribe.end();
    let report = verify(&trail, &[head.hash]);
    assert!(!report.is_proven() && !report.is_damaged());
    assert_eq!(report.segments[0].proven_to, Some(head.block));
    assert_eq!(report.segments[0].last, last);
}

#[test]
fn a_head_that_is_not_there_is_damage() {
    let (trail, _) = sample();
    assert!(verify(&trail, &[Hash([7; 32])]).is_damaged());
}

/// A trail whose files before the third were removed.
fn shortened(say_so: bool) -> (Trail, Head) {
    let mut scribe = Scribe::new();
    scribe.declare(1, "host", "n", MetricKind::Counter);
    scribe.write(1, 0, 1.0, 1);
    scribe.rotate();
    scribe.write(1, 0, 2.0, 1);
    scribe.rotate();
    scribe.write(1, 0, 3.0, 1);
    if say_so {
        scribe.note(Note::Removed { first_kept: 3 });
    }
    let (mut trail, head) = scribe.end();
    trail.files.drain(..2);
    (trail, head)
}

#[test]
fn what_retention_removed_needs_no_proof_and_what_is_left_keeps_its_own() {
    let (trail, head) = shortened(true);
    let report = verify(&trail, &[head.hash]);
    assert!(report.is_proven(), "{}", said(&report));
    assert_eq!(report.seen.runs, 1);
    assert_eq!(report.remarks, [Remark::Removed { first_kept: 3 }]);
}

#[test]
fn files_that_retention_did_not_remove_are_missed() {
    let (trail, head) = shortened(false);
    let report = verify(&trail, &[head.hash]);
    insta::assert_snapshot!(said(&report), @"00000003.trail at byte 72 (block 3): blocks 1 to 2 are missing before this place, and no removal by retention accounts for it");
}

#[test]
fn files_that_went_while_a_reader_was_slow_are_told_apart_from_damage_by_the_reader_only() {
    let (mut trail, head) = sample();
    let middle = trail.files.len() / 2;
    trail.files.remove(middle);
    let read = |skips: bool| {
        let mut verifier = Verifier::new(&[head.hash]);
        for (index, (number, file)) in trail.files.iter().enumerate() {
            if skips && index == middle {
                verifier.skip();
            }
            verifier.file(&file_name(*number), *number);
            steps(file, usize::MAX, |step| verifier.step(step));
        }
        verifier.finish()
    };
    assert!(matches!(read(false).findings[..], [Finding { fault: Fault::Missing { .. }, .. }]));
    let report = read(true);
    assert!(report.findings.is_empty(), "{report:?}");
    assert!(report.remarks.iter().any(|remark| matches!(remark, Remark::Skipped { .. })), "{report:?}");
    assert_eq!(report.segments.len(), 2, "nothing is proven across the place");
}

#[test]
fn what_was_set_aside_is_proven_by_its_own_heads_as_far_as_it_is_whole() {
    let (trail, head) = sample();
    let file = &trail.files.last().expect("files").1;
    let mut first = None;
    // The end of a file, behind a header of nobody's.
    let mut aside = Aside::new(&[head.hash, Hash::NONE]);
    aside.file("00000003.trail.damaged-1");
    steps(file, usize::MAX, |step| {
        if let Step::Block(block) = step {
            first = first.or(Some(block.head.block));
        }
        aside.step(step);
    });
    let found: Vec<_> = aside.heads().collect();
    let [found] = &found[..] else { panic!("one of the two: {found:?}") };
    assert_eq!((found.head, Some(found.proves_from)), (head, first));
    assert_eq!(aside.files()[0].fault, None);
    assert!(aside.files()[0].blocks > 0);
}

#[test]
fn the_block_that_was_changed_is_named_and_what_is_behind_it_is_held_by_the_head() {
    let (mut trail, head) = sample();
    // In the body of the second file's first block.
    trail.files[1].1[200] ^= 1;
    let report = verify(&trail, &[head.hash]);
    insta::assert_snapshot!(said(&report), @"00000002.trail at byte 72: the block was changed: its bytes don't have the hash that it ends with");
    let [before, behind] = report.segments[..] else {
        panic!("{:?}", report.segments);
    };
    assert_eq!((before.first, before.proven_to), (1, None));
    assert_eq!((behind.last, behind.proven_to), (head, Some(head.block)));
    assert_eq!(behind.first, before.last.block + 2);
}

#[test]
fn damage_at_the_beginning_is_named_once() {
    let (mut trail, head) = sample();
    trail.files[0].1[200] ^= 1;
    let report = verify(&trail, &[head.hash]);
    insta::assert_snapshot!(said(&report), @"00000001.trail at byte 72: the block was changed: its bytes don't have the hash that it ends with");
}

#[test]
fn a_length_that_was_changed_near_the_end_is_no_block_that_is_being_written() {
    let (mut trail, _) = sample();
    let (_, last) = trail.files.last_mut().expect("has files");
    // The length in the first block's header: more than the file has.
    last[72 + 9] ^= 0x40;
    let report = verify(&trail, &[]);
    insta::assert_snapshot!(said(&report), @"00000004.trail at byte 72: the block's header is damaged: its length cannot be");
}

#[test]
fn a_block_that_is_being_written_is_no_damage() {
    let (trail, head) = sample();
    let whole = trail.files[3].1.len();
    let mut scribe = Scribe::new();
    scribe.write_after(&trail, head);
    let (longer, _) = scribe.end();
    let next = &longer.files.last().expect("has files").1;
    for bytes in [1, 30, 64, next.len() - whole - 1] {
        let mut torn = trail.clone();
        torn.files[3].1 = next[..whole + bytes].to_vec();
        let report = verify(&torn, &[head.hash]);
        assert!(report.is_proven(), "{bytes}: {}", said(&report));
        assert!(
            matches!(report.remarks[..], [Remark::Unfinished { at_end: true, bytes: left, .. }] if left == bytes as u64),
            "{:?}",
            report.remarks
        );
    }
}

#[test]
fn a_run_that_was_killed_is_told_from_one_that_ended() {
    let mut scribe = Scribe::new();
    scribe.declare(1, "host", "n", MetricKind::Counter);
    scribe.write(1, 0, 9.0, 9);
    scribe.begin();
    // Cells begin anew.
    scribe.declare(1, "host", "other", MetricKind::Gauge);
    scribe.write(1, 0, 1.0, 1);
    let (trail, head) = scribe.end();
    let report = verify(&trail, &[head.hash]);
    assert!(report.is_proven(), "{}", said(&report));
    assert_eq!((report.seen.runs, report.seen.cells), (2, 2));
    assert!(matches!(report.remarks[..], [Remark::NotEnded { .. }]), "{:?}", report.remarks);
}

/// What is said of a trail that somebody wrote who knows the format.
fn forged(more: &[Record]) -> String {
    let mut scribe = Scribe::new();
    scribe.declare(1, "plausible", "out_of_range", MetricKind::Counter);
    scribe.write(1, 0, 10.0, 10);
    for record in more {
        scribe.forge(record);
    }
    let (trail, head) = scribe.end();
    let report = verify(&trail, &[head.hash]);
    assert!(report.is_damaged());
    said(&report)
}

fn entry(old: f64, new: f64, count: u64) -> Entry {
    Entry { cell: 1, writer: 0, time_ns: 1, old: old.to_bits(), new: new.to_bits(), count, what: What::Write }
}

#[test]
fn a_write_that_its_rules_forbid_cannot_be_told_as_done() {
    let rules = Rules { monotonic: false, min: Some(-5.0), max: Some(50.0), largest_step: Some(20.0) };
    let gauge = |rules| {
        Record::Declaration(Declaration {
            cell: 7,
            kind: MetricKind::Gauge,
            rules,
            ..super::trail::declaration(7)
        })
    };
    let writer = Record::Writer(Writer { cell: 7, writer: 0, time_ns: 1, generation: 0, thread: "t".into() });
    let to = |new: f64, count| Record::Entry(Entry { cell: 7, ..entry(0.0, new, count) });
    for (new, count, allowed) in [
        (20.0, 1, true),
        (-5.0, 1, true),
        (20.5, 1, false),
        (50.0, 3, true),
        (50.5, 3, false),
        (-5.5, 1, false),
        (f64::INFINITY, 2, false),
    ] {
        let judged = |rules| {
            let mut scribe = Scribe::new();
            for record in [&gauge(rules), &writer, &to(new, count)] {
                scribe.forge(record);
            }
            let (trail, head) = scribe.end();
            verify(&trail, &[head.hash])
        };
        let report = judged(rules);
        assert_eq!(report.is_proven(), allowed, "{new} by {count} writes: {}", said(&report));
        assert_eq!(said(&report).contains("breaks a rule"), !allowed, "{}", said(&report));
        let is_finite = new.is_finite();
        assert_eq!(judged(Rules::default()).is_proven(), is_finite, "{new} where nothing forbids it");
    }
}

#[test]
fn each_contradiction_has_its_own_words() {
    let violation = What::Violation { rule: Rule::Max, attempted: 99f64.to_bits() };
    let writer = |writer| Writer { cell: 4, writer, time_ns: 1, generation: 0, thread: "t".into() };
    let balance = cardcage_core::audit::Balance {
        cell: 1,
        writer: 0,
        value: 10f64.to_bits(),
        writes: 11,
        violations: 0,
    };
    let opened = Note::Opened { file: 1, declarations: 0, writers: 0, balances: 0 };
    let cases: Vec<(&str, Vec<Record>)> = vec![
        (
            "an entry taken out",
            vec![Record::Entry(entry(11.0, 12.0, 1)), Record::Entry(entry(12.0, 10.0, 0))],
        ),
        (
            "a counter that falls",
            vec![Record::Entry(entry(10.0, 9.0, 1)), Record::Entry(entry(9.0, 10.0, 1))],
        ),
        ("no number", vec![Record::Entry(entry(10.0, f64::NAN, 1)), Record::Entry(entry(f64::NAN, 10.0, 1))]),
        ("no write", vec![Record::Entry(entry(10.0, 10.0, 0))]),
        (
            "forbidden, and done",
            vec![
                Record::Entry(Entry { what: violation, ..entry(10.0, 11.0, 1) }),
                Record::Entry(Entry { what: violation, ..entry(11.0, 10.0, 1) }),
            ],
        ),
        ("an unknown cell", vec![Record::Entry(Entry { cell: 4, ..entry(0.0, 1.0, 1) })]),
        ("an unknown writer", vec![Record::Entry(Entry { writer: 3, ..entry(0.0, 1.0, 1) })]),
        ("a writer of nothing", vec![Record::Writer(writer(0))]),
        ("a balance that does not agree", vec![Record::Balance(balance)]),
        (
            "an opening without an account",
            vec![Record::Note { time_ns: 1, note: opened }, Record::Entry(entry(10.0, 10.0, 1))],
        ),
    ];
    let all: Vec<String> = cases.iter().map(|(what, more)| format!("{what}:\n{}", forged(more))).collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn a_counter_changed_by_hand_breaks_its_own_chain_even_where_all_hashes_are_right() {
    let mut scribe = Scribe::new();
    scribe.declare(1, "plausible", "out_of_range", MetricKind::Counter);
    scribe.write(1, 0, 10.0, 10);
    scribe.forge(&Record::Entry(entry(7.0, 8.0, 1)));
    let (trail, head) = scribe.end();
    let report = verify(&trail, &[head.hash]);
    let gap = |fault: &Fault| matches!(fault, Fault::Misfit { misfit: Misfit::Gap { .. }, .. });
    assert!(report.findings.iter().any(|finding| gap(&finding.fault)), "{}", said(&report));
}
