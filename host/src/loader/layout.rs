//! Rung 6: the types of the ABI are laid out in the library as they are here.
//!
//! `abi_stable` compares the layout constants that both sides were compiled with, through every pointer and every
//! function's parameters. Its stock check is one-way and keeps one global map for all libraries; here each library is
//! checked by itself, and passes if either side could have been written against the other's version.
//! The only module of the host that uses `abi_stable`'s checker. One of the files with unsafe code: after the check the
//! root is taken at its word.

#![expect(unsafe_code, reason = "the root module is read as the type that its layout was found to be")]

use super::open::OpenLibrary;
use super::refusal::{Climbed, Refusal, Rung};
use abi_stable::StableAbi;
use abi_stable::abi_stability::abi_checking::{
    AbiInstability, AbiInstabilityErrors, CheckingGlobals, check_layout_compatibility_with_globals,
};
use abi_stable::library::LibHeader;
use abi_stable::type_layout::{TLFieldOrFunction, TypeLayout};
use cardcage_plugin_api::abi::RootRef;
use std::fmt::Write as _;
use std::path::Path;

/// Rung 6: the library's root, laid out as this host's.
pub(crate) fn check(path: &Path, library: &OpenLibrary) -> Climbed<RootRef> {
    let header = upgraded(path, library)?;
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
    unsafe { header.init_root_module_with_unchecked_layout::<RootRef>() }.map_err(|error| {
        Refusal::new(
            Rung::Layout,
            "root",
            path,
            format!("its root could not be made: {}", first_line(&error.to_string())),
            "a root that export_plugin! makes",
            "build the plugin with the cardcage-plugin-api of this Cardcage",
        )
    })
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
            error.errs.iter().map(move |what| format!("{path}: {}", difference(what)))
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

fn upgraded(path: &Path, library: &OpenLibrary) -> Climbed<&'static LibHeader> {
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
    header.upgrade().map_err(|error| no("c-abi", first_line(&error.to_string()).to_owned()))
}

fn first_line(text: &str) -> &str {
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or("no reason given").trim()
}
