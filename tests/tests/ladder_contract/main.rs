//! Rungs 6 to 10 against real libraries that do whatever their data says they do wrong (`tests/plugins/faulty*.rs`):
//! forged headers, forged tables, lies, and broken contracts. Each is refused at its rung, by its code, in words that
//! are held by a snapshot; the program that asked lives on.
//!
//! Where a message was changed on purpose, `INSTA_UPDATE=always cargo test -p e2e --test ladder_contract` writes it.

#![forbid(unsafe_code)]

mod change;

use change::Change::{self, Both, Fault, Note, Rate};
use change::{case, refusals};
use e2e::{Pipeline, library};

#[test]
fn the_libraries_do_nothing_wrong_as_they_are_built() {
    let pipeline = Pipeline::new("version: 1", &[]);
    for name in ["faulty", "faulty_rate"] {
        let path = pipeline.add(library(name)).display().to_string();
        let report = pipeline.run(&["plugin", "check", "--format", "json", &path]).expect(0).json();
        assert_eq!(report["rungs"][8]["result"], "passed", "{report:#}");
    }
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
        case(Fault("trials-that-do-nothing"), "ladder.layout.c-abi", "C abi"),
        case(Fault("root-panics"), "ladder.layout.root", "its root could not be made"),
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
        case(Fault("type-without-a-name"), "ladder.vtable.name", "a name of 0 bytes"),
        case(Fault("name-of-no-text"), "ladder.vtable.name", "caf"),
        case(Fault("name-nowhere"), "ladder.vtable.null", "is null"),
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
        case(Both(r#""limit":1.5"#, r#""limit":"x""#), "ladder.probe.settings", "its probe setting `limit`"),
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
fn a_stage_that_remembers_is_tried_with_more_than_one_reading() {
    insta::assert_snapshot!(refusals(&[
        case(Rate("panics-at-the-second-reading"), "ladder.probe.panicked", "two readings of one sensor"),
        case(Rate("panics-at-a-later-nan"), "ladder.probe.panicked", "NaN as second and third reading"),
        case(Rate("panics-at-equal-times"), "ladder.probe.panicked", "readings of one time"),
        case(Rate("panics-back-in-time"), "ladder.probe.panicked", "go back in time"),
        case(Rate("writes-unit"), "ladder.probe.undeclared", "field `unit`"),
        case(Rate("writes-value"), "ladder.probe.undeclared", "field `value`"),
        case(Rate("writes-both"), "ladder.probe.undeclared", "fields `value` and `unit`"),
        case(Rate("reason-of-a-port"), "ladder.probe.undeclared", "`describe` does not name"),
        case(Rate("port-misspelt"), "ladder.probe.failed", "`gasp`"),
        case(Rate("holds-for-ever"), "ladder.probe.held", "after `finish`"),
        case(Rate("forgets-what-it-held"), "ladder.probe.state", "at its snapshot"),
        case(Rate("differs"), "ladder.probe.nondeterministic", "the main output differs"),
    ]));
}

#[test]
fn a_schema_that_is_none_or_of_other_settings_is_refused() {
    insta::assert_snapshot!(refusals(&[
        case(Fault("schema-panics"), "ladder.settings.schema", "no schema today"),
        case(Fault("schema-of-other-settings"), "ladder.settings.probe-settings", "`bound`"),
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
