//! Symbol versions: what the plugin wants of this system's libraries.

use super::dynamic::Dynamic;
use super::{Fault, System};
use object::elf::{self, Vernaux, Verneed};
use object::read::ReadRef as _;
use object::{LittleEndian, LittleEndian as LE};

/// The most libraries with versions, and versions of one library; a plugin has about four and ten.
const MOST_ENTRIES: u64 = 256;

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
