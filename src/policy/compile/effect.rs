//! Keys and descriptors without an effect.

use crate::document::{Report, Spanned};
use crate::policy::PolicyCode;
use crate::policy::raw::{Flag, RawDescriptor};

/// Warns of flags without an effect, and of a descriptor without any.
pub(super) fn check(raw: &RawDescriptor, shows_value: bool, report: &mut Report) {
    let is_unlimited = raw.rate_limit.as_ref().is_some_and(|rate_limit| {
        let is_true = |flag: &Spanned<bool>| flag.value;
        !rate_limit.is_list
            && rate_limit
                .limits
                .iter()
                .any(|limit| limit.extras.unlimited.as_ref().is_some_and(is_true))
    });
    let is_exempt = raw.extras.has(Flag::Exempt);
    let has_rule = raw.is_rule() || is_exempt;
    for flag in &raw.extras.flags {
        let why = match flag.value {
            Flag::Shadow | Flag::Quota if is_exempt => "next to `exempt`",
            Flag::Shadow | Flag::Quota | Flag::DetailedMetric if !has_rule => {
                "without `rate_limit` or `plan` on the same descriptor"
            }
            Flag::Shadow | Flag::Quota if is_unlimited => "on a rule that is `unlimited`",
            Flag::ValueToMetric if !shows_value => {
                "because the name of the rule already has the value"
            }
            Flag::ValueToMetric if !has_rule && raw.descriptors.is_empty() => {
                "without `rate_limit` on this node or below"
            }
            _ => continue,
        };
        let message = format!("`{}` has no effect {why}", flag.value.name());
        report.add(PolicyCode::NoEffect, flag.position, message);
    }
    let is_leaf = !raw.is_rule() && raw.descriptors.is_empty();
    if let (Some(written), true) = (raw.extras.on_store_error.given(), is_leaf) {
        let message = "`on_store_error` has no effect without `rate_limit` on this node or below";
        report.add(PolicyCode::NoEffect, written.position, message);
    }
    // Metadata has an effect without a limit.
    if is_leaf && !is_exempt && raw.is_known && raw.extras.metadata.is_none() {
        let message =
            "the descriptor has neither `rate_limit` nor `descriptors`, so it limits nothing";
        report.add(PolicyCode::NoLimit, raw.position, message);
    }
}
