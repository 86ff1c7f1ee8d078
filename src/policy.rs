//! Policies: from YAML files to the tree that decisions walk.
//!
//! source (files) → schema (raw tree with places) → compile → tree. Loading never stops at the
//! first fault, and nothing that it says quotes a value of a descriptor.

mod byte_map;
mod code;
mod compile;
mod diagnostic;
mod json_schema;
mod matchers;
mod metadata;
mod metric_ids;
mod name;
mod redact;
pub(crate) mod report;
mod response;
mod rule;
pub mod schema;
mod source;
mod template;
mod trace;
mod tree;

pub use code::Code;
pub use diagnostic::{Diagnostic, Place, Severity};
pub use json_schema::json_schema;
pub use metadata::{Metadata, Value, merge};
pub use metric_ids::MetricIds;
pub use name::{LevelName, RuleName};
pub use redact::{HIDDEN, Redactor};
pub use response::{HeaderTemplate, OverLimit, ResponseTemplate};
pub use rule::{
    CounterIdentity, IdentityPart, Limits, MatchedNode, MetricDetail, OnStoreError, Rule,
};
pub use schema::{Excerpt, excerpts};
pub(crate) use source::text_of;
pub use source::{LoadError, LoadOptions, Loaded, files, load, load_text};
pub use template::{BodyTemplate, HeaderValueTemplate, Operator, Values};
pub use trace::{Candidate, CountedBy, MatcherText, Trace, TracedLevel};
pub use tree::{Domain, Policy};

#[cfg(test)]
mod tests;
