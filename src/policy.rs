//! Policies: from YAML files to the tree that decisions walk.
//!
//! source (files) → schema (raw tree with places) → compile → tree. Loading never stops at the
//! first fault, and nothing that it says quotes a value of a descriptor.

mod block;
mod code;
mod compile;
mod diagnostic;
mod glob;
mod hash;
mod json_schema;
mod metadata;
mod name;
mod pattern;
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
pub use name::{LevelName, Mark, RuleName};
pub use response::{BodyTemplate, HeaderTemplate, OverLimit, Response};
pub use rule::{Found, Identity, Limits, MetricDetail, OnStoreError, Part, Rule};
pub use schema::{Excerpt, excerpts};
pub(crate) use source::text_of;
pub use source::{LoadError, LoadOptions, Loaded, files, load, load_text};
pub use template::{BodyText, HeaderText, Operator, Values};
pub use trace::{Candidate, Counter, Trace, TracedLevel, Written};
pub use tree::{Domain, Policy};

#[cfg(test)]
mod tests;
