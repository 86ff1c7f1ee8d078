//! `assign` and `unassign`.

use super::TestContext;
use super::request::domain;
use crate::document::{PathElement, Position, Report};
use crate::policy::{AddedAssignment, AssignmentFields, AssignmentId};
use crate::scenario::ScenarioCode;
use crate::scenario::raw::RawAssignment;

/// The row that `assign` adds.
pub(super) fn compile(
    mut raw: RawAssignment,
    position: Position,
    context: &TestContext,
    report: &mut Report,
) -> Option<AddedAssignment> {
    let row = AddedAssignment {
        id: id(&mut raw, "assign", position, context, report)?,
        fields: AssignmentFields {
            plan: raw.plan,
            rate_limit: raw.rate_limit,
            until: raw.until,
            note: raw.note,
            author: None,
        },
    };
    if let Err(unusable) = context.policy.check_assignment(&row) {
        report.within(PathElement::Key("assign"), |report| {
            report.add(
                ScenarioCode::InvalidStep,
                Some(position),
                unusable.to_string(),
            );
        });
        return None;
    }
    Some(row)
}

/// The value that `assign` or `unassign` is for.
pub(super) fn id(
    raw: &mut RawAssignment,
    key: &'static str,
    position: Position,
    context: &TestContext,
    report: &mut Report,
) -> Option<AssignmentId> {
    let domain = domain(raw.domain.take(), position, context, report)?;
    let (Some(table), Some(value)) = (&raw.table, &raw.value) else {
        report.within(PathElement::Key(key), |report| {
            let message = format!("`{key}` without `table` or `value`");
            report.add(ScenarioCode::InvalidStep, Some(position), message);
        });
        return None;
    };
    let domain = String::from_utf8_lossy(&domain);
    Some(AssignmentId::of_value(&domain, table, value.as_bytes()))
}
