//! A language as a JSON Schema (2020-12), made from its table of keys: for editors.
//!
//! It describes keys and types. Relations between keys are checked only when a file is loaded.

use serde_json::{Map, Value as Json, json};

use super::{AnyLevel, Language};

impl Language {
    /// The JSON Schema of a file: its root, and every other level in `$defs`.
    pub fn json_schema(&self, title: &str, description: &str) -> Json {
        let mut definitions = Map::new();
        let mut schema = json!({});
        for (at, level) in self.levels.iter().enumerate() {
            match at {
                0 => schema = self.mapping(*level),
                _ => {
                    definitions.insert(level.definition().to_owned(), self.mapping(*level));
                }
            }
        }
        schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
        schema["title"] = title.into();
        schema["description"] = description.into();
        schema["$defs"] = definitions.into();
        schema
    }

    /// A mapping with the keys of a level, and those that are ignored there.
    fn mapping(&self, level: &dyn AnyLevel) -> Json {
        let mut properties = Map::new();
        for key in level.keys() {
            let mut schema = (key.value.schema)();
            schema["description"] = key.doc.into();
            properties.insert(key.name.to_owned(), schema);
        }
        let mut schema = json!({
            "type": "object",
            "additionalProperties": false,
            "properties": properties,
        });
        let ignored = self.ignored.iter().flat_map(|(names, _)| *names);
        let ignored = ignored.filter(|name| !schema["properties"][**name].is_object());
        let ignored: Vec<&str> = ignored.copied().collect();
        if !ignored.is_empty() {
            // An editor completes `properties` only.
            let pattern = format!("^({})$", ignored.join("|"));
            let meaning = json!({"deprecated": true, "description": "Ignored at this level."});
            schema["patternProperties"] = json!({pattern: meaning});
        }
        if !level.required().is_empty() {
            schema["required"] = level.required().into();
        }
        schema
    }
}
