//! Resident bytes per live counter, including the tables of the store.
//!
//! `cargo bench -p weir-bench --bench resident` prints them for each kind of rule. They are the source of the constants
//! that `src/store/memory.rs` charges to its budget. Linux only: it reads `/proc`.

use weir::clock::Timestamp;
use weir::limit::{Active, Charge, Limit, LimitKind, LimitSet, Rate, TokenBucket, Window};
use weir::request::Cost;
use weir::store::{Batch, Enforcement, Hit, KeyBuilder, MemoryConfig, Store};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const COUNTERS: u64 = 1_000_000;
/// Names the kind that a child process measures.
const ONLY: &str = "WEIR_BENCH_RESIDENT_ONLY";
const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let kinds = [
        ("fixed_window", rule(vec![limit(LimitKind::FixedWindow)])),
        ("token_bucket", rule(vec![bucket()?])),
        (
            "sliding_window",
            rule(vec![limit(LimitKind::SlidingWindow)]),
        ),
        (
            "list of two",
            rule(vec![limit(LimitKind::FixedWindow), bucket()?]),
        ),
        ("concurrency", rule(vec![slots()])),
    ];
    // Each in its own process, so that none reuses memory that another has freed.
    if let Ok(only) = std::env::var(ONLY) {
        let kind = kinds.iter().find(|(name, _)| *name == only);
        return kind.map_or(Ok(()), |(name, set)| measure(name, set));
    }
    println!(
        "{:<16} {:>8} {:>10} {:>9}",
        "rule", "counters", "resident B", "charged B"
    );
    for (name, _) in kinds {
        std::process::Command::new(std::env::current_exe()?)
            .env(ONLY, name)
            .status()?;
    }
    Ok(())
}

fn measure(name: &str, set: &LimitSet) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let store = Store::memory(MemoryConfig {
        budget_bytes: 64 << 30,
    })?;
    let before = resident_bytes()?;
    for n in 0..COUNTERS {
        let mut identity = KeyBuilder::new(&store.hasher());
        identity.add(0, &n.to_le_bytes());
        let key = identity.key();
        let hit = Hit {
            key,
            set,
            active: Active::ALL,
            cost: Cost::Hits(1),
            lease: None,
            enforcement: Enforcement::Enforced,
        };
        let batch = Batch {
            hits: [hit].into_iter().collect(),
            atomic: false,
        };
        runtime.block_on(store.hit(NOW, &batch));
    }
    let bytes = (resident_bytes()? - before) / COUNTERS;
    let stats = store.stats();
    let charged = stats.bytes / stats.counters.max(1);
    println!("{name:<16} {:>8} {bytes:>10} {charged:>9}", stats.counters);
    Ok(())
}

fn resident_bytes() -> Result<u64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .ok_or("no VmRSS")?;
    let kib: u64 = line
        .split_whitespace()
        .nth(1)
        .ok_or("VmRSS has no value")?
        .parse()?;
    Ok(kib * 1024)
}

fn limit(kind: impl Fn(Rate) -> LimitKind) -> Limit {
    Limit::new(kind(Rate {
        requests: 100,
        window: Window::LONGEST,
    }))
}

fn slots() -> Limit {
    Limit::new(LimitKind::Concurrency {
        max_in_flight: 100,
        lease_secs: Window::LONGEST.secs(),
    })
}

fn bucket() -> Result<Limit, &'static str> {
    let rate = Rate::parse("100 per hour").ok_or("invalid rate")?;
    let bucket = TokenBucket::new(100, rate).map_err(|_| "invalid bucket")?;
    Ok(Limit::new(LimitKind::TokenBucket(bucket)))
}

fn rule(limits: Vec<Limit>) -> LimitSet {
    LimitSet {
        limits: limits.into(),
        charge: Charge::Allowed,
    }
}
