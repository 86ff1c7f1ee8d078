//! A walk of the tree, level by level: what there was to choose from, and what was selected.
//!
//! A trace is owned, serializable and free of hidden values (see [`Redactor`]). It takes time
//! linear in the size of the levels, so it is for people, never for a decision.

use serde::{Deserialize, Serialize};

use super::matchers::path::{PathPattern, PathTrie};
use super::matchers::sha256::Sha256Hash;
use super::tree::{Domain, KeyNodes, Matchers};
use super::{CounterIdentity, HIDDEN, IdentityPart, Redactor};
use crate::request::Entry;

/// What one entry met in the tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum TracedLevel {
    /// The tree ends above this entry.
    TooDeep,
    /// No node of the level has the entry's key.
    UnknownKey {
        /// The keys of the level, sorted; at most 100.
        known_keys: Vec<String>,
    },
    /// Nodes with the entry's key, but none that matches its value.
    NoMatch {
        /// In the order in which they are tried; at most 100.
        candidates: Vec<Candidate>,
    },
    /// A node was selected.
    Selected {
        /// In the order in which they are tried; at most 100 that do not match.
        candidates: Vec<Candidate>,
        /// What the counter depends on at this level, besides the key.
        counted_by: Vec<CountedBy>,
        /// Whether the selected node has a rule, which applies to requests that end at this level.
        has_rule: bool,
    },
}

/// A node of a level, or several exact values that are tried together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Candidate {
    /// How it matches a value.
    pub kind: MatcherKind,
    /// The matcher as in the policy, hidden for a secret key; of exact values and hashes only the number; empty for
    /// any.
    pub text: String,
    /// Whether it was selected, and if not, why.
    pub verdict: Verdict,
}

/// How a node matches a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MatcherKind {
    /// `value` or `values`, without a wildcard.
    Value,
    /// `value_sha256`.
    Sha256,
    /// `pattern`.
    Pattern,
    /// `cidr`.
    Cidr,
    /// `value` with a wildcard.
    Wildcard,
    /// None of them: any value.
    Any,
}

/// What became of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It matches, and was selected.
    Selected,
    /// It matches, but another one has precedence.
    Outranked,
    /// It does not match.
    NoMatch,
}

/// A part of what identifies a counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CountedBy {
    /// The value, or the address that a CIDR block contains.
    Value,
    /// The prefix, of this length, of the address.
    Prefix(u8),
    /// The pattern …
    Pattern,
    /// … and this capture of it.
    Capture(String),
    /// The wildcard or the CIDR block, whose values share one counter.
    Shared,
}

impl Domain {
    /// Walks the tree as [`Domain::walk`] does: one level per entry, up to the one where the walk
    /// ends.
    pub fn trace(&self, entries: &[Entry]) -> Vec<TracedLevel> {
        let mut levels = Vec::with_capacity(entries.len());
        let mut below = self.top;
        for entry in entries {
            let Some(level) = below else {
                levels.push(TracedLevel::TooDeep);
                break;
            };
            let keys = &self.levels[level as usize].keys;
            let Some(nodes) = keys.get(&entry.key) else {
                let known_keys = keys.keys().into_iter().take(MAX_LISTED).map(text).collect();
                levels.push(TracedLevel::UnknownKey { known_keys });
                break;
            };
            let mut identity = TracedIdentity {
                hides_values: Redactor::new(Some(self)).hides(&entry.key),
                parts: Vec::new(),
            };
            let mut candidates = nodes.candidates(&entry.value);
            if identity.hides_values {
                candidates.iter_mut().for_each(Candidate::hide);
            }
            let Some((node, _)) = nodes.choose(&entry.value, &mut identity) else {
                levels.push(TracedLevel::NoMatch { candidates });
                break;
            };
            let node = &self.nodes[node as usize];
            levels.push(TracedLevel::Selected {
                candidates,
                counted_by: identity.parts,
                has_rule: node.rule.is_some(),
            });
            below = node.below;
        }
        levels
    }
}

impl Candidate {
    fn hide(&mut self) {
        match self.kind {
            MatcherKind::Pattern | MatcherKind::Cidr | MatcherKind::Wildcard => {
                HIDDEN.clone_into(&mut self.text);
            }
            // A number of values, or nothing.
            MatcherKind::Value | MatcherKind::Sha256 | MatcherKind::Any => {}
        }
    }
}

impl MatcherKind {
    /// Its name, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Sha256 => "sha256",
            Self::Pattern => "pattern",
            Self::Cidr => "cidr",
            Self::Wildcard => "wildcard",
            Self::Any => "any",
        }
    }
}

/// Keys of one level that are listed, and candidates that do not match.
const MAX_LISTED: usize = 100;

impl KeyNodes {
    fn candidates(&self, value: &[u8]) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        let mut not_matching = 0;
        let mut add = |kind, text: String, matches| {
            let verdict = match matches {
                true => Verdict::Outranked,
                false => Verdict::NoMatch,
            };
            not_matching += usize::from(!matches);
            if !matches && not_matching > MAX_LISTED {
                return;
            }
            candidates.push(Candidate {
                kind,
                text,
                verdict,
            });
        };
        let mut best_pattern = None;
        if self.exact.len() > 0 {
            let matches = self.exact.get(value).is_some();
            add(MatcherKind::Value, count(self.exact.len()), matches);
        }
        if let Some(matchers) = &self.matchers {
            best_pattern = matchers.pattern(value);
            if !matchers.hashes.is_empty() {
                let matches = matchers.hashes.contains_key(&Sha256Hash::of(value));
                add(MatcherKind::Sha256, count(matchers.hashes.len()), matches);
            }
            for pattern in &matchers.patterns {
                let matches = matches_pattern(&pattern.text, value);
                add(MatcherKind::Pattern, pattern.text.to_string(), matches);
            }
            for (cidr, matches) in matchers.cidrs.tried(value) {
                add(MatcherKind::Cidr, cidr.to_string(), matches);
            }
            for (wildcard, _) in matchers.wildcards.iter() {
                let matches = wildcard.matches(value);
                add(MatcherKind::Wildcard, text(wildcard.text()), matches);
            }
        }
        if self.any.is_some() {
            add(MatcherKind::Any, String::new(), true);
        }
        select(&mut candidates, best_pattern);
        candidates
    }
}

/// Selects the first candidate that matches, but among patterns the most specific one.
fn select(candidates: &mut [Candidate], best_pattern: Option<&str>) {
    let matches = |candidate: &Candidate| candidate.verdict == Verdict::Outranked;
    let Some(first) = candidates.iter().position(matches) else {
        return;
    };
    let is_best = |candidate: &Candidate| {
        candidate.kind == MatcherKind::Pattern && best_pattern == Some(&*candidate.text)
    };
    let selected = match candidates[first].kind {
        MatcherKind::Pattern => candidates.iter().position(is_best).unwrap_or(first),
        _ => first,
    };
    candidates[selected].verdict = Verdict::Selected;
}

impl Matchers {
    /// The text of the most specific pattern that matches.
    fn pattern(&self, value: &[u8]) -> Option<&str> {
        let found = self.trie.find(value)?;
        Some(&self.patterns[found.target as usize].text)
    }
}

/// Whether a value would match if there were no other pattern.
fn matches_pattern(text: &str, value: &[u8]) -> bool {
    let mut alone = PathTrie::default();
    let Ok(pattern) = PathPattern::parse(text) else {
        return false;
    };
    alone.insert(&pattern, 0).is_ok() && alone.find(value).is_some()
}

fn count(values: usize) -> String {
    match values {
        1 => "1 value".to_owned(),
        values => format!("{values} values"),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Collects what a counter depends on at one level.
struct TracedIdentity {
    hides_values: bool,
    parts: Vec<CountedBy>,
}

impl CounterIdentity for TracedIdentity {
    fn add(&mut self, part: IdentityPart<'_>) {
        self.parts.push(match part {
            IdentityPart::Key(_) => return,
            IdentityPart::Value(_) => CountedBy::Value,
            IdentityPart::Prefix { len, .. } => CountedBy::Prefix(len),
            IdentityPart::Pattern(_) => CountedBy::Pattern,
            IdentityPart::Capture(_) if self.hides_values => CountedBy::Capture(HIDDEN.to_owned()),
            IdentityPart::Capture(piece) => CountedBy::Capture(text(piece)),
            IdentityPart::Shared(_) => CountedBy::Shared,
        });
    }
}

#[cfg(test)]
mod tests;
