//! `assign` and `unassign`: a row of a table, as it is added to a running server.

use super::{LANGUAGE, scalars, types};
use crate::clock::Timestamp;
use crate::document::{Key, Level, Node, Report};

/// A row of a table; each value is `None` if it is left out or invalid.
#[derive(Clone, Debug, Default)]
pub(in crate::scenario) struct RawAssignment {
    pub(in crate::scenario) domain: Option<String>,
    pub(in crate::scenario) table: Option<String>,
    pub(in crate::scenario) value: Option<String>,
    pub(in crate::scenario) plan: Option<String>,
    pub(in crate::scenario) rate_limit: Option<String>,
    pub(in crate::scenario) until: Option<Timestamp>,
    pub(in crate::scenario) note: Option<String>,
}

#[rustfmt::skip]
pub(super) static ASSIGNED: Level<RawAssignment> = Level {
    name: "`unassign`",
    definition: "unassign",
    required: &["table", "value"],
    base: None,
    keys: &[
        Key::new("domain", types::TEXT, super::DOMAIN,
            |row, pair, report| row.domain = scalars::name(&pair.node, report)),
        Key::new("table", types::TEXT, "The name of the table.",
            |row, pair, report| row.table = scalars::name(&pair.node, report)),
        Key::new("value", types::SECRET_TEXT, "The value of the client.",
            |row, pair, report| row.value = scalars::name(&pair.node, report)),
    ],
};

#[rustfmt::skip]
pub(super) static ASSIGN: Level<RawAssignment> = Level {
    name: "`assign`",
    definition: "assign",
    required: &["table", "value"],
    base: Some(&ASSIGNED),
    keys: &[
        Key::new("plan", types::TEXT, "The name of a plan.",
            |row, pair, report| row.plan = scalars::name(&pair.node, report)),
        Key::new("rate_limit", types::TEXT, "In place of a plan: `1200 per minute`, or limits as in a policy.",
            |row, pair, report| row.rate_limit = scalars::name(&pair.node, report)),
        Key::new("until", types::TIMESTAMP, "When it ends: RFC 3339 in UTC, or Unix seconds.",
            |row, pair, report| row.until = scalars::timestamp(&pair.node, report)),
        Key::new("note", types::TEXT, "Why.",
            |row, pair, report| row.note = scalars::name(&pair.node, report)),
    ],
};

/// Reads a row of that level.
pub(super) fn read(
    level: &Level<RawAssignment>,
    node: &Node,
    report: &mut Report,
) -> Option<RawAssignment> {
    let mut row = RawAssignment::default();
    level.read(node, &mut row, &LANGUAGE, report)?;
    Some(row)
}
