//! `plans`: named sets of limits.

use super::{LANGUAGE, RawPlan, limit, response, types};
use crate::document::{Key, Level, Node, Report, Spanned, mapping, read_metadata};

#[rustfmt::skip]
pub(super) static PLAN: Level<RawPlan> = Level {
    name: "a plan",
    definition: "plan",
    required: &["rate_limit"],
    base: None,
    keys: &[
        Key::new("rate_limit", types::RATE_LIMIT, "A limit, or a list of limits that must all allow the request.",
            |plan, pair, report| plan.rate_limit = Some(limit::read(pair, report))),
        Key::new("metadata", types::METADATA, "Free-form data, in place of that of the descriptor.",
            |plan, pair, report| plan.metadata = read_metadata(&pair.node, report)),
        Key::new("response", types::RESPONSE, "The response to clients with this plan, in place of the usual one.",
            |plan, pair, report| plan.response = response::read(&pair.node, report)),
    ],
};

/// Reads the plans of a file, in their order.
pub(super) fn read_all(node: &Node, report: &mut Report) -> Vec<RawPlan> {
    let mut plans = Vec::new();
    for pair in mapping(node, report).unwrap_or_default() {
        let mut plan = RawPlan {
            name: Spanned {
                value: pair.key.clone(),
                position: Some(pair.position),
            },
            is_sound: false,
            rate_limit: None,
            metadata: None,
            response: None,
        };
        plan.is_sound = PLAN.read(&pair.node, &mut plan, &LANGUAGE, report) == Some(true);
        plans.push(plan);
    }
    plans
}
