//! The label of a client in metrics, logs and the list of heavy hitters.

use crate::engine::DescriptorResult;
use crate::policy::Redactor;
use crate::request::Descriptor;

/// What is shown of a client.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::telemetry) struct ClientLabel {
    /// The descriptor with hidden values masked.
    pub(in crate::telemetry) client: Box<str>,
    /// The name of the rule that it matched; empty if none.
    pub(in crate::telemetry) rule: Box<str>,
}

impl ClientLabel {
    /// The label of a descriptor whose hash is `hash`.
    ///
    /// The tag of a hidden value distinguishes two clients as long as the process runs, not longer.
    pub(in crate::telemetry) fn new(
        result: &DescriptorResult<'_>,
        descriptor: &Descriptor,
        hash: u64,
    ) -> Self {
        let redactor = Redactor::new(result.domain);
        let client = redactor.describe(&descriptor.entries, |_| hash as u16);
        let rule = result.rule.map(|rule| rule.name.to_string());
        Self {
            client: client.into(),
            rule: rule.unwrap_or_default().into(),
        }
    }
}
