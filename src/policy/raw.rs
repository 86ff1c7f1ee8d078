//! The raw form of a policy: the content of its files with positions, before it is checked and compiled.
//!
//! Positions are optional: a policy need not come from a file.

mod count_prefix;
mod descriptor;
mod foreign_keys;
mod lazy;
mod limit;
mod plan;
mod response;
mod types;

use super::PolicyCode;
use crate::document::{
    self, DocumentKind, Field, Key, Language, Level, Metadata, Node, Pair, Position, Report,
    Spanned, Text, scalar,
};
use descriptor::Descriptors;
use foreign_keys::FOREIGN;
use lazy::{Defaulted, Lazy};
pub(super) use types::{ALGORITHMS, CHARGES, ON_STORE_ERROR, SETS, WEEKDAYS};

/// One domain.
#[derive(Debug)]
pub(super) struct RawDomain {
    pub(super) position: Option<Position>,
    pub(super) name: Field<Text>,
    pub(super) shadow_mode: Option<Spanned<bool>>,
    pub(super) quota_mode: Option<Spanned<bool>>,
    pub(super) atomic: Option<Spanned<bool>>,
    pub(super) lease_entry: Option<Spanned<Text>>,
    pub(super) response: Option<Spanned<RawResponse>>,
    pub(super) on_store_error: Option<Spanned<Spanned<Text>>>,
    pub(super) plans: Vec<RawPlan>,
    pub(super) descriptors: RawDescriptors,
}

/// One of `plans`.
#[derive(Debug)]
pub(super) struct RawPlan {
    pub(super) name: Spanned<Text>,
    /// False if it is not a mapping or has unknown keys, which is reported already.
    pub(super) is_sound: bool,
    pub(super) rate_limit: Option<RawRateLimit>,
    pub(super) metadata: Option<Metadata>,
    pub(super) response: Option<RawResponse>,
}

/// The nodes of a level, each freed when it is compiled.
pub(super) type RawDescriptors = Vec<Box<RawDescriptor>>;

/// One node of the tree.
#[derive(Debug)]
pub(super) struct RawDescriptor {
    /// False if it is not a mapping, which is reported already.
    pub(super) is_sound: bool,
    /// Whether all of its keys are known; others are reported already.
    pub(super) is_known: bool,
    pub(super) position: Option<Position>,
    pub(super) key: Field<Text>,
    pub(super) value: Field<Text>,
    pub(super) matchers: Lazy<RawMatchers>,
    pub(super) rate_limit: Option<RawRateLimit>,
    pub(super) extras: Lazy<RawDescriptorExtras>,
    pub(super) descriptors: RawDescriptors,
}

/// The rarer matchers.
#[derive(Debug)]
pub(super) struct RawMatchers {
    pub(super) values: Field<Vec<Spanned<Text>>>,
    pub(super) value_sha256: Field<Text>,
    pub(super) pattern: Field<Text>,
    /// CIDR blocks, as written.
    pub(super) cidr: Field<Vec<Spanned<Text>>>,
    pub(super) count_prefix: Option<Spanned<RawCountPrefix>>,
    pub(super) count_by: Field<Vec<Spanned<Text>>>,
}

/// `count_prefix`: lengths of prefixes.
#[derive(Debug)]
pub(super) struct RawCountPrefix {
    pub(super) v4: Field<u32>,
    pub(super) v6: Field<u32>,
}

/// The rarer keys of a descriptor.
#[derive(Debug)]
pub(super) struct RawDescriptorExtras {
    /// The flags that are set.
    pub(super) flags: Vec<Spanned<Flag>>,
    pub(super) metadata: Option<Metadata>,
    pub(super) response: Option<RawResponse>,
    pub(super) on_store_error: Field<Text>,
    /// The name of a plan.
    pub(super) plan: Field<Text>,
    /// The name of a table.
    pub(super) assignments: Field<Text>,
}

/// A boolean key of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flag {
    Shadow,
    Quota,
    DetailedMetric,
    ValueToMetric,
    Shared,
    Secret,
    Exempt,
}

/// `rate_limit`: one limit or a list of them.
#[derive(Debug)]
pub(super) struct RawRateLimit {
    pub(super) position: Option<Position>,
    pub(super) is_list: bool,
    pub(super) limits: Box<[RawLimit]>,
}

/// One limit.
#[derive(Debug)]
pub(super) struct RawLimit {
    /// False if it is not a mapping or has unknown keys.
    pub(super) is_sound: bool,
    pub(super) shadow_mode: bool,
    pub(super) position: Option<Position>,
    pub(super) unit: Field<Text>,
    pub(super) requests_per_unit: Field<u32>,
    pub(super) extras: Lazy<RawLimitExtras>,
}

/// The rarer keys of a limit.
#[derive(Debug)]
pub(super) struct RawLimitExtras {
    pub(super) unit_multiplier: Field<u32>,
    pub(super) unlimited: Option<Spanned<bool>>,
    pub(super) name: Field<Text>,
    /// Names; empty if there is none.
    pub(super) replaces: Vec<Spanned<Text>>,
    pub(super) algorithm: Field<Text>,
    pub(super) burst: Field<u32>,
    pub(super) charge: Field<Text>,
    pub(super) max_in_flight: Field<u32>,
    pub(super) lease_seconds: Field<u32>,
    pub(super) calendar: Option<Spanned<bool>>,
    pub(super) time_zone: Field<Text>,
    pub(super) week_starts: Field<Text>,
    pub(super) anchor: Field<u32>,
    pub(super) block_seconds: Field<Vec<Spanned<u32>>>,
}

/// A `response` block.
#[derive(Debug, Default, PartialEq)]
pub(super) struct RawResponse {
    pub(super) headers: Vec<RawHeader>,
    /// Names of sets of headers.
    pub(super) standard: Vec<Spanned<Text>>,
    pub(super) over_limit_standard: Vec<Spanned<Text>>,
    pub(super) over_limit_headers: Vec<RawHeader>,
    pub(super) body: Option<RawBody>,
    /// Whether requests over the limit are let through.
    pub(super) allow: Option<Spanned<bool>>,
    /// Headers for the upstream.
    pub(super) request_headers: Vec<RawHeader>,
}

/// A body and its template.
#[derive(Debug, PartialEq)]
pub(super) struct RawBody {
    pub(super) template: Spanned<Text>,
    /// Where the first character of the template is, if it is in the file to the letter.
    pub(super) start: Option<Position>,
}

/// A header and its template.
#[derive(Debug, PartialEq)]
pub(super) struct RawHeader {
    pub(super) name: Spanned<Text>,
    pub(super) value: Spanned<Text>,
}

impl Defaulted for RawMatchers {
    const DEFAULT_REF: &Self = &Self::DEFAULT;
    const DEFAULT: Self = Self {
        values: Field::Absent,
        value_sha256: Field::Absent,
        pattern: Field::Absent,
        cidr: Field::Absent,
        count_prefix: None,
        count_by: Field::Absent,
    };
}

impl Defaulted for RawDescriptorExtras {
    const DEFAULT_REF: &Self = &Self::DEFAULT;
    const DEFAULT: Self = Self {
        flags: Vec::new(),
        metadata: None,
        response: None,
        on_store_error: Field::Absent,
        plan: Field::Absent,
        assignments: Field::Absent,
    };
}

impl RawDescriptor {
    /// Whether it has limits, of its own or of a plan.
    pub(super) fn is_rule(&self) -> bool {
        self.rate_limit.is_some() || !self.extras.plan.is_absent()
    }
}

impl RawDescriptorExtras {
    /// Whether a flag is set.
    pub(super) fn has(&self, flag: Flag) -> bool {
        self.flag(flag).is_some()
    }

    /// A flag that is set, with its position.
    pub(super) fn flag(&self, flag: Flag) -> Option<&Spanned<Flag>> {
        self.flags.iter().find(|own| own.value == flag)
    }
}

impl Defaulted for RawLimitExtras {
    const DEFAULT_REF: &Self = &Self::DEFAULT;
    const DEFAULT: Self = Self {
        unit_multiplier: Field::Absent,
        unlimited: None,
        name: Field::Absent,
        replaces: Vec::new(),
        algorithm: Field::Absent,
        burst: Field::Absent,
        charge: Field::Absent,
        max_in_flight: Field::Absent,
        lease_seconds: Field::Absent,
        calendar: None,
        time_zone: Field::Absent,
        week_starts: Field::Absent,
        anchor: Field::Absent,
        block_seconds: Field::Absent,
    };
}

impl Flag {
    /// The key that sets it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Shadow => "shadow_mode",
            Self::Quota => "quota_mode",
            Self::DetailedMetric => "detailed_metric",
            Self::ValueToMetric => "value_to_metric",
            Self::Shared => "share_threshold",
            Self::Secret => "secret",
            Self::Exempt => "exempt",
        }
    }
}

/// The policy language.
pub(super) static LANGUAGE: Language = Language {
    levels: &[
        &ROOT,
        &descriptor::DESCRIPTOR,
        &count_prefix::COUNT_PREFIX,
        &limit::LIMIT,
        &limit::LISTED_LIMIT,
        &limit::REPLACES,
        &plan::PLAN,
        &response::RESPONSE,
        &response::OVER_LIMIT,
    ],
    ignored: Some((REFERENCE, PolicyCode::MisplacedKey.code())),
    foreign: FOREIGN,
};

/// The keys that envoyproxy/ratelimit accepts at any level.
const REFERENCE: &[&str] = &[
    "domain",
    "descriptors",
    "key",
    "value",
    "rate_limit",
    "unit",
    "requests_per_unit",
    "unlimited",
    "name",
    "replaces",
    "shadow_mode",
    "quota_mode",
    "detailed_metric",
    "value_to_metric",
    "share_threshold",
    "metadata",
];

#[rustfmt::skip]
static ROOT: Level<RawDomain> = Level {
    name: "the root of the file",
    definition: "policy",
    required: &["domain"],
    base: None,
    keys: &[
        Key::new("domain", types::TEXT, "The name that requests ask for.",
            |domain, pair, report| domain.name = scalar::text(&pair.node, report)),
        Key::new("descriptors", types::DESCRIPTORS, "The first level of the tree.",
            |domain, pair, report| domain.descriptors.extend(descriptor::read_all(&pair.node, report))),
        Key::new("response", types::RESPONSE, "The response to clients, unless a descriptor has its own.",
            |domain, pair, report| domain.response = response::read(&pair.node, report).map(|it| pair.at_key(it))),
        Key::new("shadow_mode", types::FLAG, "The domain never refuses.",
            |domain, pair, report| domain.shadow_mode = flag(pair, report)),
        Key::new("quota_mode", types::FLAG, "Every descriptor of the domain is a quota.",
            |domain, pair, report| domain.quota_mode = flag(pair, report)),
        Key::new("on_store_error", types::STORE_ERROR,
            "The response when hits cannot be counted, unless a descriptor has its own: local, allow, deny or error.",
            |domain, pair, report| domain.on_store_error = text(pair, report).map(|it| pair.at_key(it))),
        Key::new("atomic", types::FLAG, "A refused request is charged to none of its descriptors.",
            |domain, pair, report| domain.atomic = flag(pair, report)),
        Key::new("lease_entry", types::TEXT,
            "The key of the entry that names the lease to release; lease if left out.",
            |domain, pair, report| domain.lease_entry = text(pair, report).map(|it| pair.at_key(it.value))),
        Key::new("plans", types::PLANS, "Named sets of limits, for `plan` and for assignments.",
            |domain, pair, report| domain.plans = plan::read_all(&pair.node, report)),
    ],
};

/// Reads one domain from the text of a file; `None` if the file cannot be read any further.
pub(super) fn read(text: &str, report: &mut Report) -> Option<RawDomain> {
    let mut descriptors = Descriptors::default();
    let root = document::parse_by_element(text, &mut descriptors, report)?;
    let kind = DocumentKind::of(&root).filter(|kind| *kind != DocumentKind::Policy);
    if let Some(kind) = kind {
        kind.report(DocumentKind::Policy, &root, report);
        return None;
    }
    if matches!(root.kind, document::Kind::List(_)) {
        let help = "a policy begins with `domain: name`, and its list is under `descriptors`";
        document::wrong_type_with_help(&root, "a mapping", help, report);
        return None;
    }
    let mut domain = RawDomain {
        position: Some(root.position),
        name: Field::Absent,
        shadow_mode: None,
        quota_mode: None,
        atomic: None,
        lease_entry: None,
        response: None,
        on_store_error: None,
        plans: Vec::new(),
        descriptors: descriptors.into_top(),
    };
    if !root.is_null() {
        ROOT.read(&root, &mut domain, &LANGUAGE, report)?;
    }
    Some(domain)
}

/// Reads limits that are not in a policy.
pub(super) fn read_rate_limit(node: &Node, report: &mut Report) -> RawRateLimit {
    limit::read_at(node, node.position, report)
}

fn flag(pair: &Pair, report: &mut Report) -> Option<Spanned<bool>> {
    scalar::boolean(&pair.node, report).map(|value| pair.at_key(value))
}

fn text(pair: &Pair, report: &mut Report) -> Option<Spanned<Text>> {
    scalar::text(&pair.node, report).given().cloned()
}
