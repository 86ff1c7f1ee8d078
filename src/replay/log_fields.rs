//! What a log has of the fields that descriptors are built from.

use serde_json::{Map, Value};

use super::ports::{is_host, without_port};
use super::template::{field, is_value};

/// The fields of the descriptors, and the names of the fields of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFields {
    /// Each field of the descriptors, in their order.
    pub wanted: Vec<LogField>,
    /// The names of the fields of the first line; for requests, none.
    pub names: Vec<String>,
}

/// A field of the descriptors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogField {
    /// Its name.
    pub name: String,
    /// Whether a line had a value for it.
    pub has_value: bool,
    /// Whether a port was removed from an address in it.
    pub has_port: bool,
}

impl LogFields {
    /// Of these fields, without a line.
    pub(super) fn new<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        let mut wanted: Vec<LogField> = Vec::new();
        for name in names {
            if !wanted.iter().any(|field| field.name == name) {
                wanted.push(LogField {
                    name: name.to_owned(),
                    has_value: false,
                    has_port: false,
                });
            }
        }
        Self {
            wanted,
            names: Vec::new(),
        }
    }

    /// Notes the fields of a line.
    pub(super) fn note(&mut self, fields: &Map<String, Value>) {
        // Both are usually known after a few lines, and are not asked for again.
        for wanted in &mut self.wanted {
            if wanted.has_value && (wanted.has_port || is_host(&wanted.name)) {
                continue;
            }
            let Some(value) = field(fields, &wanted.name) else {
                continue;
            };
            wanted.has_value |= is_value(value);
            wanted.has_port |= value
                .as_str()
                .is_some_and(|text| without_port(text).is_some())
                && !is_host(&wanted.name);
        }
    }

    /// The fields for which no line had a value.
    pub fn without_value(&self) -> impl Iterator<Item = &str> {
        let absent = self.wanted.iter().filter(|field| !field.has_value);
        absent.map(|field| field.name.as_str())
    }

    /// The fields from which ports were removed.
    pub fn with_port(&self) -> impl Iterator<Item = &str> {
        let fields = self.wanted.iter().filter(|field| field.has_port);
        fields.map(|field| field.name.as_str())
    }
}
