//! What was set aside as damaged: what is still whole in it, and which heads are its.

use super::folder::{Trail, TrailError, open, read};
use super::words::counted;
use cardcage_core::audit::{
    Aside, AsideFile, AsideHead, FileHeader, Hash, Head, Report, Step, Stream, aside_of,
};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// What was found in it.
#[derive(Debug, Default)]
pub(super) struct SetAside {
    pub(super) files: Vec<AsideFile>,
    pub(super) heads: Vec<AsideHead>,
    /// What could not be read, and why.
    unreadable: Vec<(String, String)>,
}

impl SetAside {
    /// Looks into all that was set aside of this trail, above all for heads that the trail does not have.
    pub(super) fn look(trail: &Trail, report: &Report) -> Result<Self, TrailError> {
        let lacking: Vec<Hash> =
            report.heads.iter().filter(|head| head.block.is_none()).map(|head| head.hash).collect();
        let mut aside = Aside::new(&lacking);
        let mut unreadable = Vec::new();
        for name in &trail.set_aside {
            let path = trail.folder.join(name);
            let file = match open(&path) {
                Ok(file) => file,
                // Retention has removed it by now.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    unreadable.push((name.clone(), error.to_string()));
                    continue;
                }
            };
            aside.file(name);
            if !is_zeros(&path).unwrap_or(false) {
                walk(name, &path, file, &mut aside)?;
            }
        }
        let heads = aside.heads().collect();
        Ok(Self { files: aside.files().to_vec(), heads, unreadable })
    }

    /// Whether there is more in it than what a failure of power leaves behind.
    pub(super) fn is_damaged(&self) -> bool {
        self.files.iter().any(is_damaged) || !self.unreadable.is_empty()
    }

    /// One line for each file.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        for file in &self.files {
            let AsideFile { name, blocks, fault } = file;
            let whole = match blocks {
                0 => String::new(),
                count => format!("; {} in it can be read", counted(*count, "whole block")),
            };
            let _ = match fault {
                _ if !is_damaged(file) => {
                    writeln!(out, "note: {name} was set aside: the end of a block that was never finished")
                }
                Some(fault) => writeln!(out, "DAMAGED: {name} was set aside: {fault}{whole}"),
                None => writeln!(
                    out,
                    "DAMAGED: {name} was set aside: it does not follow what is before it{whole}"
                ),
            };
        }
        for (name, why) in &self.unreadable {
            let _ = writeln!(out, "DAMAGED: {name} was set aside, and cannot be read: {why}");
        }
        if self.is_damaged() {
            out.push_str("  what was set aside is no part of the trail any more; once it is looked into, move it elsewhere\n");
        }
        out
    }

    /// Which of the heads that are not in the trail is in here.
    pub(super) fn head(&self, hash: Hash) -> Option<&AsideHead> {
        self.heads.iter().find(|head| head.head.hash == hash)
    }
}

fn is_damaged(file: &AsideFile) -> bool {
    file.fault.is_some() || file.blocks > 0
}

fn walk(name: &str, path: &Path, file: File, aside: &mut Aside) -> Result<(), TrailError> {
    let mut stream = Stream::new();
    let mut begun = [0; 16];
    let number = aside_of(name).map_or(0, |(number, _)| number);
    let header = FileHeader { number, after: Head::NONE }.encode();
    let mut file = file;
    let seen = read(path, &mut file, &mut begun)?;
    if begun[..seen] != header[..seen] {
        // The end of a file: it begins where a block should.
        stream.room()[..header.len()].copy_from_slice(&header);
        stream.filled(header.len());
    }
    stream.room()[..seen].copy_from_slice(&begun[..seen]);
    stream.filled(seen);
    loop {
        match stream.step() {
            Step::More => match read(path, &mut file, stream.room())? {
                0 => stream.end(),
                read => stream.filled(read),
            },
            step => {
                aside.step(&step);
                if matches!(step, Step::End { .. }) {
                    return Ok(());
                }
            }
        }
    }
}

/// Whether there is nothing in the file but zeros, as where it was made longer and never written.
fn is_zeros(path: &Path) -> io::Result<bool> {
    let (mut file, mut piece) = (open(path)?, vec![0; 64 * 1024]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(true),
            read if piece[..read].iter().any(|byte| *byte != 0) => return Ok(false),
            _ => {}
        }
    }
}
