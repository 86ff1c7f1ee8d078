//! The types of values in the scenario language.

use serde_json::{Value as Json, json};

use super::super::test_file::ExpectedCode;
use crate::document::{ValueType, Visibility};

/// A type without null: leaving a key out is not the same as a key without a value.
const fn value_type(schema: fn() -> Json) -> ValueType {
    ValueType::new(schema).not_null()
}

pub(super) const TEXT: ValueType = value_type(|| json!({"type": ["string", "number", "boolean"]}));

/// A value that an excerpt must not show.
pub(super) const SECRET_TEXT: ValueType = TEXT.visible(Visibility::Hidden);

/// A row that is assigned.
pub(super) const ASSIGN: ValueType =
    value_type(|| json!({"$ref": "#/$defs/assign"})).visible(Visibility::ByKey);

pub(super) const UNASSIGN: ValueType =
    value_type(|| json!({"$ref": "#/$defs/unassign"})).visible(Visibility::ByKey);

/// A path, or a list of paths.
pub(super) const PATHS: ValueType =
    value_type(|| one_or_more(&json!({"type": "string", "minLength": 1})));

pub(super) const TIMESTAMP: ValueType = value_type(|| json!({"type": ["string", "integer"]}));

pub(super) const DURATION: ValueType =
    value_type(|| json!({"type": "string", "pattern": "^ *([0-9.]+ *[a-z]+ *)+$"}));

pub(super) const NUMBER: ValueType = value_type(number);

/// A number, or one for each descriptor.
pub(super) const NUMBERS: ValueType = value_type(|| one_or_more(&number()));

/// A number that may be negative, or one for each descriptor.
pub(super) const SIGNED_NUMBERS: ValueType = value_type(|| {
    let least = -i64::from(u32::MAX);
    one_or_more(&json!({"type": "integer", "minimum": least, "maximum": u32::MAX}))
});

pub(super) const FLAG: ValueType = value_type(|| json!({"type": "boolean"}));

/// A boolean, or one for each descriptor.
pub(super) const FLAGS: ValueType = value_type(|| one_or_more(&json!({"type": "boolean"})));

/// `600 per minute`, or `8 at once`.
pub(super) const QUOTA: ValueType =
    value_type(|| json!({"anyOf": [rate(), {"type": "string", "pattern": "^[0-9]+ at once$"}]}));

/// `600 per minute`, or one for each descriptor.
pub(super) const RATES: ValueType = value_type(|| {
    json!({"anyOf": [rate(), {
        "type": "array", "items": {"anyOf": [rate(), {"type": "null"}]}, "minItems": 1,
    }]})
});

pub(super) const CODE: ValueType = value_type(code);

/// One descriptor, or a list of them.
pub(super) const DESCRIPTORS: ValueType = value_type(|| {
    let entries = text_by_name();
    let descriptor = json!({"anyOf": [entries, {"type": "array", "items": entries}]});
    json!({"anyOf": [entries, {"type": "array", "items": descriptor, "minItems": 1}]})
})
.visible(Visibility::Hidden);

/// Names and values.
pub(super) const HEADERS: ValueType = value_type(text_by_name);

/// Text or JSON.
pub(super) const BODY: ValueType =
    value_type(|| json!({"type": ["string", "number", "boolean", "object", "array"]}));

pub(super) const METADATA: ValueType = value_type(|| json!({"type": "object"}));

pub(super) const TESTS: ValueType = value_type(|| some_of(&reference("test")));

pub(super) const STEPS: ValueType = value_type(|| some_of(&reference("step")));

/// A code, or a mapping.
pub(super) const EXPECT: ValueType = value_type(|| json!({"anyOf": [code(), reference("expect")]}));

/// A code or a mapping for each descriptor.
pub(super) const STATUSES: ValueType = value_type(
    || json!({"type": "array", "items": {"anyOf": [code(), reference("expected_status")]}}),
);

fn code() -> Json {
    json!({"enum": ExpectedCode::ALL.map(|(name, _)| name)})
}

fn number() -> Json {
    json!({"type": "integer", "minimum": 0, "maximum": u32::MAX})
}

fn rate() -> Json {
    json!({"type": "string", "pattern": "^[0-9]+( per |/)([0-9]+ )?[A-Za-z]+$"})
}

fn text_by_name() -> Json {
    json!({
        "type": "object",
        "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
    })
}

fn some_of(schema: &Json) -> Json {
    json!({"type": "array", "minItems": 1, "items": schema})
}

fn one_or_more(schema: &Json) -> Json {
    json!({"anyOf": [schema, some_of(schema)]})
}

fn reference(definition: &str) -> Json {
    json!({"$ref": format!("#/$defs/{definition}")})
}
