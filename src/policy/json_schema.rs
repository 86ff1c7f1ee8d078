//! The JSON Schema of the policy language.

use serde_json::Value;

use super::raw::LANGUAGE;

/// The JSON Schema of a policy file.
pub fn json_schema() -> Value {
    LANGUAGE.json_schema("weir policy", "The rate limits of one domain.")
}
