//! The JSON Schema of scenario files, made from the table of keys: editors complete and check by it.

use serde_json::{Map, Value, json};

use super::keys::{Level, Shape};
use super::test_file::ExpectedCode;

/// The schema, in draft 2020-12.
pub fn schema() -> Value {
    let mut schema = mapping(Level::Root);
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "A scenario file of weir: tests of rate-limit policies".into();
    schema
}

fn mapping(level: Level) -> Value {
    let properties: Map<String, Value> = level
        .keys()
        .map(|key| {
            let mut property = shape(key.shape);
            property["description"] = key.doc.into();
            (key.name.to_owned(), property)
        })
        .collect();
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    match level {
        Level::Root => schema["required"] = json!(["tests"]),
        Level::Test => schema["required"] = json!(["name", "steps"]),
        Level::Step => {
            let one = ["ask", "wait", "at", "reload"].map(|name| json!({"required": [name]}));
            schema["oneOf"] = json!(one);
        }
        Level::Expect | Level::Descriptor => {}
    }
    schema
}

fn shape(shape: Shape) -> Value {
    let scalar = || json!({"type": ["string", "number", "boolean"]});
    let text = || json!({"type": "string", "minLength": 1});
    let number = |may_be_negative| match may_be_negative {
        true => json!({"type": "integer", "minimum": -i64::from(u32::MAX), "maximum": u32::MAX}),
        false => json!({"type": "integer", "minimum": 0, "maximum": u32::MAX}),
    };
    let or_list =
        |one: Value| json!({"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]});
    let word = || json!({"enum": ExpectedCode::ALL.map(|(word, _)| word)});
    let rate = || json!({"type": "string", "pattern": "^[0-9]+( per |/)([0-9]+ )?[A-Za-z]+$"});
    match shape {
        Shape::Text => scalar(),
        Shape::Paths => or_list(text()),
        Shape::Moment => json!({"type": ["string", "integer"]}),
        Shape::Span => json!({"type": "string", "pattern": "^ *([0-9.]+ *[a-z]+ *)+$"}),
        Shape::Number => number(false),
        Shape::Numbers(may_be_negative) => or_list(number(may_be_negative)),
        Shape::Flag => json!({"type": "boolean"}),
        Shape::Amount => {
            json!({"anyOf": [rate(), {"type": "string", "pattern": "^[0-9]+ at once$"}]})
        }
        Shape::Rates => json!({"anyOf": [rate(), {
            "type": "array", "items": {"anyOf": [rate(), {"type": "null"}]}, "minItems": 1,
        }]}),
        Shape::Word => word(),
        Shape::Descriptors => {
            let entries = json!({
                "type": "object",
                "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
            });
            let nested = json!({"anyOf": [entries, {"type": "array", "items": entries}]});
            json!({"anyOf": [entries, {"type": "array", "items": nested, "minItems": 1}]})
        }
        Shape::Headers => json!({
            "type": "object",
            "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
        }),
        Shape::Body => json!({"type": ["string", "number", "boolean", "object", "array"]}),
        Shape::Mapping => json!({"type": "object"}),
        Shape::List(level) => json!({"type": "array", "items": mapping(level), "minItems": 1}),
        Shape::Words(level) => {
            json!({"type": "array", "items": {"anyOf": [word(), mapping(level)]}})
        }
        Shape::WordOr(level) => json!({"anyOf": [word(), mapping(level)]}),
    }
}
