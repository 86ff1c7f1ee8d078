//! The files that `weir init` writes.

use super::upstream::Upstream;
use crate::limit::Rate;

/// The answers that the files are made of. Names need no quotes in YAML.
pub(super) struct Project<'a> {
    pub(super) domain: &'a str,
    /// In lower case.
    pub(super) header: &'a str,
    pub(super) limit: Rate,
    pub(super) anonymous: Rate,
    /// Path patterns.
    pub(super) operations: &'a [String],
    pub(super) per_operation: Rate,
    pub(super) upstream: &'a Upstream,
}

/// The bootstrap, with words in `@` to be replaced.
const ENVOY: &str = include_str!("envoy.yaml");

/// What Envoy sends in addition if operations have limits.
const ENDPOINT: &str = "              # One client at one operation: METHOD /path, without the query.
              - actions:
                - request_headers: { header_name: @HEADER@, descriptor_key: api_key }
                - generic_key: { descriptor_key: endpoint, descriptor_value: \"%REQ(:METHOD)% %PATH(NQ:PATH)%\" }
";

impl Project<'_> {
    pub(super) fn policy(&self) -> String {
        let mut text = format!(
            "# Limits of {domain}. docs/policy.md of weir describes the language; `weir check` reports every mistake.
domain: {domain}
response:
  headers: {{X-RateLimit-Limit: \"%LIMIT%\", X-RateLimit-Remaining: \"%REMAINING%\"}}
  over_limit:
    headers: {{Content-Type: application/json, Retry-After: \"%RETRY_AFTER%\"}}
    body: '{{\"error\": \"too many requests\", \"retry_after_seconds\": %RETRY_AFTER%}}'
descriptors:
  # Each client, by its {header}. Its value appears in no log and no metric. A client that invents keys has a counter for
  # each: let Envoy reject unknown keys before the rate-limit filter.
  - key: api_key
    secret: true
    rate_limit: {limit}
",
            domain = self.domain,
            header = self.header,
            limit = yaml(self.limit),
        );
        if !self.operations.is_empty() {
            text.push_str("    # Each client at each operation.\n    descriptors:\n");
        }
        for operation in self.operations {
            text.push_str(&format!(
                "      - key: endpoint\n        pattern: \"{operation}\"\n        rate_limit: {}\n",
                yaml(self.per_operation)
            ));
        }
        if !self.operations.is_empty() {
            text.push_str(
                "      # What is not an operation is limited by the line above alone.\n      \
                 - key: endpoint\n        rate_limit: {unlimited: true}\n",
            );
        }
        text.push_str(&format!(
            "  # Requests without {}, by their address.
  - key: client
    value: anonymous
    descriptors:
      - key: remote_address
        rate_limit: {}
",
            self.header,
            yaml(self.anonymous)
        ));
        text
    }

    pub(super) fn scenarios(&self) -> String {
        let mut text = format!(
            "# Run by `weir test`, in virtual time, on the engine that serves.
tests:
  - name: each client has {limit}
    steps:
      - ask: {{api_key: alice}}
        hits: {hits}
        expect: ok
      - ask: {{api_key: alice}}
        expect: over_limit
      - ask: {{api_key: bob}}
        expect: ok

  - name: each address without a key has {anonymous}
    steps:
      - ask: {{client: anonymous, remote_address: 192.0.2.1}}
        hits: {anonymous_hits}
        expect: ok
      - ask: {{client: anonymous, remote_address: 192.0.2.1}}
        expect: over_limit
      - ask: {{client: anonymous, remote_address: 192.0.2.2}}
        expect: ok
",
            limit = self.limit,
            hits = self.limit.requests,
            anonymous = self.anonymous,
            anonymous_hits = self.anonymous.requests,
        );
        if let Some(operation) = self.operations.first() {
            text.push_str(&format!(
                "
  - name: each client has {rate} at each operation
    steps:
      - ask: {{api_key: alice, endpoint: {call}}}
        hits: {hits}
        expect: ok
      - ask: {{api_key: alice, endpoint: {call}}}
        expect: over_limit
      - ask: {{api_key: bob, endpoint: {call}}}
        expect: ok
",
                rate = self.per_operation,
                hits = self.per_operation.requests,
                call = quoted(&example(operation)),
            ));
        }
        text
    }

    pub(super) fn envoy(&self) -> String {
        let endpoint = match self.operations.is_empty() {
            true => "",
            false => ENDPOINT,
        };
        // The header last: what is put in before has it.
        [
            ("@ENDPOINT@\n", endpoint),
            ("@DOMAIN@", self.domain),
            ("@UPSTREAM@", self.upstream.discovery()),
            ("@UPSTREAM_HOST@", &quoted(&self.upstream.host)),
            ("@UPSTREAM_PORT@", &self.upstream.port.to_string()),
            ("@HEADER@", self.header),
        ]
        .into_iter()
        .fold(ENVOY.to_owned(), |text, (word, value)| {
            text.replace(word, value)
        })
    }
}

/// The limit as a flow mapping.
fn yaml(rate: Rate) -> String {
    let multiplier = match rate.window.multiplier() {
        1 => String::new(),
        many => format!(", unit_multiplier: {many}"),
    };
    format!(
        "{{unit: {}{multiplier}, requests_per_unit: {}, algorithm: token_bucket}}",
        rate.window.unit().name(),
        rate.requests
    )
}

/// A request that the pattern matches: the first method, and each parameter is `1`.
fn example(pattern: &str) -> String {
    let (methods, path) = pattern.split_once(' ').unwrap_or_default();
    let method = methods.split('|').next().unwrap_or_default();
    let segments = path
        .split('/')
        .map(|segment| match segment.starts_with('{') {
            true => "1",
            false => segment,
        });
    format!("{method} {}", segments.collect::<Vec<_>>().join("/"))
}

/// In double quotes; the text has no quotes and no backslashes.
fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}
