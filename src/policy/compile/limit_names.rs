//! `name` and `replaces` of a limit.

use super::summary::DomainSummary;
use crate::document::{Report, quoted};
use crate::policy::PolicyCode;
use crate::policy::raw::RawLimit;

/// Reports names that are not safe in headers, and names in `replaces` that no other limit has.
pub(super) fn check(raw: &RawLimit, summary: &DomainSummary, report: &mut Report) {
    let own = raw.extras.name.given();
    if let Some(name) = own {
        let is_usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if !name.value.chars().all(is_usual) {
            let message =
                "the name is not safe in headers, and Envoy copies it into them unchanged";
            let help = "use only letters, digits, `_`, `.` and `-`";
            report.add_with_help(PolicyCode::UnsafeLimitName, name.position, message, help);
        }
    }
    for replaced in &raw.extras.replaces {
        let quoted = quoted(&replaced.value);
        if replaced.value.is_empty() {
            let message = "`replaces` without the name of a limit";
            report.add(PolicyCode::ReplacesWithoutName, replaced.position, message);
        } else if own.is_some_and(|own| own.value == replaced.value) {
            let message = format!("the limit {quoted} replaces itself");
            report.add(PolicyCode::ReplacesItself, replaced.position, message);
        } else if !summary.names.contains(&replaced.value) {
            let message = format!("no limit of this domain is named {quoted}");
            match summary.nearest_name(&replaced.value) {
                Some(help) => report.add_with_help(
                    PolicyCode::UnknownReplacesTarget,
                    replaced.position,
                    message,
                    help,
                ),
                None => report.add(
                    PolicyCode::UnknownReplacesTarget,
                    replaced.position,
                    message,
                ),
            }
        }
    }
}
