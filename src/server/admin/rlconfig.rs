//! `/rlconfig`: the limits in force, in the words of envoyproxy/ratelimit.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;

use super::AdminState;
use crate::limit::{CalendarRate, LimitKind, Rate};
use crate::policy::{Limits, Policy, Rule};

pub(super) async fn rlconfig(State(state): State<Arc<AdminState>>) -> String {
    text(&state.admin.engine.policy())
}

/// One line for each limit; a path is `key` or `key_value` a level.
fn text(policy: &Policy) -> String {
    let mut text = String::new();
    for domain in policy.domains() {
        for rule in domain.rules() {
            let mut line = |limit: String, is_shadow: bool| {
                let (name, path) = (&domain.name, path(rule));
                let shadow = is_shadow || rule.shadow_mode || domain.shadow_mode;
                let quota = rule.quota_mode || domain.quota_mode;
                // Writing to a String never fails.
                let _ = writeln!(
                    text,
                    "{name}.{path}: {limit}, shadow_mode: {shadow}, quota_mode: {quota}"
                );
            };
            match &rule.limits {
                Limits::Unlimited { .. } => {
                    line("unit=UNKNOWN requests_per_unit=0".to_owned(), false);
                }
                Limits::Exempt => {
                    line(
                        "unit=UNKNOWN requests_per_unit=0, exempt: true".to_owned(),
                        false,
                    );
                }
                Limits::Counted(set) => {
                    for limit in &set.limits {
                        line(words(&limit.kind), limit.shadow_mode);
                    }
                }
            }
        }
    }
    text
}

/// The limit as envoyproxy/ratelimit prints it, followed by what its format, which has fixed windows only, cannot express.
fn words(limit: &LimitKind) -> String {
    let (rate, rest) = match limit {
        LimitKind::FixedWindow(rate) => (*rate, String::new()),
        LimitKind::Calendar(rate) => {
            let CalendarRate { requests, calendar } = rate;
            let rest = format!(", calendar: true, time_zone: {}", calendar.zone().name());
            let (requests, window) = (*requests, calendar.window());
            (Rate { requests, window }, rest)
        }
        LimitKind::SlidingWindow(rate) => (*rate, ", algorithm: sliding_window".to_owned()),
        LimitKind::TokenBucket(bucket) => {
            let burst = bucket.burst();
            let rest = format!(", algorithm: token_bucket, burst: {burst}");
            (bucket.rate(), rest)
        }
        LimitKind::Concurrency {
            max_in_flight,
            lease_secs,
        } => {
            return format!(
                "unit=UNKNOWN max_in_flight={max_in_flight}, lease_seconds: {lease_secs}, \
                 algorithm: concurrency"
            );
        }
    };
    let unit = rate.window.unit().name().to_uppercase();
    let requests = rate.requests;
    let multiplier = match rate.window.multiplier() {
        1 => String::new(),
        multiplier => format!(", unit_multiplier: {multiplier}"),
    };
    format!("unit={unit} requests_per_unit={requests}{multiplier}{rest}")
}

fn path(rule: &Rule) -> String {
    let levels = rule
        .name
        .levels
        .iter()
        .map(|level| match &level.matcher_text {
            Some(fits) => format!("{}_{fits}", level.key),
            None => level.key.to_string(),
        });
    levels.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::policy::load_text;

    #[test]
    fn the_modes_are_those_that_apply_to_the_limit() {
        let lines = |modes: &str| {
            let yaml = format!(
                "
domain: shop
{modes}
descriptors:
  - key: k
    rate_limit:
      - {{unit: day, requests_per_unit: 1}}
      - {{unit: hour, requests_per_unit: 1, shadow_mode: true}}"
            );
            let policy = load_text(Path::new("shop.yaml"), &yaml).policy.unwrap();
            let text = text(&policy);
            let modes = text.lines().map(|line| line.split_once(", ").unwrap().1);
            modes.map(str::to_owned).collect::<Vec<_>>()
        };
        let of = |shadow, quota| format!("shadow_mode: {shadow}, quota_mode: {quota}");
        assert_eq!(lines(""), [of(false, false), of(true, false)]);
        assert_eq!(
            lines("shadow_mode: true"),
            [of(true, false), of(true, false)]
        );
        assert_eq!(lines("quota_mode: true"), [of(false, true), of(true, true)]);
    }

    #[test]
    fn a_line_for_each_limit_and_no_secret() {
        let yaml = "
domain: shop
descriptors:
  - key: tenant
    value: gold
    descriptors:
      - {key: route, shadow_mode: true, rate_limit: {unit: hour, requests_per_unit: 5}}
  - key: api_key
    value: s3cret
    secret: true
    rate_limit:
      - {unit: minute, unit_multiplier: 5, requests_per_unit: 1}
      - {unit: day, requests_per_unit: 10, algorithm: sliding_window}
      - {unit: minute, requests_per_unit: 60, algorithm: token_bucket, burst: 90}
      - {algorithm: concurrency, max_in_flight: 8, lease_seconds: 180}
  - {key: api_key, value: 's3cret*', rate_limit: {unit: hour, requests_per_unit: 6}}
  - {key: api_key, pattern: '/s3cret/{x}', rate_limit: {unit: hour, requests_per_unit: 7}}
  - {key: free, rate_limit: {unlimited: true}}";
        let policy = load_text(Path::new("shop.yaml"), yaml).policy.unwrap();
        assert_eq!(
            text(&policy),
            "shop.tenant_gold.route: unit=HOUR requests_per_unit=5, shadow_mode: true, quota_mode: false\n\
             shop.api_key_***: unit=MINUTE requests_per_unit=1, unit_multiplier: 5, shadow_mode: false, quota_mode: false\n\
             shop.api_key_***: unit=DAY requests_per_unit=10, algorithm: sliding_window, shadow_mode: false, quota_mode: false\n\
             shop.api_key_***: unit=MINUTE requests_per_unit=60, algorithm: token_bucket, burst: 90, shadow_mode: false, quota_mode: false\n\
             shop.api_key_***: unit=UNKNOWN max_in_flight=8, lease_seconds: 180, algorithm: concurrency, shadow_mode: false, quota_mode: false\n\
             shop.api_key_***: unit=HOUR requests_per_unit=6, shadow_mode: false, quota_mode: false\n\
             shop.api_key_***: unit=HOUR requests_per_unit=7, shadow_mode: false, quota_mode: false\n\
             shop.free: unit=UNKNOWN requests_per_unit=0, shadow_mode: false, quota_mode: false\n"
        );
    }
}
