//! Kinds of findings in scenario files.

use crate::document::diagnostic_codes;

diagnostic_codes! {
    /// Findings that only scenario files have.
    pub enum ScenarioCode {
        InvalidTime Error "invalid-time" "An invalid timestamp or duration",
        InvalidStep Error "invalid-step" "A test without a name, or a step with no action or several",
        InvalidExpectation Error "invalid-expectation" "An expectation that no response can meet",
        UnreadablePolicy Error "unreadable-policy" "A policy that a scenario names cannot be read",
        MissingDomain Error "missing-domain" "A request whose domain is not clear",
    }
}
