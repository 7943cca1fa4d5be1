//! Rungs 6 to 9 against one real library that does whatever its manifest says it does wrong (`tests/plugins/faulty.rs`):
//! forged headers, forged tables, lies, and broken contracts. Each is refused at its rung, by its code, in words that
//! are held by a snapshot; the program that asked lives on.
//!
//! Where a message was changed on purpose, `INSTA_UPDATE=always cargo test -p e2e --test ladder_contract` writes it.

#![forbid(unsafe_code)]

use e2e::{Pipeline, library};
use std::fmt::Write as _;
use std::path::PathBuf;

/// A change to the library's file, and what must come of it.
struct Case {
    /// The fault's name, or a text in the manifest and what is written over it.
    change: Change,
    code: &'static str,
    /// Part of what was found.
    words: &'static str,
}

#[derive(Clone, Copy)]
enum Change {
    Fault(&'static str),
    /// Written over a text of the same length: in the note only (the first copy), or in both.
    Note(&'static str, &'static str),
    Both(&'static str, &'static str),
}

use Change::{Both, Fault, Note};

const fn case(change: Change, code: &'static str, words: &'static str) -> Case {
    Case { change, code, words }
}

/// Where the manifest says what is wrong, as it is built.
const NO_FAULT: &str = "fault: none                          ";

impl Change {
    fn name(self) -> String {
        match self {
            Fault(name) => name.to_owned(),
            Note(_, to) => format!("in the note only: {to}"),
            Both(_, to) => format!("in both manifests: {to}"),
        }
    }

    /// The library's bytes with this change.
    fn applied(self) -> Vec<u8> {
        const MARK: &[u8] = b"Linker: LLD ";
        let (from, to, most) = match self {
            Fault(name) => {
                (NO_FAULT, format!("{:<width$}", format!("fault: {name}"), width = NO_FAULT.len()), 2)
            }
            Note(from, to) => (from, to.to_owned(), 1),
            Both(from, to) => (from, to.to_owned(), 2),
        };
        assert_eq!(from.len(), to.len(), "`{from}` and `{to}`");
        let mut bytes = std::fs::read(library("faulty")).unwrap();
        let places: Vec<usize> = bytes
            .windows(from.len())
            .enumerate()
            .filter(|(_, at)| *at == from.as_bytes())
            .map(|(at, _)| at)
            .collect();
        assert_eq!(places.len(), 2, "`{from}` stands in the note and in its copy");
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
    fn write(self, pipeline: &Pipeline) -> PathBuf {
        let name = self.name().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let file = pipeline.path("plugins").join(format!("lib{name}.so"));
        std::fs::write(&file, self.applied()).unwrap();
        file
    }
}

/// Each case is refused by its code; gives all that is said, to be compared with the snapshot.
#[track_caller]
fn refusals(cases: &[Case]) -> String {
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
    const PLACE: &str = "faulty.rs:";
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

#[test]
fn the_library_does_nothing_wrong_as_it_is_built() {
    let pipeline = Pipeline::new("version: 1", &[]);
    let file = pipeline.add(library("faulty"));
    let report =
        pipeline.run(&["plugin", "check", "--format", "json", &file.display().to_string()]).expect(0).json();
    assert_eq!(report["rungs"][8]["result"], "passed", "{report:#}");
}

#[test]
fn a_forged_header_is_refused_and_what_hides_deeper_ends_the_child_only() {
    insta::assert_snapshot!(refusals(&[
        case(Fault("header-of-another-kind"), "ladder.layout.abi-stable", "none at all"),
        case(
            Fault("version-nowhere"),
            "ladder.layout.bad-pointer",
            "the version in its header leads to 0x1000"
        ),
        case(Fault("no-layout"), "ladder.layout.no-layout", "without a layout constant"),
        case(Fault("layout-nowhere"), "ladder.layout.bad-pointer", "the layout constant in its header"),
        case(Fault("layout-of-garbage"), "ladder.vetting.died", "at rung 6 (layout)"),
        case(Fault("trials-nowhere"), "ladder.layout.bad-pointer", "trial functions"),
        case(Fault("initialiser-in-libc"), "ladder.layout.bad-pointer", "in libc"),
        case(Fault("constructor-in-data"), "ladder.layout.bad-pointer", "data of the library"),
        case(Fault("root-on-the-heap"), "ladder.layout.bad-pointer", "its root leads to"),
    ]));
}

#[test]
fn a_forged_table_is_refused_before_anything_in_it_is_called() {
    insta::assert_snapshot!(refusals(&[
        case(Fault("root-of-another-version"), "ladder.vtable.abi-version", "ABI version 7"),
        case(Fault("no-types"), "ladder.vtable.types", "0 component types"),
        case(Fault("too-many-types"), "ladder.vtable.types", "1000000 component types"),
        case(Fault("null-function"), "ladder.vtable.incomplete", "`process` is null"),
        case(Fault("short-table"), "ladder.vtable.incomplete", "64 bytes; 72 are expected"),
        case(Fault("function-in-libc"), "ladder.vtable.outside", "in libc"),
        case(Fault("function-in-data"), "ladder.vtable.no-code", "data of the library and not code"),
        case(Fault("misaligned-table"), "ladder.vtable.misaligned", "not a multiple of 8"),
        case(Fault("table-nowhere"), "ladder.vtable.outside", "where no library is"),
        case(Fault("writable-table"), "ladder.vtable.writable", "can be written"),
        case(Fault("half-a-group"), "ladder.vtable.group", "`snapshot` is null"),
        case(
            Fault("group-of-another-layout"),
            "ladder.vtable.group",
            "StateGroup here, BatchHeader in the plugin"
        ),
        case(Fault("group-of-another-id"), "ladder.vtable.group", "group 9"),
        case(Fault("group-for-any-id"), "ladder.vtable.group", "group"),
        case(Fault("group-nowhere"), "ladder.vtable.outside", "group state leads to 0x1000"),
    ]));
}

#[test]
fn a_manifest_that_lies_is_found_out() {
    insta::assert_snapshot!(refusals(&[
        case(Both(r#""kind":"source","#, r#""kind":"sink"  ,"#), "ladder.truth.types", "source source"),
        case(Both(r#""name":"sink""#, r#""name":"sing""#), "ladder.truth.types", "sink sink"),
        case(Both(r#"["deterministic"]"#, r#"["state"        ]"#), "ladder.truth.state", "no snapshot"),
        case(Both(r#"["deterministic"]"#, r#"["idempotent"   ]"#), "ladder.truth.kind", "`idempotent`"),
        case(
            Both(r#"["deterministic"]"#, r#"["holds"        ]"#),
            "ladder.probe.undeclared",
            "deterministic"
        ),
        case(Note(r#""kind":"source","#, r#""kind":"sink"  ,"#), "ladder.truth.note", "source"),
        case(Note(r#"["deterministic"]"#, r#"["drops"        ]"#), "ladder.truth.note", "deterministic"),
        case(Note(r#""name":"seen""#, r#""name":"sean""#), "ladder.truth.note", "seen"),
        case(Note("/etc/hostname", "/etc/hosts   "), "ladder.truth.note", "/etc/host"),
        case(Note(r#""threads":1"#, r#""threads":9"#), "ladder.truth.note", "threads"),
    ]));
}

#[test]
fn a_description_that_lies_is_found_out() {
    insta::assert_snapshot!(refusals(&[
        case(Fault("describe-another-kind"), "ladder.probe.contract", "a stage describes itself as a sink"),
        case(Fault("describe-more"), "ladder.probe.undeclared", "creates, writes value"),
        case(Fault("describe-drops"), "ladder.probe.undeclared", "drops"),
        case(Fault("describe-impure"), "ladder.probe.impure", "differently"),
        case(Fault("describe-problem"), "ladder.probe.settings", "`limit`: must be above 0"),
        case(Fault("describe-bad-name"), "ladder.probe.contract", "`Not A Name` is no name"),
        case(Fault("describe-panics"), "ladder.probe.panicked", "nothing to say"),
    ]));
}

#[test]
fn a_stage_that_opens_wrongly_is_refused() {
    insta::assert_snapshot!(refusals(&[
        case(Fault("attach-refuses"), "ladder.probe.attach", "outcome 1"),
        case(Fault("open-panics"), "ladder.probe.panicked", "no luck today"),
        case(Fault("open-fails"), "ladder.probe.failed", "the device is gone"),
        case(Fault("open-fails-at-length"), "ladder.probe.failed", "no no no"),
        case(Fault("open-gives-nothing"), "ladder.probe.contract", "gave no instance"),
        case(Fault("open-answers-oddly"), "ladder.probe.contract", "outcome 77"),
        case(Fault("leaks-a-thread"), "ladder.probe.threads", "1 threads that the host does not know"),
        case(Fault("leaks-a-host-thread"), "ladder.probe.threads", "1 of the threads that it spawned"),
    ]));
}

#[test]
fn a_stage_that_breaks_its_contract_is_refused() {
    insta::assert_snapshot!(refusals(&[
        case(Fault("process-panics"), "ladder.probe.panicked", "not finite"),
        case(Fault("drops-undeclared"), "ladder.probe.undeclared", "`describe` does not name"),
        case(Fault("loses"), "ladder.probe.imbalance", "in 1"),
        case(Fault("creates"), "ladder.probe.undeclared", "records are made"),
        case(Fault("reorders"), "ladder.probe.undeclared", "another order"),
        case(Fault("writes-time"), "ladder.probe.undeclared", "field `timestamp`"),
        case(Fault("writes-value"), "ladder.probe.undeclared", "field `value`"),
        case(Fault("writes-sensor"), "ladder.probe.undeclared", "field `sensor`"),
        case(Fault("writes-unit"), "ladder.probe.undeclared", "field `unit`"),
        case(Fault("writes-quality"), "ladder.probe.undeclared", "field `quality`"),
        case(Fault("sets-reserved-bits"), "ladder.probe.quality", "0x8"),
        case(Fault("makes-up-a-sensor"), "ladder.probe.unknown-id", "sensor 4294967295"),
        case(Fault("nondeterministic"), "ladder.probe.imbalance", "in 1"),
        case(Fault("endless"), "ladder.probe.endless", "without end"),
        case(Fault("answers-oddly"), "ladder.probe.contract", "outcome 99"),
    ]));
}

#[test]
fn memory_that_was_not_lent_is_not_touched() {
    insta::assert_snapshot!(refusals(&[
        case(Fault("more-than-capacity"), "ladder.probe.contract", "513 records and room for 512"),
        case(Fault("swaps-records"), "ladder.probe.contract", "buffer was swapped"),
        case(Fault("swaps-capacity"), "ladder.probe.contract", "buffer was swapped"),
        case(Fault("swaps-output"), "ladder.probe.contract", "main output's buffer was swapped"),
        case(Fault("writes-behind"), "ladder.probe.outside-batch", "0 bytes behind the end of its batch"),
        case(Fault("writes-behind-when-full"), "ladder.probe.outside-batch", "with a full batch"),
        case(Fault("reads-behind"), "ladder.probe.outside-batch", "behind the end of its batch"),
        case(Fault("writes-before"), "ladder.probe.outside-batch", "1 bytes before the beginning"),
        case(Fault("writes-behind-output"), "ladder.probe.outside-batch", "the main output"),
        case(Fault("keeps-batch"), "ladder.probe.kept-batch", "of an earlier call"),
        case(Fault("thread-writes-later"), "ladder.probe.kept-batch", "of an earlier call"),
        case(Fault("sink-writes"), "ladder.probe.wrote-delivery", "lent for reading"),
        case(Fault("sink-reads-behind"), "ladder.probe.outside-batch", "`write`"),
        case(Fault("sink-keeps-batch"), "ladder.probe.kept-batch", "`write`"),
        case(Fault("fill-behind"), "ladder.probe.outside-batch", "`fill`"),
    ]));
}

#[test]
fn a_source_or_a_sink_that_breaks_its_contract_is_refused() {
    insta::assert_snapshot!(refusals(&[
        case(Fault("fill-panics"), "ladder.probe.panicked", "nothing to count"),
        case(Fault("fill-too-many"), "ladder.probe.contract", "513 records and room for 512"),
        case(Fault("fill-ends"), "ladder.probe.undeclared", "`finite` is not declared"),
        case(Fault("fill-idle-in-the-past"), "ladder.probe.idle", "a time that was over"),
        case(Fault("fill-idle-for-ever"), "ladder.probe.idle", "more than a year"),
        case(Fault("fill-unknown-sensor"), "ladder.probe.unknown-id", "sensor 4294967295"),
        case(Fault("fill-reserved-bits"), "ladder.probe.quality", "0x8000"),
        case(Fault("write-panics"), "ladder.probe.panicked", "too many"),
        case(Fault("write-rejects-undeclared"), "ladder.probe.undeclared", "`describe` does not name"),
        case(Fault("commit-fails"), "ladder.probe.failed", "the disk is full"),
        case(Fault("commit-retries-in-the-past"), "ladder.probe.contract", "ago"),
    ]));
}

#[test]
fn a_source_that_does_not_hear_that_it_is_to_stop_is_refused() {
    let pipeline = Pipeline::new("version: 1", &[]);
    let path = Fault("fill-deaf").write(&pipeline).display().to_string();
    let report = pipeline.run(&["plugin", "check", "--format", "json", &path]).expect(78).json();
    assert_eq!(report["refusal"]["code"], "ladder.probe.cancellation", "{report:#}");
}

#[test]
fn a_call_that_never_returns_ends_at_the_deadline() {
    let pipeline = Pipeline::new("version: 1", &[]);
    for fault in ["open-hangs", "process-hangs"] {
        let path = Fault(fault).write(&pipeline).display().to_string();
        let arguments = ["plugin", "check", "--deadline", "1s", "--format", "json", &path];
        let report = pipeline.run(&arguments).expect(78).json();
        assert_eq!(report["refusal"]["code"], "ladder.vetting.timeout", "{report:#}");
        let found = report["refusal"]["found"].as_str().unwrap();
        assert!(found.contains("rung 9 (probe), component type `stage`"), "{found}");
    }
}

/// One of each way: a header, a table, a lie, a crash, a panic, memory.
const SAMPLE: [Change; 7] = [
    Fault("version-nowhere"),
    Fault("function-in-libc"),
    Fault("layout-of-garbage"),
    Note("/etc/hostname", "/etc/hosts   "),
    Fault("open-panics"),
    Fault("process-panics"),
    Fault("keeps-batch"),
];

#[test]
fn hostile_files_beside_good_plugins_are_refused_by_the_daemon_when_they_are_used() {
    /// The codes of `SAMPLE`, in its order.
    const CODES: [&str; 7] = [
        "ladder.layout.bad-pointer",
        "ladder.vtable.outside",
        "ladder.vetting.died",
        "ladder.truth.note",
        "ladder.probe.panicked",
        "ladder.probe.panicked",
        "ladder.probe.kept-batch",
    ];
    let good = "version: 1\nsources:\n  numbers: { plugin: generate, settings: { count: 1000 } }\nsinks:\n  end: { plugin: \
                blackhole, inputs: [numbers] }\n";
    let pipeline = Pipeline::new(good, &["source_generate", "sink_blackhole"]);
    for (change, version) in SAMPLE.into_iter().zip('1'..) {
        write_version(change, version, &pipeline);
    }
    pipeline.run(&["run"]).expect(0);
    for (code, version) in CODES.into_iter().zip('1'..) {
        pipeline.write_yaml(&format!(
            "{good}stages:\n  bad: {{ plugin: faulty/stage@1.0.{version}, inputs: [numbers] }}\n"
        ));
        for command in ["check", "run"] {
            let said = pipeline.run(&[command]).expect(78).stderr;
            assert!(said.contains(code), "{code}: {said}");
        }
    }
}

/// A file of a version of its own: two of one version would be refused for that.
fn write_version(change: Change, version: char, pipeline: &Pipeline) {
    let file = change.write(pipeline);
    let mut bytes = std::fs::read(&file).unwrap();
    let from = br#""version":"1.0.0""#;
    let places: Vec<usize> =
        bytes.windows(from.len()).enumerate().filter(|(_, at)| at == from).map(|(at, _)| at).collect();
    assert_eq!(places.len(), 2);
    for place in places {
        bytes[place + from.len() - 2] = u8::try_from(version).unwrap();
    }
    std::fs::write(&file, bytes).unwrap();
}

#[test]
fn a_folder_is_checked_file_by_file_and_each_refusal_is_counted() {
    let pipeline = Pipeline::new("version: 1", &["stage_range", "sink_blackhole"]);
    for change in SAMPLE {
        change.write(&pipeline);
    }
    let report = pipeline.run(&["plugin", "check", "--format", "json", "plugins"]).expect(78).json();
    assert_eq!(report["accepted"], false);
    let files = report["files"].as_array().unwrap();
    let refused = files.iter().filter(|file| file["accepted"] == false).count();
    assert_eq!((files.len(), refused), (SAMPLE.len() + 2, SAMPLE.len()));
    let text = pipeline.run(&["plugin", "check", "plugins"]).expect(78).stdout;
    assert!(text.contains("7 of 9 files refused"), "{text}");
    assert!(text.contains("cardcage explain ladder.vtable.outside"), "{text}");
    assert!(!text.contains('\u{1b}'), "colours are for terminals: {text}");
    pipeline
        .run(&[
            "plugin",
            "check",
            "plugins/libcardcage_stage_range.so",
            "plugins/libcardcage_sink_blackhole.so",
        ])
        .expect(0);
}
