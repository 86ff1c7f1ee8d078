//! Tables on disk for `serve --state`: `cargo bench -p weir-bench --bench state -- FOLDER` compares two engines.
//!
//! Each has a million counters and is written as the server writes: batches of counters at random keys, each synced to
//! the disk. The folder must be on a disk, not in memory. Linux only: it reads `/proc`.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use redb::{ReadableDatabase, ReadableTable, TableDefinition};
use weir::clock::Stopwatch;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const COUNTERS: u64 = 1_000_000;
const LOAD: usize = 50_000;
const SWEEPS: usize = 60;
/// Counters that change in half a second.
const CHANGED: [usize; 3] = [100, 5_000, 50_000];
/// A counter as the server stores it: when it ends, its pin, and the state of a fixed window.
const VALUE_BYTES: usize = 8 + 4 + 5 + 16;
/// Names the engine and the step of a child process.
const STEP: &str = "WEIR_BENCH_STATE_STEP";
const REDB_TABLE: TableDefinition<'_, [u8; 16], &[u8]> = TableDefinition::new("counters");

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    if let Ok(step) = std::env::var(STEP) {
        let folder = PathBuf::from(std::env::args().nth(1).ok_or("no folder")?);
        return match step.as_str() {
            "fjall write" => measure_writes(&Fjall::open(&folder)?, &folder),
            "fjall read" => measure_start(|| Fjall::open(&folder)),
            "redb write" => measure_writes(&Redb::open(&folder)?, &folder),
            "redb read" => measure_start(|| Redb::open(&folder)),
            _ => Err("unknown step".into()),
        };
    }
    let folder = std::env::args().skip(1).find(|arg| !arg.starts_with("--"));
    let folder = folder.unwrap_or_else(|| "target".to_owned());
    for engine in ["fjall", "redb"] {
        let own = tempfile::tempdir_in(&folder)?;
        println!("{engine}");
        for step in ["write", "read"] {
            let status = Command::new(std::env::current_exe()?)
                .arg(own.path())
                .env(STEP, format!("{engine} {step}"))
                .status()?;
            if !status.success() {
                return Err(format!("{engine} {step} failed").into());
            }
        }
    }
    Ok(())
}

trait Engine: Sized {
    fn write(&self, keys: &[u64], round: u64) -> Outcome<()>;
    /// The number of counters, all read.
    fn read(&self) -> Outcome<u64>;
}

struct Fjall {
    database: Database,
    counters: Keyspace,
}

impl Fjall {
    fn open(folder: &Path) -> Outcome<Self> {
        let database = Database::builder(folder.join("fjall"))
            .worker_threads(1)
            .cache_size(4 << 20)
            .max_journaling_size(64 << 20)
            .open()?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(16 << 20);
        let counters = database.keyspace("counters", options)?;
        Ok(Self { database, counters })
    }
}

impl Engine for Fjall {
    fn write(&self, keys: &[u64], round: u64) -> Outcome<()> {
        let mut batch = self.database.batch();
        for number in keys {
            batch.insert(&self.counters, key(*number), value(*number, round));
        }
        batch.durability(Some(PersistMode::SyncData)).commit()?;
        Ok(())
    }

    fn read(&self) -> Outcome<u64> {
        let mut found = 0;
        for pair in self.counters.iter() {
            let (_, value) = pair.into_inner()?;
            found += u64::from(value.len() == VALUE_BYTES);
        }
        Ok(found)
    }
}

struct Redb(redb::Database);

impl Redb {
    fn open(folder: &Path) -> Outcome<Self> {
        let mut builder = redb::Builder::new();
        builder.set_cache_size(64 << 20);
        Ok(Self(builder.create(folder.join("counters.redb"))?))
    }
}

impl Engine for Redb {
    fn write(&self, keys: &[u64], round: u64) -> Outcome<()> {
        let mut sorted: Vec<_> = keys.iter().map(|number| (key(*number), *number)).collect();
        sorted.sort_unstable();
        let transaction = self.0.begin_write()?;
        {
            let mut table = transaction.open_table(REDB_TABLE)?;
            for (key, number) in sorted {
                table.insert(key, value(number, round).as_slice())?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    fn read(&self) -> Outcome<u64> {
        let transaction = self.0.begin_read()?;
        let table = transaction.open_table(REDB_TABLE)?;
        let mut found = 0;
        for pair in table.iter()? {
            let (_, value) = pair?;
            found += u64::from(value.value().len() == VALUE_BYTES);
        }
        Ok(found)
    }
}

fn measure_writes(engine: &impl Engine, folder: &Path) -> Outcome<()> {
    let all: Vec<u64> = (0..COUNTERS).collect();
    let (before, cpu, start) = (written_bytes()?, processor_time()?, Stopwatch::start());
    for keys in all.chunks(LOAD) {
        engine.write(keys, 0)?;
    }
    report(
        "a million counters",
        COUNTERS as usize,
        start.elapsed(),
        cpu,
        before,
    )?;
    let mut random = 0x9e37_79b9_7f4a_7c15;
    for changed in CHANGED {
        let (before, cpu) = (written_bytes()?, processor_time()?);
        let mut times = Vec::new();
        for round in 0..SWEEPS {
            let mut keys: Vec<u64> = (0..changed).map(|_| next(&mut random) % COUNTERS).collect();
            keys.sort_unstable();
            keys.dedup();
            let start = Stopwatch::start();
            engine.write(&keys, round as u64)?;
            times.push(start.elapsed());
        }
        times.sort_unstable();
        let total = times.iter().sum();
        report(
            &format!("{changed} changed"),
            changed * SWEEPS,
            total,
            cpu,
            before,
        )?;
        println!(
            "    a batch took {:.1} ms (median), {:.1} ms (longest)",
            millis(times[SWEEPS / 2]),
            millis(times[SWEEPS - 1])
        );
    }
    println!("  on disk {} MiB", folder_bytes(folder)? >> 20);
    Ok(())
}

fn report(what: &str, counters: usize, took: Duration, cpu: Duration, before: u64) -> Outcome<()> {
    let bytes = written_bytes()? - before;
    let cpu = processor_time()?.saturating_sub(cpu);
    println!(
        "  {what}: {:.0} counters/s, {:.1} us of processor time and {:.0} B written for each",
        counters as f64 / took.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / counters as f64,
        bytes as f64 / counters as f64
    );
    Ok(())
}

fn measure_start<E: Engine>(open: impl FnOnce() -> Outcome<E>) -> Outcome<()> {
    let start = Stopwatch::start();
    let engine = open()?;
    let opened = start.elapsed();
    let found = engine.read()?;
    println!(
        "  start: opened in {:.0} ms, {found} counters read after {:.0} ms, {} MiB resident",
        millis(opened),
        millis(start.elapsed()),
        status_kib("VmHWM:")? >> 10
    );
    Ok(())
}

/// A key as a keyed hash would be: random bits.
fn key(number: u64) -> [u8; 16] {
    let mut state = number;
    let (high, low) = (next(&mut state), next(&mut state));
    let mut key = [0; 16];
    key[..8].copy_from_slice(&high.to_be_bytes());
    key[8..].copy_from_slice(&low.to_be_bytes());
    key
}

fn value(number: u64, round: u64) -> Vec<u8> {
    let mut value = vec![0; VALUE_BYTES];
    value[..8].copy_from_slice(&(1_700_000_000_000_000 + round).to_le_bytes());
    value[17..25].copy_from_slice(&1_700_000_000_000_000_u64.to_le_bytes());
    value[25..33].copy_from_slice(&(number % 1_000 + round).to_le_bytes());
    value
}

/// SplitMix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut bits = *state;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Bytes that this process caused to be written to disks.
fn written_bytes() -> Outcome<u64> {
    number_after(&fs::read_to_string("/proc/self/io")?, "write_bytes:")
}

fn status_kib(name: &str) -> Outcome<u64> {
    number_after(&fs::read_to_string("/proc/self/status")?, name)
}

fn number_after(text: &str, name: &str) -> Outcome<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    Ok(number.ok_or("not in /proc")?.parse()?)
}

/// Of all threads of this process.
fn processor_time() -> Outcome<Duration> {
    let text = fs::read_to_string("/proc/self/stat")?;
    let fields = text.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.map(|field| field.parse::<u64>().unwrap_or(0)).sum();
    Ok(Duration::from_millis(ticks * 10))
}

fn folder_bytes(folder: &Path) -> Outcome<u64> {
    use std::os::unix::fs::MetadataExt as _;

    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += match metadata.is_dir() {
            true => folder_bytes(&entry.path())?,
            false => metadata.blocks() * 512,
        };
    }
    Ok(bytes)
}
