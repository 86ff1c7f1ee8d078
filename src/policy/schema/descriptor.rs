//! `descriptors`, at the root and below.

use super::fields::{KnownField, fields, list};
use super::yaml::{Elements, Node};
use super::{Field, Flag, Level, Rare, RawDescriptor, RawDescriptors, Spanned};
use super::{limit, metadata, response, scalar};
use crate::policy::report::{Report, Step};

/// The descriptors of a file, each read as soon as its YAML is complete, so that never more than one of them is there
/// in both forms.
#[derive(Debug, Default)]
pub(super) struct Descriptors {
    /// Of the list at the root, and of those below whose descriptor is not complete.
    lists: Vec<RawDescriptors>,
}

/// What lists of descriptors stand under.
const KEY: &str = "descriptors";

impl Descriptors {
    /// Those at the root.
    pub(super) fn into_top(self) -> RawDescriptors {
        self.lists.into_iter().next().unwrap_or_default()
    }
}

impl Elements for Descriptors {
    fn key(&self) -> &str {
        KEY
    }

    fn take(&mut self, node: &Node, depth: usize, report: &mut Report) {
        // Those below came before.
        let below = self.lists.get_mut(depth + 1).map(std::mem::take);
        self.lists.resize_with(depth + 1, Vec::new);
        for list in &self.lists {
            report.enter(Step::Key(KEY));
            report.enter(Step::Index(list.len()));
        }
        let mut descriptor = Box::new(read(node, report));
        for _ in 0..2 * self.lists.len() {
            report.leave();
        }
        if let Some(below) = below {
            descriptor.descriptors = below;
        }
        self.lists[depth].push(descriptor);
    }
}

/// Reads a list of descriptors.
pub(super) fn read_all(node: &Node, report: &mut Report) -> RawDescriptors {
    let nodes = list(node, report).unwrap_or_default();
    let read_at = |(at, node)| {
        let read_one = |report: &mut Report| read(node, report);
        Box::new(report.within(Step::Index(at), read_one))
    };
    nodes.iter().enumerate().map(read_at).collect()
}

fn read(node: &Node, report: &mut Report) -> RawDescriptor {
    let mut descriptor = RawDescriptor {
        is_sound: false,
        place: Some(node.place),
        key: Field::Absent,
        value: Field::Absent,
        shapes: Rare::ABSENT,
        rate_limit: None,
        more: Rare::ABSENT,
        descriptors: Vec::new(),
    };
    if let Some(fields) = fields(node, Level::Descriptor, report) {
        descriptor.is_sound = true;
        for field in fields {
            report.within(Step::Key(field.name), |report| {
                fill(&mut descriptor, &field, report);
            });
        }
    }
    descriptor
}

fn fill(descriptor: &mut RawDescriptor, field: &KnownField<'_>, report: &mut Report) {
    let node = field.node;
    match field.name {
        "key" => descriptor.key = scalar::text(node, report),
        "value" => descriptor.value = scalar::text(node, report),
        "values" => descriptor.shapes.fill().values = scalar::texts(node, report),
        "value_sha256" => descriptor.shapes.fill().value_sha256 = scalar::written(node, report),
        "cidr" => descriptor.shapes.fill().cidr = scalar::one_or_more(node, report),
        "pattern" => descriptor.shapes.fill().pattern = scalar::written(node, report),
        "count_by" => descriptor.shapes.fill().count_by = scalar::texts(node, report),
        "rate_limit" => descriptor.rate_limit = Some(limit::read(node, field.place, report)),
        "metadata" => descriptor.more.fill().metadata = metadata::read(node, report),
        "response" => descriptor.more.fill().response = response::read(node, report),
        "on_store_error" => descriptor.more.fill().on_store_error = scalar::text(node, report),
        "descriptors" => descriptor.descriptors = read_all(node, report),
        name => {
            if let Some(flag) = flag(name)
                && scalar::is_set(node, report)
            {
                descriptor.more.fill().flags.push(Spanned {
                    value: flag,
                    place: Some(field.place),
                });
            }
        }
    }
}

fn flag(name: &str) -> Option<Flag> {
    [
        Flag::Shadow,
        Flag::Quota,
        Flag::DetailedMetric,
        Flag::ValueToMetric,
        Flag::Shared,
        Flag::Secret,
    ]
    .into_iter()
    .find(|flag| flag.name() == name)
}
