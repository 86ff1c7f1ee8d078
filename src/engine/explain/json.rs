//! An explanation as JSON.

use serde_json::{Value, json};

use super::{
    End, Explained, ExplainedLevel, ExplainedLimit, Explanation, LimitStanding, RulePlace, Verdict,
};
use crate::engine::{Code, Status};
use crate::limit::Algorithm;
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
            Cost::Look => (0, 0),
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
        "line": rule.place.map(|place| place.line),
        "column": rule.place.map(|place| place.column),
        "shadow_mode": rule.shadow_mode,
        "quota_mode": rule.quota_mode,
    })
}

fn limit(explained: &ExplainedLimit) -> Value {
    let limit = &explained.limit;
    let (algorithm, burst) = match limit.algorithm {
        Algorithm::FixedWindow => ("fixed_window", None),
        Algorithm::SlidingWindow => ("sliding_window", None),
        Algorithm::TokenBucket(bucket) => ("token_bucket", Some(bucket.burst())),
        Algorithm::Concurrency => ("concurrency", None),
    };
    let window = limit.rate_window();
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
        "algorithm": algorithm,
        "requests_per_unit": window.map(|_| limit.requests_per_unit),
        "unit": window.map(|window| window.unit().name()),
        "unit_multiplier": window.map(|window| window.multiplier()),
        "burst": burst,
        "max_in_flight": limit.is_concurrency().then_some(limit.requests_per_unit),
        "lease_seconds": limit.is_concurrency().then_some(limit.window.secs()),
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
