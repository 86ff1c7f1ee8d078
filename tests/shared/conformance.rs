//! What envoyproxy/ratelimit answers, case by case; the numbers are those of the reference's cases.

mod counting;
mod features;
mod matching;
mod wildcards;

/// The policy of most cases.
const SHOP: &str = "
domain: shop
descriptors:
  - {key: tenant, value: gold, descriptors: [
      {key: route, rate_limit: {unit: hour, requests_per_unit: 5}},
      {key: route, value: pay, rate_limit: {unit: hour, requests_per_unit: 10}}]}
  - {key: ip, rate_limit: {unit: hour, requests_per_unit: 20}}
  - {key: ip, value: vip, rate_limit: {unit: hour, requests_per_unit: 30}}
  - {key: ip, value: friend}
  - {key: plan, rate_limit: {name: plan_cap, unit: day, requests_per_unit: 10}}
  - {key: team, value: red, rate_limit: {unit: day, requests_per_unit: 15}, descriptors: [
      {key: job, value: build, rate_limit: {unit: day, requests_per_unit: 25}}]}
  - {key: free, rate_limit: {unlimited: true}}
  - {key: ban, rate_limit: {unit: hour, requests_per_unit: 0}}
";
