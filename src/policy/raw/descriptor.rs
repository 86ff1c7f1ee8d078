//! `descriptors`, at the root and below.

use super::{Flag, LANGUAGE, Lazy, RawDescriptor, RawDescriptors};
use super::{count_prefix, limit, response, types};
use crate::document::{
    Elements, Field, Key, Kind, Level, Node, Pair, PathElement, Report, Text, list, read_metadata,
    scalar, wrong_type_with_help,
};

/// The descriptors of a file, each read as soon as its YAML is complete, so that at most one of them exists in both
/// forms.
#[derive(Debug, Default)]
pub(super) struct Descriptors {
    /// The list at the root, and those below it whose descriptor is not complete.
    lists: Vec<RawDescriptors>,
}

/// The key of lists of descriptors.
const KEY: &str = "descriptors";

impl Descriptors {
    /// The descriptors of the root.
    pub(super) fn into_top(self) -> RawDescriptors {
        self.lists.into_iter().next().unwrap_or_default()
    }
}

impl Elements for Descriptors {
    fn key(&self) -> &str {
        KEY
    }

    fn push(&mut self, node: &Node, depth: usize, report: &mut Report) {
        // The descriptors below were pushed before.
        let below = self.lists.get_mut(depth + 1).map(std::mem::take);
        self.lists.resize_with(depth + 1, Vec::new);
        let elements =
            |list: &RawDescriptors| [PathElement::Key(KEY), PathElement::Index(list.len())];
        let path: Vec<PathElement> = self.lists.iter().flat_map(elements).collect();
        let mut descriptor = report.within_all(&path, |report| Box::new(read(node, report)));
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
        is_known: false,
        position: Some(node.position),
        key: Field::Absent,
        value: Field::Absent,
        matchers: Lazy::DEFAULT,
        rate_limit: None,
        extras: Lazy::DEFAULT,
        descriptors: Vec::new(),
    };
    let known = DESCRIPTOR.read(node, &mut descriptor, &LANGUAGE, report);
    descriptor.is_sound = known.is_some();
    descriptor.is_known = known == Some(true);
    descriptor
}

fn read_value(node: &Node, report: &mut Report) -> Field<Text> {
    if matches!(node.kind, Kind::List(_)) {
        let help = "did you mean `values`?";
        wrong_type_with_help(node, "text", help, report);
        return Field::Invalid;
    }
    scalar::text(node, report)
}

fn set_flag(descriptor: &mut RawDescriptor, flag: Flag, pair: &Pair, report: &mut Report) {
    if scalar::is_set(&pair.node, report) {
        descriptor.extras.get_mut().flags.push(pair.at_key(flag));
    }
}

#[rustfmt::skip]
pub(super) static DESCRIPTOR: Level<RawDescriptor> = Level {
    name: "a descriptor",
    definition: "descriptor",
    required: &["key"],
    base: None,
    keys: &[
        Key::new("key", types::TEXT, "The key of an entry, compared exactly.",
            |raw, pair, report| raw.key = scalar::text(&pair.node, report)),
        Key::new("value", types::VALUE, "The value to match; `*` matches zero or more characters.",
            |raw, pair, report| raw.value = read_value(&pair.node, report)),
        Key::new("values", types::VALUES, "Several values, each matched exactly.",
            |raw, pair, report| raw.matchers.get_mut().values = scalar::texts(&pair.node, report)),
        Key::new("pattern", types::PATTERN, "A path template to match, such as `GET /sites/{site}`.",
            |raw, pair, report| raw.matchers.get_mut().pattern = scalar::written(&pair.node, report)),
        Key::new("value_sha256", types::HASH, "The SHA-256 of the value to match, in hex.",
            |raw, pair, report| raw.matchers.get_mut().value_sha256 = scalar::written(&pair.node, report)),
        Key::new("cidr", types::CIDR, "The CIDR blocks of addresses to match.",
            |raw, pair, report| raw.matchers.get_mut().cidr = scalar::one_or_more(&pair.node, report)),
        Key::new("count_prefix", types::COUNT_PREFIX, "The prefixes of the addresses that have their own counters.",
            |raw, pair, report| raw.matchers.get_mut().count_prefix = count_prefix::read(pair, report)),
        Key::new("count_by", types::CAPTURES, "The captures of the pattern that have their own counters.",
            |raw, pair, report| raw.matchers.get_mut().count_by = scalar::texts(&pair.node, report)),
        Key::new("rate_limit", types::RATE_LIMIT, "A limit, or a list of limits that must all allow the request.",
            |raw, pair, report| raw.rate_limit = Some(limit::read(pair, report))),
        Key::new("exempt", types::FLAG, "A request that matches this node is neither refused nor charged, whatever else it matches.",
            |raw, pair, report| set_flag(raw, Flag::Exempt, pair, report)),
        Key::new("plan", types::NAME, "The plan whose limits apply, in place of `rate_limit`.",
            |raw, pair, report| raw.extras.get_mut().plan = scalar::written(&pair.node, report)),
        Key::new("assignments", types::NAME, "The table that gives single values of this key other limits.",
            |raw, pair, report| raw.extras.get_mut().assignments = scalar::written(&pair.node, report)),
        Key::new("shadow_mode", types::FLAG, "The rule counts and never refuses.",
            |raw, pair, report| set_flag(raw, Flag::Shadow, pair, report)),
        Key::new("quota_mode", types::FLAG, "The rule refuses only if every quota of the request is over limit.",
            |raw, pair, report| set_flag(raw, Flag::Quota, pair, report)),
        Key::new("detailed_metric", types::FLAG, "Metrics are named by the values of the request.",
            |raw, pair, report| set_flag(raw, Flag::DetailedMetric, pair, report)),
        Key::new("value_to_metric", types::FLAG, "Metrics are named by the value at this level.",
            |raw, pair, report| set_flag(raw, Flag::ValueToMetric, pair, report)),
        Key::new("share_threshold", types::FLAG, "All values that match the wildcard or the CIDR block share one counter.",
            |raw, pair, report| set_flag(raw, Flag::Shared, pair, report)),
        Key::new("secret", types::SECRET, "Values of this key are never shown, anywhere in the domain.",
            |raw, pair, report| set_flag(raw, Flag::Secret, pair, report)),
        Key::new("metadata", types::METADATA, "Free-form data for the reader of the response.",
            |raw, pair, report| raw.extras.get_mut().metadata = read_metadata(&pair.node, report)),
        Key::new("response", types::RESPONSE, "The response to clients, here and below.",
            |raw, pair, report| raw.extras.get_mut().response = response::read(&pair.node, report)),
        Key::new("on_store_error", types::STORE_ERROR,
            "The response when hits cannot be counted, here and below: local, allow, deny or error.",
            |raw, pair, report| raw.extras.get_mut().on_store_error = scalar::text(&pair.node, report)),
        Key::new("descriptors", types::DESCRIPTORS, "The next level of the tree.",
            |raw, pair, report| raw.descriptors = read_all(&pair.node, report)),
    ],
};
