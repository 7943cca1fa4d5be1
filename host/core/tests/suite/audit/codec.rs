//! Records, blocks and files: from values to bytes and back.

use super::trail::{Scribe, declaration, records, steps};
use cardcage_core::audit::{
    BLOCK_MAX_BYTES, Balance, BlockBuilder, Declaration, Entry, FileHeader, Full, Hash, Head, Note, Record,
    Rule, Rules, STORED_MAX_BYTES, Step, TEXT_MAX_BYTES, What, Writer, file_name, file_number,
};
use cardcage_plugin_api::manifest::MetricKind;
use proptest::prelude::*;

fn value() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        any::<f64>().prop_map(f64::to_bits),
        (0u32..9999).prop_map(|n| f64::from(n).to_bits())
    ]
}

fn what() -> impl Strategy<Value = What> {
    let rule = prop_oneof![
        Just(Rule::Monotonic),
        Just(Rule::NotANumber),
        Just(Rule::Min),
        Just(Rule::Max),
        Just(Rule::LargestStep)
    ];
    let violation = (rule, value()).prop_map(|(rule, attempted)| What::Violation { rule, attempted });
    prop_oneof![Just(What::Write), violation]
}

fn entry() -> impl Strategy<Value = Record> {
    let parts = (any::<u32>(), any::<u32>(), any::<i64>(), value(), value(), any::<u64>(), what());
    parts.prop_map(|(cell, writer, time_ns, old, new, count, what)| {
        Record::Entry(Entry { cell, writer, time_ns, old, new, count, what })
    })
}

fn others() -> impl Strategy<Value = Record> {
    let limit = || proptest::option::of(-1e9..1e9f64);
    let rules = (any::<bool>(), limit(), limit(), limit())
        .prop_map(|(monotonic, min, max, largest_step)| Rules { monotonic, min, max, largest_step });
    let kind = prop_oneof![Just(MetricKind::Counter), Just(MetricKind::Gauge), Just(MetricKind::Histogram)];
    let bounds = proptest::collection::vec(-1e9..1e9f64, 0..9);
    let declared = (any::<u32>(), ".{0,20}", ".{0,20}", kind, rules, bounds).prop_map(
        |(cell, component, metric, kind, rules, bounds)| {
            Record::Declaration(Declaration {
                cell,
                component,
                metric,
                kind,
                rules,
                bounds,
                ..declaration(0)
            })
        },
    );
    let numbers = (any::<u32>(), any::<u32>(), any::<u64>(), any::<u64>(), any::<u64>());
    let balance = numbers.prop_map(|(cell, writer, value, writes, violations)| {
        Record::Balance(Balance { cell, writer, value, writes, violations })
    });
    let writer = (any::<u32>(), any::<u32>(), any::<i64>(), any::<u32>(), ".{0,20}").prop_map(
        |(cell, writer, time_ns, generation, thread)| {
            Record::Writer(Writer { cell, writer, time_ns, generation, thread })
        },
    );
    let opened = (any::<u64>(), any::<u32>(), any::<u32>(), any::<u32>()).prop_map(
        |(file, declarations, writers, balances)| Note::Opened { file, declarations, writers, balances },
    );
    let note = prop_oneof![
        opened,
        Just(Note::Ended),
        (".{0,9}", ".{0,9}").prop_map(|(version, detail)| Note::Began { version, detail }),
        (".{0,9}", ".{0,9}").prop_map(|(files, why)| Note::SetAside { files, why }),
        any::<u64>().prop_map(|first_kept| Note::Removed { first_kept }),
        (".{0,9}", ".{0,9}", any::<u64>()).prop_map(|(component, metric, count)| Note::Undeclared {
            component,
            metric,
            count
        }),
        ".{0,9}".prop_map(|text| Note::Remark { text }),
    ];
    let noted = (any::<i64>(), note).prop_map(|(time_ns, note)| Record::Note { time_ns, note });
    prop_oneof![declared, balance, writer, noted]
}

proptest! {
    #[test]
    fn what_is_written_is_read_again_whatever_the_pieces_it_comes_in(
        written in proptest::collection::vec(prop_oneof![3 => entry(), 1 => others()], 1..200),
        piece in 1usize..9000,
    ) {
        let header = FileHeader { number: 7, after: Head::NONE };
        let mut block = BlockBuilder::new();
        for record in &written {
            block.push(record).expect("there is room for so few");
        }
        let sealed = block.finish(Head::NONE);
        let file = [&header.encode()[..], sealed.bytes].concat();
        let mut read = Vec::new();
        let mut ends = 0;
        steps(&file, piece, |step| match step {
            Step::Header(found) => assert_eq!(*found, header),
            Step::Block(block) => {
                assert_eq!((block.head, block.previous), (sealed.head, Hash::NONE));
                read.extend(records(block));
            }
            Step::End { left: 0, .. } => ends += 1,
            other => panic!("{other:?}"),
        });
        prop_assert_eq!(ends, 1);
        prop_assert_eq!(read, written);
    }
}

#[test]
fn a_full_block_is_left_as_it_was_and_has_a_bounded_size() {
    let mut block = BlockBuilder::new();
    // Noise, so that nothing of it can be compressed.
    let mut noise = 1u64;
    let mut next = || {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        noise
    };
    let mut pushed = 0;
    loop {
        let (old, new, count) = (next(), next(), next());
        let entry =
            Entry { cell: 1, writer: 0, time_ns: next().cast_signed(), old, new, count, what: What::Write };
        match block.push_entry(&entry) {
            Ok(()) => pushed += 1,
            Err(Full) => break,
        }
    }
    assert!(block.raw_bytes() <= BLOCK_MAX_BYTES && block.raw_bytes() > BLOCK_MAX_BYTES - 100);
    let sealed = block.finish(Head::NONE);
    assert!(sealed.bytes.len() <= STORED_MAX_BYTES, "{}", sealed.bytes.len());
    let file = [&FileHeader { number: 1, after: Head::NONE }.encode()[..], sealed.bytes].concat();
    let mut found = 0;
    steps(&file, 4096, |step| {
        if let Step::Block(block) = step {
            found += records(block).len();
        }
    });
    assert_eq!(found, pushed);
}

#[test]
fn an_entry_of_a_counter_takes_a_dozen_bytes_before_it_is_compressed() {
    let mut scribe = Scribe::new();
    scribe.declare(1, "host", "records", MetricKind::Counter);
    scribe.seal();
    let mut block = BlockBuilder::new();
    for n in 0..1000u32 {
        let [old, new] = [n, n + 1].map(|n| f64::from(n * 4096).to_bits());
        let time_ns = 1_700_000_000_000_000_000 + i64::from(n) * 1_000_000;
        block
            .push_entry(&Entry { cell: 1, writer: 0, time_ns, old, new, count: 1, what: What::Write })
            .expect("room");
    }
    assert!(block.raw_bytes() < 15 * 1000, "{}", block.raw_bytes());
}

#[test]
fn a_long_text_is_cut_at_the_end_of_a_character() {
    let mut block = BlockBuilder::new();
    let text = "ä".repeat(TEXT_MAX_BYTES);
    block.push(&Record::Note { time_ns: 0, note: Note::Remark { text } }).expect("room");
    let sealed = block.finish(Head::NONE);
    let file = [&FileHeader { number: 1, after: Head::NONE }.encode()[..], sealed.bytes].concat();
    let mut found = Vec::new();
    steps(&file, 4096, |step| {
        if let Step::Block(block) = step {
            found = records(block);
        }
    });
    let text = "ä".repeat(TEXT_MAX_BYTES / 2);
    assert_eq!(found, [Record::Note { time_ns: 0, note: Note::Remark { text } }]);
}

#[test]
fn a_file_has_one_name_and_a_name_one_file() {
    for number in [1, 12_345_678, u64::MAX] {
        assert_eq!(file_number(&file_name(number)), Some(number));
    }
    for name in
        ["1.trail", "000000001.trail", "+0000001.trail", "00000001", "00000001.trail.damaged-1", ".trail"]
    {
        assert_eq!(file_number(name), None, "{name}");
    }
}

#[test]
fn a_hash_is_read_as_it_is_printed() {
    let hash = Hash(std::array::from_fn(|index| u8::try_from(index * 7).expect("small")));
    assert_eq!(hash.to_string().parse(), Ok(hash));
    assert_eq!(hash.to_string().to_uppercase().parse(), Ok(hash));
    for wrong in ["", "12", &"g".repeat(64), &"ä".repeat(32)] {
        assert!(wrong.parse::<Hash>().is_err(), "{wrong}");
    }
}

#[test]
fn the_account_at_a_files_beginning_is_what_was_known() {
    let mut scribe = Scribe::new();
    scribe.declare(1, "host", "records", MetricKind::Counter);
    scribe.write(1, 0, 3.0, 3);
    scribe.forbidden(1, 0, -1.0, Rule::Monotonic);
    let before = scribe.anchor.balances(1);
    scribe.rotate();
    scribe.write(1, 0, 5.0, 1);
    assert_eq!(before.len(), 1);
    assert_eq!((before[0].writes, before[0].violations), (3, 1));
    let (trail, _) = scribe.end();
    // The second file alone says where the counter stood.
    let mut found = Vec::new();
    steps(&trail.files[1].1, 100, |step| {
        if let Step::Block(block) = step {
            found.extend(records(block));
        }
    });
    assert!(found.contains(&Record::Balance(before[0])), "{found:?}");
}
