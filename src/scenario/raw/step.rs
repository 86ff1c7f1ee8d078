//! An element of `steps`.

use std::path::PathBuf;

use super::{
    LANGUAGE, RawAssignment, RawExpectation, assignment, expect, read_paths, scalars, types,
};
use crate::clock::{Micros, Timestamp};
use crate::document::{
    AnyLevel, DocumentCode, Field, Key, Kind, Level, Node, Pair, PathElement, Position, Report,
    Spanned, mapping, scalar, wrong_type,
};
use crate::limit::Rate;
use crate::request::{Cost, Descriptor, Entry};
use crate::scenario::ScenarioCode;
use crate::scenario::test_file::MAX_TIMES;

/// One step.
#[derive(Debug)]
pub(in crate::scenario) struct RawStep {
    pub(in crate::scenario) position: Position,
    pub(in crate::scenario) action: RawAction,
}

/// The action of a step.
#[derive(Debug)]
pub(in crate::scenario) enum RawAction {
    Request(Box<RawRequest>),
    Wait(Micros),
    At(Timestamp),
    Reload(Field<Vec<PathBuf>>),
    Assign(RawAssignment),
    Unassign(RawAssignment),
}

/// A request, and everything that a step with `ask` can have.
#[derive(Debug, Default)]
pub(in crate::scenario) struct RawRequest {
    /// `None` for an invalid descriptor.
    pub(in crate::scenario) descriptors: Vec<Option<Descriptor>>,
    pub(in crate::scenario) domain: Option<String>,
    pub(in crate::scenario) times: Option<u32>,
    pub(in crate::scenario) every: Option<Micros>,
    /// `hits`, `refund` and `look`, as far as they are written, with the positions of their keys.
    pub(in crate::scenario) costs: Vec<Spanned<RawCost>>,
    /// An element of a list may be null.
    pub(in crate::scenario) overrides: Option<PerDescriptor<Option<Rate>>>,
    pub(in crate::scenario) keep: Option<Spanned<String>>,
    pub(in crate::scenario) give_back: Option<Spanned<String>>,
    pub(in crate::scenario) expect: Option<RawExpectation>,
}

/// The value of `hits`, `refund` or `look`.
#[derive(Debug)]
pub(in crate::scenario) struct RawCost {
    pub(in crate::scenario) key: &'static str,
    pub(in crate::scenario) costs: PerDescriptor<Cost>,
}

/// One value for all descriptors, or one for each.
#[derive(Debug)]
pub(in crate::scenario) enum PerDescriptor<T> {
    All(T),
    Each(Spanned<Vec<T>>),
}

/// The valid values of the keys of a step.
#[derive(Debug, Default)]
pub(super) struct StepKeys {
    request: RawRequest,
    wait: Option<Micros>,
    at: Option<Timestamp>,
    reload: Field<Vec<PathBuf>>,
    assign: Option<RawAssignment>,
    unassign: Option<RawAssignment>,
}

/// The keys of which a step has exactly one.
pub(super) const ACTIONS: [&str; 6] = ["ask", "wait", "at", "reload", "assign", "unassign"];

#[rustfmt::skip]
pub(super) static STEP: Level<StepKeys> = Level {
    name: "a step",
    definition: "step",
    required: &[],
    base: None,
    keys: &[
        Key::new("ask", types::DESCRIPTORS,
            "A request: one descriptor as a mapping, or a list of several.",
            |step, pair, report| step.request.descriptors = read_descriptors(&pair.node, report)),
        Key::new("domain", types::TEXT, super::DOMAIN,
            |step, pair, report| step.request.domain = scalars::name(&pair.node, report)),
        Key::new("times", types::NUMBER, "How many times it is sent; once if left out.",
            |step, pair, report| step.request.times = read_times(&pair.node, report)),
        Key::new("every", types::DURATION,
            "The time between one of the times and the next; none if left out.",
            |step, pair, report| step.request.every = scalars::duration(&pair.node, report)),
        Key::new("hits", types::SIGNED_NUMBERS,
            "The hits: 0 for a peek, a negative number for a refund; 1 if left out.",
            |step, pair, report| step.add_cost("hits", pair, report, read_hits)),
        Key::new("refund", types::NUMBERS, "The hits that it gives back.",
            |step, pair, report| step.add_cost("refund", pair, report, read_refund)),
        Key::new("look", types::FLAGS, "Whether it is a peek, which does not count.",
            |step, pair, report| step.add_cost("look", pair, report, read_peek)),
        Key::new("limit", types::RATES,
            "An override of the policy's limit, such as `600 per minute`.",
            |step, pair, report| step.request.overrides = Some(read_overrides(&pair.node, report))),
        Key::new("keep", types::TEXT, "The name under which the granted lease is kept.",
            |step, pair, report| step.request.keep = read_lease_name(&pair.node, report)),
        Key::new("give_back", types::TEXT, "The name of a kept lease, which it releases.",
            |step, pair, report| step.request.give_back = read_lease_name(&pair.node, report)),
        Key::new("expect", types::EXPECT, "The expected answer.",
            |step, pair, report| step.request.expect = expect::read(&pair.node, report)),
        Key::new("wait", types::DURATION, "Moves the clock forward: `30s`, `1m30s`, `250ms`.",
            |step, pair, report| step.wait = scalars::duration(&pair.node, report)),
        Key::new("at", types::TIMESTAMP, "Sets the clock: RFC 3339 in UTC, or Unix seconds.",
            |step, pair, report| step.at = scalars::timestamp(&pair.node, report)),
        Key::new("reload", types::PATHS, "Puts another policy in force; counters are kept.",
            |step, pair, report| step.reload = read_paths(&pair.node, report)),
        Key::new("assign", types::ASSIGN, "Gives a value of a table a plan or limits, as `weir assign set` does.",
            |step, pair, report| step.assign = assignment::read(&assignment::ASSIGN, &pair.node, report)),
        Key::new("unassign", types::UNASSIGN, "Removes what was assigned to a value, as `weir assign remove` does.",
            |step, pair, report| step.unassign = assignment::read(&assignment::ASSIGNED, &pair.node, report)),
    ],
};

/// Reads a step; `None` and a finding if its action is missing, invalid or not the only one.
pub(super) fn read(node: &Node, report: &mut Report) -> Option<RawStep> {
    let position = node.position;
    let mut keys = StepKeys::default();
    let all_known = STEP.read(node, &mut keys, &LANGUAGE, report)?;
    let pairs = mapping(node, report)?;
    let actions: Vec<&Pair> = pairs
        .iter()
        .filter(|pair| ACTIONS.contains(&&*pair.key))
        .collect();
    let [action] = actions[..] else {
        // An unknown key may be a misspelled action.
        if all_known || !actions.is_empty() {
            let message = match actions.len() {
                0 => "a step without an action",
                _ => "a step with more than one action",
            };
            let help = "a step has one of `ask`, `wait`, `at`, `reload`, `assign` and `unassign`";
            report.add_with_help(ScenarioCode::InvalidStep, Some(position), message, help);
        }
        return None;
    };
    if &*action.key != "ask" {
        let known = STEP.keys();
        let is_known = |pair: &&Pair| known.iter().any(|key| *key.name == *pair.key);
        for pair in pairs.iter().filter(is_known) {
            if pair.key != action.key {
                let message = format!("`{}` without `ask`", pair.key);
                report.add(ScenarioCode::InvalidStep, Some(pair.position), message);
            }
        }
    }
    let action = match &*action.key {
        "ask" => RawAction::Request(Box::new(keys.request)),
        "wait" => RawAction::Wait(keys.wait?),
        "at" => RawAction::At(keys.at?),
        "assign" => RawAction::Assign(keys.assign?),
        "unassign" => RawAction::Unassign(keys.unassign?),
        _ => RawAction::Reload(keys.reload),
    };
    Some(RawStep { position, action })
}

impl StepKeys {
    fn add_cost(
        &mut self,
        key: &'static str,
        pair: &Pair,
        report: &mut Report,
        read: fn(&Node, &mut Report) -> Option<Cost>,
    ) {
        let costs = read_per_descriptor(&pair.node, report, |node, report| {
            read(node, report).unwrap_or_default()
        });
        self.request.costs.push(pair.at_key(RawCost { key, costs }));
    }
}

/// Reads one value for all descriptors, or a list with one for each.
fn read_per_descriptor<T>(
    node: &Node,
    report: &mut Report,
    mut read: impl FnMut(&Node, &mut Report) -> T,
) -> PerDescriptor<T> {
    match &node.kind {
        Kind::List(nodes) => PerDescriptor::Each(Spanned {
            value: nodes.iter().map(|node| read(node, report)).collect(),
            position: Some(node.position),
        }),
        _ => PerDescriptor::All(read(node, report)),
    }
}

fn read_hits(node: &Node, report: &mut Report) -> Option<Cost> {
    let hits = scalars::signed(node, report)?;
    let count = u32::try_from(hits.unsigned_abs()).unwrap_or(u32::MAX);
    Some(match hits {
        0 => Cost::Peek,
        1.. => Cost::Hits(count),
        _ => Cost::Refund(count),
    })
}

fn read_refund(node: &Node, report: &mut Report) -> Option<Cost> {
    scalars::number(node, report).map(Cost::Refund)
}

fn read_peek(node: &Node, report: &mut Report) -> Option<Cost> {
    scalar::is_set(node, report).then_some(Cost::Peek)
}

fn read_overrides(node: &Node, report: &mut Report) -> PerDescriptor<Option<Rate>> {
    let is_list = matches!(node.kind, Kind::List(_));
    read_per_descriptor(node, report, |node, report| {
        // In a list, null is for a descriptor without an override.
        match is_list && node.is_null() {
            true => None,
            false => scalars::rate(node, report),
        }
    })
}

fn read_times(node: &Node, report: &mut Report) -> Option<u32> {
    let times = scalars::number(node, report)?;
    if !(1..=MAX_TIMES).contains(&times) {
        let message = format!("`times` must be from 1 to {MAX_TIMES}");
        report.add(DocumentCode::InvalidNumber, Some(node.position), message);
        return None;
    }
    Some(times)
}

fn read_lease_name(node: &Node, report: &mut Report) -> Option<Spanned<String>> {
    scalars::name(node, report).map(|value| Spanned {
        value,
        position: Some(node.position),
    })
}

/// Reads one descriptor, or a list of at least one.
fn read_descriptors(node: &Node, report: &mut Report) -> Vec<Option<Descriptor>> {
    let Kind::List(nodes) = &node.kind else {
        return vec![read_descriptor(node, report)];
    };
    if nodes.is_empty() {
        let message = "a request has at least one descriptor";
        report.add(DocumentCode::EmptyList, Some(node.position), message);
        return vec![None];
    }
    let read_at = |(at, node)| {
        report.within(PathElement::Index(at), |report| {
            read_descriptor(node, report)
        })
    };
    nodes.iter().enumerate().map(read_at).collect()
}

/// Reads a mapping, or a list of mappings for entries with the same key.
fn read_descriptor(node: &Node, report: &mut Report) -> Option<Descriptor> {
    let mut entries = Vec::new();
    match &node.kind {
        Kind::List(nodes) => {
            for node in nodes.iter() {
                read_entries(node, &mut entries, report)?;
            }
        }
        _ => read_entries(node, &mut entries, report)?,
    }
    Some(Descriptor {
        entries,
        ..Descriptor::default()
    })
}

fn read_entries(node: &Node, entries: &mut Vec<Entry>, report: &mut Report) -> Option<()> {
    let mut all_valid = true;
    for pair in mapping(node, report)? {
        let value = match &pair.node.kind {
            Kind::Scalar(_, _) if pair.node.is_null() => "",
            Kind::Scalar(text, _) => text,
            Kind::List(_) | Kind::Map(_) => {
                wrong_type(&pair.node, "text", report);
                all_valid = false;
                continue;
            }
        };
        entries.push(Entry {
            key: pair.key.as_bytes().to_vec().into(),
            value: value.as_bytes().to_vec().into(),
        });
    }
    all_valid.then_some(())
}
