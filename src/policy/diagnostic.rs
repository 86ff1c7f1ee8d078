//! What is wrong with a policy, where, and what to do about it.

use std::fmt;
use std::path::PathBuf;

use super::Code;

/// One fault or doubt, found while a policy was loaded.
///
/// It never holds a value of a descriptor: that may be an API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether it refuses the load.
    pub severity: Severity,
    /// Its stable name, such as `unknown-key`.
    pub code: Code,
    /// The file.
    pub file: PathBuf,
    /// Where in the file; none if the whole file is meant.
    pub place: Option<Place>,
    /// Where in the tree, such as `descriptors[2].rate_limit`; empty at the root.
    pub path: String,
    /// One sentence, lower case, without a full stop.
    pub message: String,
    /// A way out.
    pub hint: Option<String>,
}

/// A position in a file; both count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
}

/// How bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The policy is loaded all the same.
    Warning,
    /// The policy is refused.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(place) = self.place {
            write!(f, ":{}:{}", place.line, place.column)?;
        }
        write!(f, ": {}[{}]: {}", self.severity, self.code, self.message)?;
        if !self.path.is_empty() {
            write!(f, "\n  at {}", self.path)?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}
