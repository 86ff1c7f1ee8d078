//! Slots that are held by leases, and what is charged together or not at all.

use std::collections::BTreeMap;

use proptest::prelude::*;
use weir::engine::{Code, Decision, LeaseStats};
use weir::request::{Cost, Descriptor, Entry};

use crate::shared::offline::{START, Weir, With, d, words};

/// Two at once for each key, and beside it 600 a minute that count refused requests too.
const PER_KEY: &str = "domain: c
descriptors:
- {key: at_once, rate_limit: {algorithm: concurrency, max_in_flight: 2, lease_seconds: 60}}
- {key: rate, rate_limit: {unit: hour, requests_per_unit: 3}}
- {key: bucket, rate_limit: {unit: hour, requests_per_unit: 100, algorithm: token_bucket}}
- {key: shadow, shadow_mode: true, rate_limit: {algorithm: concurrency, max_in_flight: 1, lease_seconds: 60}}
";

fn lease_of(decision: &Decision) -> Option<String> {
    decision.grant.as_ref().map(|grant| grant.lease.to_string())
}

/// Takes what the descriptors ask for.
fn take(weir: &Weir, descriptors: &[Descriptor]) -> Option<String> {
    lease_of(&weir.ask("c", descriptors))
}

/// The descriptor of the call at the stream's end.
fn back(text: &str, lease: &str) -> Descriptor {
    let mut descriptor = d(text).refund(1);
    descriptor.entries.push(Entry {
        key: "lease".into(),
        value: lease.to_owned().into(),
    });
    descriptor
}

fn invalid_releases(unknown: u64, missing: u64) -> LeaseStats {
    LeaseStats { unknown, missing }
}

#[test]
fn slots_are_taken_and_given_back_by_the_lease_of_their_call() {
    let weir = Weir::new(PER_KEY);
    let first = take(&weir, &[d("at_once=k")]).unwrap();
    let second = take(&weir, &[d("at_once=k")]).unwrap();
    assert_ne!(first, second);
    assert_eq!(first.len(), 32);
    let refused = weir.ask("c", &[d("at_once=k")]);
    assert_eq!((refused.code, lease_of(&refused)), (Code::OverLimit, None));
    assert_eq!(words(&refused.statuses[0]), "over 2 at once");
    assert_eq!(refused.statuses[0].reset_after_secs, Some(1));
    assert_eq!(
        weir.one("c", back("at_once=k", &first)),
        "ok 1 of 2 at once"
    );
    assert!(take(&weir, &[d("at_once=k")]).is_some());
    assert_eq!(weir.one("c", d("at_once=k").look()), "over 2 at once");
    assert_eq!(weir.engine().lease_stats(), invalid_releases(0, 0));
}

#[test]
fn a_lease_that_holds_nothing_frees_nothing_and_is_counted() {
    let weir = Weir::new(PER_KEY);
    let own = take(&weir, &[d("at_once=k")]).unwrap();
    let other = take(&weir, &[d("at_once=other")]).unwrap();
    let never_granted = "0123456789abcdef0123456789abcdef";
    for wrong in [
        never_granted,
        "",
        "no lease",
        &other,
        &own.to_uppercase(),
        &"0".repeat(32),
    ] {
        assert_eq!(weir.one("c", back("at_once=k", wrong)), "ok 1 of 2 at once");
    }
    assert_eq!(weir.engine().lease_stats(), invalid_releases(6, 0));
    weir.ask("c", &[back("at_once=k", &own)]);
    assert_eq!(weir.one("c", back("at_once=k", &own)), "ok 2 of 2 at once");
    assert_eq!(
        weir.one("c", back("at_once=nobody", &own)),
        "ok 2 of 2 at once"
    );
    assert_eq!(weir.engine().lease_stats(), invalid_releases(8, 0));
}

#[test]
fn a_lease_that_has_ended_does_not_free_the_slot_of_another() {
    let weir = Weir::new(PER_KEY);
    let ended = take(&weir, &[d("at_once=k")]).unwrap();
    weir.advance(60);
    take(&weir, &[d("at_once=k")]).unwrap();
    take(&weir, &[d("at_once=k")]).unwrap();
    assert_eq!(
        weir.one("c", back("at_once=k", &ended)),
        "ok 0 of 2 at once"
    );
    assert_eq!(weir.engine().lease_stats(), invalid_releases(1, 0));
}

#[test]
fn negative_hits_without_a_lease_free_no_slot_and_are_counted() {
    let weir = Weir::new(PER_KEY);
    take(&weir, &[d("at_once=k")]).unwrap();
    assert_eq!(weir.one("c", d("at_once=k").refund(1)), "ok 1 of 2 at once");
    assert_eq!(weir.engine().lease_stats(), invalid_releases(0, 1));
}

#[test]
fn a_request_that_something_else_refuses_holds_nothing() {
    let weir = Weir::new(PER_KEY);
    let both = [d("at_once=k"), d("rate=k")];
    for _ in 0..3 {
        take(&weir, &both).map(|lease| weir.ask("c", &[back("at_once=k", &lease)]));
    }
    for order in [[0, 1], [1, 0]] {
        let descriptors = order.map(|at| both[at].clone());
        let refused = weir.ask("c", &descriptors);
        assert_eq!((refused.code, lease_of(&refused)), (Code::OverLimit, None));
        let status = order.iter().position(|at| *at == 0).unwrap();
        assert_eq!(words(&refused.statuses[status]), "ok 2 of 2 at once");
    }
    // Its rate counts refused requests, as a lone fixed window does.
    assert_eq!(weir.one("c", d("rate=k").refund(2)), "ok 0 of 3/hour");
}

#[test]
fn one_lease_is_good_for_all_that_granted_it() {
    let weir = Weir::new(PER_KEY);
    let lease = take(&weir, &[d("at_once=a"), d("at_once=b"), d("at_once=a")]).unwrap();
    assert_eq!(weir.one("c", d("at_once=a").look()), "over 2 at once");
    let done = [
        back("at_once=a", &lease),
        back("at_once=b", &lease),
        back("at_once=a", &lease),
    ];
    assert_eq!(
        weir.words("c", &done),
        "ok 1 of 2 at once, ok 2 of 2 at once, ok 2 of 2 at once => OK"
    );
    assert_eq!(weir.engine().lease_stats(), invalid_releases(0, 0));
}

#[test]
fn a_rule_in_shadow_mode_counts_whom_it_would_let_in() {
    let weir = Weir::new(PER_KEY);
    let first = take(&weir, &[d("shadow=k")]).unwrap();
    let beyond = weir.ask("c", &[d("shadow=k")]);
    assert_eq!((beyond.code, lease_of(&beyond)), (Code::Ok, None));
    weir.ask("c", &[back("shadow=k", &first)]);
    assert!(take(&weir, &[d("shadow=k")]).is_some());
}

#[test]
fn without_slots_the_entry_of_a_lease_is_an_ordinary_one() {
    let weir = Weir::new(
        "domain: c
descriptors:
- {key: k, descriptors: [{key: lease, rate_limit: {unit: hour, requests_per_unit: 9}}]}
",
    );
    assert_eq!(weir.one("c", d("k=a lease=b").hits(3)), "ok 6 of 9/hour");
    assert_eq!(weir.one("c", d("k=a lease=b").refund(1)), "ok 7 of 9/hour");
}

#[test]
fn the_entry_of_a_lease_may_have_another_name() {
    let weir = Weir::new(&format!("lease_entry: grant\n{PER_KEY}"));
    let lease = take(&weir, &[d("at_once=k")]).unwrap();
    assert_eq!(weir.one("c", back("at_once=k", &lease)), "none");
    let mut named = back("at_once=k", &lease);
    named.entries[1].key = "grant".into();
    assert_eq!(weir.one("c", named), "ok 2 of 2 at once");
    // Hits take, whatever they are called.
    assert_eq!(weir.one("c", d("at_once=k grant=x")), "none");
}

#[test]
fn a_refund_that_names_a_lease_is_taken_with_it_and_not_again() {
    let weir = Weir::new(PER_KEY);
    let reserve = [d("at_once=k"), d("bucket=k").hits(60)];
    let lease = take(&weir, &reserve).unwrap();
    let refused = weir.ask("c", &reserve);
    assert_eq!((refused.code, lease_of(&refused)), (Code::OverLimit, None));
    let mut unused = back("bucket=k", &lease);
    unused.cost = Cost::Refund(60);
    let settle = [back("at_once=k", &lease), unused, d("bucket=k").hits(20)];
    for (said, unknown) in [
        (
            "ok 2 of 2 at once, ok 100 of 100/hour, ok 80 of 100/hour => OK",
            0,
        ),
        (
            "ok 2 of 2 at once, ok 80 of 100/hour, ok 60 of 100/hour => OK",
            2,
        ),
    ] {
        assert_eq!(weir.words("c", &settle), said);
        assert_eq!(weir.engine().lease_stats(), invalid_releases(unknown, 0));
    }
}

#[test]
fn what_a_dropped_answer_granted_can_be_given_back() {
    let weir = Weir::new(PER_KEY);
    let unsent = weir.ask("c", &[d("at_once=k"), d("at_once=k")]);
    assert_eq!(weir.one("c", d("at_once=k").look()), "over 2 at once");
    let grant = unsent.grant.unwrap();
    for _ in 0..2 {
        weir.engine().release(&grant);
        assert_eq!(weir.one("c", d("at_once=k").look()), "ok 2 of 2 at once");
    }
    assert_eq!(weir.engine().lease_stats(), invalid_releases(0, 0));
}

#[test]
fn slots_in_use_are_those_that_are_neither_released_nor_expired() {
    let weir = Weir::new(PER_KEY);
    let policy = weir.engine().policy();
    let rule = &policy.domains()[0].rules()[0];
    rule.metric_ids.set(&[5]);
    let in_use = || weir.engine().slots_in_use().of(rule);
    let first = take(&weir, &[d("at_once=a")]).unwrap();
    weir.advance(30);
    take(&weir, &[d("at_once=b").hits(2)]).unwrap();
    take(&weir, &[d("shadow=b")]).unwrap();
    let unsent = weir.ask("c", &[d("at_once=c"), d("at_once=d")]);
    assert_eq!(in_use(), 5);
    weir.engine().release(&unsent.grant.unwrap());
    assert_eq!(in_use(), 3);
    weir.ask("c", &[back("at_once=x", &first)]);
    assert_eq!(in_use(), 3);
    weir.ask("c", &[back("at_once=a", &first)]);
    assert_eq!(in_use(), 2);
    weir.advance(59);
    assert_eq!(in_use(), 2);
    weir.advance(1);
    assert_eq!(in_use(), 0);
    assert_eq!(take(&weir, &[d("at_once=a").hits(3)]), None);
    assert_eq!(in_use(), 0);
}

#[test]
fn a_rule_that_is_replaced_still_takes_back_what_it_holds() {
    let weir = Weir::new(
        "domain: c
descriptors:
- {key: k, rate_limit: {algorithm: concurrency, max_in_flight: 2, lease_seconds: 60, name: slots}}
- {key: vip, rate_limit: {unlimited: true, replaces: [{name: slots}]}}
",
    );
    let lease = take(&weir, &[d("k=a")]).unwrap();
    assert_eq!(take(&weir, &[d("k=a"), d("vip=a")]), None);
    weir.ask("c", &[back("k=a", &lease), d("vip=a")]);
    assert_eq!(weir.one("c", d("k=a").look()), "ok 2 of 2 at once slots");
}

const ATOMIC: &str = "domain: c
atomic: true
descriptors:
- {key: window, rate_limit: {unit: hour, requests_per_unit: 5}}
- {key: sliding, rate_limit: {unit: hour, requests_per_unit: 5, algorithm: sliding_window}}
- {key: bucket, rate_limit: {unit: hour, requests_per_unit: 5, algorithm: token_bucket}}
- {key: slots, rate_limit: {algorithm: concurrency, max_in_flight: 5, lease_seconds: 60}}
- {key: always, rate_limit: {unit: hour, requests_per_unit: 5, charge: always}}
- {key: shadow, shadow_mode: true, rate_limit: {unit: hour, requests_per_unit: 0}}
- {key: quota, quota_mode: true, rate_limit: {unit: hour, requests_per_unit: 0}}
- {key: none, rate_limit: {unit: hour, requests_per_unit: 0}}
";

#[test]
fn in_an_atomic_domain_a_refused_request_is_charged_to_none() {
    let weir = Weir::new(ATOMIC);
    let all = [
        d("window=a"),
        d("sliding=a"),
        d("bucket=a"),
        d("slots=a"),
        d("none=a"),
    ];
    for _ in 0..7 {
        assert_eq!(
            weir.words("c", &all),
            "ok 5 of 5/hour, ok 5 of 5/hour, ok 5 of 5/hour, ok 5 of 5 at once, over 0/hour => OVER_LIMIT"
        );
    }
    assert_eq!(
        weir.words("c", &all[..2]),
        "ok 4 of 5/hour, ok 4 of 5/hour => OK"
    );
}

#[test]
fn in_an_atomic_domain_limits_that_always_charge_do() {
    let weir = Weir::new(ATOMIC);
    let both = [d("always=a").hits(2), d("none=a")];
    assert_eq!(
        weir.words("c", &both),
        "ok 3 of 5/hour, over 0/hour => OVER_LIMIT"
    );
    assert_eq!(
        weir.words("c", &both),
        "ok 1 of 5/hour, over 0/hour => OVER_LIMIT"
    );
}

#[test]
fn a_rule_that_refuses_nothing_does_not_prevent_charges() {
    let weir = Weir::new(ATOMIC);
    let shadow = [d("window=a"), d("shadow=a")];
    assert_eq!(
        weir.words("c", &shadow),
        "ok 4 of 5/hour, ok 0 of 0/hour => OK"
    );
    let quotas = [d("window=b"), d("quota=b"), d("quota=b").look()];
    assert_eq!(
        weir.words("c", &quotas),
        "ok 5 of 5/hour, over 0/hour, over 0/hour => OVER_LIMIT"
    );
    assert_eq!(weir.one("c", d("window=b").look()), "ok 5 of 5/hour");
    // One quota of two is over.
    let quotas = [d("window=b"), d("quota=b"), d("quota=b").refund(1)];
    assert_eq!(
        weir.words("c", &quotas),
        "ok 4 of 5/hour, over 0/hour, ok 0 of 0/hour => OK"
    );
}

#[test]
fn in_an_atomic_domain_a_counter_that_is_met_twice_holds_both_or_none() {
    let weir = Weir::new(ATOMIC);
    let twice = [d("bucket=a").hits(3), d("bucket=a").hits(3)];
    let refused = weir.ask("c", &twice);
    assert_eq!(refused.code, Code::OverLimit);
    assert_eq!(words(&refused.statuses[0]), "ok 5 of 5/hour");
    assert_eq!(words(&refused.statuses[1]), "over 5/hour");
    assert_ne!(refused.statuses[1].reset_after_secs, Some(0));
    let twice = [d("bucket=a").hits(3), d("bucket=a").hits(2)];
    assert_eq!(
        weir.words("c", &twice),
        "ok 2 of 5/hour, ok 0 of 5/hour => OK"
    );
}

#[test]
fn giving_back_is_never_refused_in_an_atomic_domain() {
    let weir = Weir::new(ATOMIC);
    weir.ask("c", &[d("bucket=a").hits(5)]);
    let settle = [d("bucket=a").refund(2), d("none=a")];
    assert_eq!(
        weir.words("c", &settle),
        "ok 2 of 5/hour, over 0/hour => OVER_LIMIT"
    );
    assert_eq!(weir.one("c", d("bucket=a").look()), "ok 2 of 5/hour");
}

#[test]
fn refused_clients_gain_by_a_settlement_only_where_refused_hits_cost_nothing() {
    let reserve = || d("tokens=k").hits(1_000);
    let settle = [d("tokens=k").refund(1_000), d("tokens=k").hits(123)];
    let after_a_refused_request = |charge: &str| {
        let weir = Weir::new(&format!(
            "domain: c\ndescriptors: [{{key: tokens, rate_limit: \
             {{unit: hour, requests_per_unit: 1500, algorithm: token_bucket, charge: {charge}}}}}]"
        ));
        assert_eq!(weir.one("c", reserve()), "ok 500 of 1500/hour");
        assert_eq!(weir.one("c", reserve()), "over 1500/hour");
        weir.ask("c", &settle);
        weir.ask("c", &[d("tokens=k").refund(0)]).statuses[0].remaining
    };
    // One reservation of 1,000 remains, and 123 were used by the other: 1,123 of 1,500.
    assert_eq!(after_a_refused_request("always"), 377);
    // It was never charged, and got 877 of somebody else's back.
    assert_eq!(after_a_refused_request("allowed"), 1_377);
}

/// What happens to one of three keys.
#[derive(Clone, Debug)]
enum Event {
    /// A request that holds a slot and costs hits of a window.
    Take(u8, u32),
    /// The oldest open lease of the first key is given back at the second.
    GiveBack(u8, u8),
    Charge(u8, u32),
    Refund(u8, u32),
    Pass(u64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => (0u8..3, 1u32..4).prop_map(|(key, hits)| Event::Take(key, hits)),
        3 => (0u8..3, 0u8..3).prop_map(|(of, at)| Event::GiveBack(of, at)),
        1 => (0u8..3, 1u32..4).prop_map(|(key, hits)| Event::Charge(key, hits)),
        1 => (0u8..3, 1u32..4).prop_map(|(key, hits)| Event::Refund(key, hits)),
        2 => (1u64..25).prop_map(Event::Pass),
    ];
    prop::collection::vec(event, 1..150)
}

/// What is remembered of a key: open leases with their end, and the hits of the hour.
#[derive(Default)]
struct Model {
    open: Vec<(String, u64)>,
    window: (u64, u64),
}

impl Model {
    fn held(&self, now: u64) -> usize {
        self.open.iter().filter(|(_, end)| *end > now).count()
    }

    fn used(&mut self, now: u64) -> &mut u64 {
        let window = now / 60;
        if self.window.0 != window {
            self.window = (window, 0);
        }
        &mut self.window.1
    }
}

fn interleaved(charge: &str, atomic: bool, events: Vec<Event>) {
    const SLOTS: usize = 2;
    const LIMIT: u64 = 8;
    const LEASE: u64 = 30;
    let weir = Weir::new(&format!(
        "domain: c\natomic: {atomic}\ndescriptors:
- {{key: slot, rate_limit: {{algorithm: concurrency, max_in_flight: {SLOTS}, lease_seconds: {LEASE}}}}}
- {{key: cost, rate_limit: {{unit: minute, requests_per_unit: {LIMIT}, charge: {charge}}}}}
"
    ));
    let mut keys: BTreeMap<u8, Model> = BTreeMap::new();
    let mut now = START.micros() / 1_000_000;
    let mut vain_returns = 0;
    for event in events {
        match event {
            Event::Pass(secs) => {
                now += secs;
                weir.advance(secs);
            }
            Event::Take(key, hits) => {
                let model = keys.entry(key).or_default();
                let fits = *model.used(now) + u64::from(hits) <= LIMIT;
                let is_free = model.held(now) < SLOTS;
                let request = [
                    d(&format!("slot=k{key}")),
                    d(&format!("cost=k{key}")).hits(hits),
                ];
                let decision = weir.ask("c", &request);
                let passes = fits && is_free;
                assert_eq!(decision.code == Code::Ok, passes);
                assert_eq!(decision.grant.is_some(), passes);
                if let Some(lease) = lease_of(&decision) {
                    model.open.push((lease, now + LEASE));
                }
                let charged = passes || charge == "always" || (fits && !atomic);
                *model.used(now) += if charged { hits.into() } else { 0 };
            }
            Event::GiveBack(of, at) => {
                let model = keys.entry(of).or_default();
                let Some((lease, end)) = model.open.first().cloned() else {
                    continue;
                };
                weir.ask("c", &[back(&format!("slot=k{at}"), &lease)]);
                if of == at {
                    model.open.remove(0);
                }
                vain_returns += u64::from(of != at || end <= now);
            }
            Event::Charge(key, hits) => {
                let model = keys.entry(key).or_default();
                let fits = *model.used(now) + u64::from(hits) <= LIMIT;
                let decision = weir.ask("c", &[d(&format!("cost=k{key}")).hits(hits)]);
                assert_eq!(decision.code == Code::Ok, fits);
                *model.used(now) += if fits || charge == "always" {
                    hits.into()
                } else {
                    0
                };
            }
            Event::Refund(key, hits) => {
                let used = keys.entry(key).or_default().used(now);
                *used = used.saturating_sub(hits.into());
                weir.ask("c", &[d(&format!("cost=k{key}")).refund(hits)]);
            }
        }
        for (key, model) in &mut keys {
            let looks = [
                d(&format!("slot=k{key}")).refund(0),
                d(&format!("cost=k{key}")).refund(0),
            ];
            let looked = weir.ask("c", &looks);
            let free = SLOTS - model.held(now);
            let left = LIMIT.saturating_sub(*model.used(now));
            let found: Vec<_> = looked
                .statuses
                .iter()
                .map(|status| status.remaining)
                .collect();
            assert_eq!(found, [free as u32, left as u32]);
        }
    }
    assert_eq!(weir.engine().lease_stats().unknown, vain_returns);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_interleaving_leaves_what_a_simple_model_has(events in events(), always: bool, atomic: bool) {
        let charge = if always { "always" } else { "allowed" };
        interleaved(charge, atomic, events);
    }
}
