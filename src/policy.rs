//! Policies: from YAML files to the tree that decisions walk.
//!
//! load (files) → raw (tree with positions) → compile → tree. Tables of assignments (`assignments`) join the tree. Loading never stops at the first fault, and no
//! diagnostic quotes the value of a descriptor.

mod assignments;
mod byte_map;
mod code;
mod compile;
mod defaults;
mod excerpt;
mod json_schema;
mod load;
mod matchers;
mod metric_ids;
mod name;
mod raw;
mod redact;
mod response;
mod rule;
mod template;
mod terms;
mod trace;
mod tree;

pub use crate::document::{
    Diagnostic, DiagnosticCode, Excerpt, Metadata, Position, SecretKeys, Severity, Value, merge,
};
pub use assignments::{
    AddedAssignment, Assignment, AssignmentFields, AssignmentId, AssignmentOrigin,
    UnusableAssignment,
};
pub use code::PolicyCode;
pub use defaults::DomainDefaults;
pub use excerpt::excerpts;
pub use json_schema::json_schema;
pub use load::{
    LoadError, LoadOptions, LoadedPolicy, LoadedTexts, files, load, load_text, load_texts,
};
pub use metric_ids::MetricIds;
pub use name::{LevelName, RuleName};
pub use redact::{HIDDEN, Redactor, printable};
pub use response::{HeaderTemplate, OverLimit, ResponseTemplate};
pub use rule::{
    CounterIdentity, IdentityPart, Limits, MatchedNode, MetricDetail, OnStoreError, Rule,
};
pub use template::{BodyTemplate, HeaderValueTemplate, Operator, Values};
pub use terms::Terms;
pub use trace::{Candidate, CountedBy, MatcherKind, TracedLevel, Verdict};
pub use tree::{Domain, Policy, TableSummary};

#[cfg(test)]
mod tests;
