//! Keys that people bring along from other rate limiters and from proxies.

/// The keys, and what to write in their place.
pub(super) const FOREIGN: &[(&str, &str)] = &[
    (
        "status",
        "the proxy sets the status: `rate_limited_status` in Envoy",
    ),
    (
        "status_code",
        "the proxy sets the status: `rate_limited_status` in Envoy",
    ),
    ("response_headers_to_add", "write `headers` in `response`"),
    ("namespace", "a policy begins with `domain: name`"),
    (
        "conditions",
        "a descriptor matches the entries that the proxy sends: write `key` and `value`",
    ),
    (
        "variables",
        "write a `key` without a value: each value has its own counter",
    ),
    ("max_value", "write `requests_per_unit`"),
    (
        "limit",
        "write `rate_limit: {unit: minute, requests_per_unit: 10}`",
    ),
    ("limits", "write `rate_limit` with a list of limits"),
    ("requests", "write `requests_per_unit`"),
    (
        "requests_per_second",
        "write `requests_per_unit` and `unit: second`",
    ),
    (
        "requests_per_minute",
        "write `requests_per_unit` and `unit: minute`",
    ),
    (
        "requests_per_hour",
        "write `requests_per_unit` and `unit: hour`",
    ),
    (
        "requests_per_day",
        "write `requests_per_unit` and `unit: day`",
    ),
    (
        "requests_per_week",
        "write `requests_per_unit` and `unit: week`",
    ),
    (
        "requests_per_month",
        "write `requests_per_unit` and `unit: month`",
    ),
    (
        "requests_per_year",
        "write `requests_per_unit` and `unit: year`",
    ),
    ("rate", "write `requests_per_unit` and `unit`"),
    ("seconds", "write `unit: second` and `unit_multiplier`"),
    (
        "period",
        "write `unit`, and `unit_multiplier` for several units",
    ),
    (
        "window",
        "write `unit`, and `unit_multiplier` for several units",
    ),
    ("regex", "write `pattern` for a path, or `value` with `*`"),
    ("prefix", "write `value` with `*` at the end"),
    (
        "actions",
        "`actions` belong to the configuration of Envoy; a policy has `descriptors`",
    ),
    ("rate_limits", "`rate_limit` may be a list of limits"),
];
