//! Compressed files, whole and damaged.

use super::FileSource;
use super::{file, line, lines, open, values};
use cardcage_plugin_api::Fill;
use cardcage_plugin_api::serde_json::json;
use cardcage_plugin_api::testing::SourceHarness;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;
use tempfile::TempDir;

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &str) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// What zstd puts between frames, for tools.
fn skippable() -> Vec<u8> {
    [&[0x50, 0x2A, 0x4D, 0x18, 3, 0, 0, 0][..], b"abc"].concat()
}

#[test]
fn compressed_files_are_read_by_ending_or_first_bytes_with_all_their_members() {
    let folder = TempDir::new().unwrap();
    let (first, second) = (lines(5000), (5000..9000).map(line).collect::<String>());
    // A line that is cut by the end of a member goes on in the next.
    let (head, tail) = first.split_at(1001);
    for (name, bytes) in [
        ("a.ndjson.gz", [gzip(head), gzip(tail), gzip(&second)].concat()),
        ("a.ndjson.zst", [zstd(head), skippable(), zstd(tail), zstd(&second)].concat()),
        ("disguised.ndjson", gzip(&(first.clone() + &second))),
        ("skipped-first.json", [skippable(), zstd(&(first.clone() + &second))].concat()),
    ] {
        let path = file(&folder, name, bytes);
        let mut source = open(json!({ "path": path })).with_capacity(700);
        let mut all = values(&source.fill().unwrap().records);
        // Positions are those of the text, so a restored source goes on there.
        let (version, state) = source.snapshot().unwrap();
        let mut restored = open(json!({ "path": path }));
        restored.restore(version, &state).unwrap();
        all.extend(values(&restored.until_finished().unwrap()));
        assert_eq!(all, (0..9000).collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn an_empty_archive_has_no_lines() {
    let folder = TempDir::new().unwrap();
    for (name, bytes) in
        [("a.json.gz", vec![]), ("b.json.gz", gzip("")), ("c.json.zst", vec![]), ("d.json.zst", zstd(""))]
    {
        let path = file(&folder, name, bytes);
        assert_eq!(open(json!({ "path": path })).until_finished().unwrap(), [], "{name}");
    }
}

#[test]
fn a_cut_or_damaged_archive_gives_what_came_before_and_names_byte_and_file() {
    let folder = TempDir::new().unwrap();
    let noise = (0..60_000_u32).map(|n| line(n.wrapping_mul(2_654_435_761) % 1_000_000)).collect::<String>();
    for (name, whole) in [("a.ndjson.gz", gzip(&noise)), ("a.ndjson.zst", zstd(&noise))] {
        let cut = whole[..whole.len() / 2].to_vec();
        let mut damaged = whole.clone();
        let middle = whole.len() / 2;
        damaged[middle..middle + 64].fill(0xA5);
        let mut checksum = whole.clone();
        *checksum.last_mut().unwrap() ^= 1;
        for (bytes, expected, least) in
            [(cut, "breaks off", 1), (damaged, "damaged", 1), (checksum, "damaged", 50_000)]
        {
            let path = file(&folder, name, bytes);
            let mut source = open(json!({ "path": path }));
            let mut count = 0;
            let failure = loop {
                match source.fill() {
                    Ok(filled) => count += filled.records.len(),
                    Err(failure) => break failure,
                }
            };
            assert!(count >= least, "{count} lines came before {failure}");
            let message = failure.message;
            assert!(message.contains(expected) && message.contains(name), "{message}");
            let byte = message.split("at byte ").nth(1).unwrap();
            let digits = byte.split(|c: char| !c.is_ascii_digit()).next().unwrap();
            assert!(digits.parse::<usize>().unwrap() <= whole.len(), "{message}");
        }
    }
}

/// Fills until the source fails.
fn until_failure(source: &mut SourceHarness<FileSource>) -> (Vec<u32>, String) {
    let mut all = Vec::new();
    for _ in 0..1000 {
        match source.fill() {
            Ok(filled) if filled.fill == Fill::Finished => panic!("finished with {} readings", all.len()),
            Ok(filled) => all.extend(values(&filled.records)),
            Err(failure) => return (all, failure.message),
        }
    }
    panic!("no end after {} readings", all.len());
}

#[test]
fn a_damaged_archive_lets_the_others_be_read_and_is_a_failure_until_it_is_mended() {
    let folder = TempDir::new().unwrap();
    let whole = gzip(&lines(60_000));
    let damaged = file(&folder, "a.ndjson.gz", &whole[..whole.len() / 2]);
    let large = file(&folder, "b.ndjson", (50_000..70_000).map(line).collect::<String>());
    for threads in [1, 3] {
        file(&folder, "a.ndjson.gz", &whole[..whole.len() / 2]);
        let settings = json!({ "path": [damaged, large], "threads": threads });
        let mut source = open(settings.clone());
        let (mut all, why) = until_failure(&mut source);
        assert!(why.contains("breaks off") && why.contains("a.ndjson.gz"), "{why}");
        assert_eq!(all.split_off(all.len() - 20_000), (50_000..70_000).collect::<Vec<_>>());
        // Opened again, as the host does: it is tried again, and nobody says that it has nothing new.
        let (version, state) = source.snapshot().unwrap();
        let mut source = open(settings.clone());
        source.restore(version, &state).unwrap();
        let (more, again) = until_failure(&mut source);
        assert_eq!((more.len(), again), (0, why));
        let logs = source.host().logs();
        let said = |text: &str| logs.iter().any(|line| line.message.contains(text));
        assert!(said("b.ndjson") && said("nothing new since the source was opened again"), "{logs:?}");
        assert!(
            !logs
                .iter()
                .any(|line| line.message.contains("nothing new") && line.message.contains("a.ndjson"))
        );
        // The whole file has come by now.
        let (version, state) = source.snapshot().unwrap();
        file(&folder, "a.ndjson.gz", &whole);
        let mut source = open(settings);
        source.restore(version, &state).unwrap();
        all.extend(values(&source.until_finished().unwrap()));
        assert_eq!(all, (0..60_000).collect::<Vec<_>>(), "each reading once");
    }
}

#[test]
fn several_damaged_files_are_told_as_so_many() {
    let folder = TempDir::new().unwrap();
    for name in ["a.ndjson.gz", "b.ndjson.gz"] {
        file(&folder, name, [0x1F, 0x8B, 1, 1, 1, 1, 1]);
    }
    let mut source = open(json!({ "path": folder.path().join("*.gz") }));
    let (_, why) = until_failure(&mut source);
    assert!(why.starts_with("2 files") && why.contains("a.ndjson.gz"), "{why}");
    let logs = source.host().logs();
    assert!(logs.iter().any(|line| line.message.contains("b.ndjson.gz")), "{logs:?}");
}

#[test]
fn zeros_behind_a_gzip_file_are_padding_and_anything_else_is_damage() {
    let folder = TempDir::new().unwrap();
    let padding = vec![0; 100_000];
    for (bytes, is_whole) in [
        ([gzip(&lines(5)), padding.clone()].concat(), true),
        ([gzip(&lines(3)), padding.clone(), gzip(&line(3)), gzip(&line(4))].concat(), true),
        ([gzip(&lines(5)), padding, vec![7; 20]].concat(), false),
        ([gzip(&lines(5)), b"plain text".to_vec()].concat(), false),
    ] {
        let path = file(&folder, "a.ndjson.gz", bytes);
        let mut source = open(json!({ "path": path }));
        if is_whole {
            assert_eq!(values(&source.until_finished().unwrap()), [0, 1, 2, 3, 4]);
        } else {
            let (all, why) = until_failure(&mut source);
            assert!(all.len() == 5 && why.contains("damaged"), "{all:?} {why}");
        }
    }
}

#[test]
fn a_file_that_is_no_archive_in_spite_of_its_name_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "a.ndjson.gz", lines(2));
    let message = open(json!({ "path": path })).fill().unwrap_err().message;
    assert!(message.contains("does not begin like it"), "{message}");
}
