//! `rate_limit`: one limit or a list of them.

use super::fields::{KnownField, fields};
use super::{Lazy, Level, RawLimit, RawRateLimit};
use crate::document::{
    Field, Kind, Node, Pair, PathElement, Position, Report, Spanned, Text, list, scalar,
};

/// Reads `rate_limit`, whose key stands at `position`.
pub(super) fn read(node: &Node, position: Position, report: &mut Report) -> RawRateLimit {
    let (is_list, limits) = match &node.kind {
        Kind::List(nodes) => {
            let read_at = |(at, node)| {
                report.within(PathElement::Index(at), |report| {
                    read_limit(node, Level::ListedLimit, report)
                })
            };
            (true, nodes.iter().enumerate().map(read_at).collect())
        }
        _ => (false, [read_limit(node, Level::Limit, report)].into()),
    };
    RawRateLimit {
        position: Some(position),
        is_list,
        limits,
    }
}

fn read_limit(node: &Node, level: Level, report: &mut Report) -> RawLimit {
    let mut limit = RawLimit {
        is_sound: false,
        shadow_mode: false,
        position: Some(node.position),
        unit: Field::Absent,
        requests_per_unit: Field::Absent,
        more: Lazy::DEFAULT,
    };
    if let Some(fields) = fields(node, level, report) {
        limit.is_sound = !has_refused_key(node, level);
        for field in fields {
            report.within(PathElement::Key(field.name), |report| {
                fill(&mut limit, &field, report);
            });
        }
    }
    limit
}

/// Whether a key was refused, so that what is missing besides is not worth a word.
fn has_refused_key(node: &Node, level: Level) -> bool {
    let is_refused =
        |pair: &Pair| level.find(&pair.key).is_none() && !super::keys::is_of_reference(&pair.key);
    matches!(&node.kind, Kind::Map(pairs) if pairs.iter().any(is_refused))
}

fn fill(limit: &mut RawLimit, field: &KnownField<'_>, report: &mut Report) {
    let node = field.node;
    match field.name {
        "unit" => limit.unit = scalar::text(node, report),
        "requests_per_unit" => limit.requests_per_unit = scalar::number(node, report),
        "unit_multiplier" => limit.more.get_mut().unit_multiplier = scalar::number(node, report),
        "name" => limit.more.get_mut().name = scalar::text(node, report),
        "replaces" => limit.more.get_mut().replaces = read_replaces(node, report),
        "algorithm" => limit.more.get_mut().algorithm = scalar::written(node, report),
        "burst" => limit.more.get_mut().burst = scalar::number(node, report),
        "max_in_flight" => limit.more.get_mut().max_in_flight = scalar::number(node, report),
        "lease_seconds" => limit.more.get_mut().lease_seconds = scalar::number(node, report),
        "charge" => limit.more.get_mut().charge = scalar::written(node, report),
        "shadow_mode" => limit.shadow_mode = scalar::is_set(node, report),
        "unlimited" => {
            limit.more.get_mut().unlimited = scalar::boolean(node, report).map(|value| Spanned {
                value,
                position: Some(field.position),
            });
        }
        _ => {}
    }
}

fn read_replaces(node: &Node, report: &mut Report) -> Vec<Spanned<Text>> {
    let mut names = Vec::new();
    for (at, node) in list(node, report).unwrap_or_default().iter().enumerate() {
        report.within(PathElement::Index(at), |report| {
            let Some(fields) = fields(node, Level::Replaces, report) else {
                return;
            };
            let mut name = Field::Absent;
            for field in fields {
                name = scalar::text(field.node, report);
            }
            let empty = || Spanned {
                value: "".into(),
                position: Some(node.position),
            };
            match name {
                Field::Given(name) => names.push(name),
                Field::Absent => names.push(empty()),
                Field::Invalid => {}
            }
        });
    }
    names
}
