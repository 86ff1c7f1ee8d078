//! The keys of a mapping, checked against the table.

use super::super::keys::{KEYS, Level};
use crate::document::{DocumentCode, Node, Pair, Position, Report, did_you_mean, mapping, quoted};

/// A key that means something here, and what it holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'n> {
    pub(super) name: &'static str,
    pub(super) position: Position,
    pub(super) node: &'n Node,
}

/// The keys of one mapping.
#[derive(Debug)]
pub(super) struct Fields<'n> {
    known: Vec<Known<'n>>,
    /// No key was refused.
    pub(super) is_sound: bool,
}

impl<'n> Fields<'n> {
    /// The fields of a mapping that mean something at `level`; none if it is no mapping.
    pub(super) fn of(node: &'n Node, level: Level, report: &mut Report) -> Option<Self> {
        let pairs = mapping(node, report)?;
        let mut known = Vec::with_capacity(pairs.len());
        for pair in pairs {
            match level.keys().find(|key| key.name == &*pair.key) {
                Some(key) => known.push(Known {
                    name: key.name,
                    position: pair.position,
                    node: &pair.node,
                }),
                None => refuse(pair, level, report),
            }
        }
        Some(Self {
            is_sound: known.len() == pairs.len(),
            known,
        })
    }

    pub(super) fn find(&self, name: &str) -> Option<&Known<'n>> {
        self.known.iter().find(|field| field.name == name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Known<'n>> {
        self.known.iter()
    }
}

fn refuse(pair: &Pair, level: Level, report: &mut Report) {
    let message = format!("unknown key {}", quoted(&pair.key));
    let elsewhere = KEYS.iter().find(|key| key.name == &*pair.key);
    let hint = match elsewhere {
        Some(key) => Some(format!("it belongs in {}", key.level.name())),
        None => did_you_mean(&pair.key, level.keys().map(|key| key.name)),
    };
    match hint {
        Some(hint) => {
            report.add_with_hint(DocumentCode::UnknownKey, Some(pair.position), message, hint)
        }
        None => report.add(DocumentCode::UnknownKey, Some(pair.position), message),
    }
}
