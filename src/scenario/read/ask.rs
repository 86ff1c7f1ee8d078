//! `ask`: requests, and what they cost.

use bytes::Bytes;

use super::fields::{Fields, Known};
use super::{Reader, StepContext, scalars};
use crate::document::{
    DocumentCode, Kind, Node, PathElement, Position, mapping, scalar, wrong_type,
};
use crate::request::{Cost, Descriptor, Entry};
use crate::scenario::ScenarioCode;
use crate::scenario::test_file::TestRequest;

/// The most requests of one step.
pub(super) const MAX_TIMES: u32 = 10_000_000;

impl Reader<'_> {
    pub(super) fn ask(
        &mut self,
        fields: &Fields<'_>,
        (ask, position): (&Known<'_>, Position),
        context: &StepContext,
    ) -> Option<TestRequest> {
        let (mut descriptors, is_sound) = self.within(ask, |reader| reader.descriptors(ask.node));
        let domain = self.domain(fields, position, context);
        let keep = self.lease_name(fields, "keep");
        let give_back = self.lease_name(fields, "give_back");
        if give_back.is_some() {
            for descriptor in &mut descriptors {
                descriptor.cost = Cost::Refund(1);
            }
        }
        self.costs(fields, &mut descriptors);
        self.overrides(fields, &mut descriptors);
        let times = fields
            .find("times")
            .and_then(|field| self.within(field, |reader| reader.times(field.node)));
        let every = fields.find("every").and_then(|field| {
            self.within(field, |reader| scalars::span(field.node, reader.report))
        });
        let expected = fields.find("expect").map(|field| {
            self.within(field, |reader| {
                reader.expectation(field.node, times, descriptors.len())
            })
        });
        let expect = match expected {
            Some(expect) => expect?,
            None => Default::default(),
        };
        let tally = expect.counts.map(|tally| tally.ok + tally.over_limit);
        is_sound.then_some(())?;
        Some(TestRequest {
            domain: domain?,
            descriptors,
            times: times.or(tally).unwrap_or(1),
            every: every.unwrap_or_default(),
            keep,
            give_back,
            expect,
        })
    }

    /// The name of leases; one that is given back must be kept by a step before.
    fn lease_name(&mut self, fields: &Fields<'_>, key: &str) -> Option<String> {
        let field = fields.find(key)?;
        let name = self.within(field, |reader| reader.name(field.node))?;
        if key == "keep" {
            self.kept.insert(name.clone());
        } else if !self.kept.contains(&name) {
            let message = "no earlier step keeps a lease under this name";
            let hint = "add `keep: NAME` to the `ask` that is granted it";
            let position = Some(field.node.position);
            self.within(field, |reader| {
                reader
                    .report
                    .add_with_hint(ScenarioCode::InvalidStep, position, message, hint);
            });
        }
        Some(name)
    }

    fn times(&mut self, node: &Node) -> Option<u32> {
        let times = scalars::number(node, self.report)?;
        if !(1..=MAX_TIMES).contains(&times) {
            let message = format!("a request is repeated 1 to {MAX_TIMES} times");
            self.report
                .add(DocumentCode::InvalidNumber, Some(node.position), message);
            return None;
        }
        Some(times)
    }

    /// The domain that is named nearest, else the only one there is.
    fn domain(
        &mut self,
        fields: &Fields<'_>,
        position: Position,
        context: &StepContext,
    ) -> Option<Bytes> {
        if let Some(field) = fields.find("domain") {
            let name = self.within(field, |reader| reader.name(field.node))?;
            return Some(name.into());
        }
        if let Some(domain) = &context.domain {
            return Some(domain.clone().into());
        }
        match context.policy.domains()[..] {
            [only] => Some(Bytes::copy_from_slice(only.name.as_bytes())),
            _ => {
                let message = "ambiguous domain: the policy does not have exactly one";
                let hint = "name it: `domain: NAME`, here, in the test or in the file";
                self.report.add_with_hint(
                    ScenarioCode::MissingDomain,
                    Some(position),
                    message,
                    hint,
                );
                None
            }
        }
    }

    /// The descriptors, and whether they are as written: a bad one stands for itself while the rest of the step is read.
    fn descriptors(&mut self, node: &Node) -> (Vec<Descriptor>, bool) {
        let nodes = match &node.kind {
            Kind::List(nodes) => nodes,
            _ => std::slice::from_ref(node),
        };
        if nodes.is_empty() {
            let message = "a request has at least one descriptor";
            self.report
                .add(DocumentCode::EmptyList, Some(node.position), message);
            return (vec![Descriptor::default()], false);
        }
        let mut is_sound = true;
        let mut descriptors = Vec::with_capacity(nodes.len());
        for (at, one) in nodes.iter().enumerate() {
            if !std::ptr::eq(one, node) {
                self.report.enter(PathElement::Index(at));
            }
            let descriptor = self.descriptor(one);
            is_sound &= descriptor.is_some();
            descriptors.push(descriptor.unwrap_or_default());
            if !std::ptr::eq(one, node) {
                self.report.leave();
            }
        }
        (descriptors, is_sound)
    }

    /// A mapping, or a list of mappings where a key stands more than once.
    fn descriptor(&mut self, node: &Node) -> Option<Descriptor> {
        let mut entries = Vec::new();
        match &node.kind {
            Kind::List(nodes) => {
                for node in nodes.iter() {
                    self.entries(node, &mut entries)?;
                }
            }
            _ => self.entries(node, &mut entries)?,
        }
        Some(Descriptor {
            entries,
            ..Descriptor::default()
        })
    }

    fn entries(&mut self, node: &Node, entries: &mut Vec<Entry>) -> Option<()> {
        let mut is_sound = true;
        for pair in mapping(node, self.report)? {
            let value = match &pair.node.kind {
                Kind::Scalar(_, _) if pair.node.is_null() => "",
                Kind::Scalar(text, _) => text,
                Kind::List(_) | Kind::Map(_) => {
                    wrong_type(&pair.node, "text", self.report);
                    is_sound = false;
                    continue;
                }
            };
            entries.push(Entry {
                key: pair.key.as_bytes().to_vec().into(),
                value: value.as_bytes().to_vec().into(),
            });
        }
        is_sound.then_some(())
    }

    /// `hits`, `refund` or `look`.
    fn costs(&mut self, fields: &Fields<'_>, descriptors: &mut [Descriptor]) {
        let written: Vec<&Known<'_>> = ["hits", "refund", "look"]
            .iter()
            .filter_map(|name| fields.find(name))
            .collect();
        let [field] = written[..] else {
            if let [_, second, ..] = written[..] {
                let message = "a request has one of `hits`, `refund` and `look`";
                self.report
                    .add(ScenarioCode::InvalidStep, Some(second.position), message);
            }
            return;
        };
        self.one_per_descriptor(field, descriptors, |reader, node, descriptor| {
            let cost = match field.name {
                "look" => scalar::boolean(node, reader.report).map(|is| match is {
                    true => Cost::Peek,
                    false => Cost::default(),
                }),
                "refund" => scalars::number(node, reader.report).map(Cost::Refund),
                _ => scalars::signed(node, reader.report).map(cost_of),
            };
            descriptor.cost = cost.unwrap_or_default();
        });
    }

    fn overrides(&mut self, fields: &Fields<'_>, descriptors: &mut [Descriptor]) {
        let Some(field) = fields.find("limit") else {
            return;
        };
        self.one_per_descriptor(field, descriptors, |reader, node, descriptor| {
            // Of several descriptors, some may bring none.
            if !(node.is_null() && matches!(field.node.kind, Kind::List(_))) {
                descriptor.limit = scalars::rate(node, reader.report).map(Into::into);
            }
        });
    }

    /// What holds for all descriptors, or a list with one for each.
    fn one_per_descriptor(
        &mut self,
        field: &Known<'_>,
        descriptors: &mut [Descriptor],
        mut what: impl FnMut(&mut Self, &Node, &mut Descriptor),
    ) {
        self.within(field, |reader| {
            let Kind::List(nodes) = &field.node.kind else {
                for descriptor in descriptors {
                    what(reader, field.node, descriptor);
                }
                return;
            };
            if nodes.len() != descriptors.len() {
                let (have, want) = (nodes.len(), descriptors.len());
                let message =
                    format!("expected an element for each descriptor, {want}, found {have}");
                let position = Some(field.node.position);
                reader
                    .report
                    .add(ScenarioCode::InvalidStep, position, message);
                return;
            }
            for (node, descriptor) in nodes.iter().zip(descriptors) {
                what(reader, node, descriptor);
            }
        });
    }
}

/// 0 looks, and what is negative gives back.
fn cost_of(hits: i64) -> Cost {
    let count = u32::try_from(hits.unsigned_abs()).unwrap_or(u32::MAX);
    match hits {
        0 => Cost::Peek,
        1.. => Cost::Hits(count),
        _ => Cost::Refund(count),
    }
}
