//! `weir serve --state`: counters that survive a restart, a kill and a bad disk.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tonic::transport::Channel;
use weir::clock::Stopwatch;
use weir::proto::envoy::service::ratelimit::v3::rate_limit_service_client::RateLimitServiceClient;
use weir_harness::program;

use crate::binary::{Serving, output, stderr, stdout, weir};
use crate::running::{descriptor, request};
use crate::unprivileged::Unprivileged;

/// More than the test sends, in a window that does not end while it runs; the other ends within seconds.
const POLICY: &str = "
domain: t
descriptors:
  - key: year
    rate_limit: {unit: year, unit_multiplier: 10, requests_per_unit: 1000000}
  - key: minute
    rate_limit: {unit: minute, unit_multiplier: 1000, requests_per_unit: 5, algorithm: sliding_window}
  - key: slots
    rate_limit: {algorithm: concurrency, max_in_flight: 2, lease_seconds: 600}
";

/// A server, and a client of it.
struct Kept {
    serving: Serving,
    runtime: Runtime,
    channel: Channel,
}

impl Kept {
    fn start(state: &Path) -> Self {
        Self::with(Serving::start_policy(POLICY, &flags(state)))
    }

    fn with(serving: Serving) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let channel = runtime.block_on(serving.connect());
        Self {
            serving,
            runtime,
            channel,
        }
    }

    /// Charges a client, and returns how many hits are left.
    fn hit(&self, key: &str, value: &str) -> u32 {
        self.runtime
            .block_on(call(self.channel.clone(), key, value, 1))
    }

    fn left(&self, key: &str, value: &str) -> u32 {
        self.runtime
            .block_on(call(self.channel.clone(), key, value, 0))
    }

    fn get(&self, path: &str) -> String {
        http_get(&self.serving.http, path)
    }

    fn terminate(mut self) -> String {
        self.serving.signal("TERM");
        drop(self.channel);
        let (code, log) = self.serving.end();
        assert_eq!(code, Some(0), "{log}");
        log
    }
}

fn flags(state: &Path) -> [&str; 4] {
    [
        "--grpc=127.0.0.1:0",
        "--drain=0",
        "--state",
        state.to_str().unwrap(),
    ]
}

/// Returns how many hits are left. A call of 0 hits is a peek.
async fn call(channel: Channel, key: &str, value: &str, hits: u64) -> u32 {
    let mut descriptor = descriptor(key.as_bytes(), value.as_bytes());
    descriptor.hits_addend = Some(hits);
    let mut client = RateLimitServiceClient::new(channel);
    let answer = client.should_rate_limit(request(vec![descriptor])).await;
    answer.unwrap().into_inner().statuses[0].limit_remaining
}

fn http_get(address: &str, path: &str) -> String {
    use std::io::{Read, Write};

    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn metric(text: &str, name: &str) -> f64 {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("{name} is in {text}"))
        .parse()
        .unwrap()
}

#[test]
fn nothing_is_lost_by_sigterm_and_the_next_start() {
    let state = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let kept = Kept::start(state.path());
        assert_eq!(kept.left("year", "a"), 1_000_000 - 10 * round);
        assert_eq!(kept.left("minute", "b"), if round == 0 { 5 } else { 0 });
        for _ in 0..10 {
            kept.hit("year", "a");
            kept.hit("minute", "b");
        }
        // Slots that were not released are held on.
        assert_eq!(
            kept.left("slots", "c"),
            if round == 0 { 2 } else { 1 },
            "round {round}"
        );
        if round == 0 {
            kept.hit("slots", "c");
        }
        let log = kept.terminate();
        assert!(log.contains("counters written"), "{log}");
    }
    let inspect = output(&["state", "inspect", state.path().to_str().unwrap()]);
    let text = stdout(&inspect);
    assert!(text.contains("counters       3 (2 pinned)"), "{text}");
    assert!(text.contains("  sliding_window 1"), "{text}");
}

#[test]
fn a_second_process_and_redis_are_refused() {
    let state = tempfile::tempdir().unwrap();
    let kept = Kept::start(state.path());
    let refused = |more: &[&str]| {
        let policies = kept.serving.folder.path().to_str().unwrap();
        let refused = weir(&["serve", "--policies", policies, "--log-format=json"])
            .args(flags(state.path()))
            .args(more)
            .output()
            .unwrap();
        assert_eq!(refused.status.code(), Some(2));
        stderr(&refused).to_owned()
    };
    let error = refused(&[]);
    assert!(
        error.contains("is used by another weir (process "),
        "{error}"
    );
    let error = refused(&["--store=redis://127.0.0.1:1"]);
    assert!(error.contains("leave out one of the two"), "{error}");
    let inspect = output(&["state", "inspect", state.path().to_str().unwrap()]);
    assert_eq!(inspect.status.code(), Some(2));
    assert!(stderr(&inspect).contains("is used by another weir"));
    let none = tempfile::tempdir().unwrap();
    let inspect = output(&["state", "inspect", none.path().to_str().unwrap()]);
    assert!(
        stderr(&inspect).contains("is not a state folder"),
        "{}",
        stderr(&inspect)
    );
    kept.terminate();
}

/// The limit on the size of a file stands for a disk that is full: writes fail, and succeed when it is lifted.
#[test]
fn a_full_disk_is_reported_and_costs_no_decision() {
    let Some(prlimit) = program::PRLIMIT.or_skip() else {
        return;
    };
    let limit = |process: &Serving, bytes: &str| {
        let id = process.id().to_string();
        let set = Command::new(prlimit)
            .args(["--pid", &id, &format!("--fsize={bytes}")])
            .status();
        assert!(set.unwrap().success());
    };
    let state = tempfile::tempdir().unwrap();
    // By default a process that meets the limit is ended; a disk does not do that.
    let serving = Serving::start_policy_by(
        "trap '' 25; exec \"$0\" \"$@\"",
        POLICY,
        &flags(state.path()),
    );
    let mut kept = Kept::with(serving);
    limit(&kept.serving, "1:unlimited");
    for _ in 0..10 {
        kept.hit("year", "a");
    }
    kept.serving
        .wait_for("counters cannot be written to --state");
    assert_eq!(kept.hit("year", "a"), 1_000_000 - 11);
    let ready = kept.get("/ready");
    assert!(
        ready.contains("200 OK") && ready.contains("not written to --state"),
        "{ready}"
    );
    let metrics = kept.get("/metrics");
    assert_eq!(metric(&metrics, "weir_state_up"), 0.0);
    assert!(metric(&metrics, "weir_state_failures_total") >= 1.0);
    assert!(
        kept.get("/api/overview")
            .contains("\"disk\":{\"problem\":\"")
    );
    limit(&kept.serving, "unlimited");
    kept.serving
        .wait_for("counters are written to --state again");
    assert_eq!(metric(&kept.get("/metrics"), "weir_state_up"), 1.0);
    kept.terminate();
    assert_eq!(Kept::start(state.path()).left("year", "a"), 1_000_000 - 11);
}

#[test]
fn a_folder_that_cannot_be_used_at_the_start_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    std::fs::write(folder.path().join("t.yaml"), POLICY).unwrap();
    let refused = weir(&["serve", "--log-format=json", "--policies"])
        .arg(folder.path())
        .args(flags(&file))
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        stderr(&refused).contains("cannot create the state folder"),
        "{}",
        stderr(&refused)
    );
}

/// As it is after a disk was mounted read-only: what is in the folder can be read.
#[test]
fn a_read_only_folder_costs_durability_or_is_an_error_at_the_start() {
    let Some(user) = Unprivileged::new() else {
        return;
    };
    std::fs::write(user.folder().join("t.yaml"), POLICY).unwrap();
    let serve = |state: &Path| {
        let mut command = user.weir(&[]);
        command
            .args(["serve", "--workers=1", "--log-format=json", "--policies"])
            .arg(user.folder().join("t.yaml"))
            .args(flags(state));
        command
    };
    let empty = user.folder().join("empty");
    std::fs::create_dir(&empty).unwrap();
    Unprivileged::make_read_only(&empty);
    for (state, expected) in [
        (empty.clone(), "cannot lock the state folder"),
        (empty.join("below"), "cannot create the state folder"),
    ] {
        let refused = serve(&state).output().unwrap();
        let said = stderr(&refused);
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(
            said.contains(expected) && said.contains("Permission denied"),
            "{said}"
        );
    }

    let used = user.folder().join("used");
    let kept = Kept::start(&used);
    kept.hit("year", "a");
    kept.terminate();
    Unprivileged::make_read_only(&used);
    let mut kept = Kept::with(Serving::start_program(
        user.weir(&[]),
        POLICY,
        &flags(&used),
    ));
    kept.serving
        .wait_for("counters cannot be written to --state");
    // What cannot be opened does not count; decisions continue.
    assert_eq!(kept.hit("year", "a"), 1_000_000 - 1);
    let ready = kept.get("/ready");
    assert!(
        ready.contains("200 OK") && ready.contains("not written to --state"),
        "{ready}"
    );
    assert_eq!(metric(&kept.get("/metrics"), "weir_state_up"), 0.0);
    let log = kept.terminate();
    assert!(log.contains("counters could not be written"), "{log}");
}

/// Kills of all rounds together; fewer where somebody waits for the tests.
fn kills() -> usize {
    match std::env::var_os("CI") {
        Some(_) => 200,
        None => 40,
    }
}

/// Servers that run at once.
const AT_ONCE: usize = 4;

/// Clients of each server.
const CLIENTS: usize = 8;

/// The longest round, in calls.
const MAX_CALLS: u64 = 2_000;

/// Changes that are older than this survive.
const SURVIVE_AFTER: Duration = Duration::from_secs(1);

#[test]
fn no_kill_loses_what_was_answered_more_than_a_second_before() {
    let servers: Vec<_> = (0..AT_ONCE)
        .map(|server| thread::spawn(move || kill_again_and_again(server as u64)))
        .collect();
    let checked: u64 = servers
        .into_iter()
        .map(|server| server.join().unwrap())
        .sum();
    assert!(checked > 0, "no round was long enough to check anything");
}

/// Returns how many answers were old enough that they had to survive the kill of their round.
fn kill_again_and_again(seed: u64) -> u64 {
    let state = tempfile::tempdir().unwrap();
    let mut random = seed;
    let mut checked = 0;
    let mut survived = [0_u64; CLIENTS];
    let mut sent_at_most = [0_u64; CLIENTS];
    for round in 0..kills() / AT_ONCE {
        let mut kept = Kept::start(state.path());
        for client in 0..CLIENTS {
            let used = 1_000_000 - u64::from(kept.left("year", &client.to_string()));
            assert!(
                (survived[client]..=sent_at_most[client]).contains(&used),
                "server {seed}, round {round}, client {client}: {used} of {}..={}",
                survived[client],
                sent_at_most[client]
            );
            survived[client] = used;
        }
        let calls = next(&mut random) % MAX_CALLS;
        let clock = Stopwatch::start();
        let answered = load(&kept, calls, &clock, &mut sent_at_most);
        let metrics = kept.get("/metrics");
        let lag = Duration::from_secs_f64(metric(&metrics, "weir_state_lag_seconds"));
        let by_lag = clock.elapsed().checked_sub(lag);
        let killed = clock.elapsed();
        kept.serving.signal("KILL");
        kept.serving.end();
        // A machine that is too busy may take longer than a second; then it says so.
        let cutoff = by_lag.min(killed.checked_sub(SURVIVE_AFTER));
        for (client, at) in answered {
            if cutoff.is_some_and(|cutoff| at < cutoff) {
                survived[client] += 1;
                checked += 1;
            }
        }
    }
    checked
}

/// Sends calls, some at a time, and returns for each answer its client and when it came.
fn load(
    kept: &Kept,
    calls: u64,
    clock: &Stopwatch,
    sent: &mut [u64; CLIENTS],
) -> Vec<(usize, Duration)> {
    let left = Cell::new(calls);
    let (answered, sent) = (RefCell::new(Vec::new()), RefCell::new(sent));
    let caller = || async {
        while left.get() > 0 {
            left.set(left.get() - 1);
            let client = left.get() as usize % CLIENTS;
            sent.borrow_mut()[client] += 1;
            call(kept.channel.clone(), "year", &client.to_string(), 1).await;
            answered.borrow_mut().push((client, clock.elapsed()));
        }
    };
    kept.runtime
        .block_on(async { tokio::join!(caller(), caller(), caller(), caller()) });
    answered.into_inner()
}

/// SplitMix64: the same lengths of rounds in each run.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut bits = *state;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
