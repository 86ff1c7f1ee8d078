//! The limits of one client alone, as a row of a table has them.

use std::path::Path;
use std::sync::Arc;

use super::limits;
use super::summary::DomainSummary;
use crate::document::{self, Kind, Report, Severity};
use crate::limit::Rate;
use crate::policy::assignments::RowFault;
use crate::policy::tree::Domain;
use crate::policy::{Limits, Terms, raw};

/// What a row says of limits.
#[derive(Debug)]
pub(in crate::policy) enum OwnLimits {
    /// Another number for the limit with this window.
    Rate(Rate),
    /// All limits.
    Terms(Arc<Terms>),
}

/// Reads `600 per minute`, or the limits in the language of policies.
pub(in crate::policy) fn own_limits(text: &str, domain: &Domain) -> Result<OwnLimits, RowFault> {
    let mut report = Report::new(Path::new(""));
    let node = document::parse(text, &mut report);
    if let Some(Kind::Scalar(text, _)) = node.as_ref().map(|node| &node.kind) {
        let rate = Rate::parse(text).map(OwnLimits::Rate);
        return rate.ok_or_else(|| {
            let help = "write it as `600 per minute`, `1 per 5 minutes` or `{unit: minute, requests_per_unit: 600}`";
            RowFault::new("`rate_limit` is not a limit", help)
        });
    }
    let compiled = node.and_then(|node| {
        let raw = raw::read_rate_limit(&node, &mut report);
        limits::compile(&raw, &DomainSummary::of_domain(domain), &mut report)
    });
    let errors = report.into_diagnostics().into_iter();
    let mut errors = errors.filter(|found| found.severity == Severity::Error);
    match (errors.next(), compiled) {
        (None, Some(compiled)) => {
            let has_leases = match &compiled.limits {
                Limits::Counted(set) => set.has_leases(),
                Limits::Unlimited { .. } | Limits::Exempt => false,
            };
            if has_leases && domain.lease_entry.is_none() {
                let message = "`algorithm: concurrency` in a domain whose policy has no such limit";
                let help = "write the limits as a plan of the policy";
                return Err(RowFault::new(message, help));
            }
            Ok(OwnLimits::Terms(Arc::new(Terms {
                plan: None,
                limits: compiled.limits,
                replaces: compiled.replaces,
                metadata: None,
                response: None,
            })))
        }
        (Some(error), _) => Err(RowFault::new(error.message, error.help)),
        (None, None) => {
            let help = "write it as `600 per minute` or `{unit: minute, requests_per_unit: 600}`";
            Err(RowFault::new("`rate_limit` is not a limit", help))
        }
    }
}
