//! weir with counters in Redis: beside envoyproxy/ratelimit at the same Redis, in batches, and how soon.

use crate::keys::Choice;
use crate::load::{self, Load, Outcome, Pace};
use crate::pairs::{Pairs, Run};
use crate::peers::{self, Children};
use crate::policies;
use crate::redis::server::RedisServer;
use crate::servers::Running;
use crate::table::Measured;
use crate::throughput::{PAIRS, PEEK, PEEKS, RUN, closed, one_key};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Clients that call again and again, and so are not all in one counter.
const CLIENTS: Choice = Choice::Uniform(10_000);

/// weir with its counters in that Redis.
fn weir(redis: &RedisServer, policy: &str, more: &[&str]) -> Result<Running> {
    let store = redis.address().to_string();
    let arguments: Vec<&str> = ["--store", &store].iter().chain(more).copied().collect();
    Running::weir(policy, &arguments)
}

/// How many times as many answers weir gives as envoyproxy/ratelimit, both counting in the same Redis.
pub(crate) fn beside_ratelimit() -> Result<Measured> {
    let program = match peers::install() {
        Ok(program) => program,
        Err(reason) => return Ok(Measured::of(f64::NAN, format!("SKIPPED: {reason}"))),
    };
    let policy = policies::of_rules(1);
    let redis = RedisServer::start();
    let weir = weir(&redis, &policy, &[])?;
    let peer = peers::service(
        &program,
        &policy,
        ("tcp", &format!("127.0.0.1:{}", redis.port)),
        (tempfile::tempdir()?, Children::default()),
    )?;
    let run = |server| {
        Run::of(
            server,
            &closed(server, &one_key(), CLIENTS, (u64::MAX, RUN)),
        )
    };
    run(&weir)?;
    run(&peer)?;
    Ok(Pairs::measure(PAIRS, || run(&weir), || run(&peer))?.throughput())
}

/// Answers a second of one that settles every 20 ms, by those of one that asks for each call.
pub(crate) fn in_batches() -> Result<Measured> {
    let policy = policies::of_rules(1);
    let redis = RedisServer::start();
    let batches = weir(&redis, &policy, &["--redis-batch", "20"])?;
    let each = weir(&redis, &policy, &[])?;
    let hot = |server| {
        Run::of(
            server,
            &closed(server, &one_key(), Choice::One, (u64::MAX, RUN)),
        )
    };
    hot(&batches)?;
    hot(&each)?;
    Ok(Pairs::measure(PAIRS, || hot(&batches), || hot(&each))?.throughput())
}

/// Milliseconds within which 99 % are answered, at half of what weir answers at most.
pub(crate) fn latency() -> Result<Measured> {
    let redis = RedisServer::start();
    let weir = weir(&redis, &policies::of_rules(1), &[])?;
    let saturated = closed(&weir, &one_key(), CLIENTS, (u64::MAX, RUN));
    Run::of(&weir, &saturated)?;
    let half = Run::of(&weir, &saturated)?.rate / 2.0;
    let pace = Pace::Open {
        rate: half,
        lasts: PEEK,
    };
    let load = Load { pace, ..saturated };
    let peek = |_| Ok(millis(&load::run(&load)?, 0.99));
    let mut p99s: Vec<f64> = (0..PEEKS).map(peek).collect::<Result<_>>()?;
    p99s.sort_by(f64::total_cmp);
    let at = |share: usize| p99s[(PEEKS - 1) * share / 4];
    Ok(Measured::of(
        at(2),
        format!(
            "ms, at {half:.0} a second, the middle one of {PEEKS} runs; all {:.2} [{:.2}–{:.2}] {:.2}",
            at(0),
            at(1),
            at(3),
            at(4)
        ),
    ))
}

fn millis(outcome: &Outcome, quantile: f64) -> f64 {
    outcome.latency.value_at_quantile(quantile) as f64 / 1e6
}
