//! Parses the body of `export_plugin!` and writes the manifest from it.
//!
//! A procedural macro and not `macro_rules!`, so that a misspelt capability is an error under its own letters with the
//! nearest known one, and so that the manifest is JSON without tricks. It emits no unsafe code.

#![forbid(unsafe_code)]

mod json;
mod parse;
mod settings;

use json::text;
use parse::{Component, Plugin, Probe};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use std::fmt::Write as _;

/// The expansion of `cardcage_plugin_api::export_plugin!`; see there.
#[proc_macro]
#[doc(hidden)]
pub fn __export_plugin(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    match syn::parse::<Plugin>(input) {
        Ok(plugin) => expand(&plugin).into(),
        Err(errors) => errors.into_compile_error().into(),
    }
}

/// Makes a type usable as settings: serde reads it, schemars documents it, unknown keys are errors.
///
/// Short for deriving `Deserialize` and `JsonSchema` from the crates that `cardcage_plugin_api` re-exports, so that a
/// plugin needs no other dependency. Field attributes of both (`#[serde(default)]`) work as always. Also for enums
/// inside settings; their names are then written in snake case, and where no variant holds anything they get
/// `Serialize` as well, so that the schema can show which one is the default. A field that is a
/// `std::time::Duration` is refused: `Interval` is written `10m`.
#[proc_macro_attribute]
pub fn settings(_: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    settings::expand(&item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

fn expand(plugin: &Plugin) -> TokenStream {
    let api = &plugin.api;
    let version =
        plugin.version.as_ref().map_or_else(|| quote!(::core::env!("CARGO_PKG_VERSION")), |v| quote!(#v));
    let opening = format!("{{\"manifest\":1,\"name\":{},\"version\":\"", text(&plugin.name));
    let description = format!("\",\"description\":{},\"components\":[", text(&plugin.description));
    let components: Vec<String> = plugin.components.iter().map(component_json).collect();
    let components_json = format!("{}]", components.join(","));
    let types = plugin.components.iter().map(|component| {
        let (ty, name) = (&component.ty, &component.name);
        let state = if component.capabilities.iter().any(|c| c == "state") { "_with_state" } else { "" };
        let make = format_ident!("{}{state}", component.kind);
        quote!(#api::__private::#make::<#ty>(#name))
    });
    quote! {
        /// This library's constant parts, for linking it statically.
        #[doc(hidden)]
        pub struct CardcagePlugin;
        #api::__export_items! {
            CardcagePlugin,
            [#opening, #version, #description, #components_json],
            [#(#types),*]
        }
    }
}

fn component_json(component: &Component) -> String {
    let list = |names: &[String]| names.iter().map(|name| text(name)).collect::<Vec<_>>().join(",");
    let mut json = format!(
        "{{\"kind\":\"{}\",\"name\":{},\"description\":{},\"capabilities\":{{\"does\":[{}],\"writes\":[{}],\"threads\":{}}}",
        component.kind,
        text(&component.name),
        text(&component.description),
        list(&component.capabilities),
        list(&component.writes),
        component.threads,
    );
    let permissions: Vec<String> = component
        .permissions
        .iter()
        .map(|(name, values)| format!("{}:[{}]", text(name), list(values)))
        .collect();
    let metrics: Vec<String> = component.metrics.iter().map(metric_json).collect();
    // Writing to a String cannot fail.
    let _ =
        write!(json, ",\"permissions\":{{{}}},\"metrics\":[{}]", permissions.join(","), metrics.join(","));
    let _ = match &component.probe {
        Probe::Settings(settings) => write!(json, ",\"probe\":{{\"settings\":{settings}}}}}"),
        Probe::None(reason) => write!(json, ",\"probe\":{{\"none\":{}}}}}", text(reason)),
    };
    json
}

fn metric_json(metric: &parse::Metric) -> String {
    let rules: Vec<String> =
        metric.rules.iter().map(|(name, value)| format!(",{}:{value}", text(name))).collect();
    let rules = rules.concat();
    format!("{{\"kind\":\"{}\",\"name\":{}{rules}}}", metric.kind, text(&metric.name))
}
