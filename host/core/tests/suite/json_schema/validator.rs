//! The part of draft-07 that our schema uses, as the standard has it. A keyword that is not known here is a failure:
//! whoever makes the schema say more has to say here what it means.
//!
//! An engine that editors use judges the same schema in the end-to-end suite; this one needs nothing installed.

use regex_lite::Regex;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::HashMap;

/// What only people and editors read.
const NOTES: [&str; 12] = [
    "$schema",
    "title",
    "description",
    "markdownDescription",
    "markdownEnumDescriptions",
    "patternErrorMessage",
    "errorMessage",
    "defaultSnippets",
    "default",
    "examples",
    "deprecated",
    "definitions",
];

/// The paths at which a document breaks the schema's rules.
pub(super) fn broken(schema: &Value, document: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    Judge { root: schema }.value(schema, document, "", &mut broken);
    broken
}

struct Judge<'a> {
    root: &'a Value,
}

impl<'a> Judge<'a> {
    fn takes(&self, schema: &'a Value, value: &Value) -> bool {
        let mut broken = Vec::new();
        self.value(schema, value, "", &mut broken);
        broken.is_empty()
    }

    fn value(&self, schema: &'a Value, value: &Value, at: &str, broken: &mut Vec<String>) {
        let Value::Object(rules) = schema else {
            if schema == &Value::Bool(false) {
                broken.push(at.to_owned());
            }
            return;
        };
        if let Some(target) = rules.get("$ref").and_then(Value::as_str) {
            let target = target.strip_prefix('#').and_then(|path| self.root.pointer(path));
            return self.value(target.expect("a reference leads somewhere"), value, at, broken);
        }
        for (keyword, rule) in rules {
            if !self.keyword(rules, keyword, rule, value, at, broken) {
                broken.push(format!("{at}: {keyword}"));
            }
        }
    }

    /// Whether this rule holds for the value itself; what is inside reports for itself.
    fn keyword(
        &self,
        rules: &'a Map<String, Value>,
        keyword: &str,
        rule: &'a Value,
        value: &Value,
        at: &str,
        broken: &mut Vec<String>,
    ) -> bool {
        let number = |holds: fn(f64, f64) -> bool| match (value.as_f64(), rule.as_f64()) {
            (Some(value), Some(bound)) => holds(value, bound),
            _ => true,
        };
        let length = value.as_str().map(|text| text.chars().count());
        let items = value.as_array().map(Vec::len);
        let entries = value.as_object().map(Map::len);
        let bound = usize::try_from(rule.as_u64().unwrap_or(0)).expect("bounds are small");
        match keyword {
            "type" => types(rule).any(|name| is(value, name)),
            "const" => value == rule,
            "enum" => list(rule).contains(value),
            "minimum" => number(|value, bound| value >= bound),
            "maximum" => number(|value, bound| value <= bound),
            "exclusiveMinimum" => number(|value, bound| value > bound),
            "exclusiveMaximum" => number(|value, bound| value < bound),
            "minLength" => length.is_none_or(|length| length >= bound),
            "maxLength" => length.is_none_or(|length| length <= bound),
            "pattern" => value.as_str().is_none_or(|text| matches(rule.as_str().expect("a pattern"), text)),
            "minItems" => items.is_none_or(|items| items >= bound),
            "maxItems" => items.is_none_or(|items| items <= bound),
            "uniqueItems" => value
                .as_array()
                .is_none_or(|items| items.iter().enumerate().all(|(at, item)| !items[..at].contains(item))),
            "minProperties" => entries.is_none_or(|entries| entries >= bound),
            "maxProperties" => entries.is_none_or(|entries| entries <= bound),
            "required" => {
                value.as_object().is_none_or(|entries| types(rule).all(|name| entries.contains_key(name)))
            }
            "anyOf" => list(rule).iter().any(|option| self.takes(option, value)),
            "allOf" => {
                for part in list(rule) {
                    self.value(part, value, at, broken);
                }
                true
            }
            "if" => {
                let branch = if self.takes(rule, value) { "then" } else { "else" };
                if let Some(branch) = rules.get(branch) {
                    self.value(branch, value, at, broken);
                }
                true
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    self.value(rule, item, &format!("{at}.{index}"), broken);
                }
                true
            }
            "properties" | "additionalProperties" | "propertyNames" => {
                self.entries(rules, keyword, rule, value, at, broken);
                true
            }
            "then" | "else" => true,
            other => {
                assert!(NOTES.contains(&other), "`{other}` is not known to the suite's validator");
                true
            }
        }
    }

    fn entries(
        &self,
        rules: &'a Map<String, Value>,
        keyword: &str,
        rule: &'a Value,
        value: &Value,
        at: &str,
        broken: &mut Vec<String>,
    ) {
        let known = rules.get("properties").and_then(Value::as_object);
        for (name, entry) in value.as_object().into_iter().flatten() {
            let named = known.and_then(|known| known.get(name));
            match (keyword, named) {
                ("properties", Some(schema)) => self.value(schema, entry, &format!("{at}.{name}"), broken),
                ("additionalProperties", None) => self.value(rule, entry, &format!("{at}.{name}"), broken),
                ("propertyNames", _) => {
                    self.value(rule, &Value::String(name.clone()), &format!("{at}.{name}"), broken);
                }
                _ => {}
            }
        }
    }
}

fn list(rule: &Value) -> &[Value] {
    rule.as_array().expect("a list")
}

fn types(rule: &Value) -> impl Iterator<Item = &str> {
    let several = rule.as_array().into_iter().flatten();
    rule.as_str().into_iter().chain(several.filter_map(Value::as_str))
}

fn is(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("`{other}` is no type"),
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    thread_local! {
        static KNOWN: RefCell<HashMap<String, Regex>> = RefCell::default();
    }
    KNOWN.with_borrow_mut(|known| {
        let made = || Regex::new(pattern).unwrap_or_else(|error| panic!("`{pattern}`: {error}"));
        known.entry(pattern.to_owned()).or_insert_with(made).is_match(text)
    })
}
