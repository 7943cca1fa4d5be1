//! The guide's table of mistakes: each is made with the guide's own stage, and what is said about it is what the guide shows.

use crate::markdown::blocks;
use crate::page;
use e2e::build::{cargo_build, target};
use e2e::{Pipeline, workspace};
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// What is replaced in the stage, with what, and the code of the refusal.
const MISTAKES: [(&str, &str, &str, &str); 7] = [
    ("manifest", "stage Despike { drops }", "stage Despike { }", "ladder.probe.undeclared"),
    ("reason", "batch.retain(\"spike\"", "batch.retain(\"jump\"", "ladder.probe.undeclared"),
    (
        "port",
        "_: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        batch.retain(\"spike\",",
        "out: &mut Outputs<'_>) -> Result<Flow, PluginError> {
        batch.retain_or(out.port(\"spikes\"), \"spike\",",
        "ladder.probe.failed",
    ),
    (
        "writes",
        "        Ok(Flow::Done)\n",
        "        for record in batch.records_mut() {
            record.quality = record.quality.with_status(Status::Uncertain);
        }
        Ok(Flow::Done)\n",
        "ladder.probe.undeclared",
    ),
    (
        "truncate",
        "        Ok(Flow::Done)\n",
        "        batch.truncate(batch.len().saturating_sub(1));\n        Ok(Flow::Done)\n",
        "ladder.probe.imbalance",
    ),
    (
        "empty",
        "        batch.retain(",
        "        let first = batch.records()[0];
        self.last.entry(first.sensor).or_insert(first.value);
        batch.retain(",
        "ladder.probe.panicked",
    ),
    ("probe", "probe: { largest_jump: 5 }", "probe: { largest_jmp: 5 }", "ladder.probe.settings"),
];

#[test]
fn every_mistake_is_refused_as_the_guide_shows() {
    let guide = page("docs/writing-a-plugin.md");
    let stage =
        blocks(&guide).into_iter().find(|block| block.path() == Some("src/lib.rs")).expect("a stage").text;
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut manifest = format!(
        "[package]\nname = \"mistakes\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\n\
         cardcage-plugin-api = {{ path = \"{}\" }}\n\n[workspace]\n",
        workspace().join("plugin-api").display()
    );
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder can be made");
        fs::write(path, text).expect("a file can be written");
    };
    write("src/lib.rs", "");
    let mut sources = vec![("mistake_none".to_owned(), stage.clone())];
    for (name, from, to, _) in MISTAKES {
        assert_eq!(stage.matches(from).count(), 1, "`{from}` is in the guide's stage");
        sources.push((format!("mistake_{name}"), stage.replace(from, to)));
    }
    for (name, source) in &sources {
        write(&format!("examples/{name}.rs"), source);
        write!(manifest, "\n[[example]]\nname = \"{name}\"\ncrate-type = [\"cdylib\"]\n")
            .expect("text can be written");
    }
    write("Cargo.toml", &manifest);
    fs::copy(workspace().join("Cargo.lock"), folder.path().join("Cargo.lock")).expect("can be copied");
    let shared = target().display().to_string();
    let built = cargo_build(folder.path(), &["--offline", "--examples", "--target-dir", &shared]);

    let pipeline = Pipeline::new("version: 1", &[]);
    let check = |library: &Path| -> Value {
        let path = library.display().to_string();
        pipeline.run(&["plugin", "check", "--format", "json", &path]).json()
    };
    let good = &built["mistake_none"];
    assert_eq!(check(good)["accepted"], true);
    for (name, _, _, code) in MISTAKES {
        assert_shown(&guide, name, code, &check(&built[&format!("mistake_{name}")]));
    }

    let open_to_all = folder.path().join("open.so");
    fs::copy(good, &open_to_all).expect("can be copied");
    fs::set_permissions(&open_to_all, fs::Permissions::from_mode(0o666)).expect("can be changed");
    assert_shown(&guide, "chmod 666", "ladder.file.writable", &check(&open_to_all));
    // Any shared library that is no plugin will do; the macros of the plugin API are one.
    let macros = built.iter().find(|(name, _)| name.contains("macros")).expect("a library that is no plugin");
    assert_shown(&guide, "no plugin", "ladder.manifest.missing", &check(macros.1));
}

/// A row of the guide's table has the code, and what was found up to where it speaks of this very file.
#[track_caller]
fn assert_shown(guide: &str, mistake: &str, code: &str, report: &Value) {
    assert_eq!(report["refusal"]["code"], code, "{mistake}: {report:#}");
    let found = report["refusal"]["found"].as_str().expect("a text");
    let mut rows =
        guide.lines().filter(|line| line.starts_with("| ") && line.contains(&format!("| `{code}` |")));
    let shown = rows.any(|row| {
        let cell = row.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default();
        found.contains(cell)
    });
    assert!(shown, "no row of the guide has `{code}` with: {found}");
}
