//! Decodes one line of a log into a request and its time.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::fields::{FieldNames, ObjectError};
use super::template::{DescriptorTemplate, field};
use super::time::parse_timestamp;
use crate::clock::Timestamp;
use crate::request::{Cost, Descriptor, Entry, Request};

/// A recorded request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The time of the request.
    pub at: Timestamp,
    /// The request.
    pub request: Request,
}

/// The format of the lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordFormat {
    /// `{"time": …, "domain": …, "descriptors": …, "hits": …}`
    Requests {
        /// The domain of lines without one.
        domain: Option<String>,
    },
    /// An access log in JSON.
    AccessLog(Mapping),
}

/// How requests are built from an access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    domain: Bytes,
    descriptors: Vec<DescriptorTemplate>,
    time: Option<String>,
    wanted: FieldNames,
}

/// The usual names of the time field.
const TIMES: [&str; 4] = ["time", "start_time", "timestamp", "@timestamp"];

/// A line that cannot be used. It never contains a value of the line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// The line is longer than a mebibyte.
    #[error("longer than a mebibyte")]
    TooLong,
    /// The line is not JSON.
    #[error("not JSON, column {column}")]
    NotJson {
        /// The column of the error, from 1.
        column: usize,
    },
    /// The line is another JSON value than an object.
    #[error("not a JSON object")]
    NotAnObject,
    /// A field is missing.
    #[error("no field `{0}`")]
    Missing(String),
    /// A field has another type than `expected`.
    #[error("{field} is {problem}")]
    Invalid {
        /// The field, such as "`hits`".
        field: String,
        /// What is wrong with it, such as "not a whole number".
        problem: &'static str,
    },
}

impl RecordFormat {
    /// Decodes a line; `None` if Envoy would not have sent a request.
    ///
    /// # Errors
    /// If the line cannot be used.
    pub fn decode(&self, line: &[u8]) -> Result<Option<Record>, LineError> {
        match self {
            Self::Requests { domain } => {
                // Only the column is reported, never the text.
                let value: Value =
                    serde_json::from_slice(line).map_err(|error| LineError::NotJson {
                        column: error.column(),
                    })?;
                match value {
                    Value::Object(fields) => request(fields, domain.as_deref()).map(Some),
                    _ => Err(LineError::NotAnObject),
                }
            }
            Self::AccessLog(mapping) => match mapping.wanted.read(line) {
                Ok(fields) => mapping.read(&fields),
                Err(ObjectError::NotJson(column)) => Err(LineError::NotJson { column }),
                Err(ObjectError::Other) => Err(LineError::NotAnObject),
            },
        }
    }
}

impl Mapping {
    /// A mapping to `domain` and `descriptors`. `time` is the field with the time; `None` for the usual names.
    pub fn new(domain: String, descriptors: Vec<DescriptorTemplate>, time: Option<String>) -> Self {
        let mut wanted = FieldNames::default();
        match &time {
            Some(name) => wanted.add(name),
            None => TIMES.iter().for_each(|name| wanted.add(name)),
        }
        let fields = descriptors.iter().flat_map(DescriptorTemplate::fields);
        fields.for_each(|name| wanted.add(name));
        Self {
            domain: domain.into(),
            descriptors,
            time,
            wanted,
        }
    }

    fn read(&self, fields: &Map<String, Value>) -> Result<Option<Record>, LineError> {
        let at = at(fields, self.time.as_deref())?;
        let entries = self.descriptors.iter();
        let descriptors: Vec<Descriptor> = entries
            .filter_map(|template| template.fill(fields))
            .map(|entries| Descriptor {
                entries,
                ..Descriptor::default()
            })
            .collect();
        if descriptors.is_empty() {
            return Ok(None);
        }
        let request = Request {
            domain: self.domain.clone(),
            descriptors,
        };
        Ok(Some(Record { at, request }))
    }
}

fn at(fields: &Map<String, Value>, name: Option<&str>) -> Result<Timestamp, LineError> {
    let found = match name {
        Some(name) => field(fields, name).map(|value| (name, value)),
        None => TIMES
            .iter()
            .find_map(|name| Some((*name, fields.get(*name)?))),
    };
    let Some((name, value)) = found else {
        let name = name.unwrap_or("time");
        return Err(LineError::Missing(name.to_owned()));
    };
    parse_timestamp(value).ok_or_else(|| {
        invalid(
            format!("`{name}`"),
            "neither RFC 3339 nor seconds or milliseconds since 1970",
        )
    })
}

fn request(mut fields: Map<String, Value>, domain: Option<&str>) -> Result<Record, LineError> {
    let at = at(&fields, None)?;
    let domain = match fields.remove("domain") {
        Some(Value::String(domain)) if !domain.is_empty() => domain,
        None => domain
            .ok_or_else(|| LineError::Missing("domain".to_owned()))?
            .to_owned(),
        Some(_) => return Err(invalid("`domain`", "not a text")),
    };
    let cost = match fields.get("hits").map(Value::as_u64) {
        None => Cost::default(),
        Some(Some(0)) => Cost::Peek,
        Some(Some(hits)) => Cost::Hits(u32::try_from(hits).unwrap_or(u32::MAX)),
        Some(None) => return Err(invalid("`hits`", "not a whole number")),
    };
    let Some(Value::Array(descriptors)) = fields.remove("descriptors") else {
        return Err(invalid("`descriptors`", "not a list"));
    };
    let descriptors = descriptors.into_iter().map(|descriptor| {
        Ok(Descriptor {
            entries: entries(descriptor)?,
            cost,
            limit: None,
        })
    });
    let descriptors: Vec<_> = descriptors.collect::<Result<_, LineError>>()?;
    if descriptors.is_empty() {
        return Err(invalid("`descriptors`", "empty"));
    }
    let request = Request {
        domain: domain.into(),
        descriptors,
    };
    Ok(Record { at, request })
}

/// `[{"key": …, "value": …}, …]`, the same under `entries`, or `{"<key>": "<value>", …}`.
fn entries(descriptor: Value) -> Result<Vec<Entry>, LineError> {
    match descriptor {
        Value::Array(entries) => entries.into_iter().map(entry).collect(),
        Value::Object(mut fields) if fields.get("entries").is_some_and(Value::is_array) => {
            entries(fields.remove("entries").unwrap_or_default())
        }
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| {
                Ok(Entry {
                    key: key.into(),
                    value: text(Some(value), "the value of an entry")?,
                })
            })
            .collect(),
        _ => Err(invalid("a descriptor", "neither a list nor an object")),
    }
}

fn entry(entry: Value) -> Result<Entry, LineError> {
    let Value::Object(mut fields) = entry else {
        return Err(invalid("an entry", "not an object"));
    };
    Ok(Entry {
        key: text(fields.remove("key"), "`key` of an entry")?,
        value: text(fields.remove("value"), "`value` of an entry")?,
    })
}

fn text(value: Option<Value>, what: &str) -> Result<Bytes, LineError> {
    match value {
        Some(Value::String(text)) => Ok(text.into()),
        _ => Err(invalid(what, "not a text")),
    }
}

fn invalid(field: impl Into<String>, problem: &'static str) -> LineError {
    LineError::Invalid {
        field: field.into(),
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Record, String> {
        let format = RecordFormat::Requests { domain: None };
        let read = format.decode(line.as_bytes());
        read.map(Option::unwrap).map_err(|fault| fault.to_string())
    }

    #[test]
    fn descriptors_can_be_written_in_three_ways() {
        let lists = r#"[[{"key":"b","value":"1"},{"key":"a","value":"2"}]]"#;
        let messages = r#"[{"entries":[{"key":"b","value":"1"},{"key":"a","value":"2"}]}]"#;
        let objects = r#"[{"b":"1","a":"2"}]"#;
        let read = |descriptors: &str| {
            read(&format!(
                r#"{{"time": 7, "domain": "t", "descriptors": {descriptors}, "hits": 3}}"#
            ))
        };
        let record = read(lists).unwrap();
        assert_eq!(record.at, Timestamp::from_secs(7));
        let descriptor = &record.request.descriptors[0];
        assert_eq!(descriptor.cost, Cost::Hits(3));
        let keys: Vec<_> = descriptor.entries.iter().map(|e| e.key.clone()).collect();
        assert_eq!(keys, ["b", "a"], "in the order of the line");
        assert_eq!(read(messages).unwrap(), record);
        assert_eq!(read(objects).unwrap(), record);
    }

    #[test]
    fn an_error_names_the_field_and_not_its_value() {
        for (line, fault) in [
            ("{", "not JSON, column 1"),
            ("[]", "not a JSON object"),
            ("{}", "no field `time`"),
            (
                r#"{"time": "sk_1"}"#,
                "`time` is neither RFC 3339 nor seconds or milliseconds since 1970",
            ),
            (r#"{"time": 1}"#, "no field `domain`"),
            (r#"{"time": 1, "domain": 2}"#, "`domain` is not a text"),
            (
                r#"{"time": 1, "domain": "t"}"#,
                "`descriptors` is not a list",
            ),
            (
                r#"{"time": 1, "domain": "t", "descriptors": []}"#,
                "`descriptors` is empty",
            ),
            (
                r#"{"time": 1, "domain": "t", "descriptors": [7]}"#,
                "a descriptor is neither a list nor an object",
            ),
            (
                r#"{"time": 1, "domain": "t", "descriptors": [[7]]}"#,
                "an entry is not an object",
            ),
            (
                r#"{"time": 1, "domain": "t", "descriptors": [{"k": 1}]}"#,
                "the value of an entry is not a text",
            ),
            (
                r#"{"time": 1, "domain": "t", "descriptors": [[{"key": "k"}]]}"#,
                "`value` of an entry is not a text",
            ),
            (
                r#"{"time": 1, "domain": "t", "descriptors": [{"k": "1"}], "hits": -1}"#,
                "`hits` is not a whole number",
            ),
        ] {
            assert_eq!(read(line).unwrap_err(), fault, "{line}");
        }
    }

    #[test]
    fn an_access_log_is_read_by_its_mapping() {
        let template = DescriptorTemplate::new([("api_key", "{auth}")]).unwrap();
        let time = Some("t.start".to_owned());
        let mapping = Mapping::new("t".to_owned(), vec![template], time);
        let format = RecordFormat::AccessLog(mapping);
        let record = format
            .decode(br#"{"t": {"start": "1"}, "auth": "k"}"#)
            .unwrap()
            .unwrap();
        assert_eq!(record.at, Timestamp::from_secs(1));
        assert_eq!(record.request.descriptors[0].entries[0].value, "k");
        assert_eq!(
            format.decode(br#"{"t": {"start": "1"}, "auth": null}"#),
            Ok(None)
        );
    }
}
