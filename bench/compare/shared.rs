//! weir with counters in Redis: compared with envoyproxy/ratelimit, with a flush interval, and its latency.

use std::fmt;
use std::time::Duration;

use weir_harness::{RedisServer, program};

use crate::keys::Choice;
use crate::load::{self, Load, Outcome, Pace};
use crate::pairs::{Pairs, Run};
use crate::peers::{self, Children};
use crate::policies;
use crate::processor;
use crate::servers::{self, Running};
use crate::table::Measured;
use crate::throughput::{PAIRS, PEEK, PEEKS, RUN, closed, one_key};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Clients that call repeatedly: enough that the hits are spread over many counters.
const CLIENTS: Choice = Choice::Uniform(10_000);

/// A server keeps up with a rate if it answers 99 % within this time.
const KEPT_UP_MILLIS: f64 = 100.0;

/// weir with its counters in Redis.
fn weir(redis: &RedisServer, policy: &str, more: &[&str]) -> Result<Running> {
    weir_at(&redis.url(), policy, more)
}

fn weir_at(store: &str, policy: &str, more: &[&str]) -> Result<Running> {
    let arguments: Vec<&str> = ["--store", store].iter().chain(more).copied().collect();
    Running::weir(policy, &arguments)
}

/// The ratio of answers per second, weir to envoyproxy/ratelimit, both counting in the same Redis on a Unix socket.
pub(crate) fn beside_ratelimit() -> Result<Measured> {
    let program = match program::RATELIMIT.find() {
        Ok(program) => program,
        Err(reason) => return Ok(Measured::of(f64::NAN, format!("SKIPPED: {reason}"))),
    };
    let policy = policies::of_rules(1);
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("redis.sock").display().to_string();
    let _redis = RedisServer::start_with(&["--unixsocket", &socket]);
    let weir = weir_at(&format!("redis+unix://{socket}"), &policy, &[])?;
    let peer = peers::service(
        program,
        &policy,
        ("unix", &socket),
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

/// The ratio of answers per second, with a flush interval of 20 ms to a round trip for each call.
pub(crate) fn in_batches() -> Result<Measured> {
    let policy = policies::of_rules(1);
    let redis = RedisServer::start();
    let batches = weir(&redis, &policy, &["--redis-flush-interval", "20"])?;
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

/// 99th percentile of the latency in milliseconds, at half of the rate that weir keeps up with.
///
/// That rate is lower than the throughput of a closed loop, in which calls arrive and go to Redis by the dozen, and each
/// costs half as much as a call that arrives alone.
pub(crate) fn latency() -> Result<Measured> {
    let redis = RedisServer::start();
    let weir = weir(&redis, &policies::of_rules(1), &[])?;
    let saturated = || closed(&weir, &one_key(), CLIENTS, (u64::MAX, RUN));
    let at_rate = |rate, lasts| Load {
        pace: Pace::Open { rate, lasts },
        ..saturated()
    };
    Busy::of(&redis, &weir, &saturated())?;
    let mut rate = Busy::of(&redis, &weir, &saturated())?.outcome.rate();
    let most = loop {
        let run = Busy::of(&redis, &weir, &at_rate(rate, RUN))?;
        if run.outcome.rate() >= 0.97 * rate && run.p99() <= KEPT_UP_MILLIS {
            break run;
        }
        rate *= 0.9;
    };
    let half = rate / 2.0;
    let load = at_rate(half, PEEK);
    let mut runs: Vec<Busy> = (0..PEEKS)
        .map(|_| Busy::of(&redis, &weir, &load))
        .collect::<Result<_>>()?;
    runs.sort_by(|a, b| a.p99().total_cmp(&b.p99()));
    let at = |share: usize| &runs[(PEEKS - 1) * share / 4];
    Ok(Measured::of(
        at(2).p99(),
        format!(
            "ms, at {half:.0} per second, the median of {PEEKS} runs; all {:.2} [{:.2}–{:.2}] {:.2}; \
             of the processors {}, at most {}",
            at(0).p99(),
            at(1).p99(),
            at(3).p99(),
            at(4).p99(),
            at(2),
            most
        ),
    ))
}

/// A run, and the processor time of each process in it.
struct Busy {
    outcome: Outcome,
    redis: Duration,
    weir: Duration,
}

impl Busy {
    fn of(redis: &RedisServer, weir: &Running, load: &Load) -> Result<Self> {
        let info = redis.cli(&["info", "server"]);
        let id = info
            .lines()
            .find_map(|line| line.strip_prefix("process_id:"));
        let id = id
            .ok_or("Redis does not report its process id")?
            .trim()
            .parse()?;
        let taken = || -> Result<_> { Ok((processor::of_process(id)?, weir.processor()?)) };
        let before = taken()?;
        let outcome = load::run(load)?;
        let after = taken()?;
        Ok(Self {
            outcome,
            redis: after.0 - before.0,
            weir: after.1 - before.1,
        })
    }

    fn p99(&self) -> f64 {
        millis(&self.outcome, 0.99)
    }
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = [self.weir, self.redis, self.outcome.generator];
        let all: Duration = each.iter().sum();
        let busy =
            all.as_secs_f64() / self.outcome.elapsed.as_secs_f64() / servers::workers() as f64;
        let [weir, redis, load] =
            each.map(|time| time.as_secs_f64() * 1e6 / self.outcome.messages as f64);
        write!(
            f,
            "{:.0} % in use: {weir:.1} µs per answer by weir, {redis:.1} by Redis, {load:.1} by the load",
            busy * 100.0
        )
    }
}

fn millis(outcome: &Outcome, quantile: f64) -> f64 {
    outcome.latency.value_at_quantile(quantile) as f64 / 1e6
}
