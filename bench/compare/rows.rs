//! The rows of the table of results.

use crate::alone::{self, MILLION};
use crate::keys::Choice;
use crate::table::Target::{AtLeast, AtMost, Shown};
use crate::table::{Measured, Row, Target};
use crate::{connections, memory, peers, policies, shared, throughput};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

pub(crate) const ALL: &[Row] = &[
    row("cost, 1 rule", AtMost(0.5), || {
        throughput::of_policy(&policies::of_rules(1), 1.6)
    }),
    row("cost, 1,000 rules", AtMost(0.5), || {
        throughput::of_policy(&policies::of_rules(1_000), 1.6)
    }),
    row("cost, 100,000 rules", AtMost(0.5), || {
        throughput::of_policy(&policies::of_rules(100_000), 1.6)
    }),
    row("cost, four headers", AtMost(0.65), || {
        throughput::of_policy(&policies::with_headers(), 1.0)
    }),
    row("cost, 1,000,000 live keys", AtMost(0.75), || {
        throughput::of_keys(Choice::Uniform(MILLION))
    }),
    row("cost, 1,000,000 live keys, Zipf", AtMost(0.75), || {
        throughput::of_keys(Choice::Zipf(MILLION))
    }),
    row(
        "cost, 4 descriptors of 3 entries",
        AtMost(0.65),
        throughput::of_four_descriptors,
    ),
    row(
        "p99 at half of the no-op's saturation",
        AtMost(0.9),
        throughput::latency,
    ),
    row("decide alone, hot key, ns", AtMost(300.0), || {
        Ok(Measured::of(alone::hot_key(1)?, "1 rule"))
    }),
    row(
        "decide alone, 1,000,000 keys, compared with a bare moka get",
        AtMost(1.6),
        || {
            let (decide, bare) = alone::million_keys()?;
            let detail = format!("{decide:.0} ns / {bare:.0} ns");
            Ok(Measured::of(decide / bare, detail))
        },
    ),
    row("two threads, disjoint keys", AtLeast(1.8), || {
        let [one, two, _] = alone::two_threads()?;
        let detail = format!("{two:.0} / {one:.0} per second");
        Ok(Measured::of(two / one, detail))
    }),
    row("two threads, one hot key", AtLeast(0.8), || {
        let [one, _, two] = alone::two_threads()?;
        let detail = format!("{two:.0} / {one:.0} per second");
        Ok(Measured::of(two / one, detail))
    }),
    row(
        "lookup, 100,000 rules compared with 10",
        AtMost(1.3),
        || {
            let (few, many) = (alone::hot_key(10)?, alone::hot_key(100_000)?);
            let detail = format!("{many:.0} ns / {few:.0} ns");
            Ok(Measured::of(many / few, detail))
        },
    ),
    row(
        "memory of a live counter, 1,000,000 keys, B",
        AtMost(330.0),
        || memory::of_counters(MILLION),
    ),
    row(
        "memory of a live counter, 10,000,000 keys, B",
        AtMost(330.0),
        || memory::of_counters(10 * MILLION),
    ),
    row(
        "memory of a full store, share of the budget",
        AtMost(1.15),
        memory::of_budget,
    ),
    row(
        "memory of 1,000 idle connections, MB",
        AtMost(20.0),
        connections::idle,
    ),
    row(
        "memory of 10,000 half-sent calls, share of --grpc-buffer",
        AtMost(1.15),
        connections::half_sent,
    ),
    row(
        "load of 100,000 rules, s",
        AtMost(1.0),
        memory::load_seconds,
    ),
    row(
        "load of 100,000 rules, MB",
        AtMost(100.0),
        memory::load_megabytes,
    ),
    row(
        "restore of 1,000,000 counters, s",
        AtMost(2.0),
        memory::restore_seconds,
    ),
    row(
        "flood of new keys, compared with the hot key",
        AtLeast(0.7),
        throughput::flood,
    ),
    row("peer, 1 rule, times as fast", Shown, || peers::beside(1)),
    row("peer, 1,000 rules, times as fast", Shown, || {
        peers::beside(1_000)
    }),
    row(
        "redis, times as fast as envoyproxy/ratelimit with the same Redis",
        AtLeast(6.0),
        shared::beside_ratelimit,
    ),
    row(
        "redis, one hot key, with a flush interval compared with each call",
        Shown,
        shared::in_batches,
    ),
    row(
        "redis, p99 at half of saturation, ms",
        AtMost(5.0),
        shared::latency,
    ),
];

const fn row(name: &'static str, target: Target, measure: fn() -> Result<Measured>) -> Row {
    Row {
        name,
        target,
        measure,
    }
}
