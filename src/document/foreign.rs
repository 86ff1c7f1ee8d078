//! Documents of another kind in the place of the one that is read.

use super::{DocumentCode, Kind, Node, Report};

/// The kind of a document, by the keys of its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentKind {
    /// A ConfigMap of Kubernetes, which may contain policies.
    ConfigMap,
    /// A Secret of Kubernetes, likewise.
    Secret,
    /// Any other resource of Kubernetes.
    KubernetesResource,
    /// A bootstrap of Envoy.
    Envoy,
    /// A description of an API.
    OpenApi,
    /// The limits of Limitador.
    Limitador,
    /// A policy.
    Policy,
    /// Tests of policies.
    Scenario,
}

impl DocumentKind {
    /// The kind that the root of a document shows; `None` if it could be anything.
    pub fn of(root: &Node) -> Option<Self> {
        if let Kind::List(elements) = &root.kind {
            let is_limit = |node: &Node| has(node, "namespace") && has(node, "max_value");
            return elements
                .first()
                .filter(|node| is_limit(node))
                .map(|_| Self::Limitador);
        }
        if has(root, "apiVersion") && has(root, "kind") {
            return Some(match scalar_of(root, "kind") {
                Some("ConfigMap") => Self::ConfigMap,
                Some("Secret") => Self::Secret,
                _ => Self::KubernetesResource,
            });
        }
        let is_policy = has(root, "descriptors") || has(root, "plans");
        let by_key = [
            ("static_resources", Self::Envoy),
            ("dynamic_resources", Self::Envoy),
            ("openapi", Self::OpenApi),
            ("swagger", Self::OpenApi),
        ];
        let by_key = by_key.into_iter().find(|(key, _)| has(root, key));
        match by_key {
            Some((_, kind)) => Some(kind),
            None if is_policy => Some(Self::Policy),
            None => has(root, "tests").then_some(Self::Scenario),
        }
    }

    /// Reports a document of this kind in the place of `expected`, and what to do with it.
    pub fn report(self, expected: Self, root: &Node, report: &mut Report) {
        let message = format!("the file is {}, not {}", self.name(), expected.name());
        let code = DocumentCode::ForeignDocument;
        report.add_with_help(code, Some(root.position), message, self.help(expected));
    }

    const fn name(self) -> &'static str {
        match self {
            Self::ConfigMap => "a Kubernetes ConfigMap",
            Self::Secret => "a Kubernetes Secret",
            Self::KubernetesResource => "a Kubernetes resource",
            Self::Envoy => "a configuration of Envoy",
            Self::OpenApi => "an OpenAPI document",
            Self::Limitador => "a limits file of Limitador",
            Self::Policy => "a policy",
            Self::Scenario => "a scenario file",
        }
    }

    fn help(self, expected: Self) -> &'static str {
        match (self, expected) {
            (Self::ConfigMap | Self::Secret, _) => {
                "the policy is the text under `data`: save it as a file, or mount the resource as a folder"
            }
            (Self::OpenApi, _) => "`weir init --openapi FILE` writes a policy with its operations",
            (Self::Limitador, _) => "`weir import limitador FILE` writes a policy with its limits",
            (Self::Scenario, _) => {
                "run it with `weir test`, and name it `*.test.yaml`, so that folders are read without it"
            }
            (Self::Policy, _) => {
                "check it with `weir check`; its tests are in a file of their own, `NAME.test.yaml`"
            }
            (Self::Envoy | Self::KubernetesResource, Self::Scenario) => {
                "a scenario file has `tests`; see docs/reference/scenarios.md"
            }
            (Self::Envoy | Self::KubernetesResource, _) => {
                "a policy begins with `domain: name` and has `descriptors`; see docs/policy.md"
            }
        }
    }
}

fn has(root: &Node, key: &str) -> bool {
    value_of(root, key).is_some()
}

fn scalar_of<'n>(root: &'n Node, key: &str) -> Option<&'n str> {
    match &value_of(root, key)?.kind {
        Kind::Scalar(text, _) => Some(text),
        _ => None,
    }
}

fn value_of<'n>(root: &'n Node, key: &str) -> Option<&'n Node> {
    let Kind::Map(pairs) = &root.kind else {
        return None;
    };
    let pair = pairs.iter().find(|pair| *pair.key == *key)?;
    Some(&pair.node)
}
