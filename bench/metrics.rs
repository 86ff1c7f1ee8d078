//! The cost of metrics per decision.
//!
//! `cargo bench -p weir-bench --bench metrics` decides repeatedly, alternating between with and without metrics, and
//! prints the time of each and their difference. The target is 3 % of a served decision, including its call over the
//! wire, which `cargo bench -p weir-bench --bench compare` measures.

use std::hint::black_box;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Instant;

use weir::clock::Clock;
use weir::engine::Engine;
use weir::policy;
use weir::request::{Descriptor, Entry, Request};
use weir::store::{MemoryConfig, Store};
use weir::telemetry::{Metrics, Recorder};

const CALLS: usize = 200_000;
const ROUNDS: usize = 31;
const KEYS: usize = 10_000;

// The same allocator as in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!(
        "{:<28} {:>10} {:>10} {:>8}",
        "", "without ns", "with ns", "more ns"
    );
    row("one key, one rule", 1, &[request(0)], 1)?;
    let many: Vec<Request> = (0..KEYS).map(request).collect();
    row("10,000 keys, one rule", 1, &many, 1)?;
    row("10,000 keys, 10,000 rules", KEYS, &many, 1)?;
    row("two threads, 10,000 keys", 1, &many, 2)?;
    Ok(())
}

fn row(
    name: &str,
    rules: usize,
    requests: &[Request],
    threads: usize,
) -> Result<(), Box<dyn std::error::Error>> {
    let yaml = policy_of(rules);
    let policy = policy::load_text(Path::new("bench.yaml"), &yaml).policy;
    let store = Store::memory(MemoryConfig::default())?;
    let engine = Engine::new(policy.ok_or("a bad policy")?, store, Clock::System);
    let engine = Arc::new(engine);
    let metrics = Metrics::new(&engine.policy());
    let recorders: Vec<Recorder> = (0..threads).map(|_| metrics.worker_recorder()).collect();
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(together(&recorders, |_| {
            each(requests, |request| poll(pin!(engine.decide(request))));
        }));
        with.push(together(&recorders, |recorder| {
            each(requests, |request| {
                let mut call = recorder.begin();
                let observe =
                    |result: weir::engine::DescriptorResult<'_>| call.record(request, &result);
                let decision = poll(pin!(engine.decide_observed(request, observe)));
                call.end(&decision);
                decision
            });
        }));
    }
    let (without, with) = (median(without), median(with));
    println!(
        "{name:<28} {without:>10.1} {with:>10.1} {:>8.1}",
        with - without
    );
    Ok(())
}

fn policy_of(rules: usize) -> String {
    let rules = (0..rules).map(|rule| {
        let value = match rule {
            0 => String::new(),
            rule => format!("value: k{rule}, "),
        };
        format!(
            "  - {{key: key, {value}rate_limit: {{unit: year, requests_per_unit: 4000000000}}}}\n"
        )
    });
    format!("domain: bench\ndescriptors:\n{}", rules.collect::<String>())
}

fn request(number: usize) -> Request {
    let entry = Entry {
        key: "key".into(),
        value: format!("k{number}").into(),
    };
    Request {
        domain: "bench".into(),
        descriptors: vec![Descriptor {
            entries: vec![entry],
            ..Descriptor::default()
        }],
    }
}

/// Nanoseconds per call of threads that decide at the same time, one per recorder.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn together(recorders: &[Recorder], run: impl Fn(&Recorder) + Sync) -> f64 {
    let start = Instant::now();
    thread::scope(|scope| {
        for recorder in recorders {
            scope.spawn(|| run(recorder));
        }
    });
    start.elapsed().as_nanos() as f64 / CALLS as f64
}

fn each<T>(requests: &[Request], decide: impl Fn(&Request) -> T) {
    for request in requests.iter().cycle().take(CALLS) {
        black_box(decide(black_box(request)));
    }
}

/// The memory store never waits, so the measurement does not need a runtime.
fn poll<T>(decision: std::pin::Pin<&mut impl Future<Output = T>>) -> T {
    match decision.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(decision) => decision,
        Poll::Pending => unreachable!("a store in memory never waits"),
    }
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}
