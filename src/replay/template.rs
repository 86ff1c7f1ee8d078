//! Templates that build descriptors from the fields of an access log.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::ports::{is_host, without_port};
use crate::request::Entry;

/// A descriptor in one text, with fields of the log between braces: `api_key={authorization} endpoint={method} {path}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescriptorTemplate(Vec<EntryTemplate>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct EntryTemplate {
    key: Bytes,
    value: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field {
        name: String,
        /// A port behind an address in it has no meaning.
        has_address: bool,
    },
}

/// The text is not a template of a descriptor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescriptorTemplateError {
    /// There is no entry.
    #[error("a descriptor needs an entry")]
    Empty,
    /// A `{` without `}`.
    #[error("a brace is not closed in {0:?}")]
    UnclosedBrace(String),
}

impl DescriptorTemplate {
    /// A template of keys and the templates of their values.
    ///
    /// # Errors
    /// If a brace is not closed, or there is no entry.
    pub fn new<'a>(
        entries: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, DescriptorTemplateError> {
        let entries = entries.into_iter().map(|(key, value)| {
            Ok(EntryTemplate {
                key: key.to_owned().into(),
                value: pieces(value)?,
            })
        });
        let entries: Vec<_> = entries.collect::<Result<_, _>>()?;
        if entries.is_empty() {
            return Err(DescriptorTemplateError::Empty);
        }
        Ok(Self(entries))
    }

    /// The fields that it needs.
    pub(super) fn fields(&self) -> impl Iterator<Item = &str> {
        let pieces = self.0.iter().flat_map(|entry| &entry.value);
        pieces.filter_map(|piece| match piece {
            Piece::Field { name, .. } => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// The entries with fields filled in; `None` if a field is missing, as Envoy does not send an incomplete descriptor.
    pub(super) fn fill(&self, fields: &Map<String, Value>) -> Option<Vec<Entry>> {
        let filled = self.0.iter().map(|entry| {
            let mut value = String::new();
            for piece in &entry.value {
                match piece {
                    Piece::Text(text) => value.push_str(text),
                    Piece::Field { name, has_address } => {
                        append(&mut value, field(fields, name)?, *has_address)?;
                    }
                }
            }
            Some(Entry {
                key: entry.key.clone(),
                value: value.into(),
            })
        });
        filled.collect()
    }
}

fn pieces(text: &str) -> Result<Vec<Piece>, DescriptorTemplateError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, behind)) = after.split_once('}') else {
            return Err(DescriptorTemplateError::UnclosedBrace(text.to_owned()));
        };
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        pieces.push(Piece::Field {
            name: name.to_owned(),
            has_address: !is_host(name),
        });
        rest = behind;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

/// The field of that name; `a.b` is also `b` in `a`.
pub(super) fn field<'v>(fields: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    if let Some(value) = fields.get(name) {
        return Some(value);
    }
    let (outer, inner) = name.split_once('.')?;
    field(fields.get(outer)?.as_object()?, inner)
}

/// Whether a field has a value: Envoy writes null or `-` where there is none.
pub(super) fn is_value(value: &Value) -> bool {
    match value {
        Value::String(value) => value != "-",
        Value::Number(_) | Value::Bool(_) => true,
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

/// Appends a value, without its port if it is an address; `None` if there is none.
fn append(text: &mut String, value: &Value, has_address: bool) -> Option<()> {
    if !is_value(value) {
        return None;
    }
    match value {
        Value::String(value) => {
            let address = has_address.then(|| without_port(value)).flatten();
            text.push_str(address.unwrap_or(value));
        }
        Value::Number(number) => text.push_str(&number.to_string()),
        Value::Bool(is) => text.push_str(if *is { "true" } else { "false" }),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fill(template: &[(&str, &str)], log: &Value) -> Option<String> {
        let template = DescriptorTemplate::new(template.iter().copied()).unwrap();
        let entries = template.fill(log.as_object().unwrap())?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let pair = |entry: &Entry| format!("{}={}", text(&entry.key), text(&entry.value));
        Some(entries.iter().map(pair).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn fields_are_put_into_the_text() {
        let log = json!({"method": "GET", "path": "/", "code": 200, "a": {"b": "c"}, "x.y": "z"});
        let of = |value| fill(&[("k", value)], &log);
        assert_eq!(of("{method} {path}"), Some("k=GET /".to_owned()));
        assert_eq!(of("<{code}>"), Some("k=<200>".to_owned()));
        assert_eq!(of("{a.b}{x.y}"), Some("k=cz".to_owned()));
        assert_eq!(of("plain"), Some("k=plain".to_owned()));
        assert_eq!(of(""), Some("k=".to_owned()));
    }

    #[test]
    fn ports_are_removed_from_addresses_but_not_from_hosts() {
        let log =
            json!({"peer": "198.51.100.7:40001", "v6": "[::1]:80", "authority": "10.0.0.1:80"});
        let of = |value| fill(&[("k", value)], &log);
        assert_eq!(of("{peer}"), Some("k=198.51.100.7".to_owned()));
        assert_eq!(of("{v6} x"), Some("k=::1 x".to_owned()));
        assert_eq!(of("{authority}"), Some("k=10.0.0.1:80".to_owned()));
    }

    #[test]
    fn a_descriptor_without_one_of_its_parts_is_not_sent() {
        let log = json!({"there": "x", "null": null, "dash": "-", "list": []});
        for field in ["{gone}", "{null}", "{dash}", "{list}", "{there.in}"] {
            assert_eq!(
                fill(&[("k", "{there}"), ("l", field)], &log),
                None,
                "{field}"
            );
        }
    }

    #[test]
    fn a_brace_that_is_not_closed_is_refused() {
        assert!(DescriptorTemplate::new([("k", "{a")]).is_err());
        assert!(DescriptorTemplate::new([]).is_err());
    }
}
