//! `charge`: whether a refused request is charged.

use super::summary::DomainSummary;
use super::word::word;
use crate::document::{Field, PathElement, Report};
use crate::limit::{Charge, Limit, LimitKind};
use crate::policy::PolicyCode;
use crate::policy::raw::{CHARGES, RawLimit, RawRateLimit};

/// The charge of all limits of a rule; `None` if an error was reported.
pub(super) fn compile(
    raw: &RawRateLimit,
    limits: Option<&[Limit]>,
    summary: &DomainSummary,
    report: &mut Report,
) -> Option<Charge> {
    let is_lone_window = match limits {
        Some([limit]) => matches!(
            limit.kind,
            LimitKind::FixedWindow(_) | LimitKind::Calendar(_)
        ),
        _ => false,
    };
    let default = match is_lone_window && !summary.atomic {
        true => "always",
        false => "allowed",
    };
    let mut first = None;
    let mut is_mixed = false;
    for limit in &*raw.limits {
        let charge = match &limit.extras.charge {
            Field::Absent => default,
            written => report.within(PathElement::Key("charge"), |report| {
                word(written, CHARGES, report)
            })?,
        };
        if charge == "allowed" && !is_lone_window {
            warn_of_refunds(limit, summary, report);
        }
        if *first.get_or_insert(charge) != charge && !is_mixed {
            is_mixed = true;
            let position = limit
                .extras
                .charge
                .given()
                .map_or(limit.position, |charge| charge.position);
            let message = "the limits of one rule have different `charge`";
            let help = "write the same `charge` in each; the default in a list is `allowed`";
            report.add_with_help(PolicyCode::MixedCharge, position, message, help);
        }
    }
    match first? {
        "always" => Some(Charge::Always),
        _ => Some(Charge::Allowed),
    }
}

/// Only warns if `charge: allowed` is written explicitly, in a domain where refunds are likely.
fn warn_of_refunds(raw: &RawLimit, summary: &DomainSummary, report: &mut Report) {
    let Some(charge) = raw.extras.charge.given() else {
        return;
    };
    if summary.has_leases || summary.charges_always {
        let message = "a refund for a refused request would return hits that were never charged";
        let help = "settle with `charge: always`, or with a lease (docs/policy/costs.md, \"Reserve and settle\"); \
                    remove `charge` if there are no refunds";
        report.within(PathElement::Key("charge"), |report| {
            report.add_with_help(
                PolicyCode::RefundExceedsCharge,
                charge.position,
                message,
                help,
            );
        });
    }
}
