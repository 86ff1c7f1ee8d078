//! weir while Redis fails: the table of `docs/reference/redis-failures.md`.
//!
//! 20,000 calls arrive within four seconds, 10,000 of them within the limit. That is far below the throughput of weir,
//! so slow answers and wrongly admitted hits are caused by the failure.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;
use weir_harness::{Cluster, RedisServer, Sentinels, SlowProxy, program};

use crate::keys::Choice;
use crate::load::{self, Load, Outcome, Pace};
use crate::peers;
use crate::policies;
use crate::servers::{self, Running};
use crate::throughput::{closed, one_key};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Calls per second, and the duration of a run.
const RATE: f64 = 5_000.0;
const LASTS: Duration = Duration::from_secs(4);
/// The time until Redis fails.
const FAILS_AFTER: Duration = Duration::from_secs(1);
/// The duration of the failure.
const FAILS_FOR: Duration = Duration::from_secs(2);

/// The sum of the limits of all clients: half of the hits.
const LIMIT: u64 = 10_000;

/// Clients of a cluster: enough that each node counts for a third of them. Each sends about twice its limit.
const CLIENTS_OF_CLUSTER: u64 = 40;

/// Of these runs the one with the median p99 is printed, because the machine has pauses, too.
const RUNS: usize = 3;

/// The target for the 99th percentile of the latency, in milliseconds.
const P99: f64 = 12.0;

const PASSWORD: &str = "open-sesame";

/// A failure of Redis.
struct Fault {
    /// The state of Redis, as the predicate of a sentence.
    name: &'static str,
    /// The test of the answers under this failure.
    test: &'static str,
    run: fn() -> Result<Measurement>,
}

const ALL: &[Fault] = &[
    fault(
        "is healthy",
        "equality::both_stores_decide_the_same",
        || steady(&RedisServer::start(), 1),
    ),
    fault(
        "is healthy, two instances share the limit",
        "sharing::two_instances_admit_exactly_the_limit_together",
        || steady(&RedisServer::start(), 2),
    ),
    fault(
        "is frozen (`SIGSTOP`), then continued",
        "faults::calls_to_a_frozen_redis_are_answered_within_the_limit",
        || frozen(1),
    ),
    fault(
        "is frozen, two instances share the limit",
        "faults::calls_to_a_frozen_redis_are_answered_within_the_limit",
        || frozen(2),
    ),
    fault(
        "is killed (`SIGKILL`) and restarted empty",
        "faults::every_call_is_answered_while_redis_is_killed_under_load",
        killed,
    ),
    fault(
        "is slow: each reply is 3 ms late",
        "faults::a_slow_redis_that_answers_in_time_is_used",
        || slow(3),
    ),
    fault(
        "is slower than the deadline: each reply is 100 ms late",
        "faults::a_redis_slower_than_the_deadline_counts_as_unavailable",
        || slow(100),
    ),
    fault(
        "closes its connections and rejects the password",
        "faults::every_call_is_answered_while_the_password_changes",
        locked,
    ),
    fault(
        "is full and does not evict",
        "faults::a_full_redis_counts_nothing_new_but_can_be_peeked_at",
        full,
    ),
    fault(
        "is killed, and the sentinels promote its replica",
        "topology::a_failover_by_sentinels_is_followed",
        failover,
    ),
    fault(
        "is a healthy cluster of three nodes",
        "topology::a_cluster_counts_as_one_and_hash_slots_can_move",
        || parted(|_| {}, |_| {}),
    ),
    fault(
        "is a cluster, and one of three nodes is frozen",
        "topology::a_frozen_node_of_a_cluster_does_not_slow_down_the_others",
        || parted(|node| node.freeze(), |node| node.thaw()),
    ),
    fault(
        "is a cluster, and one of three nodes is killed and restarted empty",
        "topology::a_killed_node_of_a_cluster_does_not_affect_the_others",
        || parted(RedisServer::kill, RedisServer::restart),
    ),
];

const fn fault(name: &'static str, test: &'static str, run: fn() -> Result<Measurement>) -> Fault {
    Fault { name, test, run }
}

/// Prints the table, or the rows whose names contain one of the words. Results that miss a target are bold.
pub(crate) fn print(wanted: &[String]) -> Result<()> {
    if !program::REDIS.is_installed() {
        return Ok(());
    }
    println!(
        "| Redis | answered | p99 | slowest | admitted | wrongly | `cargo test --test redis` |\n\
         |---|---|---|---|---|---|---|",
    );
    for Fault { name, test, run } in ALL {
        if wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str())) {
            let mut runs = (0..RUNS)
                .map(|_| run())
                .collect::<Result<Vec<Measurement>>>()?;
            runs.sort_by(|one, other| one.p99().total_cmp(&other.p99()));
            println!("| {name} | {} | `{test}` |", runs[RUNS / 2]);
            io::stdout().flush()?;
        }
    }
    Ok(())
}

fn steady(redis: &RedisServer, instances: usize) -> Result<Measurement> {
    let instances = all_at(&redis.url(), instances, 1)?;
    under_load(&instances, Choice::One, &mut (), |()| {}, |()| {})
}

fn frozen(instances: usize) -> Result<Measurement> {
    let mut redis = RedisServer::start();
    let instances = all_at(&redis.url(), instances, 1)?;
    under_load(
        &instances,
        Choice::One,
        &mut redis,
        |redis| redis.freeze(),
        |redis| redis.thaw(),
    )
}

fn killed() -> Result<Measurement> {
    let mut redis = RedisServer::start();
    let instances = all_at(&redis.url(), 1, 1)?;
    under_load(
        &instances,
        Choice::One,
        &mut redis,
        weir_harness::RedisServer::kill,
        weir_harness::RedisServer::restart,
    )
}

fn slow(millis: u64) -> Result<Measurement> {
    let redis = RedisServer::start();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let mut proxy = runtime.block_on(SlowProxy::start(&redis));
    let instances = all_at(&proxy.url(), 1, 1)?;
    under_load(
        &instances,
        Choice::One,
        &mut proxy,
        |proxy| proxy.delay(Duration::from_millis(millis)),
        |proxy| proxy.delay(Duration::ZERO),
    )
}

/// Connections are closed and the password is changed; two seconds later it is the old one again.
fn locked() -> Result<Measurement> {
    let mut redis = RedisServer::start_with(&["--requirepass", PASSWORD]);
    let store = redis.url();
    let store = store.replace("://", &format!("://:{PASSWORD}@"));
    let instances = all_at(&store, 1, 1)?;
    let other = "open-barley";
    under_load(
        &instances,
        Choice::One,
        &mut redis,
        |redis| {
            redis.change_password(PASSWORD, other);
            redis.disconnect_clients(other);
        },
        |redis| {
            redis.change_password(other, PASSWORD);
        },
    )
}

fn full() -> Result<Measurement> {
    let mut redis = RedisServer::start();
    let instances = all_at(&redis.url(), 1, 1)?;
    under_load(
        &instances,
        Choice::One,
        &mut redis,
        |redis| redis.refuse_writes(),
        |redis| redis.accept_writes(),
    )
}

fn failover() -> Result<Measurement> {
    let mut watched = Sentinels::start();
    let instances = all_at(&watched.url(), 1, 1)?;
    under_load(
        &instances,
        Choice::One,
        &mut watched,
        |watched| watched.master.kill(),
        |_| {},
    )
}

/// A cluster, of which one node fails.
fn parted(fail: fn(&mut RedisServer), heal: fn(&mut RedisServer)) -> Result<Measurement> {
    let mut cluster = Cluster::start_with_independent_nodes();
    let store = cluster.url();
    let instances = all_at(&store, 1, CLIENTS_OF_CLUSTER)?;
    let choice = Choice::Uniform(CLIENTS_OF_CLUSTER);
    under_load(&instances, choice, &mut cluster.nodes[1], fail, heal)
}

/// Starts instances whose policy divides the limit among `clients`, and waits until they are connected to the store.
fn all_at(store: &str, instances: usize, clients: u64) -> Result<Vec<Running>> {
    let policy = policies::with_limit(LIMIT / clients);
    let start = |_| {
        let weir = Running::weir(&policy, &["--store", store])?;
        // One for each worker, and that of the admin server.
        let all = servers::workers() as f64 + 1.0;
        peers::wait_until("the connection to Redis", || {
            let connections = weir.metric("weir_store_connections");
            connections.is_ok_and(|connections| connections == all)
        })?;
        Ok(weir)
    };
    (0..instances).map(start).collect()
}

/// Clients exceed their limits while Redis fails and recovers.
#[expect(
    clippy::disallowed_methods,
    reason = "the failure happens at a certain time of the run"
)]
fn under_load<T>(
    instances: &[Running],
    choice: Choice,
    redis: &mut T,
    fail: impl FnOnce(&mut T),
    heal: impl FnOnce(&mut T),
) -> Result<Measurement> {
    let pace = Pace::Open {
        rate: RATE / instances.len() as f64,
        lasts: LASTS,
    };
    let load = |weir: &Running| Load {
        pace,
        ..closed(weir, &one_key(), choice, (0, LASTS))
    };
    let loads: Vec<Load> = instances.iter().map(load).collect();
    thread::scope(|scope| {
        let loading: Vec<_> = loads
            .iter()
            .map(|load| scope.spawn(|| load::run(load)))
            .collect();
        thread::sleep(FAILS_AFTER);
        fail(redis);
        thread::sleep(FAILS_FOR);
        heal(redis);
        let mut measurement = Measurement::default();
        for loading in loading {
            measurement.add(&loading.join().map_err(|_| "the load has panicked")??);
        }
        Ok(measurement)
    })
}

/// The result of a run, which prints as cells of the table.
#[derive(Default)]
struct Measurement {
    calls: u64,
    answered: u64,
    passed: u64,
    /// In nanoseconds, of all loads.
    latency: Option<Histogram<u64>>,
}

impl Measurement {
    fn add(&mut self, outcome: &Outcome) {
        self.calls += outcome.ended + outcome.cut_off;
        self.answered += outcome.messages;
        self.passed += outcome.messages - outcome.refused;
        match &mut self.latency {
            // All histograms have the same bounds.
            Some(latency) => drop(latency.add(&outcome.latency)),
            None => self.latency = Some(outcome.latency.clone()),
        }
    }

    fn p99(&self) -> f64 {
        self.millis(0.99)
    }

    fn millis(&self, quantile: f64) -> f64 {
        let nanos = |latency: &Histogram<u64>| latency.value_at_quantile(quantile) as f64;
        self.latency.as_ref().map_or(f64::NAN, nanos) / 1e6
    }
}

impl std::fmt::Display for Measurement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.answered == self.calls {
            f.write_str("all | ")?;
        } else {
            write!(f, "**{} of {}** | ", self.answered, self.calls)?;
        }
        let (p99, slowest) = (self.p99(), self.millis(1.0));
        if p99 <= P99 {
            write!(f, "{p99:.1} ms | ")?;
        } else {
            write!(f, "**{p99:.1} ms** | ")?;
        }
        let wrongly = self.passed.saturating_sub(LIMIT);
        write!(f, "{slowest:.1} ms | {} | {wrongly}", self.passed)
    }
}
