//! Calendar windows: days, weeks, months and years as a time zone has them.
//!
//! A window begins at the first moment of a day and ends where the next one begins, so its length changes: days of 23 and 25
//! hours, months of 28 to 31 days. Every window is numbered from the one around 1970-01-01, and its bounds follow from its
//! number.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};

use super::Window;
use crate::clock::Timestamp;
use crate::request::Unit;

/// The windows of a limit with `calendar: true`.
#[derive(Debug)]
pub struct Calendar {
    start: CalendarStart,
    multiplier: u32,
    zone: CalendarZone,
    /// The window that was asked for last, as [`PackedBounds`]: it changes seldom, and finding it takes a thousand times as
    /// long as reading it.
    last: AtomicU64,
}

/// Where windows begin; each is as long as one unit, or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CalendarStart {
    /// At the start of a day. Several days are counted from 1970-01-01.
    Day,
    /// At the start of that day of the week. Several weeks are counted from the one around 1970-01-01.
    Week(Weekday),
    /// At the start of that day of the month, 1 to 31; of its last day in a shorter month. Several months are counted from
    /// January, so that three are a quarter.
    Month(u8),
    /// At the start of January 1st. Several years are counted from 1970.
    Year,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Weekday {
    /// The default of a policy, as in ISO 8601.
    #[default]
    Monday,
    /// The second.
    Tuesday,
    /// The third.
    Wednesday,
    /// The fourth.
    Thursday,
    /// The fifth.
    Friday,
    /// The sixth.
    Saturday,
    /// The seventh.
    Sunday,
}

/// A time zone of the IANA database that is part of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalendarZone(TimeZone);

/// The database in the program: what a policy means does not depend on the machine.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

impl CalendarZone {
    /// UTC.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// The zone of that name, such as `Europe/Berlin`, in upper or lower case; `None` if there is none.
    pub fn named(name: &str) -> Option<Self> {
        // The database has no entry of that name: it would be a zone that is never known.
        if name.eq_ignore_ascii_case("Etc/Unknown") {
            return None;
        }
        ZONES.get(name).ok().map(Self)
    }

    /// The names of all zones.
    pub fn names() -> Vec<String> {
        ZONES.available().map(|name| name.to_string()).collect()
    }

    /// Its name, as the database has it.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    fn date_at(&self, time: Timestamp) -> Option<Date> {
        let secs = i64::try_from(time.micros() / MICROS_PER_SEC).ok()?;
        let time = jiff::Timestamp::from_second(secs).ok()?;
        Some(self.0.to_datetime(time).date())
    }

    /// The first moment of a day, in seconds since the epoch. A day that the zone skips is over as it begins.
    fn start_secs(&self, date: Date) -> Option<i64> {
        let midnight = self.0.to_ambiguous_timestamp(date.at(0, 0, 0, 0));
        let start = match midnight.offset() {
            AmbiguousOffset::Gap { .. } => {
                let before = midnight.earlier().ok()?;
                self.0.following(before).next()?.timestamp()
            }
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => {
                midnight.earlier().ok()?
            }
        };
        Some(start.as_second())
    }
}

impl Weekday {
    /// Every day, Monday first.
    pub const ALL: [Self; 7] = [
        Self::Monday,
        Self::Tuesday,
        Self::Wednesday,
        Self::Thursday,
        Self::Friday,
        Self::Saturday,
        Self::Sunday,
    ];

    /// Its name in a policy.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Monday => "monday",
            Self::Tuesday => "tuesday",
            Self::Wednesday => "wednesday",
            Self::Thursday => "thursday",
            Self::Friday => "friday",
            Self::Saturday => "saturday",
            Self::Sunday => "sunday",
        }
    }
}

impl CalendarStart {
    /// The unit that the windows are multiples of.
    pub const fn unit(self) -> Unit {
        match self {
            Self::Day => Unit::Day,
            Self::Week(_) => Unit::Week,
            Self::Month(_) => Unit::Month,
            Self::Year => Unit::Year,
        }
    }
}

const MICROS_PER_SEC: u64 = 1_000_000;

const EPOCH: Date = Date::constant(1970, 1, 1);

/// The Monday of the week around the epoch, which was a Thursday, in days since the epoch.
const FIRST_MONDAY: i64 = -3;

impl Calendar {
    /// Windows of `multiplier` units; `None` if that is 0 or more than [`Window::MAX_SECS`].
    pub fn new(start: CalendarStart, multiplier: u32, zone: CalendarZone) -> Option<Self> {
        Window::new(start.unit(), multiplier)?;
        Some(Self {
            start,
            multiplier,
            zone,
            last: AtomicU64::new(PackedBounds::NONE.0),
        })
    }

    /// The unit and the multiplier. Its length is that of a month of 30 days or a year of 365.
    pub const fn window(&self) -> Window {
        // `Calendar::new` has checked it.
        match Window::new(self.start.unit(), self.multiplier) {
            Some(window) => window,
            None => Window::LONGEST,
        }
    }

    /// Where its windows begin.
    pub const fn start(&self) -> CalendarStart {
        self.start
    }

    /// The time zone.
    pub const fn zone(&self) -> &CalendarZone {
        &self.zone
    }

    /// The start and end of the window around `now`, to the second.
    #[inline]
    pub fn around(&self, now: Timestamp) -> (Timestamp, Timestamp) {
        let last = PackedBounds(self.last.load(Ordering::Relaxed)).unpack();
        if last.0 <= now && now < last.1 {
            return last;
        }
        self.find(now)
    }

    /// The length in seconds of the window around `now`.
    pub fn secs_at(&self, now: Timestamp) -> u32 {
        let (start, end) = self.around(now);
        u32::try_from(end.since(start).secs_ceil()).unwrap_or(u32::MAX)
    }

    /// The start of the window before the one around `now`, its start, its end, and the end of the one after it.
    pub fn bounds_around(&self, now: Timestamp) -> [Timestamp; 4] {
        let (start, end) = self.around(now);
        let (before, after) = match self.number_at(now) {
            Some(number) => (self.bound(number - 1), self.bound(number + 2)),
            None => (None, None),
        };
        let (before, after) = (before.unwrap_or(start), after.unwrap_or(end));
        [before.min(start), start, end, after.max(end)]
    }

    #[cold]
    fn find(&self, now: Timestamp) -> (Timestamp, Timestamp) {
        let found = self.number_at(now).and_then(|number| {
            let (start, end) = (self.bound(number)?, self.bound(number + 1)?);
            self.last
                .store(PackedBounds::new(start, end).0, Ordering::Relaxed);
            Some((start, end))
        });
        // Beyond the years that calendars have.
        found.unwrap_or_else(|| self.window().around(now))
    }

    /// The number of the window around `now`; `None` beyond the year 9998.
    fn number_at(&self, now: Timestamp) -> Option<i64> {
        let mut number = self.number_of(self.zone.date_at(now)?);
        // A clock that is put back over midnight shows a day twice, in two parts: the day begins with the first.
        while self.bound(number)? > now {
            number -= 1;
        }
        while self.bound(number + 1)? <= now {
            number += 1;
        }
        Some(number)
    }

    /// Where the window of that number begins; the epoch for those before it.
    fn bound(&self, number: i64) -> Option<Timestamp> {
        let secs = self.zone.start_secs(self.first_date(number)?)?;
        Some(Timestamp::from_secs(u64::try_from(secs).unwrap_or(0)))
    }

    /// The number of the window of a day.
    fn number_of(&self, date: Date) -> i64 {
        let multiplier = i64::from(self.multiplier);
        match self.start {
            CalendarStart::Day => days(date).div_euclid(multiplier),
            CalendarStart::Week(first) => {
                (days(date) - first_day(first)).div_euclid(7 * multiplier)
            }
            CalendarStart::Month(anchor) => {
                let is_before = date.day() < day_of_month(date, anchor);
                (months(date) - i64::from(is_before)).div_euclid(multiplier)
            }
            CalendarStart::Year => (i64::from(date.year()) - 1970).div_euclid(multiplier),
        }
    }

    /// The first day of the window of that number.
    fn first_date(&self, number: i64) -> Option<Date> {
        let units = number * i64::from(self.multiplier);
        let day = |days: i64| EPOCH.checked_add(days.days()).ok();
        match self.start {
            CalendarStart::Day => day(units),
            CalendarStart::Week(first) => day(7 * units + first_day(first)),
            CalendarStart::Month(anchor) => {
                let year = i16::try_from(1970 + units.div_euclid(12)).ok()?;
                let month = Date::new(year, (units.rem_euclid(12) + 1) as i8, 1).ok()?;
                Date::new(year, month.month(), day_of_month(month, anchor)).ok()
            }
            CalendarStart::Year => Date::new(i16::try_from(1970 + units).ok()?, 1, 1).ok(),
        }
    }
}

/// Days since the epoch.
fn days(date: Date) -> i64 {
    date.duration_since(EPOCH).as_hours() / 24
}

/// Months since the epoch.
fn months(date: Date) -> i64 {
    12 * (i64::from(date.year()) - 1970) + i64::from(date.month()) - 1
}

/// The first day of the week around the epoch, in days since the epoch; the week begins with `first`.
fn first_day(first: Weekday) -> i64 {
    let monday_based = first as i64;
    match FIRST_MONDAY + monday_based {
        after @ 1.. => after - 7,
        day => day,
    }
}

/// The day of the month of `date` on which windows begin.
fn day_of_month(date: Date, anchor: u8) -> i8 {
    date.days_in_month().min(anchor.min(31) as i8)
}

/// A window in one word, so that it is read and written as a whole: its start in seconds since the epoch above its length in
/// seconds.
#[derive(Clone, Copy, Debug)]
struct PackedBounds(u64);

/// 2^29 seconds are 17 years.
const LENGTH_BITS: u32 = 29;

impl PackedBounds {
    /// A window that nothing is in.
    const NONE: Self = Self(0);

    fn new(start: Timestamp, end: Timestamp) -> Self {
        let (start, length) = (start.secs_ceil(), end.since(start).secs_ceil());
        match start >> (u64::BITS - LENGTH_BITS) == 0 && length >> LENGTH_BITS == 0 {
            true => Self(start << LENGTH_BITS | length),
            false => Self::NONE,
        }
    }

    #[inline]
    fn unpack(self) -> (Timestamp, Timestamp) {
        let start = self.0 >> LENGTH_BITS;
        let length = self.0 & ((1 << LENGTH_BITS) - 1);
        (
            Timestamp::from_secs(start),
            Timestamp::from_secs(start + length),
        )
    }
}

/// The same windows, whichever of them was asked for last.
impl PartialEq for Calendar {
    fn eq(&self, other: &Self) -> bool {
        (self.start, self.multiplier, &self.zone) == (other.start, other.multiplier, &other.zone)
    }
}

impl Eq for Calendar {}

impl Hash for Calendar {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.start, self.multiplier, self.zone.name()).hash(state);
    }
}

/// `calendar month in Europe/Berlin`, `3 calendar months in UTC, from day 15`, `calendar week in UTC, from Sunday`.
impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, zone) = (self.start.unit().name(), self.zone.name());
        match self.multiplier {
            1 => write!(f, "calendar {unit} in {zone}")?,
            many => write!(f, "{many} calendar {unit}s in {zone}")?,
        }
        match self.start {
            CalendarStart::Week(Weekday::Monday)
            | CalendarStart::Month(1)
            | CalendarStart::Day
            | CalendarStart::Year => Ok(()),
            CalendarStart::Week(first) => write!(f, ", from {}", first.name()),
            CalendarStart::Month(anchor) => write!(f, ", from day {anchor}"),
        }
    }
}

#[cfg(test)]
mod tests;
