//! Requests that are made for the rules of policies: every rule is matched, and its limit crossed if it is small.

use crate::policy::{HIDDEN, Limits, Policy, Rule};
use crate::request::{Descriptor, Request};

/// Requests for one rule, at most.
const MAX_PER_RULE: u64 = 100;

/// Requests beyond a limit: the first that is refused, and one that is refused again.
const BEYOND_LIMIT: u64 = 2;

/// Requests for a rule whose limit is not crossed.
const OF_LARGE_LIMIT: u64 = 3;

/// A key that no policy has.
const UNKNOWN_KEY: &str = "weir_compare_unknown";

/// The requests, and what they leave out.
#[derive(Clone, Debug, Default)]
pub(super) struct GeneratedRequests {
    pub(super) requests: Vec<Request>,
    /// Rules whose values are hidden: only a log has them.
    pub(super) hidden_rules: u64,
}

/// Requests for all rules, and for what no rule matches. `tag` makes the values different from those of other runs.
pub(super) fn requests(policy: &Policy, tag: u64) -> GeneratedRequests {
    let mut generated = GeneratedRequests::default();
    for domain in policy.domains() {
        let request = |descriptor: Descriptor| Request {
            domain: domain.name.as_bytes().to_vec().into(),
            descriptors: vec![descriptor],
        };
        for (number, rule) in domain.rules().iter().enumerate() {
            let Some(descriptor) = descriptor_of(rule, &format!("{tag}-{number}")) else {
                generated.hidden_rules += 1;
                continue;
            };
            for _ in 0..requests_for(rule) {
                generated.requests.push(request(descriptor.clone()));
            }
        }
        generated
            .requests
            .push(request(Descriptor::new([(UNKNOWN_KEY, "x")])));
    }
    generated
}

/// A descriptor that the rule matches, unless a more specific one does; `None` if a value is hidden.
fn descriptor_of(rule: &Rule, unique: &str) -> Option<Descriptor> {
    let entries = rule.name.levels.iter().map(|level| {
        let value = match level.matcher_text.as_deref() {
            None => format!("compare-{unique}"),
            Some(HIDDEN) => return None,
            Some(text) => sample(text, unique),
        };
        Some((level.key.to_string(), value))
    });
    Some(Descriptor::new(entries.collect::<Option<Vec<_>>>()?))
}

/// A value that a matcher fits: `unique` for each wildcard and each `{name}` of a pattern.
fn sample(matcher: &str, unique: &str) -> String {
    let mut value = String::with_capacity(matcher.len());
    let mut rest = matcher;
    while let Some(at) = rest.find(['*', '{']) {
        value.push_str(&rest[..at]);
        value.push_str(unique);
        let end = match rest[at..].find('}') {
            Some(end) if rest[at..].starts_with('{') => end + 1,
            _ => 1,
        };
        rest = &rest[at + end..];
    }
    value + rest
}

fn requests_for(rule: &Rule) -> u64 {
    let Limits::Counted(set) = &rule.limits else {
        return OF_LARGE_LIMIT;
    };
    let smallest = set.limits.iter().map(|limit| limit.capacity().into()).min();
    let crossing = smallest.unwrap_or(0_u64).saturating_add(BEYOND_LIMIT);
    match crossing <= MAX_PER_RULE {
        true => crossing,
        false => OF_LARGE_LIMIT,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_rule_is_matched_and_small_limits_are_crossed() {
        let yaml = "
domain: shop
descriptors:
  - key: plan
    value: free
    descriptors:
      - {key: api_key, rate_limit: {unit: hour, requests_per_unit: 3}}
  - {key: path, pattern: '/a/{id}/b*', rate_limit: {unit: hour, requests_per_unit: 1000}}
  - {key: token, value: s3cret, secret: true, rate_limit: {unit: hour, requests_per_unit: 1}}
  - {key: staff, rate_limit: {unlimited: true}}";
        let policy = crate::policy::load_text(Path::new("shop.yaml"), yaml).policy;
        let generated = requests(&policy.unwrap(), 7);
        assert_eq!(generated.hidden_rules, 1);
        let count = |descriptor: &Descriptor| {
            let all = generated.requests.iter();
            all.filter(|request| request.descriptors[0] == *descriptor)
                .count()
        };
        let key = Descriptor::new([("plan", "free"), ("api_key", "compare-7-0")]);
        assert_eq!(count(&key), 5);
        assert_eq!(count(&Descriptor::new([("path", "/a/7-1/b7-1")])), 3);
        assert_eq!(count(&Descriptor::new([("staff", "compare-7-3")])), 3);
        assert_eq!(count(&Descriptor::new([(UNKNOWN_KEY, "x")])), 1);
        assert_eq!(generated.requests.len(), 12);
    }

    #[test]
    fn wildcards_and_names_of_patterns_are_filled_in() {
        assert_eq!(sample("GET /a/{id}/*", "x"), "GET /a/x/x");
        assert_eq!(sample("plain", "x"), "plain");
        assert_eq!(sample("a{b", "x"), "axb");
    }
}
