//! What the arguments of a call point to, from the child's memory.
//!
//! Another thread may change it before the kernel reads it. That takes intent, and intent is not what vetting finds.

#![forbid(unsafe_code)]

use super::kernel::Question;
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// The longest path, as the kernel has it.
const PATH_MAX: usize = 4096;
/// Of an address: family, port, and all of an IPv6 one.
const ADDRESS_BYTES: usize = 8;

/// The path that a call names, from the child's memory.
pub(super) fn path_of(question: &Question, folder: Option<usize>, path: usize) -> Option<PathBuf> {
    let memory = File::open(format!("/proc/{}/mem", question.thread)).ok()?;
    let path = PathBuf::from(OsString::from_vec(text_at(&memory, question.arguments[path])?));
    if path.is_absolute() {
        return Some(path);
    }
    let folder = folder.map(|folder| question.arguments[folder]);
    // The lower half is the descriptor; the upper half is left over from before.
    let base = match folder.map(|descriptor| (descriptor & 0xffff_ffff) as i32) {
        None | Some(libc::AT_FDCWD) => std::fs::read_link(format!("/proc/{}/cwd", question.thread)).ok()?,
        Some(descriptor) => std::fs::read_link(format!("/proc/{}/fd/{descriptor}", question.thread)).ok()?,
    };
    // Without a path it is about what the descriptor leads to.
    Some(if path.as_os_str().is_empty() { base } else { base.join(path) })
}

/// A text that ends with a zero. Read page by page: the next one may not be there.
fn text_at(memory: &File, start: u64) -> Option<Vec<u8>> {
    const PAGE: u64 = 4096;
    let mut text = Vec::new();
    while text.len() < PATH_MAX {
        let at = start.wrapping_add(text.len() as u64);
        let mut chunk = vec![0; usize::try_from(PAGE - at % PAGE).ok()?];
        memory.read_exact_at(&mut chunk, at).ok()?;
        match chunk.iter().position(|byte| *byte == 0) {
            Some(end) => {
                text.extend_from_slice(&chunk[..end]);
                return Some(text);
            }
            None => text.extend_from_slice(&chunk),
        }
    }
    None
}

/// The file that a descriptor leads to, if it has a path at all.
pub(super) fn file_of(question: &Question, descriptor: u64) -> Option<PathBuf> {
    let descriptor = (descriptor & 0xffff_ffff) as i32;
    let path = std::fs::read_link(format!("/proc/{}/fd/{descriptor}", question.thread)).ok()?;
    // Memory, pipes and sockets have names of another kind, or no folder.
    (path.is_absolute() && !is_memory(&path)).then_some(path)
}

fn is_memory(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().starts_with(b"/memfd:")
}

/// The first word behind an argument.
pub(super) fn word_at(question: &Question, argument: usize) -> Option<u32> {
    let mut word = [0; 4];
    memory_of(question)?.read_exact_at(&mut word, question.arguments[argument]).ok()?;
    Some(u32::from_le_bytes(word))
}

/// The port of the internet address behind the second argument; `None` for one of another family.
pub(super) fn port_of(question: &Question) -> Option<u16> {
    let mut address = [0; ADDRESS_BYTES];
    memory_of(question)?.read_exact_at(&mut address, question.arguments[1]).ok()?;
    let family = i32::from(u16::from_le_bytes([address[0], address[1]]));
    let port = u16::from_be_bytes([address[2], address[3]]);
    (family == libc::AF_INET || family == libc::AF_INET6).then_some(port)
}

fn memory_of(question: &Question) -> Option<File> {
    File::open(format!("/proc/{}/mem", question.thread)).ok()
}
