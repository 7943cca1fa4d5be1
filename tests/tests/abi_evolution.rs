//! What a change of the ABI does to plugins: each change is made to a copy of the API, a plugin is built against it, and
//! this host takes it or refuses it. `docs/abi.md` has the outcome as a table; the other direction, a plugin from before
//! the change in a host from after it, is tried by the unit tests of `host/src/loader/layout.rs`.

#![forbid(unsafe_code)]

use e2e::{Pipeline, altered};
use serde_json::Value;
use std::path::Path;

/// A text in a file of the API, and what is put in its place.
type Replaced = (&'static str, &'static str, &'static str);

/// The struct's last line and what follows it, unique in the file.
const END_OF_SINK: &str = "commit: Option<unsafe extern \"C\" fn(instance: *mut Instance, epoch: u64, call: *mut Call) -> Outcome>,\n}";
const END_OF_ROOT: &str = "    pub attach: unsafe extern \"C\" fn(host: *const HostTable) -> Outcome,\n";

const END_OF_HOST_TABLE: &str =
    "    pub get_group: Option<unsafe extern \"C\" fn(context: *mut c_void, id: u32) -> *const Group>,\n";
const LONGER_HOST_TABLE: &str = "    pub get_group: Option<unsafe extern \"C\" fn(context: *mut c_void, id: u32) -> *const \
                                 Group>,\n    /// New.\n    pub later: usize,\n";
/// A whole function of a table, with its comment.
const ACKNOWLEDGE: &str =
    "    /// `[who]` host · `[thread]` lane · `[state]` open. Everything up to these positions is safe \
downstream and will
    /// not be asked for again. One position per stream, all of one epoch.
    pub acknowledge: Option<
        unsafe extern \"C\" fn(
            instance: *mut Instance,
            positions: *const StreamPosition,
            count: usize,
            call: *mut Call,
        ) -> Outcome,
    >,
";

struct Change {
    name: &'static str,
    replaced: Vec<Replaced>,
    /// Absent if the plugin loads.
    refused: Option<Refused>,
}

struct Refused {
    code: &'static str,
    /// Part of what was found.
    words: &'static str,
}

fn loads(name: &'static str, replaced: Vec<Replaced>) -> Change {
    Change { name, replaced, refused: None }
}

fn refused(name: &'static str, words: &'static str, replaced: Vec<Replaced>) -> Change {
    let refused = Some(Refused { code: "ladder.layout.mismatch", words });
    Change { name, replaced, refused }
}

fn changes() -> Vec<Change> {
    vec![
        // It is the change that is refused below, and not the way in which these are built.
        loads("nothing", Vec::new()),
        loads(
            "group-added",
            vec![(
                "abi.rs",
                "    pub const STATE: u32 = 1;\n}",
                "    pub const STATE: u32 = 1;\n    /// New.\n    pub const TRIALS: u32 = 2;\n}\n\n/// New.\n#[repr(C)]\n\
                 #[derive(Clone, Copy, Debug, StableAbi)]\npub struct TrialsGroup {\n    /// Size.\n    pub size: usize,\n    \
                 /// New.\n    pub trial: Option<unsafe extern \"C\" fn(instance: *mut Instance) -> Outcome>,\n}",
            )],
        ),
        refused(
            "field-added",
            "fields",
            vec![
                (
                    "abi.rs",
                    END_OF_SINK,
                    "commit: Option<unsafe extern \"C\" fn(instance: *mut Instance, epoch: u64, call: *mut Call) -> Outcome>,\n    \
                     /// New.\n    pub flush: usize,\n}",
                ),
                ("shim.rs", "commit: Some(commit::<T>),", "commit: Some(commit::<T>), flush: 0,"),
            ],
        ),
        refused(
            "field-removed",
            "fields",
            vec![
                (
                    "abi.rs",
                    "    pub kind: KindCode,\n    /// Zero.\n    pub reserved: u32,\n",
                    "    pub kind: KindCode,\n",
                ),
                ("shim.rs", "        kind,\n        reserved: 0,\n", "        kind,\n"),
            ],
        ),
        refused(
            "field-retyped",
            // The struct's own name: nobody finds it by the way to it.
            "BatchHeader",
            vec![("abi.rs", "    pub config_generation: u32,", "    pub config_generation: i32,")],
        ),
        refused(
            "parameter-renamed",
            "epoch",
            vec![(
                "abi.rs",
                "epoch: u64, call: *mut Call) -> Outcome>,\n}",
                "barrier: u64, call: *mut Call) -> Outcome>,\n}",
            )],
        ),
        // Two functions of one type, in a table behind two pointers and a function's return type.
        refused(
            "functions-swapped",
            "tick",
            vec![
                ("abi.rs", "pub tick: Option<", "pub third: Option<"),
                ("abi.rs", "pub finish: Option<", "pub tick: Option<"),
                ("abi.rs", "pub third: Option<", "pub finish: Option<"),
            ],
        ),
        // Two fields of a struct that the tables only point at.
        refused(
            "fields-swapped",
            "undeclared",
            vec![
                ("abi.rs", "    pub undeclared: u64,", "    pub created: u64,"),
                (
                    "abi.rs",
                    "    /// Records this call made that were not in its input. Zeroed before the call.\n    pub created: u64,",
                    "    /// Swapped.\n    pub undeclared: u64,",
                ),
            ],
        ),
        root_of_nothing(),
        // A field more in a struct that is frozen.
        refused(
            "record-grown",
            "Record",
            vec![
                (
                    "record.rs",
                    "    pub quality: Quality,\n}",
                    "    pub quality: Quality,\n    /// More.\n    pub more: u64,\n}",
                ),
                ("record.rs", "size_of::<Record>() == 24", "size_of::<Record>() == 32"),
            ],
        ),
    ]
}

/// In tables of functions, which are frozen.
fn changes_of_tables() -> Vec<Change> {
    vec![
        refused(
            "function-removed",
            "SourceVtable",
            vec![
                ("abi.rs", ACKNOWLEDGE, ""),
                ("shim.rs", "            acknowledge: Some(acknowledge::<T>),\n", ""),
            ],
        ),
        refused(
            "function-renamed",
            "`acknowledge` here, `accept` in the plugin",
            vec![
                ("abi.rs", "    pub acknowledge: Option<", "    pub accept: Option<"),
                (
                    "shim.rs",
                    "            acknowledge: Some(acknowledge::<T>),",
                    "            accept: Some(acknowledge::<T>),",
                ),
            ],
        ),
        refused(
            "size-retyped",
            "usize here, u64 in the plugin",
            vec![
                (
                    "abi.rs",
                    "    pub size: usize,\n    /// `[who]` host · `[thread]` control · `[state]` loaded. Writes the JSON Schema",
                    "    pub size: u64,\n    /// `[who]` host · `[thread]` control · `[state]` loaded. Writes the JSON Schema",
                ),
                (
                    "shim.rs",
                    "        size,\n        schema: Some(",
                    "        size: size as u64,\n        schema: Some(",
                ),
            ],
        ),
        refused("host-table-grown", "HostTable", vec![("abi.rs", END_OF_HOST_TABLE, LONGER_HOST_TABLE)]),
    ]
}

/// A library whose root has nothing in it: `abi_stable` would take it for one from before all of the fields came.
fn root_of_nothing() -> Change {
    refused(
        "root-of-nothing",
        "Root",
        vec![
            ("abi.rs", END_OF_ROOT, "    pub nothing: (),\n"),
            ("abi.rs", "    /// [`ABI_VERSION`] of the plugin.\n    pub abi_version: u32,\n", ""),
            (
                "abi.rs",
                "    pub components: unsafe extern \"C\" fn(count: *mut usize) -> *const ComponentType,\n",
                "",
            ),
            (
                "export.rs",
                "        abi_version: ABI_VERSION,\n        components: components::<L>,\n        attach: shim::attach,\n",
                "        nothing: (),\n",
            ),
        ],
    )
}

fn longer(name: &'static str, field: &'static str, set: &'static str) -> Change {
    loads(name, vec![("abi.rs", END_OF_ROOT, field), ("export.rs", "attach: shim::attach,", set)])
}

fn with_a_number() -> Change {
    longer(
        "longer-by-a-number",
        "    pub attach: unsafe extern \"C\" fn(host: *const HostTable) -> Outcome,\n    /// New.\n    pub later: u32,\n",
        "attach: shim::attach, later: 1,",
    )
}

fn with_a_flag() -> Change {
    longer(
        "longer-by-a-flag",
        "    pub attach: unsafe extern \"C\" fn(host: *const HostTable) -> Outcome,\n    /// New.\n    pub other: [u64; 3],\n",
        "attach: shim::attach, other: [7; 3],",
    )
}

fn check(file: &Path) -> Value {
    let pipeline = Pipeline::new("version: 1", &[]);
    let path = pipeline.add(file).display().to_string();
    pipeline.run(&["plugin", "check", "--format", "json", &path]).json()
}

#[test]
fn each_change_of_the_abi_has_the_outcome_that_the_documentation_says() {
    for change in changes().into_iter().chain(changes_of_tables()) {
        let library = altered::library(change.name, &change.replaced);
        let report = check(library.path());
        match change.refused {
            None => assert_eq!(report["accepted"], true, "{}: {report:#}", change.name),
            Some(Refused { code, words }) => {
                assert_eq!(report["refusal"]["code"], code, "{}: {report:#}", change.name);
                let found = report["refusal"]["found"].as_str().unwrap();
                assert!(found.contains(words), "{}: {found}", change.name);
                // `abi_stable`'s own text has thousands of bytes.
                assert!(found.len() < 1000, "{}: {found}", change.name);
            }
        }
    }
}

#[test]
fn plugins_that_the_host_takes_and_that_disagree_with_each_other_load_in_either_order() {
    let number = with_a_number();
    let flag = with_a_flag();
    let libraries = [&number, &flag].map(|change| altered::library(change.name, &change.replaced));
    for names in [["liba.so", "libb.so"], ["libb.so", "liba.so"]] {
        let [first, second] = if names[0] == "liba.so" { [&number, &flag] } else { [&flag, &number] };
        let yaml = format!(
            "version: 1\nsources:\n  numbers: {{ plugin: generate, settings: {{ count: 1000 }} }}\nstages:\n  one: {{ plugin: {}, \
             inputs: [numbers] }}\n  two: {{ plugin: {}, inputs: [one] }}\nsinks:\n  end: {{ plugin: blackhole, inputs: [two] }}\n",
            first.name, second.name
        );
        let pipeline = Pipeline::new(&yaml, &["source_generate", "sink_blackhole"]);
        for (library, name) in libraries.iter().zip(names) {
            std::fs::copy(library.path(), pipeline.path("plugins").join(name)).unwrap();
        }
        pipeline.run(&["run"]).expect(0);
    }
}
