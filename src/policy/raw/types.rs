//! The types of values in the policy language.

use serde_json::{Value as Json, json};

use crate::document::{ValueType, Visibility};
use crate::limit::{LimitSet, Penalty, Window};
use crate::request::Unit;

/// The algorithms of a limit; the first is the default.
pub(in crate::policy) const ALGORITHMS: &[&str] = &[
    "fixed_window",
    "sliding_window",
    "token_bucket",
    "concurrency",
];

/// Whether a refused hit is charged.
pub(in crate::policy) const CHARGES: &[&str] = &["always", "allowed"];

/// The days on which a week can begin; the first is the default.
pub(in crate::policy) const WEEKDAYS: &[&str] = &[
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// The response when hits cannot be counted; the first is the default.
pub(in crate::policy) const ON_STORE_ERROR: &[&str] = &["local", "allow", "deny", "error"];

/// The sets of headers that `standard` accepts.
pub(in crate::policy) const SETS: &[&str] = &["x-ratelimit", "ratelimit", "retry-after"];

pub(super) const TEXT: ValueType =
    ValueType::new(|| json!({"type": ["string", "number", "boolean", "null"]}));

/// The name of a plan or of a table.
pub(super) const NAME: ValueType =
    ValueType::new(|| json!({"type": ["string", "number", "boolean"]})).not_null();

/// Plans by name.
pub(super) const PLANS: ValueType = ValueType::new(
    || json!({"type": ["object", "null"], "additionalProperties": reference("plan")}),
);

/// The value of an entry, perhaps with a wildcard.
pub(super) const VALUE: ValueType = TEXT.visible(Visibility::UnlessSecret);

pub(super) const VALUES: ValueType = ValueType::new(|| some_of(&scalar()))
    .visible(Visibility::UnlessSecret)
    .not_null();

/// The SHA-256 of a value, in hex.
pub(super) const HASH: ValueType =
    ValueType::new(|| json!({"type": ["string", "number"], "pattern": "^[0-9A-Fa-f]{64}$"}))
        .visible(Visibility::UnlessSecret)
        .not_null();

/// A path template.
pub(super) const PATTERN: ValueType =
    ValueType::new(|| json!({"type": "string", "pattern": "^([^ /][^ ]* )?/"}))
        .visible(Visibility::UnlessSecret)
        .not_null();

/// A CIDR block, or a list of them.
pub(super) const CIDR: ValueType = ValueType::new(|| {
    one_or_more(&json!({"type": "string", "pattern": "^[0-9A-Fa-f:.]+(/[0-9]+)?$"}))
})
.visible(Visibility::UnlessSecret)
.not_null();

/// Lengths of prefixes, by family.
pub(super) const COUNT_PREFIX: ValueType =
    ValueType::new(|| or_null(reference("count_prefix"))).visible(Visibility::ByKey);

pub(super) const PREFIX_V4: ValueType = ValueType::new(|| prefix_len(32));

pub(super) const PREFIX_V6: ValueType = ValueType::new(|| prefix_len(128));

/// Names that a pattern captures.
pub(super) const CAPTURES: ValueType =
    ValueType::new(|| json!({"type": ["array", "null"], "items": scalar()}))
        .visible(Visibility::UnlessSecret);

pub(super) const FLAG: ValueType = ValueType::new(|| {
    json!({"anyOf": [
        {"type": ["boolean", "null"]},
        {"enum": ["yes", "no", "on", "off"]},
        {"type": "string", "pattern": "^([Yy]|[Nn]|Yes|YES|No|NO|On|ON|Off|OFF)$"},
    ]})
});

/// `secret: pk_live_…` is an easy mistake.
pub(super) const SECRET: ValueType = FLAG.visible(Visibility::Hidden);

pub(super) const NUMBER: ValueType = ValueType::new(|| number(0));

/// A number from 1.
pub(super) const POSITIVE: ValueType = ValueType::new(|| number(1));

pub(super) const UNIT: ValueType = ValueType::new(unit);

pub(super) const ALGORITHM: ValueType = ValueType::new(|| or_null(json!({"enum": ALGORITHMS})));

pub(super) const CHARGE: ValueType = ValueType::new(|| or_null(json!({"enum": CHARGES})));

/// A name of the IANA database.
pub(super) const TIME_ZONE: ValueType = ValueType::new(|| json!({"type": ["string", "null"]}));

pub(super) const WEEKDAY: ValueType = ValueType::new(|| or_null(json!({"enum": WEEKDAYS})));

pub(super) const DAY_OF_MONTH: ValueType =
    ValueType::new(|| json!({"type": ["integer", "null"], "minimum": 1, "maximum": 31}));

/// A number of seconds, or a list of them.
pub(super) const BLOCKS: ValueType = ValueType::new(|| {
    let secs = json!({"type": "integer", "minimum": 1, "maximum": Window::MAX_SECS});
    let mut several = some_of(&secs);
    several["maxItems"] = Penalty::MAX_LEVELS.into();
    or_null(json!({"anyOf": [secs, several]}))
});

pub(super) const STORE_ERROR: ValueType =
    ValueType::new(|| or_null(json!({"enum": ON_STORE_ERROR})));

/// A set of headers, or a list of them.
pub(super) const STANDARD: ValueType =
    ValueType::new(|| or_null(one_or_more(&json!({"enum": SETS}))));

pub(super) const METADATA: ValueType = ValueType::new(|| json!({"type": ["object", "null"]}));

/// Names and templates.
pub(super) const HEADERS: ValueType = ValueType::new(|| {
    json!({
        "type": ["object", "null"],
        "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
    })
});

pub(super) const DESCRIPTORS: ValueType =
    ValueType::new(|| list_of("descriptor")).visible(Visibility::ByKey);

pub(super) const REPLACES: ValueType =
    ValueType::new(|| list_of("replaced")).visible(Visibility::ByKey);

/// A limit, or a list of them.
pub(super) const RATE_LIMIT: ValueType = ValueType::new(|| {
    let mut limits = some_of(&reference("listed_limit"));
    limits["maxItems"] = LimitSet::MAX.into();
    json!({"anyOf": [reference("limit"), limits, {"type": "null"}]})
})
.visible(Visibility::ByKey);

pub(super) const RESPONSE: ValueType =
    ValueType::new(|| or_null(reference("response"))).visible(Visibility::ByKey);

pub(super) const OVER_LIMIT: ValueType =
    ValueType::new(|| or_null(reference("over_limit"))).visible(Visibility::ByKey);

fn scalar() -> Json {
    json!({"type": ["string", "number", "boolean"]})
}

fn number(least: u32) -> Json {
    json!({"type": ["integer", "null"], "minimum": least, "maximum": u32::MAX})
}

fn prefix_len(most: u8) -> Json {
    json!({"type": ["integer", "null"], "minimum": 1, "maximum": most})
}

fn or_null(schema: Json) -> Json {
    json!({"anyOf": [schema, {"type": "null"}]})
}

fn some_of(schema: &Json) -> Json {
    json!({"type": "array", "minItems": 1, "items": schema})
}

fn one_or_more(schema: &Json) -> Json {
    json!({"anyOf": [schema, some_of(schema)]})
}

fn reference(definition: &str) -> Json {
    json!({"$ref": format!("#/$defs/{definition}")})
}

fn list_of(definition: &str) -> Json {
    json!({"type": ["array", "null"], "items": reference(definition)})
}

/// The units as they are usually written, and in any case.
fn unit() -> Json {
    let any_case = |name: &str| -> String {
        let each = name
            .chars()
            .map(|c| format!("[{}{c}]", c.to_ascii_uppercase()));
        each.collect()
    };
    let names = Unit::ALL.map(Unit::name);
    let pattern = format!("^({})$", names.map(any_case).join("|"));
    json!({"anyOf": [
        {"enum": names},
        {"type": "string", "pattern": pattern},
        {"type": "null"},
    ]})
}
