//! Plugins that need libraries of the system: a verdict holds for those as well, and no plugin takes the place of one.

#![forbid(unsafe_code)]

#[path = "hostile/mod.rs"]
#[expect(dead_code, reason = "other suites use the rest")]
mod hostile;

use e2e::{Finished, Pipeline, library};
use hostile::{Folder, compiled, unsealed};
use std::fs;
use std::path::PathBuf;

/// The name of a library that can be written into a plugin's dynamic section: it ends the name of a symbol that each has.
const NAME_IN_PLUGINS: &str = "bloader";

/// The dynamic section's tags of a needed library and of the library's own name.
const NEEDED: u64 = 1;
const SONAME: u64 = 14;

const HARMLESS: &str = "int answer(void) { return 42; }";
const ABORTS: &str = "#include <stdlib.h>\n__attribute__((constructor)) static void begin(void) { abort(); } int answer(void) { return 42; }";

/// `exercise`, which needs a library that is not of the system.
struct Needy {
    pipeline: Pipeline,
    libraries: Folder,
}

impl Needy {
    fn new() -> Self {
        let yaml = "version: 1\nlog: { level: debug }
sources:\n  numbers: { plugin: exercise/count, settings: { count: 1 } }
sinks:\n  lines: { plugin: exercise/lines, inputs: [numbers], settings: { path: lines.txt } }\n";
        let pipeline = Pipeline::new(yaml, &[]);
        let bytes = with_entry(&fs::read(library("exercise")).unwrap(), NEEDED);
        fs::write(pipeline.path("plugins/libexercise.so"), bytes).unwrap();
        Self { pipeline, libraries: Folder::new() }
    }

    /// Builds the library that it needs, in place.
    fn build(&self, source: &str, more: &[&str]) {
        let built = compiled(&self.libraries, "built", source, more);
        fs::copy(built, self.libraries.path(NAME_IN_PLUGINS)).unwrap();
    }

    fn run(&self) -> Finished {
        let mut command = self.pipeline.command(&["run"]);
        command.env("LD_LIBRARY_PATH", self.libraries.path("."));
        self.pipeline.spawn(command).finish()
    }

    #[track_caller]
    fn runs(&self, remembered: bool) {
        let said = self.run().expect(0).stderr;
        let line = said.lines().find(|line| line.contains("vetted")).unwrap_or_else(|| panic!("{said}"));
        let words = [format!("remembered={remembered}"), format!("\"remembered\":{remembered}")];
        assert!(words.iter().any(|words| line.contains(words)), "{line}");
    }

    #[track_caller]
    fn is_refused(&self) {
        let refused = self.run().expect(78);
        assert!(refused.stderr.contains("ladder.vetting.died"), "{}", refused.stderr);
    }
}

#[test]
fn a_verdict_ends_with_a_library_that_the_plugin_needs() {
    let needy = Needy::new();
    needy.build(HARMLESS, &[]);
    needy.runs(false);
    needy.runs(true);
    needy.build(ABORTS, &[]);
    needy.is_refused();
    needy.build(HARMLESS, &[]);
    needy.runs(false);
}

#[test]
fn a_verdict_ends_with_a_library_that_one_of_those_needs() {
    let needy = Needy::new();
    let deep = |source| compiled(&needy.libraries, "deep", source, &["-Wl,-soname,libdeep.so"]);
    let path = deep(HARMLESS);
    needy.build(
        "int answer(void); int ask(void) { return answer(); }",
        &["-Wl,--no-as-needed", path.to_str().unwrap()],
    );
    needy.runs(false);
    needy.runs(true);
    deep(ABORTS);
    needy.is_refused();
}

#[test]
fn a_library_that_comes_before_the_one_that_was_vetted_ends_the_verdict() {
    let needy = Needy::new();
    needy.build(HARMLESS, &[]);
    needy.runs(false);
    needy.runs(true);
    let better = needy.libraries.path("glibc-hwcaps/x86-64-v2");
    fs::create_dir_all(&better).unwrap();
    fs::copy(compiled(&needy.libraries, "built", ABORTS, &[]), better.join(NAME_IN_PLUGINS)).unwrap();
    needy.is_refused();
}

#[test]
fn no_verdict_is_kept_where_a_library_cannot_be_told() {
    let needy = Needy::new();
    let path = compiled(&needy.libraries, "deep", HARMLESS, &["-Wl,-soname,libdeep.so"]);
    needy.build(
        "int answer(void); int ask(void) { return answer(); }",
        // What `$LIB` stands for only the linker knows.
        &["-Wl,--no-as-needed", path.to_str().unwrap(), "-Wl,-rpath,/opt/$LIB"],
    );
    needy.runs(false);
    needy.runs(false);
    let said = needy.run().expect(0).stderr;
    assert!(said.contains("no verdict is remembered"), "{said}");
    assert!(!needy.pipeline.path(".cardcage/verdicts").exists());
}

#[test]
fn a_plugin_with_the_name_of_a_library_that_another_one_needs_is_refused() {
    let needy = Needy::new();
    needy.build(HARMLESS, &[]);
    let named = with_entry(&fs::read(e2e::plugin("stage_range")).unwrap(), SONAME);
    fs::write(needy.pipeline.path("plugins/libnamed.so"), named).unwrap();
    let listed = needy.pipeline.run(&["plugin", "list", "plugins", "--format", "json"]).expect(0).json();
    let refused = listed["refused"].as_array().unwrap();
    assert_eq!(refused.len(), 1, "{listed:#}");
    assert_eq!(refused[0]["code"], "ladder.elf.soname", "{listed:#}");
    let found = refused[0]["found"].as_str().unwrap();
    assert!(found.contains("`bloader`") && found.contains("libexercise.so"), "{found}");
    // By itself it takes nobody's place.
    let alone = Pipeline::new("version: 1", &[]);
    let file: PathBuf = needy.pipeline.path("plugins/libnamed.so");
    let path = alone.add(&file).display().to_string();
    alone.run(&["plugin", "check", &path]).expect(0);
}

#[test]
fn a_plugin_with_the_name_of_a_library_of_the_system_is_refused() {
    let folder = Folder::new();
    let note = hostile::assembled(&folder, "note", &hostile::manifest_note(&serde_json::json!({})));
    for (soname, words) in [("libc.so.6", "the name of"), ("/proc/self/fd/9", "a path")] {
        let named = format!("-Wl,-soname,{soname}");
        let file = compiled(&folder, "named", HARMLESS, &[note.to_str().unwrap(), &named]);
        let alone = Pipeline::new("version: 1", &[]);
        let path = alone.add(&file).display().to_string();
        let report = alone.run(&["plugin", "check", "--format", "json", &path]).expect(78).json();
        assert_eq!(report["refusal"]["code"], "ladder.elf.soname", "{report:#}");
        let found = report["refusal"]["found"].as_str().unwrap();
        assert!(found.contains(words), "{found}");
    }
}

/// A plugin that also has this entry with [`NAME_IN_PLUGINS`] in its dynamic section, as if another linker had made it so.
fn with_entry(library: &[u8], tag: u64) -> Vec<u8> {
    const FLAGS: u64 = 0x1e;
    const STRING_TABLE: u64 = 5;
    const DYNAMIC: u64 = 2;
    let mut bytes = unsealed(library);
    let word = |at: usize, len: usize| {
        bytes[at..at + len].iter().rev().fold(0_u64, |word, byte| word << 8 | u64::from(*byte))
    };
    let place = |at: usize| usize::try_from(word(at, 8)).expect("a file fits into memory");
    // ELF-64's header says where the program headers are; each has its type, flags, place, address and size.
    let headers = (0..word(56, 2)).map(|number| place(32) + 56 * usize::try_from(number).expect("small"));
    let dynamic = headers.clone().find(|at| word(*at, 4) == DYNAMIC).expect("a dynamic section");
    let (start, size) = (place(dynamic + 8), place(dynamic + 32));
    let entry = |tag: u64| {
        (start..start + size).step_by(16).find(|at| word(*at, 8) == tag).expect("an entry of that tag")
    };
    // The string table lies where its address is the place in the file too.
    let strings = place(entry(STRING_TABLE) + 8);
    let name = format!("{NAME_IN_PLUGINS}\0");
    let at = bytes[strings..].windows(name.len()).position(|window| window == name.as_bytes());
    let at = at.expect("the name is in the string table") as u64;
    let entry = entry(FLAGS);
    bytes[entry..entry + 8].copy_from_slice(&tag.to_le_bytes());
    bytes[entry + 8..entry + 16].copy_from_slice(&at.to_le_bytes());
    bytes
}
