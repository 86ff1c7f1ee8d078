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
    /// `algorithm: concurrency` without `max_in_flight` or `lease_seconds`.
    MissingSlots,
    /// `max_in_flight` or `lease_seconds` on an algorithm that has no slots.
    SlotsWithoutConcurrency,
    /// A key of rates on `algorithm: concurrency`.
    RateWithConcurrency,
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
    /// Refused requests would gain by refunds.
    RefundsGain,
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
            Self::MissingSlots => "missing-slots",
            Self::SlotsWithoutConcurrency => "slots-without-concurrency",
            Self::RateWithConcurrency => "rate-with-concurrency",
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
            Self::RefundsGain => "refunds-gain",
            Self::Unreachable => "unreachable",
            Self::LiteralStar => "literal-star",
            Self::UnusualName => "unusual-name",
            Self::InvalidTime => "invalid-time",
            Self::InvalidStep => "invalid-step",
            Self::InvalidExpectation => "invalid-expectation",
            Self::UnreadablePolicy => "unreadable-policy",
        }
    }

    /// What it is about, in a few words.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::NotUtf8 => "The file is no text in UTF-8",
            Self::TooLarge => "The file, or what its aliases stand for, is too large",
            Self::YamlSyntax => "The file is no YAML",
            Self::SeveralDocuments => "More than one YAML document in a file",
            Self::NestedTooDeeply => "Lists and mappings are nested too deeply",
            Self::UnknownTag => "A YAML tag that means nothing here",
            Self::AliasOfItself => "An alias inside of what it stands for",
            Self::InvalidMerge => "`<<` with something that is no mapping",
            Self::RepeatedKey => "A key stands twice in one mapping",
            Self::EmptyFolder => "A folder without a policy file",
            Self::SkippedFile => "A file of a folder was passed over",
            Self::WrongType => {
                "A list where a mapping is expected, text where a number is, and so on"
            }
            Self::UnknownKey => "A key that has no meaning anywhere, or not at its level",
            Self::MisplacedKey => {
                "A key of envoyproxy/ratelimit at a level where it has no meaning"
            }
            Self::MissingDomain => "A file without a domain",
            Self::DuplicateDomain => "The same domain in two files",
            Self::ConflictingRoots => "Files of one domain say different things for all of it",
            Self::MissingKey => "A descriptor without a key",
            Self::SeveralMatchers => {
                "More than one of `value`, `values`, `value_sha256`, `pattern` and `cidr`"
            }
            Self::EmptyList => "A list that must not be empty",
            Self::DuplicateDescriptor => "Two descriptors of one level for the same values",
            Self::InvalidPattern => "A pattern that is no path template",
            Self::InvalidHash => "A `value_sha256` that is no SHA-256 in hex",
            Self::InvalidCidr => "A block of addresses that is none",
            Self::InvalidCountBy => {
                "`count_by` without a pattern, or with a name that it does not capture"
            }
            Self::SharedWithoutWildcard => "`share_threshold` without a wildcard or a block",
            Self::TooManyDescriptors => "More descriptors than fit into one policy",
            Self::MissingUnit => "A limit without a unit",
            Self::UnknownUnit => "A unit that does not exist",
            Self::InvalidNumber => "A number that is negative, fractional, or out of its bounds",
            Self::InvalidWindow => "A window longer than ten years",
            Self::UnknownWord => "`algorithm` or `charge` with a word that they do not know",
            Self::UnlimitedWithUnit => "`unlimited` together with a unit",
            Self::UnlimitedInList => "`unlimited` in a list of limits",
            Self::TooManyLimits => "More limits than one rule can have",
            Self::MixedCharge => "Limits of one list with different `charge`",
            Self::BurstWithoutBucket => "`burst` on an algorithm that has no bucket",
            Self::RateTooHigh => "A bucket that fills too fast",
            Self::MissingSlots => {
                "`algorithm: concurrency` without `max_in_flight` or `lease_seconds`"
            }
            Self::SlotsWithoutConcurrency => {
                "`max_in_flight` or `lease_seconds` on an algorithm that has no slots"
            }
            Self::RateWithConcurrency => "A key of rates on `algorithm: concurrency`",
            Self::ReplacesItself => "A limit that replaces its own name",
            Self::ReplacesNothing => "A replaced limit without a name",
            Self::UnknownOperator => {
                "A template operator that does not exist, or is written wrongly"
            }
            Self::LonePercent => "A `%` on its own",
            Self::SecretShown => "A template would show the value of a secret key",
            Self::InvalidHeaderName => "A header name that is none",
            Self::ForbiddenHeader => "A header that a policy must not set",
            Self::InvalidHeaderValue => "A header value with control characters",
            Self::DuplicateHeader => "The same header twice in one block",
            Self::InvalidBody => "A JSON body that does not parse, or could not in an answer",
            Self::ZeroByOmission => "`requests_per_unit` is left out, and so 0",
            Self::UnknownReplaced => "A name in `replaces` that no limit of the domain has",
            Self::NoEffect => "A key that changes nothing where it stands",
            Self::RefundsGain => "Refused requests would gain by refunds",
            Self::Unreachable => "A descriptor that no request can reach",
            Self::LiteralStar => "A `*` that is no wildcard where it stands",
            Self::InvalidTime => "A scenario's time that is none",
            Self::InvalidStep => "A scenario's step that does nothing, or several things",
            Self::InvalidExpectation => "An expectation that no answer can meet",
            Self::UnreadablePolicy => "A policy that a scenario names cannot be read",
            Self::UnusualName => "A limit's name with characters that Envoy does not escape",
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
            | Self::RefundsGain
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
