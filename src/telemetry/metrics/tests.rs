use std::path::Path;

use super::*;
use crate::clock::ManualClock;
use crate::policy::load_text;
use crate::request::{Descriptor, Request};
use crate::store::{MemoryConfig, Store};
use crate::telemetry::{History, HistoryStep};

fn policy(domain: &str, keys: &[&str]) -> Policy {
    let rule = |key: &&str| {
        format!(
            "{{key: {key}, detailed_metric: true, rate_limit: {{unit: day, requests_per_unit: 9}}}}"
        )
    };
    let rules: Vec<_> = keys.iter().map(rule).collect();
    let text = format!("{{domain: {domain}, descriptors: [{}]}}", rules.join(", "));
    load_text(Path::new("d.yaml"), &text).policy.unwrap()
}

/// Metrics of an engine whose policy changes.
struct Observed {
    engine: Engine,
    metrics: Metrics,
    recorder: Recorder,
}

impl Observed {
    fn new(policy: Policy) -> Self {
        let metrics = Metrics::new(&policy);
        let store = Store::memory(MemoryConfig::default()).unwrap();
        let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
        Self {
            recorder: metrics.worker_recorder(),
            metrics,
            engine: Engine::new(policy, store, Clock::Manual(clock)),
        }
    }

    fn reload(&self, policy: Policy) {
        self.metrics.register(&policy);
        self.engine.replace_policy(policy);
    }

    fn hit(&self, domain: &str, key: &str, value: &str) {
        let request = Request {
            domain: domain.to_owned().into(),
            descriptors: vec![Descriptor::new([(key.to_owned(), value.to_owned())])],
        };
        let mut call = self.recorder.begin();
        let local = self.engine.local().unwrap();
        let decision = local.decide_observed(&request, |result| call.record(&request, &result));
        call.end(&decision);
    }

    /// The hits at the rules of the policy.
    fn hits(&self) -> Vec<u64> {
        let policy = self.engine.policy();
        let rules = policy.domains().into_iter().flat_map(Domain::rules);
        rules.map(|rule| self.metrics.rule(rule).total()).collect()
    }

    fn text(&self) -> String {
        let policy = self.engine.policy();
        self.metrics.text(&self.engine, &policy, false).collect()
    }
}

#[test]
fn names_of_rules_that_are_gone_are_forgotten() {
    let observed = Observed::new(policy("d", &["a0"]));
    let mut history = History::default();
    for n in 1..200 {
        let key = format!("a{n}");
        observed.reload(policy("d", &[&key, "stays"]));
        // A number that belonged to another rule counts from 0, in history as well.
        assert_eq!(observed.hits()[0], 0, "{n}");
        observed.hit("d", &key, "v");
        observed.hit("d", "stays", "v");
        history.step(&observed.engine.policy(), &observed.metrics);
        assert_eq!(observed.hits(), [1, n], "{n}");
        let policy = observed.engine.policy();
        let steps = history.of_rule(&policy.domains()[0].rules()[0]);
        let hits: u32 = steps.iter().map(|step: &HistoryStep| step.ok).sum();
        assert_eq!(hits, 1, "{n}");
        let series =
            format!("weir_rule_hits_total{{domain=\"d\",rule=\"{key}\",values=\"{key}=v\"}} 1\n");
        assert!(observed.text().contains(&series), "{n}");
        let ids = policy.domains()[0].rules()[0].metric_ids.get().to_vec();
        assert!(ids[0] < 30, "{n}: {ids:?}");
    }
}

#[test]
fn a_rule_that_returns_soon_keeps_its_counts() {
    let observed = Observed::new(policy("d", &["a"]));
    observed.hit("d", "a", "v");
    for _ in 0..5 {
        observed.reload(policy("d", &["b"]));
    }
    observed.reload(policy("d", &["a"]));
    assert_eq!(observed.hits(), [1]);
    for _ in 0..20 {
        observed.reload(policy("d", &["b"]));
    }
    observed.reload(policy("d", &["a"]));
    assert_eq!(observed.hits(), [0]);
}

#[test]
fn domains_that_are_gone_leave_room_for_heavy_hitters_of_others() {
    let observed = Observed::new(policy("d0", &["a"]));
    for n in 1..600 {
        let name = format!("d{n}");
        observed.reload(policy(&name, &["a"]));
        observed.hit(&name, "a", "v");
        let policy = observed.engine.policy();
        let domain = policy.domains()[0];
        let top = observed.metrics.top(domain, observed.engine.now());
        assert_eq!(top.requested.len(), 1, "{n}");
        assert_eq!(observed.metrics.domain(Some(domain)).ok, 1, "{n}");
    }
}

#[test]
fn series_by_value_are_bounded_over_all_rules() {
    let observed = Observed::new(policy("d", &["a", "b"]));
    observed.metrics.limit_series(30);
    for n in 0..20 {
        observed.hit("d", "a", &n.to_string());
    }
    for n in 0..20 {
        observed.hit("d", "b", &n.to_string());
    }
    let text = observed.text();
    let hits = text
        .lines()
        .filter(|line| line.starts_with("weir_rule_hits_total"));
    assert_eq!(hits.count(), 30 + 1);
    assert!(text.contains("rule=\"b\",values=\"other\"} 10\n"), "{text}");
    assert!(text.contains("weir_series_capped_total 10\n"));
    // Series of a rule that is forgotten leave room for others.
    for _ in 0..20 {
        observed.reload(policy("d", &["c"]));
    }
    for n in 0..20 {
        observed.hit("d", "c", &n.to_string());
    }
    assert!(!observed.text().contains("rule=\"c\",values=\"other\""));
}
