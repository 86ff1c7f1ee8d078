//! "Nothing is limited", as far as the server knows: policies, domains, descriptors, shadow mode.

use crate::api::{DomainOverview, ServingStage};
use crate::cli::doctor::finding::{Finding, Symptom};
use crate::cli::doctor::observations::{Observations, ServerView};
use crate::cli::output::{count, count_u64};

const SYMPTOM: Symptom = Symptom::NothingIsLimited;

/// Lines of a rejected policy that are shown.
const MAX_DIAGNOSTICS: usize = 3;

pub(super) fn findings(seen: &Observations, server: &ServerView) -> Vec<Finding> {
    let mut findings: Vec<Finding> = [
        not_serving(server),
        unhealthy(seen),
        no_policy(server),
        rejected(server),
    ]
    .into_iter()
    .flatten()
    .collect();
    findings.extend(unknown_domains(seen, server));
    findings.extend(unmatched(server));
    findings.extend(
        server
            .overview
            .domains
            .iter()
            .filter_map(|domain| shadow_mode(seen, server, domain)),
    );
    findings
}

fn not_serving(server: &ServerView) -> Option<Finding> {
    let (stage, next_step) = match server.overview.status.stage {
        ServingStage::Serving => return None,
        ServingStage::Starting => (
            "starting",
            "wait until it serves; the log says what it waits for",
        ),
        ServingStage::Draining => ("draining", "it was asked to stop; ask another instance"),
    };
    let cause = format!("weir is {stage} and reports NOT_SERVING, so Envoy does not ask it");
    Some(SYMPTOM.finding(cause, [], next_step))
}

fn unhealthy(seen: &Observations) -> Option<Finding> {
    let reason = seen.grpc.as_ref()?.as_ref().err()?;
    Some(SYMPTOM.finding(
        "the gRPC port does not pass a health check",
        [reason.clone()],
        "compare the address with the line `serving` of the log, and with the cluster of Envoy",
    ))
}

fn no_policy(server: &ServerView) -> Option<Finding> {
    server.overview.domains.is_empty().then(|| {
        SYMPTOM.finding(
            "no policy is in force",
            ["the server has no domain".to_owned()],
            "name the policy files with `weir serve --policies`, and run `weir check` on them",
        )
    })
}

/// A change that has no effect.
fn rejected(server: &ServerView) -> Option<Finding> {
    let load = &server.overview.last_load;
    let reason = load.error.clone()?;
    let lines = load.diagnostics.iter().take(MAX_DIAGNOSTICS).cloned();
    Some(SYMPTOM.finding(
        "the last change of the policies was rejected, the policy before it stays in force",
        std::iter::once(reason).chain(lines),
        "run `weir check` on the files",
    ))
}

fn unknown_domains(seen: &Observations, server: &ServerView) -> Vec<Finding> {
    let asked = server.overview.status.unknown_domains.iter();
    let mut unknown: Vec<(String, Vec<String>)> = asked
        .map(|domain| {
            let requests = count_u64(domain.requests, "request");
            (
                domain.name.to_string(),
                vec![format!("{requests} in the last 10 minutes")],
            )
        })
        .collect();
    let is_known = |name: &str| {
        server
            .overview
            .domains
            .iter()
            .any(|domain| domain.name == name)
    };
    let envoy = seen.envoy.iter().flat_map(|envoy| &envoy.chains);
    for chain in envoy {
        for filter in chain
            .filters
            .iter()
            .filter(|filter| !is_known(&filter.domain))
        {
            let of_filter = format!("the rate-limit filter of Envoy's `{}` has it", chain.name);
            match unknown.iter_mut().find(|(name, _)| *name == filter.domain) {
                Some((_, evidence)) => evidence.push(of_filter),
                None => unknown.push((filter.domain.clone(), vec![of_filter])),
            }
        }
    }
    let defined = format!("the policies define {}", server.domain_names());
    let finding = |(name, mut evidence): (String, Vec<String>)| {
        evidence.push(defined.clone());
        SYMPTOM.finding(
            format!("no policy defines the domain `{name}`"),
            evidence,
            "make `domain` the same in Envoy's filter and in the policy",
        )
    };
    unknown.into_iter().map(finding).collect()
}

fn unmatched(server: &ServerView) -> impl Iterator<Item = Finding> {
    server.overview.status.unmatched.iter().map(|unmatched| {
        let keys = unmatched.keys.join(", ");
        let pairs: Vec<String> = unmatched
            .keys
            .iter()
            .map(|key| format!("{key}=VALUE"))
            .collect();
        let domain = &unmatched.domain;
        SYMPTOM.finding(
            format!("no rule of domain `{domain}` matches descriptors with the keys `{keys}`"),
            [format!(
                "{} in the last 10 minutes",
                count_u64(unmatched.descriptors, "descriptor")
            )],
            format!(
                "`weir explain --live --domain {domain} {}` says why",
                pairs.join(" ")
            ),
        )
    })
}

fn shadow_mode(
    seen: &Observations,
    server: &ServerView,
    domain: &DomainOverview,
) -> Option<Finding> {
    let name = &domain.name;
    let of_domain = |metric| server.samples.sum_where(metric, "domain", name);
    if domain.shadow_mode {
        let shadowed = count(of_domain("weir_decisions_shadowed_total"), "request");
        return Some(SYMPTOM.finding(
            format!("domain `{name}` is in shadow mode: it counts and refuses nothing"),
            [format!(
                "{shadowed} would have been refused {}",
                seen.period()
            )],
            "remove `shadow_mode` from the root of the policy to enforce its limits",
        ));
    }
    let rules = domain.rules.iter().filter(|rule| rule.shadow_mode);
    let rules: Vec<&str> = rules.map(|rule| &*rule.name).collect();
    let first = rules.first()?;
    let shadowed = count(of_domain("weir_rule_shadow_total"), "hit");
    Some(SYMPTOM.finding(
        match rules.len() {
            1 => format!("rule `{first}` of domain `{name}` is in shadow mode"),
            many => {
                format!("{many} rules of domain `{name}` are in shadow mode, such as `{first}`")
            }
        },
        [format!(
            "{shadowed} over a limit were let through {}",
            seen.period()
        )],
        "remove `shadow_mode` from the rules to enforce their limits",
    ))
}
