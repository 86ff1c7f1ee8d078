//! weir when Redis fails: the table of `docs/operations.md`.
//!
//! 20,000 calls come in four seconds, of which 10,000 are within the limit: far fewer than weir could answer, so that
//! what is slow or let through wrongly is Redis' fault.

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

/// Calls a second, and for how long.
const RATE: f64 = 5_000.0;
const LASTS: Duration = Duration::from_secs(4);
/// When Redis fails …
const FAILS_AFTER: Duration = Duration::from_secs(1);
/// … and for how long.
const FAILS_FOR: Duration = Duration::from_secs(2);

/// Hits that may pass, of all clients together: half of those that come.
const LIMIT: u64 = 10_000;

/// Clients of a cluster: enough that each part counts for a third of them. Each asks for about twice what it may.
const CLIENTS_OF_CLUSTER: u64 = 40;

/// The one in the middle by its slowest hundredth counts: a machine has pauses of its own.
const RUNS: usize = 3;

/// Within how many milliseconds 99 % of the calls are to be answered.
const P99: f64 = 12.0;

const PASSWORD: &str = "open-sesame";

/// A way in which Redis fails.
struct Fault {
    /// What is said of Redis.
    name: &'static str,
    /// What proves without a clock how weir answers then.
    test: &'static str,
    run: fn() -> Result<Told>,
}

const ALL: &[Fault] = &[
    fault("is sound", "equality::both_stores_decide_the_same", || {
        steady(&RedisServer::start(), 1)
    }),
    fault(
        "is sound, two instances share the limit",
        "sharing::two_instances_admit_exactly_the_limit_together",
        || steady(&RedisServer::start(), 2),
    ),
    fault(
        "is frozen (`SIGSTOP`), and resumed",
        "faults::calls_to_a_frozen_redis_are_answered_within_the_limit",
        || frozen(1),
    ),
    fault(
        "is frozen, two instances share the limit",
        "faults::calls_to_a_frozen_redis_are_answered_within_the_limit",
        || frozen(2),
    ),
    fault(
        "is killed (`SIGKILL`), and restarted empty",
        "faults::every_call_is_answered_while_redis_is_killed_under_load",
        killed,
    ),
    fault(
        "is slow: each answer comes 3 ms later",
        "faults::a_slow_redis_that_answers_in_time_is_used",
        || slow(3),
    ),
    fault(
        "is slower than the deadline: each answer comes 100 ms later",
        "faults::a_redis_slower_than_the_deadline_counts_as_unavailable",
        || slow(100),
    ),
    fault(
        "breaks its connections and refuses the password",
        "faults::every_call_is_answered_while_the_password_changes",
        locked,
    ),
    fault(
        "is full, and evicts nothing",
        "faults::a_full_redis_counts_nothing_new_but_can_be_peeked_at",
        full,
    ),
    fault(
        "is killed, and a sentinel puts its replica in its place",
        "topology::a_failover_by_sentinels_is_followed",
        failover,
    ),
    fault(
        "is a cluster of three, and sound",
        "topology::a_cluster_counts_as_one_and_hash_slots_can_move",
        || parted(|_| {}, |_| {}),
    ),
    fault(
        "is a cluster, a third of which is frozen",
        "topology::a_frozen_node_of_a_cluster_does_not_slow_down_the_others",
        || parted(|node| node.freeze(), |node| node.thaw()),
    ),
    fault(
        "is a cluster, a third of which is killed, and restarted empty",
        "topology::a_killed_node_of_a_cluster_does_not_affect_the_others",
        || parted(RedisServer::kill, RedisServer::restart),
    ),
];

const fn fault(name: &'static str, test: &'static str, run: fn() -> Result<Told>) -> Fault {
    Fault { name, test, run }
}

/// Prints the table, or the lines of it whose names hold a word. What falls short is printed bold.
pub(crate) fn print(wanted: &[String]) -> Result<()> {
    if !program::REDIS.is_installed() {
        return Ok(());
    }
    println!(
        "| Redis | answered | 99 % within | slowest | let through | wrongly | `cargo test --test redis` |\n\
         |---|---|---|---|---|---|---|",
    );
    for Fault { name, test, run } in ALL {
        if wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str())) {
            let mut runs = (0..RUNS).map(|_| run()).collect::<Result<Vec<Told>>>()?;
            runs.sort_by(|one, other| one.p99().total_cmp(&other.p99()));
            println!("| {name} | {} | `{test}` |", runs[RUNS / 2]);
            io::stdout().flush()?;
        }
    }
    Ok(())
}

fn steady(redis: &RedisServer, weirs: usize) -> Result<Told> {
    let weirs = all_at(&redis.url(), weirs, 1)?;
    under_load(&weirs, Choice::One, &mut (), |()| {}, |()| {})
}

fn frozen(weirs: usize) -> Result<Told> {
    let mut redis = RedisServer::start();
    let weirs = all_at(&redis.url(), weirs, 1)?;
    under_load(
        &weirs,
        Choice::One,
        &mut redis,
        |redis| redis.freeze(),
        |redis| redis.thaw(),
    )
}

fn killed() -> Result<Told> {
    let mut redis = RedisServer::start();
    let weirs = all_at(&redis.url(), 1, 1)?;
    under_load(
        &weirs,
        Choice::One,
        &mut redis,
        |redis| redis.kill(),
        |redis| redis.restart(),
    )
}

fn slow(millis: u64) -> Result<Told> {
    let redis = RedisServer::start();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let mut proxy = runtime.block_on(SlowProxy::start(&redis));
    let weirs = all_at(&proxy.url(), 1, 1)?;
    under_load(
        &weirs,
        Choice::One,
        &mut proxy,
        |proxy| proxy.delay(Duration::from_millis(millis)),
        |proxy| proxy.delay(Duration::ZERO),
    )
}

/// Those who are known are sent away, and the password is another; two seconds later it is the old one.
fn locked() -> Result<Told> {
    let mut redis = RedisServer::start_with(&["--requirepass", PASSWORD]);
    let store = redis.url();
    let store = store.replace("://", &format!("://:{PASSWORD}@"));
    let weirs = all_at(&store, 1, 1)?;
    let other = "open-barley";
    under_load(
        &weirs,
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

fn full() -> Result<Told> {
    let mut redis = RedisServer::start();
    let weirs = all_at(&redis.url(), 1, 1)?;
    under_load(
        &weirs,
        Choice::One,
        &mut redis,
        |redis| redis.refuse_writes(),
        |redis| redis.accept_writes(),
    )
}

fn failover() -> Result<Told> {
    let mut watched = Sentinels::start();
    let weirs = all_at(&watched.url(), 1, 1)?;
    under_load(
        &weirs,
        Choice::One,
        &mut watched,
        |watched| watched.master.kill(),
        |_| {},
    )
}

/// A cluster, of which one node fails.
fn parted(fail: fn(&mut RedisServer), heal: fn(&mut RedisServer)) -> Result<Told> {
    let mut cluster = Cluster::start_with_independent_nodes();
    let store = cluster.url();
    let weirs = all_at(&store, 1, CLIENTS_OF_CLUSTER)?;
    let choice = Choice::Uniform(CLIENTS_OF_CLUSTER);
    under_load(&weirs, choice, &mut cluster.nodes[1], fail, heal)
}

/// So many weirs that count there, with a limit that so many clients reach together; all of it is connected.
fn all_at(store: &str, weirs: usize, clients: u64) -> Result<Vec<Running>> {
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
    (0..weirs).map(start).collect()
}

/// Clients ask more than they may, while Redis fails and is well again.
#[expect(clippy::disallowed_methods, reason = "what fails, fails at its time")]
fn under_load<T>(
    weirs: &[Running],
    choice: Choice,
    redis: &mut T,
    fail: impl FnOnce(&mut T),
    heal: impl FnOnce(&mut T),
) -> Result<Told> {
    let pace = Pace::Open {
        rate: RATE / weirs.len() as f64,
        lasts: LASTS,
    };
    let load = |weir: &Running| Load {
        pace,
        ..closed(weir, &one_key(), choice, (0, LASTS))
    };
    let loads: Vec<Load> = weirs.iter().map(load).collect();
    thread::scope(|scope| {
        let loading: Vec<_> = loads
            .iter()
            .map(|load| scope.spawn(|| load::run(load)))
            .collect();
        thread::sleep(FAILS_AFTER);
        fail(redis);
        thread::sleep(FAILS_FOR);
        heal(redis);
        let mut told = Told::default();
        for loading in loading {
            told.add(&loading.join().map_err(|_| "the load has panicked")??);
        }
        Ok(told)
    })
}

/// What came of it; printed as cells of the table.
#[derive(Default)]
struct Told {
    calls: u64,
    answered: u64,
    passed: u64,
    /// Nanoseconds, of each load.
    latency: Option<Histogram<u64>>,
}

impl Told {
    fn add(&mut self, outcome: &Outcome) {
        self.calls += outcome.ended + outcome.cut_off;
        self.answered += outcome.messages;
        self.passed += outcome.messages - outcome.refused;
        match &mut self.latency {
            // All are made with the same bounds.
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

impl std::fmt::Display for Told {
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
