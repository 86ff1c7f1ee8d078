//! Kinds of findings in scenario files.

use crate::document::diagnostic_codes;

diagnostic_codes! {
    /// Findings that only scenario files have.
    pub enum ScenarioCode {
        InvalidTime Error "invalid-time" "An invalid timestamp or duration" => "write a duration as `90s`, `5m` or `1h30m`, and a time as `2026-01-01T00:00:00Z`",
        InvalidStep Error "invalid-step" "A test without a name, or a step with no action or several" => "see the keys of a step in docs/reference/scenarios.md",
        InvalidExpectation Error "invalid-expectation" "An expectation that no response can meet" => "see the keys of `expect` in docs/reference/scenarios.md",
        UnreadablePolicy Error "unreadable-policy" "A policy that a scenario names cannot be read" => "`policy` is a path relative to the scenario file",
        NoRule Warning "no-rule" "A descriptor that matches no rule, so that nothing limits it" => "check its keys and values with `weir explain`, or write `expect: no_limit` if that is meant",
        MissingDomain Error "missing-domain" "A request whose domain is not clear" => "add `domain:` to the request or to the file",
    }
}
