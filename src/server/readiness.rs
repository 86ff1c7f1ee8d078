//! Whether the server accepts calls, for health checks.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use super::grpc::Health;
use crate::api::ServingStage;
use crate::engine::Engine;

/// Time between two looks at what must be true.
const INTERVAL: Duration = Duration::from_millis(200);

/// A flag that the server sets and health checks read; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicU8>);

impl Readiness {
    pub(super) fn set(&self, stage: ServingStage) {
        self.0.store(stage as u8, Ordering::Relaxed);
    }

    /// The present stage.
    pub fn stage(&self) -> ServingStage {
        match self.0.load(Ordering::Relaxed) {
            0 => ServingStage::Starting,
            1 => ServingStage::Serving,
            _ => ServingStage::Draining,
        }
    }
}

/// What must be true before health checks report that the server accepts calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadyCondition {
    /// A policy is in force, even one without a domain.
    pub policy: bool,
    /// The policy in force has a domain.
    pub domain: bool,
    /// The store is available.
    pub store: bool,
}

impl ReadyCondition {
    /// What is missing; `None` if the server is ready.
    pub(super) fn missing(self, engine: &Engine) -> Option<&'static str> {
        if self.policy && engine.awaits_policy() {
            return Some("no policy is in force yet");
        }
        if self.domain && (engine.awaits_policy() || engine.policy().domain_count() == 0) {
            return Some("the policy defines no domain");
        }
        let is_unavailable = self.store && engine.unavailable_reason().is_some();
        is_unavailable.then_some("redis is unavailable")
    }

    /// Reports the stage until the server drains; `missing` is what was reported last.
    pub(super) async fn follow(
        self,
        mut missing: Option<&'static str>,
        engine: &Engine,
        readiness: &Readiness,
        health: &Health,
    ) -> Infallible {
        let mut ticks = tokio::time::interval(INTERVAL);
        report(missing);
        while self != Self::default() {
            ticks.tick().await;
            let now = self.missing(engine);
            if readiness.stage() == ServingStage::Draining {
                break;
            }
            if now != missing {
                missing = now;
                readiness.set(stage(missing));
                health.report(missing.is_none()).await;
                report(missing);
            }
        }
        pending().await
    }
}

fn report(missing: Option<&str>) {
    match missing {
        Some(reason) => tracing::warn!("health checks report NOT_SERVING: {reason}"),
        None => tracing::debug!("health checks report SERVING"),
    }
}

/// The stage of a server that runs, by what it lacks.
pub(super) fn stage(missing: Option<&str>) -> ServingStage {
    match missing {
        None => ServingStage::Serving,
        Some(_) => ServingStage::Starting,
    }
}
