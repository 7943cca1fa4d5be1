//! Line protocol whose texts have line ends in them, which end no line.

use super::{file, open};
use cardcage_plugin_api::Fill;
use cardcage_plugin_api::serde_json::json;
use cardcage_plugin_api::testing::SourceHarness;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use tempfile::TempDir;

/// Two records a line, and a text, which is rejected.
const TEXT: &str = "m a=1,note=\"x\n y=\n\",b=2 1\nm a=3,b=4 2\nm note=\"\n\" 3\nm a=5,b=6 4\n";

/// More calls than any of these files needs: a source that stands still fails, and does not hang.
const CALLS_MAX: usize = 2000;

type Came = (Vec<f64>, u64, u64);

/// Fills until the source is idle, or finished.
fn take(source: &mut SourceHarness<super::FileSource>, came: &mut Came) {
    for _ in 0..CALLS_MAX {
        let filled = source.fill().unwrap();
        came.0.extend(filled.records.iter().map(|record| record.value));
        came.1 += filled.rejected("text_field");
        came.2 += filled.rejected("bad_line");
        if filled.fill != Fill::Produced {
            return;
        }
    }
    panic!("the source stands still at {came:?}");
}

fn append(path: &Path, text: &str) {
    OpenOptions::new().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

#[test]
fn a_line_whose_rest_comes_later_is_read_wherever_it_was_cut() {
    let folder = TempDir::new().unwrap();
    for (capacity, cut) in [100, 3].into_iter().flat_map(|c| (0..=TEXT.len()).map(move |cut| (c, cut))) {
        let path = file(&folder, "a.lp", &TEXT[..cut]);
        let mut source = open(json!({ "path": path, "follow": true })).with_capacity(capacity);
        let mut came = Came::default();
        take(&mut source, &mut came);
        append(&path, &TEXT[cut..]);
        source.host().advance(std::time::Duration::from_secs(1));
        // Once for the news, once more for the look.
        take(&mut source, &mut came);
        take(&mut source, &mut came);
        assert_eq!(came, (vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2, 0), "{capacity} {cut}");
    }
}

#[test]
fn a_text_that_is_cut_by_a_read_is_read_as_one_that_is_not() {
    let folder = TempDir::new().unwrap();
    // One byte more in front each time, so that every place in the line is where a read ends.
    let line = "m a=1,note=\"x\ny\nz\",b=2 1\n";
    for shift in 0..line.len() {
        let text = format!("#{}\n{}", "x".repeat(shift), line.repeat(12_000));
        let path = file(&folder, "a.lp", &text);
        let mut source = open(json!({ "path": path, "threads": 1 }));
        let mut came = Came::default();
        take(&mut source, &mut came);
        assert_eq!((came.0.len(), came.1, came.2), (24_000, 12_000, 0), "{shift}");
    }
}

#[test]
fn a_quote_too_many_costs_its_line_and_no_other_file() {
    let folder = TempDir::new().unwrap();
    let stray = "m f=1 1\nm s=\"abc 1\nm f=2 2\nm f=3 3\n";
    let path = file(&folder, "a.lp", stray);
    let mut came = Came::default();
    take(&mut open(json!({ "path": path })), &mut came);
    assert_eq!(came, (vec![1.0, 2.0, 3.0], 0, 1));
    // Where the file may grow, what is behind the quote waits for its fellow, up to `max_line`; other files do not.
    file(&folder, "b.lp", "m f=8 8\n".repeat(100));
    let mut came = Came::default();
    let mut source = open(json!({ "path": folder.path().join("*.lp"), "follow": true }));
    take(&mut source, &mut came);
    assert_eq!(came.0.len(), 101);
    append(&path, "\" 4\nm f=9 9\n");
    source.host().advance(std::time::Duration::from_secs(1));
    take(&mut source, &mut came);
    take(&mut source, &mut came);
    assert_eq!((came.0.len(), came.1, came.2), (102, 1, 0));
}
