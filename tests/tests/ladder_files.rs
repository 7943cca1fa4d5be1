//! Rungs 1 to 3 against real files: what is no plugin, or a damaged, foreign or ill-made one, is refused by name before
//! any of it runs.

#![forbid(unsafe_code)]

#[expect(dead_code, reason = "other suites use the rest")]
mod hostile;

use e2e::{Pipeline, binary, library};
use hostile::{Folder, assembled, compiled, manifest_note, masked, note, program};
use serde_json::json;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// What people read, and the code, of a file that is refused; the exit code is 78.
#[track_caller]
fn refused(file: &Path) -> (String, String) {
    let folder = Pipeline::new("version: 1", &[]);
    let path = file.display().to_string();
    let report = folder.run(&["plugin", "check", "--format", "json", &path]).expect(78).json();
    let text = folder.run(&["plugin", "check", &path]).expect(78).stdout;
    let refusal = text.find("refused at").map_or("", |at| &text[at..]);
    let code = report["refusal"]["code"].as_str().expect("a refusal has a code");
    (code.to_owned(), masked(refusal, file))
}

/// Refuses each by its code, and shows all that is said.
fn said(cases: &[(&str, PathBuf, &str)]) -> String {
    let mut all = String::new();
    for (name, file, expected) in cases {
        let (code, text) = refused(file);
        assert_eq!(code, *expected, "{name}: {text}");
        writeln!(all, "== {name}\n{}\n", text.trim_end()).expect("a String can be written to");
    }
    all
}

#[test]
fn what_is_no_file_of_a_plugin_is_named_as_what_it_is() {
    let folder = Folder::new();
    let fifo = folder.path("libfifo.so");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .unwrap();
    let socket = folder.path("libsocket.so");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let dangling = folder.path("libdangling.so");
    symlink("gone/libx.so", &dangling).unwrap();
    let [first, second] = ["libfirst.so", "libsecond.so"].map(|name| folder.path(name));
    symlink(&second, &first).unwrap();
    symlink(&first, &second).unwrap();
    let named_as_a_library = folder.path("libfolder.so");
    fs::create_dir(&named_as_a_library).unwrap();
    let cases = [
        ("nothing", folder.path("libnothing.so"), "ladder.file.missing"),
        ("empty", folder.write("libempty.so", b""), "ladder.file.size"),
        ("a few bytes", folder.write("libfew.so", b"\x7fELF"), "ladder.file.size"),
        (
            "text",
            folder.write("libtext.so", "#!/bin/sh\necho no\n".repeat(9).as_bytes()),
            "ladder.elf.no-elf",
        ),
        ("folder", named_as_a_library, "ladder.file.not-regular"),
        ("FIFO", fifo, "ladder.file.not-regular"),
        ("socket", socket, "ladder.file.not-regular"),
        ("device", PathBuf::from("/dev/zero"), "ladder.file.not-regular"),
        ("dangling link", dangling, "ladder.file.dangling-link"),
        ("link loop", first, "ladder.file.link-loop"),
    ];
    insta::assert_snapshot!(said(&cases));
}

#[test]
fn a_library_for_another_machine_or_of_another_kind_is_no_plugin() {
    let folder = Folder::new();
    let edited = |name: &str, at: usize, byte: u8| {
        let mut bytes = fs::read(library("exercise")).unwrap();
        bytes[at] = byte;
        folder.write(name, &bytes)
    };
    let math = fs::read("/lib/x86_64-linux-gnu/libm.so.6").or_else(|_| fs::read("/lib64/libm.so.6"));
    let own = assembled(&folder, "own", &manifest_note(&json!({})));
    let empty = compiled(&folder, "plain", "int answer(void) { return 42; }", &[]);
    let cases = [
        ("32-bit", edited("lib32.so", 4, 1), "ladder.elf.wrong-class"),
        ("big-endian", edited("libbig.so", 5, 2), "ladder.elf.wrong-class"),
        ("another machine", edited("libmachine.so", 18, 183), "ladder.elf.wrong-machine"),
        ("an object file", edited("libobject.so", 16, 1), "ladder.elf.no-library"),
        ("a position-independent executable", program(&folder, "x", &["-pie"]), "ladder.elf.program"),
        (
            "one that needs no interpreter",
            program(&folder, "y", &["-static-pie", "-nostdlib", "-Wl,-e,main", own.to_str().unwrap()]),
            "ladder.elf.program",
        ),
        ("a program", folder.write("libprogram.so", &fs::read(binary()).unwrap()), "ladder.elf.program"),
        ("the C library's mathematics", folder.write("libm.so", &math.unwrap()), "ladder.manifest.missing"),
        ("an ordinary library", empty, "ladder.manifest.missing"),
    ];
    insta::assert_snapshot!(said(&cases));
}

#[test]
fn a_library_that_would_weaken_the_process_is_refused_before_it_is_opened() {
    let folder = Folder::new();
    let good = manifest_note(&json!({}));
    let make = |name: &str, source: &str, flags: &[&str]| {
        let note = assembled(&folder, &format!("{name}_note"), &good);
        compiled(&folder, name, source, &[&[note.to_str().unwrap()], flags].concat())
    };
    let plain = "int answer(void) { return 42; }";
    let thread_local =
        "__attribute__((tls_model(\"initial-exec\"))) __thread int own; int *f(void) { return &own; }";
    let large = "__thread char own[1 << 21]; char *f(void) { return own; }";
    let in_code = "int f(void); __asm__(\".text\\n.quad f\\n\"); int f(void) { return 1; }";
    let gone = compiled(&folder, "gone", plain, &[]);
    let needs = "int answer(void); int f(void) { return answer(); }";
    let needing = make("needing", needs, &["-Wl,--no-as-needed", gone.to_str().unwrap()]);
    fs::remove_file(&gone).unwrap();
    let interp =
        "const char interp[] __attribute__((section(\".interp\"))) = \"/lib64/ld-linux-x86-64.so.2\";";
    let cases = [
        ("executable stack", make("stack", plain, &["-z", "execstack"]), "ladder.elf.executable-stack"),
        ("run path", make("rpath", plain, &["-Wl,-rpath,/tmp/mine"]), "ladder.elf.run-path"),
        ("text relocations", make("textrel", in_code, &["-Wl,-z,notext"]), "ladder.elf.text-relocations"),
        ("static thread-local", make("static_tls", thread_local, &[]), "ladder.elf.static-tls"),
        ("large thread-local", make("large_tls", large, &[]), "ladder.elf.thread-local"),
        ("filter", make("filter", plain, &["-Wl,--auxiliary=libx.so"]), "ladder.elf.dynamic-entry"),
        ("needs a path", needing, "ladder.elf.run-path"),
        ("interpreter", make("interp", interp, &[]), "ladder.elf.program"),
    ];
    insta::assert_snapshot!(said(&cases));
}

/// The linker looks a symbol's version up in a list without asking whether the list is that long: it would crash.
#[test]
fn a_symbol_of_a_version_that_no_library_has_is_refused_before_it_is_opened() {
    const VERSION_TABLE: u32 = 0x6fff_ffff;
    let folder = Folder::new();
    let note = assembled(&folder, "note", &manifest_note(&json!({})));
    let source = "int puts(const char *); int f(void) { return puts(\"\"); }";
    let file = compiled(&folder, "versions", source, &[note.to_str().unwrap()]);
    let mut bytes = fs::read(&file).unwrap();
    let word = |bytes: &[u8], at: usize, len: usize| {
        bytes[at..at + len].iter().rev().fold(0_usize, |word, byte| word << 8 | usize::from(*byte))
    };
    // ELF-64's header says where the section headers are and how long one is; each has its type, place and size.
    let (sections, each, count) = (word(&bytes, 0x28, 8), word(&bytes, 0x3a, 2), word(&bytes, 0x3c, 2));
    let table = (0..count)
        .map(|number| sections + number * each)
        .find(|at| word(&bytes, at + 4, 4) == VERSION_TABLE as usize)
        .expect("a library that calls another has symbol versions");
    let (start, size) = (word(&bytes, table + 0x18, 8), word(&bytes, table + 0x20, 8));
    for at in (start..start + size).step_by(2).filter(|at| word(&bytes, *at, 2) > 1).collect::<Vec<_>>() {
        bytes[at..at + 2].copy_from_slice(&0x1234_u16.to_le_bytes());
    }
    let file = folder.write("libversions.so", &bytes);
    insta::assert_snapshot!(said(&[("a version that nobody has", file, "ladder.elf.damaged")]));
}

#[test]
fn what_only_the_linker_can_say_it_says_in_the_child() {
    let folder = Folder::new();
    let note = assembled(&folder, "note", &manifest_note(&json!({})));
    let exports = "char _1as_0lib_1header_0root_bmodule_bloader[256]; char cardcage_manifest_v1[8];";
    let source = format!("int nowhere(void); int f(void) {{ return nowhere(); }} {exports}");
    let undefined = compiled(&folder, "undefined", &source, &[note.to_str().unwrap()]);
    let gone = compiled(&folder, "gone", "int answer(void) { return 42; }", &["-Wl,-soname,libgone.so.7"]);
    let source = format!("int answer(void); int f(void) {{ return answer(); }} {exports}");
    let missing = compiled(&folder, "missing", &source, &[note.to_str().unwrap(), gone.to_str().unwrap()]);
    for (file, named) in [(undefined, "nowhere"), (missing, "libgone.so.7")] {
        let (code, text) = refused(&file);
        assert_eq!(code, "ladder.open.linker", "{text}");
        assert!(text.contains(named), "{text}");
    }
}

#[test]
fn a_manifest_is_there_once_and_means_this_host() {
    let folder = Folder::new();
    let make = |name: &str, text: &str| {
        let note = assembled(&folder, &format!("{name}_note"), text);
        compiled(&folder, name, "int answer(void) { return 42; }", &[note.to_str().unwrap()])
    };
    let with = |name: &str, change: serde_json::Value| make(name, &manifest_note(&change));
    let text = |name: &str, content: &[u8]| make(name, &note(content, content.len()));
    let twice = manifest_note(&json!({})).repeat(2);
    let good = hostile::manifest(&json!({})).to_string();
    let deep = format!("{{\"manifest\":{}", "[".repeat(100_000));
    let doubled = good.replacen('{', "{\"abi\":1,", 1);
    let trailing = format!("{good} and more");
    let two = json!([{"kind": "stage", "name": "x", "probe": {"none": "a test"}},
        {"kind": "stage", "name": "x", "probe": {"none": "a test"}}]);
    let metrics = json!([{"kind": "stage", "name": "x", "probe": {"none": "a test"},
        "metrics": [{"name": "seen", "kind": "counter"}, {"name": "seen", "kind": "gauge"}]}]);
    let cases = [
        ("two manifests", make("two", &twice), "ladder.manifest.several"),
        ("oversized", text("large", &vec![b' '; 300_000]), "ladder.manifest.too-large"),
        ("not UTF-8", text("latin", b"{\"name\": \"M\xfcller\"}"), "ladder.manifest.not-utf8"),
        ("longer than its segment", make("long", &note(good.as_bytes(), 70_000)), "ladder.elf.damaged"),
        ("shorter than its text", make("short", &note(good.as_bytes(), 40)), "ladder.elf.damaged"),
        (
            "another owner",
            make("owner", &manifest_note(&json!({})).replace("Cardcage", "CardCage")),
            "ladder.manifest.missing",
        ),
        ("more behind its end", text("trailing", trailing.as_bytes()), "ladder.manifest.malformed"),
        ("deep", text("deep", deep.as_bytes()), "ladder.manifest.malformed"),
        ("a key twice", text("doubled", doubled.as_bytes()), "ladder.manifest.malformed"),
        ("an unknown key", with("unknown", json!({"signature": "x"})), "ladder.manifest.malformed"),
        ("a huge number", with("huge", json!({"abi": 1e300})), "ladder.manifest.malformed"),
        ("another format", with("format", json!({"manifest": 7})), "ladder.manifest.format"),
        ("newer ABI", with("newer", json!({"abi": 1000})), "ladder.manifest.abi-version"),
        ("older ABI", with("older", json!({"abi": 0})), "ladder.manifest.abi-version"),
        (
            "panic = abort",
            with("abort", json!({"build": {"panic": "abort", "arch": "x86_64", "api": "0.1.0"}})),
            "ladder.manifest.panic-strategy",
        ),
        (
            "another architecture",
            with("arch", json!({"build": {"panic": "unwind", "arch": "vax", "api": "0.1.0"}})),
            "ladder.manifest.architecture",
        ),
        (
            "a feature that no CPU has",
            with(
                "feature",
                json!({"build": {
                "panic": "unwind", "arch": std::env::consts::ARCH, "features": "warp9", "api": "0.1.0"}}),
            ),
            "ladder.manifest.cpu-features",
        ),
        ("a name that is a path", with("name", json!({"name": "../x"})), "ladder.manifest.ill-formed"),
        (
            "a name that steers the terminal",
            with("escape", json!({"name": "\u{1b}[2Jx"})),
            "ladder.manifest.ill-formed",
        ),
        ("a type twice", with("types", json!({"components": two})), "ladder.manifest.ill-formed"),
        ("a metric twice", with("metrics", json!({"components": metrics})), "ladder.manifest.ill-formed"),
        ("no types", with("none", json!({"components": []})), "ladder.manifest.ill-formed"),
    ];
    insta::assert_snapshot!(said(&cases));
}

#[test]
fn a_library_that_was_cut_short_anywhere_is_refused() {
    let folder = Folder::new();
    let whole = fs::read(library("exercise")).unwrap();
    for place in 0..20 {
        let file = folder.write("libcut.so", &whole[..whole.len() * place / 20]);
        let (code, text) = refused(&file);
        assert!(["ladder.file.size", "ladder.elf.truncated"].contains(&code.as_str()), "{place}/20: {text}");
    }
}

#[test]
fn a_byte_of_code_that_was_changed_after_linking_is_seen() {
    let folder = Folder::new();
    let mut bytes = fs::read(library("exercise")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let (code, text) = refused(&folder.write("libaltered.so", &bytes));
    assert_eq!(code, "ladder.elf.altered", "{text}");
    insta::assert_snapshot!(text);
    // The kind of note, behind the lengths of name and content: without it there would be no id to compare with.
    let header = [4, 0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0, b'G', b'N', b'U', 0];
    let note = bytes.windows(header.len()).position(|window| window == header).expect("a build id");
    bytes[note + 9] ^= 1;
    let (code, text) = refused(&folder.write("libunsealed.so", &bytes));
    assert_eq!(code, "ladder.elf.damaged", "{text}");
    assert!(text.contains("no build id"), "{text}");
}

#[test]
fn files_and_folders_that_others_may_write_are_not_trusted_unless_that_is_said() {
    let yaml = |more: &str| {
        format!(
            "version: 1\nplugins: {{ directories: [plugins/inner]{more} }}
sources:\n  numbers: {{ plugin: exercise/count, settings: {{ count: 1 }} }}
sinks:\n  lines: {{ plugin: exercise/lines, inputs: [numbers], settings: {{ path: lines.txt }} }}\n"
        )
    };
    let pipeline = Pipeline::new(&yaml(""), &[]);
    let inner = pipeline.path("plugins/inner");
    fs::create_dir(&inner).unwrap();
    let file = inner.join("libexercise.so");
    fs::copy(library("exercise"), &file).unwrap();
    let mode = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    pipeline.run(&["check"]).expect(0);
    for what in [file.as_path(), &inner, &pipeline.path("plugins"), pipeline.folder()] {
        let before = fs::metadata(what).unwrap().permissions();
        mode(what, 0o757);
        let found = pipeline.run(&["check"]).expect(78).stderr;
        assert!(found.contains("ladder.file.writable"), "{}: {found}", what.display());
        assert!(
            found.contains(&format!("chmod go-w {}", fs::canonicalize(what).unwrap().display())),
            "{found}"
        );
        pipeline.write_yaml(&yaml(", trust: { permissions: any }"));
        let loosened = pipeline.run(&["check"]).expect(0).stderr;
        assert!(loosened.contains("config.open-plugins"), "{loosened}");
        pipeline.write_yaml(&yaml(""));
        fs::set_permissions(what, before).unwrap();
    }
    mode(&file, 0o664);
    pipeline.write_yaml(&yaml(", trust: { permissions: strict }"));
    let found = pipeline.run(&["check"]).expect(78).stderr;
    assert!(found.contains("ladder.file.writable"), "{found}");
}

#[test]
fn a_folder_that_a_link_leads_through_must_be_trusted_too() {
    let folder = Folder::new();
    let open = folder.path("open");
    fs::create_dir(&open).unwrap();
    symlink(library("exercise"), open.join("libx.so")).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let (code, text) = refused(&open.join("libx.so"));
    assert_eq!(code, "ladder.file.writable", "{text}");
    assert!(text.contains("the folder"), "{text}");
}

#[test]
fn a_file_that_is_replaced_after_it_was_vetted_is_vetted_anew() {
    let yaml = "version: 1
sources:\n  numbers: { plugin: exercise/count, settings: { count: 1 } }
sinks:\n  lines: { plugin: exercise/lines, inputs: [numbers], settings: { path: lines.txt } }\n";
    let pipeline = Pipeline::new(yaml, &[]);
    let file = pipeline.add(library("exercise"));
    pipeline.run(&["run"]).expect(0);
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(pipeline.path("new"), &bytes).unwrap();
    fs::rename(pipeline.path("new"), &file).unwrap();
    let found = pipeline.run(&["run"]).expect(78).stderr;
    assert!(found.contains("ladder.elf.altered"), "{found}");
}
