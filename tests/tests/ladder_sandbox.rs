//! The vetting child's sandbox: what it denies, what becomes of that, and what is said where a kernel lacks part of it.

#![forbid(unsafe_code)]

mod ordered;

use e2e::{Pipeline, binary, library, plugin, wait_for};
use ordered::{Ordered, checked, report};
use rustix::process::Signal;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn what_the_sandbox_denies_is_not_probed_and_never_a_refusal() {
    for (order, words) in [
        ("open reads-a-file", "the sandbox denied reading /etc/passwd"),
        ("process writes-a-file", "the sandbox denied writing /var/tmp/cardcage-misbehave"),
        (
            "open makes-a-socket",
            "the sandbox denied a socket: the plugin declares neither `connect` nor `listen`",
        ),
        ("open runs-a-program", "the sandbox denied another process: the plugin does not declare `exec`"),
        ("open takes-much-memory-at-once", "the sandbox denied 1200 MiB of memory in one piece"),
        ("open opens-many-files", "the sandbox denied more than 256 open files"),
        ("open makes-a-large-file", "the sandbox denied a file of more than 64 MiB"),
    ] {
        let report = report(Ordered::new("misbehave", order).file().as_path());
        assert_eq!(report["accepted"], true, "{order}: {report:#}");
        let probe = &report["rungs"][8];
        assert_eq!(probe["result"], "not_probed", "{order}: {report:#}");
        let note = probe["note"].as_str().unwrap();
        assert!(note.contains(words), "{order}: {note}");
    }
    assert!(!Path::new("/var/tmp/cardcage-misbehave").exists());
}

#[test]
fn a_program_that_is_declared_can_be_run_in_the_probe() {
    let report = report(Ordered::new("misbehave_exec", "open runs-a-program").file().as_path());
    assert_eq!(report["accepted"], true, "{report:#}");
    assert_eq!(report["rungs"][8]["result"], "passed", "{report:#}");
}

#[test]
fn a_declared_connection_is_no_way_to_other_ports_and_other_families() {
    for (order, words) in [
        ("open makes-a-local-socket", "the sandbox denied a socket that is neither TCP nor UDP"),
        ("open makes-a-raw-socket", "the sandbox denied a socket that is neither TCP nor UDP"),
        (
            "open connects-elsewhere",
            "the sandbox denied connecting to port 9: the plugin does not declare that",
        ),
    ] {
        let report = report(Ordered::new("misbehave_connect", order).file().as_path());
        let probe = &report["rungs"][8];
        assert_eq!(probe["result"], "not_probed", "{order}: {report:#}");
        assert!(probe["note"].as_str().unwrap().contains(words), "{order}: {report:#}");
    }
    let report = report(Ordered::new("misbehave_connect", "open connects-where-it-may").file().as_path());
    assert_eq!(report["rungs"][8]["result"], "passed", "{report:#}");
}

#[test]
fn a_file_that_is_not_the_plugins_keeps_its_mode_and_times() {
    for moment in ["constructor", "open"] {
        for action in ["closes-its-file-to-others", "makes-its-file-old"] {
            let ordered = Ordered::new("misbehave", &format!("{moment} {action}"));
            let meta = || std::fs::metadata(ordered.file()).unwrap();
            let (mode, modified) = (meta().permissions().mode(), meta().modified().unwrap());
            assert_ne!(mode & 0o777, 0o600);
            report(&ordered.file());
            assert_eq!(meta().permissions().mode(), mode, "{moment} {action}");
            assert_eq!(meta().modified().unwrap(), modified, "{moment} {action}");
        }
    }
}

#[test]
fn threads_count_while_they_run() {
    let report = report(Ordered::new("misbehave", "open starts-many-threads-in-turn").file().as_path());
    assert_eq!(report["rungs"][8]["result"], "passed", "{report:#}");
}

#[test]
fn limits_of_the_child_are_named_where_a_plugin_does_not_survive_them() {
    for (order, words) in [
        ("constructor takes-much-memory-at-once", "1200 MiB of memory in one piece"),
        ("constructor allocates-without-end", "it had used up the 1024 MiB of memory"),
        ("open allocates-without-end", "it had used up the 1024 MiB of memory"),
        ("constructor opens-many-files", "more than 256 open files"),
        ("constructor makes-a-large-file", "a file of more than 64 MiB"),
    ] {
        let report = report(Ordered::new("misbehave", order).file().as_path());
        assert_eq!(report["refusal"]["code"], "ladder.vetting.died", "{order}: {report:#}");
        assert!(report["refusal"]["found"].as_str().unwrap().contains(words), "{order}: {report:#}");
    }
}

#[test]
fn the_child_has_the_daemons_environment_but_for_its_secrets() {
    let ordered = Ordered::new("misbehave", "constructor needs-its-environment");
    let pipeline = Pipeline::new("version: 1", &[]);
    let check = || {
        let mut command = pipeline.command(&["plugin", "check"]);
        command.arg(ordered.file());
        command
    };
    let known = check().env("MISBEHAVE_WORD", "a word").env("MISBEHAVE_TOKEN", "a secret").output().unwrap();
    assert_eq!(known.status.code(), Some(0), "{}", String::from_utf8_lossy(&known.stdout));
    let unknown = check().env("MISBEHAVE_WORD", "a word").output().unwrap();
    assert_eq!(unknown.status.code(), Some(78), "{}", String::from_utf8_lossy(&unknown.stdout));
}

#[test]
fn the_deadline_is_one_for_all_children_that_a_plugin_needs() {
    // Its three component types take 1.2 seconds each before they are denied something, and each costs a child more.
    let file = library("slow_and_denied");
    let path = file.display().to_string();
    let patient = ["plugin", "check", "--deadline", "60s", "--format", "json", &path];
    let patient = Pipeline::new("version: 1", &[]).run(&patient).json();
    assert_eq!(patient["rungs"][8]["result"], "not_probed", "{patient:#}");
    assert_eq!(report(file)["refusal"]["code"], "ladder.vetting.timeout");
}

#[test]
fn a_signal_during_vetting_leaves_no_folder_behind() {
    let ordered = Ordered::new("misbehave", "constructor hangs");
    let file = ordered.file().display().to_string();
    let folder = ordered.file().parent().unwrap().display().to_string();
    let yaml = format!(
        "version: 1\nplugins: {{ directories: [plugins, {folder}] }}\nsources: {{ made: {{ plugin: generate }} }}\n\
         stages: {{ odd: {{ plugin: misbehave, inputs: [made] }} }}\nsinks: {{ gone: {{ plugin: blackhole, inputs: [odd] }} }}\n"
    );
    let pipeline = Pipeline::new(&yaml, &["source_generate", "sink_blackhole"]);
    let commands: [&[&str]; 3] = [&["run"], &["check"], &["plugin", "check", "--deadline", "60s", &file]];
    for arguments in commands {
        let scratch = tempfile::tempdir().unwrap();
        let folders = || std::fs::read_dir(scratch.path()).unwrap().count();
        let mut command = pipeline.command(arguments);
        command.env("TMPDIR", scratch.path());
        let running = pipeline.spawn(command);
        wait_for("a vetting child that hangs", || (folders() == 1).then_some(()));
        running.signal(Signal::TERM);
        assert_eq!(running.finish().code(), 128 + Signal::TERM.as_raw(), "{arguments:?}");
        assert_eq!(folders(), 0, "{arguments:?}");
    }
}

/// What runs a program as if the kernel had no Landlock, or nobody could be asked about system calls; without a program
/// it ends with the version of Landlock.
const LAUNCHER: &str = r"
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LANDLOCK_CREATE_RULESET 444

int main(int argc, char **argv) {
    if (argc == 1) {
        long version = syscall(LANDLOCK_CREATE_RULESET, 0, 0, 1);
        return version > 0 ? version : 0;
    }
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, atoi(argv[1]), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        return 99;
    execv(argv[2], argv + 2);
    return 98;
}
";

fn launcher(folder: &Path) -> PathBuf {
    let (source, program) = (folder.join("launcher.c"), folder.join("launcher"));
    std::fs::write(&source, LAUNCHER).unwrap();
    let status = Command::new("cc").arg("-o").args([&program, &source]).status().unwrap();
    assert!(status.success(), "there is a C compiler: Rust links with it");
    program
}

#[test]
fn the_child_is_confined_by_what_the_kernel_offers() {
    let folder = tempfile::tempdir().unwrap();
    let version = Command::new(launcher(folder.path())).status().unwrap().code().unwrap();
    let text = checked(plugin("stage_range"), &[]).stdout;
    assert_eq!(text.contains("vetted without Landlock"), version == 0, "{text}");
    let asked = std::fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail")
        .is_ok_and(|all| all.contains("user_notif"));
    assert_eq!(text.contains("vetted without seccomp"), !asked, "{text}");
}

#[test]
fn a_kernel_without_half_of_the_sandbox_vets_with_the_other_half_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let launcher = launcher(folder.path());
    let check = |call: libc::c_long, file: &Path| {
        let mut command = Command::new(&launcher);
        command.arg(call.to_string()).arg(binary()).args(["plugin", "check"]).arg(file);
        let output = command.env("NO_COLOR", "1").output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    for (call, words) in [
        (libc::SYS_landlock_create_ruleset, "vetted without Landlock:"),
        (libc::SYS_seccomp, "vetted without seccomp:"),
    ] {
        let (code, text) = check(call, plugin("stage_range"));
        assert_eq!(code, Some(0), "{text}");
        assert!(text.contains(words), "{text}");
    }
    // Landlock alone denies a file, and nobody can tell that from a fault of the plugin but by its words.
    let reading = Ordered::new("misbehave", "open reads-a-file");
    let (code, text) = check(libc::SYS_seccomp, &reading.file());
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("nobody can be asked what"), "{text}");
    // Seccomp alone denies a socket, and no file.
    let (code, text) = check(libc::SYS_landlock_create_ruleset, &reading.file());
    assert_eq!(code, Some(0), "{text}");
    assert!(!text.contains("not probed"), "{text}");
    let socket = Ordered::new("misbehave", "open makes-a-socket");
    let (code, text) = check(libc::SYS_landlock_create_ruleset, &socket.file());
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("the sandbox denied a socket"), "{text}");
}
