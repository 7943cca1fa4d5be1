//! Symbol versions: what the plugin wants of this system's libraries.

use super::dynamic::Dynamic;
use super::{Fault, System};
use object::elf::{self, Vernaux, Verneed};
use object::read::ReadRef as _;
use object::{LittleEndian, LittleEndian as LE};

/// The most libraries with versions, and versions of one library; a plugin has about four and ten.
const MOST_ENTRIES: u64 = 256;

/// The bits of a symbol's version that are its number; the one above says hidden.
pub(super) const NUMBER: u16 = 0x7fff;

/// The linker would refuse these too, but only by the first one and without saying what is here. Damage it would follow.
pub(super) fn check(dynamic: &Dynamic<'_>, system: &mut dyn System) -> Result<(), Fault> {
    let count = dynamic.value(elf::DT_VERNEEDNUM).unwrap_or(0);
    let Some(table) = dynamic.open_table(elf::DT_VERNEED)? else {
        return Ok(());
    };
    if count > MOST_ENTRIES {
        return Err(Fault::damaged(format!("versions of {count} libraries")));
    }
    let mut at = 0;
    // The linker stops where an entry has no next one, whatever the count says.
    for number in 1..=MOST_ENTRIES {
        let need: &Verneed<LittleEndian> = table.read_at(at).map_err(|()| outside(at))?;
        if need.vn_version.get(LE) != 1 {
            return Err(Fault::damaged(format!("versions of format {}", need.vn_version.get(LE))));
        }
        let library = dynamic.name(need.vn_file.get(LE).into())?;
        let first = at.saturating_add(need.vn_aux.get(LE).into());
        of_library(dynamic, table, first, &library, system)?;
        match need.vn_next.get(LE) {
            0 if number == count => return Ok(()),
            0 => {
                return Err(Fault::damaged(format!(
                    "versions of {number} libraries, of which it says {count}"
                )));
            }
            next => at = at.saturating_add(next.into()),
        }
    }
    Err(Fault::damaged(format!("versions of more than {MOST_ENTRIES} libraries")))
}

/// The numbers by which symbols name these versions, without the bit that says hidden. To be asked of a table that
/// may be damaged: what cannot be read is left out, and said by [`check`].
pub(super) fn known(dynamic: &Dynamic<'_>) -> Result<Vec<u16>, Fault> {
    let mut known = Vec::new();
    let Some(table) = dynamic.open_table(elf::DT_VERNEED)? else {
        return Ok(known);
    };
    let (mut at, mut libraries) = (0_u64, 0);
    while let Ok(need) = table.read_at::<Verneed<LittleEndian>>(at) {
        let (mut version_at, mut versions) = (at.saturating_add(need.vn_aux.get(LE).into()), 0);
        while let Ok(version) = table.read_at::<Vernaux<LittleEndian>>(version_at) {
            known.push(version.vna_other.get(LE).0 & NUMBER);
            versions += 1;
            if version.vna_next.get(LE) == 0 || versions == MOST_ENTRIES {
                break;
            }
            version_at = version_at.saturating_add(version.vna_next.get(LE).into());
        }
        libraries += 1;
        if need.vn_next.get(LE) == 0 || libraries == MOST_ENTRIES {
            break;
        }
        at = at.saturating_add(need.vn_next.get(LE).into());
    }
    Ok(known)
}

fn of_library(
    dynamic: &Dynamic<'_>,
    table: &[u8],
    mut at: u64,
    library: &str,
    system: &mut dyn System,
) -> Result<(), Fault> {
    for _ in 0..MOST_ENTRIES {
        let version: &Vernaux<LittleEndian> = table.read_at(at).map_err(|()| outside(at))?;
        let name = dynamic.name(version.vna_name.get(LE).into())?;
        if let Some(newest) = system.lacks(library, &name) {
            return Err(Fault::new(
                "symbol-version",
                format!("it needs {name} of {library}, here is {newest}"),
                "a library that was linked against this system's libraries or older ones",
                "build the plugin on this system, or on one with an older C library",
            ));
        }
        match version.vna_next.get(LE) {
            0 => return Ok(()),
            next => at = at.saturating_add(next.into()),
        }
    }
    Err(Fault::damaged(format!("more than {MOST_ENTRIES} versions of {library}")))
}

fn outside(at: u64) -> Fault {
    Fault::damaged(format!("an entry at byte {at} of the version table, which is not in the file"))
}
