//! The time of a reload, and its effect on decisions.
//!
//! `cargo bench -p weir-bench --bench reload` writes a policy of 100,000 rules, reloads it while one thread decides, and
//! prints the time of a reload and the latency of decisions with and without one.

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use weir::clock::Clock;
use weir::engine::Engine;
use weir::policy::LoadOptions;
use weir::request::{Descriptor, Entry, Request};
use weir::server::reload::{PolicyFiles, PolicySource, ReloadOutcome, Reloader};
use weir::store::{MemoryConfig, Store};
use weir::telemetry::Metrics;

const RULES: usize = 100_000;
const RELOADS: u32 = 5;
const QUIET: Duration = Duration::from_secs(2);

// The same allocator as in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("big.yaml"), policy()?)?;
    let mut files = PolicyFiles::new(vec![folder.path().to_owned()], LoadOptions::default());
    let loaded = files.load()?.policy.ok_or("the policy has errors")?;
    assert_eq!(loaded.rule_count(), RULES);
    let store = Store::memory(MemoryConfig::default())?;
    let engine = Arc::new(Engine::new(loaded, store, Clock::System));
    let metrics = Arc::new(Metrics::new(&engine.policy()));
    let reloader = Reloader::start(
        PolicySource::Files(files),
        Arc::clone(&engine),
        metrics,
        None,
    )?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;

    let (quiet, ()) = while_deciding(&engine, || {
        let start = now();
        while start.elapsed() < QUIET {
            thread::yield_now();
        }
    });
    let (reloading, took) = while_deciding(&engine, || {
        let start = now();
        for _ in 0..RELOADS {
            assert_eq!(runtime.block_on(reloader.reload()), ReloadOutcome::Reloaded);
        }
        start.elapsed() / RELOADS
    });
    println!("a reload of {RULES} rules takes {} ms", took.as_millis());
    println!("on {} cores", thread::available_parallelism()?);
    println!(
        "{:<12} {:>10} {:>9} {:>9} {:>9} {:>9}",
        "decisions", "count", "p50 ns", "p99 ns", "p99.9 ns", "worst µs"
    );
    print("quiet", quiet);
    print("reloading", reloading);
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn now() -> Instant {
    Instant::now()
}

fn policy() -> Result<String, std::fmt::Error> {
    let mut policy = "domain: big\ndescriptors:\n".to_owned();
    for rule in 0..RULES {
        writeln!(
            policy,
            "  - key: account\n    value: a{rule}\n    rate_limit: {{unit: hour, requests_per_unit: {}}}",
            rule + 1
        )?;
    }
    Ok(policy)
}

/// Calls `act` while another thread decides. Returns the duration of each decision in nanoseconds.
fn while_deciding<T>(engine: &Engine, act: impl FnOnce() -> T) -> (Vec<u64>, T) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let deciding = scope.spawn(|| decide(engine, &done));
        let outcome = act();
        done.store(true, Ordering::Relaxed);
        (deciding.join().unwrap_or_default(), outcome)
    })
}

fn decide(engine: &Engine, done: &AtomicBool) -> Vec<u64> {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else {
        return Vec::new();
    };
    let requests: Vec<Request> = (0..RULES).step_by(97).map(request).collect();
    runtime.block_on(async {
        let mut took_ns = Vec::new();
        for request in requests.iter().cycle() {
            if done.load(Ordering::Relaxed) {
                break;
            }
            let start = now();
            black_box(engine.decide(request).await);
            took_ns.push(start.elapsed().as_nanos() as u64);
        }
        took_ns
    })
}

fn request(rule: usize) -> Request {
    let entry = Entry {
        key: "account".into(),
        value: format!("a{rule}").into(),
    };
    Request {
        domain: "big".into(),
        descriptors: vec![Descriptor {
            entries: vec![entry],
            ..Descriptor::default()
        }],
    }
}

fn print(name: &str, mut took_ns: Vec<u64>) {
    took_ns.sort_unstable();
    let at = |share: f64| {
        let index = (took_ns.len() as f64 * share) as usize;
        took_ns.get(index).or(took_ns.last()).copied().unwrap_or(0)
    };
    let (p50, p99, p999) = (at(0.5), at(0.99), at(0.999));
    let worst_us = at(1.0) / 1000;
    println!(
        "{name:<12} {:>10} {p50:>9} {p99:>9} {p999:>9} {worst_us:>9}",
        took_ns.len()
    );
}
