//! weir with counters in Redis: beside envoyproxy/ratelimit at the same Redis, and when Redis fails.

use std::fmt;
use std::io;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

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

/// Clients that call again and again, and so are not all in one counter.
const CLIENTS: Choice = Choice::Uniform(10_000);

/// How often weir is asked while Redis fails, and for how long: far less than it could answer, for all Redis can take.
const RATE: f64 = 5_000.0;
const LASTS: Duration = Duration::from_secs(4);
/// When it fails …
const FAILS_AFTER: Duration = Duration::from_secs(1);
/// … and for how long.
const FAILS_FOR: Duration = Duration::from_secs(2);

/// Hits of one client that pass in an hour while Redis fails: half of those that come.
const LIMIT: u64 = 10_000;

/// A server of this benchmark's own; killed when dropped.
struct Redis {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl Redis {
    fn start() -> Result<Self> {
        let [port, ..] = peers::free_ports()?.map(|address| address.port());
        let folder = tempfile::tempdir()?;
        let redis = Self {
            child: spawn(port, &folder)?,
            port,
            folder,
        };
        peers::wait_until("redis-server", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        })?;
        Ok(redis)
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn weir(&self, policy: &str, more: &[&str]) -> Result<Running> {
        let store = format!("redis://{}", self.address());
        let arguments: Vec<&str> = ["--store", &store].iter().chain(more).copied().collect();
        Running::weir(policy, &arguments)
    }

    fn signal(&self, name: &str) -> Result<()> {
        let pid = self.child.id().to_string();
        Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status()?;
        Ok(())
    }

    fn cli(&self, arguments: &[&str]) -> Result<()> {
        Command::new("redis-cli")
            .args(["-p", &self.port.to_string()])
            .args(arguments)
            .stdout(Stdio::null())
            .status()?;
        Ok(())
    }

    fn restart(&mut self) -> Result<()> {
        self.child = spawn(self.port, &self.folder)?;
        Ok(())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // One that has ended already is what was wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(port: u16, folder: &TempDir) -> io::Result<Child> {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no"])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

/// How many times as many answers weir gives as envoyproxy/ratelimit, both counting in the same Redis.
pub(crate) fn beside_ratelimit() -> Result<Measured> {
    let program = match peers::install() {
        Ok(program) => program,
        Err(reason) => return Ok(Measured::of(f64::NAN, format!("SKIPPED: {reason}"))),
    };
    let policy = policies::of_rules(1);
    let redis = Redis::start()?;
    let weir = redis.weir(&policy, &[])?;
    let peer = peers::service(
        &program,
        &policy,
        ("tcp", &redis.address()),
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
    let redis = Redis::start()?;
    let batches = redis.weir(&policy, &["--redis-batch", "20"])?;
    let each = redis.weir(&policy, &[])?;
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
    let redis = Redis::start()?;
    let weir = redis.weir(&policies::of_rules(1), &[])?;
    let saturated = closed(&weir, &one_key(), CLIENTS, (u64::MAX, RUN));
    Busy::of(&redis, &weir, &saturated)?;
    let most = Busy::of(&redis, &weir, &saturated)?;
    let half = most.outcome.rate() / 2.0;
    let pace = Pace::Open {
        rate: half,
        lasts: PEEK,
    };
    let load = Load { pace, ..saturated };
    let mut runs: Vec<Busy> = (0..PEEKS)
        .map(|_| Busy::of(&redis, &weir, &load))
        .collect::<Result<_>>()?;
    runs.sort_by(|a, b| a.p99().total_cmp(&b.p99()));
    let at = |share: usize| &runs[(PEEKS - 1) * share / 4];
    Ok(Measured::of(
        at(2).p99(),
        format!(
            "ms, at {half:.0} a second, the middle one of {PEEKS} runs; all {:.2} [{:.2}–{:.2}] {:.2}; \
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

/// A run, and what of the processors each took meanwhile.
struct Busy {
    outcome: Outcome,
    redis: Duration,
    weir: Duration,
}

impl Busy {
    fn of(redis: &Redis, weir: &Running, load: &Load) -> Result<Self> {
        let taken =
            || -> Result<_> { Ok((processor::of_process(redis.child.id())?, weir.processor()?)) };
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
            "{:.0} % is taken: {weir:.1} µs an answer by weir, {redis:.1} by Redis, {load:.1} by the load",
            busy * 100.0
        )
    }
}

/// Milliseconds within which 99 % are answered when nothing fails, for those below.
pub(crate) fn sound() -> Result<Measured> {
    failing(|_| Ok(()), |_| Ok(()))
}

/// The same when Redis is stopped (SIGSTOP) and goes on.
pub(crate) fn frozen() -> Result<Measured> {
    failing(|redis| redis.signal("STOP"), |redis| redis.signal("CONT"))
}

/// The same when it is killed, and started anew with nothing in it.
pub(crate) fn killed() -> Result<Measured> {
    let kill = |redis: &mut Redis| {
        redis.child.kill()?;
        redis.child.wait()?;
        Ok(())
    };
    failing(kill, Redis::restart)
}

/// The same when all its clients wait, as for a slow command.
pub(crate) fn paused() -> Result<Measured> {
    let millis = FAILS_FOR.as_millis().to_string();
    failing(
        move |redis| redis.cli(&["client", "pause", &millis]),
        |_| Ok(()),
    )
}

/// The same when it has no memory left, and evicts nothing.
pub(crate) fn full() -> Result<Measured> {
    failing(
        |redis| redis.cli(&["config", "set", "maxmemory", "1"]),
        |redis| redis.cli(&["config", "set", "maxmemory", "0"]),
    )
}

/// One client asks more than it may, while Redis fails and is well again.
#[expect(clippy::disallowed_methods, reason = "what fails, fails at its time")]
fn failing(
    fail: impl FnOnce(&mut Redis) -> Result<()> + Send,
    heal: impl FnOnce(&mut Redis) -> Result<()> + Send,
) -> Result<Measured> {
    let mut redis = Redis::start()?;
    let policy = policies::of_rules(1).replace("4000000000", &LIMIT.to_string());
    let policy = policy.replace("unit: hour", "unit: day, charge: allowed");
    let weir = redis.weir(&policy, &[])?;
    TcpStream::connect(weir.address)?;
    let load = Load {
        pace: Pace::Open {
            rate: RATE,
            lasts: LASTS,
        },
        ..closed(&weir, &one_key(), Choice::One, (0, LASTS))
    };
    let outcome = thread::scope(|scope| -> Result<Outcome> {
        let loading = scope.spawn(|| load::run(&load));
        thread::sleep(FAILS_AFTER);
        fail(&mut redis)?;
        thread::sleep(FAILS_FOR);
        heal(&mut redis)?;
        let outcome = loading.join().map_err(|_| "the load has panicked")?;
        Ok(outcome?)
    })?;
    let passed = outcome.messages - outcome.refused;
    let wrongly = passed.saturating_sub(LIMIT.min(outcome.messages));
    let mut measured = Measured::of(
        millis(&outcome, 0.99),
        format!(
            "ms; {} calls, {} without an answer; {wrongly} of {passed} let through wrongly; the slowest took {:.1} ms",
            outcome.ended,
            outcome.failed(),
            millis(&outcome, 1.0),
        ),
    );
    measured.require(outcome.failed() == 0, "calls were not answered");
    Ok(measured)
}

fn millis(outcome: &Outcome, quantile: f64) -> f64 {
    outcome.latency.value_at_quantile(quantile) as f64 / 1e6
}
