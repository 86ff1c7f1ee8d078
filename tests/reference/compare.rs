//! `weir compare` with the reference: what it calls the same, and what it reports.

use std::process::Command;

use serde_json::Value;

use crate::both::{Both, day};
use crate::generator::{Random, policy};

/// The number of policies; each has a handful of rules.
const DOMAINS: u64 = 30;

/// The report of a comparison, from weir's side.
fn report(both: &Both, policies: &str) -> Value {
    let [reference, weir] = both.addresses();
    let output = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["compare", "--server", weir, "--against", reference])
        .args(["--policies", policies, "--format", "json"])
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

#[test]
fn the_reference_decides_the_same_by_the_same_policies() {
    let mut random = Random::new(day());
    let policies: Vec<String> = (0..DOMAINS)
        .map(|number| policy(&format!("d{number}"), &mut random))
        .collect();
    let Some(both) = Both::start(&policies) else {
        return;
    };
    let report = report(&both, both.policies());
    assert!(report["requests"].as_u64().unwrap() >= 300, "{report}");
    assert_eq!(report["decisions_differ"], 0, "{report}");
    assert_eq!(report["details_differ"], 0, "{report}");
}

#[test]
fn a_changed_number_is_reported() {
    let policy = |requests: u32| {
        format!(
            "domain: shop\ndescriptors:\n  - key: api_key\n    rate_limit:\n      unit: day\n      requests_per_unit: {requests}\n"
        )
    };
    let Some(both) = Both::start_with(&[policy(3)], &[policy(5)]) else {
        return;
    };
    let report = report(&both, both.policies());
    assert_eq!(report["decisions_differ"], 2, "{report}");
    let decision = &report["differences"][0];
    assert_eq!(decision["differs"], "decision");
    assert_eq!(decision["server"], "OK");
    assert_eq!(decision["against"], "OVER_LIMIT");
    assert_eq!(
        (&decision["first"], &decision["requests"]),
        (&4.into(), &2.into())
    );
}
