//! Rung 6: the types of the ABI are laid out in the library as they are here.
//!
//! `abi_stable` compares the layout constants that both sides were compiled with, through every pointer and every
//! function's parameters. Its stock check is one-way and keeps one global map for all libraries; here each library is
//! checked by itself, and passes if either side could have been written against the other's version.
//!
//! That comparison runs code of the library and follows what its header leads to. So the header is looked at first, word
//! by word: each of its pointers leads into the library, to the right kind of memory. What a pointer behind those leads
//! to is believed; where that is a lie, the vetting child dies of it.
//! The only module of the host that uses `abi_stable`'s checker. One of the files with unsafe code: after the check the
//! root is taken at its word.

#![expect(unsafe_code, reason = "the root module is read as the type that its layout was found to be")]

use super::open::OpenLibrary;
use super::refusal::{Climbed, Refusal, Rung};
use super::segments::{Misplaced, Segments};
use abi_stable::StableAbi;
use abi_stable::abi_stability::abi_checking::{
    AbiInstability, AbiInstabilityErrors, CheckingGlobals, ExpectedFound,
    check_layout_compatibility_with_globals,
};
use abi_stable::library::{AbiHeader, AbiHeaderRef, LibHeader};
use abi_stable::prefix_type::PrefixRefTrait as _;
use abi_stable::type_layout::{TLData, TLFieldOrFunction, TypeLayout};
use cardcage_plugin_api::abi::{Root, RootRef};
use std::fmt::Write as _;
use std::path::Path;

/// Where the words of a library header are, as `abi_stable` 0.11 lays it out; the last word is the root's constructor.
/// A test compares them with `abi_stable`'s own reading.
mod word {
    use abi_stable::library::AbiHeader;

    const CONSTANTS: usize = size_of::<AbiHeader>() / size_of::<usize>();
    pub(super) const VERSION: usize = CONSTANTS + 4;
    pub(super) const VERSION_LEN: usize = CONSTANTS + 5;
    pub(super) const LAYOUT_TAG: usize = CONSTANTS + 6;
    pub(super) const LAYOUT: usize = CONSTANTS + 7;
    pub(super) const C_ABI_TESTS: usize = CONSTANTS + 8;
    pub(super) const INITIALISER: usize = CONSTANTS + 9;
}

/// The longest version text in a header.
const VERSION_MAX_BYTES: usize = 64;
/// What the tag of a header's layout says when there is one.
const HAS_LAYOUT: u8 = 0;
/// Functions with which `abi_stable` tries whether both sides agree on how C functions are called.
const C_ABI_TESTS: usize = 4;

/// Rung 6: the library's root, laid out as this host's, and where the library's memory is.
pub(crate) fn check(path: &Path, library: &OpenLibrary) -> Climbed<(RootRef, Segments)> {
    let (header, segments) = upgraded(path, library)?;
    let Some(layout) = header.layout() else {
        return Err(Refusal::new(
            Rung::Layout,
            "no-layout",
            path,
            "a header without a layout constant",
            "the layout constant that export_plugin! writes",
            "let export_plugin! write the header; without the constant nothing can be checked",
        ));
    };
    compatible(<RootRef as StableAbi>::LAYOUT, layout).map_err(|errors| {
        Refusal::new(
            Rung::Layout,
            "mismatch",
            path,
            summary(&errors),
            "the types of this host's plugin API",
            "build the plugin with the cardcage-plugin-api of this Cardcage",
        )
    })?;
    // SAFETY: the layout of what the header's constructor returns was just found to be that of `RootRef`.
    let root = unsafe { header.init_root_module_with_unchecked_layout::<RootRef>() }.map_err(|error| {
        Refusal::new(
            Rung::Layout,
            "root",
            path,
            format!("its root could not be made: {}", first_line(&error.to_string())),
            "a root that export_plugin! makes",
            "build the plugin with the cardcage-plugin-api of this Cardcage",
        )
    })?;
    let at = root.to_prefix_ref().to_raw_ptr().cast::<Root>();
    segments.constants(at, 1).map_err(|misplaced| misplaced_refusal(path, "its root", misplaced))?;
    Ok((root, segments))
}

/// Refuses a pointer of the header.
fn misplaced_refusal(path: &Path, what: &str, misplaced: Misplaced) -> Refusal {
    Refusal::new(
        Rung::Layout,
        "bad-pointer",
        path,
        format!("{what} {}", misplaced.found()),
        "a header whose pointers lead to code and constants of the library itself",
        "let export_plugin! write the header; if it did, the file is damaged: build it again",
    )
}

/// Every pointer that the header holds itself.
fn pointers(header: &[usize], segments: &Segments) -> Result<(), (&'static str, Misplaced)> {
    let at = |word: usize| header.get(word).copied().unwrap_or(0);
    let text = at(word::VERSION_LEN).min(VERSION_MAX_BYTES + 1);
    let constructor = header.last().copied().unwrap_or(0);
    let of_constant = |what, checked: Result<(), Misplaced>| checked.map_err(|misplaced| (what, misplaced));
    of_constant("the version in its header", segments.constants(at(word::VERSION) as *const u8, text))?;
    if at(word::LAYOUT_TAG).to_le_bytes()[0] == HAS_LAYOUT {
        let layout = at(word::LAYOUT) as *const TypeLayout;
        of_constant("the layout constant in its header", segments.constants(layout, 1))?;
    }
    let tests = at(word::C_ABI_TESTS) as *const usize;
    of_constant("the table of trial functions in its header", segments.constants(tests, C_ABI_TESTS))?;
    of_constant("the initialiser in its header", segments.code(at(word::INITIALISER)))?;
    of_constant("the constructor in its header", segments.code(constructor))
}

/// Whether either layout fits where the other is expected. A plain struct must be the same both ways; a prefix type may
/// be longer on either side.
pub(crate) fn compatible(
    host: &'static TypeLayout,
    plugin: &'static TypeLayout,
) -> Result<(), Box<AbiInstabilityErrors>> {
    // A set of globals of its own: in the shared one, a plugin that disagrees with another one would be refused
    // although both agree with the host.
    let check = |expected, found| {
        check_layout_compatibility_with_globals(expected, found, &CheckingGlobals::new()).map_err(Box::new)
    };
    check(host, plugin).or_else(|errors| check(plugin, host).map_err(|_| errors))
}

/// The first differences, one line each: `abi_stable`'s own text has up to 13 KB.
pub(crate) fn summary(errors: &AbiInstabilityErrors) -> String {
    /// Differences named; the rest are mostly consequences.
    const NAMED: usize = 3;
    let lines: Vec<String> = errors
        .errors
        .iter()
        .flat_map(|error| {
            let path: Vec<&str> = error
                .stack_trace
                .iter()
                .map(|step| match &step.expected {
                    TLFieldOrFunction::Field(field) => field.name(),
                    TLFieldOrFunction::Function(_) => "()",
                })
                .collect();
            let path = path.join(".").replace(".()", "()");
            let of = struct_of(&error.stack_trace);
            error.errs.iter().map(move |what| match &of {
                Some(of) => format!("{of}: {}\n  on the way {path}", difference(what)),
                None => difference(what),
            })
        })
        .collect();
    let more = lines.len().saturating_sub(NAMED);
    let mut text = lines.into_iter().take(NAMED).collect::<Vec<_>>().join("\n");
    if more > 0 {
        // Writing to a String cannot fail.
        let _ = write!(text, "\nand {more} more differences");
    }
    text
}

/// The struct that differs, by the name that it has here, or the field of one: the way to it says where it is met, and not
/// what it is. Absent where it is what was compared in the first place.
fn struct_of(way: &[ExpectedFound<TLFieldOrFunction>]) -> Option<String> {
    let mut fields = way.iter().rev().filter_map(|step| match &step.expected {
        TLFieldOrFunction::Field(field) => Some(field),
        TLFieldOrFunction::Function(_) => None,
    });
    let last = fields.next()?;
    if !matches!(last.layout().data(), TLData::Primitive(_)) {
        return Some(last.layout().name().to_owned());
    }
    let holder = fields.next().map_or("Root", |field| field.layout().name());
    Some(format!("{holder}.{}", last.name()))
}

fn difference(what: &AbiInstability) -> String {
    use AbiInstability as A;
    match what {
        A::UnexpectedField(names) => {
            format!("`{}` here, `{}` in the plugin", names.expected.name(), names.found.name())
        }
        A::Name(types) => format!("type {} here, {} in the plugin", types.expected, types.found),
        A::MismatchedPrimitive(types) => {
            format!("{:?} here, {:?} in the plugin", types.expected, types.found)
        }
        A::FieldCountMismatch(counts) => {
            format!("{} fields here, {} in the plugin", counts.expected, counts.found)
        }
        A::Size(sizes) => format!("{} bytes here, {} in the plugin", sizes.expected, sizes.found),
        A::PackageVersion(versions) => {
            format!("version {} here, {} in the plugin", versions.expected, versions.found)
        }
        other => {
            let text = format!("{other:?}");
            let kind = text.split(['(', '{', ' ']).next().unwrap_or("a difference");
            kind.to_owned()
        }
    }
}

fn upgraded(path: &Path, library: &OpenLibrary) -> Climbed<(&'static LibHeader, Segments)> {
    let no = |what: &str, found: String| {
        Refusal::new(
            Rung::Layout,
            what,
            path,
            found,
            "the header that export_plugin! writes, with the abi_stable of this Cardcage",
            "build the plugin with the cardcage-plugin-api of this Cardcage",
        )
    };
    let header = library
        .header()
        .ok_or_else(|| no("header", "a header symbol that is too small to be one".to_owned()))?;
    if !header.is_valid() {
        let found =
            format!("a header of abi_stable {}.{}, or none at all", header.abi_major, header.abi_minor);
        return Err(no("abi-stable", found));
    }
    let segments = Segments::around(std::ptr::from_ref::<AbiHeader>(&header) as usize)
        .ok_or_else(|| no("header", "a header that the dynamic linker knows no library for".to_owned()))?;
    pointers(words(&header), &segments)
        .map_err(|(what, misplaced)| misplaced_refusal(path, what, misplaced))?;
    let header = header.upgrade().map_err(|error| no("c-abi", first_line(&error.to_string()).to_owned()))?;
    Ok((header, segments))
}

/// The header as bare words.
#[expect(clippy::cast_ptr_alignment, reason = "rung 5 found the symbol aligned for words")]
fn words(header: &AbiHeaderRef) -> &'static [usize] {
    let at = std::ptr::from_ref::<AbiHeader>(header).cast::<usize>();
    // SAFETY: rung 5 found a whole `LibHeader` there, aligned, and the library stays. Any bits are valid in words; the
    // one that changes, the root's own, is not written before the header is upgraded.
    unsafe { std::slice::from_raw_parts(at, size_of::<LibHeader>() / size_of::<usize>()) }
}

fn first_line(text: &str) -> &str {
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or("no reason given").trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root as it is, as it may be later, and as nothing: the type that may grow, three times.
    macro_rules! root {
($module:ident [$($field:ident: $type:ty,)*] [$($later:ident: $later_type:ty,)*]) => {
            #[expect(dead_code, clippy::expl_impl_clone_on_copy, reason = "derived, and compared by their layouts only")]
            mod $module {
                use abi_stable::StableAbi;

                #[repr(C)]
                #[derive(StableAbi)]
                #[sabi(kind(Prefix(prefix_ref = GrowsRef)))]
                pub(super) struct Grows {
                    $(pub(super) $field: $type,)*
                    #[sabi(last_prefix_field)]
                    pub(super) last: u64,
                    $(pub(super) $later: $later_type,)*
                }
            }
        };
    }
    root!(now [version: u32,] []);
    root!(later [version: u32,] [more: bool,]);
    root!(less [] []);

    #[test]
    fn a_root_may_be_longer_on_either_side_and_never_shorter_than_it_began() {
        let [now, later, less] = [now::GrowsRef::LAYOUT, later::GrowsRef::LAYOUT, less::GrowsRef::LAYOUT];
        // A plugin from after the change in a host from before it, and the other way round.
        assert!(compatible(now, later).is_ok());
        assert!(compatible(later, now).is_ok());
        assert!(compatible(now, less).is_err());
        assert!(compatible(less, now).is_err());
    }

    /// A table as it is and as it may not become, several times under one name.
    macro_rules! frozen {
        ($($module:ident [$($field:ident: $type:ty,)*];)*) => {
            $(mod $module {
                #[repr(C)]
                #[derive(abi_stable::StableAbi)]
                pub(super) struct Table {
                    $(pub(super) $field: $type,)*
                }
            })*
            const TABLES: &[&TypeLayout] = &[$(<$module::Table as StableAbi>::LAYOUT,)*];
        };
    }
    frozen! {
        as_it_is [one: u64, two: u32, three: u32,];
        longer [one: u64, two: u32, three: u32, four: u64,];
        shorter [one: u64, two: u32,];
        swapped [one: u64, three: u32, two: u32,];
        retyped [one: u64, two: i32, three: u32,];
        renamed [one: u64, second: u32, three: u32,];
    }

    #[test]
    fn a_table_is_the_same_or_neither_side_takes_the_other() {
        for (at, one) in TABLES.iter().enumerate() {
            for (other_at, other) in TABLES.iter().enumerate() {
                assert_eq!(compatible(one, other).is_ok(), at == other_at, "{at} and {other_at}");
            }
        }
    }

    use abi_stable::library::{CheckTypeLayout, RootModuleResult};

    extern "C" fn no_root() -> RootModuleResult {
        unreachable!("nobody asks for it")
    }

    #[test]
    fn the_words_of_a_header_are_where_abi_stable_puts_them() {
        // SAFETY: the constructor is never called.
        let header: &'static LibHeader = Box::leak(Box::new(unsafe {
            LibHeader::from_constructor::<RootRef>(no_root, CheckTypeLayout::Yes)
        }));
        let at = std::ptr::from_ref(header).cast::<usize>();
        // SAFETY: a whole header is there, for good.
        let words = unsafe { std::slice::from_raw_parts(at, size_of::<LibHeader>() / size_of::<usize>()) };
        let constants = header.root_mod_consts();
        let version = constants.version_strings().version;
        assert_eq!(
            (words[word::VERSION], words[word::VERSION_LEN]),
            (version.as_ptr() as usize, version.len())
        );
        assert_eq!(words[word::LAYOUT_TAG].to_le_bytes()[0], HAS_LAYOUT);
        assert_eq!(
            Some(words[word::LAYOUT]),
            header.layout().map(|layout| std::ptr::from_ref(layout) as usize)
        );
        assert_eq!(words[word::C_ABI_TESTS], std::ptr::from_ref(constants.c_abi_testing_fns()) as usize);
        assert_eq!(
            words[word::INITIALISER],
            abi_stable::globals::initialize_globals_with as *const () as usize
        );
        assert_eq!(words.last(), Some(&(no_root as *const () as usize)));
        // This program's own constants pass: it is its own library.
        let segments = Segments::around(no_root as *const () as usize).unwrap();
        assert_eq!(pointers(words, &segments), Ok(()));
        let mut forged = words.to_vec();
        forged[word::LAYOUT] = 16;
        assert!(matches!(pointers(&forged, &segments), Err((_, Misplaced::Outside(16)))));
    }
}
