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
mod pattern;
mod report;
mod response;
mod rule;
pub mod schema;
mod source;
mod template;
mod tree;

pub use code::Code;
pub use diagnostic::{Diagnostic, Place, Severity};
pub use json_schema::json_schema;
pub use metadata::{Metadata, Value, merge};
pub use response::{BodyTemplate, HeaderTemplate, OverLimit, Response};
pub use rule::{Found, Identity, Limits, MetricDetail, Part, Rule};
pub use schema::{Excerpt, excerpts};
pub use source::{LoadError, LoadOptions, Loaded, load, load_text};
pub use template::{BodyText, HeaderText, Operator, Values};
pub use tree::{Domain, Policy};

#[cfg(test)]
mod tests;
