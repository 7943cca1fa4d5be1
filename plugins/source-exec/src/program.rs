//! Finding the program, and telling what is wrong with it before it is started.

use crate::settings::Command;
use rustix::fs::{Access, access};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf, absolute};
use thiserror::Error;

/// How a program for Linux begins.
const ELF: &[u8] = b"\x7fELF";
/// How a script begins that names its interpreter.
const SCRIPT: &[u8] = b"#!";
/// The most that the kernel reads of a script's first line.
const FIRST_LINE_MAX: usize = 256;

/// Why a program cannot be run.
#[derive(Debug, Error)]
pub(crate) enum ProgramError {
    #[error("there is no program `{path}`; check the path, or install it")]
    Missing { path: PathBuf },
    #[error(
        "there is no program `{name}` in any folder of PATH ({searched}); install it, or give its whole path"
    )]
    NotInPath { name: String, searched: String },
    #[error("`{path}` may not be run by this user; `chmod +x` it, or give the path of another program")]
    NotExecutable { path: PathBuf },
    #[error("`{path}` is a folder; give the path of a program")]
    Folder { path: PathBuf },
    #[error(
        "`{path}` is a script for `{interpreter}`, which does not exist; install it, or mend its first line"
    )]
    NoInterpreter { path: PathBuf, interpreter: String },
    #[error(
        "`{path}` is neither a program nor a script that begins with `#!`; put its interpreter in front of it in `command`"
    )]
    NoProgram { path: PathBuf },
    #[error("the folder `{path}` (`cwd`) cannot be used")]
    Cwd { path: PathBuf, source: io::Error },
}

/// The file of the command's program.
pub(crate) fn find(command: &Command) -> Result<PathBuf, ProgramError> {
    if let Some(cwd) = &command.cwd {
        let failed = |source| ProgramError::Cwd { path: cwd.clone(), source };
        if !cwd.metadata().map_err(failed)?.is_dir() {
            return Err(failed(io::ErrorKind::NotADirectory.into()));
        }
    }
    if command.name.contains('/') {
        let path = command.cwd.as_deref().map_or(PathBuf::new(), Path::to_owned).join(&command.name);
        let path = absolute(&path).unwrap_or(path);
        return check(&path).map(|()| path);
    }
    let folders = command.env.get("PATH").map(OsString::from).or_else(|| std::env::var_os("PATH"));
    search(&command.name, &folders.unwrap_or_default())
}

/// The first program of that name; else what is wrong with the first file of that name.
fn search(name: &str, folders: &OsString) -> Result<PathBuf, ProgramError> {
    let mut found = None;
    for folder in std::env::split_paths(folders).filter(|folder| folder.is_absolute()) {
        let path = folder.join(name);
        match check(&path) {
            Ok(()) => return Ok(path),
            Err(ProgramError::Missing { .. } | ProgramError::Folder { .. }) => {}
            Err(error) => found = found.or(Some(error)),
        }
    }
    let searched = folders.to_string_lossy().into_owned();
    Err(found.unwrap_or(ProgramError::NotInPath { name: name.to_owned(), searched }))
}

fn check(path: &Path) -> Result<(), ProgramError> {
    let path_of = || path.to_owned();
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => return Err(ProgramError::Folder { path: path_of() }),
        Ok(metadata) if !metadata.is_file() => return Err(ProgramError::NoProgram { path: path_of() }),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(ProgramError::NotExecutable { path: path_of() });
        }
        Err(_) => return Err(ProgramError::Missing { path: path_of() }),
    }
    if access(path, Access::EXEC_OK).is_err() {
        return Err(ProgramError::NotExecutable { path: path_of() });
    }
    // What may be run but not read is left to the kernel.
    let mut begin = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FIRST_LINE_MAX as u64).read_to_end(&mut begin));
    match begin.strip_prefix(SCRIPT) {
        Some(line) => match interpreter(line) {
            interpreter if Path::new(&interpreter).exists() => Ok(()),
            interpreter => Err(ProgramError::NoInterpreter { path: path_of(), interpreter }),
        },
        // Refused here, since the C library would hand it to a shell.
        None if read.is_ok() && !begin.starts_with(ELF) => Err(ProgramError::NoProgram { path: path_of() }),
        None => Ok(()),
    }
}

fn interpreter(line: &[u8]) -> String {
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    String::from_utf8_lossy(line).split_whitespace().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    fn file(folder: &Path, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn each_way_in_which_a_program_cannot_be_run_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str, text: &str, mode| check(&file(folder.path(), name, text, mode));
        assert!(matches!(check(&folder.path().join("none")), Err(ProgramError::Missing { .. })));
        assert!(matches!(check(folder.path()), Err(ProgramError::Folder { .. })));
        assert!(matches!(at("plain", "#!/bin/sh\n", 0o644), Err(ProgramError::NotExecutable { .. })));
        assert!(matches!(at("text", "echo hello\n", 0o755), Err(ProgramError::NoProgram { .. })));
        let Err(ProgramError::NoInterpreter { interpreter, .. }) =
            at("old", "#! /usr/bin/pyhton3 -u\n", 0o755)
        else {
            panic!("the interpreter is missing");
        };
        assert_eq!(interpreter, "/usr/bin/pyhton3");
        assert!(at("good", "#!/bin/sh\n", 0o755).is_ok());
    }

    #[test]
    fn a_name_is_looked_for_in_path_and_what_is_in_the_way_is_told() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folders = std::env::join_paths([first.path(), second.path()]).unwrap();
        assert!(matches!(search("meter", &folders), Err(ProgramError::NotInPath { .. })));
        file(first.path(), "meter", "#!/bin/sh\n", 0o644);
        assert!(matches!(search("meter", &folders), Err(ProgramError::NotExecutable { .. })));
        let good = file(second.path(), "meter", "#!/bin/sh\n", 0o755);
        assert_eq!(search("meter", &folders).unwrap(), good);
    }
}
