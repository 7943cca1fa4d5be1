//! Hostile files made of one library: a fault's name, or another manifest, is written over its bytes.

use e2e::{Pipeline, library};
use std::fmt::Write as _;
use std::path::PathBuf;

use Change::{Both, Fault, Note, Rate};

/// A change to the library's file, and what must come of it.
pub(crate) struct Case {
    /// The fault's name, or a text in the manifest and what is written over it.
    change: Change,
    code: &'static str,
    /// Part of what was found.
    words: &'static str,
}

/// What is written over what.
#[derive(Clone, Copy)]
pub(crate) enum Change {
    Fault(&'static str),
    /// A fault of a stage that remembers (`tests/plugins/faulty_rate.rs`).
    Rate(&'static str),
    /// Written over a text of the same length: in the note only (the first copy), or in both.
    Note(&'static str, &'static str),
    Both(&'static str, &'static str),
}

/// A row of a table.
pub(crate) const fn case(change: Change, code: &'static str, words: &'static str) -> Case {
    Case { change, code, words }
}

/// Where the manifest says what is wrong, as it is built.
const NO_FAULT: &str = "fault: none                          ";

impl Change {
    fn name(self) -> String {
        match self {
            Fault(name) => name.to_owned(),
            Rate(name) => format!("rate, {name}"),
            Note(_, to) => format!("in the note only: {to}"),
            Both(_, to) => format!("in both manifests: {to}"),
        }
    }

    /// The library's bytes with this change.
    fn applied(self) -> Vec<u8> {
        const MARK: &[u8] = b"Linker: LLD ";
        let (from, to, most) = match self {
            Fault(name) | Rate(name) => {
                (NO_FAULT, format!("{:<width$}", format!("fault: {name}"), width = NO_FAULT.len()), 2)
            }
            Note(from, to) => (from, to.to_owned(), 1),
            Both(from, to) => (from, to.to_owned(), 2),
        };
        assert_eq!(from.len(), to.len(), "`{from}` and `{to}`");
        let (of, copies) = if let Rate(_) = self { ("faulty_rate", 1) } else { ("faulty", 2) };
        let mut bytes = std::fs::read(library(of)).unwrap();
        let places: Vec<usize> = bytes
            .windows(from.len())
            .enumerate()
            .filter(|(_, at)| *at == from.as_bytes())
            .map(|(at, _)| at)
            .collect();
        assert_eq!(places.len(), copies, "`{from}` stands in the note and in its copy, or once in the data");
        for place in places.into_iter().take(most) {
            bytes[place..place + to.len()].copy_from_slice(to.as_bytes());
        }
        // The linker's mark: with it, rung 2 would find that the file is not as it was linked.
        if let Some(at) = bytes.windows(MARK.len()).position(|at| at == MARK) {
            bytes[at..at + MARK.len()].copy_from_slice(b"Linker: --- ");
        }
        bytes
    }

    /// A file with this change.
    pub(crate) fn write(self, pipeline: &Pipeline) -> PathBuf {
        let name = self.name().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let file = pipeline.path("plugins").join(format!("lib{name}.so"));
        std::fs::write(&file, self.applied()).unwrap();
        file
    }
}

/// Each case is refused by its code; gives all that is said, to be compared with the snapshot.
#[track_caller]
pub(crate) fn refusals(cases: &[Case]) -> String {
    let pipeline = Pipeline::new("version: 1", &[]);
    let mut said = String::new();
    for case in cases {
        let name = case.change.name();
        let file = case.change.write(&pipeline);
        let path = file.display().to_string();
        let report = pipeline.run(&["plugin", "check", "--format", "json", &path]).expect(78).json();
        let refusal = &report["refusal"];
        assert_eq!(refusal["code"], case.code, "{name}: {report:#}");
        let found = refusal["found"].as_str().unwrap();
        assert!(found.contains(case.words), "{name}: `{}` is not in `{found}`", case.words);
        let part = |key: &str| masked(refusal[key].as_str().unwrap()).replace('\n', "\n            ");
        let (found, expected, help) = (part("found"), part("expected"), part("help"));
        writeln!(
            said,
            "{name}\n  code:     {}\n  found:    {found}\n  expected: {expected}\n  help:     {help}\n",
            case.code
        )
        .unwrap();
    }
    said
}

/// Addresses and places in other people's files differ from build to build.
fn masked(text: &str) -> String {
    const PLACE: &str = ".rs:";
    let mut masked = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("0x") {
        let digits = rest[at + 2..].find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len() - at - 2);
        masked.push_str(&rest[..at]);
        // A short one is a number that somebody wrote.
        masked.push_str(if digits > 4 { "0x…" } else { &rest[at..at + 2 + digits] });
        rest = &rest[at + 2 + digits..];
    }
    masked += rest;
    // The line of a panic moves with the file above it.
    match masked.find(PLACE).map(|at| at + PLACE.len()) {
        Some(at) => {
            let line = masked[at..].find(|c: char| !c.is_ascii_digit()).unwrap_or(masked.len() - at);
            format!("{}…{}", &masked[..at], &masked[at + line..])
        }
        None => masked,
    }
}
