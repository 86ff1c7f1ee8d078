//! What each fuzz target does with its bytes, and what must hold afterwards.
//!
//! `cargo +nightly fuzz run http2` runs a target; the others are `headers`, `message`, `policy` and
//! `states`. The files of `fuzz/corpus` go through the same functions in `cargo test -p weir-fuzz`.

#![allow(
    clippy::missing_panics_doc,
    reason = "a fuzz target fails by panicking"
)]
#![allow(clippy::unwrap_used, reason = "a target fails by a panic")]

mod headers;
mod http2;

use std::path::Path;
use std::sync::Arc;

pub use headers::headers;
pub use http2::http2;
use prost::Message;
use weir::clock::{Clock, ManualClock, Timestamp};
use weir::engine::Engine;
use weir::limit::{
    Active, Calendar, CalendarRate, CalendarStart, CalendarZone, Charge, Limit, LimitKind,
    LimitSet, Operation, Penalty, Rate, States, TokenBucket, check_and_apply,
};
use weir::proto::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use weir::request::{Cost, LeaseId};
use weir::server::grpc::{self, RateLimit};
use weir::server::http2::{CallHead, CallOutcome, Http2Service};
use weir::store::{MemoryConfig, Store};
use weir::telemetry::Metrics;

/// A policy that has a rule of every kind.
const POLICY: &str = include_str!("policy.yaml");

/// A time in 2023.
const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// Any text loads, or has a diagnostic.
pub fn policy(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let loaded = weir::policy::load_text(Path::new("policy.yaml"), &text);
    assert!(loaded.policy.is_some() || !loaded.diagnostics.is_empty());
    for diagnostic in &loaded.diagnostics {
        assert!(!diagnostic.to_string().is_empty());
    }
}

/// A message is answered with a status for each descriptor, or with INVALID_ARGUMENT.
pub fn message(data: &[u8]) {
    thread_local! {
        static SERVICE: RateLimit = service();
    }
    let mut service = SERVICE.with(Clone::clone);
    let mut answer = b"before".to_vec();
    match service.call(&CallHead::default(), data, &mut answer) {
        CallOutcome::Message(_) => {
            let request = RateLimitRequest::decode(data).unwrap();
            let answer = answer.strip_prefix(b"before").unwrap();
            let answer = RateLimitResponse::decode(answer).unwrap();
            assert_eq!(answer.statuses.len(), request.descriptors.len());
        }
        CallOutcome::Failed(status) => assert_eq!(status.code, 3, "{status:?}"),
        CallOutcome::Later(_) => panic!("a store in memory does not wait"),
    }
}

fn service() -> RateLimit {
    let loaded = weir::policy::load_text(Path::new("policy.yaml"), POLICY);
    let policy = loaded.policy.unwrap();
    let store = Store::memory(MemoryConfig {
        budget_bytes: 2_000_000,
    });
    let metrics = Metrics::new(&policy);
    let clock = Clock::Manual(ManualClock::new(NOW));
    let engine = Arc::new(Engine::new(policy, store.unwrap(), clock));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let recorders = [metrics.worker_recorder()];
    let services = runtime.block_on(grpc::services(grpc::ServiceParts {
        engine: &engine,
        recorders: &recorders,
        traces: None,
        request_metadata: false,
    }));
    services.unwrap().0.remove(0).rate_limit
}

/// Stored states are counted on, or refused; what is stored again is what was meant.
pub fn states(data: &[u8]) {
    let Some((&[kinds, cost, secs], data)) = data.split_first_chunk() else {
        return;
    };
    let Ok(mut states) = States::decode(data) else {
        return;
    };
    let mut stored = Vec::new();
    states.encode(&mut stored);
    assert_eq!(States::decode(&stored).as_ref(), Ok(&states));

    let set = limit_set(kinds);
    states.align(&set);
    let now = Timestamp::from_secs(NOW.micros() / 1_000_000 + u64::from(secs));
    let hits = u32::from(cost >> 2) + 1;
    let op = Operation {
        now,
        cost: match cost & 3 {
            0 => Cost::Peek,
            1 => Cost::Refund(hits),
            _ => Cost::Hits(hits),
        },
        lease: Some(LeaseId::NIL),
    };
    let outcomes = check_and_apply(&set, Active::ALL, &mut states, op);
    assert_eq!(outcomes.limits.len(), set.limits.len());
    for (outcome, limit) in outcomes.limits.iter().zip(&set.limits) {
        assert!(
            outcome.available <= limit.capacity(),
            "{limit}: {outcome:?}"
        );
    }
    stored.clear();
    states.encode(&mut stored);
    assert_eq!(States::decode(&stored).as_ref(), Ok(&states));
    assert!(states.is_aligned(&set));
}

/// The limits whose bits are set, one of each kind.
fn limit_set(kinds: u8) -> LimitSet {
    let minute = Rate::parse("60 per minute").unwrap();
    let calendar = Calendar::new(CalendarStart::Month(31), 1, CalendarZone::UTC);
    let all = [
        LimitKind::FixedWindow(minute),
        LimitKind::SlidingWindow(minute),
        LimitKind::TokenBucket(TokenBucket::new(90, minute).unwrap()),
        LimitKind::Concurrency {
            max_in_flight: 8,
            lease_secs: 60,
        },
        LimitKind::Calendar(CalendarRate {
            requests: 60,
            calendar: calendar.unwrap().into(),
        }),
    ];
    let chosen = all.into_iter().enumerate();
    let chosen = chosen.filter(|(index, _)| kinds >> index & 1 == 1);
    let mut limits: Vec<_> = chosen.map(|(_, kind)| Limit::new(kind)).collect();
    for limit in limits.iter_mut().filter(|limit| !limit.is_concurrency()) {
        limit.penalty = Penalty::new(&[60, 600]).filter(|_| kinds & 0x40 != 0);
    }
    if limits.is_empty() {
        limits.push(Limit::new(LimitKind::FixedWindow(minute)));
    }
    LimitSet {
        limits: limits.into(),
        charge: if kinds & 0x80 == 0 {
            Charge::Always
        } else {
            Charge::Allowed
        },
    }
}
