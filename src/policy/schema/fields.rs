//! The keys of a mapping, checked against the table.

use super::keys::{self, Level};
use super::yaml::{Kind, Node, Pair};
use crate::policy::report::{Report, did_you_mean, quoted};
use crate::policy::{Code, Place};

/// A key that means something here, and what it holds.
pub(super) struct KnownField<'n> {
    pub(super) name: &'static str,
    pub(super) place: Place,
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
                place: pair.place,
                node: &pair.node,
            }),
            None => refuse(pair, level, report),
        }
    }
    Some(known)
}

/// The pairs of a mapping; none, and an error, if it is something else.
pub(crate) fn mapping<'n>(node: &'n Node, report: &mut Report) -> Option<&'n [Pair]> {
    match &node.kind {
        Kind::Map(pairs) => Some(pairs),
        _ => {
            wrong_type(node, "a mapping", report);
            None
        }
    }
}

/// The elements of a list; none, and an error, if it is something else.
pub(crate) fn list<'n>(node: &'n Node, report: &mut Report) -> Option<&'n [Node]> {
    match &node.kind {
        Kind::List(nodes) => Some(nodes),
        _ => {
            wrong_type(node, "a list", report);
            None
        }
    }
}

/// Says that something else was expected. What is found is named by its kind, never quoted.
pub(crate) fn wrong_type(node: &Node, expected: &str, report: &mut Report) {
    let found = match node.kind {
        Kind::Map(_) => "a mapping",
        Kind::List(_) => "a list",
        Kind::Scalar(..) if node.is_null() => "nothing",
        Kind::Scalar(..) => "a scalar",
    };
    let message = format!("expected {expected}, found {found}");
    report.say(Code::WrongType, Some(node.place), message);
}

fn refuse(pair: &Pair, level: Level, report: &mut Report) {
    let (key, place) = (quoted(&pair.key), Some(pair.place));
    if keys::is_of_reference(&pair.key) {
        let message = format!("{key} has no meaning in {} and is ignored", level.name());
        let hint = belongs(&pair.key).unwrap_or_else(|| "remove it".to_owned());
        report.hint(Code::MisplacedKey, place, (message, hint));
        return;
    }
    let names = level.keys().map(|key| key.name);
    if let Some(hint) = belongs(&pair.key).or_else(|| did_you_mean(&pair.key, names)) {
        let message = format!("unknown key {key}");
        report.hint(Code::UnknownKey, place, (message, hint));
    } else if pair.node.is_null() {
        // `{value: a, b}` makes a key of what was meant as a part of the value.
        let hint = "put text with a comma in quotes";
        report.hint(Code::UnknownKey, place, ("a key without a value", hint));
    } else {
        report.say(Code::UnknownKey, place, format!("unknown key {key}"));
    }
}

/// Where a key that is known elsewhere should stand.
fn belongs(name: &str) -> Option<String> {
    let levels: Vec<&str> = keys::levels_of(name).map(Level::name).collect();
    (!levels.is_empty()).then(|| format!("it belongs in {}", levels.join(" or ")))
}
