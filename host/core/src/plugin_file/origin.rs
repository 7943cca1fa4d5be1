//! Whether a file is as its linker left it.
//!
//! Damage inside code or constants breaks no rule of the file format: such a library loads, and computes wrong values.
//! But linkers leave a hash of the file in it, the build id, and LLD, which is Rust's own linker on Linux, makes it in a
//! way that can be done again: BLAKE3 over the whole file with zeroes in the id's place. So there damage is found
//! wherever it is. It finds accidents and no forgers, who would write the id anew.

use super::fault::Faults;
use super::headers::Headers;
use super::{Fault, System, notes};

/// The major versions of LLD whose build ids were seen to be made like this. Another one is not checked until it is
/// known; `tests/tests/mutation.rs` fails when the toolchain's own is not.
const KNOWN_LLD: [u32; 1] = [22];
/// What LLD leaves in `.comment`, before its version.
const MARK: &[u8] = b"Linker: LLD ";
/// The name of the section that holds the id, between others in the table of such names. Where the section was taken out,
/// its name went with it.
const SECTION: &[u8] = b"\0.note.gnu.build-id\0";
/// The pieces that are hashed one by one.
const PIECE_BYTES: usize = 1024 * 1024;
/// What is kept of each hash. Ids of other lengths are made in other ways.
const ID_BYTES: usize = 20;
const OWNER: &[u8] = b"GNU\0";
const BUILD_ID: u32 = 3;

/// Whether a file's build id tells that its bytes are those that were linked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seal {
    /// It does.
    Whole,
    /// It cannot, for this reason.
    Unknown(String),
}

/// Refuses a file that has a build id which can be checked, and other bytes than when that was made. A file without one
/// passes, and it is said that nobody knows.
///
/// # Errors
/// What is wrong with it, in the order in which it was found; at least one.
pub fn as_linked(bytes: &[u8], system: &dyn System) -> Result<Seal, Vec<Fault>> {
    match linker(bytes) {
        Some(version) if KNOWN_LLD.contains(&version) => {}
        Some(version) => {
            let known = KNOWN_LLD.map(|known| known.to_string()).join(", ");
            return Ok(Seal::Unknown(format!(
                "linked by LLD {version}; known are the build ids of LLD {known}"
            )));
        }
        None => return Ok(Seal::Unknown("linked by another linker than LLD, as far as it says".to_owned())),
    }
    let mut faults = Faults::default();
    let headers = Headers::read(bytes, system, &mut faults);
    let headers = faults.or(headers)?;
    let mut ids = Vec::new();
    notes::all(&headers, &mut |note, notes| {
        if note.owner == OWNER && note.kind == BUILD_ID && note.content.len() == ID_BYTES {
            ids.push(&notes[note.content]);
        }
    })
    .map_err(|fault| vec![fault])?;
    let [id] = ids[..] else {
        // Damage to the id itself must not take the seal off.
        return if memchr::memmem::rfind(bytes, SECTION).is_some() {
            Err(vec![Fault::damaged("a section for a build id, and no build id of 20 bytes in it")])
        } else {
            Ok(Seal::Unknown("linked without a build id".to_owned()))
        };
    };
    // Notes are slices of the file.
    let at = id.as_ptr().addr() - bytes.as_ptr().addr();
    if made_again(bytes, at) == id {
        return Ok(Seal::Whole);
    }
    Err(vec![Fault::new(
        "altered",
        "other bytes than the linker wrote: the file does not match its build id",
        "the file as it was linked",
        "copy or build it again; to strip it, set `strip = true` in the profile, and the linker does. If you changed it \
         on purpose, take the old id out: `objcopy --remove-section .note.gnu.build-id FILE`",
    )])
}

/// The major version of the LLD that says it linked this.
fn linker(bytes: &[u8]) -> Option<u32> {
    let at = memchr::memmem::rfind(bytes, MARK)? + MARK.len();
    let digits: String = bytes[at..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .take(4)
        .map(|byte| char::from(*byte))
        .collect();
    digits.parse().ok()
}

fn made_again(bytes: &[u8], id_at: usize) -> [u8; ID_BYTES] {
    let hash = |hasher: &blake3::Hasher| {
        let mut id = [0; ID_BYTES];
        id.copy_from_slice(&hasher.finalize().as_bytes()[..ID_BYTES]);
        id
    };
    let mut all = blake3::Hasher::new();
    let mut start = 0;
    for piece in bytes.chunks(PIECE_BYTES) {
        let mut hasher = blake3::Hasher::new();
        // The part of this piece that is the id, if any.
        let from = id_at.clamp(start, start + piece.len()) - start;
        let to = (id_at + ID_BYTES).clamp(start, start + piece.len()) - start;
        hasher.update(&piece[..from]).update(&[0; ID_BYTES][..to - from]).update(&piece[to..]);
        all.update(&hash(&hasher));
        start += piece.len();
    }
    hash(&all)
}
