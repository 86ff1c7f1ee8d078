//! `rate_limit`: one limit or a list of them.

use super::{LANGUAGE, Lazy, RawLimit, RawRateLimit, types};
use crate::document::{
    Field, Key, Kind, Level, Node, Pair, PathElement, Position, Report, Spanned, Text, list,
    scalar, shortened, wrong_type_with_help,
};
use crate::limit::Rate;

#[rustfmt::skip]
pub(super) static LIMIT: Level<RawLimit> = Level {
    name: "`rate_limit`",
    definition: "limit",
    required: &[],
    base: None,
    keys: &[
        Key::new("unit", types::UNIT, "second, minute, hour, day, week, month or year.",
            |limit, pair, report| limit.unit = scalar::text(&pair.node, report)),
        Key::new("requests_per_unit", types::NUMBER, "Hits per window; 0 refuses all.",
            |limit, pair, report| limit.requests_per_unit = scalar::number(&pair.node, report)),
        Key::new("unit_multiplier", types::POSITIVE, "The window in units; 1 if left out.",
            |limit, pair, report| limit.extras.get_mut().unit_multiplier = scalar::number(&pair.node, report)),
        Key::new("calendar", types::FLAG, "The windows are days, weeks, months or years of a calendar.",
            |limit, pair, report| limit.extras.get_mut().calendar = super::flag(pair, report)),
        Key::new("time_zone", types::TIME_ZONE, "With calendar: the time zone, such as Europe/Berlin; UTC if left out.",
            |limit, pair, report| limit.extras.get_mut().time_zone = scalar::written(&pair.node, report)),
        Key::new("week_starts", types::WEEKDAY, "With calendar and week: the day on which a week begins; monday if left out.",
            |limit, pair, report| limit.extras.get_mut().week_starts = scalar::written(&pair.node, report)),
        Key::new("anchor", types::DAY_OF_MONTH,
            "With calendar and month: the day on which a month begins, at most its last one; 1 if left out.",
            |limit, pair, report| limit.extras.get_mut().anchor = scalar::number(&pair.node, report)),
        Key::new("unlimited", types::FLAG, "No limit at all.",
            |limit, pair, report| limit.extras.get_mut().unlimited = super::flag(pair, report)),
        Key::new("name", types::TEXT, "Its name, in responses and in `replaces`.",
            |limit, pair, report| limit.extras.get_mut().name = scalar::text(&pair.node, report)),
        Key::new("replaces", types::REPLACES, "The limits that it replaces in the same request.",
            |limit, pair, report| limit.extras.get_mut().replaces = read_replaces(&pair.node, report)),
        Key::new("algorithm", types::ALGORITHM, "fixed_window, sliding_window, token_bucket or concurrency.",
            |limit, pair, report| limit.extras.get_mut().algorithm = scalar::written(&pair.node, report)),
        Key::new("burst", types::POSITIVE, "The size of the bucket; requests_per_unit if left out.",
            |limit, pair, report| limit.extras.get_mut().burst = scalar::number(&pair.node, report)),
        Key::new("charge", types::CHARGE, "Whether a refused hit is charged: always or allowed.",
            |limit, pair, report| limit.extras.get_mut().charge = scalar::written(&pair.node, report)),
        Key::new("block_seconds", types::BLOCKS,
            "How long everything is refused after a refusal; a list is for the first breach, the second, and so on.",
            |limit, pair, report| limit.extras.get_mut().block_seconds = scalar::numbers(&pair.node, report)),
        Key::new("max_in_flight", types::NUMBER, "The number of slots, with algorithm: concurrency; 0 refuses all.",
            |limit, pair, report| limit.extras.get_mut().max_in_flight = scalar::number(&pair.node, report)),
        Key::new("lease_seconds", types::POSITIVE, "The time after which a slot that was not released is free again.",
            |limit, pair, report| limit.extras.get_mut().lease_seconds = scalar::number(&pair.node, report)),
    ],
};

#[rustfmt::skip]
pub(super) static LISTED_LIMIT: Level<RawLimit> = Level {
    name: "a limit of a list",
    definition: "listed_limit",
    required: &[],
    base: Some(&LIMIT),
    keys: &[
        Key::new("shadow_mode", types::FLAG, "This limit counts and never refuses.",
            |limit, pair, report| limit.shadow_mode = scalar::is_set(&pair.node, report)),
    ],
};

#[rustfmt::skip]
pub(super) static REPLACES: Level<Field<Text>> = Level {
    name: "`replaces`",
    definition: "replaced",
    required: &["name"],
    base: None,
    keys: &[
        Key::new("name", types::TEXT, "The name of the limit that is replaced.",
            |name, pair, report| *name = scalar::text(&pair.node, report)),
    ],
};

/// Reads `rate_limit`.
pub(super) fn read(pair: &Pair, report: &mut Report) -> RawRateLimit {
    read_at(&pair.node, pair.position, report)
}

/// Reads the value of a `rate_limit` at `position`.
pub(super) fn read_at(node: &Node, position: Position, report: &mut Report) -> RawRateLimit {
    let (is_list, limits) = match &node.kind {
        Kind::List(nodes) => {
            let read_at = |(at, node)| {
                report.within(PathElement::Index(at), |report| {
                    read_limit(node, &LISTED_LIMIT, report)
                })
            };
            (true, nodes.iter().enumerate().map(read_at).collect())
        }
        _ => (false, [read_limit(node, &LIMIT, report)].into()),
    };
    RawRateLimit {
        position: Some(position),
        is_list,
        limits,
    }
}

fn read_limit(node: &Node, level: &Level<RawLimit>, report: &mut Report) -> RawLimit {
    let mut limit = RawLimit {
        is_sound: false,
        shadow_mode: false,
        position: Some(node.position),
        unit: Field::Absent,
        requests_per_unit: Field::Absent,
        extras: Lazy::DEFAULT,
    };
    if let Kind::Scalar(text, _) = &node.kind {
        let help = match Rate::parse(text) {
            Some(rate) => format!("write it as `{}`", in_keys(rate)),
            None => "write it as `{unit: minute, requests_per_unit: 600}`".to_owned(),
        };
        wrong_type_with_help(node, "a mapping", &help, report);
        return limit;
    }
    // After an unknown key, a key that is missing is not worth another finding.
    limit.is_sound = level.read(node, &mut limit, &LANGUAGE, report) == Some(true);
    limit
}

/// The rate in the language of policies.
fn in_keys(rate: Rate) -> String {
    let (unit, requests) = (rate.window.unit().name(), rate.requests);
    match rate.window.multiplier() {
        1 => format!("{{unit: {unit}, requests_per_unit: {requests}}}"),
        units => {
            format!("{{unit: {unit}, unit_multiplier: {units}, requests_per_unit: {requests}}}")
        }
    }
}

fn read_replaces(node: &Node, report: &mut Report) -> Vec<Spanned<Text>> {
    let mut names = Vec::new();
    for (at, node) in list(node, report).unwrap_or_default().iter().enumerate() {
        report.within(PathElement::Index(at), |report| {
            if let Kind::Scalar(name, _) = &node.kind {
                let help = format!("write it as `{{name: {}}}`", shortened(name));
                wrong_type_with_help(node, "a mapping", &help, report);
                return;
            }
            let mut name = Field::Absent;
            if REPLACES.read(node, &mut name, &LANGUAGE, report).is_none() {
                return;
            }
            match name {
                Field::Given(name) => names.push(name),
                Field::Absent => names.push(Spanned {
                    value: "".into(),
                    position: Some(node.position),
                }),
                Field::Invalid => {}
            }
        });
    }
    names
}
