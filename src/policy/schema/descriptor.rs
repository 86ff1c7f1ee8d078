//! `descriptors`, at the root and below.

use std::rc::Rc;

use super::fields::{KnownField, fields, wrong_type};
use super::yaml::{Kind, Node, Style, Text};
use super::{Field, Flag, Level, RawDescriptor, Spanned};
use super::{limit, metadata, response, scalar};
use crate::policy::report::{Report, Step};

/// Reads a list of descriptors.
///
/// A large one is freed while it is read: its raw form and its YAML need not be there at once.
pub(super) fn read_all(node: Node, report: &mut Report) -> Vec<RawDescriptor> {
    let Kind::List(mut nodes) = node.kind else {
        wrong_type(&node, "a list", report);
        return Vec::new();
    };
    let nothing: Text = "".into();
    let mut descriptors = Vec::with_capacity(nodes.len());
    for at in 0..nodes.len() {
        let node = match Rc::get_mut(&mut nodes) {
            Some(nodes) => {
                let place = nodes[at].place;
                let kind = Kind::Scalar(nothing.clone(), Style::Plain);
                std::mem::replace(&mut nodes[at], Node { place, kind })
            }
            None => nodes[at].clone(),
        };
        let read_one = |report: &mut Report| read(&node, report);
        descriptors.push(report.within(Step::Index(at), read_one));
    }
    descriptors
}

fn read(node: &Node, report: &mut Report) -> RawDescriptor {
    let mut descriptor = RawDescriptor {
        is_sound: false,
        place: Some(node.place),
        key: Field::Absent,
        value: Field::Absent,
        values: Field::Absent,
        value_sha256: Field::Absent,
        pattern: Field::Absent,
        cidr: Field::Absent,
        count_by: Field::Absent,
        flags: Vec::new(),
        rate_limit: None,
        metadata: None,
        response: None,
        on_store_error: Field::Absent,
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
        "value_sha256" => descriptor.value_sha256 = scalar::written(node, report),
        "cidr" => descriptor.cidr = scalar::one_or_more(node, report),
        "pattern" => descriptor.pattern = scalar::written(node, report),
        "count_by" => descriptor.count_by = scalar::texts(node, report),
        "rate_limit" => descriptor.rate_limit = Some(limit::read(node, field.place, report)),
        "metadata" => descriptor.metadata = metadata::read(node, report),
        "response" => descriptor.response = response::read(node, report).map(Box::new),
        "on_store_error" => descriptor.on_store_error = scalar::text(node, report),
        "descriptors" => descriptor.descriptors = read_all(node.clone(), report),
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
