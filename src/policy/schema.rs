//! The raw form of a policy: what a file says, with places, before anybody asks what it means.
//!
//! Places are optional, because files are not the only source that a policy can have.

mod descriptor;
mod excerpt;
pub(crate) mod fields;
mod keys;
mod limit;
mod merge;
pub(crate) mod metadata;
mod rare;
mod response;
pub(crate) mod scalar;
pub(crate) mod yaml;

pub use excerpt::{Excerpt, excerpts};
pub(crate) use keys::{ALGORITHMS, CHARGES, ON_STORE_ERROR, SETS, reference_keys};
pub use keys::{KEYS, Key, Level, Shape};
pub(crate) use yaml::Text;

use super::report::{Report, Step};
use super::{Metadata, Place};
use descriptor::Descriptors;
use fields::fields;
use rare::{Absent, Rare};

/// Something and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) place: Option<Place>,
}

/// The same thing is the same wherever it stands.
impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// What a key holds.
#[derive(Clone, Debug)]
pub(crate) enum Field<T> {
    /// It is left out, or null.
    Absent,
    /// It is wrong, which was said already.
    Bad,
    /// This.
    Given(Spanned<T>),
}

/// One domain.
#[derive(Debug)]
pub(crate) struct RawDomain {
    pub(crate) place: Option<Place>,
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
    pub(crate) place: Option<Place>,
    pub(crate) key: Field<Text>,
    pub(crate) value: Field<Text>,
    pub(crate) shapes: Rare<RawShapes>,
    pub(crate) rate_limit: Option<RawRateLimit>,
    pub(crate) more: Rare<RawMore>,
    pub(crate) descriptors: RawDescriptors,
}

/// The rarer ways to say which values fit.
#[derive(Debug)]
pub(crate) struct RawShapes {
    pub(crate) values: Field<Vec<Spanned<Text>>>,
    pub(crate) value_sha256: Field<Text>,
    pub(crate) pattern: Field<Text>,
    /// Blocks of addresses, as written.
    pub(crate) cidr: Field<Vec<Spanned<Text>>>,
    pub(crate) count_by: Field<Vec<Spanned<Text>>>,
}

/// What else a descriptor can say.
#[derive(Debug)]
pub(crate) struct RawMore {
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
    pub(crate) place: Option<Place>,
    pub(crate) is_list: bool,
    pub(crate) limits: Box<[RawLimit]>,
}

/// One limit.
#[derive(Debug)]
pub(crate) struct RawLimit {
    /// False if it is no mapping, or has keys that were refused.
    pub(crate) is_sound: bool,
    pub(crate) shadow_mode: bool,
    pub(crate) place: Option<Place>,
    pub(crate) unit: Field<Text>,
    pub(crate) requests_per_unit: Field<u32>,
    pub(crate) more: Rare<RawMoreOfLimit>,
}

/// What else a limit can say.
#[derive(Debug)]
pub(crate) struct RawMoreOfLimit {
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

impl Absent for RawShapes {
    const NOTHING: &Self = &Self::ABSENT;
    const ABSENT: Self = Self {
        values: Field::Absent,
        value_sha256: Field::Absent,
        pattern: Field::Absent,
        cidr: Field::Absent,
        count_by: Field::Absent,
    };
}

impl Absent for RawMore {
    const NOTHING: &Self = &Self::ABSENT;
    const ABSENT: Self = Self {
        flags: Vec::new(),
        metadata: None,
        response: None,
        on_store_error: Field::Absent,
    };
}

impl Absent for RawMoreOfLimit {
    const NOTHING: &Self = &Self::ABSENT;
    const ABSENT: Self = Self {
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

impl<T> Field<T> {
    pub(crate) fn given(&self) -> Option<&Spanned<T>> {
        match self {
            Self::Given(spanned) => Some(spanned),
            Self::Absent | Self::Bad => None,
        }
    }

    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
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
    let root = yaml::parse_by_element(text, &mut descriptors, report)?;
    let mut domain = RawDomain {
        place: Some(root.place),
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
        let place = Some(field.place);
        let spanned = |value| Spanned { value, place };
        report.within(Step::Key(field.name), |report| match field.name {
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
                    place,
                });
            }
            "response" => {
                let read = response::read(field.node, report);
                domain.response = read.map(|value| Spanned { value, place });
            }
            "on_store_error" => {
                if let Field::Given(word) = scalar::text(field.node, report) {
                    domain.on_store_error = Some(Spanned { value: word, place });
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
