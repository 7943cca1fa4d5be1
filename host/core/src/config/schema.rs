//! The little of JSON Schema that typing substituted settings takes. Validation is not here.

use serde_json::Value;

/// References and alternatives are followed this deep; schemas of settings nest some 5 deep.
const DEPTH_MAX: usize = 32;
/// Alternatives looked at for one setting: `anyOf` inside `anyOf` multiplies.
const ALTERNATIVES_MAX: usize = 256;

/// Puts `text` in place of the setting at a dotted path, if the schema takes text there and not what the setting is.
pub(super) fn retype(settings: &mut Value, path: &str, text: &str, schema: &Value) {
    let Some(setting) = find(settings, path) else {
        return;
    };
    let own_types: &[&str] = match setting {
        Value::Null => &["null"],
        Value::Bool(_) => &["boolean"],
        Value::Number(number) if number.is_f64() => &["number"],
        Value::Number(_) => &["integer", "number"],
        Value::String(_) | Value::Array(_) | Value::Object(_) => return,
    };
    let mut places = alternatives(schema, schema);
    for part in path.split('.') {
        places = places
            .into_iter()
            .filter_map(|place| below(place, part))
            .flat_map(|place| alternatives(schema, place))
            .take(ALTERNATIVES_MAX)
            .collect();
    }
    let takes = |wanted: &str| places.iter().any(|place| takes(place, wanted));
    if takes("string") && !own_types.iter().any(|own| takes(own)) {
        *setting = Value::String(text.to_owned());
    }
}

fn find<'a>(settings: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    path.split('.').try_fold(settings, |value, part| match value {
        Value::Object(entries) => entries.get_mut(part),
        Value::Array(items) => items.get_mut(part.parse::<usize>().ok()?),
        _ => None,
    })
}

/// What the schema says of a key or item.
fn below<'a>(place: &'a Value, part: &str) -> Option<&'a Value> {
    let named = place.get("properties").and_then(|properties| properties.get(part));
    let item = || place.get("items").filter(|_| part.parse::<usize>().is_ok());
    named.or_else(item).or_else(|| place.get("additionalProperties"))
}

/// A place in the schema with everything that `$ref`, `anyOf`, `oneOf` and `allOf` add to it.
fn alternatives<'a>(schema: &'a Value, place: &'a Value) -> Vec<&'a Value> {
    let mut found = Vec::new();
    let mut open = vec![(place, 0)];
    while let Some((place, depth)) = open.pop() {
        if depth > DEPTH_MAX || found.len() >= ALTERNATIVES_MAX {
            continue;
        }
        found.push(place);
        let reference = place.get("$ref").and_then(Value::as_str);
        let target = reference
            .and_then(|reference| reference.strip_prefix('#'))
            .and_then(|pointer| schema.pointer(pointer));
        open.extend(target.map(|target| (target, depth + 1)));
        for word in ["anyOf", "oneOf", "allOf"] {
            let others = place.get(word).and_then(Value::as_array).into_iter().flatten();
            open.extend(others.map(|other| (other, depth + 1)));
        }
    }
    found
}

fn takes(place: &Value, wanted: &str) -> bool {
    match place.get("type") {
        Some(Value::String(name)) => name == wanted,
        Some(Value::Array(names)) => names.iter().any(|name| name == wanted),
        _ => {
            // An enum of words says nothing of a type.
            let values = place.get("enum").and_then(Value::as_array);
            let constant = place.get("const");
            let listed = values.into_iter().flatten().chain(constant);
            wanted == "string" && listed.into_iter().any(Value::is_string)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::retype;
    use serde_json::{Value, json};

    fn retyped(mut settings: Value, path: &str, text: &str, schema: &Value) -> Value {
        retype(&mut settings, path, text, schema);
        settings
    }

    #[test]
    fn text_that_looks_like_a_number_stays_text_where_the_schema_wants_text() {
        let schema = json!({"properties": {"pin": {"type": "string"}, "port": {"type": "integer"}}});
        assert_eq!(retyped(json!({"pin": 123}), "pin", "0x7b", &schema), json!({"pin": "0x7b"}));
        assert_eq!(retyped(json!({"port": 80}), "port", "80", &schema), json!({"port": 80}));
    }

    #[test]
    fn references_alternatives_lists_and_maps_are_followed() {
        let schema = json!({
            "$defs": {"Auth": {"properties": {"token": {"type": ["string", "null"]}}}},
            "properties": {
                "auth": {"anyOf": [{"$ref": "#/$defs/Auth"}, {"type": "null"}]},
                "paths": {"type": "array", "items": {"type": "string"}},
                "to": {"additionalProperties": {"type": "string"}},
                "either": {"oneOf": [{"type": "string"}, {"type": "number"}]},
            }
        });
        let at = |settings: Value, path: &str| retyped(settings, path, "1e5", &schema);
        assert_eq!(at(json!({"auth": {"token": 1e5}}), "auth.token"), json!({"auth": {"token": "1e5"}}));
        assert_eq!(at(json!({"paths": ["a", 1e5]}), "paths.1"), json!({"paths": ["a", "1e5"]}));
        assert_eq!(at(json!({"to": {"a": 1e5}}), "to.a"), json!({"to": {"a": "1e5"}}));
        assert_eq!(at(json!({"either": 1e5}), "either"), json!({"either": 1e5}));
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let schema = json!({"anyOf": [{"$ref": "#"}, {"$ref": "#"}], "properties": {"a": {"$ref": "#"}}});
        assert_eq!(retyped(json!({"a": {"a": 1}}), "a.a", "1", &schema), json!({"a": {"a": 1}}));
    }
}
