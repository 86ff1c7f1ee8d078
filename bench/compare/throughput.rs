//! weir over the network, compared with the no-op service.

use std::time::Duration;

use prost::Message;
use weir::proto::envoy::service::ratelimit::v3::RateLimitResponse;
use weir::proto::envoy::service::ratelimit::v3::rate_limit_service_client::RateLimitServiceClient;

use crate::keys::Choice;
use crate::load::{Load, Pace};
use crate::message::{CLIENT, Template};
use crate::pairs::{Pairs, Run};
use crate::policies::{self, DOMAIN};
use crate::servers::Running;
use crate::table::Measured;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Duration of one run of a pair.
pub(crate) const RUN: Duration = Duration::from_secs(1);
/// Odd, so that there is a median run.
pub(crate) const PAIRS: usize = 11;
/// Runs that measure latency are so short that pauses of the machine miss most of them.
pub(crate) const PEEK: Duration = Duration::from_millis(300);
pub(crate) const PEEKS: usize = 41;
/// Duration of a run that is bounded by a number of calls.
pub(crate) const FOR_LONG: Duration = Duration::from_secs(200);

const CONNECTIONS: usize = 8;
const STREAMS: usize = 32;

/// A request of one descriptor with one entry.
pub(crate) fn one_key() -> Template {
    Template::new(DOMAIN, &[&[("api_key", CLIENT)]])
}

/// A closed loop of at most `calls` calls.
pub(crate) fn closed(
    server: &Running,
    template: &Template,
    choice: Choice,
    (calls, lasts): (u64, Duration),
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

/// The answer of weir to a request, which the no-op service is to return every time.
pub(crate) fn answer(server: &Running, template: &Template) -> Result<RateLimitResponse> {
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

/// The cost of a call, with at least `speedup` times as many answers per second.
pub(crate) fn of_policy(policy: &str, speedup: f64) -> Result<Measured> {
    Ok(pairs(policy, &one_key(), Choice::One)?.cost(speedup))
}

pub(crate) fn of_four_descriptors() -> Result<Measured> {
    let entries: &[_] = &[
        ("account", CLIENT),
        ("service", "orders"),
        ("endpoint", CLIENT),
    ];
    let template = Template::new(DOMAIN, &[entries; 4]);
    Ok(pairs(&policies::nested(), &template, Choice::One)?.cost(1.0))
}

pub(crate) fn of_keys(choice: Choice) -> Result<Measured> {
    Ok(pairs(&policies::of_rules(1), &one_key(), choice)?.cost(1.0))
}

fn pairs(policy: &str, template: &Template, choice: Choice) -> Result<Pairs> {
    some_pairs(PAIRS, policy, template, choice)
}

/// weir with a policy and the no-op service, in `count` alternating pairs.
pub(crate) fn some_pairs(
    count: usize,
    policy: &str,
    template: &Template,
    choice: Choice,
) -> Result<Pairs> {
    let weir = Running::weir(policy, &["--memory", "4G"])?;
    let noop = Running::noop(&answer(&weir, template)?)?;
    if let Choice::Uniform(keys) | Choice::Zipf(keys) = choice {
        fill(&weir, template, keys)?;
    }
    let run = |server| Run::of(server, &closed(server, template, choice, (u64::MAX, RUN)));
    run(&weir)?;
    run(&noop)?;
    Pairs::measure(count, || run(&weir), || run(&noop))
}

/// Nearly all keys are live after enough random calls.
fn fill(weir: &Running, template: &Template, keys: u64) -> Result<Run> {
    let bounds = (keys * 3, FOR_LONG);
    Run::of(weir, &closed(weir, template, Choice::Uniform(keys), bounds))
}

/// The 99th percentile in an open loop, at half of the no-op service's maximum throughput.
pub(crate) fn latency() -> Result<Measured> {
    let template = one_key();
    let weir = Running::weir(&policies::of_rules(1), &[])?;
    let noop = Running::noop(&answer(&weir, &template)?)?;
    let saturated = closed(&noop, &template, Choice::One, (u64::MAX, RUN));
    Run::of(&noop, &saturated)?;
    let half = Run::of(&noop, &saturated)?.rate / 2.0;
    let run = |server: &Running| {
        let pace = Pace::Open {
            rate: half,
            lasts: PEEK,
        };
        let load = closed(server, &template, Choice::One, (0, PEEK));
        Run::of(server, &Load { pace, ..load })
    };
    run(&weir)?;
    run(&noop)?;
    let mut measured = Pairs::measure(PEEKS, || run(&weir), || run(&noop))?.p99();
    measured
        .detail
        .push_str(&format!(" at {half:.0} per second"));
    Ok(measured)
}

/// New keys for 30 seconds; a client that is over its limit before must be so afterwards.
pub(crate) fn flood() -> Result<Measured> {
    const BUDGET: u64 = 256 << 20;
    let budget = BUDGET.to_string();
    let weir = Running::weir(&policies::with_offenders(), &["--memory", &budget])?;
    let offender = Template::new(DOMAIN, &[&[("offender", CLIENT)]]);
    for _ in 0..4 {
        answer(&weir, &offender)?;
    }
    let empty = weir.resident()?;
    let rate = |choice, lasts| -> Result<f64> {
        let load = closed(&weir, &one_key(), choice, (u64::MAX, lasts));
        Ok(Run::of(&weir, &load)?.rate)
    };
    let before = rate(Choice::One, Duration::from_secs(4))?;
    let flood = rate(Choice::Fresh, Duration::from_secs(30))?;
    let after = rate(Choice::One, Duration::from_secs(4))?;
    let hot = f64::midpoint(before, after);
    let share = (weir.resident()? - empty) as f64 / BUDGET as f64;
    let refused = answer(&weir, &offender)?.overall_code == 2;
    let mut measured = Measured::of(
        flood / hot,
        format!("{flood:.0} / {hot:.0} per second; {share:.2} of the budget is resident"),
    );
    measured.require(share <= 1.15, "the budget is exceeded");
    measured.require(refused, "a client that was over its limit was forgotten");
    Ok(measured)
}
