//! What the child may reach: what every program needs to run, its scratch folder, and what the manifest declares.
//!
//! Both sides work it out from the same values: the child to confine itself, the parent to tell whether a file that
//! could not be opened was the sandbox's doing.

#![forbid(unsafe_code)]

use crate::loader::climb::Candidate;
use cardcage_plugin_api::manifest::Probe;
use std::path::{Path, PathBuf};

/// Readable for every plugin: libraries, what the C and Rust libraries read of their own accord, and what the kernel
/// tells of the machine. No user's data is in them.
const READABLE: [&str; 37] = [
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/localtime",
    "/etc/timezone",
    "/usr/share/zoneinfo",
    "/usr/share/locale",
    "/usr/share/i18n",
    "/etc/locale.alias",
    "/dev/zero",
    "/dev/full",
    "/dev/urandom",
    "/dev/random",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/version",
    "/proc/filesystems",
    "/proc/sys/kernel",
    "/proc/sys/vm",
    "/sys/devices/system",
    "/sys/fs/cgroup",
    "/sys/kernel/mm",
    // Names of hosts and services, for those that may connect; without that they are of no use.
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/host.conf",
    "/etc/gai.conf",
];
/// Where programs are, for plugins that declare `exec`.
const PROGRAMS: [&str; 5] = ["/bin", "/sbin", "/usr", "/opt", "/etc/alternatives"];
/// A declared path beginning so is the value of a setting.
const FROM_SETTINGS: &str = "settings.";

/// A folder or file, and what may be done there besides reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) write: bool,
    pub(super) run: bool,
}

/// What the child may reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::loader::vetting) struct Reach {
    folders: Vec<Folder>,
    pub(super) connect: Vec<String>,
    pub(super) listen: Vec<String>,
    pub(super) processes: bool,
}

impl Reach {
    /// Of this plugin, whose scratch folder is `scratch`.
    pub(in crate::loader::vetting) fn of(candidate: &Candidate, scratch: &Path) -> Self {
        let mut reach = Self::default();
        reach.allow_all(READABLE, false);
        reach.allow("/dev/null", true, false);
        reach.allow(scratch, true, false);
        reach.allow_all(library_folders(&candidate.image.needed), false);
        for component in &candidate.manifest.components {
            let settings = match &component.probe {
                Probe::Settings(settings) => Some(settings),
                Probe::None(_) => None,
            };
            let resolved = |list: &[String]| -> Vec<String> {
                list.iter().flat_map(|declared| resolve(declared, settings)).collect()
            };
            let declared = &component.permissions;
            reach.allow_all(resolved(&declared.read), false);
            let writable = [resolved(&declared.write), resolved(&declared.devices)].concat();
            for path in writable.iter().map(Path::new) {
                reach.allow(path, true, false);
                // A file that is to be made, or replaced by a rename, needs its folder.
                if let Some(folder) = path.parent().filter(|folder| !path.is_dir() && folder.is_absolute()) {
                    reach.allow(folder, true, false);
                }
            }
            reach.connect.extend(resolved(&declared.connect));
            reach.listen.extend(resolved(&declared.listen));
            if !declared.exec.is_empty() {
                reach.processes = true;
                reach.allow_all(PROGRAMS, true);
                reach.allow_all(resolved(&declared.exec), true);
            }
        }
        reach
    }

    /// Readable, and to be run or not.
    fn allow_all(&mut self, paths: impl IntoIterator<Item = impl Into<PathBuf>>, run: bool) {
        for path in paths {
            self.allow(path, false, run);
        }
    }

    fn allow(&mut self, path: impl Into<PathBuf>, write: bool, run: bool) {
        let path = path.into();
        if path.is_absolute() {
            self.folders.push(Folder { path, write, run });
        }
    }

    pub(super) fn folders(&self) -> &[Folder] {
        &self.folders
    }

    /// The ports of these addresses.
    pub(super) fn ports(addresses: &[String]) -> Vec<u16> {
        let port = |address: &String| address.rsplit(':').next()?.parse().ok();
        addresses.iter().filter_map(port).collect()
    }

    /// Whether it may make sockets to other machines.
    pub(super) fn network(&self) -> bool {
        !self.connect.is_empty() || !self.listen.is_empty()
    }

    /// Whether a file is in a folder that it may write to. One that is not there is nobody's.
    pub(super) fn may_write(&self, path: &Path) -> bool {
        let Ok(real) = path.canonicalize() else {
            return true;
        };
        let mut writable = self.folders.iter().filter(|folder| folder.write);
        writable.any(|folder| folder.path.canonicalize().is_ok_and(|folder| real.starts_with(folder)))
    }

    /// Whether it was the sandbox that kept the child from opening this path, and not the file's own mode. `child` is
    /// the number of the child's process, whose `/proc/self` is not ours.
    pub(super) fn denies(&self, path: &Path, write: bool, child: u32) -> bool {
        if path.starts_with("/proc/self")
            || path.starts_with("/proc/thread-self")
            || path.starts_with(format!("/proc/{child}"))
        {
            return false;
        }
        // What does not exist is not denied; what is to be made is, or is not, in its folder.
        let real = path.canonicalize().ok().or_else(|| {
            let folder = path.parent().filter(|_| write)?.canonicalize().ok()?;
            Some(folder)
        });
        let Some(real) = real else {
            return false;
        };
        let allowed = self.folders.iter().any(|folder| {
            (folder.write || !write)
                && folder.path.canonicalize().is_ok_and(|folder| real.starts_with(folder))
        });
        let wanted = if write { rustix::fs::Access::WRITE_OK } else { rustix::fs::Access::READ_OK };
        !allowed && rustix::fs::access(&real, wanted).is_ok()
    }
}

/// Where the linker looks besides the usual folders: what the environment says, and the system's configuration where a
/// library is in none of the usual ones.
fn library_folders(needed: &[String]) -> Vec<String> {
    let mut folders: Vec<String> =
        std::env::var("LD_LIBRARY_PATH").unwrap_or_default().split([':', ';']).map(str::to_owned).collect();
    let usual = |name: &String| {
        let multiarch = format!("{}-linux-gnu", std::env::consts::ARCH);
        ["/lib64", "/usr/lib64", "/lib", "/usr/lib"]
            .map(PathBuf::from)
            .into_iter()
            .any(|folder| folder.join(name).exists() || folder.join(&multiarch).join(name).exists())
    };
    if !needed.iter().all(usual) {
        let included = std::fs::read_dir("/etc/ld.so.conf.d").into_iter().flatten().flatten();
        for file in included.map(|entry| entry.path()).chain([PathBuf::from("/etc/ld.so.conf")]) {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            folders.extend(text.lines().map(|line| line.trim().to_owned()));
        }
    }
    folders.retain(|folder| folder.starts_with('/'));
    folders
}

/// The paths or addresses that a declaration stands for, under the settings of the probe.
fn resolve(declared: &str, settings: Option<&serde_json::Value>) -> Vec<String> {
    let Some(key) = declared.strip_prefix(FROM_SETTINGS) else {
        return vec![declared.to_owned()];
    };
    let pointer = format!("/{}", key.replace('.', "/"));
    match settings.and_then(|settings| settings.pointer(&pointer)) {
        Some(serde_json::Value::String(text)) => vec![text.clone()],
        Some(serde_json::Value::Array(texts)) => {
            texts.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_from_settings_are_looked_up_in_the_probes_settings() {
        let settings = serde_json::json!({"path": "/a", "more": {"paths": ["/b", "/c"]}});
        assert_eq!(resolve("/proc", Some(&settings)), ["/proc"]);
        assert_eq!(resolve("settings.path", Some(&settings)), ["/a"]);
        assert_eq!(resolve("settings.more.paths", Some(&settings)), ["/b", "/c"]);
        assert_eq!(resolve("settings.none", Some(&settings)), Vec::<String>::new());
        assert_eq!(resolve("settings.path", None), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_allowed_and_could_be_opened_was_denied_by_the_sandbox() {
        let folder = tempfile::tempdir().unwrap();
        let (inside, outside) = (folder.path().join("in"), folder.path().join("out"));
        std::fs::create_dir(&inside).unwrap();
        std::fs::write(&outside, "").unwrap();
        let mut reach = Reach::default();
        reach.allow(&inside, false, false);
        assert!(reach.denies(&outside, false, 1));
        assert!(!reach.denies(&inside, false, 1));
        assert!(reach.denies(&inside, true, 1));
        assert!(reach.denies(&inside.join("new"), true, 1));
        assert!(!reach.denies(&folder.path().join("nowhere"), false, 1));
    }
}
