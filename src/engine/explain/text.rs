//! An explanation as text, for people.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};

use super::{
    CounterSource, ExplainedAssignment, ExplainedDescriptor, ExplainedLimit, ExplainedRule,
    ExplainedStatus, Explanation, MatchResult,
};
use crate::policy::{Candidate, CountedBy, HIDDEN, TracedLevel, Verdict};
use crate::request::Cost;

/// Beyond this many, candidates that do not match are counted instead of listed.
const MAX_CANDIDATES: usize = 20;

/// Several lines, each with its end.
impl Display for Explanation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let counters = match self.counters {
            CounterSource::Live => "the counters of the server",
            CounterSource::Fresh => "fresh counters",
        };
        let (domain, at) = (&self.domain, self.at.to_rfc3339());
        writeln!(f, "domain {domain}, at {at}, with {counters}")?;
        if !self.domain_is_known {
            writeln!(f, "No policy has this domain, so nothing is limited.")?;
        }
        for (at, descriptor) in self.descriptors.iter().enumerate() {
            writeln!(f, "\ndescriptor {}, {}", at + 1, cost(descriptor.cost))?;
            fmt_descriptor(f, descriptor)?;
        }
        fmt_response(f, self)
    }
}

/// Where it is: `shop.yaml:4:5  descriptors[0]`.
impl Display for ExplainedRule {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let (Some(file), Some(line), Some(column)) = (&self.file, self.line, self.column) {
            write!(f, "{}:{line}:{column}  ", file.display())?;
        }
        f.write_str(&self.path)
    }
}

/// The plan, who gave it to the client, until when and why: `scale, assigned in shop.assignments.csv:2 by ann until …: …`.
impl Display for ExplainedAssignment {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.plan.as_deref().unwrap_or("limits of its own"))?;
        f.write_str(", assigned")?;
        if let (Some(file), Some(line)) = (&self.file, self.line) {
            write!(f, " in {}:{line}", file.display())?;
        }
        if let Some(author) = &self.author {
            write!(f, " by {author}")?;
        }
        if let Some(until) = &self.until {
            write!(f, " until {until}")?;
        }
        match &self.note {
            Some(note) => write!(f, ": {note}"),
            None => Ok(()),
        }
    }
}

fn cost(cost: Cost) -> String {
    match cost {
        Cost::Hits(1) => "1 hit".to_owned(),
        Cost::Hits(hits) => format!("{hits} hits"),
        Cost::Peek => "a peek".to_owned(),
        Cost::Refund(hits) => format!("a refund of {hits}"),
    }
}

fn fmt_descriptor(f: &mut Formatter<'_>, descriptor: &ExplainedDescriptor) -> fmt::Result {
    for (at, entry) in descriptor.entries.iter().enumerate() {
        let value = entry.value.as_deref().unwrap_or(HIDDEN);
        writeln!(f, "  {}={value}", entry.key)?;
        if let Some(level) = &entry.level {
            let is_last = at + 1 == descriptor.entries.len();
            fmt_level(f, level, is_last)?;
        }
    }
    let result = match descriptor.result {
        MatchResult::UnknownDomain | MatchResult::Rule => "",
        MatchResult::NotFound => "no rule matches, so there is no limit",
        MatchResult::NoRule => "the matching node has no rate_limit, so there is no limit",
        MatchResult::Replaced => "another descriptor's rule replaces this one: it does not count",
        MatchResult::Unlimited => "the rule is unlimited",
        MatchResult::Exempt => "the request is exempt: no limit applies to any of its descriptors",
        MatchResult::Exempted => "another descriptor exempts the request: this one does not count",
        MatchResult::Override => "the limit in the request applies instead of the policy's",
    };
    if !result.is_empty() {
        writeln!(f, "  {result}")?;
    }
    if let Some(rule) = &descriptor.rule {
        writeln!(f, "  rule   {rule}")?;
        if let (Some(plan), None) = (&rule.plan, &descriptor.assignment) {
            writeln!(f, "  plan   {plan}")?;
        }
        if rule.shadow_mode {
            writeln!(f, "         in shadow mode: it counts and never refuses")?;
        }
        if rule.quota_mode {
            writeln!(
                f,
                "         in quota mode: it refuses only if every quota of the request is over limit"
            )?;
        }
        if rule.is_soft {
            writeln!(
                f,
                "         soft: a request over it is let through, with a note to the upstream"
            )?;
        }
    }
    if let Some(assignment) = &descriptor.assignment {
        writeln!(f, "  plan   {assignment}")?;
    }
    for limit in &descriptor.limits {
        fmt_limit(f, limit)?;
    }
    fmt_status(f, &descriptor.status, descriptor.result)
}

/// What there was to choose from for one entry.
fn fmt_level(f: &mut Formatter<'_>, level: &TracedLevel, is_last: bool) -> fmt::Result {
    match level {
        TracedLevel::TooDeep => writeln!(f, "    the policy has no level for this entry"),
        TracedLevel::UnknownKey { known_keys } => {
            let known = known_keys.join(", ");
            writeln!(f, "    no node of this level has this key; it has: {known}")
        }
        TracedLevel::NoMatch { candidates } => {
            fmt_candidates(f, candidates)?;
            writeln!(f, "    no match")
        }
        TracedLevel::Selected {
            candidates,
            counted_by,
            has_rule,
        } => {
            fmt_candidates(f, candidates)?;
            let counted_by: Vec<_> = counted_by.iter().map(counter_part).collect();
            writeln!(f, "    counted by {}", counted_by.join(", "))?;
            if *has_rule && !is_last {
                writeln!(
                    f,
                    "    its rate_limit applies only to requests that end here"
                )?;
            }
            Ok(())
        }
    }
}

fn counter_part(part: &CountedBy) -> Cow<'_, str> {
    match part {
        CountedBy::Value => "each value".into(),
        CountedBy::Prefix(len) => format!("each /{len}").into(),
        CountedBy::Pattern => "the pattern".into(),
        CountedBy::Capture(piece) => piece.into(),
        CountedBy::Shared => "one counter for all values".into(),
    }
}

fn fmt_candidates(f: &mut Formatter<'_>, candidates: &[Candidate]) -> fmt::Result {
    let is_listed = |(at, candidate): &(usize, &Candidate)| {
        *at < MAX_CANDIDATES || candidate.verdict != Verdict::NoMatch
    };
    let listed: Vec<_> = candidates.iter().enumerate().filter(is_listed).collect();
    let widths = listed.iter().map(|(_, one)| one.text.chars().count());
    let width = widths.max().unwrap_or(0);
    for (_, candidate) in &listed {
        let (kind, text) = (candidate.kind.as_str(), &candidate.text);
        let verdict = match candidate.verdict {
            Verdict::Selected => "selected",
            Verdict::Outranked => "matches, but another one has precedence",
            Verdict::NoMatch => "no match",
        };
        writeln!(f, "    {kind:8}  {text:width$}  {verdict}")?;
    }
    match candidates.len() - listed.len() {
        0 => Ok(()),
        more => writeln!(f, "    and {more} more without a match"),
    }
}

fn fmt_limit(f: &mut Formatter<'_>, limit: &ExplainedLimit) -> fmt::Result {
    f.write_str("  limit  ")?;
    if let Some(name) = &limit.name {
        write!(f, "{name}: ")?;
    }
    write!(f, "{}, {}", limit.text, limit.algorithm.as_str())?;
    if limit.shadow_mode {
        f.write_str(", in shadow mode")?;
    }
    let Some(state) = limit.state else {
        return writeln!(f, "; replaced, so it does not count");
    };
    let over = if state.over_limit { ": over limit" } else { "" };
    let (before, after) = (state.remaining_before, state.remaining);
    write!(f, "; {before} remaining before, {after} after{over}")?;
    let (before, after) = (state.available_before, state.available);
    if (before, after) != (state.remaining_before, state.remaining) {
        write!(
            f,
            "; {before} available before, {after} after, with the burst"
        )?;
    }
    if state.over_capacity {
        f.write_str(NEVER)?;
    }
    if state.is_blocked {
        f.write_str("; blocked")?;
    }
    writeln!(f, "; resets in {}s", state.reset_after_secs)
}

/// The note on hits that can never be allowed, however long the client waits.
const NEVER: &str = "; never admitted: more hits than the limit";

fn fmt_status(f: &mut Formatter<'_>, status: &ExplainedStatus, result: MatchResult) -> fmt::Result {
    write!(f, "  status {}, ", status.code.as_str())?;
    match (&status.limit, status.reset_after_secs) {
        (Some(limit), Some(reset)) => {
            let remaining = status.remaining;
            write!(f, "{remaining} remaining of {limit}")?;
            if status.over_capacity {
                f.write_str(NEVER)?;
            }
            writeln!(f, ", resets in {reset}s")
        }
        _ if result == MatchResult::Unlimited => writeln!(f, "unlimited"),
        _ if matches!(result, MatchResult::Exempt | MatchResult::Exempted) => {
            writeln!(f, "exempt")
        }
        _ => writeln!(f, "no limit"),
    }
}

fn fmt_response(f: &mut Formatter<'_>, explanation: &Explanation) -> fmt::Result {
    writeln!(f, "\nresponse {}", explanation.code.as_str())?;
    if explanation.lease_granted {
        writeln!(f, "  with a lease, which releases the slots")?;
    }
    for header in &explanation.headers {
        writeln!(f, "  {}: {}", header.name, header.value)?;
    }
    if !explanation.request_headers.is_empty() {
        writeln!(f, "  to the upstream")?;
    }
    for header in &explanation.request_headers {
        writeln!(f, "    {}: {}", header.name, header.value)?;
    }
    if let Some(body) = &explanation.body {
        writeln!(f)?;
        for line in body.lines() {
            writeln!(f, "  {line}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::clock::{Clock, ManualClock, Timestamp};
    use crate::engine::Engine;
    use crate::policy::load_text;
    use crate::request::{Descriptor, Entry, Request};
    use crate::store::{MemoryConfig, Store};

    const POLICY: &str = "
domain: d
descriptors:
  - key: k
    rate_limit:
      - {name: slots, algorithm: concurrency, max_in_flight: 8, lease_seconds: 180}
      - {algorithm: token_bucket, unit: minute, requests_per_unit: 60, burst: 90}
      - {algorithm: sliding_window, unit: hour, unit_multiplier: 2, requests_per_unit: 500, shadow_mode: true}
      - {unit: day, requests_per_unit: 1000}";

    fn explain(cost: Cost) -> Explanation {
        let policy = load_text(Path::new("d.yaml"), POLICY).policy.unwrap();
        let store = Store::memory(MemoryConfig::default()).unwrap();
        let clock = Clock::Manual(ManualClock::new(Timestamp::from_secs(0)));
        let entry = Entry {
            key: "k".into(),
            value: "v".into(),
        };
        Engine::new(policy, store, clock).explain(&Request {
            domain: "d".into(),
            descriptors: vec![Descriptor {
                entries: vec![entry],
                cost,
                limit: None,
            }],
        })
    }

    #[test]
    fn every_kind_of_limit_is_described() {
        let expected = "\
domain d, at 1970-01-01T00:00:00Z, with fresh counters

descriptor 1, 1 hit
  k=v
    any         selected
    counted by each value
  rule   d.yaml:5:5  descriptors[0]
  limit  slots: 8 at once (lease 180 s), concurrency; 8 remaining before, 7 after; resets in 1s
  limit  60 per minute, burst 90, token_bucket; 60 remaining before, 60 after; 90 available before, 89 after, with the burst; resets in 1s
  limit  500 per 2 hours, sliding_window, in shadow mode; 500 remaining before, 499 after; resets in 7650s
  limit  1000 per day, fixed_window; 1000 remaining before, 999 after; resets in 86400s
  status OK, 7 remaining of 8 at once, resets in 1s

response OK
  with a lease, which releases the slots
";
        assert_eq!(explain(Cost::Hits(1)).to_string(), expected);
    }

    #[test]
    fn hits_that_are_never_admitted_are_named() {
        let text = explain(Cost::Hits(91)).to_string();
        let expected = "
  limit  slots: 8 at once (lease 180 s), concurrency; 8 remaining before, 8 after: over limit; \
            never admitted: more hits than the limit; resets in 1s
  limit  60 per minute, burst 90, token_bucket; 60 remaining before, 60 after: over limit; \
            90 available before, 90 after, with the burst; never admitted: more hits than the limit; resets in 0s
";
        assert!(text.contains(expected), "{text}");
        assert!(
            text.contains("\n  status OVER_LIMIT, 8 remaining of 8 at once; never admitted"),
            "{text}"
        );
        assert!(!explain(Cost::Hits(8)).to_string().contains("never"));
    }

    #[test]
    fn json_can_be_read_back() {
        let explanation = explain(Cost::Peek);
        let json = serde_json::to_value(&explanation).unwrap();
        let limits = &json["descriptors"][0]["limits"];
        assert_eq!(limits[0]["algorithm"], "concurrency");
        assert_eq!(limits[0]["max_in_flight"], 8);
        assert_eq!(limits[0]["lease_seconds"], 180);
        assert!(limits[0].get("requests_per_unit").is_none());
        assert_eq!(limits[1]["burst"], 90);
        assert_eq!(limits[2]["unit_multiplier"], 2);
        let read: Explanation = serde_json::from_value(json).unwrap();
        assert_eq!(read, explanation);
    }
}
