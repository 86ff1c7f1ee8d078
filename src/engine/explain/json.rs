//! An explanation as JSON.

use serde_json::{Value, json};

use super::{
    End, Explained, ExplainedLevel, ExplainedLimit, Explanation, LimitStanding, RulePlace, Verdict,
};
use crate::engine::{Code, Status};
use crate::limit::{LimitKind, Quota};
use crate::request::Cost;

impl Explanation {
    /// All of it, for programs.
    pub fn to_json(&self) -> Value {
        let statuses = &self.decision.statuses;
        let descriptors = self
            .descriptors
            .iter()
            .zip(statuses)
            .map(|(explained, status)| {
                let mut all = explained.to_json();
                all["status"] = status_json(status);
                all
            });
        let headers = self.decision.headers.iter();
        let headers = headers.map(|header| json!({"name": &*header.name, "value": header.value}));
        json!({
            "at_micros": self.at.micros(),
            "domain": self.domain,
            "domain_is_known": self.is_known,
            "counters": if self.is_live { "live" } else { "fresh" },
            "code": code(self.decision.code),
            "descriptors": descriptors.collect::<Vec<_>>(),
            "headers": headers.collect::<Vec<_>>(),
            "body": self.decision.body,
            "lease_granted": self.decision.grant.is_some(),
        })
    }
}

impl Explained {
    fn to_json(&self) -> Value {
        let entries = self.entries.iter();
        let entries = entries.map(|(key, value)| match value {
            Some(value) => json!({"key": key, "value": value}),
            None => json!({"key": key, "secret": true}),
        });
        let (hits, refund) = match self.cost {
            Cost::Peek => (0, 0),
            Cost::Hits(hits) => (hits, 0),
            Cost::Refund(hits) => (0, hits),
        };
        json!({
            "entries": entries.collect::<Vec<_>>(),
            "hits": hits,
            "refund": refund,
            "walk": self.levels.iter().map(level).collect::<Vec<_>>(),
            "meets": self.end.as_str(),
            "rule": self.rule.as_ref().map(rule),
            "limits": self.limits.iter().map(limit).collect::<Vec<_>>(),
        })
    }
}

impl End {
    /// Its name, such as `no_rule`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownDomain => "unknown_domain",
            Self::NotFound => "not_found",
            Self::NoRule => "no_rule",
            Self::Replaced => "replaced",
            Self::Unlimited => "unlimited",
            Self::Rule => "rule",
            Self::Override => "override",
        }
    }
}

fn level(level: &ExplainedLevel) -> Value {
    match level {
        ExplainedLevel::TooDeep => json!({"ended": "the tree has no level here"}),
        ExplainedLevel::UnknownKey(known) => {
            json!({"ended": "no descriptor has this key", "known_keys": known})
        }
        ExplainedLevel::Known {
            candidates,
            counter,
            has_rule,
        } => {
            let candidates = candidates.iter().map(|candidate| {
                let verdict = match candidate.verdict {
                    Verdict::Taken => "taken",
                    Verdict::PassedOver => "passed_over",
                    Verdict::DoesNotFit => "does_not_fit",
                };
                json!({"kind": candidate.kind, "text": candidate.text, "verdict": verdict})
            });
            json!({
                "candidates": candidates.collect::<Vec<_>>(),
                "counted_by": counter,
                "has_rule": has_rule,
            })
        }
    }
}

fn rule(rule: &RulePlace) -> Value {
    json!({
        "path": rule.path,
        "file": rule.file,
        "line": rule.position.map(|position| position.line),
        "column": rule.position.map(|position| position.column),
        "shadow_mode": rule.shadow_mode,
        "quota_mode": rule.quota_mode,
    })
}

fn limit(explained: &ExplainedLimit) -> Value {
    let limit = &explained.limit;
    let (rate, slots) = match limit.quota() {
        Quota::Rate(rate) => (Some(rate), None),
        Quota::Concurrent(slots) => (None, Some(slots)),
    };
    let (burst, lease_secs) = match limit.kind {
        LimitKind::TokenBucket(bucket) => (Some(bucket.burst()), None),
        LimitKind::Concurrency { lease_secs, .. } => (None, Some(lease_secs)),
        LimitKind::FixedWindow(_) | LimitKind::SlidingWindow(_) => (None, None),
    };
    let standing = |standing: &LimitStanding| {
        json!({
            "before": standing.before,
            "over": standing.over,
            "remaining": standing.after,
            "reset_after_secs": standing.reset_after_secs,
        })
    };
    json!({
        "name": limit.name.as_deref(),
        "text": limit.to_string(),
        "algorithm": limit.algorithm().as_str(),
        "requests_per_unit": rate.map(|rate| rate.requests),
        "unit": rate.map(|rate| rate.window.unit().name()),
        "unit_multiplier": rate.map(|rate| rate.window.multiplier()),
        "burst": burst,
        "max_in_flight": slots,
        "lease_seconds": lease_secs,
        "shadow_mode": limit.shadow_mode,
        "replaced": explained.standing.is_none(),
        "standing": explained.standing.as_ref().map(standing),
    })
}

fn status_json(status: &Status) -> Value {
    json!({
        "code": code(status.code),
        "remaining": status.remaining,
        "reset_after_secs": status.reset_after_secs,
    })
}

const fn code(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::OverLimit => "OVER_LIMIT",
    }
}
