//! Parses selected fields of a JSON object and skips the others without building them.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::line_error::LineError;

/// Names of fields at the top of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FieldNames(Vec<String>);

impl FieldNames {
    /// Adds a name. `a.b` is a field of that name, or `b` in `a`.
    pub(super) fn add(&mut self, name: &str) {
        let ends = name.match_indices('.').map(|(at, _)| at);
        for end in ends.chain([name.len()]) {
            if !self.contains(&name[..end]) {
                self.0.push(name[..end].to_owned());
            }
        }
    }

    /// Whether it has this name.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|known| known == name)
    }

    /// Parses the fields from the text of an object.
    pub(super) fn read(&self, text: &[u8]) -> Result<Map<String, Value>, LineError> {
        let mut json = serde_json::Deserializer::from_slice(text);
        let fields = json
            .deserialize_any(FieldsVisitor(self))
            .and_then(|fields| json.end().map(|()| fields));
        fields.map_err(|error| match error.classify() {
            serde_json::error::Category::Data => LineError::NotAnObject,
            _ => LineError::NotJson {
                column: error.column(),
            },
        })
    }
}

struct FieldsVisitor<'w>(&'w FieldNames);

impl<'de> Visitor<'de> for FieldsVisitor<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut fields = Map::new();
        while let Some(wanted) = object.next_key_seed(Name(self.0))? {
            match wanted {
                Some(name) => {
                    fields.insert(name.to_owned(), object.next_value()?);
                }
                None => {
                    object.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(fields)
    }
}

/// Finds a field name among the selected ones.
struct Name<'w>(&'w FieldNames);

impl<'de, 'w> DeserializeSeed<'de> for Name<'w> {
    type Value = Option<&'w str>;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<Self::Value, D::Error> {
        name.deserialize_str(self)
    }
}

impl<'w> Visitor<'_> for Name<'w> {
    type Value = Option<&'w str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        let found = self.0.0.iter().find(|wanted| *wanted == name);
        Ok(found.map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_wanted_is_built() {
        let mut wanted = FieldNames::default();
        wanted.add("a.b");
        wanted.add("c");
        let text = br#" {"x": [1, {"c": 2}], "c": "1", "a": {"b": 2}, "a.b": 3, "\u0063": 4} "#;
        let fields = wanted.read(text).unwrap();
        assert_eq!(
            Value::Object(fields),
            json!({"c": 4, "a": {"b": 2}, "a.b": 3})
        );
        for (text, error) in [
            (&b"[1]"[..], LineError::NotAnObject),
            (b"{\"c\": }", LineError::NotJson { column: 7 }),
            (b"{} x", LineError::NotJson { column: 4 }),
        ] {
            assert_eq!(wanted.read(text), Err(error));
        }
    }
}
