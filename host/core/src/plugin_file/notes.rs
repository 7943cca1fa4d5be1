//! The notes of a file: records of owner, type and content, one behind the other.

use super::Fault;
use super::headers::Headers;
use cardcage_plugin_api::manifest::{NOTE_NAME, NOTE_TYPE};
use object::elf;
use std::ops::Range;

/// The most notes looked at; a plugin has two or three.
const MOST_NOTES: usize = 64;
const HEAD_BYTES: usize = 12;

/// The contents of all notes that Cardcage owns; a second one, or one of another type, is the next rung's to refuse.
pub(super) fn manifests(headers: &Headers<'_>) -> Result<Vec<Vec<u8>>, Fault> {
    let mut found = Vec::new();
    all(headers, &mut |note, bytes| {
        if note.owner == NOTE_NAME && note.kind == NOTE_TYPE {
            found.push(bytes[note.content].to_vec());
        }
    })?;
    Ok(found)
}

/// A note; its content is given as a place in the bytes of its segment.
pub(super) struct Note<'a> {
    pub(super) owner: &'a [u8],
    pub(super) kind: u32,
    pub(super) content: Range<usize>,
}

/// Every note of every `PT_NOTE`.
pub(super) fn all<'a>(headers: &Headers<'a>, see: &mut dyn FnMut(Note<'a>, &'a [u8])) -> Result<(), Fault> {
    for (address, align, bytes) in headers.contents(elf::PT_NOTE) {
        // Notes are aligned to 4, also where the header says less; those of the GNU properties to 8.
        let align = if align <= 4 { 4 } else { 8 };
        if !address.is_multiple_of(align) {
            return Err(Fault::damaged(format!(
                "notes at address {address:#x}, which is not aligned to {align}"
            )));
        }
        let mut at = 0;
        for _ in 0..=MOST_NOTES {
            if at >= bytes.len() {
                break;
            }
            let note = one(bytes, at, usize::try_from(align).unwrap_or(8));
            let Some((note, end)) = note else {
                return Err(Fault::damaged(format!("a note at byte {at} of {} bytes of notes", bytes.len())));
            };
            see(note, bytes);
            at = end;
        }
        if at < bytes.len() {
            return Err(Fault::damaged(format!("more than {MOST_NOTES} notes")));
        }
    }
    Ok(())
}

/// The note here, and where the next one begins.
fn one(bytes: &[u8], at: usize, align: usize) -> Option<(Note<'_>, usize)> {
    let word = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let (owner_len, len, kind) = (word(at)?, word(at + 4)?, word(at + 8)?);
    let owner_end = (at + HEAD_BYTES).checked_add(usize::try_from(owner_len).ok()?)?;
    let owner = bytes.get(at + HEAD_BYTES..owner_end)?;
    let start = owner_end.checked_next_multiple_of(align)?;
    let end = start.checked_add(usize::try_from(len).ok()?)?;
    bytes.get(start..end)?;
    // The last one need not be filled up.
    Some((Note { owner, kind, content: start..end }, end.checked_next_multiple_of(align)?))
}
