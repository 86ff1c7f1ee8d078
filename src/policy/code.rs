//! The stable names of all that can be said about a policy.

use std::fmt;

use super::Severity;

/// What kind of fault or doubt a diagnostic is about; the set is closed, the names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Code {
    /// The file is no text in UTF-8.
    NotUtf8,
    /// The file, or what its aliases stand for, is too large.
    TooLarge,
    /// The file is no YAML.
    YamlSyntax,
    /// More than one YAML document in a file.
    SeveralDocuments,
    /// Lists and mappings are nested too deeply.
    NestedTooDeeply,
    /// A YAML tag that means nothing here.
    UnknownTag,
    /// An alias inside of what it stands for.
    AliasOfItself,
    /// `<<` with something that is no mapping.
    InvalidMerge,
    /// A key stands twice in one mapping.
    RepeatedKey,
    /// A folder without a policy file.
    EmptyFolder,
    /// A file of a folder was passed over.
    SkippedFile,
    /// A list where a mapping is expected, text where a number is, and so on.
    WrongType,
    /// A key that has no meaning anywhere, or not at its level.
    UnknownKey,
    /// A key of envoyproxy/ratelimit at a level where it has no meaning.
    MisplacedKey,
    /// A key of the policy language that this version does not know yet.
    NotSupportedYet,
    /// A file without a domain.
    MissingDomain,
    /// The same domain in two files.
    DuplicateDomain,
    /// Files of one domain say different things for all of it.
    ConflictingRoots,
    /// A descriptor without a key.
    MissingKey,
    /// More than one of `value`, `values`, `value_sha256`, `pattern` and `cidr`.
    SeveralMatchers,
    /// A list that must not be empty.
    EmptyList,
    /// Two descriptors of one level for the same values.
    DuplicateDescriptor,
    /// A pattern that is no path template.
    InvalidPattern,
    /// A `value_sha256` that is no SHA-256 in hex.
    InvalidHash,
    /// A block of addresses that is none.
    InvalidCidr,
    /// `count_by` without a pattern, or with a name that it does not capture.
    InvalidCountBy,
    /// `share_threshold` without a wildcard or a block.
    SharedWithoutWildcard,
    /// More descriptors than fit into one policy.
    TooManyDescriptors,
    /// A limit without a unit.
    MissingUnit,
    /// A unit that does not exist.
    UnknownUnit,
    /// A number that is negative, fractional, or out of its bounds.
    InvalidNumber,
    /// A window longer than ten years.
    InvalidWindow,
    /// `algorithm` or `charge` with a word that they do not know.
    UnknownWord,
    /// `unlimited` together with a unit.
    UnlimitedWithUnit,
    /// `unlimited` in a list of limits.
    UnlimitedInList,
    /// More limits than one rule can have.
    TooManyLimits,
    /// Limits of one list with different `charge`.
    MixedCharge,
    /// `burst` on an algorithm that has no bucket.
    BurstWithoutBucket,
    /// A bucket that fills too fast.
    RateTooHigh,
    /// A limit that replaces its own name.
    ReplacesItself,
    /// A replaced limit without a name.
    ReplacesNothing,
    /// A template operator that does not exist, or is written wrongly.
    UnknownOperator,
    /// A `%` on its own.
    LonePercent,
    /// A template would show the value of a secret key.
    SecretShown,
    /// A header name that is none.
    InvalidHeaderName,
    /// A header that a policy must not set.
    ForbiddenHeader,
    /// A header value with control characters.
    InvalidHeaderValue,
    /// The same header twice in one block.
    DuplicateHeader,
    /// A JSON body that does not parse, or could not in an answer.
    InvalidBody,
    /// `requests_per_unit` is left out, and so 0.
    ZeroByOmission,
    /// A name in `replaces` that no limit of the domain has.
    UnknownReplaced,
    /// A key that changes nothing where it stands.
    NoEffect,
    /// A descriptor that no request can reach.
    Unreachable,
    /// A `*` that is no wildcard where it stands.
    LiteralStar,
    /// A limit's name with characters that Envoy does not escape.
    UnusualName,
    /// In a scenario: a moment or a length of time that is none.
    InvalidTime,
    /// In a scenario: a test without a name, a step that does nothing, or two things at once.
    InvalidStep,
    /// In a scenario: an expectation that cannot be met by any answer.
    InvalidExpectation,
    /// In a scenario: a policy that cannot be read.
    UnreadablePolicy,
}

impl Code {
    /// Its name, such as `unknown-key`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotUtf8 => "not-utf8",
            Self::TooLarge => "too-large",
            Self::YamlSyntax => "yaml-syntax",
            Self::SeveralDocuments => "several-documents",
            Self::NestedTooDeeply => "nested-too-deeply",
            Self::UnknownTag => "unknown-tag",
            Self::AliasOfItself => "alias-of-itself",
            Self::InvalidMerge => "invalid-merge",
            Self::RepeatedKey => "repeated-key",
            Self::EmptyFolder => "empty-folder",
            Self::SkippedFile => "skipped-file",
            Self::WrongType => "wrong-type",
            Self::UnknownKey => "unknown-key",
            Self::MisplacedKey => "misplaced-key",
            Self::NotSupportedYet => "not-supported-yet",
            Self::MissingDomain => "missing-domain",
            Self::DuplicateDomain => "duplicate-domain",
            Self::ConflictingRoots => "conflicting-roots",
            Self::MissingKey => "missing-key",
            Self::SeveralMatchers => "several-matchers",
            Self::EmptyList => "empty-list",
            Self::DuplicateDescriptor => "duplicate-descriptor",
            Self::InvalidPattern => "invalid-pattern",
            Self::InvalidHash => "invalid-hash",
            Self::InvalidCidr => "invalid-cidr",
            Self::InvalidCountBy => "invalid-count-by",
            Self::SharedWithoutWildcard => "shared-without-wildcard",
            Self::TooManyDescriptors => "too-many-descriptors",
            Self::MissingUnit => "missing-unit",
            Self::UnknownUnit => "unknown-unit",
            Self::InvalidNumber => "invalid-number",
            Self::InvalidWindow => "invalid-window",
            Self::UnknownWord => "unknown-word",
            Self::UnlimitedWithUnit => "unlimited-with-unit",
            Self::UnlimitedInList => "unlimited-in-list",
            Self::TooManyLimits => "too-many-limits",
            Self::MixedCharge => "mixed-charge",
            Self::BurstWithoutBucket => "burst-without-bucket",
            Self::RateTooHigh => "rate-too-high",
            Self::ReplacesItself => "replaces-itself",
            Self::ReplacesNothing => "replaces-nothing",
            Self::UnknownOperator => "unknown-operator",
            Self::LonePercent => "lone-percent",
            Self::SecretShown => "secret-shown",
            Self::InvalidHeaderName => "invalid-header-name",
            Self::ForbiddenHeader => "forbidden-header",
            Self::InvalidHeaderValue => "invalid-header-value",
            Self::DuplicateHeader => "duplicate-header",
            Self::InvalidBody => "invalid-body",
            Self::ZeroByOmission => "zero-by-omission",
            Self::UnknownReplaced => "unknown-replaced",
            Self::NoEffect => "no-effect",
            Self::Unreachable => "unreachable",
            Self::LiteralStar => "literal-star",
            Self::UnusualName => "unusual-name",
            Self::InvalidTime => "invalid-time",
            Self::InvalidStep => "invalid-step",
            Self::InvalidExpectation => "invalid-expectation",
            Self::UnreadablePolicy => "unreadable-policy",
        }
    }

    /// Whether it refuses the load.
    pub const fn severity(self) -> Severity {
        match self {
            Self::EmptyFolder
            | Self::SkippedFile
            | Self::MisplacedKey
            | Self::ZeroByOmission
            | Self::UnknownReplaced
            | Self::NoEffect
            | Self::Unreachable
            | Self::LiteralStar
            | Self::UnusualName => Severity::Warning,
            _ => Severity::Error,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
