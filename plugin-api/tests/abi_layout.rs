//! Holds the ABI's layout: every type that crosses, with its size, its fields and their places, and every function with
//! the names of its parameters (which the layout check compares too).
//!
//! A change here is a change that plugins built before cannot follow. The snapshot may grow by new groups; what is
//! released in it never changes. See `docs/abi.md`.

use abi_stable::StableAbi;
use abi_stable::type_layout::{TLData, TLField, TLFunction, TypeLayout};
use cardcage_plugin_api::abi::{RootRef, StateGroup};
use cardcage_plugin_api::record::Record;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The crate whose types are the ABI.
const PACKAGE: &str = "cardcage-plugin-api";

#[test]
fn the_layout_of_every_type_that_crosses_is_as_released() {
    let mut types = BTreeMap::new();
    for root in [RootRef::LAYOUT, StateGroup::LAYOUT, Record::LAYOUT] {
        reach(root, &mut types);
    }
    let text: String = types.into_values().map(describe).collect();
    insta::assert_snapshot!("abi", text);
}

#[test]
fn the_header_is_exported_under_the_name_that_the_layout_check_defines() {
    // The macro can't put a constant into `export_name`, so the name is written out there.
    let source = include_str!("../src/export.rs");
    let written = format!("export_name = \"{}\"", abi_stable::library::ROOT_MODULE_LOADER_NAME);
    assert!(source.contains(&written), "{written}");
    let manifest = format!("export_name = \"{}\"", cardcage_plugin_api::manifest::MANIFEST_SYMBOL);
    assert!(source.contains(&manifest), "{manifest}");
    let section = format!("link_section = \"{}\"", cardcage_plugin_api::manifest::NOTE_SECTION);
    assert!(source.contains(&section), "{section}");
}

/// All of the crate's own types that can be reached from a type through fields, pointers and functions.
fn reach(layout: &'static TypeLayout, types: &mut BTreeMap<String, &'static TypeLayout>) {
    let name = layout.full_type().to_string();
    if types.contains_key(&name) {
        return;
    }
    let own = layout.package().as_str() == PACKAGE;
    types.insert(name.clone(), layout);
    for field in fields(layout).into_iter().chain(layout.phantom_fields().iter()) {
        reach(field.layout(), types);
        for function in field.function_range() {
            for parameter in function.param_type_layouts.iter() {
                reach(parameter(), types);
            }
            if let Some(returned) = function.return_type_layout() {
                reach(returned(), types);
            }
        }
    }
    if !own {
        types.remove(&name);
    }
}

fn fields(layout: &'static TypeLayout) -> Vec<TLField> {
    match layout.data() {
        TLData::Struct { fields } | TLData::Union { fields } => fields.iter().collect(),
        TLData::PrefixType(prefix) => prefix.fields.iter().collect(),
        TLData::Enum(variants) => variants.fields.iter().collect(),
        TLData::Primitive(_) | TLData::Opaque => Vec::new(),
    }
}

fn describe(layout: &'static TypeLayout) -> String {
    let mut text = format!(
        "{}: {} bytes, aligned to {}, {:?}\n",
        layout.full_type(),
        layout.size(),
        layout.alignment(),
        layout.repr_attr()
    );
    let mut offset = 0_usize;
    for field in fields(layout) {
        let inner = field.layout();
        // As `repr(C)` lays fields out.
        offset = offset.next_multiple_of(inner.alignment());
        let ty = match field.function_range().iter().next() {
            Some(function) if field.is_function() => signature(&function),
            Some(function) => format!("optional {}", signature(&function)),
            None => pointed(inner),
        };
        writeln!(text, "  {offset:>3} {}: {ty}", field.name()).unwrap();
        offset += inner.size();
    }
    text.push('\n');
    text
}

/// A function with its parameters' names. They are kept as one text, `context,name,`.
fn signature(function: &TLFunction) -> String {
    let names = function.param_names.as_str().split([',', ';']);
    let parameters: Vec<String> = names
        .zip(function.param_type_layouts.iter())
        .map(|(name, layout)| format!("{name}: {}", pointed(layout())))
        .collect();
    let returned = function.return_type_layout().map_or_else(|| "()".to_owned(), |layout| pointed(layout()));
    format!("fn({}) -> {returned}", parameters.join(", "))
}

/// A type's name; of a pointer, with what it points to.
fn pointed(layout: &'static TypeLayout) -> String {
    layout.full_type().to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}
