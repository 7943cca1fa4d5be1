//! Files that no `cargo build` makes: compiled from C and assembly, or edited.

use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder for such files; gone when dropped.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder can be made"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).expect("a file can be written");
        path
    }
}

/// A shared library of this C source.
pub(crate) fn compiled(folder: &Folder, name: &str, source: &str, more: &[&str]) -> PathBuf {
    let source = folder.write(&format!("{name}.c"), format!("{source}\n").as_bytes());
    let library = folder.path(&format!("lib{name}.so"));
    let mut arguments = vec!["-shared", "-fPIC", "-O1", "-w", "-o"];
    let paths = [&library, &source].map(|path| path.to_str().expect("paths are text").to_owned());
    arguments.extend(paths.iter().map(String::as_str));
    arguments.extend(more);
    cc(&arguments);
    library
}

/// A program of this C source that can lie at any address, under a library's name.
pub(crate) fn program(folder: &Folder, name: &str, more: &[&str]) -> PathBuf {
    let source = folder.write(&format!("{name}.c"), b"int main(void) { return 42; }\n");
    let program = folder.path(&format!("lib{name}.so"));
    let paths = [&program, &source].map(|path| path.to_str().expect("paths are text").to_owned());
    let mut arguments = vec!["-fPIE", "-o"];
    arguments.extend(paths.iter().map(String::as_str));
    arguments.extend(more);
    cc(&arguments);
    program
}

/// An object file of this assembly.
pub(crate) fn assembled(folder: &Folder, name: &str, source: &str) -> PathBuf {
    let quiet = "\n.section .note.GNU-stack,\"\",@progbits\n";
    let source = folder.write(&format!("{name}.s"), format!("{source}{quiet}").as_bytes());
    let object = folder.path(&format!("{name}.o"));
    cc(&["-c", "-o", object.to_str().expect("paths are text"), source.to_str().expect("paths are text")]);
    object
}

fn cc(arguments: &[&str]) {
    let output =
        Command::new("cc").args(arguments).output().expect("there is a C compiler: Rust links with it");
    assert!(output.status.success(), "cc {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Assembly of a Cardcage note with this content, which says that it has `len` bytes.
pub(crate) fn note(content: &[u8], len: usize) -> String {
    let mut text = format!(
        "\n.section .note.cardcage,\"a\",@note\n.p2align 2\n.long 9, {len}, 1\n.asciz \"Cardcage\"\n.p2align 2\n"
    );
    for row in content.chunks(64) {
        let row: Vec<String> = row.iter().map(u8::to_string).collect();
        writeln!(text, ".byte {}", row.join(",")).expect("a String can be written to");
    }
    text + ".p2align 2\n"
}

/// A good manifest with some keys replaced.
pub(crate) fn manifest(changes: &Value) -> Value {
    let mut manifest = json!({
        "manifest": 1, "abi": 1, "name": "made", "version": "1.0.0",
        "build": { "panic": "unwind", "arch": std::env::consts::ARCH, "features": "", "api": "0.1.0" },
        "components": [{ "kind": "stage", "name": "made", "probe": { "none": "a test" } }],
    });
    for (key, value) in changes.as_object().expect("changes are a mapping") {
        manifest[key] = value.clone();
    }
    manifest
}

/// Assembly of its note.
pub(crate) fn manifest_note(changes: &Value) -> String {
    let text = manifest(changes).to_string();
    note(text.as_bytes(), text.len())
}

/// A plugin with another name of the same length, as if another linker had made it: its build id says nothing.
pub(crate) fn renamed(library: &[u8], from: &str, to: &str) -> Vec<u8> {
    let bytes = replaced(library, &format!("\"name\":\"{from}\""), &format!("\"name\":\"{to}\""));
    unsealed(&bytes)
}

/// A library whose build id says nothing, as if another linker had made it.
pub(crate) fn unsealed(library: &[u8]) -> Vec<u8> {
    replaced(library, "Linker: LLD", "linker: LLD")
}

/// A library with this text in all places of another one of the same length.
pub(crate) fn replaced(library: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = library.to_vec();
    let places: Vec<usize> =
        (0..bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from.as_bytes())).collect();
    assert!(!places.is_empty(), "`{from}` is in the library");
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    bytes
}

/// Without what differs from machine to machine: the file's path, numbers of three digits and more, addresses.
pub(crate) fn masked(text: &str, file: &Path) -> String {
    let folder = file.parent().expect("a file has a folder").display().to_string();
    let text = text.replace(&file.display().to_string(), "[FILE]").replace(&folder, "[FOLDER]");
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let len = rest[at..].find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len() - at);
        let word = &rest[at..at + len];
        out.push_str(&rest[..at]);
        let number = word.bytes().all(|byte| byte.is_ascii_digit()) && len >= 3;
        out.push_str(if word.starts_with("0x") || number { "[N]" } else { word });
        rest = &rest[at + len..];
    }
    out + rest
}
