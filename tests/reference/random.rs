//! Random requests at random policies.

use crate::both::{Both, day};
use crate::generator::{Random, has_overrides, policy, request};

const DOMAINS: u64 = 60;
const REQUESTS: u64 = 60;

#[test]
fn random_requests_are_answered_as_the_reference_answers_them() {
    loop {
        let start = day();
        let differences = differences(start);
        // At midnight the windows of the servers may change between two calls.
        if day() == start {
            assert!(differences.is_empty(), "{}", differences.join("\n\n"));
            return;
        }
    }
}

/// The first request of each domain that is answered differently. The day is the seed: each day tries something new, and a
/// failure can be repeated until midnight, or with its number.
fn differences(seed: u64) -> Vec<String> {
    let mut random = Random::new(seed);
    let domains: Vec<String> = (0..DOMAINS).map(|number| format!("d{number}")).collect();
    let policies: Vec<String> = domains
        .iter()
        .map(|domain| policy(domain, &mut random))
        .collect();
    let Some(mut both) = Both::start(&policies) else {
        return Vec::new();
    };
    let mut differences = Vec::new();
    for (domain, policy) in domains.iter().zip(&policies) {
        for _ in 0..REQUESTS {
            let request = request(domain, has_overrides(seed), &mut random);
            if let Err([reference, weir]) = both.send(&request) {
                differences.push(format!(
                    "seed {seed}\n{policy}{request:?}\nreference: {reference:?}\nweir:      {weir:?}"
                ));
                break;
            }
        }
    }
    differences
}
