//! Kubernetes resources in place of a policy.

use crate::document::{Kind, Node, Position, Report};
use crate::policy::PolicyCode;

/// A Kubernetes resource, by its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    /// A ConfigMap or a Secret, which may contain policies.
    Data(&'static str),
    Other,
}

impl Resource {
    /// The resource that a document is: a mapping with `apiVersion` and `kind`.
    pub(super) fn of(root: &Node) -> Option<Self> {
        let Kind::Map(pairs) = &root.kind else {
            return None;
        };
        let find = |key: &str| pairs.iter().find(|pair| *pair.key == *key);
        let kind = find("apiVersion").and(find("kind"))?;
        Some(match &kind.node.kind {
            Kind::Scalar(text, _) if &**text == "ConfigMap" => Self::Data("ConfigMap"),
            Kind::Scalar(text, _) if &**text == "Secret" => Self::Data("Secret"),
            _ => Self::Other,
        })
    }

    /// Reports the resource, and what to do with it.
    pub(super) fn report(self, position: Position, report: &mut Report) {
        let (message, help) = match self {
            Self::Data(kind) => (
                format!("the file is a Kubernetes {kind}, not a policy"),
                "the policy is the text under `data`: save it as a file, or mount the resource as a folder",
            ),
            Self::Other => (
                "the file is a Kubernetes resource, not a policy".to_owned(),
                "a policy begins with `domain: name` and has `descriptors`; see docs/policy.md",
            ),
        };
        let code = PolicyCode::KubernetesResource;
        report.add_with_help(code, Some(position), message, help);
    }
}
