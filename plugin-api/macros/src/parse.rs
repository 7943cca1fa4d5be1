//! The grammar of `export_plugin!`.

use crate::json;
use proc_macro2::{TokenStream, TokenTree};
use syn::parse::{Parse, ParseStream};
use syn::{Error, Ident, LitInt, LitStr, Result, Token, Type, braced, bracketed, parenthesized, token};

const KINDS: [&str; 3] = ["source", "stage", "sink"];
const CAPABILITIES: [&str; 13] = [
    "drops",
    "creates",
    "reorders",
    "holds",
    "deterministic",
    "parallel_by_sensor",
    "finite",
    "replayable",
    "acknowledged",
    "idempotent",
    "transactional",
    "state",
    "ticks",
];
const PERMISSIONS: [&str; 6] = ["read", "write", "connect", "listen", "exec", "devices"];
const FIELDS: [&str; 5] = ["timestamp", "value", "sensor", "unit", "quality"];
const OTHER: [&str; 5] = ["writes", "threads", "metrics", "description", "probe"];
const TOP: [&str; 5] = ["name", "version", "description", "components", "probe"];
const METRIC_KINDS: [&str; 3] = ["counter", "gauge", "histogram"];
const METRIC_TEXTS: [&str; 2] = ["unit", "help"];
const METRIC_NUMBERS: [&str; 3] = ["min", "max", "largest_step"];
const METRIC_LISTS: [&str; 1] = ["buckets"];

/// The whole of `export_plugin!`.
pub(crate) struct Plugin {
    /// The path to the plugin API crate, whatever the author calls it.
    pub(crate) api: TokenStream,
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    pub(crate) description: String,
    pub(crate) components: Vec<Component>,
}

/// One component type.
pub(crate) struct Component {
    pub(crate) kind: String,
    pub(crate) ty: Type,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) capabilities: Vec<String>,
    pub(crate) writes: Vec<String>,
    pub(crate) threads: u32,
    pub(crate) permissions: Vec<(String, Vec<String>)>,
    pub(crate) metrics: Vec<Metric>,
    pub(crate) probe: Probe,
}

/// How the contract probe may try a component.
#[derive(Clone)]
pub(crate) enum Probe {
    /// With these settings, as JSON.
    Settings(String),
    /// Not at all, for this reason.
    None(String),
}

/// A declared metric; its rules are JSON members.
pub(crate) struct Metric {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) rules: Vec<(String, String)>,
}

impl Parse for Plugin {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let api = {
            let path;
            bracketed!(path in input);
            path.parse::<TokenStream>()?
        };
        let (mut name, mut version, mut description, mut probe) = (None, None, String::new(), None);
        let mut drafts = None;
        let start = input.span();
        entries(input, |key, body| match key.to_string().as_str() {
            "name" => set(&mut name, key, plugin_name(&body.parse::<LitStr>()?)?),
            "version" => set(&mut version, key, version_text(&body.parse::<LitStr>()?)?),
            "description" => {
                description = body.parse::<LitStr>()?.value();
                Ok(())
            }
            "components" => set(&mut drafts, key, list(body, draft)?),
            "probe" => set(&mut probe, key, parse_probe(body)?),
            _ => Err(unknown(key, "key", &[&TOP])),
        })?;
        let missing = |what: &str| Error::new(start, format!("`{what}` is missing in export_plugin!"));
        let drafts = drafts.ok_or_else(|| missing("components: [source|stage|sink Type { … }]"))?;
        if drafts.is_empty() {
            return Err(missing("at least one component"));
        }
        let components = drafts.into_iter().map(|(draft, own_probe, at)| {
            let probe = own_probe.or_else(|| probe.clone()).ok_or_else(|| {
                Error::new(
                    at,
                    "`probe: { settings }` or `probe: none(\"reason\")` is missing, here or for the plugin",
                )
            })?;
            Ok(Component { probe, ..draft })
        });
        Ok(Self {
            api,
            name: name.ok_or_else(|| missing("name: \"…\""))?,
            version,
            description,
            components: components.collect::<Result<_>>()?,
        })
    }
}

/// A component whose probe may still come from the plugin.
type Draft = (Component, Option<Probe>, proc_macro2::Span);

fn draft(input: ParseStream<'_>) -> Result<Draft> {
    let kind = json::any_ident(input)?;
    known(&kind, "kind", &[&KINDS])?;
    let ty: Type = input.parse()?;
    let name = if input.parse::<Option<Token![as]>>()?.is_some() {
        plugin_name(&input.parse::<LitStr>()?)?
    } else {
        type_name(&ty)?
    };
    let mut component = Component {
        kind: kind.to_string(),
        ty,
        name,
        description: String::new(),
        capabilities: Vec::new(),
        writes: Vec::new(),
        threads: 0,
        permissions: Vec::new(),
        metrics: Vec::new(),
        probe: Probe::None(String::new()),
    };
    let mut probe = None;
    if input.peek(token::Brace) {
        let body;
        braced!(body in input);
        while !body.is_empty() {
            let key = json::any_ident(&body)?;
            if body.peek(Token![:]) {
                body.parse::<Token![:]>()?;
                setting(&mut component, &mut probe, &key, &body)?;
            } else {
                known(&key, "capability", &[&CAPABILITIES])?;
                component.capabilities.push(key.to_string());
            }
            if !body.is_empty() {
                body.parse::<Token![,]>()?;
            }
        }
    }
    Ok((component, probe, kind.span()))
}

fn setting(
    component: &mut Component,
    probe: &mut Option<Probe>,
    key: &Ident,
    body: ParseStream<'_>,
) -> Result<()> {
    match key.to_string().as_str() {
        "writes" => {
            for field in list(body, json::any_ident)? {
                known(&field, "field", &[&FIELDS])?;
                component.writes.push(field.to_string());
            }
        }
        "threads" => component.threads = body.parse::<LitInt>()?.base10_parse()?,
        "metrics" => component.metrics = list(body, metric)?,
        "description" => component.description = body.parse::<LitStr>()?.value(),
        "probe" => return set(probe, key, parse_probe(body)?),
        name if PERMISSIONS.contains(&name) => {
            component.permissions.push((name.to_owned(), list(body, permission)?));
        }
        _ => return Err(unknown(key, "key", &[&OTHER, &PERMISSIONS])),
    }
    Ok(())
}

/// `"/proc"` or `settings.path`.
fn permission(input: ParseStream<'_>) -> Result<String> {
    if input.peek(LitStr) {
        return Ok(input.parse::<LitStr>()?.value());
    }
    let settings = json::any_ident(input)?;
    if settings != "settings" {
        return Err(Error::new(settings.span(), "a string or `settings.KEY` is expected"));
    }
    let mut path = String::from("settings");
    while input.parse::<Option<Token![.]>>()?.is_some() {
        path.push('.');
        path.push_str(&json::any_ident(input)?.to_string());
    }
    Ok(path)
}

/// `counter "name" { unit: "1", help: "…", max: 10.0 }`.
fn metric(input: ParseStream<'_>) -> Result<Metric> {
    let kind = json::any_ident(input)?;
    known(&kind, "kind of metric", &[&METRIC_KINDS])?;
    let name = plugin_name(&input.parse::<LitStr>()?)?;
    let mut rules = Vec::new();
    if input.peek(token::Brace) {
        let body;
        braced!(body in input);
        entries(&body, |key, body| {
            known(key, "key of a metric", &[&METRIC_TEXTS, &METRIC_NUMBERS, &METRIC_LISTS])?;
            if METRIC_LISTS.iter().any(|name| key == name) {
                if !body.peek(token::Bracket) {
                    return Err(body.error(format!("a list of numbers is expected for `{key}`")));
                }
                rules.push((key.to_string(), json::value(body)?));
                return Ok(());
            }
            let text = METRIC_TEXTS.iter().any(|name| key == name);
            if text != body.peek(LitStr) {
                let wanted = if text { "a string" } else { "a number" };
                return Err(body.error(format!("{wanted} is expected for `{key}`")));
            }
            rules.push((key.to_string(), json::value(body)?));
            Ok(())
        })?;
    }
    Ok(Metric { kind: kind.to_string(), name, rules })
}

fn parse_probe(input: ParseStream<'_>) -> Result<Probe> {
    if input.peek(token::Brace) {
        return Ok(Probe::Settings(json::object(input)?));
    }
    let none = json::any_ident(input)?;
    if none != "none" {
        return Err(Error::new(none.span(), "`{ settings }` or `none(\"reason\")` is expected"));
    }
    let reason;
    parenthesized!(reason in input);
    Ok(Probe::None(reason.parse::<LitStr>()?.value()))
}

/// `key: …, key: …`, up to the end.
fn entries(
    input: ParseStream<'_>,
    mut each: impl FnMut(&Ident, ParseStream<'_>) -> Result<()>,
) -> Result<()> {
    while !input.is_empty() {
        let key = json::any_ident(input)?;
        input.parse::<Token![:]>()?;
        each(&key, input)?;
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
    }
    Ok(())
}

/// `[item, item]`.
fn list<T>(input: ParseStream<'_>, item: impl Fn(ParseStream<'_>) -> Result<T>) -> Result<Vec<T>> {
    let body;
    bracketed!(body in input);
    let mut items = Vec::new();
    while !body.is_empty() {
        items.push(item(&body)?);
        if !body.is_empty() {
            body.parse::<Token![,]>()?;
        }
    }
    Ok(items)
}

fn set<T>(slot: &mut Option<T>, key: &Ident, value: T) -> Result<()> {
    if slot.replace(value).is_some() {
        return Err(Error::new(key.span(), format!("`{key}` is given twice")));
    }
    Ok(())
}

fn known(word: &Ident, what: &str, lists: &[&[&str]]) -> Result<()> {
    if lists.iter().any(|list| list.iter().any(|name| word == name)) {
        Ok(())
    } else {
        Err(unknown(word, what, lists))
    }
}

fn unknown(word: &Ident, what: &str, lists: &[&[&str]]) -> Error {
    let names: Vec<&str> = lists.iter().flat_map(|list| list.iter().copied()).collect();
    Error::new(word.span(), format!("unknown {what} `{word}`; known: {}", names.join(", ")))
}

/// Names that may stand in a pipeline and in a file name: lower case, digits, `_` and `-`.
fn plugin_name(literal: &LitStr) -> Result<String> {
    let name = literal.value();
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(fits) {
        return Err(Error::new(
            literal.span(),
            "1 to 64 lower-case letters, digits, `_` and `-` are expected",
        ));
    }
    Ok(name)
}

fn version_text(literal: &LitStr) -> Result<String> {
    let version = literal.value();
    let parts: Vec<&str> = version.split('.').collect();
    if parts.len() != 3 || parts.iter().any(|part| part.parse::<u32>().is_err()) {
        return Err(Error::new(literal.span(), "a version is three numbers: \"1.4.0\""));
    }
    Ok(version)
}

/// The last word of a type in snake case: `RingBuffer` is `ring_buffer`.
fn type_name(ty: &Type) -> Result<String> {
    let last = quote::quote!(#ty).into_iter().filter_map(|token| match token {
        TokenTree::Ident(ident) => Some(ident.to_string()),
        _ => None,
    });
    let camel = last.last().ok_or_else(|| Error::new_spanned(ty, "a type's name is expected"))?;
    let mut snake = String::new();
    for (at, c) in camel.chars().enumerate() {
        if c.is_uppercase() && at > 0 {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    Ok(snake)
}
