//! `decide` alone, in this process, without the network.

use std::hint::black_box;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Instant;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use weir::clock::Clock;
use weir::engine::{Decision, Engine};
use weir::policy;
use weir::request::{Descriptor, Entry, Request};
use weir::store::{MemoryConfig, Store};

use crate::keys::{Choice, Keys};
use crate::policies;

pub(crate) const MILLION: u64 = 1_000_000;

/// Nanoseconds per call: the minimum of several runs, because disturbances last for seconds and only make a run longer.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn nanos_each(calls: u64, runs: u64, mut run: impl FnMut(u64)) -> f64 {
    let runs = (0..runs).map(|_| {
        let start = Instant::now();
        (0..calls).for_each(&mut run);
        start.elapsed().as_nanos() as f64 / calls as f64
    });
    runs.fold(f64::INFINITY, f64::min)
}

/// An engine with a policy.
pub(crate) fn engine(yaml: &str) -> Result<Engine, Box<dyn std::error::Error>> {
    let policy = policy::load_text(Path::new("bench.yaml"), yaml)
        .policy
        .ok_or("a bad policy")?;
    let store = Store::memory(MemoryConfig {
        budget_bytes: 16 << 30,
    })?;
    Ok(Engine::new(policy, store, Clock::System))
}

pub(crate) fn request(entries: &[(&str, String)]) -> Request {
    let entry = |(key, value): &(&str, String)| Entry {
        key: key.to_string().into(),
        value: value.clone().into(),
    };
    let entries = entries.iter().map(entry).collect();
    let descriptor = Descriptor {
        entries,
        ..Descriptor::default()
    };
    Request {
        domain: policies::DOMAIN.into(),
        descriptors: vec![descriptor],
    }
}

fn client(number: u64) -> Request {
    request(&[("api_key", format!("{number:016x}"))])
}

/// The memory store never waits, so the measurement does not need a runtime.
fn decide(engine: &Engine, request: &Request) -> Decision {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(engine.decide(request)).poll(&mut context) {
        Poll::Ready(decision) => decision,
        Poll::Pending => unreachable!("a store in memory never waits"),
    }
}

/// The same key every time.
pub(crate) fn hot_key(rules: u64) -> Result<f64, Box<dyn std::error::Error>> {
    let engine = engine(&policies::of_rules(rules))?;
    let request = client(0);
    Ok(nanos_each(MILLION, 25, |_| {
        black_box(decide(&engine, black_box(&request)));
    }))
}

/// A million live keys, compared with a bare `get` of moka with the same keys.
pub(crate) fn million_keys() -> Result<(f64, f64), Box<dyn std::error::Error>> {
    let engine = engine(&policies::of_rules(1))?;
    let requests: Vec<_> = (0..MILLION).map(client).collect();
    for request in &requests {
        decide(&engine, request);
    }
    let mut keys = Keys::new(Choice::Uniform(MILLION), 1);
    let decide = nanos_each(MILLION, 9, |_| {
        let request = &requests[keys.next() as usize];
        black_box(decide(&engine, request));
    });
    drop(engine);
    let cache: Cache<u128, (u64, u64)> = Cache::builder()
        .eviction_policy(EvictionPolicy::lru())
        .build();
    let spread = |number: u64| u128::from(number) * 0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835;
    (0..MILLION).for_each(|number| cache.insert(spread(number), (number, number)));
    let mut keys = Keys::new(Choice::Uniform(MILLION), 1);
    let bare = nanos_each(MILLION, 9, |_| {
        // Both read the request, so that both pay for its cache misses.
        let number = keys.next();
        black_box(&requests[number as usize].descriptors[0].entries[0].value[0]);
        black_box(cache.get(&spread(number)));
    });
    Ok((decide, bare))
}

/// Decisions per second: of one thread, of two threads with different keys, of two with the same key. The maximum of
/// several alternating runs, because disturbances only make a run slower.
pub(crate) fn two_threads() -> Result<[f64; 3], Box<dyn std::error::Error>> {
    let engine = Arc::new(engine(&policies::of_rules(1))?);
    let mut best = [0.0; 3];
    for _ in 0..9 {
        for (best, clients) in best.iter_mut().zip([&[1][..], &[1, 2], &[1, 1]]) {
            *best = f64::max(*best, together(&engine, clients));
        }
    }
    Ok(best)
}

/// Decisions per second, with one thread per client.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn together(engine: &Arc<Engine>, clients: &[u64]) -> f64 {
    let start = Instant::now();
    thread::scope(|scope| {
        for number in clients {
            scope.spawn(|| {
                let request = client(*number);
                for _ in 0..MILLION {
                    black_box(decide(engine, &request));
                }
            });
        }
    });
    (clients.len() as u64 * MILLION) as f64 / start.elapsed().as_secs_f64()
}
