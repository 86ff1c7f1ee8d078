//! The keys of a mapping, checked against the table.

use super::keys::{self, Level};
use crate::document::{DocumentCode, Node, Pair, Position, Report, did_you_mean, mapping, quoted};
use crate::policy::PolicyCode;

/// A key that means something here, and what it holds.
pub(super) struct KnownField<'n> {
    pub(super) name: &'static str,
    pub(super) position: Position,
    pub(super) node: &'n Node,
}

/// Keys that must hold something: left out they would mean any value, which nobody who wrote them meant.
const NEVER_NULL: [&str; 4] = ["values", "value_sha256", "pattern", "cidr"];

/// The fields of a mapping that mean something at `level`; none if it is no mapping.
///
/// Null is the same as left out, as in the reference.
pub(super) fn fields<'n>(
    node: &'n Node,
    level: Level,
    report: &mut Report,
) -> Option<Vec<KnownField<'n>>> {
    let pairs = mapping(node, report)?;
    let mut known = Vec::with_capacity(pairs.len());
    for pair in pairs {
        match level.find(&pair.key) {
            Some(key) if pair.node.is_null() && !NEVER_NULL.contains(&key.name) => {}
            Some(key) => known.push(KnownField {
                name: key.name,
                position: pair.position,
                node: &pair.node,
            }),
            None => refuse(pair, level, report),
        }
    }
    Some(known)
}

fn refuse(pair: &Pair, level: Level, report: &mut Report) {
    let (key, position) = (quoted(&pair.key), Some(pair.position));
    if keys::is_of_reference(&pair.key) {
        let message = format!("{key} has no meaning in {} and is ignored", level.name());
        let hint = belongs(&pair.key).unwrap_or_else(|| "remove it".to_owned());
        report.add_with_hint(PolicyCode::MisplacedKey, position, message, hint);
        return;
    }
    let names = level.keys().map(|key| key.name);
    if let Some(hint) = belongs(&pair.key).or_else(|| did_you_mean(&pair.key, names)) {
        let message = format!("unknown key {key}");
        report.add_with_hint(DocumentCode::UnknownKey, position, message, hint);
    } else if pair.node.is_null() {
        // `{value: a, b}` makes a key of what was meant as a part of the value.
        let hint = "put text with a comma in quotes";
        report.add_with_hint(
            DocumentCode::UnknownKey,
            position,
            "a key without a value",
            hint,
        );
    } else {
        report.add(
            DocumentCode::UnknownKey,
            position,
            format!("unknown key {key}"),
        );
    }
}

/// Where a key that is known elsewhere should stand.
fn belongs(name: &str) -> Option<String> {
    let levels: Vec<&str> = keys::levels_of(name).map(Level::name).collect();
    (!levels.is_empty()).then(|| format!("it belongs in {}", levels.join(" or ")))
}
