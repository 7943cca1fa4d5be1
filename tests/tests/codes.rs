//! Every code that only the whole program reports, as somebody meets it: the mistake that its page shows, put through the
//! real program with real plugins. And the pages themselves: `cardcage explain`, and what they say of bundled plugins.
//!
//! Where a message was changed on purpose, `INSTA_UPDATE=always cargo test -p e2e --test codes` writes the new ones.

#![forbid(unsafe_code)]

use e2e::{Finished, Pipeline, library, plugin, workspace};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Stdio;

/// What comes with Cardcage: the pages' pipelines use these, unless they say what some other plugin is like.
const BUNDLED: [(&str, &str); 14] = [
    ("host", "source_host"),
    ("file", "source_file"),
    ("file", "sink_file"),
    ("generate", "source_generate"),
    ("socket", "source_socket"),
    ("stdin", "source_stdin"),
    ("exec", "source_exec"),
    ("range", "stage_range"),
    ("convert", "stage_convert"),
    ("sample", "stage_sample"),
    ("rename", "stage_rename"),
    ("deadband", "stage_deadband"),
    ("stdout", "sink_stdout"),
    ("blackhole", "sink_blackhole"),
];

/// Stands in a page for the byte that old editors write for a degree sign: a page is UTF-8.
const LATIN_1: (&str, &[u8]) = ("<the single byte B0>", b"\xb0");

/// A code, what it takes beside the pipeline in its page, and how the program ends.
struct Case {
    code: &'static str,
    command: &'static str,
    exit: i32,
    /// Puts a plugin into the folder.
    prepare: fn(&Pipeline) -> Option<PathBuf>,
}

const fn check(code: &'static str, exit: i32, prepare: fn(&Pipeline) -> Option<PathBuf>) -> Case {
    Case { code, command: "check", exit, prepare }
}

const CASES: [Case; 11] = [
    check("config.no-effect-yet", 0, nothing),
    check("config.not-utf8", 78, nothing),
    check("plugin.refused", 78, |pipeline| Some(pipeline.add(library("panic_in_process")))),
    check("plugin.refused-unused", 0, |pipeline| {
        let file = pipeline.path("plugins/libgarbage.so");
        fs::write(&file, "garbage ".repeat(100)).expect("written");
        Some(file)
    }),
    check("plugin.unknown", 78, nothing),
    check("plugin.unknown-type", 78, nothing),
    check("plugin.unknown-version", 78, nothing),
    check("plugin.which-type", 78, |pipeline| Some(pipeline.add(library("exercise")))),
    Case { command: "run", ..check("run.open-failed", 78, nothing) },
    check("settings.feeds-itself", 0, nothing),
    check("settings.refused", 78, nothing),
];

fn nothing(_: &Pipeline) -> Option<PathBuf> {
    None
}

/// A folder with all bundled plugins, and a state directory, so that each is vetted once.
fn folder() -> Pipeline {
    let pipeline = Pipeline::new("version: 1", &[]);
    for (_, name) in BUNDLED {
        pipeline.add(plugin(name));
    }
    // Some pages have plugins where cargo puts them.
    fs::create_dir(pipeline.path("target")).expect("made");
    symlink("../plugins", pipeline.path("target/release")).expect("made");
    fs::create_dir(pipeline.path(".cardcage")).expect("made");
    pipeline
}

/// Writes a page's pipeline. Which folder holds the plugins is left out in most pages: it goes below, so that lines are
/// those of the page.
fn write(pipeline: &Pipeline, text: &str, directories: &str) {
    let below = if text.contains("plugins:") {
        String::new()
    } else {
        format!("plugins: {{ directories: [{directories}] }}\n")
    };
    let text = format!("{text}\n{below}");
    let bytes = match text.split_once(LATIN_1.0) {
        Some((before, after)) => [before.as_bytes(), LATIN_1.1, after.as_bytes()].concat(),
        None => text.into_bytes(),
    };
    fs::write(pipeline.path("pipeline.yaml"), bytes).expect("written");
}

fn run(pipeline: &Pipeline, arguments: &[&str]) -> Finished {
    let mut command = pipeline.command(arguments);
    for variable in ["OUT_DIR", "SITE", "CREDENTIALS_DIRECTORY"] {
        command.env_remove(variable);
    }
    pipeline.spawn(command).finish()
}

/// What the program knows of all codes.
fn pages(pipeline: &Pipeline) -> Vec<Value> {
    let all = pipeline.run(&["explain", "--format", "json"]).expect(0).json();
    all.as_array().expect("a list").clone()
}

fn text<'a>(of: &'a Value, key: &str) -> &'a str {
    of[key].as_str().unwrap_or_else(|| panic!("no `{key}` in {of}"))
}

/// The fenced blocks of a page with this mark behind the fence.
fn blocks<'a>(page: &'a Value, mark: &str) -> Vec<&'a str> {
    let parts = text(page, "explanation").split("\n```").skip(1).step_by(2);
    parts.filter_map(|part| part.strip_prefix(mark)?.strip_prefix('\n')).collect()
}

fn codes(checked: &Value) -> Vec<&str> {
    checked["problems"].as_array().expect("a list").iter().map(|problem| text(problem, "code")).collect()
}

/// Without the log, and what differs from one machine, folder and release to the next.
fn masked(pipeline: &Pipeline, text: &str) -> String {
    let folder = pipeline.folder().canonicalize().expect("there").display().to_string();
    let said = text.split_inclusive('\n').filter(|line| !line.starts_with("{\"timestamp\""));
    said.collect::<String>().replace(&folder, "/opt/plant").replace(env!("CARGO_PKG_VERSION"), "[version]")
}

#[test]
fn each_code_of_the_host_reads_well() {
    let pipeline = folder();
    let known = pages(&pipeline);
    for case in CASES {
        let page = known.iter().find(|page| page["code"] == case.code).expect("the code is known");
        let added = (case.prepare)(&pipeline);
        let [mistake] = blocks(page, "yaml wrong")[..] else {
            panic!("{} shows no mistake, or several", case.code);
        };
        write(&pipeline, mistake, "plugins");
        let ended = run(&pipeline, &[case.command]).expect(case.exit);
        assert!(ended.stderr.contains(&format!("[{}]", case.code)), "{}: {}", case.code, ended.stderr);
        insta::assert_snapshot!(case.code, masked(&pipeline, &ended.stderr));
        // Its page shows the same place as the program does, if it shows one.
        for shown in blocks(page, "text").iter().filter(|shown| shown.contains(" --> ")) {
            let place = shown.lines().find(|line| line.starts_with(" --> ")).expect("a place");
            assert!(
                ended.stderr.contains(place),
                "{} is not where {} is:\n{}",
                place,
                case.code,
                ended.stderr
            );
        }
        if case.command == "check" {
            let checked = run(&pipeline, &["check", "--format", "json"]).expect(case.exit).json();
            assert_eq!(checked["ok"], case.exit == 0, "{}", case.code);
            assert!(codes(&checked).contains(&case.code), "{}: {checked}", case.code);
        }
        if let Some(added) = added {
            fs::remove_file(added).expect("removed");
        }
    }
}

#[test]
fn no_code_is_without_a_case_somewhere() {
    let snapshots = workspace().join("host/core/tests/suite/snapshots");
    let climbed = said_of_the_ladder();
    for page in pages(&Pipeline::new("version: 1", &[])) {
        let code = text(&page, "code");
        let in_core = snapshots.join(format!("suite__problems__{code}.snap")).exists();
        let of_ladder = code.starts_with("ladder.") && climbed.contains(&format!("\"{code}\""));
        let here = CASES.iter().any(|case| case.code == code);
        let open = WITHOUT_A_CASE.contains(&code);
        assert!(in_core || of_ladder || here || open, "{code} has no case");
    }
}

/// Refusals that no machine on which tests run provokes, each with its reason.
const WITHOUT_A_CASE: &[&str] = &[
    // One descriptor must be left for the file, and none for its memory's second one, though reading took two.
    "ladder.open.descriptors",
];

/// The suites of the ladder and the loader's own tests, in which each refusal is asked for by its code.
fn said_of_the_ladder() -> String {
    let mut text = String::new();
    let mut folders = vec![workspace().join("tests/tests"), workspace().join("host/src/loader")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                text.push_str(&fs::read_to_string(&path).expect("text"));
            }
        }
    }
    text
}

#[test]
fn what_pages_say_of_bundled_plugins_is_so() {
    let pipeline = folder();
    // One folder a plugin, so that a pipeline reads only what it uses.
    for (_, name) in BUNDLED {
        fs::create_dir(pipeline.path(name)).expect("made");
        let file = plugin(name).file_name().expect("a library has a name");
        symlink(pipeline.path("plugins").join(file), pipeline.path(name).join(file)).expect("made");
    }
    let known = pages(&pipeline);
    let mut tried = 0;
    for page in known.iter().filter(|page| !CASES.iter().any(|case| page["code"] == case.code)) {
        let code = text(page, "code");
        for (mark, wrong) in [("yaml wrong", true), ("yaml", false)] {
            for block in blocks(page, mark) {
                let Some(directories) = directories(block) else {
                    continue;
                };
                write(&pipeline, block, &directories);
                let checked = run(&pipeline, &["check", "--format", "json"]).json();
                let found = codes(&checked);
                assert_eq!(found.contains(&code), wrong, "{code}: found {found:?} in\n{block}");
                assert!(wrong || checked["ok"] == true, "{code}: {checked}\n{block}");
                tried += 1;
            }
        }
    }
    let with_pipelines = known.iter().filter(|page| !text(page, "code").starts_with("ladder.")).count();
    assert!(tried > with_pipelines, "only {tried} pipelines were tried");
}

/// The folders of the plugins that a pipeline uses; `None` if it uses others than the bundled ones.
fn directories(block: &str) -> Option<String> {
    let after = block.split("plugin: ").skip(1);
    let mut folders = BTreeSet::new();
    for used in after.map(|rest| rest.split([',', ' ', '@']).next().unwrap_or(rest)) {
        let of_name: Vec<&str> =
            BUNDLED.iter().filter(|(name, _)| *name == used).map(|(_, folder)| *folder).collect();
        folders.extend((!of_name.is_empty()).then_some(of_name)?);
    }
    Some(folders.into_iter().collect::<Vec<_>>().join(", "))
}

#[test]
fn explain_has_a_page_for_every_code() {
    let pipeline = Pipeline::new("version: 1", &[]);
    for page in pages(&pipeline) {
        let code = text(&page, "code");
        let explained = pipeline.run(&["explain", code]).expect(0).stdout;
        assert!(explained.starts_with(&format!("{code}: ")), "{explained}");
        assert!(explained.contains(text(&page, "meaning")), "{explained}");
        assert!(!explained.contains("```yaml wrong"), "the mark is for tests: {explained}");
        let first = text(&page, "explanation").lines().next().expect("a line");
        assert!(explained.contains(first), "{explained}");
        let one = pipeline.run(&["explain", code, "--format", "json"]).expect(0).json();
        assert_eq!(one, page);
    }
}

#[test]
fn explain_takes_a_code_as_it_was_copied() {
    let pipeline = Pipeline::new("version: 1", &[]);
    let plain = pipeline.run(&["explain", "wiring.cycle"]).expect(0).stdout;
    for copied in ["error[wiring.cycle]", "error[wiring.cycle]:", "[wiring.cycle]", "warning[wiring.cycle]"] {
        assert_eq!(pipeline.run(&["explain", copied]).expect(0).stdout, plain, "{copied}");
    }
}

#[test]
fn explain_of_a_misspelt_code_says_which_was_meant() {
    let pipeline = Pipeline::new("version: 1", &[]);
    for (asked, meant) in
        [("wiring.cycel", "wiring.cycle"), ("error[config.unknown-kye]", "config.unknown-key")]
    {
        let refused = pipeline.run(&["explain", asked]).expect(64);
        assert!(refused.stderr.contains(&format!("did you mean `{meant}`?")), "{}", refused.stderr);
        assert_eq!(refused.stdout, "");
    }
    let refused = pipeline.run(&["explain", "frobnicate"]).expect(64);
    assert!(refused.stderr.contains("`cardcage explain` lists them all"), "{}", refused.stderr);
}

#[test]
fn explain_alone_lists_all_codes_a_line_each() {
    let pipeline = Pipeline::new("version: 1", &[]);
    let listed = pipeline.run(&["explain"]).expect(0).stdout;
    let codes: Vec<&str> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let known = pages(&pipeline);
    assert_eq!(codes, known.iter().map(|page| text(page, "code")).collect::<Vec<_>>());
}

#[test]
fn a_reader_that_is_gone_is_no_error() {
    let pipeline = Pipeline::new("version: 1", &[]);
    for arguments in [&["explain"][..], &["explain", "wiring.cycle"], &["explain", "--format", "json"]] {
        // As after `| head -1` has seen its line.
        let (reader, writer) = std::io::pipe().expect("a pipe can be made");
        drop(reader);
        let mut command = pipeline.command(arguments);
        let ended =
            command.stdout(writer).stderr(Stdio::piped()).output().expect("the program can be started");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!((ended.status.code(), &*said), (Some(0), ""), "{arguments:?}");
    }
}
