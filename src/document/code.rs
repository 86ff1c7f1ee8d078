//! Stable names of findings.

use std::fmt;

/// The kind of a finding: a stable name such as `unknown-key`.
///
/// Made from an enum that lists the kinds of one language: [`DocumentCode`], or those of policies and scenarios.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DiagnosticCode {
    name: &'static str,
    meaning: &'static str,
    severity: Severity,
}

/// Whether a finding rejects the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The file is loaded.
    Warning,
    /// The file is rejected.
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

impl DiagnosticCode {
    /// A code of that name.
    pub const fn new(name: &'static str, severity: Severity, meaning: &'static str) -> Self {
        Self {
            name,
            meaning,
            severity,
        }
    }

    /// The name, such as `unknown-key`.
    pub const fn as_str(self) -> &'static str {
        self.name
    }

    /// The meaning in a few words.
    pub const fn meaning(self) -> &'static str {
        self.meaning
    }

    /// Whether such a finding rejects the file.
    pub const fn severity(self) -> Severity {
        self.severity
    }
}

impl fmt::Display for DiagnosticCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Defines an enum of codes from a table of variant, severity, name and meaning.
macro_rules! diagnostic_codes {
    (
        $(#[$attribute:meta])*
        pub enum $type:ident {
            $($variant:ident $severity:ident $name:literal $meaning:literal,)*
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $type {
            $(#[doc = $meaning] $variant,)*
        }

        impl $type {
            /// Its name, severity and meaning.
            pub const fn code(self) -> $crate::document::DiagnosticCode {
                use $crate::document::{DiagnosticCode, Severity};
                match self {
                    $(Self::$variant => {
                        DiagnosticCode::new($name, Severity::$severity, $meaning)
                    })*
                }
            }
        }

        impl From<$type> for $crate::document::DiagnosticCode {
            fn from(code: $type) -> Self {
                code.code()
            }
        }

        impl PartialEq<$type> for $crate::document::DiagnosticCode {
            fn eq(&self, other: &$type) -> bool {
                *self == other.code()
            }
        }
    };
}

pub(crate) use diagnostic_codes;

diagnostic_codes! {
    /// Findings that any kind of document can have.
    pub enum DocumentCode {
        NotUtf8 Error "not-utf8" "The file is not valid UTF-8",
        TooLarge Error "too-large" "The file, or the expansion of its aliases, is too large",
        YamlSyntax Error "yaml-syntax" "The file is not valid YAML",
        MultipleDocuments Error "multiple-documents" "More than one YAML document in a file",
        NestedTooDeeply Error "nested-too-deeply" "Lists and mappings are nested too deeply",
        UnknownTag Error "unknown-tag" "An unsupported YAML tag",
        RecursiveAlias Error "recursive-alias" "An alias inside the node it refers to",
        InvalidMerge Error "invalid-merge" "`<<` with a value that is not a mapping",
        RepeatedKey Error "repeated-key" "The same key twice in one mapping",
        WrongType Error "wrong-type" "A value of another type than expected, such as a list for a mapping",
        UnknownKey Error "unknown-key" "A key that does not exist, or not at this level",
        EmptyList Error "empty-list" "A list that must not be empty",
        InvalidNumber Error "invalid-number" "A number that is negative, fractional, or out of range",
        InvalidValue Error "invalid-value" "A word other than those that the key accepts",
    }
}
