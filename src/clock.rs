//! Time as a value, in whole microseconds since the Unix epoch, and the only reader of the system clock.

mod rfc3339;
mod system;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

pub use rfc3339::rfc3339_text;
pub use system::ClockJump;
use system::FollowedClock;

const MICROS_PER_SEC: u64 = 1_000_000;

/// A time: whole microseconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Timestamp(u64);

impl Timestamp {
    /// The time `micros` microseconds after the epoch.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// The time `secs` seconds after the epoch, or the latest possible time.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(MICROS_PER_SEC))
    }

    /// Microseconds since the epoch.
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// The time from `earlier` until this time; 0 if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Micros {
        Micros(self.0.saturating_sub(earlier.0))
    }

    /// The time `span` later.
    pub const fn plus(self, span: Micros) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// Whole seconds since the epoch, rounded up.
    pub const fn secs_ceil(self) -> u64 {
        self.0.div_ceil(MICROS_PER_SEC)
    }
}

/// A duration in whole microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Micros(u64);

impl Micros {
    /// No time.
    pub const ZERO: Self = Self(0);

    /// A duration of `micros` microseconds.
    pub const fn new(micros: u64) -> Self {
        Self(micros)
    }

    /// A duration of `secs` seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(MICROS_PER_SEC))
    }

    /// The number of microseconds.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whole seconds, rounded up: a client that waits this long waits long enough.
    pub const fn secs_ceil(self) -> u64 {
        self.0.div_ceil(MICROS_PER_SEC)
    }
}

/// The source of time.
///
/// ```
/// use weir::clock::{Clock, ManualClock, Timestamp};
///
/// let manual = ManualClock::new(Timestamp::from_secs(1_700_000_000));
/// let clock = Clock::Manual(manual.clone());
/// manual.advance(std::time::Duration::from_secs(5));
/// assert_eq!(clock.now(), Timestamp::from_secs(1_700_000_005));
/// ```
#[derive(Clone, Debug)]
pub enum Clock {
    /// The system clock, as [`follow_system_clock`] follows it.
    System,
    /// A clock that is moved by its owner.
    Manual(ManualClock),
}

impl Clock {
    /// The current time.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => {
                let (followed, start) = &*SYSTEM;
                followed.at(start.elapsed_micros())
            }
            Self::Manual(clock) => clock.now(),
        }
    }
}

/// The system clock, followed, and the origin of the monotonic clock.
static SYSTEM: LazyLock<(FollowedClock, Stopwatch)> = LazyLock::new(|| {
    let start = Stopwatch::start();
    (FollowedClock::new(Micros::ZERO, system_time()), start)
});

#[expect(
    clippy::disallowed_methods,
    reason = "the only reader of the system clock"
)]
fn system_time() -> Timestamp {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    Timestamp::default().plus(Micros::from(since_epoch))
}

/// Lets [`Clock::System`] follow the system clock, which it does not by itself. To be called by one thread about every
/// second. Returns a jump of more than a second, once it has lasted for ten.
pub fn follow_system_clock() -> Option<ClockJump> {
    let (followed, start) = &*SYSTEM;
    followed.follow(start.elapsed_micros(), system_time())
}

/// The jumps of the system clock that were followed since the start.
pub fn system_clock_jumps() -> u64 {
    SYSTEM.0.jumps()
}

impl From<Duration> for Micros {
    fn from(span: Duration) -> Self {
        let secs = span.as_secs().saturating_mul(MICROS_PER_SEC);
        Self(secs.saturating_add(span.subsec_micros().into()))
    }
}

/// Measures elapsed time, independently of changes to the system clock.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts measuring.
    #[expect(
        clippy::disallowed_methods,
        reason = "elapsed time needs a monotonic clock"
    )]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn elapsed_micros(&self) -> Micros {
        self.elapsed().into()
    }
}

/// A clock for tests and scenarios. Clones share the time.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock set to `start`.
    pub fn new(start: Timestamp) -> Self {
        Self(Arc::new(AtomicU64::new(start.0)))
    }

    /// The time that it is set to.
    pub fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }

    /// Sets it, forwards or backwards.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.0, Ordering::Relaxed);
    }

    /// Moves it forward.
    pub fn advance(&self, span: Duration) {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        self.0.fetch_add(micros, Ordering::Relaxed);
    }
}
