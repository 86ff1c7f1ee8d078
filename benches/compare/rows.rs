//! What is measured, row by row.

use std::path::Path;
use std::time::{Duration, Instant};

use prost::Message;
use weir::proto::envoy::service::ratelimit::v3::RateLimitResponse;
use weir::proto::envoy::service::ratelimit::v3::rate_limit_service_client::RateLimitServiceClient;

use crate::alone;
use crate::keys::Choice;
use crate::load::{Load, Pace};
use crate::message::{CLIENT, Template};
use crate::pairs::{Pairs, Run};
use crate::policies::{self, DOMAIN};
use crate::servers::Running;
use crate::table::Target::{AtLeast, AtMost};
use crate::table::{Measured, Row};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// One run of a pair.
const RUN: Duration = Duration::from_millis(1_000);
/// What is bounded by a count.
const FOR_LONG: Duration = Duration::from_secs(200);
const CONNECTIONS: usize = 8;
const STREAMS: usize = 32;

pub(crate) const ALL: &[Row] = &[
    row("throughput, 1 rule", AtLeast(0.90), || {
        throughput(&policies::of_rules(1))
    }),
    row("throughput, 1,000 rules", AtLeast(0.90), || {
        throughput(&policies::of_rules(1_000))
    }),
    row("throughput, 100,000 rules", AtLeast(0.90), || {
        throughput(&policies::of_rules(100_000))
    }),
    row("throughput, four headers", AtLeast(0.85), || {
        throughput(&policies::with_headers())
    }),
    row("throughput, 1,000,000 live keys", AtLeast(0.75), || {
        throughput_of_keys(Choice::Uniform(alone::MILLION))
    }),
    row(
        "throughput, 1,000,000 live keys, Zipf",
        AtLeast(0.75),
        || throughput_of_keys(Choice::Zipf(alone::MILLION)),
    ),
    row(
        "throughput, 4 descriptors of 3 entries",
        AtLeast(0.80),
        throughput_of_four,
    ),
    row("p99 at half of saturation", AtMost(1.25), latency),
    row("decide alone, hot key, ns", AtMost(300.0), || {
        Ok(Measured {
            value: alone::hot_key(1)?,
            detail: "1 rule".into(),
        })
    }),
    row(
        "decide alone, 1,000,000 keys, against a bare moka get",
        AtMost(1.6),
        || {
            let (decide, bare) = alone::million_keys()?;
            Ok(Measured {
                value: decide / bare,
                detail: format!("{decide:.0} ns / {bare:.0} ns"),
            })
        },
    ),
    row("two threads, disjoint keys", AtLeast(1.8), || {
        Ok(Measured {
            value: alone::two_threads()?.0,
            detail: "against one thread".into(),
        })
    }),
    row("two threads, one hot key", AtLeast(0.8), || {
        Ok(Measured {
            value: alone::two_threads()?.1,
            detail: "against one thread".into(),
        })
    }),
    row("lookup, 100,000 rules against 10", AtMost(1.3), || {
        let (few, many) = (alone::hot_key(10)?, alone::hot_key(100_000)?);
        Ok(Measured {
            value: many / few,
            detail: format!("{many:.0} ns / {few:.0} ns"),
        })
    }),
    row(
        "memory of a live counter, 1,000,000 keys, B",
        AtMost(330.0),
        || memory(alone::MILLION),
    ),
    row(
        "memory of a live counter, 10,000,000 keys, B",
        AtMost(330.0),
        || memory(10 * alone::MILLION),
    ),
    row("load of 100,000 rules, s", AtMost(1.0), load_of_rules),
    row(
        "flood of new keys, against the hot key",
        AtLeast(0.7),
        flood,
    ),
];

const fn row(
    name: &'static str,
    target: crate::table::Target,
    measure: fn() -> Result<Measured>,
) -> Row {
    Row {
        name,
        target,
        measure,
    }
}

fn one_key() -> Template {
    Template::new(DOMAIN, &[&[("api_key", CLIENT)]])
}

/// As fast as it goes, for so many calls at most.
fn closed(
    server: &Running,
    template: &Template,
    choice: Choice,
    calls: u64,
    lasts: Duration,
) -> Load {
    Load {
        server: server.address,
        connections: CONNECTIONS,
        template: template.clone(),
        choice,
        pace: Pace::Closed {
            calls,
            lasts,
            streams: STREAMS,
        },
    }
}

/// weir's answer to a request: what the other one is to answer every time.
fn answer(server: &Running, template: &Template) -> Result<RateLimitResponse> {
    let request = Message::decode(&template.bytes()[5..])?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut client =
            RateLimitServiceClient::connect(format!("http://{}", server.address)).await?;
        let asked: tonic::Request<_> = tonic::Request::new(request);
        Ok(client.should_rate_limit(asked).await?.into_inner())
    })
}

fn throughput(policy: &str) -> Result<Measured> {
    compare(policy, &one_key(), Choice::One)
}

fn throughput_of_four() -> Result<Measured> {
    let entries: &[_] = &[
        ("account", CLIENT),
        ("service", "orders"),
        ("endpoint", CLIENT),
    ];
    let template = Template::new(DOMAIN, &[entries; 4]);
    compare(&policies::nested(), &template, Choice::One)
}

fn throughput_of_keys(choice: Choice) -> Result<Measured> {
    compare(&policies::of_rules(1), &one_key(), choice)
}

fn compare(policy: &str, template: &Template, choice: Choice) -> Result<Measured> {
    let weir = Running::weir(policy, &[])?;
    let nothing = Running::nothing(&answer(&weir, template)?)?;
    if let Choice::Uniform(keys) | Choice::Zipf(keys) = choice {
        // Each of them lives once so many were asked for at random that a fresh one is rare.
        let fill = closed(&weir, template, Choice::Uniform(keys), keys * 3, FOR_LONG);
        Run::of(&weir, &fill)?;
    }
    let run = |server| Run::of(server, &closed(server, template, choice, u64::MAX, RUN));
    run(&weir)?;
    run(&nothing)?;
    Ok(Pairs::measure(|| run(&weir), || run(&nothing))?.throughput())
}

fn latency() -> Result<Measured> {
    let template = one_key();
    let weir = Running::weir(&policies::of_rules(1), &[])?;
    let nothing = Running::nothing(&answer(&weir, &template)?)?;
    let saturated = closed(&weir, &template, Choice::One, u64::MAX, RUN);
    let half = Run::of(&weir, &saturated)?.rate / 2.0;
    let run = |server| {
        let pace = Pace::Open {
            rate: half,
            lasts: RUN,
        };
        let load = closed(server, &template, Choice::One, 0, RUN);
        Run::of(server, &Load { pace, ..load })
    };
    let mut measured = Pairs::measure(|| run(&weir), || run(&nothing))?.p99();
    measured.detail.push_str(&format!(" at {half:.0} a second"));
    Ok(measured)
}

/// Resident bytes that each new key adds to a serving weir.
fn memory(keys: u64) -> Result<Measured> {
    let weir = Running::weir(&policies::of_rules(1), &["--memory", "64G"])?;
    let run = |choice, calls| Run::of(&weir, &closed(&weir, &one_key(), choice, calls, FOR_LONG));
    run(Choice::One, 200_000)?;
    let before = weir.resident()?;
    run(Choice::Fresh, keys)?;
    let taken = weir.resident()? - before;
    let detail = format!("{} MiB of `weir serve`", taken >> 20);
    Ok(Measured {
        value: taken as f64 / keys as f64,
        detail,
    })
}

/// The least of several: what disturbs a load only makes it longer.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn load_of_rules() -> Result<Measured> {
    let policy = policies::of_rules(100_000);
    let loads = (0..5).map(|_| {
        let start = Instant::now();
        let loaded = weir::policy::load_text(Path::new("bench.yaml"), &policy);
        let secs = start.elapsed().as_secs_f64();
        loaded.policy.map(|_| secs).ok_or("a bad policy")
    });
    let secs = loads.collect::<std::result::Result<Vec<_>, _>>()?;
    let small = Running::weir(&policies::of_rules(1), &[])?.resident()?;
    let large = Running::weir(&policy, &[])?.resident()?;
    let value = secs.into_iter().fold(f64::INFINITY, f64::min);
    let detail = format!(
        "{} MiB more resident than with 1 rule",
        (large - small) >> 20
    );
    Ok(Measured { value, detail })
}

/// New keys for 30 seconds' worth of calls, with a known offender before and after.
fn flood() -> Result<Measured> {
    const BUDGET: u64 = 256 << 20;
    let weir = Running::weir(
        &policies::with_offenders(),
        &["--memory", &BUDGET.to_string()],
    )?;
    let offender = Template::new(DOMAIN, &[&[("offender", CLIENT)]]);
    for _ in 0..4 {
        answer(&weir, &offender)?;
    }
    let empty = weir.resident()?;
    let rate = |choice, lasts| -> Result<f64> {
        let load = closed(&weir, &one_key(), choice, u64::MAX, lasts);
        Ok(Run::of(&weir, &load)?.rate)
    };
    let hot = rate(Choice::One, Duration::from_secs(5))?;
    let flood = rate(Choice::Fresh, Duration::from_secs(30))?;
    let taken = (weir.resident()? - empty) as f64 / BUDGET as f64;
    let refused = answer(&weir, &offender)?.overall_code == 2;
    let detail = format!(
        "{flood:.0} / {hot:.0}; {taken:.2} of the budget resident; the offender is {}",
        if refused {
            "still refused"
        } else {
            "FORGOTTEN"
        }
    );
    Ok(Measured {
        value: flood / hot,
        detail,
    })
}
