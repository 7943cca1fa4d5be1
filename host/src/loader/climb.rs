//! The rungs in order: first those that run no code of the plugin, then those that do.

#![forbid(unsafe_code)]

use super::elf::{self, Image, Seal};
use super::file::{self, PrivateCopy};
use super::libraries::SystemLibraries;
use super::process_state::Alone;
use super::refusal::{Climbed, Refusal, Rung};
use super::{layout, manifest, open, truth, vtable};
use cardcage_core::config::Permissions;
use cardcage_plugin_api::manifest::Manifest;
use cardcage_runtime::ComponentTypeHandle;
use std::path::Path;
use std::time::{Duration, Instant};

/// Hears of each rung when it is begun.
pub(crate) type Watch<'a> = dyn FnMut(Rung, &str) + 'a;

/// A plugin file after rungs 1 to 3: nothing of it has run.
#[derive(Debug)]
pub(crate) struct Candidate {
    /// The private copy, without its bytes.
    pub(crate) copy: PrivateCopy,
    /// What the ELF headers said.
    pub(crate) image: Image,
    /// What the note said.
    pub(crate) manifest: Manifest,
}

impl Candidate {
    /// The note's bytes.
    pub(crate) fn note(&self) -> &[u8] {
        self.image.notes.first().map_or(&[], Vec::as_slice)
    }
}

/// A library after rungs 5 to 8: mapped for good, its component types ready to be opened.
pub(crate) struct LoadedLibrary {
    /// In the manifest's order.
    pub(crate) types: Vec<ComponentTypeHandle>,
    /// The library's way to take up its log.
    pub(crate) attach: vtable::Attach,
}

/// Rungs 1 to 3.
pub(crate) fn look(
    path: &Path,
    libraries: &mut SystemLibraries,
    watch: &mut Watch<'_>,
) -> Climbed<Candidate> {
    watch(Rung::File, "");
    let copy = file::read(path, Permissions::Auto)?;
    look_at(copy, libraries, watch)
}

/// Rungs 1 to 3 for somebody who wants to know all that is wrong: those that mistrust the file, or find it unfit to be
/// loaded, do not keep the next ones from being tried on its bytes, since nothing of it runs.
pub(crate) fn look_on(
    path: &Path,
    libraries: &mut SystemLibraries,
    watch: &mut Watch<'_>,
) -> Climbed<(Candidate, Seal)> {
    watch(Rung::File, "");
    let mut refused = Vec::new();
    let read = file::read(path, Permissions::Auto).or_else(|refusal| {
        if !file::is_mistrust(&refusal) {
            return Err(refusal);
        }
        let anyway = file::read(path, Permissions::Any).map_err(|_| refusal.clone());
        refused.push(refusal);
        anyway
    });
    let mut copy = read?;
    watch(Rung::Elf, "");
    let examined =
        elf::examine(path, copy.bytes(), libraries).and_then(|image| Ok((image, elf::as_linked(&copy)?)));
    let image = match &examined {
        Ok((image, _)) => Some(image.clone()),
        Err(_) => elf::notes_of(copy.bytes(), libraries),
    };
    let seal = examined.map_err(|refusal| refused.push(refusal)).map(|(_, seal)| seal);
    let manifest = image.as_ref().map(|image| {
        watch(Rung::Manifest, "");
        manifest::read(path, image)
    });
    let manifest = manifest.transpose().unwrap_or_else(|refusal| {
        refused.push(refusal);
        None
    });
    copy.release_bytes();
    match (image, manifest, seal) {
        (Some(image), Some(manifest), Ok(seal)) if refused.is_empty() => {
            Ok((Candidate { copy, image, manifest }, seal))
        }
        _ => Err(Refusal::first_of(refused)),
    }
}

/// Rungs 2 and 3, on a copy that is there already.
pub(crate) fn look_at(
    mut copy: PrivateCopy,
    libraries: &mut SystemLibraries,
    watch: &mut Watch<'_>,
) -> Climbed<Candidate> {
    watch(Rung::Elf, "");
    let image = elf::examine(copy.path(), copy.bytes(), libraries)?;
    watch(Rung::Manifest, "");
    let manifest = manifest::read(copy.path(), &image)?;
    copy.release_bytes();
    Ok(Candidate { copy, image, manifest })
}

/// Rungs 5 to 8.
pub(crate) fn load(candidate: &Candidate, alone: Alone, watch: &mut Watch<'_>) -> Climbed<LoadedLibrary> {
    let path = candidate.copy.path();
    watch(Rung::Open, "");
    let library = open::open(path, &candidate.copy, &candidate.image, alone)?;
    watch(Rung::Layout, "");
    let (root, segments) = layout::check(path, &library)?;
    watch(Rung::Vtable, "");
    let tables = vtable::read(path, root, &segments)?;
    watch(Rung::Truth, "");
    let manifest = &candidate.manifest;
    let pairs = truth::compare(path, manifest, candidate.note(), library.manifest(), tables)?;
    Ok(LoadedLibrary {
        types: pairs.into_iter().map(|(table, component)| table.handle(manifest, component)).collect(),
        attach: vtable::Attach::of(root),
    })
}

/// Times the rungs that it hears of.
#[derive(Debug, Default)]
pub(crate) struct Stopwatch {
    running: Option<(Rung, Instant)>,
    laps: Vec<(Rung, Duration)>,
}

impl Stopwatch {
    /// A rung begins, or goes on; the one before ends.
    pub(crate) fn begin(&mut self, rung: Rung) {
        self.stop();
        self.running = Some((rung, Instant::now()));
    }

    /// The last rung ends.
    pub(crate) fn stop(&mut self) {
        let Some((rung, since)) = self.running.take() else {
            return;
        };
        match self.laps.iter_mut().find(|(known, _)| *known == rung) {
            Some((_, spent)) => *spent += since.elapsed(),
            None => self.laps.push((rung, since.elapsed())),
        }
    }

    /// Each rung with its time, in order.
    pub(crate) fn laps(&self) -> &[(Rung, Duration)] {
        &self.laps
    }
}
