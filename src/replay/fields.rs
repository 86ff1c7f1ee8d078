//! The fields of a JSON object that somebody wants; the others are passed over without being built.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

/// Names of fields at the top of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted(Vec<String>);

/// Why there is no object.
#[derive(Debug)]
pub(super) enum NoObject {
    /// The text is no JSON, from that column on.
    NotJson(usize),
    /// It is something else.
    Other,
}

impl Wanted {
    /// `a.b` may be a field, and may be in `a`.
    pub(super) fn add(&mut self, name: &str) {
        let ends = name.match_indices('.').map(|(at, _)| at);
        for end in ends.chain([name.len()]) {
            if !self.0.iter().any(|known| *known == name[..end]) {
                self.0.push(name[..end].to_owned());
            }
        }
    }

    /// Reads them from the text of an object.
    pub(super) fn read(&self, text: &[u8]) -> Result<Map<String, Value>, NoObject> {
        let mut json = serde_json::Deserializer::from_slice(text);
        let fields = json
            .deserialize_any(Fields(self))
            .and_then(|fields| json.end().map(|()| fields));
        fields.map_err(|error| match error.classify() {
            serde_json::error::Category::Data => NoObject::Other,
            _ => NoObject::NotJson(error.column()),
        })
    }
}

struct Fields<'w>(&'w Wanted);

impl<'de> Visitor<'de> for Fields<'_> {
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

/// Which of the wanted names a field has.
struct Name<'w>(&'w Wanted);

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
        let mut wanted = Wanted::default();
        wanted.add("a.b");
        wanted.add("c");
        let text = br#" {"x": [1, {"c": 2}], "c": "1", "a": {"b": 2}, "a.b": 3, "\u0063": 4} "#;
        let fields = wanted.read(text).unwrap();
        assert_eq!(
            Value::Object(fields),
            json!({"c": 4, "a": {"b": 2}, "a.b": 3})
        );
        assert!(matches!(wanted.read(b"[1]"), Err(NoObject::Other)));
        assert!(matches!(
            wanted.read(b"{\"c\": }"),
            Err(NoObject::NotJson(7))
        ));
        assert!(matches!(wanted.read(b"{} x"), Err(NoObject::NotJson(4))));
    }
}
