//! Facts about a whole domain that the compiler needs before it compiles any part of it.

use std::collections::{HashMap, HashSet};

use crate::document::{Field, Metadata, Text, Value, did_you_mean};
use crate::policy::Limits;
use crate::policy::raw::{Flag, RawDescriptor, RawDomain, RawRateLimit};
use crate::policy::tree::Domain;

/// The facts.
#[derive(Debug, Default)]
pub(super) struct DomainSummary {
    /// Keys whose values are hidden.
    pub(super) secrets: HashSet<Box<[u8]>>,
    /// The names of all limits.
    pub(super) names: HashSet<Text>,
    /// The names of all limits that another one replaces.
    pub(super) replaced: HashSet<Text>,
    /// A refused request is charged to none of its descriptors.
    pub(super) atomic: bool,
    /// There is a limit whose slots are held by leases.
    pub(super) has_leases: bool,
    /// There is a limit with `charge: always`.
    pub(super) charges_always: bool,
    /// The keys of all metadata, and whether their values are numbers everywhere.
    metadata: HashMap<String, MetadataKind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MetadataKind {
    Numbers,
    Mixed,
}

impl DomainSummary {
    /// Gathers the facts from all files of a domain.
    pub(super) fn gather<'r>(files: impl Iterator<Item = &'r RawDomain>) -> Self {
        let mut summary = Self::default();
        for raw in files {
            for plan in &raw.plans {
                summary.add_limits(plan.rate_limit.as_ref());
                summary.add_metadata(plan.metadata.as_ref());
            }
            summary.add(&raw.descriptors);
        }
        summary
    }

    /// The facts that limits need which are added to a domain.
    pub(super) fn of_domain(domain: &Domain) -> Self {
        let sets = domain.rules.iter().map(|rule| &rule.limits);
        let limits = sets.flat_map(|limits| match limits {
            Limits::Counted(set) => &set.limits[..],
            Limits::Unlimited { .. } | Limits::Exempt => &[],
        });
        let replaced = domain.rules.iter().flat_map(|rule| &rule.replaces);
        Self {
            names: limits
                .filter_map(|limit| Some(limit.name.as_deref()?.into()))
                .collect(),
            replaced: replaced.map(|name| (**name).into()).collect(),
            atomic: domain.atomic,
            has_leases: domain.lease_entry.is_some(),
            ..Self::default()
        }
    }

    fn add(&mut self, descriptors: &[Box<RawDescriptor>]) {
        for raw in descriptors {
            let is_secret = raw.extras.has(Flag::Secret);
            if let Some(key) = raw.key.given().filter(|_| is_secret) {
                self.secrets.insert(key.value.as_bytes().into());
            }
            self.add_limits(raw.rate_limit.as_ref());
            self.add_metadata(raw.extras.metadata.as_ref());
            self.add(&raw.descriptors);
        }
    }

    fn add_limits(&mut self, raw: Option<&RawRateLimit>) {
        for limit in raw.iter().flat_map(|rate_limit| &*rate_limit.limits) {
            let is_word = |field: &Field<Text>, word| {
                field.given().is_some_and(|field| &*field.value == word)
            };
            self.has_leases |= is_word(&limit.extras.algorithm, "concurrency");
            self.charges_always |= is_word(&limit.extras.charge, "always");
            let replaced = limit.extras.replaces.iter();
            self.replaced
                .extend(replaced.map(|name| name.value.clone()));
            self.names
                .extend(limit.extras.name.given().map(|name| name.value.clone()));
        }
    }

    fn add_metadata(&mut self, metadata: Option<&Metadata>) {
        for (key, value) in metadata.into_iter().flatten() {
            let kind = match value {
                Value::Number(_) => MetadataKind::Numbers,
                _ => MetadataKind::Mixed,
            };
            let known = self.metadata.entry(key.clone()).or_insert(kind);
            if kind == MetadataKind::Mixed {
                *known = kind;
            }
        }
    }

    pub(super) fn is_secret(&self, key: &str) -> bool {
        self.secrets.contains(key.as_bytes())
    }

    /// "did you mean …?", if there are few enough names to compare.
    pub(super) fn nearest_name(&self, name: &str) -> Option<String> {
        const MANY: usize = 1_000;
        let names = self.names.iter().map(|name| &**name);
        did_you_mean(name, names.take(MANY)).filter(|_| self.names.len() <= MANY)
    }

    /// Whether any metadata has that key.
    pub(super) fn has_metadata(&self, key: &str) -> bool {
        self.metadata.contains_key(key)
    }

    /// Whether all metadata of that key is a number, which is also true if there is none.
    pub(super) fn is_number(&self, key: &str) -> bool {
        self.metadata
            .get(key)
            .is_none_or(|kind| *kind == MetadataKind::Numbers)
    }
}
