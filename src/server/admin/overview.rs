//! `/api/overview` and `/api/events`: what the page shows, and how it changes.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::BroadcastStream;

use super::{AdminState, json_response};
use crate::api::{
    DiskStatus, DomainOverview, LevelOverview, LimitOverview, Overview, PolicyOrigin, RedisStatus,
    RuleOverview, ServerStatus, StepEvent, StoreStatus,
};
use crate::engine::Engine;
use crate::limit::LimitKind;
use crate::policy::{Domain, Limits, Policy, Rule};
use crate::telemetry::{HISTORY_STEPS, HistoryStep};

/// Rules in an overview. A policy with more shows only those that were matched.
const MAX_RULES: usize = 1_000;

/// Rules whose history is in an overview.
const MAX_HISTORIES: usize = 200;

pub(super) async fn overview(State(state): State<Arc<AdminState>>) -> Response {
    json_response(&full_overview(&state))
}

/// Sends each step of the history. A receiver that is too slow misses steps.
pub(super) async fn events(State(state): State<Arc<AdminState>>) -> impl IntoResponse {
    let steps = BroadcastStream::new(state.steps.subscribe());
    let events = steps.filter_map(Result::ok);
    let events = events.map(|text| Ok::<_, Infallible>(Event::default().data(&*text)));
    Sse::new(events).keep_alive(KeepAlive::default())
}

/// Ends a step of the history and sends it to the receivers of events.
pub(super) fn step(state: &AdminState) {
    let policy = state.admin.engine.policy();
    state.history.lock().step(&policy, &state.admin.metrics);
    if state.steps.receiver_count() > 0
        && let Ok(event) = serde_json::to_string(&last_step(state, &policy))
    {
        // The last receiver may be gone by now.
        let _ = state.steps.send(event.into());
    }
}

fn full_overview(state: &AdminState) -> Overview {
    let (policy, metrics) = (state.admin.engine.policy(), &state.admin.metrics);
    let history = state.history.lock();
    let omits_idle = policy.rule_count() > MAX_RULES;
    let (mut rules_left, mut histories_left) = (MAX_RULES, MAX_HISTORIES);
    let mut domains = Vec::new();
    for domain in policy.domains() {
        let mut rules = Vec::new();
        for rule in domain.rules() {
            let hits = metrics.rule(rule);
            if rules_left == 0 || (omits_idle && hits.total() == 0) {
                continue;
            }
            rules_left -= 1;
            let mut rule = rule_overview(rule, history.of_rule(rule));
            rule.hits = hits;
            match (rule.steps.is_empty(), histories_left) {
                (false, 0) => rule.steps.clear(),
                (false, _) => histories_left -= 1,
                (true, _) => {}
            }
            rules.push(rule);
        }
        domains.push(DomainOverview {
            name: domain.name.to_string(),
            shadow_mode: domain.shadow_mode,
            quota_mode: domain.quota_mode,
            decisions: metrics.domain(Some(domain)),
            steps: history.of_domain(domain),
            rules,
        });
    }
    Overview {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        status: server_status(state),
        rules: policy.rule_count(),
        step_secs: state.admin.config.step.as_secs_f64(),
        max_steps: HISTORY_STEPS,
        last_load: metrics.last_load().unwrap_or_default(),
        has_token: state.admin.token.is_some(),
        domains,
    }
}

fn last_step(state: &AdminState, policy: &Policy) -> StepEvent {
    let history = state.history.lock();
    let newest = |steps: &[HistoryStep]| steps.last().copied().unwrap_or_default();
    let domains = policy.domains();
    let rules = domains.iter().flat_map(|domain| domain.rules());
    let rules = rules.map(|rule| (metric_id(rule), newest(&history.of_rule(rule))));
    let rules = rules.filter(|(_, step)| *step != HistoryStep::default());
    let step = |domain: &&Domain| newest(&history.of_domain(domain));
    StepEvent {
        status: server_status(state),
        rules: rules.collect(),
        domains: domains.iter().map(step).collect(),
    }
}

fn server_status(state: &AdminState) -> ServerStatus {
    let (engine, metrics) = (&state.admin.engine, &state.admin.metrics);
    let stats = engine.stats();
    let (policy, now) = (engine.policy(), engine.now());
    ServerStatus {
        now,
        unknown_domains: metrics.unknown_domains(&policy, now),
        unmatched: metrics.unmatched(&policy, now),
        stage: state.admin.readiness.stage(),
        generation: metrics.generation(),
        policy_hash: metrics.policy_hash(),
        policy_origin: metrics
            .xds()
            .map_or(PolicyOrigin::Files, |xds| PolicyOrigin::Xds {
                server: xds.server().to_owned(),
                problem: xds.problem(),
            }),
        slots_in_use: slots_in_use(engine),
        loaded_at: metrics.last_load().map(|load| load.at),
        store: StoreStatus {
            counters: stats.counters,
            bytes: stats.bytes,
            pinned: stats.pinned,
            evicted: stats.evicted,
            evicted_over_limit: stats.evicted_over_limit,
            redis: stats.shared.map(|_| RedisStatus {
                unavailable_reason: engine.unavailable_reason(),
            }),
            disk: metrics.state().map(|state| DiskStatus {
                problem: state.problem().map(|problem| problem.to_string()),
                bytes: state.disk_bytes(),
                restored: state.restored(),
            }),
        },
    }
}

/// The slots in use, by the ID of the rule.
fn slots_in_use(engine: &Engine) -> BTreeMap<String, u64> {
    let (policy, slots) = (engine.policy(), engine.slots_in_use());
    let rules = policy.domains().into_iter().flat_map(Domain::rules);
    let with_slots = rules.filter(|rule| match &rule.limits {
        Limits::Counted(set) => set.has_leases(),
        Limits::Unlimited { .. } | Limits::Exempt => false,
    });
    with_slots
        .map(|rule| (metric_id(rule).to_string(), slots.of(rule)))
        .collect()
}

fn rule_overview(rule: &Rule, steps: Vec<HistoryStep>) -> RuleOverview {
    let levels = rule.name.levels.iter().map(|level| LevelOverview {
        key: level.key.to_string(),
        matcher: level.matcher_text.as_deref().map(str::to_owned),
    });
    let limits = match &rule.limits {
        Limits::Unlimited { .. } | Limits::Exempt => &[][..],
        Limits::Counted(set) => &set.limits,
    };
    let limits = limits.iter().map(|limit| LimitOverview {
        name: limit.name.as_deref().map(str::to_owned),
        text: limit.to_string(),
        algorithm: limit.algorithm(),
        burst: match limit.kind {
            LimitKind::TokenBucket(bucket) => Some(bucket.burst()),
            _ => None,
        },
        shadow_mode: limit.shadow_mode,
    });
    RuleOverview {
        id: metric_id(rule),
        name: rule.name.to_string(),
        levels: levels.collect(),
        limits: limits.collect(),
        shadow_mode: rule.shadow_mode,
        quota_mode: rule.quota_mode,
        is_soft: rule.is_soft,
        is_exempt: matches!(rule.limits, Limits::Exempt),
        file: rule.file.as_deref().map(Into::into),
        line: rule.position.map(|position| position.line),
        hits: Default::default(),
        steps,
    }
}

fn metric_id(rule: &Rule) -> u32 {
    rule.metric_ids.get().first().copied().unwrap_or(u32::MAX)
}
