//! Free-form data, such as the `metadata` of a rule.

use std::collections::BTreeMap;

/// A mapping with text keys, such as `metadata`.
pub type Metadata = BTreeMap<String, Value>;

/// A value that YAML, JSON and protobuf's Struct can all represent.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Null.
    Null,
    /// True or false.
    Bool(bool),
    /// A number, exact up to 2^53.
    Number(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// A mapping.
    Map(Metadata),
}

/// Adds the keys of `from` that `into` lacks. Mappings are merged; any other value of `into` is kept.
pub fn merge(into: &mut Metadata, from: &Metadata) {
    for (key, value) in from {
        match into.get_mut(key) {
            None => {
                into.insert(key.clone(), value.clone());
            }
            Some(Value::Map(present)) => {
                if let Value::Map(more) = value {
                    merge(present, more);
                }
            }
            Some(_) => {}
        }
    }
}
