//! A finding: its kind, its position, and how to correct it.

use std::fmt;
use std::path::PathBuf;

use super::{DiagnosticCode, Severity};

/// One error or warning, found while a file was loaded.
///
/// It never contains a value of a descriptor: that may be an API key.
///
/// ```
/// use std::path::Path;
/// use weir::document::Severity;
/// use weir::policy;
///
/// let loaded = policy::load_text(Path::new("shop.yaml"), "domain: shop\nlimit: 1\n");
/// let diagnostic = &loaded.diagnostics[0];
/// assert_eq!(diagnostic.severity, Severity::Error);
/// assert_eq!(diagnostic.position.map(|position| position.line), Some(2));
/// assert!(diagnostic.message.contains("`limit`"));
/// assert!(loaded.policy.is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether it rejects the file.
    pub severity: Severity,
    /// The kind of finding: a stable name, such as `unknown-key`.
    pub code: DiagnosticCode,
    /// The file.
    pub file: PathBuf,
    /// The position in the file; `None` for the whole file.
    pub position: Option<Position>,
    /// The path in the document, such as `descriptors[2].rate_limit`; empty at the root.
    pub path: String,
    /// One sentence, lower case, without a full stop.
    pub message: String,
    /// How to correct it.
    pub help: String,
}

/// A position in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
}

impl Position {
    /// The position that follows `text`.
    pub fn after(text: &str) -> Self {
        let line = text.rsplit('\n').next().unwrap_or_default();
        Self {
            line: text.matches('\n').count() as u32 + 1,
            column: line.chars().count() as u32 + 1,
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(position) = self.position {
            write!(f, ":{}:{}", position.line, position.column)?;
        }
        write!(f, ": {}[{}]: {}", self.severity, self.code, self.message)?;
        if !self.path.is_empty() {
            write!(f, "\n  at {}", self.path)?;
        }
        write!(f, "\n  help: {}", self.help)
    }
}
