use proptest::prelude::*;

use super::*;

/// Zones with all kinds of days: of 23, 24, 25 and 24½ hours, one that is skipped, and ones that begin at one o'clock.
const SOME_ZONES: [&str; 12] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Havana",
    "America/Asuncion",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Asia/Kathmandu",
    "Asia/Beirut",
    "Africa/Cairo",
    "Africa/Casablanca",
];

fn calendar(start: CalendarStart, multiplier: u32, zone: &str) -> Calendar {
    Calendar::new(start, multiplier, CalendarZone::named(zone).unwrap()).unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::from_rfc3339(text).unwrap()
}

/// The bounds in UTC.
fn around(calendar: &Calendar, now: &str) -> [String; 2] {
    let (start, end) = calendar.around(at(now));
    [start, end].map(|bound| bound.to_rfc3339())
}

#[test]
fn days_have_23_to_25_hours() {
    let day = calendar(CalendarStart::Day, 1, "Europe/Berlin");
    for (now, start, end) in [
        (
            "2026-01-15T12:00:00Z",
            "2026-01-14T23:00:00Z",
            "2026-01-15T23:00:00Z",
        ),
        (
            "2026-03-29T12:00:00Z",
            "2026-03-28T23:00:00Z",
            "2026-03-29T22:00:00Z",
        ),
        (
            "2026-10-25T00:30:00Z",
            "2026-10-24T22:00:00Z",
            "2026-10-25T23:00:00Z",
        ),
        (
            "2026-10-25T22:59:59Z",
            "2026-10-24T22:00:00Z",
            "2026-10-25T23:00:00Z",
        ),
        (
            "2026-10-25T23:00:00Z",
            "2026-10-25T23:00:00Z",
            "2026-10-26T23:00:00Z",
        ),
    ] {
        assert_eq!(around(&day, now), [start, end], "{now}");
    }
    assert_eq!(day.secs_at(at("2026-03-29T12:00:00Z")), 23 * 3_600);
    assert_eq!(day.secs_at(at("2026-10-25T12:00:00Z")), 25 * 3_600);
    // The first hour of that day does not exist.
    let day = calendar(CalendarStart::Day, 1, "America/Sao_Paulo");
    assert_eq!(
        around(&day, "2015-10-18T03:00:00Z")[0],
        "2015-10-18T03:00:00Z"
    );
    // The clock went back from 00:01 on the 5th to 23:01 on the 4th.
    let day = calendar(CalendarStart::Day, 1, "America/St_Johns");
    let expected = ["2006-10-29T02:30:00Z", "2006-10-30T03:30:00Z"];
    assert_eq!(around(&day, "2006-10-29T02:45:00Z"), expected);
    // The 30th was skipped.
    let day = calendar(CalendarStart::Day, 1, "Pacific/Apia");
    let skipped = "2011-12-30T10:00:00Z";
    assert_eq!(around(&day, "2011-12-30T09:59:59Z")[1], skipped);
    assert_eq!(
        around(&day, "2011-12-30T10:00:00Z"),
        [skipped, "2011-12-31T10:00:00Z"]
    );
}

#[test]
fn weeks_begin_on_any_day() {
    let monday = calendar(CalendarStart::Week(Weekday::Monday), 1, "UTC");
    let sunday = calendar(CalendarStart::Week(Weekday::Sunday), 1, "UTC");
    // A Saturday.
    let now = "2026-02-28T10:00:00Z";
    assert_eq!(
        around(&monday, now),
        ["2026-02-23T00:00:00Z", "2026-03-02T00:00:00Z"]
    );
    assert_eq!(
        around(&sunday, now),
        ["2026-02-22T00:00:00Z", "2026-03-01T00:00:00Z"]
    );
}

#[test]
fn months_begin_on_the_anchor_or_on_the_last_day() {
    let month = |anchor| calendar(CalendarStart::Month(anchor), 1, "UTC");
    for (anchor, now, start, end) in [
        (
            1,
            "2024-02-29T23:59:59Z",
            "2024-02-01T00:00:00Z",
            "2024-03-01T00:00:00Z",
        ),
        (
            15,
            "2026-01-14T23:59:59Z",
            "2025-12-15T00:00:00Z",
            "2026-01-15T00:00:00Z",
        ),
        (
            15,
            "2026-01-15T00:00:00Z",
            "2026-01-15T00:00:00Z",
            "2026-02-15T00:00:00Z",
        ),
        (
            31,
            "2026-02-15T00:00:00Z",
            "2026-01-31T00:00:00Z",
            "2026-02-28T00:00:00Z",
        ),
        (
            31,
            "2026-02-28T00:00:00Z",
            "2026-02-28T00:00:00Z",
            "2026-03-31T00:00:00Z",
        ),
        (
            31,
            "2024-02-28T23:00:00Z",
            "2024-01-31T00:00:00Z",
            "2024-02-29T00:00:00Z",
        ),
        (
            30,
            "2026-04-30T00:00:00Z",
            "2026-04-30T00:00:00Z",
            "2026-05-30T00:00:00Z",
        ),
    ] {
        assert_eq!(around(&month(anchor), now), [start, end], "{anchor} {now}");
    }
    let quarter = calendar(CalendarStart::Month(1), 3, "Europe/Berlin");
    let expected = ["2026-03-31T22:00:00Z", "2026-06-30T22:00:00Z"];
    assert_eq!(around(&quarter, "2026-05-05T05:05:05Z"), expected);
    let year = calendar(CalendarStart::Year, 1, "America/New_York");
    let expected = ["2024-01-01T05:00:00Z", "2025-01-01T05:00:00Z"];
    assert_eq!(around(&year, "2024-12-31T23:00:00Z"), expected);
}

#[test]
fn windows_before_and_after_all_calendars_exist() {
    let month = calendar(CalendarStart::Month(1), 1, "Europe/Berlin");
    assert_eq!(
        month.around(at("1970-01-01T00:00:00Z")).0,
        Timestamp::default()
    );
    let far = Timestamp::from_micros(u64::MAX / 2);
    let (start, end) = month.around(far);
    assert!(start <= far && far < end);
    assert_eq!(month.bounds_around(far), [start, start, end, end]);
}

#[test]
fn zones_have_names() {
    assert_eq!(
        CalendarZone::named("europe/berlin").unwrap().name(),
        "Europe/Berlin"
    );
    assert_eq!(CalendarZone::UTC.name(), "UTC");
    for unknown in [
        "",
        "Europe/Berlim",
        "Etc/Unknown",
        "CET-1CEST",
        "+01:00",
        "../UTC",
    ] {
        assert_eq!(CalendarZone::named(unknown), None, "{unknown}");
    }
    let names = CalendarZone::names();
    assert!(names.len() > 400 && names.contains(&"Asia/Tokyo".to_owned()));
}

/// Whether a window begins on that day, by the words of the documentation.
fn begins(start: CalendarStart, multiplier: u32, date: Date) -> bool {
    let is_nth = |number: i64| number.rem_euclid(multiplier.into()) == 0;
    match start {
        CalendarStart::Day => is_nth(days(date)),
        CalendarStart::Week(first) => {
            let weekday = date.weekday().to_monday_zero_offset();
            // Days from the week around 1970-01-01, which was a Thursday.
            let back = (3 - first as i64).rem_euclid(7);
            i64::from(weekday) == first as i64 && is_nth((days(date) + back) / 7)
        }
        CalendarStart::Month(anchor) => {
            let is_last = date.day() == date.days_in_month();
            let is_day = date.day() == anchor as i8 || (is_last && date.day() < anchor as i8);
            is_day && is_nth(i64::from(date.month()) - 1 + 12 * (i64::from(date.year()) - 1970))
        }
        CalendarStart::Year => {
            date.month() == 1 && date.day() == 1 && is_nth(i64::from(date.year()) - 1970)
        }
    }
}

/// The first quarter of an hour, looking forward from the day before, that is on that day or a later one.
fn first_moment(zone: &CalendarZone, date: Date) -> Timestamp {
    let noon = jiff::tz::TimeZone::UTC;
    let before = date.yesterday().unwrap().at(0, 0, 0, 0).to_zoned(noon);
    let before = before.unwrap().timestamp().as_second() as u64 - 12 * 3_600;
    let quarters = (0..).map(|quarter| Timestamp::from_secs(before + 900 * quarter));
    let mut reached = quarters.skip_while(|time| zone.date_at(*time).unwrap() < date);
    reached.next().unwrap()
}

fn any_start() -> impl Strategy<Value = CalendarStart> {
    prop_oneof![
        Just(CalendarStart::Day),
        prop::sample::select(&Weekday::ALL[..]).prop_map(CalendarStart::Week),
        (1u8..=31).prop_map(CalendarStart::Month),
        Just(CalendarStart::Year),
    ]
}

proptest! {
    #[test]
    fn windows_are_those_of_a_model_that_walks_day_by_day(
        start in any_start(),
        multiplier in 1u32..=4,
        zone in prop::sample::select(&SOME_ZONES[..]),
        // 1980 to 2060.
        now in 315_532_800_000_000u64..2_840_140_800_000_000,
    ) {
        let calendar = calendar(start, multiplier, zone);
        let now = Timestamp::from_micros(now);
        let (found, end) = calendar.around(now);
        prop_assert!(found <= now && now < end);

        let begins = |date: &Date| begins(start, multiplier, *date);
        let today = calendar.zone.date_at(now).unwrap();
        let back = std::iter::successors(Some(today), |date| date.yesterday().ok());
        let first = back.into_iter().find(begins).unwrap();
        let forward = std::iter::successors(today.tomorrow().ok(), |date| date.tomorrow().ok());
        let next = forward.into_iter().find(begins).unwrap();
        prop_assert_eq!(found, first_moment(&calendar.zone, first));
        prop_assert_eq!(end, first_moment(&calendar.zone, next));

        // The windows around it follow each other, and are found again when they were not the last.
        let [before, from, to, after] = calendar.bounds_around(now);
        prop_assert_eq!((from, to), (found, end));
        // A day that is skipped is a window that nothing is in.
        prop_assert!(before <= from && to <= after);
        if before < from {
            prop_assert_eq!(calendar.around(before), (before, from));
        }
        if to < after {
            prop_assert_eq!(calendar.around(end), (end, after));
        }
        prop_assert_eq!(calendar.around(now), (found, end));
    }
}
