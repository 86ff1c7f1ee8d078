//! `/api/overview` and `/api/events`: what the page shows, and what changes in it.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::BroadcastStream;

use super::{AdminState, told};
use crate::engine::Engine;
use crate::policy::{Domain, Limits, Policy, Rule};
use crate::server::readiness::ServingStage;
use crate::store::Stats;
use crate::telemetry::{HISTORY_STEPS, HistoryStep};

/// Rules that are told of, and those of them whose steps are: more would be no overview.
const MOST_RULES: usize = 1_000;
const MOST_STEPS: usize = 200;

pub(super) async fn overview(State(shared): State<Arc<AdminState>>) -> Response {
    told(all(&shared))
}

/// Sends what was counted, step by step.
pub(super) async fn events(State(shared): State<Arc<AdminState>>) -> impl IntoResponse {
    let steps = BroadcastStream::new(shared.steps.subscribe());
    // Who was too slow has missed some, and goes on.
    let events = steps.filter_map(Result::ok);
    let events = events.map(|text| Ok::<_, Infallible>(Event::default().data(&*text)));
    Sse::new(events).keep_alive(KeepAlive::default())
}

/// Takes a step: what was counted since the last one goes into the history, and to who watches.
pub(super) fn step(shared: &AdminState) {
    let policy = shared.admin.engine.policy();
    let mut history = shared.history.lock();
    history.step(&policy, &shared.admin.metrics);
    drop(history);
    if shared.steps.receiver_count() > 0 {
        // Nobody else sends.
        let _ = shared.steps.send(last(shared, &policy).to_string().into());
    }
}

/// The whole of it.
fn all(shared: &AdminState) -> Value {
    let (policy, metrics) = (shared.admin.engine.policy(), &shared.admin.metrics);
    let history = shared.history.lock();
    let (mut rules_left, mut steps_left) = (MOST_RULES, MOST_STEPS);
    let domains = policy.domains().into_iter().map(|domain| {
        let mut rules = Vec::new();
        for rule in domain.rules() {
            let hits = metrics.rule(rule);
            let steps = history.of_rule(rule);
            // Of very many rules those that were met.
            let is_told = policy.rule_count() <= MOST_RULES || hits.total() > 0;
            if rules_left == 0 || !is_told {
                continue;
            }
            rules_left -= 1;
            let is_drawn = !steps.is_empty() && steps_left > 0;
            steps_left -= usize::from(is_drawn);
            let mut told = of_rule(rule);
            told["hits"] = json!({
                "within": hits.within,
                "near": hits.near,
                "over": hits.over,
                "shadow": hits.shadow,
            });
            told["steps"] = match is_drawn {
                true => steps.iter().map(numbers).collect(),
                false => json!([]),
            };
            rules.push(told);
        }
        let decisions = metrics.domain(Some(domain));
        let steps = history.of_domain(domain);
        json!({
            "name": &*domain.name,
            "shadow_mode": domain.shadow_mode,
            "quota_mode": domain.quota_mode,
            "decisions": {"ok": decisions.ok, "over": decisions.over_limit, "shadow": decisions.shadow},
            "steps": steps.iter().map(numbers).collect::<Vec<_>>(),
            "rules": rules,
        })
    });
    let domains: Vec<Value> = domains.collect();
    let load = metrics.last_load().unwrap_or_default();
    let mut all = standing(shared);
    all["version"] = env!("CARGO_PKG_VERSION").into();
    all["rules"] = policy.rule_count().into();
    all["step_secs"] = shared.admin.config.step.as_secs_f64().into();
    all["most_steps"] = HISTORY_STEPS.into();
    all["last_load"] = json!({
        "at_secs": load.at.micros() / 1_000_000,
        "error": load.error,
        "diagnostics": load.diagnostics,
    });
    all["has_token"] = shared.admin.token.is_some().into();
    all["domains"] = domains.into();
    all
}

/// What the last step brought: domains in their order, and the rules that were met, by number.
fn last(shared: &AdminState, policy: &Policy) -> Value {
    let history = shared.history.lock();
    let newest = |steps: &[HistoryStep]| steps.last().copied().unwrap_or_default();
    let mut domains = Vec::new();
    let mut rules = Map::new();
    for domain in policy.domains() {
        domains.push(numbers(&newest(&history.of_domain(domain))));
        for rule in domain.rules() {
            let step = newest(&history.of_rule(rule));
            if step != HistoryStep::default() {
                rules.insert(id(rule).to_string(), numbers(&step));
            }
        }
    }
    let mut last = standing(shared);
    last["domains"] = domains.into();
    last["rules"] = rules.into();
    last
}

/// What both say of the server.
fn standing(shared: &AdminState) -> Value {
    let Stats {
        counters,
        bytes,
        pinned,
        evicted,
        unpinned_early,
        shared: shared_stats,
    } = shared.admin.engine.stats();
    let metrics = &shared.admin.metrics;
    let load = metrics.last_load();
    json!({
        "now_secs": shared.admin.engine.now().micros() / 1_000_000,
        "stage": match shared.admin.readiness.stage() {
            ServingStage::Starting => "starting",
            ServingStage::Serving => "serving",
            ServingStage::Draining => "draining",
        },
        "generation": metrics.generation(),
        "slots_in_use": slots_in_use(&shared.admin.engine),
        "loaded_at_secs": load.map(|load| load.at.micros() / 1_000_000),
        "store": {
            "counters": counters,
            "bytes": bytes,
            "pinned": pinned,
            "evicted": evicted,
            "evicted_over_limit": unpinned_early,
            "shared": shared_stats.map(|_| match shared.admin.engine.unavailable_reason() {
                Some(trouble) => trouble,
                None => "shared".to_owned(),
            }),
        },
    })
}

/// The slots in use, by the id of the rule.
fn slots_in_use(engine: &Engine) -> Map<String, Value> {
    let (policy, slots) = (engine.policy(), engine.slots_in_use());
    let rules = policy.domains().into_iter().flat_map(Domain::rules);
    let with_slots = rules.filter(|rule| match &rule.limits {
        Limits::Counted(set) => set.has_leases(),
        Limits::Unlimited { .. } => false,
    });
    with_slots
        .map(|rule| (id(rule).to_string(), slots.of(rule).into()))
        .collect()
}

fn of_rule(rule: &Rule) -> Value {
    let levels = rule.name.levels.iter();
    let levels =
        levels.map(|level| json!({"key": &*level.key, "fits": level.matcher_text.as_deref()}));
    let limits: Vec<Value> = match &rule.limits {
        Limits::Unlimited { .. } => Vec::new(),
        Limits::Counted(set) => {
            let limits = set.limits.iter();
            let limit = limits.map(|limit| {
                json!({
                    "name": limit.name.as_deref(),
                    "text": limit.to_string(),
                    "algorithm": limit.algorithm().as_str(),
                    "shadow_mode": limit.shadow_mode,
                })
            });
            limit.collect()
        }
    };
    json!({
        "id": id(rule),
        "name": rule.name.to_string(),
        "levels": levels.collect::<Vec<_>>(),
        "limits": limits,
        "shadow_mode": rule.shadow_mode,
        "quota_mode": rule.quota_mode,
        "file": rule.file.as_deref(),
        "line": rule.position.map(|position| position.line),
    })
}

fn id(rule: &Rule) -> u32 {
    rule.metric_ids.get().first().copied().unwrap_or(u32::MAX)
}

fn numbers(step: &HistoryStep) -> Value {
    json!([step.ok, step.near, step.over, step.shadow])
}
