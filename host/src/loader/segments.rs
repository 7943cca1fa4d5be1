//! Where a library's code and constants are, by the dynamic linker's own account.
//!
//! Rungs 6 and 7 believe a pointer only if it leads into the library that it came from, and into the right kind of
//! memory there: a function into code, a table into constants. The file's headers say what was asked for; this is what
//! was done with it. One of the files with unsafe code: asking the linker.

#![expect(unsafe_code, reason = "dl_iterate_phdr hands over the linker's own list")]

use libc::{PF_R, PF_W, PF_X, PT_GNU_RELRO, PT_LOAD};

/// Segments looked at: ordinary libraries have about ten.
const SEGMENTS_MAX: usize = 256;

/// A library's memory, by kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Segments {
    loads: Vec<Part>,
    /// Written by relocation and read-only afterwards.
    relro: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    start: usize,
    end: usize,
    flags: u32,
}

/// What an address leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leads {
    /// Nowhere in this library; where else, if to another one that is loaded.
    Outside,
    /// Code of the library.
    Code,
    /// Data that cannot change.
    Constant,
    /// Data that can.
    Variable,
}

impl Segments {
    /// Those of the library that has this address in it. `None` if there is none.
    pub(crate) fn around(address: usize) -> Option<Self> {
        let mut search = Search { address, found: None };
        // SAFETY: the callback gets the pointer that is given here, and `search` outlives the call.
        unsafe { libc::dl_iterate_phdr(Some(look), (&raw mut search).cast()) };
        search.found
    }

    /// What `size` bytes at this address are; they must be in one segment.
    pub(crate) fn lead(&self, address: usize, size: usize) -> Leads {
        let Some(end) = address.checked_add(size) else {
            return Leads::Outside;
        };
        let inside = |part: &&Part| part.start <= address && end <= part.end;
        match self.loads.iter().find(inside) {
            Some(part) if part.flags & PF_X != 0 => Leads::Code,
            Some(part) if part.flags & PF_R == 0 => Leads::Outside,
            Some(part) if part.flags & PF_W == 0 || self.relro.iter().any(|part| inside(&part)) => {
                Leads::Constant
            }
            Some(_) => Leads::Variable,
            None => Leads::Outside,
        }
    }

    /// Whether `count` values of type `T` can be read at `at`: constants of this library, aligned.
    pub(crate) fn constants<T>(&self, at: *const T, count: usize) -> Result<(), Misplaced> {
        let size = size_of::<T>().checked_mul(count);
        match size.map_or(Leads::Outside, |size| self.lead(at as usize, size)) {
            _ if at.is_null() => Err(Misplaced::Null),
            _ if !at.is_aligned() => Err(Misplaced::Misaligned { at: at as usize, align: align_of::<T>() }),
            Leads::Constant => Ok(()),
            // Older linkers put constants beside the code, which can be read as well and not written.
            Leads::Code if self.readable(at as usize) => Ok(()),
            Leads::Variable => Err(Misplaced::Variable(at as usize)),
            Leads::Outside | Leads::Code => Err(Misplaced::Outside(at as usize)),
        }
    }

    /// Whether there is code of this library at `at`.
    pub(crate) fn code(&self, at: usize) -> Result<(), Misplaced> {
        match self.lead(at, 1) {
            Leads::Code => Ok(()),
            Leads::Constant | Leads::Variable => Err(Misplaced::NoCode(at)),
            Leads::Outside => Err(Misplaced::Outside(at)),
        }
    }

    fn readable(&self, at: usize) -> bool {
        self.loads.iter().any(|part| part.start <= at && at < part.end && part.flags & PF_R != 0)
    }
}

/// Why a pointer is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misplaced {
    /// It is null.
    Null,
    /// Its value could not be read in one piece.
    Misaligned {
        /// The address.
        at: usize,
        /// What it should be a multiple of.
        align: usize,
    },
    /// It leads out of the library.
    Outside(usize),
    /// It leads to data that anything may change.
    Variable(usize),
    /// It leads to data, and should lead to code.
    NoCode(usize),
}

impl Misplaced {
    /// The last part of a refusal's code.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Misaligned { .. } => "misaligned",
            Self::Outside(_) => "outside",
            Self::Variable(_) => "writable",
            Self::NoCode(_) => "no-code",
        }
    }

    /// The end of a sentence that begins with what the pointer is of.
    pub(crate) fn found(self) -> String {
        match self {
            Self::Null => "is null".to_owned(),
            Self::Misaligned { at, align } => format!("lies at {at:#x}, which is not a multiple of {align}"),
            Self::Outside(at) => match library_at(at) {
                Some(name) => format!("leads to {at:#x}, in {name}"),
                None => format!("leads to {at:#x}, where no library is"),
            },
            Self::Variable(at) => format!("lies at {at:#x}, in memory of the library that can be written"),
            Self::NoCode(at) => format!("leads to {at:#x}, which is data of the library and not code"),
        }
    }
}

struct Search {
    address: usize,
    found: Option<Segments>,
}

extern "C" fn look(info: *mut libc::dl_phdr_info, _: usize, search: *mut libc::c_void) -> i32 {
    // SAFETY: the linker's entry is valid for this call; `search` is what `around` gave, used by nobody else meanwhile.
    let (info, search) = unsafe { (&*info, &mut *search.cast::<Search>()) };
    let segments = of(info);
    let has = segments.loads.iter().any(|part| part.start <= search.address && search.address < part.end);
    if has {
        search.found = Some(segments);
    }
    i32::from(has)
}

/// The segments of one entry of the linker's list.
fn of(info: &libc::dl_phdr_info) -> Segments {
    let count = usize::from(info.dlpi_phnum).min(SEGMENTS_MAX);
    if info.dlpi_phdr.is_null() {
        return Segments::default();
    }
    // SAFETY: the linker keeps the `dlpi_phnum` program headers of every library that is loaded.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, count) };
    let base = usize::try_from(info.dlpi_addr).unwrap_or(0);
    let part = |header: &libc::Elf64_Phdr| {
        let start = base.wrapping_add(usize::try_from(header.p_vaddr).unwrap_or(0));
        let end = start.saturating_add(usize::try_from(header.p_memsz).unwrap_or(0));
        Part { start, end, flags: header.p_flags }
    };
    let all = |kind| headers.iter().filter(move |header| header.p_type == kind).map(part);
    // The linker protects whole pages, and a last page only if it is full.
    let page = page_size();
    let whole = |part: Part| Part { start: part.start / page * page, end: part.end / page * page, ..part };
    Segments { loads: all(PT_LOAD).collect(), relro: all(PT_GNU_RELRO).map(whole).collect() }
}

fn page_size() -> usize {
    // SAFETY: asks for a number.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// The name of the loaded library that has this address in it.
fn library_at(at: usize) -> Option<String> {
    extern "C" fn name(info: *mut libc::dl_phdr_info, _: usize, search: *mut libc::c_void) -> i32 {
        // SAFETY: as in `look`; the pair is that of `library_at`.
        let (info, search) = unsafe { (&*info, &mut *search.cast::<(usize, Option<String>)>()) };
        let has = of(info).loads.iter().any(|part| part.start <= search.0 && search.0 < part.end);
        if has && !info.dlpi_name.is_null() {
            // SAFETY: the linker keeps each library's name, with its NUL.
            let path = unsafe { std::ffi::CStr::from_ptr(info.dlpi_name) }.to_string_lossy();
            let file = path.rsplit('/').next().unwrap_or_default();
            // The program itself has no name there.
            search.1 = Some(if file.is_empty() { "the program".to_owned() } else { file.to_owned() });
        }
        i32::from(has)
    }
    let mut search: (usize, Option<String>) = (at, None);
    // SAFETY: as in `around`.
    unsafe { libc::dl_iterate_phdr(Some(name), (&raw mut search).cast()) };
    search.1
}

#[cfg(test)]
mod tests {
    use super::*;

    static CONSTANT: u64 = 7;
    static TABLE: &[&u64] = &[&CONSTANT];
    static mut VARIABLE: u64 = 7;

    #[test]
    fn code_constants_and_variables_are_told_apart() {
        let here = code_constants_and_variables_are_told_apart as *const () as usize;
        let segments = Segments::around(here).unwrap();
        assert_eq!(segments.code(here), Ok(()));
        assert_eq!(segments.constants(&raw const CONSTANT, 1), Ok(()));
        // Relocated when the program starts, and read-only since.
        assert_eq!(segments.constants(TABLE.as_ptr(), 1), Ok(()));
        let variable = (&raw const VARIABLE) as usize;
        assert_eq!(segments.constants(&raw const VARIABLE, 1), Err(Misplaced::Variable(variable)));
        assert_eq!(segments.code(variable), Err(Misplaced::NoCode(variable)));
        let misaligned = (&raw const CONSTANT).wrapping_byte_add(1);
        assert_eq!(segments.constants(misaligned, 1).map_err(Misplaced::code), Err("misaligned"));
        assert_eq!(segments.constants(std::ptr::null::<u64>(), 1), Err(Misplaced::Null));
    }

    #[test]
    fn what_is_elsewhere_is_said_to_be_there() {
        let here = what_is_elsewhere_is_said_to_be_there as *const () as usize;
        let segments = Segments::around(here).unwrap();
        let elsewhere = libc::getpid as *const () as usize;
        let misplaced = segments.code(elsewhere).unwrap_err();
        assert!(misplaced.found().contains("libc"), "{}", misplaced.found());
        let heap = Box::new(0_u64);
        let misplaced = segments.constants(&raw const *heap, 1).unwrap_err();
        assert!(misplaced.found().ends_with("where no library is"), "{}", misplaced.found());
        assert_eq!(Segments::around(&raw const *heap as usize).map(|_| ()), None);
    }
}
