//! `unit` and `unit_multiplier`: the window of a limit. `None` says that an error was reported.

use crate::document::{DocumentCode, Field, PathElement, Report, did_you_mean, quoted};
use crate::limit::Window;
use crate::policy::PolicyCode;
use crate::policy::raw::RawLimit;
use crate::request::Unit;

pub(super) fn unit(raw: &RawLimit, report: &mut Report) -> Option<Unit> {
    let names = Unit::ALL.map(Unit::name);
    let Some(written) = raw.unit.given() else {
        if raw.is_sound && raw.unit.is_absent() {
            let help = format!("use one of {}", names.join(", "));
            report.add_with_help(
                PolicyCode::MissingUnit,
                raw.position,
                "a limit without `unit`",
                help,
            );
        }
        return None;
    };
    let unit = Unit::from_name(&written.value);
    if unit.is_none() {
        let message = format!("unknown unit {}", quoted(&written.value));
        let near = did_you_mean(&written.value.to_ascii_lowercase(), names);
        let help = near.unwrap_or_else(|| format!("use one of {}", names.join(", ")));
        report.within(PathElement::Key("unit"), |report| {
            report.add_with_help(PolicyCode::UnknownUnit, written.position, message, help);
        });
    }
    unit
}

/// How many units the window has; at least 1.
pub(super) fn multiplier(raw: &RawLimit, report: &mut Report) -> Option<u32> {
    match &raw.extras.unit_multiplier {
        Field::Absent => Some(1),
        Field::Invalid => None,
        Field::Given(number) if number.value == 0 => {
            report.add(
                DocumentCode::InvalidNumber,
                number.position,
                "`unit_multiplier` must be at least 1",
            );
            None
        }
        Field::Given(number) => Some(number.value),
    }
}

/// The window of that many units.
pub(super) fn compile(
    raw: &RawLimit,
    unit: Unit,
    multiplier: u32,
    report: &mut Report,
) -> Option<Window> {
    let window = Window::new(unit, multiplier);
    if window.is_none() {
        let position = raw
            .extras
            .unit_multiplier
            .given()
            .and_then(|number| number.position);
        report.add(
            PolicyCode::InvalidWindow,
            position,
            "a window cannot exceed ten years",
        );
    }
    window
}
