//! The raw form of a policy: what its files say, with positions, before it is checked and compiled.
//!
//! Positions are optional: a policy may come from elsewhere than a file.

mod descriptor;
mod fields;
mod keys;
mod lazy;
mod limit;
mod response;

use crate::document::{
    self, Field, Metadata, PathElement, Position, Report, Spanned, Text, scalar,
};
use descriptor::Descriptors;
use fields::fields;
pub(crate) use keys::{ALGORITHMS, CHARGES, ON_STORE_ERROR, SETS, reference_keys};
pub(super) use keys::{KEYS, Key, Level, Shape};
use lazy::{Defaulted, Lazy};

/// One domain.
#[derive(Debug)]
pub(crate) struct RawDomain {
    pub(crate) position: Option<Position>,
    pub(crate) name: Field<Text>,
    pub(crate) shadow_mode: Option<Spanned<bool>>,
    pub(crate) quota_mode: Option<Spanned<bool>>,
    pub(crate) atomic: Option<Spanned<bool>>,
    pub(crate) lease_entry: Option<Spanned<Text>>,
    pub(crate) response: Option<Spanned<RawResponse>>,
    pub(crate) on_store_error: Option<Spanned<Spanned<Text>>>,
    pub(crate) descriptors: RawDescriptors,
}

/// The nodes of a level, each freed when it is compiled.
pub(crate) type RawDescriptors = Vec<Box<RawDescriptor>>;

/// One node of the tree.
#[derive(Debug)]
pub(crate) struct RawDescriptor {
    /// False if it is no mapping at all, which was said already.
    pub(crate) is_sound: bool,
    pub(crate) position: Option<Position>,
    pub(crate) key: Field<Text>,
    pub(crate) value: Field<Text>,
    pub(crate) shapes: Lazy<RawMatchers>,
    pub(crate) rate_limit: Option<RawRateLimit>,
    pub(crate) more: Lazy<RawDescriptorExtras>,
    pub(crate) descriptors: RawDescriptors,
}

/// The rarer ways to say which values fit.
#[derive(Debug)]
pub(crate) struct RawMatchers {
    pub(crate) values: Field<Vec<Spanned<Text>>>,
    pub(crate) value_sha256: Field<Text>,
    pub(crate) pattern: Field<Text>,
    /// Blocks of addresses, as written.
    pub(crate) cidr: Field<Vec<Spanned<Text>>>,
    pub(crate) count_by: Field<Vec<Spanned<Text>>>,
}

/// What else a descriptor can say.
#[derive(Debug)]
pub(crate) struct RawDescriptorExtras {
    /// The flags that are set.
    pub(crate) flags: Vec<Spanned<Flag>>,
    pub(crate) metadata: Option<Metadata>,
    pub(crate) response: Option<RawResponse>,
    pub(crate) on_store_error: Field<Text>,
}

/// What a descriptor can be besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flag {
    Shadow,
    Quota,
    DetailedMetric,
    ValueToMetric,
    Shared,
    Secret,
}

/// `rate_limit`: one limit or a list of them.
#[derive(Debug)]
pub(crate) struct RawRateLimit {
    pub(crate) position: Option<Position>,
    pub(crate) is_list: bool,
    pub(crate) limits: Box<[RawLimit]>,
}

/// One limit.
#[derive(Debug)]
pub(crate) struct RawLimit {
    /// False if it is no mapping, or has keys that were refused.
    pub(crate) is_sound: bool,
    pub(crate) shadow_mode: bool,
    pub(crate) position: Option<Position>,
    pub(crate) unit: Field<Text>,
    pub(crate) requests_per_unit: Field<u32>,
    pub(crate) more: Lazy<RawLimitExtras>,
}

/// What else a limit can say.
#[derive(Debug)]
pub(crate) struct RawLimitExtras {
    pub(crate) unit_multiplier: Field<u32>,
    pub(crate) unlimited: Option<Spanned<bool>>,
    pub(crate) name: Field<Text>,
    /// Names; empty if there is none.
    pub(crate) replaces: Vec<Spanned<Text>>,
    pub(crate) algorithm: Field<Text>,
    pub(crate) burst: Field<u32>,
    pub(crate) charge: Field<Text>,
    pub(crate) max_in_flight: Field<u32>,
    pub(crate) lease_seconds: Field<u32>,
}

/// A `response` block.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct RawResponse {
    pub(crate) headers: Vec<RawHeader>,
    /// Names of sets of headers.
    pub(crate) standard: Vec<Spanned<Text>>,
    pub(crate) over_limit_standard: Vec<Spanned<Text>>,
    pub(crate) over_limit_headers: Vec<RawHeader>,
    pub(crate) body: Option<Spanned<Text>>,
}

/// A header and its template.
#[derive(Debug, PartialEq)]
pub(crate) struct RawHeader {
    pub(crate) name: Spanned<Text>,
    pub(crate) value: Spanned<Text>,
}

impl Defaulted for RawMatchers {
    const DEFAULT_REF: &Self = &Self::DEFAULT;
    const DEFAULT: Self = Self {
        values: Field::Absent,
        value_sha256: Field::Absent,
        pattern: Field::Absent,
        cidr: Field::Absent,
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
    };
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
    };
}

impl Flag {
    /// The key that sets it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Shadow => "shadow_mode",
            Self::Quota => "quota_mode",
            Self::DetailedMetric => "detailed_metric",
            Self::ValueToMetric => "value_to_metric",
            Self::Shared => "share_threshold",
            Self::Secret => "secret",
        }
    }
}

/// Reads one domain from the text of a file; none if there is no sense in going on.
pub(crate) fn read(text: &str, report: &mut Report) -> Option<RawDomain> {
    let mut descriptors = Descriptors::default();
    let root = document::parse_by_element(text, &mut descriptors, report)?;
    let mut domain = RawDomain {
        position: Some(root.position),
        name: Field::Absent,
        shadow_mode: None,
        quota_mode: None,
        atomic: None,
        lease_entry: None,
        response: None,
        on_store_error: None,
        descriptors: descriptors.into_top(),
    };
    if root.is_null() {
        return Some(domain);
    }
    for field in fields(&root, Level::Root, report)? {
        let position = Some(field.position);
        let spanned = |value| Spanned { value, position };
        report.within(PathElement::Key(field.name), |report| match field.name {
            "domain" => domain.name = scalar::text(field.node, report),
            "shadow_mode" => {
                domain.shadow_mode = scalar::boolean(field.node, report).map(spanned);
            }
            "quota_mode" => {
                domain.quota_mode = scalar::boolean(field.node, report).map(spanned);
            }
            "atomic" => domain.atomic = scalar::boolean(field.node, report).map(spanned),
            "lease_entry" => {
                let text = scalar::text(field.node, report);
                domain.lease_entry = text.given().map(|text| Spanned {
                    value: text.value.clone(),
                    position,
                });
            }
            "response" => {
                let read = response::read(field.node, report);
                domain.response = read.map(|value| Spanned { value, position });
            }
            "on_store_error" => {
                if let Field::Given(word) = scalar::text(field.node, report) {
                    domain.on_store_error = Some(Spanned {
                        value: word,
                        position,
                    });
                }
            }
            "descriptors" => {
                let others = descriptor::read_all(field.node, report);
                domain.descriptors.extend(others);
            }
            _ => {}
        });
    }
    Some(domain)
}
