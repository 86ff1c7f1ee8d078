//! Documents: YAML files with positions, and the faults that any of them can have.
//!
//! A file is read ([`files`]) and parsed to [`Node`]s ([`parse`]); a table of [`Key`]s turns its mappings into raw
//! types, and each finding becomes a [`Diagnostic`] in a [`Report`]. Reading never stops at the first fault, and no
//! message quotes a scalar of the file. `policy` and `scenario` build on this module, which knows of them only the keys
//! by which a document of another kind is recognized.

mod code;
mod diagnostic;
mod excerpt;
mod field;
mod fields;
pub mod files;
mod foreign;
mod free_form;
mod json_schema;
mod keys;
mod report;
pub mod scalar;
mod secret_keys;
mod suggest;
mod value;
mod yaml;
mod yaml11;

pub(crate) use code::diagnostic_codes;
pub use code::{DiagnosticCode, DocumentCode, Severity};
pub use diagnostic::{Diagnostic, Position};
pub use excerpt::{Excerpt, Visibility, excerpts};
pub use field::{Field, Spanned};
pub use fields::{list, mapping, wrong_type, wrong_type_with_help};
pub use foreign::DocumentKind;
pub use free_form::{read_metadata, read_value};
pub use keys::{AnyLevel, Key, KeyInfo, Language, Level, ValueType};
pub use report::{FilePosition, PathElement, Report};
pub use secret_keys::SecretKeys;
pub use suggest::{did_you_mean, is_placeholder, is_similar, quoted, shortened};
pub use value::{Metadata, Value, merge};
pub use yaml::{Elements, Kind, Node, Pair, Style, Text, TextPlace, parse, parse_by_element};
