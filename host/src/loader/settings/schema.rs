//! The part of JSON Schema that settings use, with messages for people.
//!
//! Known: `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`, `items`, `prefixItems`, `pattern`,
//! bounds of numbers (those of integer `format`s, too), strings and lists, `anyOf`, `oneOf`, `allOf`, and `$ref` into
//! `$defs`: what `schemars` makes of Rust types.
//!
//! A value that came from outside the file may be a secret: messages show what was written instead.

#![forbid(unsafe_code)]

mod alternatives;
pub(crate) mod numbers;
mod words;

use super::misfit::{About, Misfit};
use cardcage_core::config::Substituted;
use cardcage_core::naming::nearest;
use serde_json::{Map, Value};
use std::cell::Cell;
use std::collections::BTreeMap;
use words::{in_words, not_among, shown, unknown};

/// The deepest nesting followed: a schema may refer to itself.
const DEPTH_MAX: usize = 64;
/// The most rules looked at for one component: alternatives that refer to each other multiply. Beyond it everything fits,
/// and the plugin has the last word. Settings as large as a config may be take fewer.
const STEPS_MAX: u32 = 1_000_000;
/// The most problems reported for one component; beyond it they are noise.
const PROBLEMS_MAX: usize = 50;

/// The settings as the schema wants them, or everything that is wrong with them.
pub(crate) fn fit(
    schema: &Value,
    settings: &Value,
    substituted: &BTreeMap<String, Substituted>,
) -> Result<Value, Vec<Misfit>> {
    let steps = Cell::new(0);
    let mut check = Check {
        root: schema,
        substituted,
        retypes: true,
        steps: &steps,
        problems: Vec::new(),
        unlike: false,
    };
    let mut fitted = settings.clone();
    check.value(schema, &mut fitted, "", 0);
    if check.problems.is_empty() { Ok(fitted) } else { Err(check.problems) }
}

struct Check<'a> {
    root: &'a Value,
    substituted: &'a BTreeMap<String, Substituted>,
    /// Whether substituted text becomes a string where one is wanted.
    retypes: bool,
    /// Rules looked at, over all trials.
    steps: &'a Cell<u32>,
    problems: Vec<Misfit>,
    /// Whether the outermost value is of another type than wanted, or none of the wanted words.
    unlike: bool,
}

impl<'a> Check<'a> {
    fn no(&mut self, at: &str, message: impl Into<String>) {
        self.misfit(at, About::Value, message.into(), None);
    }

    fn misfit(&mut self, at: &str, about: About, message: String, help: Option<String>) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Misfit { setting: at.to_owned(), about, message, help });
        }
    }

    /// What was found, as it may be shown.
    fn found(&self, value: &Value, at: &str) -> String {
        match self.substituted.get(at) {
            Some(substituted) => format!("what `{}` stands for", words::cut(&substituted.written)),
            None => shown(value),
        }
    }

    fn value(&mut self, schema: &'a Value, value: &mut Value, at: &str, depth: usize) {
        let Value::Object(rules) = schema else {
            if schema == &Value::Bool(false) {
                self.no(at, "nothing may stand here");
            }
            return;
        };
        self.steps.set(self.steps.get() + 1);
        if depth > DEPTH_MAX || self.steps.get() > STEPS_MAX {
            return;
        }
        if let Some(target) = rules.get("$ref").and_then(Value::as_str).and_then(|name| self.resolve(name)) {
            self.value(target, value, at, depth + 1);
        }
        for part in list(rules, "allOf") {
            self.value(part, value, at, depth + 1);
        }
        for options in [list(rules, "anyOf"), list(rules, "oneOf")] {
            if !options.is_empty() {
                self.one_of(options, value, at, depth + 1);
            }
        }
        if !self.typed(rules, value, at) || !self.listed(rules, value, at) {
            self.unlike = true;
            return;
        }
        match value {
            Value::Object(entries) => self.object(rules, entries, at, depth),
            Value::Array(items) => self.array(rules, items, at, depth),
            Value::String(text) => self.text(rules, text, at),
            Value::Number(_) => self.number(rules, value, at),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn resolve(&self, reference: &str) -> Option<&'a Value> {
        self.root.pointer(reference.strip_prefix('#')?)
    }

    /// Whether the type is one of those wanted; a substituted text becomes a string where one is wanted.
    fn typed(&mut self, rules: &Map<String, Value>, value: &mut Value, at: &str) -> bool {
        let wanted: Vec<&str> = match rules.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => return true,
        };
        if wanted.iter().any(|name| is(value, name)) {
            return true;
        }
        if wanted.contains(&"string")
            && self.retypes
            && let Some(substituted) = self.substituted.get(at)
        {
            *value = Value::String(substituted.text.clone());
            return true;
        }
        if wanted.contains(&"integer") && value.is_f64() {
            let (message, help) = numbers::not_whole(&self.found(value, at), rules, value);
            self.misfit(at, About::Value, message, help.filter(|_| !self.substituted.contains_key(at)));
            return false;
        }
        if wanted.contains(&"integer") && numbers::too_large(value) {
            let message =
                format!("{} was found; {} is expected", self.found(value, at), numbers::held_in_words(rules));
            self.no(at, message);
            return false;
        }
        let expected: Vec<&str> =
            wanted.iter().filter(|name| **name != "null").map(|name| in_words(name)).collect();
        let message = format!("{} was found; {} is expected", self.found(value, at), expected.join(" or "));
        let help = words::example_of(rules, value).or_else(|| words::other_type(value, &wanted));
        let help = help.filter(|_| !self.substituted.contains_key(at));
        self.misfit(at, About::Value, message, help);
        false
    }

    fn listed(&mut self, rules: &Map<String, Value>, value: &Value, at: &str) -> bool {
        let allowed: Vec<&Value> = match (rules.get("enum"), rules.get("const")) {
            (Some(Value::Array(values)), _) => values.iter().collect(),
            (_, Some(only)) => vec![only],
            _ => return true,
        };
        if allowed.contains(&value) {
            return true;
        }
        self.not_among(value, &allowed, at);
        false
    }

    fn not_among(&mut self, value: &Value, allowed: &[&Value], at: &str) {
        let (expected, near) = not_among(value, allowed);
        let message = format!("{} was found; {expected} is expected", self.found(value, at));
        self.misfit(at, About::Value, message, near.filter(|_| !self.substituted.contains_key(at)));
    }

    fn object(
        &mut self,
        rules: &'a Map<String, Value>,
        entries: &mut Map<String, Value>,
        at: &str,
        depth: usize,
    ) {
        let none = Map::new();
        let known = rules.get("properties").and_then(Value::as_object);
        let closed = rules.get("additionalProperties") == Some(&Value::Bool(false));
        // An unknown key is read on as what it was probably meant to be, so that everything comes out at once.
        let meant: BTreeMap<String, &str> = entries
            .keys()
            .filter(|name| closed && known.is_some_and(|known| !known.contains_key(*name)))
            .filter_map(|name| {
                let free = known?.keys().map(String::as_str).filter(|key| !entries.contains_key(*key));
                Some((name.clone(), nearest(name, free)?))
            })
            .collect();
        for name in list(rules, "required").iter().filter_map(Value::as_str) {
            if !entries.contains_key(name) && !meant.values().any(|meant| *meant == name) {
                self.misfit(&join(at, name), About::Missing, format!("`{name}` is missing"), None);
            }
        }
        for (name, entry) in entries {
            let inside = join(at, name);
            if let Some(schema) = known.and_then(|known| known.get(name)) {
                self.value(schema, entry, &inside, depth + 1);
                continue;
            }
            match rules.get("additionalProperties") {
                Some(Value::Bool(false)) => {
                    let names: Vec<&str> = known.unwrap_or(&none).keys().map(String::as_str).collect();
                    let (message, help) = unknown(name, &names);
                    let about = About::Key { meant: meant.get(name).map(|meant| (*meant).to_owned()) };
                    self.misfit(&inside, about, message, Some(help));
                    let schema = meant.get(name).and_then(|meant| known?.get(*meant));
                    if let Some(schema) = schema {
                        self.value(schema, entry, &inside, depth + 1);
                    }
                }
                Some(schema) => self.value(schema, entry, &inside, depth + 1),
                None => {}
            }
        }
    }

    fn array(&mut self, rules: &'a Map<String, Value>, items: &mut [Value], at: &str, depth: usize) {
        self.within(rules, ("minItems", "maxItems"), items.len(), at, "entries");
        let first = list(rules, "prefixItems");
        for (index, item) in items.iter_mut().enumerate() {
            let schema = first.get(index).or_else(|| rules.get("items"));
            if let Some(schema) = schema {
                self.value(schema, item, &join(at, &index.to_string()), depth + 1);
            }
        }
    }

    fn text(&mut self, rules: &Map<String, Value>, text: &str, at: &str) {
        self.within(rules, ("minLength", "maxLength"), text.chars().count(), at, "characters");
        let Some(pattern) = rules.get("pattern").and_then(Value::as_str) else { return };
        // A pattern that this engine does not know is for the plugin to check.
        if regex_lite::Regex::new(pattern).is_ok_and(|pattern| !pattern.is_match(text)) {
            let expected = words::like(rules);
            let message = format!("{} was found; {expected}", self.found(&Value::from(text), at));
            self.no(at, message);
        }
    }

    fn within(&mut self, rules: &Map<String, Value>, bounds: (&str, &str), len: usize, at: &str, what: &str) {
        let bound = |key| rules.get(key).and_then(Value::as_u64);
        if bound(bounds.0).is_some_and(|least| (len as u64) < least) {
            self.no(at, format!("{len} {what}; at least {} are expected", bound(bounds.0).unwrap_or(0)));
        }
        if bound(bounds.1).is_some_and(|most| len as u64 > most) {
            self.no(at, format!("{len} {what}; at most {} are expected", bound(bounds.1).unwrap_or(0)));
        }
    }

    fn number(&mut self, rules: &Map<String, Value>, value: &Value, at: &str) {
        for expected in numbers::broken(rules, value) {
            self.no(at, format!("{} was found; {expected} is expected", self.found(value, at)));
        }
    }
}

fn list<'a>(rules: &'a Map<String, Value>, key: &str) -> &'a [Value] {
    rules.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn is(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => true,
    }
}

fn join(path: &str, part: &str) -> String {
    if path.is_empty() { part.to_owned() } else { format!("{path}.{part}") }
}

#[cfg(test)]
mod tests;
