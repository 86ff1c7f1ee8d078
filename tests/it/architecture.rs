//! Rules about the code and the documents themselves.
//!
//! - `imports`: who may import whom, by the tables of `docs/architecture.md`
//! - `cycles`: no two files import each other
//! - `names`: every type name is unique, and few items are visible in the whole crate
//! - `phrases`: plain English
//!
//! `source` reads the sources: their tokens, and the paths in them.

mod cycles;
mod imports;
mod names;
mod phrases;
mod source;

pub(crate) use source::files;

use std::path::Path;

/// The folder of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
