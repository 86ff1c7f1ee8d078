use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;

use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::clock::{ManualClock, Micros};
use crate::limit::{
    Active, BlockOutcome, Calendar, CalendarRate, CalendarStart, CalendarZone, Charge, Limit,
    LimitKind, LimitSet, Outcome, Penalty, Rate,
};
use crate::request::Cost;
use crate::state::{StateInspection, StateProblem};
use crate::store::{Batch, Enforcement, Hit, KeyBuilder, MemoryConfig, Store};

const START: Timestamp = Timestamp::from_secs(1_700_000_000);
const LONG: Duration = Duration::from_secs(60);

/// A store whose counters are in a folder.
struct Kept {
    store: Store,
    writer: StateWriter,
    restored: Restored,
    clock: ManualClock,
    runtime: Runtime,
}

impl Kept {
    /// Writes only when it is asked to.
    fn open(folder: &Path, clock: &ManualClock) -> Self {
        Self::open_every(folder, clock, Duration::from_secs(3_600))
    }

    fn open_every(folder: &Path, clock: &ManualClock, interval: Duration) -> Self {
        let state = StateFolder::open(folder, clock.now()).unwrap();
        let (store, records) = Store::recorded(MemoryConfig::default(), state.hash_key()).unwrap();
        let config = WriterConfig {
            interval,
            clock: Clock::Manual(clock.clone()),
        };
        let (writer, restored) = StateWriter::start(state, records, config).unwrap();
        Self {
            store,
            writer,
            restored,
            clock: clock.clone(),
            runtime: Builder::new_current_thread().build().unwrap(),
        }
    }

    /// Charges a client, and returns what is left of 1,000 hits in an hour.
    fn charge(&self, client: &str, cost: Cost) -> u32 {
        let limit = LimitKind::FixedWindow(Rate::parse("1000 per hour").unwrap());
        self.charge_at(&Limit::new(limit), client, cost).available
    }

    fn charge_at(&self, limit: &Limit, client: &str, cost: Cost) -> Outcome {
        let set = LimitSet {
            limits: [limit.clone()].into(),
            charge: Charge::Allowed,
        };
        let hit = Hit {
            key: self.key(client),
            set: &set,
            active: Active::ALL,
            cost,
            lease: None,
            enforcement: Enforcement::Enforced,
        };
        let batch = Batch {
            hits: [hit].into_iter().collect(),
            atomic: false,
        };
        let outcome = self
            .runtime
            .block_on(self.store.hit(self.clock.now(), &batch));
        outcome.outcomes[0].limits[0]
    }

    fn hits(&self, client: &str, hits: u32) {
        self.charge(client, Cost::Hits(hits));
    }

    fn left(&self, client: &str) -> u32 {
        self.charge(client, Cost::Peek)
    }

    fn key(&self, client: &str) -> crate::store::CounterKey {
        let mut identity = KeyBuilder::new(&self.store.hasher());
        identity.add(0, client.as_bytes());
        identity.key()
    }

    fn finish(self) {
        self.writer.finish(LONG).unwrap();
    }
}

fn clock() -> ManualClock {
    ManualClock::new(START)
}

/// What a disk has when the power is cut.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

#[test]
fn nothing_is_lost_when_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let first = Kept::open(folder.path(), &clock);
    assert_eq!(first.restored, Restored::default());
    first.hits("a", 3);
    first.hits("b", 1_000);
    first.finish();
    let second = Kept::open(folder.path(), &clock);
    assert_eq!(second.restored.counters, 2);
    assert_eq!(
        (second.left("a"), second.left("b"), second.left("c")),
        (997, 0, 1_000)
    );
    second.hits("a", 1);
    second.finish();
    assert_eq!(Kept::open(folder.path(), &clock).left("a"), 996);
}

#[test]
fn after_a_power_cut_there_is_what_was_flushed() {
    let (folder, image) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let clock = clock();
    let first = Kept::open(folder.path(), &clock);
    first.hits("a", 3);
    first.writer.flush().unwrap();
    first.hits("a", 4);
    let second = {
        copy(folder.path(), image.path());
        Kept::open(image.path(), &clock)
    };
    assert_eq!(second.left("a"), 997);
    assert_eq!(first.left("a"), 993);
}

#[test]
fn changes_are_written_without_being_asked_for() {
    let (folder, image) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let clock = clock();
    let first = Kept::open_every(folder.path(), &clock, Duration::from_millis(1));
    first.hits("a", 3);
    while first.writer.status().written() == 0 {
        thread::yield_now();
    }
    first.writer.flush().unwrap();
    copy(folder.path(), image.path());
    assert_eq!(Kept::open(image.path(), &clock).left("a"), 997);
}

#[test]
fn a_reset_survives_and_what_has_ended_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let first = Kept::open(folder.path(), &clock);
    for client in ["a", "b"] {
        first.hits(client, 3);
    }
    first.writer.flush().unwrap();
    assert!(
        first
            .runtime
            .block_on(first.store.reset(first.key("a")))
            .unwrap()
    );
    first.writer.flush().unwrap();
    first.finish();
    let found = StateInspection::of(folder.path(), clock.now()).unwrap();
    assert_eq!((found.counters, found.ended), (1, 0));

    let second = Kept::open(folder.path(), &clock);
    assert_eq!((second.left("a"), second.left("b")), (1_000, 997));
    clock.advance(Duration::from_secs(3_600));
    second.hits("c", 1);
    second.finish();
    let found = StateInspection::of(folder.path(), clock.now()).unwrap();
    assert_eq!((found.counters, found.ended), (1, 0));
}

#[test]
fn an_earlier_clock_restores_all_and_a_later_one_what_still_counts() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let first = Kept::open(folder.path(), &clock);
    first.hits("a", 3);
    first.finish();
    clock.set(Timestamp::from_micros(START.micros() - 600_000_000));
    let second = Kept::open(folder.path(), &clock);
    assert_eq!((second.restored.counters, second.left("a")), (1, 997));
    second.finish();
    clock.set(START.plus(Micros::from_secs(3_600)));
    let third = Kept::open(folder.path(), &clock);
    assert_eq!((third.restored.ended, third.left("a")), (1, 1_000));
}

#[test]
fn a_window_of_the_calendar_goes_on_after_a_restart_and_ends_when_it_would_have() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let zone = CalendarZone::named("Europe/Berlin").unwrap();
    let calendar = Calendar::new(CalendarStart::Month(1), 1, zone).unwrap();
    let month = Limit::new(LimitKind::Calendar(CalendarRate {
        requests: 100,
        calendar: calendar.into(),
    }));
    let first = Kept::open(folder.path(), &clock);
    let outcome = first.charge_at(&month, "a", Cost::Hits(3));
    assert_eq!(outcome.available, 97);
    first.finish();
    // December begins in Berlin at 23:00 UTC.
    let december = Timestamp::from_secs(1_701_385_200);
    for (secs_before, left) in [(5 * 86_400, 97), (1, 97), (0, 100)] {
        clock.set(Timestamp::from_micros(
            december.micros() - secs_before * 1_000_000,
        ));
        let next = Kept::open(folder.path(), &clock);
        let outcome = next.charge_at(&month, "a", Cost::Peek);
        assert_eq!(outcome.available, left, "{secs_before} s before");
        next.finish();
    }
}

#[test]
fn a_block_and_its_level_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let logins = Limit {
        penalty: Penalty::new(&[60, 600]),
        ..Limit::new(LimitKind::FixedWindow(Rate::parse("1 per minute").unwrap()))
    };
    let log_in = |kept: &Kept| {
        let outcome = kept.charge_at(&logins, "a", Cost::Hits(1));
        let secs = outcome.reset_after.get() / 1_000_000;
        (outcome.over, outcome.block, secs)
    };
    let first = Kept::open(folder.path(), &clock);
    assert!(!log_in(&first).0);
    assert_eq!(log_in(&first), (true, BlockOutcome::Began, 60));
    first.finish();

    clock.advance(Duration::from_secs(45));
    let second = Kept::open(folder.path(), &clock);
    // The window has ended, the block has not.
    assert_eq!(log_in(&second), (true, BlockOutcome::InForce, 15));
    second.finish();

    clock.advance(Duration::from_secs(20));
    let third = Kept::open(folder.path(), &clock);
    assert!(!log_in(&third).0);
    third.finish();
    let fourth = Kept::open(folder.path(), &clock);
    assert_eq!(log_in(&fourth), (true, BlockOutcome::Began, 600));
}

#[test]
fn damaged_files_are_moved_aside_and_counting_goes_on() {
    let whole = tempfile::tempdir().unwrap();
    let clock = clock();
    let first = Kept::open(whole.path(), &clock);
    for client in 0..5_000 {
        first.hits(&client.to_string(), 3);
    }
    first.finish();
    let counters = whole.path().join("counters");
    let mut moved = 0;
    for (number, file) in files(&counters).iter().enumerate() {
        let length = fs::metadata(file).unwrap().len();
        for (at, bytes) in [(0, 8), (length / 2, 64)] {
            if at > 0 && length < 4_096 {
                continue;
            }
            let folder = tempfile::tempdir().unwrap();
            copy(whole.path(), folder.path());
            let damaged = folder
                .path()
                .join("counters")
                .join(file.strip_prefix(&counters).unwrap());
            let file = fs::OpenOptions::new().write(true).open(&damaged).unwrap();
            file.write_all_at(&vec![0xa5; bytes], at).unwrap();
            let second = Kept::open(folder.path(), &clock);
            // The folder is usable, whatever could be read.
            second.hits("new", 7);
            second
                .writer
                .flush()
                .unwrap_or_else(|error| panic!("file {number} at {at}: {error}"));
            assert_eq!(second.writer.status().problem(), None);
            second.finish();
            let third = Kept::open(folder.path(), &clock);
            assert_eq!(third.left("new"), 993, "file {number} at {at}");
            let found = files(folder.path());
            moved += u32::from(
                found
                    .iter()
                    .any(|file| file.to_string_lossy().contains(".aside-")),
            );
        }
    }
    assert!(moved > 0);
}

#[test]
fn a_folder_that_goes_away_is_reported_and_used_again_when_it_is_back() {
    let parent = tempfile::tempdir().unwrap();
    let (folder, away) = (parent.path().join("state"), parent.path().join("away"));
    let clock = clock();
    let first = Kept::open(&folder, &clock);
    first.hits("a", 3);
    first.writer.flush().unwrap();
    fs::rename(&folder, &away).unwrap();
    first.hits("a", 4);
    first.writer.flush().unwrap_err();
    let status = first.writer.status();
    assert!(matches!(status.problem(), Some(StateProblem::Failed(_))));
    assert_eq!(status.failures(), 1);
    assert_eq!(first.left("a"), 993);
    fs::rename(&away, &folder).unwrap();
    first.writer.flush().unwrap();
    assert_eq!(first.writer.status().problem(), None);
    first.finish();
    assert_eq!(Kept::open(&folder, &clock).left("a"), 993);
}

#[test]
fn a_table_is_cleaned_while_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let kept = Kept::open(folder.path(), &clock);
    for round in 0..30 {
        for client in 0..100 {
            kept.hits(&format!("{round}/{client}"), 1);
        }
        kept.writer.flush().unwrap();
        clock.advance(Duration::from_secs(900));
    }
    kept.finish();
    let found = StateInspection::of(folder.path(), clock.now()).unwrap();
    assert!(found.counters <= 400 && found.ended <= 800, "{found:?}");
}

#[test]
fn an_inspection_counts_and_shows_no_client() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let kept = Kept::open(folder.path(), &clock);
    kept.hits("secret-client", 1_000);
    kept.hits("secret-client", 1);
    let error = StateInspection::of(folder.path(), START)
        .unwrap_err()
        .to_string();
    assert!(error.contains("used by another weir"), "{error}");
    kept.finish();
    let found = StateInspection::of(folder.path(), START.plus(Micros::from_secs(60))).unwrap();
    assert_eq!(
        (found.counters, found.pinned, found.format),
        (1, 1, Some(1))
    );
    assert_eq!(
        (found.oldest_age_secs, found.newest_age_secs),
        (Some(60), Some(60))
    );
    assert!(found.bytes > 0 && !format!("{found:?}").contains("secret"));
    for file in files(folder.path()) {
        let bytes = fs::read(file).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"secret"));
    }
}
