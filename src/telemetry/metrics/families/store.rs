//! The store of counters, in memory or in Redis.

use super::{MetricFamily, counter, gauge};

pub(super) const FAMILIES: &[MetricFamily] = &[
    gauge(
        "weir_store_counters",
        &[],
        "Counters in the store.",
        |scrape, out| out.value(scrape.store.counters),
    ),
    gauge(
        "weir_store_bytes",
        &[],
        "Estimated memory of the counters, in bytes.",
        |scrape, out| out.value(scrape.store.bytes),
    ),
    gauge(
        "weir_store_pinned",
        &[],
        "Counters over their limit, which are not evicted.",
        |scrape, out| out.value(scrape.store.pinned),
    ),
    counter(
        "weir_store_evicted_total",
        &[],
        "Counters that were evicted because memory was full.",
        |scrape, out| out.value(scrape.store.evicted),
    ),
    counter(
        "weir_store_evicted_over_limit_total",
        &[],
        "Counters over their limit that were evicted because memory was full.",
        |scrape, out| out.value(scrape.store.evicted_over_limit),
    ),
    gauge(
        "weir_store_up",
        &[],
        "1 if counters are in memory or Redis is available, 0 if it is not; the log states why.",
        |scrape, out| {
            let is_up = scrape.store.shared.is_none_or(|redis| redis.is_up);
            out.value(u8::from(is_up));
        },
    ),
    gauge(
        "weir_store_connections",
        &[],
        "Open connections to Redis.",
        |scrape, out| out.value(scrape.store.shared.unwrap_or_default().connections),
    ),
    counter(
        "weir_store_connects_total",
        &[],
        "Connections to Redis that were opened.",
        |scrape, out| out.value(scrape.store.shared.unwrap_or_default().connects),
    ),
    counter(
        "weir_store_round_trips_total",
        &[],
        "Commands that were sent to Redis.",
        |scrape, out| out.value(scrape.store.shared.unwrap_or_default().round_trips),
    ),
    counter(
        "weir_store_local_answers_total",
        &[],
        "Hits that were answered without asking Redis.",
        |scrape, out| out.value(scrape.store.shared.unwrap_or_default().local_answers),
    ),
    counter(
        "weir_store_fallback_hits_total",
        &[],
        "Hits that Redis did not count in time, so that on_store_error applied.",
        |scrape, out| out.value(scrape.store.shared.unwrap_or_default().fallback_hits),
    ),
    counter(
        "weir_store_writeback_hits_total",
        &[],
        "Hits that were counted locally and later flushed to Redis.",
        |scrape, out| out.value(scrape.store.shared.unwrap_or_default().writeback_hits),
    ),
    counter(
        "weir_store_writeback_dropped_hits_total",
        &[],
        "Hits that were counted locally and never flushed to Redis, because of too many counters.",
        |scrape, out| {
            out.value(
                scrape
                    .store
                    .shared
                    .unwrap_or_default()
                    .writeback_dropped_hits,
            );
        },
    ),
];
