//! Metrics under the names of envoyproxy/ratelimit have its labels and its values.

use weir::request::{Cost, Descriptor, Request};

use crate::both::{Both, day};

const POLICY: &str = "
domain: d
descriptors:
  - {key: single, rate_limit: {unit: day, requests_per_unit: 3}}
  - {key: several, rate_limit: {unit: day, requests_per_unit: 10}}
  - {key: shadow, shadow_mode: true, rate_limit: {unit: day, requests_per_unit: 2}}
  - {key: wild, value: 'a*', rate_limit: {unit: day, requests_per_unit: 2}}
  - {key: detailed, detailed_metric: true, rate_limit: {unit: day, requests_per_unit: 2}}
  - key: route
    descriptors:
      - {key: masked_remote_address, value: 0.0.0.0/0, rate_limit: {unit: day, requests_per_unit: 1}}
      - {key: path, value_to_metric: true, rate_limit: {unit: day, requests_per_unit: 2}}
";

type SentEntries = &'static [(&'static str, &'static str)];

/// The entries of a descriptor, and the hits of each request.
const REQUESTS: &[(SentEntries, &[u32])] = &[
    (&[("single", "a")], &[1, 1, 1, 1, 1]),
    (&[("several", "a")], &[4, 4, 4]),
    (&[("several", "b")], &[7, 2, 1, 3]),
    (&[("several", "c")], &[27, 3]),
    (&[("shadow", "a")], &[1, 1, 1, 2]),
    (&[("wild", "ab")], &[1, 1, 1]),
    (&[("detailed", "10.0.0.1:80")], &[1, 2]),
    (&[("detailed", "")], &[1]),
    (
        &[("route", "r"), ("masked_remote_address", "0.0.0.0/0")],
        &[1, 1],
    ),
    (&[("route", "r"), ("path", "/v1")], &[1, 1, 1]),
    (&[("route", "r"), ("path", "")], &[1]),
];

#[test]
fn metrics_of_rules_are_those_of_the_reference() {
    let Some(mut both) = Both::start(&[POLICY.to_owned()]) else {
        return;
    };
    let today = day();
    for (entries, hits) in REQUESTS {
        for hits in *hits {
            let descriptor = Descriptor {
                cost: Cost::Hits(*hits),
                ..Descriptor::new(entries.iter().copied())
            };
            let request = Request {
                domain: "d".into(),
                descriptors: vec![descriptor],
            };
            both.send(&request).unwrap();
        }
    }
    // The reference adds what it counted to its metrics at intervals.
    let mut metrics = both.rule_metrics();
    for _ in 0..2_000 {
        if metrics[0] == metrics[1] {
            break;
        }
        metrics = both.rule_metrics();
    }
    if day() == today {
        assert_eq!(metrics[0], metrics[1]);
        assert!(metrics[0].len() > 20, "{metrics:?}");
    }
}
