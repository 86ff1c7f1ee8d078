//! The label of a client.

use crate::engine::DescriptorResult;
use crate::policy::Redactor;
use crate::request::Descriptor;

/// The descriptor without hidden values, and the name of the rule that it met.
///
/// The tag of a hidden value tells two clients apart as long as the process runs, not longer.
pub(in crate::telemetry) fn label(
    met: &DescriptorResult<'_>,
    descriptor: &Descriptor,
    hash: u64,
) -> (Box<str>, Box<str>) {
    let redactor = Redactor::new(met.domain);
    let client = redactor.describe(&descriptor.entries, |_| hash as u16);
    let rule = met.rule.map(|rule| rule.name.to_string());
    (client.into(), rule.unwrap_or_default().into())
}
