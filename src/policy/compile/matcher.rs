//! The matcher of a descriptor: which values it matches.

use std::sync::Arc;

use super::cidr::{self, CidrMatcher};
use super::summary::DomainSummary;
use super::unlikely;
use crate::document::{DocumentCode, Position, Report, Spanned, Text};
use crate::policy::PolicyCode;
use crate::policy::matchers::path::{CaptureRef, PathPattern};
use crate::policy::matchers::sha256::Sha256Hash;
use crate::policy::matchers::wildcard::Wildcard;
use crate::policy::raw::{Flag, RawDescriptor};
use crate::policy::{HIDDEN, LevelName};

/// Which values a descriptor matches.
#[derive(Debug)]
pub(super) enum Matcher {
    /// These, exactly; one or more.
    Exact(Vec<Spanned<Text>>),
    /// The one value of that hash.
    Sha256(Spanned<Sha256Hash>),
    Pattern(Box<PathMatcher>),
    /// Addresses.
    Cidr(Box<CidrMatcher>),
    Wildcard(Box<WildcardMatcher>),
    Any,
}

#[derive(Debug)]
pub(super) struct PathMatcher {
    pub(super) pattern: PathPattern,
    pub(super) count_by: Box<[CaptureRef]>,
    pub(super) position: Option<Position>,
}

#[derive(Debug)]
pub(super) struct WildcardMatcher {
    pub(super) wildcard: Wildcard,
    pub(super) is_shared: bool,
    pub(super) position: Option<Position>,
}

impl Matcher {
    /// Whether the value in a request has more information than the matcher.
    pub(super) fn shows_value(&self) -> bool {
        match self {
            Self::Exact(values) => values.len() > 1,
            Self::Wildcard(matcher) => !matcher.is_shared,
            Self::Cidr(matcher) => !matcher.is_shared,
            Self::Sha256(_) | Self::Pattern(_) | Self::Any => true,
        }
    }

    /// Whether each value, as it is sent, has a counter of its own.
    pub(super) fn counts_values(&self) -> bool {
        match self {
            Self::Exact(_) | Self::Sha256(_) | Self::Any => true,
            Self::Wildcard(matcher) => !matcher.is_shared,
            Self::Pattern(_) | Self::Cidr(_) => false,
        }
    }

    /// This level in the names of rules; `index` is its index in the list of descriptors.
    pub(super) fn level_name(
        &self,
        key: Arc<str>,
        index: usize,
        summary: &DomainSummary,
    ) -> LevelName {
        let is_secret = summary.is_secret(&key);
        let matcher_text = match self {
            Self::Any => None,
            _ if is_secret => Some(HIDDEN.to_owned()),
            Self::Exact(values) => Some(some_of(values.iter().map(|one| one.value.to_string()))),
            Self::Sha256(hash) => Some(format!("sha256:{}", hash.value.short())),
            Self::Pattern(matcher) => Some(matcher.pattern.text.to_string()),
            Self::Cidr(matcher) => Some(some_of(
                matcher.cidrs.iter().map(|one| one.value.to_string()),
            )),
            Self::Wildcard(matcher) => {
                Some(String::from_utf8_lossy(matcher.wildcard.text()).into_owned())
            }
        };
        let is_shared = match self {
            Self::Wildcard(matcher) => matcher.is_shared,
            Self::Cidr(matcher) => matcher.is_shared,
            Self::Exact(_) | Self::Sha256(_) | Self::Pattern(_) | Self::Any => false,
        };
        LevelName {
            key,
            matcher_text: matcher_text.map(Into::into),
            is_shared,
            is_secret,
            index: index as u32,
        }
    }
}

/// The most values in a name; the rest is `…`.
const MAX_NAMED: usize = 3;

/// The first values, such as `a|b|c|…`.
fn some_of(all: impl ExactSizeIterator<Item = String>) -> String {
    let more = all.len().saturating_sub(MAX_NAMED);
    let mut named: Vec<String> = all.take(MAX_NAMED).collect();
    if more > 0 {
        named.push("…".to_owned());
    }
    named.join("|")
}

/// `None` if there is no valid matcher.
pub(super) fn compile(raw: &RawDescriptor, report: &mut Report) -> Option<Matcher> {
    let written = [
        ("value", !raw.value.is_absent()),
        ("values", !raw.matchers.values.is_absent()),
        ("value_sha256", !raw.matchers.value_sha256.is_absent()),
        ("pattern", !raw.matchers.pattern.is_absent()),
        ("cidr", !raw.matchers.cidr.is_absent()),
    ];
    let written: Vec<&str> = written
        .iter()
        .filter(|(_, is)| *is)
        .map(|(key, _)| *key)
        .collect();
    if written.len() > 1 {
        let message = format!("a descriptor with `{}`", written.join("` and `"));
        let help = "keep one of them, and move the other to a descriptor of its own";
        report.add_with_help(PolicyCode::ConflictingMatchers, raw.position, message, help);
        return None;
    }
    if let Some(key) = raw
        .key
        .given()
        .filter(|key| key.value.contains('*') && !is_generated(raw))
    {
        warn_of_literal_star(key.position, "a key", report);
    }
    let matcher = match &written[..] {
        [] => Some(Matcher::Any),
        _ => matcher(raw, report),
    };
    let shared = raw
        .extras
        .flags
        .iter()
        .find(|flag| flag.value == Flag::Shared);
    if let Some(flag) = shared
        && !matches!(
            matcher,
            Some(Matcher::Wildcard(_) | Matcher::Cidr(_)) | None
        )
    {
        let message = "`share_threshold` needs `cidr`, or a `*` in `value`";
        report.add(
            PolicyCode::ShareThresholdWithoutWildcard,
            flag.position,
            message,
        );
    }
    if let Some(count_by) = raw.matchers.count_by.given()
        && raw.matchers.pattern.is_absent()
    {
        let message = "`count_by` needs `pattern`";
        report.add(PolicyCode::InvalidCountBy, count_by.position, message);
    }
    cidr::check_count_prefix(&raw.matchers, shared.is_some(), report);
    matcher
}

fn matcher(raw: &RawDescriptor, report: &mut Report) -> Option<Matcher> {
    if let Some(values) = raw.matchers.values.given() {
        if values.value.is_empty() {
            report.add(
                DocumentCode::EmptyList,
                values.position,
                "`values` is empty",
            );
        }
        for value in values
            .value
            .iter()
            .filter(|value| value.value.contains('*'))
        {
            warn_of_literal_star(value.position, "`values`", report);
        }
        return Some(Matcher::Exact(values.value.clone()));
    }
    if raw.matchers.pattern.given().is_some() {
        return pattern(raw, report);
    }
    if let Some(hash) = raw.matchers.value_sha256.given() {
        return self::hash(hash, report);
    }
    let is_shared = raw.extras.has(Flag::Shared);
    if let Some(cidr) = raw.matchers.cidr.given() {
        let matcher = cidr::compile(cidr, is_shared, &raw.matchers, report)?;
        return Some(Matcher::Cidr(Box::new(matcher)));
    }
    let value = raw.value.given()?;
    let Some(wildcard) = Wildcard::new(value.value.as_bytes()) else {
        return Some(Matcher::Exact(vec![value.clone()]));
    };
    Some(Matcher::Wildcard(Box::new(WildcardMatcher {
        wildcard,
        is_shared,
        position: value.position,
    })))
}

fn hash(text: &Spanned<Text>, report: &mut Report) -> Option<Matcher> {
    let position = text.position;
    let Some(value) = Sha256Hash::from_hex(&text.value) else {
        let message = "`value_sha256` must be a SHA-256 in hex: 64 digits";
        let help = "`printf %s \"$VALUE\" | sha256sum` prints it";
        report.add_with_help(PolicyCode::InvalidHash, position, message, help);
        return None;
    };
    Some(Matcher::Sha256(Spanned { value, position }))
}

fn pattern(raw: &RawDescriptor, report: &mut Report) -> Option<Matcher> {
    let text = raw.matchers.pattern.given()?;
    let pattern = match PathPattern::parse(&text.value) {
        Ok(pattern) => pattern,
        Err(error) => {
            let help = "a pattern looks like `GET /sites/{site}/{*rest}`";
            report.add_with_help(
                PolicyCode::InvalidPattern,
                text.position,
                error.to_string(),
                help,
            );
            return None;
        }
    };
    if pattern.has_literal_star() {
        warn_of_literal_star(text.position, "a segment of a pattern", report);
    } else {
        unlikely::check_pattern(&pattern, text.position, report);
    }
    let mut names: Vec<(&str, CaptureRef)> = Vec::new();
    for name in raw
        .matchers
        .count_by
        .given()
        .iter()
        .flat_map(|count_by| &count_by.value)
    {
        let is_repeated = names.iter().any(|(other, _)| *other == &*name.value);
        match pattern.capture_ref(&name.value) {
            Some(capture) if !is_repeated => names.push((&name.value, capture)),
            Some(_) => {
                report.add(
                    PolicyCode::InvalidCountBy,
                    name.position,
                    "`count_by` names a capture twice",
                );
            }
            None => {
                let message = "`count_by` has a name that the pattern does not capture";
                let help = "use the names in `{…}`, and `method` if the pattern has methods";
                report.add_with_help(PolicyCode::InvalidCountBy, name.position, message, help);
            }
        }
    }
    // The order in the file must not affect the identity of the counter.
    names.sort_by_key(|(name, _)| *name);
    Some(Matcher::Pattern(Box::new(PathMatcher {
        pattern,
        count_by: names.into_iter().map(|(_, capture)| capture).collect(),
        position: text.position,
    })))
}

fn warn_of_literal_star(position: Option<Position>, within: &str, report: &mut Report) {
    let message = format!("`*` is an ordinary character in {within}");
    let help = "a wildcard is written as `value`";
    report.add_with_help(PolicyCode::LiteralWildcard, position, message, help);
}

/// Whether the value is the same as the key, as gateways generate it: the `*` of such a key is intended.
fn is_generated(raw: &RawDescriptor) -> bool {
    let (key, value) = (raw.key.given(), raw.value.given());
    key.zip(value).is_some_and(|(key, value)| key == value)
}
