//! The policies that are measured.

use std::fmt::Write;

pub(crate) const DOMAIN: &str = "bench";

/// So many that nobody is refused.
const LIMIT: &str = "rate_limit: {unit: hour, requests_per_unit: 4000000000}";

/// One rule for any API key, and others for keys that nobody has.
pub(crate) fn of_rules(rules: u64) -> String {
    let mut policy = format!("domain: {DOMAIN}\ndescriptors:\n  - {{key: api_key, {LIMIT}}}\n");
    for number in 1..rules {
        let _ = writeln!(
            policy,
            "  - {{key: api_key, value: customer-{number}, {LIMIT}}}"
        );
    }
    policy
}

/// The same with four headers on every answer.
pub(crate) fn with_headers() -> String {
    let mut policy = of_rules(1).replace(", rate_limit", ", metadata: {tier: gold}, rate_limit");
    policy.push_str(
        r#"response:
  headers:
    X-RateLimit-Limit: "%LIMIT%"
    X-RateLimit-Remaining: "%REMAINING%"
    X-RateLimit-Reset: "%RESET_AT%"
    X-RateLimit-Tier: "%METADATA(tier)%"
"#,
    );
    policy
}

/// Rules three levels deep.
pub(crate) fn nested() -> String {
    format!(
        "domain: {DOMAIN}\ndescriptors:
  - {{key: account, descriptors: [{{key: service, descriptors: [{{key: endpoint, {LIMIT}}}]}}]}}\n"
    )
}

/// A rule that offenders soon meet, beside that for everybody.
pub(crate) fn with_offenders() -> String {
    format!(
        "{}  - {{key: offender, rate_limit: {{unit: year, requests_per_unit: 3}}}}\n",
        of_rules(1)
    )
}

/// One rule for any API key, by which each may pass so often a day.
pub(crate) fn with_limit(requests: u64) -> String {
    let limit = format!("{{unit: day, requests_per_unit: {requests}, charge: allowed}}");
    format!("domain: {DOMAIN}\ndescriptors:\n  - {{key: api_key, rate_limit: {limit}}}\n")
}
