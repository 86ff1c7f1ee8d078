//! `descriptors`, at the root and below.

use super::fields::{KnownField, fields};
use super::{Flag, Lazy, Level, RawDescriptor, RawDescriptors};
use super::{limit, response};
use crate::document::{
    Elements, Field, Node, PathElement, Report, Spanned, list, read_metadata, scalar,
};

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
            report.enter(PathElement::Key(KEY));
            report.enter(PathElement::Index(list.len()));
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
        Box::new(report.within(PathElement::Index(at), read_one))
    };
    nodes.iter().enumerate().map(read_at).collect()
}

fn read(node: &Node, report: &mut Report) -> RawDescriptor {
    let mut descriptor = RawDescriptor {
        is_sound: false,
        position: Some(node.position),
        key: Field::Absent,
        value: Field::Absent,
        shapes: Lazy::DEFAULT,
        rate_limit: None,
        more: Lazy::DEFAULT,
        descriptors: Vec::new(),
    };
    if let Some(fields) = fields(node, Level::Descriptor, report) {
        descriptor.is_sound = true;
        for field in fields {
            report.within(PathElement::Key(field.name), |report| {
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
        "values" => descriptor.shapes.get_mut().values = scalar::texts(node, report),
        "value_sha256" => descriptor.shapes.get_mut().value_sha256 = scalar::written(node, report),
        "cidr" => descriptor.shapes.get_mut().cidr = scalar::one_or_more(node, report),
        "pattern" => descriptor.shapes.get_mut().pattern = scalar::written(node, report),
        "count_by" => descriptor.shapes.get_mut().count_by = scalar::texts(node, report),
        "rate_limit" => descriptor.rate_limit = Some(limit::read(node, field.position, report)),
        "metadata" => descriptor.more.get_mut().metadata = read_metadata(node, report),
        "response" => descriptor.more.get_mut().response = response::read(node, report),
        "on_store_error" => descriptor.more.get_mut().on_store_error = scalar::text(node, report),
        "descriptors" => descriptor.descriptors = read_all(node, report),
        name => {
            if let Some(flag) = flag(name)
                && scalar::is_set(node, report)
            {
                descriptor.more.get_mut().flags.push(Spanned {
                    value: flag,
                    position: Some(field.position),
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
