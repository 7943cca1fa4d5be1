//! What a key's value looks like, as a schema.

use crate::config::keys::Shape;
use crate::config::quantity;
use crate::config::values::LIST_MAX;
use serde_json::{Value, json};

/// A name of a component, a plugin, a type.
pub(super) const NAME: &str = "[A-Za-z0-9][A-Za-z0-9_-]{0,63}";
const VERSION: &str = r"\d{1,9}\.\d{1,9}\.\d{1,9}(-[A-Za-z0-9.-]{1,64})?";

/// A text of which a part comes from outside the file.
pub(super) fn substitution() -> Value {
    json!({
        // A list of one, because of which engines don't merge "string" into what another alternative expects.
        "type": ["string"],
        "pattern": r"\$\{",
        "title": "substitution",
        "description": "`${VAR}`, `${VAR:-default}`, `${file:PATH}` or `${credential:NAME}`",
        "patternErrorMessage": "expected `${VAR}`, `${VAR:-default}`, `${file:PATH}` or `${credential:NAME}`",
    })
}

/// Where such a text may stand.
pub(super) fn substituted() -> Value {
    json!({ "$ref": "#/definitions/substitution" })
}

/// What a value of this shape may be. Mappings with keys of their own are not made here.
pub(super) fn schema(shape: Shape) -> Value {
    match shape {
        Shape::Version => or_substituted(&json!({ "const": 1 })),
        Shape::Mapping | Shape::Components | Shape::Settings => json!({ "type": ["object", "null"] }),
        Shape::Path | Shape::Text(_) => text(),
        Shape::Paths => list(&text()),
        Shape::Hashes => list(&or_substituted(&pattern("[0-9A-Fa-f]{64}", "64 hex digits, in quotes"))),
        Shape::Octal => or_substituted(&json!({
            "type": ["string", "integer"],
            "pattern": "^(0o)?[0-7]{1,4}$",
            "minimum": 0,
            "maximum": 777,
            "errorMessage": "expected octal digits, as in `0600`",
        })),
        Shape::Words(words) => or_substituted(&json!({ "enum": words })),
        Shape::Count(least, most) => {
            or_substituted(&json!({ "type": "integer", "minimum": least, "maximum": most }))
        }
        Shape::Duration(..) => or_substituted(&quantity(&quantity::duration_units(), &shape, "250ms")),
        Shape::Size(..) => or_substituted(&quantity(&quantity::size_units(), &shape, "64MiB")),
        Shape::Plugin => or_substituted(&pattern(
            &format!("{NAME}(/{NAME})?(@{VERSION})?"),
            "`NAME`, `NAME/TYPE` or `NAME/TYPE@VERSION`, as in `range` or `range@1.2.0`",
        )),
        Shape::Inputs => {
            let input = pattern(&format!("{NAME}(\\.{NAME})?"), "`COMPONENT` or `COMPONENT.PORT`");
            let mut inputs = list(&or_substituted(&input));
            inputs["uniqueItems"] = json!(true);
            inputs
        }
        Shape::Tags => json!({
            "type": ["object", "null"],
            "additionalProperties": text(),
            "maxProperties": 64,
        }),
        Shape::Sink => or_substituted(&pattern(NAME, "the name of a sink")),
    }
}

/// A default as its value.
pub(super) fn default(shape: Shape, written: &str) -> Value {
    match (shape, written.parse::<u64>()) {
        (Shape::Count(..), Ok(number)) => json!(number),
        _ => json!(written),
    }
}

/// A schema, or a substitution in its place.
pub(super) fn or_substituted(schema: &Value) -> Value {
    json!({ "anyOf": [schema, substituted()] })
}

/// Text is what is written: `007` is text here, and so is `true`.
fn text() -> Value {
    json!({ "type": ["string", "number", "boolean"], "minLength": 1 })
}

fn list(items: &Value) -> Value {
    json!({ "type": "array", "items": items, "maxItems": LIST_MAX })
}

/// A text that as a whole is like this.
fn pattern(pattern: &str, expected: &str) -> Value {
    json!({ "type": "string", "pattern": format!("^{pattern}$"), "errorMessage": format!("expected {expected}") })
}

fn quantity(units: &[&str], shape: &Shape, example: &str) -> Value {
    let expected = shape.to_string().replace('`', "");
    json!({
        "type": "string",
        "pattern": format!("^[0-9_]+(\\.[0-9_]+)?\\s*({})$", units.join("|")),
        "errorMessage": format!("expected a {expected}, as in {example}"),
    })
}
