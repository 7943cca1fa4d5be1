//! Any bytes as a file of the audit trail: read to the end without a panic, whatever the pieces, and nothing taken for a block
//! that has not the hash of one. Hashes turn nearly all bytes away, so what comes in is also taken for the records of a
//! block with a right hash.

#![no_main]

use cardcage_core::audit::{
    BlockBuilder, FileHeader, Hash, Head, Record, Report, Step, Stream, Verifier, file_name,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // The first byte says how large the pieces are.
    let piece = bytes.first().map_or(1, |byte| usize::from(*byte) * 16 + 1);
    let whole = read(bytes, usize::MAX);
    // By their words, for not-a-numbers are not equal.
    assert_eq!(format!("{:?}", read(bytes, piece)), format!("{whole:?}"), "the pieces make no difference");
    if let Some(block) = block_of(bytes) {
        let file = [&FileHeader { number: 1, after: Head::NONE }.encode()[..], &block].concat();
        read(&file, usize::MAX);
    }
});

/// What verifying finds, and every record on the way; records that are read are written and read again.
fn read(bytes: &[u8], piece: usize) -> (Report, Vec<Record>) {
    let mut stream = Stream::new();
    let mut verifier = Verifier::new(&[Hash::NONE]);
    verifier.file(&file_name(1), 1);
    let (mut rest, mut found) = (bytes, Vec::new());
    loop {
        match stream.step() {
            Step::More if rest.is_empty() => stream.end(),
            Step::More => {
                let room = stream.room();
                let now = piece.min(room.len()).min(rest.len());
                assert!(now > 0, "there is room when more is asked for");
                room[..now].copy_from_slice(&rest[..now]);
                rest = &rest[now..];
                stream.filled(now);
            }
            step => {
                verifier.step_with(&step, &mut |_, record, _| found.push(record.clone()));
                if matches!(step, Step::End { .. }) {
                    break;
                }
            }
        }
    }
    written_again(&found);
    (verifier.finish(), found)
}

fn written_again(records: &[Record]) {
    let mut block = BlockBuilder::new();
    let pushed = records.iter().take_while(|record| block.push(record).is_ok()).count();
    let sealed = block.finish(Head::NONE);
    let file = [&FileHeader { number: 1, after: Head::NONE }.encode()[..], sealed.bytes].concat();
    let mut stream = Stream::new();
    stream.room()[..file.len()].copy_from_slice(&file);
    stream.filled(file.len());
    assert!(matches!(stream.step(), Step::Header(_)));
    let Step::Block(block) = stream.step() else {
        panic!("no block");
    };
    let again: Vec<Record> = block.records.map(|record| record.expect("was written")).collect();
    assert_eq!(format!("{again:?}"), format!("{:?}", &records[..pushed]));
}

/// A block, uncompressed, with these bytes as its records and as many of them as the first byte says. What its hash is
/// computed with is the format's (`docs/audit.md`).
fn block_of(bytes: &[u8]) -> Option<Vec<u8>> {
    let (count, raw) = bytes.split_first()?;
    let length = u32::try_from(raw.len()).ok().filter(|length| *length <= 65_536)?;
    let mut block = b"blk\n".to_vec();
    for word in [0, length, length, u32::from(*count), 0] {
        block.extend(word.to_le_bytes());
    }
    block.extend(1u64.to_le_bytes());
    block.extend([0; 32]);
    block.extend(raw);
    let hash = blake3::derive_key("cardcage audit trail, version 1, block", &block);
    block.extend(hash);
    Some(block)
}
