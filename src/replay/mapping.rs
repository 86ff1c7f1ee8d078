//! How requests are built from the lines of an access log.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::envoy_text;
use super::fields::FieldNames;
use super::line_error::LineError;
use super::log_fields::LogFields;
use super::template::DescriptorTemplate;
use super::time::{self, TimeField};
use crate::clock::Timestamp;
use crate::request::{Descriptor, Request};

/// The most names of fields that are kept of a log.
const MAX_NAMES: usize = 100;

/// How requests are built from an access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    domain: Bytes,
    descriptors: Vec<DescriptorTemplate>,
    time: TimeField,
    wanted: FieldNames,
}

impl Mapping {
    /// A mapping to `domain` and `descriptors`, with the time from its field.
    pub fn new(domain: String, descriptors: Vec<DescriptorTemplate>, time: TimeField) -> Self {
        let mut wanted = FieldNames::default();
        time.names().into_iter().for_each(|name| wanted.add(name));
        let fields = descriptors.iter().flat_map(DescriptorTemplate::fields);
        fields.for_each(|name| wanted.add(name));
        Self {
            domain: domain.into(),
            descriptors,
            time,
            wanted,
        }
    }

    /// The fields of the descriptors.
    pub(super) fn log_fields(&self) -> LogFields {
        LogFields::new(self.descriptors.iter().flat_map(DescriptorTemplate::fields))
    }

    /// The request on a line and its time; `None` if Envoy would not have sent one. Notes in `seen` what the line has.
    pub(super) fn read(
        &self,
        line: &[u8],
        seen: &mut LogFields,
    ) -> Result<Option<(Timestamp, Request)>, LineError> {
        let fields = match envoy_text::is_text(line) {
            true => envoy_text::read(line, &self.wanted).ok_or(LineError::NotEnvoyText)?,
            false => self.wanted.read(line)?,
        };
        if seen.names.is_empty() {
            seen.names = names(line);
        }
        seen.note(&fields);
        let at = time::find(&fields, &self.time)?;
        let templates = self.descriptors.iter();
        let descriptors: Vec<Descriptor> = templates
            .filter_map(|template| template.fill(&fields))
            .map(|entries| Descriptor {
                entries,
                ..Descriptor::default()
            })
            .collect();
        let request = Request {
            domain: self.domain.clone(),
            descriptors,
        };
        Ok((!request.descriptors.is_empty()).then_some((at, request)))
    }
}

/// The names of the fields of a line.
fn names(line: &[u8]) -> Vec<String> {
    let names = envoy_text::names(line).map(|names| names.map(str::to_owned).collect());
    names.unwrap_or_else(|| {
        let fields: Map<String, Value> = serde_json::from_slice(line).unwrap_or_default();
        fields
            .into_iter()
            .map(|(name, _)| name)
            .take(MAX_NAMES)
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(value: &str, time: Option<&str>) -> Mapping {
        let template = DescriptorTemplate::new([("api_key", value)]).unwrap();
        let time = time.map_or(TimeField::Usual, |name| TimeField::Named(name.to_owned()));
        Mapping::new("t".to_owned(), vec![template], time)
    }

    #[test]
    fn an_access_log_is_read_by_its_mapping() {
        let mapping = mapping("{auth}", Some("t.start"));
        let mut seen = mapping.log_fields();
        let read = mapping.read(br#"{"t": {"start": "1"}, "auth": "k"}"#, &mut seen);
        let (at, request) = read.unwrap().unwrap();
        assert_eq!(at, Timestamp::from_secs(1));
        assert_eq!(request.descriptors[0].entries[0].value, "k");
        assert_eq!(
            mapping.read(br#"{"t": {"start": "1"}, "auth": null}"#, &mut seen),
            Ok(None)
        );
    }

    #[test]
    fn the_default_text_of_envoy_is_read_as_its_fields() {
        let mapping = mapping("{method} {path}", None);
        let mut seen = mapping.log_fields();
        let line =
            br#"[1970-01-01T00:00:01.000Z] "GET / HTTP/2" 200 - 0 1 2 - "-" "-" "-" "-" "-""#;
        let (at, request) = mapping.read(line, &mut seen).unwrap().unwrap();
        assert_eq!(at, Timestamp::from_secs(1));
        assert_eq!(request.descriptors[0].entries[0].value, "GET /");
        assert!(seen.names.contains(&"x_forwarded_for".to_owned()));
        let other = mapping.read(b"[1970-01-01 00:00:01] warn", &mut seen);
        assert_eq!(other, Err(LineError::NotEnvoyText));
    }

    #[test]
    fn fields_that_no_line_has_are_known() {
        let mapping = mapping("{gone} {dash} {peer} {authority}", Some("t"));
        let mut seen = mapping.log_fields();
        for line in [
            r#"{"t": 1, "peer": "10.0.0.1:5", "authority": "10.0.0.1:5"}"#,
            r#"{"t": 2, "dash": "-", "peer": null, "other": 1}"#,
        ] {
            assert_eq!(mapping.read(line.as_bytes(), &mut seen), Ok(None));
        }
        assert_eq!(seen.without_value().collect::<Vec<_>>(), ["gone", "dash"]);
        assert_eq!(seen.with_port().collect::<Vec<_>>(), ["peer"]);
        assert_eq!(seen.names, ["t", "peer", "authority"]);
    }
}
