//! `descriptors`, at the root and below.

use super::fields::{KnownField, fields, list};
use super::yaml::Node;
use super::{Field, Flag, Level, RawDescriptor, Spanned};
use super::{limit, metadata, response, scalar};
use crate::policy::report::{Report, Step};

/// Reads a list of descriptors.
pub(super) fn read_all(node: &Node, report: &mut Report) -> Vec<RawDescriptor> {
    let nodes = list(node, report).unwrap_or_default();
    let read_at = |(at, node)| report.within(Step::Index(at), |report| read(node, report));
    nodes.iter().enumerate().map(read_at).collect()
}

fn read(node: &Node, report: &mut Report) -> RawDescriptor {
    let mut descriptor = RawDescriptor {
        is_sound: false,
        place: Some(node.place),
        key: Field::Absent,
        value: Field::Absent,
        values: Field::Absent,
        pattern: Field::Absent,
        count_by: Field::Absent,
        flags: Vec::new(),
        rate_limit: None,
        metadata: None,
        response: None,
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
        "values" => descriptor.values = scalar::texts(node, report),
        "pattern" => descriptor.pattern = scalar::text(node, report),
        "count_by" => descriptor.count_by = scalar::texts(node, report),
        "rate_limit" => descriptor.rate_limit = Some(limit::read(node, field.place, report)),
        "metadata" => descriptor.metadata = metadata::read(node, report),
        "response" => descriptor.response = response::read(node, report).map(Box::new),
        "descriptors" => descriptor.descriptors = read_all(node, report),
        name => {
            if let Some(flag) = flag(name)
                && scalar::is_set(node, report)
            {
                descriptor.flags.push(Spanned {
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
