//! `calendar: true`: days, weeks, months and years of a time zone.

use super::word::word;
use crate::document::{DocumentCode, Field, PathElement, Position, Report, did_you_mean, quoted};
use crate::limit::{Calendar, CalendarStart, CalendarZone, Weekday};
use crate::policy::PolicyCode;
use crate::policy::raw::{RawLimit, WEEKDAYS};
use crate::request::Unit;

/// The keys that are written, with their positions.
pub(super) fn positions(raw: &RawLimit) -> [(&'static str, Option<Option<Position>>); 4] {
    let more = &raw.extras;
    [
        ("calendar", more.calendar.as_ref().map(|flag| flag.position)),
        (
            "time_zone",
            more.time_zone.given().map(|zone| zone.position),
        ),
        (
            "week_starts",
            more.week_starts.given().map(|day| day.position),
        ),
        ("anchor", more.anchor.given().map(|day| day.position)),
    ]
}

/// Whether the limit has windows of a calendar; `None` if it reported that it cannot, or that a key does not belong to it.
pub(super) fn check_place(
    raw: &RawLimit,
    unit: Option<Unit>,
    algorithm: Option<&str>,
    report: &mut Report,
) -> Option<bool> {
    let flag = raw.extras.calendar.as_ref().filter(|flag| flag.value);
    let mut is_valid = true;
    if let Some(flag) = flag {
        report.within(PathElement::Key("calendar"), |report| {
            if unit.is_some_and(|unit| unit < Unit::Day) {
                is_valid = false;
                let message = "a calendar has no windows shorter than a day";
                let help = "use `unit: day`, `week`, `month` or `year`; seconds, minutes and hours need no calendar";
                report.add_with_help(PolicyCode::CalendarUnit, flag.position, message, help);
            }
            if algorithm.is_some_and(|algorithm| algorithm != "fixed_window") {
                is_valid = false;
                let message = "the windows of a calendar are fixed windows";
                report.add(PolicyCode::CalendarAlgorithm, flag.position, message);
            }
        });
    }
    for (key, position) in positions(raw).into_iter().skip(1) {
        let needed = match key {
            _ if flag.is_none() => "calendar: true",
            "week_starts" if unit.is_some_and(|unit| unit != Unit::Week) => "unit: week",
            "anchor" if unit.is_some_and(|unit| unit != Unit::Month) => "unit: month",
            _ => continue,
        };
        if let Some(position) = position {
            is_valid = false;
            let message = format!("`{key}` belongs to `{needed}`");
            report.within(PathElement::Key(key), |report| {
                report.add(PolicyCode::MisplacedCalendarKey, position, message);
            });
        }
    }
    is_valid.then_some(flag.is_some())
}

/// The windows; `None` if an error was reported.
pub(super) fn compile(
    raw: &RawLimit,
    unit: Unit,
    multiplier: u32,
    report: &mut Report,
) -> Option<Calendar> {
    let zone = report.within(PathElement::Key("time_zone"), |report| zone(raw, report));
    let start = match unit {
        Unit::Second | Unit::Minute | Unit::Hour => None,
        Unit::Day => Some(CalendarStart::Day),
        Unit::Week => report.within(PathElement::Key("week_starts"), |report| {
            let day = word(&raw.extras.week_starts, WEEKDAYS, report)?;
            let day = Weekday::ALL.into_iter().find(|one| one.name() == day)?;
            Some(CalendarStart::Week(day))
        }),
        Unit::Month => report.within(PathElement::Key("anchor"), |report| anchor(raw, report)),
        Unit::Year => Some(CalendarStart::Year),
    };
    Calendar::new(start?, multiplier, zone?)
}

fn zone(raw: &RawLimit, report: &mut Report) -> Option<CalendarZone> {
    let written = match &raw.extras.time_zone {
        Field::Absent => return Some(CalendarZone::UTC),
        Field::Invalid => return None,
        Field::Given(written) => written,
    };
    let zone = CalendarZone::named(&written.value);
    if zone.is_none() {
        let message = format!("unknown time zone {}", quoted(&written.value));
        let names = CalendarZone::names();
        let near = did_you_mean(&written.value, names.iter().map(String::as_str));
        let help = near.unwrap_or_else(|| {
            "use a name of the IANA database, such as `Europe/Berlin`".to_owned()
        });
        report.add_with_help(PolicyCode::UnknownTimeZone, written.position, message, help);
    }
    zone
}

fn anchor(raw: &RawLimit, report: &mut Report) -> Option<CalendarStart> {
    let written = match &raw.extras.anchor {
        Field::Absent => return Some(CalendarStart::Month(1)),
        Field::Invalid => return None,
        Field::Given(written) => written,
    };
    match u8::try_from(written.value) {
        Ok(day @ 1..=31) => Some(CalendarStart::Month(day)),
        _ => {
            let message = "`anchor` is a day of the month, 1 to 31";
            let help = "write 1 for the first of the month, and 31 for its last day";
            report.add_with_help(DocumentCode::InvalidNumber, written.position, message, help);
            None
        }
    }
}
