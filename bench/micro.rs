//! The steps of a decision, each measured alone: `cargo bench -p weir-bench --bench micro`.
//!
//! divan counts allocations, too: an allowed hit allocates only what its answer owns.

use std::hint::black_box;
use std::path::Path;
use std::pin::pin;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use divan::{AllocProfiler, Bencher};
use weir::clock::{Clock, Timestamp};
use weir::engine::{Decision, Engine};
use weir::limit::{
    Active, Charge, Limit, LimitKind, LimitSet, Operation, Rate, States, TokenBucket, Window,
    check_and_apply,
};
use weir::policy::{self, CounterIdentity, IdentityPart, Policy};
use weir::request::{Cost, Descriptor, Entry, Request, Unit};
use weir::store::{MemoryConfig, Store};

// It counts on top of the program's allocator.
#[global_allocator]
static ALLOCATOR: AllocProfiler<mimalloc::MiMalloc> = AllocProfiler::new(mimalloc::MiMalloc);

const LIMIT: &str = "rate_limit: {unit: hour, requests_per_unit: 4000000000}";
/// Numbers of rules: one that matches, and others.
const RULES: [usize; 4] = [1, 10, 1_000, 100_000];
const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

fn main() {
    divan::main();
}

/// One step of the state of a limit.
mod limits {
    use super::{
        Active, Bencher, Charge, Cost, Limit, LimitKind, LimitSet, NOW, Operation, Rate, States,
        TokenBucket, Unit, Window, check_and_apply,
    };

    fn bench(bencher: Bencher<'_, '_>, kinds: &[LimitKind]) {
        let set = LimitSet {
            limits: kinds.iter().cloned().map(Limit::new).collect(),
            charge: Charge::Allowed,
        };
        let mut states = States::fresh(&set);
        let call = Operation {
            now: NOW,
            cost: Cost::Hits(1),
            lease: None,
        };
        bencher.bench_local(|| check_and_apply(&set, Active::ALL, &mut states, call));
    }

    fn hourly(requests: u32) -> Rate {
        let window = Window::new(Unit::Hour, 1).expect("a window");
        Rate { requests, window }
    }

    fn bucket() -> LimitKind {
        LimitKind::TokenBucket(TokenBucket::new(1 << 20, hourly(1 << 30)).expect("a bucket"))
    }

    #[divan::bench]
    fn fixed_window(bencher: Bencher<'_, '_>) {
        bench(bencher, &[LimitKind::FixedWindow(hourly(u32::MAX))]);
    }

    #[divan::bench]
    fn sliding_window(bencher: Bencher<'_, '_>) {
        bench(bencher, &[LimitKind::SlidingWindow(hourly(u32::MAX))]);
    }

    #[divan::bench]
    fn token_bucket(bencher: Bencher<'_, '_>) {
        bench(bencher, &[bucket()]);
    }

    #[divan::bench]
    fn window_and_bucket(bencher: Bencher<'_, '_>) {
        bench(
            bencher,
            &[LimitKind::FixedWindow(hourly(u32::MAX)), bucket()],
        );
    }
}

/// Walking the tree of a policy, with a growing number of rules beside the one that matches.
mod lookup {
    use super::{
        Bencher, CounterIdentity, IdentityPart, RULES, black_box, many_rules, policy, request,
    };

    /// Ignores the parts of the counter's identity.
    struct Ignored;

    impl CounterIdentity for Ignored {
        fn add(&mut self, part: IdentityPart<'_>) {
            black_box(part);
        }
    }

    #[divan::bench(args = RULES, sample_size = 10_000)]
    fn rules(bencher: Bencher<'_, '_>, rules: usize) {
        let policy = policy(&many_rules(rules));
        let request = request(&[&[("api_key", "k")]]);
        let entries = &request.descriptors[0].entries;
        bencher.bench_local(|| {
            let domain = policy.domain(&request.domain)?;
            domain.walk(entries, &mut Ignored)?.rule
        });
    }
}

/// What a table of a million clients says of one, and reading it.
mod assignments {
    use super::{Bencher, NOW, Path, Policy, black_box};
    use weir::policy::{AssignmentId, LoadOptions, load};

    const ROWS: u32 = 1_000_000;
    const POLICY: &str = "
domain: d
plans:
  standard: {rate_limit: {unit: minute, requests_per_unit: 600}}
  scale: {rate_limit: {unit: minute, requests_per_unit: 6000}}
descriptors: [{key: api_key, plan: standard, assignments: customers}]";

    fn client(number: u32) -> String {
        format!(
            "pk_live_{:024x}",
            u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        )
    }

    /// A folder with the policy, and a table whose first column is `cell`.
    fn folder(column: &str, cell: impl Fn(&str) -> String) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let mut table = format!("{column},plan,until,note\n");
        for number in 0..ROWS {
            let cell = cell(&client(number));
            table.push_str(&format!(
                "{cell},scale,2030-01-01T00:00:00Z,ticket {number}\n"
            ));
        }
        let file = |name: &str| folder.path().join(name);
        std::fs::write(file("d.yaml"), POLICY).expect("a policy");
        std::fs::write(file("customers.assignments.csv"), table).expect("a table");
        folder
    }

    fn read(folder: &Path) -> Policy {
        let loaded = load(&[folder.to_owned()], LoadOptions::default()).expect("readable files");
        loaded.policy.expect("a policy without errors")
    }

    /// Looks for some clients in turn, in no order of the table.
    fn bench(bencher: Bencher<'_, '_>, policy: &Policy, first: u32, clients: u32) {
        let clients = (0..clients).map(|number| client(first + number.wrapping_mul(48_271) % ROWS));
        let clients: Vec<String> = clients.collect();
        let mut clients = clients.iter().cycle();
        let domain = policy.domain(b"d").expect("the domain");
        let rule = &domain.rules()[0];
        bencher.bench_local(|| {
            let client = clients.next()?.as_bytes();
            policy.assignment(domain, rule, black_box(client), NOW)
        });
    }

    #[divan::bench(sample_count = 3, sample_size = 1)]
    fn load_a_million(bencher: Bencher<'_, '_>) {
        let folder = folder("value", str::to_owned);
        bencher.bench_local(|| read(folder.path()));
    }

    /// The rows of few clients are in the cache of the processor, those of many are not.
    #[divan::bench(sample_size = 10_000, args = [1, 1_000, 65_536])]
    fn by_value(bencher: Bencher<'_, '_>, clients: u32) {
        let folder = folder("value", str::to_owned);
        bench(bencher, &read(folder.path()), 0, clients);
    }

    #[divan::bench(sample_size = 10_000)]
    fn without_a_row(bencher: Bencher<'_, '_>) {
        let folder = folder("value", str::to_owned);
        bench(bencher, &read(folder.path()), 2 * ROWS, 65_536);
    }

    #[divan::bench(sample_size = 10_000)]
    fn by_sha256(bencher: Bencher<'_, '_>) {
        let hash = |value: &str| AssignmentId::of_value("d", "customers", value.as_bytes()).sha256;
        let folder = folder("sha256", hash);
        bench(bencher, &read(folder.path()), 0, 65_536);
    }
}

/// A whole decision, without the network.
mod decide {
    use super::{Bencher, LIMIT, RULES, Request, decided, engine, many_rules, one_rule, request};

    fn bench(bencher: Bencher<'_, '_>, yaml: &str, request: &Request) {
        let engine = engine(yaml);
        bencher.bench_local(|| decided(&engine, request));
    }

    /// One rule that matches, and others.
    #[divan::bench(args = RULES)]
    fn rules(bencher: Bencher<'_, '_>, rules: usize) {
        bench(
            bencher,
            &many_rules(rules),
            &request(&[&[("api_key", "k")]]),
        );
    }

    /// The only rule is this many levels deep.
    #[divan::bench(args = [1, 4, 16])]
    fn levels(bencher: Bencher<'_, '_>, levels: usize) {
        let rule = (1..levels).fold(format!("{{key: k, {LIMIT}}}"), |below, _| {
            format!("{{key: k, descriptors: [{below}]}}")
        });
        let yaml = format!("domain: bench\ndescriptors: [{rule}]\n");
        bench(bencher, &yaml, &request(&[&vec![("k", "v"); levels]]));
    }

    #[divan::bench(args = [1, 4, 16])]
    fn descriptors(bencher: Bencher<'_, '_>, descriptors: usize) {
        let request = request(&vec![&[("api_key", "k")][..]; descriptors]);
        bench(bencher, &one_rule(), &request);
    }

    #[divan::bench]
    fn four_headers(bencher: Bencher<'_, '_>) {
        let yaml = one_rule()
            + r#"response:
  headers: {A: "%LIMIT%", B: "%REMAINING%", C: "%RESET_AT%", D: "fixed"}
"#;
        bench(bencher, &yaml, &request(&[&[("api_key", "k")]]));
    }

    #[divan::bench]
    fn refused(bencher: Bencher<'_, '_>) {
        let yaml = one_rule().replace("4000000000", "0");
        bench(bencher, &yaml, &request(&[&[("api_key", "k")]]));
    }

    #[divan::bench]
    fn unmatched(bencher: Bencher<'_, '_>) {
        bench(bencher, &one_rule(), &request(&[&[("other", "k")]]));
    }
}

/// A decision whose counters survive a restart, for one client and for many in turn, beside one whose counters do not.
#[divan::bench_group(sample_size = 10_000)]
mod state {
    use super::{
        Bencher, Clock, Engine, MemoryConfig, Request, Store, decided, engine, one_rule, policy,
        request,
    };
    use weir::state::{StateFolder, StateWriter, WriterConfig};

    const CLIENTS: [usize; 2] = [1, 100_000];

    fn bench(bencher: Bencher<'_, '_>, engine: &Engine, clients: usize) {
        let client = |number: usize| request(&[&[("api_key", &number.to_string())]]);
        let requests: Vec<Request> = (0..clients).map(client).collect();
        let mut next = 0;
        bencher.bench_local(|| {
            next = (next + 1) % clients;
            decided(engine, &requests[next])
        });
    }

    #[divan::bench(args = CLIENTS)]
    fn in_memory(bencher: Bencher<'_, '_>, clients: usize) {
        bench(bencher, &engine(&one_rule()), clients);
    }

    #[divan::bench(args = CLIENTS)]
    fn kept(bencher: Bencher<'_, '_>, clients: usize) {
        let folder = tempfile::tempdir_in("target").expect("a folder on a disk");
        let state = StateFolder::open(folder.path(), Clock::System.now()).expect("a folder");
        let recorded = Store::recorded(MemoryConfig::default(), state.hash_key());
        let (store, records) = recorded.expect("randomness");
        let started = StateWriter::start(state, records, WriterConfig::default());
        let (writer, _) = started.expect("a thread");
        let engine = Engine::new(policy(&one_rule()), store, Clock::System);
        bench(bencher, &engine, clients);
        writer.flush().expect("it is written");
    }
}

/// One engine, several threads.
#[divan::bench_group(threads = [1, 2], sample_size = 10_000)]
mod contention {
    use super::{
        AtomicU64, Bencher, Engine, LazyLock, Ordering, Request, decided, engine, one_rule, request,
    };

    static ENGINE: LazyLock<Engine> = LazyLock::new(|| engine(&one_rule()));
    static THREADS: AtomicU64 = AtomicU64::new(0);

    #[divan::bench]
    fn one_hot_key(bencher: Bencher<'_, '_>) {
        let request = request(&[&[("api_key", "k")]]);
        bencher.bench(|| decided(&ENGINE, &request));
    }

    #[divan::bench]
    fn keys_of_their_own(bencher: Bencher<'_, '_>) {
        thread_local! {
            static REQUEST: Request = {
                let thread = THREADS.fetch_add(1, Ordering::Relaxed);
                request(&[&[("api_key", &thread.to_string())]])
            };
        }
        bencher.bench(|| REQUEST.with(|request| decided(&ENGINE, request)));
    }
}

fn one_rule() -> String {
    format!("domain: bench\ndescriptors:\n  - {{key: api_key, {LIMIT}}}\n")
}

fn many_rules(rules: usize) -> String {
    let mut yaml = one_rule();
    for number in 1..rules {
        yaml += &format!("  - {{key: api_key, value: customer-{number}, {LIMIT}}}\n");
    }
    yaml
}

fn policy(yaml: &str) -> Policy {
    let loaded = policy::load_text(Path::new("bench.yaml"), yaml);
    loaded.policy.expect("a good policy")
}

fn engine(yaml: &str) -> Engine {
    let store = Store::memory(MemoryConfig::default()).expect("randomness");
    Engine::new(policy(yaml), store, Clock::System)
}

fn request(descriptors: &[&[(&str, &str)]]) -> Request {
    let entry = |(key, value): &(&str, &str)| Entry {
        key: key.to_string().into(),
        value: value.to_string().into(),
    };
    let descriptor = |entries: &&[(&str, &str)]| Descriptor {
        entries: entries.iter().map(entry).collect(),
        ..Descriptor::default()
    };
    Request {
        domain: "bench".into(),
        descriptors: descriptors.iter().map(descriptor).collect(),
    }
}

/// The memory store never waits, so the measurement does not need a runtime.
fn decided(engine: &Engine, request: &Request) -> Decision {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(engine.decide(request)).poll(&mut context) {
        Poll::Ready(decision) => decision,
        Poll::Pending => unreachable!("a store in memory never waits"),
    }
}
