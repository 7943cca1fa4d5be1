//! A folder of its own with a `pipeline.yaml` and plugins, and the program running there.

use crate::{binary, plugin, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

/// A folder of its own: a pipeline, the plugins it uses (in `plugins/`), and what it writes. Gone when dropped.
#[derive(Debug)]
pub struct Pipeline {
    folder: tempfile::TempDir,
}

impl Pipeline {
    /// A folder with this text as `pipeline.yaml`, and these of the project's plugins (`stage_range`) in `plugins/`.
    /// Where the text does not name plugin folders, `plugins: {directories: [plugins]}` is put in front.
    pub fn new(yaml: &str, plugins: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        std::fs::create_dir(folder.path().join("plugins")).expect("a folder can be made in it");
        let pipeline = Self { folder };
        for name in plugins {
            pipeline.add(plugin(name));
        }
        pipeline.write_yaml(yaml);
        pipeline
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path inside the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// Replaces the pipeline's text.
    pub fn write_yaml(&self, yaml: &str) {
        let text = if yaml.lines().any(|line| line.starts_with("plugins:")) {
            yaml.to_owned()
        } else {
            format!("plugins: {{ directories: [plugins] }}\n{yaml}")
        };
        std::fs::write(self.path("pipeline.yaml"), text).expect("the pipeline can be written");
    }

    /// Copies a library into the plugins' folder and returns its new path.
    pub fn add(&self, library: &Path) -> PathBuf {
        let name = library.file_name().expect("a library has a name");
        let copy = self.path("plugins").join(name);
        std::fs::copy(library, &copy).expect("a library can be copied");
        copy
    }

    /// The program with these arguments, in this folder, with nothing on its standard input.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(arguments)
            .current_dir(self.folder())
            .env("NO_COLOR", "1")
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::null());
        command
    }

    /// Runs the program with these arguments to its end.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        self.start(arguments).finish()
    }

    /// Starts the program with these arguments.
    pub fn start(&self, arguments: &[&str]) -> Running {
        self.spawn(self.command(arguments))
    }

    /// Starts a command, such as one of [`Pipeline::command`] with an environment of its own.
    pub fn spawn(&self, mut command: Command) -> Running {
        // Files and no pipes: nothing has to read them for the program to go on.
        let [stdout, stderr] = ["stdout.txt", "stderr.txt"].map(|name| self.path(name));
        let create = |path: &Path| File::create(path).expect("an output file can be made");
        let child = command
            .stdout(create(&stdout))
            .stderr(create(&stderr))
            .spawn()
            .expect("the program can be started");
        Running { child, stdout, stderr }
    }
}

/// The program while it runs. Killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Running {
    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a child has a process number"), signal).expect("a child can be signalled");
    }

    /// What it wrote to standard output so far.
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// What it wrote to standard error so far.
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// Waits until standard error holds this text.
    pub fn wait_for_stderr(&self, text: &str) {
        wait_for(&format!("`{text}` on standard error"), || self.stderr().contains(text).then_some(()));
    }

    /// Where a source of it listens by this scheme (`tcp`, `udp`), as its log says: with port 0 nothing else tells.
    pub fn address(&self, scheme: &str) -> SocketAddr {
        wait_for(&format!("an address with `{scheme}://` on standard error"), || {
            let stderr = self.stderr();
            let (_, after) = stderr.split_once(&format!("{scheme}://"))?;
            let end = after.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':')?;
            after[..end].parse().ok()
        })
    }

    /// Waits for its end.
    pub fn finish(mut self) -> Finished {
        let status =
            wait_for("the program's end", || self.child.try_wait().expect("a child can be waited for"));
        Finished { status, stdout: self.stdout(), stderr: self.stderr() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Ended already, as a rule.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until a file holds at least this many lines.
pub fn wait_for_lines(file: &Path, lines: usize) {
    wait_for(&format!("{lines} lines in {}", file.display()), || {
        (read(file).lines().count() >= lines).then_some(())
    });
}

/// The program after its end.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Finished {
    /// The exit code.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("ended by a signal: {:?}\n{}", self.status, self.stderr))
    }

    /// This very value, if the exit code is as expected.
    #[expect(clippy::return_self_not_must_use, reason = "often only the exit code is of interest")]
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert!(
            self.status.code() == Some(code),
            "expected exit code {code}, got {:?}\nstdout:\n{}\nstderr:\n{}",
            self.status,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Standard output as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON: {error}\n{}\n{}", self.stdout, self.stderr))
    }
}

fn read(path: &Path) -> String {
    std::fs::read(path).map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}
