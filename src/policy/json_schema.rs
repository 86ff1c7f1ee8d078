//! The policy language as a JSON Schema (2020-12), made of the table of keys: editors complete and
//! check by it. It knows keys and types; what `weir check` finds besides, it does not.

use serde_json::{Map, Value, json};

use super::raw::{Key, Level, Shape, reference_keys};
use crate::limit::LimitSet;
use crate::policy::raw::SETS;
use crate::request::Unit;

/// The JSON Schema of a policy file.
pub fn json_schema() -> Value {
    let mut schema = mapping(Level::Root);
    let mut defs = Map::new();
    for level in DEFINED {
        defs.insert(definition(level).to_owned(), mapping(level));
    }
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "weir policy".into();
    schema["description"] = "The rate limits of one domain.".into();
    schema["$defs"] = defs.into();
    schema
}

/// The levels that are referred to by name.
const DEFINED: [Level; 6] = [
    Level::Descriptor,
    Level::Limit,
    Level::ListedLimit,
    Level::Replaces,
    Level::Response,
    Level::OverLimit,
];

const fn definition(level: Level) -> &'static str {
    match level {
        Level::Root => "policy",
        Level::Descriptor => "descriptor",
        Level::Limit => "limit",
        Level::ListedLimit => "listed_limit",
        Level::Replaces => "replaced",
        Level::Response => "response",
        Level::OverLimit => "over_limit",
    }
}

fn reference(level: Level) -> Value {
    json!({"$ref": format!("#/$defs/{}", definition(level))})
}

/// A mapping with the keys of a level, and those that are ignored there.
fn mapping(level: Level) -> Value {
    let mut properties = Map::new();
    for name in reference_keys() {
        let ignored =
            json!({"deprecated": true, "description": "Has no meaning here: it is ignored."});
        properties.insert(name.to_owned(), ignored);
    }
    for key in level.keys() {
        let mut schema = shape(key);
        schema["description"] = key.doc.into();
        properties.insert(key.name.to_owned(), schema);
    }
    let mut schema = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    });
    match level {
        Level::Root => schema["required"] = json!(["domain"]),
        Level::Descriptor => schema["required"] = json!(["key"]),
        Level::Replaces => schema["required"] = json!(["name"]),
        _ => {}
    }
    schema
}

fn shape(key: &Key) -> Value {
    let text = json!({"type": ["string", "number", "boolean"]});
    let or_null = |schema: Value| json!({"anyOf": [schema, {"type": "null"}]});
    let some_of = |schema: Value| json!({"type": "array", "minItems": 1, "items": schema});
    let one_or_more = |schema: Value| json!({"anyOf": [schema, some_of(schema.clone())]});
    let list_of = |level| json!({"type": ["array", "null"], "items": reference(level)});
    match key.shape {
        Shape::Text | Shape::Value => json!({"type": ["string", "number", "boolean", "null"]}),
        Shape::Values => some_of(text),
        Shape::Hash => json!({"type": ["string", "number"], "pattern": "^[0-9A-Fa-f]{64}$"}),
        Shape::Pattern => json!({"type": "string", "pattern": "^([^ /][^ ]* )?/"}),
        Shape::Blocks => {
            one_or_more(json!({"type": "string", "pattern": "^[0-9A-Fa-f:.]+(/[0-9]+)?$"}))
        }
        Shape::Captures => json!({"type": ["array", "null"], "items": text}),
        Shape::Flag => json!({"anyOf": [
            {"type": ["boolean", "null"]},
            {"enum": ["yes", "no", "on", "off"]},
            {"type": "string", "pattern": "^([Yy]|[Nn]|Yes|YES|No|NO|On|ON|Off|OFF)$"},
        ]}),
        Shape::Number(least) => {
            json!({"type": ["integer", "null"], "minimum": least, "maximum": u32::MAX})
        }
        Shape::Unit => unit(),
        Shape::Word(words) => or_null(json!({"enum": words})),
        Shape::Sets => or_null(one_or_more(json!({"enum": SETS}))),
        Shape::Metadata => json!({"type": ["object", "null"]}),
        Shape::Headers => json!({
            "type": ["object", "null"],
            "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
        }),
        Shape::Descriptors => list_of(Level::Descriptor),
        Shape::Replaces => list_of(Level::Replaces),
        Shape::RateLimit => {
            let mut limits = some_of(reference(Level::ListedLimit));
            limits["maxItems"] = LimitSet::MAX.into();
            json!({"anyOf": [reference(Level::Limit), limits, {"type": "null"}]})
        }
        Shape::Response => or_null(reference(Level::Response)),
        Shape::OverLimit => or_null(reference(Level::OverLimit)),
    }
}

/// The units as they are usually written, and in any case.
fn unit() -> Value {
    let any_case = |name: &str| -> String {
        let each = name
            .chars()
            .map(|c| format!("[{}{c}]", c.to_ascii_uppercase()));
        each.collect()
    };
    let names = Unit::ALL.map(Unit::name);
    let pattern = format!("^({})$", names.map(any_case).join("|"));
    json!({"anyOf": [
        {"enum": names},
        {"type": "string", "pattern": pattern},
        {"type": "null"},
    ]})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::raw::KEYS;

    #[test]
    fn every_key_is_described() {
        let schema = json_schema();
        for key in KEYS {
            let level = match key.level {
                Level::Root => &schema,
                level => &schema["$defs"][definition(level)],
            };
            assert_eq!(level["properties"][key.name]["description"], key.doc);
        }
    }
}
