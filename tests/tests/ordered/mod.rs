//! A library that does at a moment what a text in it says; tests write the text.

use e2e::{Finished, Pipeline, library};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The text in the library, and how long it is.
const ORDER: &[u8] = b"misbehave:never nothing";
const ORDER_BYTES: usize = 64;
/// By this a linker is known whose build ids can be made again.
const LINKER: &[u8] = b"Linker: LLD";
/// Enough for a plugin that does not hang, on a loaded machine; those that hang wait for it.
const DEADLINE: &str = "2s";
/// The library, told to do something at a moment.
pub(crate) struct Ordered {
    folder: tempfile::TempDir,
}

impl Ordered {
    pub(crate) fn new(library_name: &str, order: &str) -> Self {
        let mut bytes = std::fs::read(library(library_name)).unwrap();
        let at = bytes
            .windows(ORDER.len())
            .position(|window| window == ORDER)
            .expect("the text is in the library");
        let mut text = format!("misbehave:{order}").into_bytes();
        assert!(text.len() <= ORDER_BYTES, "{order}");
        text.resize(ORDER_BYTES, b' ');
        bytes[at..at + ORDER_BYTES].copy_from_slice(&text);
        // A file that is not as its linker left it is refused before anything of it runs, so it must not say who linked
        // it.
        while let Some(at) = bytes.windows(LINKER.len()).position(|window| window == LINKER) {
            bytes[at..at + LINKER.len()].make_ascii_lowercase();
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("libmisbehave.so"), bytes).unwrap();
        Self { folder }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("libmisbehave.so")
    }
}

/// `plugin check` of it.
pub(crate) fn checked(file: &Path, more: &[&str]) -> Finished {
    let pipeline = Pipeline::new("version: 1", &[]);
    let path = file.display().to_string();
    pipeline.run(&[&["plugin", "check", "--deadline", DEADLINE, &path], more].concat())
}

/// The report of a `plugin check`, whose exit code agrees with it.
pub(crate) fn report(file: &Path) -> Value {
    let finished = checked(file, &["--format", "json"]);
    let report = finished.json();
    let expected = if report["accepted"] == true { 0 } else { 78 };
    assert_eq!(finished.code(), expected, "{report:#}");
    report
}
