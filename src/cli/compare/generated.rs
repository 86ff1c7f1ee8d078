//! Requests that are made for the rules of policies: every rule is matched, and its limit crossed if it is small.

use std::sync::Arc;

use crate::policy::{CounterIdentity, Domain, HIDDEN, IdentityPart, Limits, Policy, Rule};
use crate::request::{Descriptor, Entry, Request};

/// Requests for one rule, at most.
const MAX_PER_RULE: u64 = 100;

/// Requests beyond a limit: the first that is refused, and one that is refused again.
const BEYOND_LIMIT: u64 = 2;

/// Requests for a rule whose limit is not crossed.
const OF_LARGE_LIMIT: u64 = 3;

/// Descriptors that are tried for a rule, at most.
const MAX_TRIES: usize = 256;

/// A key that no policy has.
const UNKNOWN_KEY: &str = "weir_compare_unknown";

/// The requests, and what they leave out.
#[derive(Clone, Debug, Default)]
pub(super) struct GeneratedRequests {
    pub(super) requests: Vec<Request>,
    /// Rules whose values are hidden: only a log has them.
    pub(super) hidden_rules: u64,
    /// Rules that none of the values that were tried reaches.
    pub(super) unreached_rules: u64,
}

/// A walk of which only the end matters.
struct Untracked;

impl CounterIdentity for Untracked {
    fn add(&mut self, _: IdentityPart<'_>) {}
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
            let Some(values) = values_of(rule, &format!("{tag}-{number}")) else {
                generated.hidden_rules += 1;
                continue;
            };
            let Some(descriptor) = reaching(domain, rule, &values) else {
                generated.unreached_rules += 1;
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

/// Values for each level of a rule, the likeliest first; `None` if the matcher of one is hidden.
fn values_of(rule: &Rule, unique: &str) -> Option<Vec<Vec<String>>> {
    let levels = rule.name.levels.iter();
    let values = levels.map(|level| match level.matcher_text.as_deref() {
        None => Some(vec![format!("compare-{unique}")]),
        Some(HIDDEN) => None,
        Some(text) => Some(candidates(text, unique)),
    });
    values.collect()
}

/// Values that a matcher may fit, from its text: a value, several such as `a|b`, a wildcard, a pattern with methods such
/// as `GET|POST /a/{id}`, or blocks of addresses.
fn candidates(matcher: &str, unique: &str) -> Vec<String> {
    let first = matcher.split('|').next().unwrap_or(matcher);
    let address = first.split('/').next().unwrap_or(first);
    // In a pattern `*` stands for a whole segment only, elsewhere it is itself.
    let names = fill(matcher, &['{'], unique);
    let mut values = vec![sample(matcher, unique), names, matcher.to_owned()];
    if let Some((methods, path)) = matcher.split_once(' ') {
        let method = methods.split('|').next().filter(|method| *method != "*");
        let value = format!("{} {path}", method.unwrap_or("GET"));
        values.push(sample(&value, unique));
    }
    values.extend([first.to_owned(), sample(first, unique), address.to_owned()]);
    let mut distinct = Vec::with_capacity(values.len());
    for value in values {
        if !distinct.contains(&value) {
            distinct.push(value);
        }
    }
    distinct
}

/// A descriptor of these values that the rule decides, by the policy itself.
fn reaching(domain: &Domain, rule: &Arc<Rule>, values: &[Vec<String>]) -> Option<Descriptor> {
    let all: usize = values.iter().map(Vec::len).product();
    (0..all.min(MAX_TRIES)).find_map(|mut nth| {
        // The digits of `nth` choose a value for each level.
        let entries = rule.name.levels.iter().zip(values).map(|(level, values)| {
            let value = &values[nth % values.len()];
            nth /= values.len();
            Entry {
                key: level.key.to_string().into(),
                value: value.clone().into(),
            }
        });
        let entries: Vec<Entry> = entries.collect();
        let found = domain.walk(&entries, &mut Untracked)?.rule;
        let is_reached = found.is_some_and(|found| Arc::ptr_eq(found, rule));
        is_reached.then(|| Descriptor {
            entries,
            ..Descriptor::default()
        })
    })
}

/// A value that a matcher fits: `unique` for each wildcard and each `{name}` of a pattern.
fn sample(matcher: &str, unique: &str) -> String {
    fill(matcher, &['*', '{'], unique)
}

/// The text with `unique` for each of these letters, which of `{name}` is the first.
fn fill(matcher: &str, letters: &[char], unique: &str) -> String {
    let mut value = String::with_capacity(matcher.len());
    let mut rest = matcher;
    while let Some(at) = rest.find(letters) {
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
  - {key: staff, rate_limit: {unlimited: true}}
  - {key: tier, values: [gold, silver], rate_limit: {unit: hour, requests_per_unit: 1000}}
  - {key: endpoint, pattern: 'GET|POST /a/{id}', rate_limit: {unit: hour, requests_per_unit: 1000}}
  - {key: address, cidr: [10.0.0.0/8], rate_limit: {unit: hour, requests_per_unit: 1000}}
  - {key: hashed, value_sha256: 2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b, rate_limit: {unit: hour, requests_per_unit: 1}}";
        let policy = crate::policy::load_text(Path::new("shop.yaml"), yaml).policy;
        let generated = requests(&policy.unwrap(), 7);
        assert_eq!(generated.hidden_rules, 1);
        assert_eq!(
            generated.unreached_rules, 1,
            "nobody knows the value of a hash"
        );
        let count = |descriptor: &Descriptor| {
            let all = generated.requests.iter();
            all.filter(|request| request.descriptors[0] == *descriptor)
                .count()
        };
        let key = Descriptor::new([("plan", "free"), ("api_key", "compare-7-0")]);
        assert_eq!(count(&key), 5);
        assert_eq!(count(&Descriptor::new([("path", "/a/7-1/b*")])), 3);
        assert_eq!(count(&Descriptor::new([("staff", "compare-7-3")])), 3);
        assert_eq!(count(&Descriptor::new([(UNKNOWN_KEY, "x")])), 1);
        let others = [
            ("tier", "gold"),
            ("endpoint", "GET /a/7-5"),
            ("address", "10.0.0.0/8"),
        ];
        for other in others {
            assert_eq!(count(&Descriptor::new([other])), 3, "{other:?}");
        }
        assert_eq!(generated.requests.len(), 21);
    }

    #[test]
    fn wildcards_and_names_of_patterns_are_filled_in() {
        assert_eq!(sample("GET /a/{id}/*", "x"), "GET /a/x/x");
        assert_eq!(sample("plain", "x"), "plain");
        assert_eq!(sample("a{b", "x"), "axb");
    }
}
