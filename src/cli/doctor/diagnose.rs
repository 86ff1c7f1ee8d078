//! From observations to findings.

mod envoy_calls;
mod one_address;
mod refused;
mod slow;
mod twice;
mod unlimited;
mod unreachable;

use super::finding::Finding;
use super::observations::Observations;

/// The findings, in the order of `docs/troubleshooting.md`.
pub(super) fn findings(seen: &Observations) -> Vec<Finding> {
    let mut findings = match &seen.server {
        Ok(server) => unlimited::findings(seen, server),
        Err(reason) => vec![unreachable::finding(reason)],
    };
    findings.extend(envoy_calls::findings(seen));
    findings.extend(refused::findings(seen));
    findings.extend(twice::findings(seen));
    findings.extend(one_address::findings(seen));
    findings.extend(slow::findings(seen));
    findings.sort_by_key(|finding| finding.symptom);
    findings
}
