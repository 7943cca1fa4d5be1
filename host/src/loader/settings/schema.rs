//! The part of JSON Schema that settings use, with messages for people.
//!
//! Known: `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`, `items`, `prefixItems`, bounds of
//! numbers, strings and lists, `anyOf`, `oneOf`, `allOf`, and `$ref` into `$defs`: what `schemars` makes of Rust types.

#![forbid(unsafe_code)]

mod words;

use cardcage_plugin_api::describe::SettingProblem;
use serde_json::{Map, Value};
use words::{in_words, not_among, plain, shown, unknown};

/// The deepest nesting followed: a schema may refer to itself.
const DEPTH_MAX: usize = 64;
/// The most problems reported for one component; beyond it they are noise.
const PROBLEMS_MAX: usize = 50;

/// The settings as the schema wants them, or everything that is wrong with them.
pub(crate) fn fit(
    schema: &Value,
    settings: &Value,
    text_of: &dyn Fn(&str) -> Option<String>,
) -> Result<Value, Vec<SettingProblem>> {
    let mut check = Check { root: schema, text_of, problems: Vec::new() };
    let mut fitted = settings.clone();
    check.value(schema, &mut fitted, "", 0);
    if check.problems.is_empty() { Ok(fitted) } else { Err(check.problems) }
}

struct Check<'a> {
    root: &'a Value,
    text_of: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<SettingProblem>,
}

impl<'a> Check<'a> {
    fn no(&mut self, at: &str, message: impl Into<String>) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(SettingProblem { setting: at.to_owned(), message: message.into() });
        }
    }

    fn value(&mut self, schema: &'a Value, value: &mut Value, at: &str, depth: usize) {
        let Value::Object(rules) = schema else {
            if schema == &Value::Bool(false) {
                self.no(at, "nothing may stand here");
            }
            return;
        };
        if depth > DEPTH_MAX {
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
            && let Some(text) = (self.text_of)(at)
        {
            *value = Value::String(text);
            return true;
        }
        let expected: Vec<&str> =
            wanted.iter().filter(|name| **name != "null").map(|name| in_words(name)).collect();
        self.no(at, format!("{} was found; {} is expected", shown(value), expected.join(" or ")));
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
        self.no(at, not_among(value, &allowed));
        false
    }

    /// Some option must take the value. The one that it seems to be meant for explains what is wrong.
    fn one_of(&mut self, options: &'a [Value], value: &mut Value, at: &str, depth: usize) {
        let mut nearest: Option<Vec<SettingProblem>> = None;
        for option in options {
            let mut trial = Check { root: self.root, text_of: self.text_of, problems: Vec::new() };
            let mut fitted = value.clone();
            trial.value(option, &mut fitted, at, depth);
            if trial.problems.is_empty() {
                *value = fitted;
                return;
            }
            // Problems further inside mean that the option's outer shape was right.
            let inside =
                |problems: &[SettingProblem]| problems.iter().any(|problem| problem.setting.len() > at.len());
            if inside(&trial.problems) && !nearest.as_deref().is_some_and(inside) {
                nearest = Some(trial.problems);
            }
        }
        if let Some(problems) = nearest {
            for problem in problems {
                self.no(&problem.setting, problem.message);
            }
            return;
        }
        let mut consts = Vec::new();
        let mut types = Vec::new();
        for option in options {
            self.summarize(option, &mut consts, &mut types, 0);
        }
        if types.is_empty() && !consts.is_empty() {
            self.no(at, not_among(value, &consts));
        } else {
            let mut words: Vec<String> = types.into_iter().map(str::to_owned).collect();
            words.extend(consts.iter().map(|value| format!("`{}`", plain(value))));
            self.no(at, format!("{} was found; {} is expected", shown(value), words.join(" or ")));
        }
    }

    fn summarize(
        &self,
        option: &'a Value,
        consts: &mut Vec<&'a Value>,
        types: &mut Vec<&'static str>,
        depth: usize,
    ) {
        let Value::Object(rules) = option else { return };
        if depth > DEPTH_MAX {
            return;
        }
        if let Some(target) = rules.get("$ref").and_then(Value::as_str).and_then(|name| self.resolve(name)) {
            return self.summarize(target, consts, types, depth + 1);
        }
        match (rules.get("enum"), rules.get("const")) {
            (Some(Value::Array(values)), _) => return consts.extend(values),
            (_, Some(only)) => return consts.push(only),
            _ => {}
        }
        for key in ["anyOf", "oneOf"] {
            for part in list(rules, key) {
                self.summarize(part, consts, types, depth + 1);
            }
        }
        if let Some(name) = rules.get("type").and_then(Value::as_str)
            && name != "null"
            && !types.contains(&in_words(name))
        {
            types.push(in_words(name));
        }
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
        for name in list(rules, "required").iter().filter_map(Value::as_str) {
            if !entries.contains_key(name) {
                self.no(&join(at, name), format!("`{name}` is missing"));
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
                    let names = known.unwrap_or(&none).keys().map(String::as_str);
                    self.no(&inside, unknown(name, names));
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
        let Some(number) = value.as_f64() else { return };
        let bound = |key: &str| rules.get(key).and_then(Value::as_f64);
        let broken = [
            ("minimum", bound("minimum").is_some_and(|limit| number < limit), "at least"),
            ("maximum", bound("maximum").is_some_and(|limit| number > limit), "at most"),
            ("exclusiveMinimum", bound("exclusiveMinimum").is_some_and(|limit| number <= limit), "more than"),
            ("exclusiveMaximum", bound("exclusiveMaximum").is_some_and(|limit| number >= limit), "less than"),
        ];
        for (key, _, words) in broken.into_iter().filter(|(_, broken, _)| *broken) {
            self.no(at, format!("{value} was found; {words} {} is expected", rules[key]));
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
