//! The policies of the benchmarks.

use std::fmt::Write;

pub(crate) const DOMAIN: &str = "bench";

/// More than any run sends.
const LIMIT: &str = "rate_limit: {unit: hour, requests_per_unit: 4000000000}";

/// One rule for any API key, and others for keys that no request has.
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

/// One rule for any API key, and four headers on every answer.
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

/// Rules that are three levels deep.
pub(crate) fn nested() -> String {
    format!(
        "domain: {DOMAIN}\ndescriptors:
  - {{key: account, descriptors: [{{key: service, descriptors: [{{key: endpoint, {LIMIT}}}]}}]}}\n"
    )
}

/// A rule that a busy client soon exceeds, beside one for all clients.
pub(crate) fn with_offenders() -> String {
    format!(
        "{}  - {{key: offender, rate_limit: {{unit: year, requests_per_unit: 3}}}}\n",
        of_rules(1)
    )
}

/// One rule that allows each API key `requests` hits per day.
pub(crate) fn with_limit(requests: u64) -> String {
    let limit = format!("{{unit: day, requests_per_unit: {requests}, charge: allowed}}");
    format!("domain: {DOMAIN}\ndescriptors:\n  - {{key: api_key, rate_limit: {limit}}}\n")
}
