//! What a reload changes: names of rules, for the log.

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};

use siphasher::sip::SipHasher13;

use crate::policy::{Domain, Limits, Policy, Rule};

/// Names that are listed of each kind.
const MAX_NAMES: usize = 10;

/// The longest listed name, in characters.
const MAX_NAME_LEN: usize = 100;

/// The rules that differ between two policies.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PolicyChanges {
    pub(super) added: ChangedRules,
    pub(super) removed: ChangedRules,
    /// Rules with other limits or another mode.
    pub(super) changed: ChangedRules,
}

/// How many rules there are, and the names of the first ones.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ChangedRules {
    pub(super) count: usize,
    names: Vec<String>,
}

impl PolicyChanges {
    /// The changes from one policy to the next. A rule is identified by its domain and name.
    pub(super) fn new(before: &Policy, after: &Policy) -> Self {
        let mut changes = Self::default();
        let old: HashMap<u64, u64> = rules(before).map(|rule| (rule.id, rule.state)).collect();
        let mut kept = HashSet::new();
        for rule in rules(after) {
            match old.get(&rule.id) {
                None => changes.added.push(&rule),
                Some(state) => {
                    kept.insert(rule.id);
                    if *state != rule.state {
                        changes.changed.push(&rule);
                    }
                }
            }
        }
        for rule in rules(before).filter(|rule| !kept.contains(&rule.id)) {
            changes.removed.push(&rule);
        }
        changes
    }
}

impl ChangedRules {
    fn push(&mut self, rule: &ComparedRule<'_>) {
        self.count += 1;
        if self.names.len() < MAX_NAMES {
            let name = format!("{}: {}", rule.domain.name, rule.rule.name);
            self.names.push(name.chars().take(MAX_NAME_LEN).collect());
        }
    }

    /// The names on one line; `None` if there are none.
    pub(super) fn text(&self) -> Option<String> {
        let mut text = self.names.join("; ");
        if self.count > self.names.len() {
            text.push_str("; …");
        }
        (self.count > 0).then_some(text)
    }
}

/// A rule, and hashes that stand for its name and for what it says: names of all rules would take as
/// much memory as the policy.
struct ComparedRule<'p> {
    domain: &'p Domain,
    rule: &'p Rule,
    id: u64,
    state: u64,
}

fn rules(policy: &Policy) -> impl Iterator<Item = ComparedRule<'_>> {
    policy.domains().into_iter().flat_map(|domain| {
        // Names that differ only in what is hidden of them are distinguished by their order.
        let mut used: HashMap<u64, u32> = HashMap::new();
        domain.rules().iter().map(move |rule| {
            let name = hash(format_args!("{}\n{}", domain.name, rule.name));
            let same = used.entry(name).or_default();
            *same += 1;
            let id = match same {
                1 => name,
                same => hash(format_args!("{name} {same}")),
            };
            let state = state(domain, rule);
            ComparedRule {
                domain,
                rule,
                id,
                state,
            }
        })
    })
}

/// A hash of the limits and the mode of a rule.
fn state(domain: &Domain, rule: &Rule) -> u64 {
    let mut hash = HashWriter(SipHasher13::new());
    let modes = [
        domain.shadow_mode,
        domain.quota_mode,
        rule.shadow_mode,
        rule.quota_mode,
        rule.is_soft,
        matches!(rule.limits, Limits::Exempt),
    ];
    modes.hash(&mut hash.0);
    if let Limits::Counted(set) = &rule.limits {
        for limit in &set.limits {
            // Writing to a hash never fails.
            let _ = write!(hash, "{limit}\n{:?}", limit.name);
            limit.shadow_mode.hash(&mut hash.0);
        }
    }
    hash.0.finish()
}

fn hash(text: fmt::Arguments<'_>) -> u64 {
    let mut hash = HashWriter(SipHasher13::new());
    // Writing to a hash never fails.
    let _ = hash.write_fmt(text);
    hash.0.finish()
}

/// Hashes text as it is written.
struct HashWriter(SipHasher13);

impl fmt::Write for HashWriter {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::policy::load_text;

    fn policy(descriptors: &str) -> Policy {
        let text = format!("{{domain: d, descriptors: [{descriptors}]}}");
        load_text(Path::new("d.yaml"), &text).policy.unwrap()
    }

    fn rule(key: &str, requests: u32) -> String {
        format!("{{key: {key}, rate_limit: {{unit: day, requests_per_unit: {requests}}}}}")
    }

    fn changes(before: &str, after: &str) -> [Option<String>; 3] {
        let changes = PolicyChanges::new(&policy(before), &policy(after));
        [changes.added, changes.removed, changes.changed].map(|rules| rules.text())
    }

    #[test]
    fn rules_that_come_go_or_change_are_named() {
        let before = [rule("a", 1), rule("b", 1), rule("c", 1)].join(", ");
        let after = [rule("c", 1), rule("b", 2), rule("x", 1)].join(", ");
        let name = |name: &str| Some(format!("d: {name}"));
        assert_eq!(changes(&before, &after), [name("x"), name("a"), name("b")]);
        assert_eq!(changes(&after, &after), [None, None, None]);
    }

    #[test]
    fn names_are_bounded_and_secrets_are_hidden() {
        let many: Vec<_> = (0..1_000).map(|n| rule(&format!("k{n}"), 1)).collect();
        let [added, removed, changed] = changes("", &many.join(", "));
        let added = added.unwrap();
        assert!(
            added.starts_with("d: k0; d: k1; ") && added.ends_with("; d: k9; …"),
            "{added}"
        );
        assert_eq!((removed, changed), (None, None));
        let secret = |value: &str, requests: u32| {
            format!(
                "{{key: k, value: {value}, secret: true, rate_limit: {{unit: day, requests_per_unit: {requests}}}}}"
            )
        };
        let before = [secret("s3cret1", 1), secret("s3cret2", 1)].join(", ");
        let after = [secret("s3cret1", 1), secret("s3cret2", 5)].join(", ");
        let expected = Some("d: k=***".to_owned());
        assert_eq!(changes(&before, &after), [None, None, expected.clone()]);
        assert_eq!(
            changes(&secret("s3cret1", 1), &before),
            [expected, None, None]
        );
    }
}
