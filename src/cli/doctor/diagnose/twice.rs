//! "Limits count twice": a request that Envoy asks about twice, and instances that each count by themselves.

use crate::cli::doctor::finding::{Finding, Symptom};
use crate::cli::doctor::observations::Observations;

const SYMPTOM: Symptom = Symptom::LimitsCountTwice;

pub(super) fn findings(seen: &Observations) -> Vec<Finding> {
    let Some(envoy) = &seen.envoy else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for chain in &envoy.chains {
        let mut domains: Vec<&str> = chain.filters.iter().map(|f| &*f.domain).collect();
        domains.sort_unstable();
        let mut twice: Vec<&str> = domains
            .windows(2)
            .filter(|pair| pair[0] == pair[1])
            .map(|pair| pair[0])
            .collect();
        twice.dedup();
        findings.extend(twice.into_iter().map(|domain| {
            let filters = domains.iter().filter(|name| **name == domain).count();
            SYMPTOM.finding(
                format!("Envoy's `{}` has the rate-limit filter {filters} times for the domain `{domain}`", chain.name),
                ["each filter asks weir about each request".to_owned()],
                "remove all but one, or give them `stage`s with descriptors of their own",
            )
        }));
    }
    findings.extend(envoy.repeating_hosts.iter().map(|host| {
        SYMPTOM.finding(
            format!("Envoy sends a descriptor twice: virtual host `{host}` and one of its routes have the same action"),
            ["the route includes the `rate_limits` of its virtual host".to_owned()],
            "remove the action from one of the two, or `include_vh_rate_limits`",
        )
    }));
    findings.extend(envoy.rate_limit_clusters().iter().filter_map(|name| {
        let hosts = &envoy.clusters.get(*name)?.hosts;
        let server = seen.server.as_ref().ok()?;
        let counts_alone = server.overview.status.store.redis.is_none();
        (hosts.len() > 1 && counts_alone).then(|| {
            let addresses: Vec<&str> = hosts.iter().map(|host| &*host.address).collect();
            SYMPTOM.finding(
                format!("a client gets its limit {} times: that many instances count in memory, each by itself", hosts.len()),
                [format!("the endpoints of Envoy's cluster `{name}`: {}", addresses.join(", "))],
                "share the counters with `--store redis://HOST`, see docs/redis.md, or run one instance",
            )
        })
    }));
    findings
}
