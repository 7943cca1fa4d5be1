//! A person who follows a page: writes its files, types its commands, and looks whether what comes is what is shown.

use crate::markdown::{Block, blocks};
use crate::pattern::matches;
use crate::terminal;
use e2e::build::target;
use e2e::{wait_for, workspace};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the person works.
pub(crate) struct Person {
    /// The folder that the commands start from.
    pub(crate) folder: PathBuf,
    path: String,
    exit_code: i32,
}

impl Person {
    /// In this folder.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, path: std::env::var("PATH").unwrap_or_default(), exit_code: 0 }
    }

    /// Does what a page says, block by block.
    pub(crate) fn follow(&mut self, page: &str) {
        for block in blocks(page) {
            self.block(&block);
        }
    }

    /// Does what one block says.
    pub(crate) fn block(&mut self, block: &Block) {
        match block.language() {
            "sh" => self.commands(block),
            "console" => self.session(block),
            "yaml" | "toml" | "rust" => {
                let path = block.path().unwrap_or_else(|| {
                    panic!("line {}: the first line of a file says its path, in a comment", block.line)
                });
                let file = self.folder.join(path);
                let text = block.text.replace("../cardcage/plugin-api", &plugin_api());
                fs::create_dir_all(file.parent().expect("a file is in a folder"))
                    .expect("a folder can be made");
                fs::write(file, text).expect("a file can be written");
                if path == "Cargo.toml" {
                    // The same versions as here, so that nothing has to be fetched.
                    fs::copy(workspace().join("Cargo.lock"), self.folder.join("Cargo.lock"))
                        .expect("the lock file can be copied");
                }
            }
            "text" => {}
            other => panic!("line {}: nobody knows what to do with `{other}`", block.line),
        }
    }

    /// Commands of which nothing is shown; each must succeed.
    fn commands(&mut self, block: &Block) {
        if block.text.contains("<<") {
            // A file that is written by the shell is one command.
            let (printed, code) = terminal::start(self.shell(&block.text)).finish();
            assert_eq!(code, 0, "line {}:\n{}\n{printed}", block.line, block.text);
            return;
        }
        for line in block.text.lines().filter(|line| !line.starts_with('#')) {
            let (printed, code) = self.command(line);
            assert_eq!(code, 0, "line {}: {line}\n{printed}", block.line);
        }
    }

    /// Commands behind `$ ` with what they print. `^C` stands where the person presses Ctrl-C.
    fn session(&mut self, block: &Block) {
        let live = block.info.split(' ').any(|word| word == "live");
        let mut steps: Vec<(&str, Vec<&str>)> = Vec::new();
        for line in block.text.lines() {
            match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => steps.push((command, Vec::new())),
                (None, Some((_, shown))) => shown.push(line),
                (None, None) => panic!("line {}: a command is expected first", block.line),
            }
        }
        for (index, (command, shown)) in steps.iter().enumerate() {
            let (printed, code) = match shown.iter().position(|line| *line == "^C") {
                Some(at) => self.interrupted(command, &shown[..at].join("\n"), live),
                None => self.command(command),
            };
            let wanted: Vec<&str> = shown.iter().copied().filter(|line| *line != "^C").collect();
            let wanted = wanted.join("\n");
            let printed = self.as_shown(&printed);
            assert!(
                matches(&wanted, &printed, live),
                "line {}: `{command}` is shown as\n{wanted}\nand printed\n{printed}",
                block.line
            );
            let asked = steps.get(index + 1).is_some_and(|(next, _)| *next == "echo $?");
            assert!(code == 0 || asked, "line {}: `{command}` ended with {code}\n{printed}", block.line);
        }
    }

    /// Presses Ctrl-C once everything up to it was printed.
    fn interrupted(&mut self, command: &str, before: &str, live: bool) -> (String, i32) {
        let running = terminal::start(self.shell(&format!("exec {}", rewritten(command))));
        let open_end = format!("{before}\n…");
        wait_for(&format!("what is shown of `{command}`"), || {
            matches(&open_end, &self.as_shown(&running.printed()), live).then_some(())
        });
        running.interrupt();
        let (printed, code) = running.finish();
        self.exit_code = code;
        (printed, code)
    }

    fn command(&mut self, line: &str) -> (String, i32) {
        if let Some(folder) = line.strip_prefix("cd ") {
            self.folder = self.folder.join(folder).canonicalize().expect("the folder exists");
            return (String::new(), 0);
        }
        if let Some(path) =
            line.strip_prefix("export PATH=\"$PWD/").and_then(|rest| rest.strip_suffix(":$PATH\""))
        {
            self.path = format!("{}:{}", self.folder.join(path).display(), self.path);
            return (String::new(), 0);
        }
        let script = format!("(exit {}); {}", self.exit_code, rewritten(line));
        let (printed, code) = terminal::start(self.shell(&script)).finish();
        self.exit_code = code;
        if code == 0 && line.starts_with("cargo build") {
            self.keep_built_libraries();
        }
        (printed, code)
    }

    fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", script])
            .current_dir(&self.folder)
            .env("PATH", &self.path)
            .env("NO_COLOR", "1")
            .env_remove("RUST_BACKTRACE")
            .env_remove("CARGO_MANIFEST_DIR")
            .env_remove("CARGO_TARGET_DIR");
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CARGO_PKG_"))
        {
            command.env_remove(name);
        }
        command
    }

    /// What was printed, with the person's folders as the page has them.
    fn as_shown(&self, printed: &str) -> String {
        let home = self.folder.parent().unwrap_or(Path::new("/"));
        printed.replace(&home.display().to_string(), "/home/you")
    }

    /// Built libraries belong into the person's own target folder; the tests' is shared, so that only what is new is built.
    fn keep_built_libraries(&self) {
        let own = self.folder.join("target/release");
        fs::create_dir_all(&own).expect("a folder can be made");
        let manifest = fs::read_to_string(self.folder.join("Cargo.toml")).expect("there is a manifest");
        let name =
            manifest.split("name = \"").nth(1).and_then(|rest| rest.split('"').next()).expect("a name");
        let file = format!("lib{}.so", name.replace('-', "_"));
        let built = target().join(PROFILE).join(&file);
        fs::copy(&built, own.join(&file)).expect("a library was built");
        // Out of the shared folder, where somebody may look for plugins.
        fs::remove_file(built).expect("the library can be removed");
    }
}

const PROFILE: &str = if cfg!(debug_assertions) { "debug" } else { "release" };

fn plugin_api() -> String {
    workspace().join("plugin-api").display().to_string()
}

/// What a command is here: the clone is built already, and a plugin is built in the tests' profile and target folder.
fn rewritten(command: &str) -> String {
    if let Some(arguments) = command.strip_prefix("cargo xtask run") {
        return format!("target/release/cardcage run{arguments}");
    }
    let shared = format!("--offline --quiet --target-dir {}", target().display());
    let profile = if PROFILE == "release" { "--release" } else { "" };
    match command {
        "cargo build --release" => format!("cargo build {profile} {shared}"),
        "cargo test" => format!("cargo test {profile} {shared}"),
        other => other.to_owned(),
    }
}
