//! Stable names of findings.

use std::fmt;

/// The kind of a finding: a stable name such as `unknown-key`.
///
/// Made from an enum that lists the kinds of one language: [`DocumentCode`], or those of policies and scenarios.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DiagnosticCode {
    name: &'static str,
    meaning: &'static str,
    help: &'static str,
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
    pub const fn new(
        name: &'static str,
        severity: Severity,
        meaning: &'static str,
        help: &'static str,
    ) -> Self {
        Self {
            name,
            meaning,
            help,
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

    /// How to correct it, where the finding itself does not say it more precisely.
    pub const fn help(self) -> &'static str {
        self.help
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

/// Defines an enum of codes from a table of variant, severity, name, meaning and help.
macro_rules! diagnostic_codes {
    (
        $(#[$attribute:meta])*
        pub enum $type:ident {
            $($variant:ident $severity:ident $name:literal $meaning:literal => $help:literal,)*
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $type {
            $(#[doc = $meaning] $variant,)*
        }

        impl $type {
            /// All of them, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name, severity, meaning and help.
            pub const fn code(self) -> $crate::document::DiagnosticCode {
                use $crate::document::{DiagnosticCode, Severity};
                match self {
                    $(Self::$variant => {
                        DiagnosticCode::new($name, Severity::$severity, $meaning, $help)
                    })*
                }
            }
        }

        // Every finding says how to correct it.
        const _: () = { $(assert!(!$help.is_empty(), "a code without help");)* };

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
        NotAFile Error "not-a-file" "A pipe, a socket or a device in place of a file" => "save the text as a regular file, and name that",
        NotUtf8 Error "not-utf8" "The file is not valid UTF-8" => "save the file as UTF-8",
        TooLarge Error "too-large" "The file, or the expansion of its aliases, is too large" => "split the domain into several files, and write out aliases of large nodes",
        YamlSyntax Error "yaml-syntax" "The file is not valid YAML" => "check the indentation and the quotes at this position and just before it",
        MultipleDocuments Error "multiple-documents" "More than one YAML document in a file" => "one file holds one domain: split it into files",
        NestedTooDeeply Error "nested-too-deeply" "Lists and mappings are nested too deeply" => "a descriptor has at most 64 levels: check the brackets and the indentation",
        ForeignDocument Error "foreign-document" "A file of another kind, such as a configuration of Envoy in place of a policy" => "name the file of the policy",
        UnknownTag Error "unknown-tag" "An unsupported YAML tag" => "remove the tag; `!!str` is the only one that may be needed",
        RecursiveAlias Error "recursive-alias" "An alias inside the node it refers to" => "write out the content instead of the alias",
        InvalidMerge Error "invalid-merge" "`<<` with a value that is not a mapping" => "use `<<: *anchor`, where the anchor is on a mapping",
        RepeatedKey Error "repeated-key" "The same key twice in one mapping" => "keep one of them, or begin another list element with `-`",
        WrongType Error "wrong-type" "A value of another type than expected, such as a list for a mapping" => "check the indentation; a list element begins with `-`, a mapping has `key: value` on each line",
        UnknownKey Error "unknown-key" "A key that does not exist, or not at this level" => "remove it, or see the table of keys in docs/policy.md",
        EmptyList Error "empty-list" "A list that must not be empty" => "add an element, or remove the key",
        InvalidNumber Error "invalid-number" "A number that is negative, fractional, or out of range" => "write a whole number from 0 to 4294967295",
        InvalidValue Error "invalid-value" "A word other than those that the key accepts" => "use one of the values in docs/policy.md",
    }
}
