//! The decision: plan, hit, conclude.

mod decision;

pub use decision::{Code, CurrentLimit, Decision, Header, Status};

use crate::clock::Clock;
use crate::policy::Policy;
use crate::request::Request;
use crate::store::Store;

/// Answers requests by the policy in force.
#[derive(Debug)]
pub struct Engine {}

impl Engine {
    /// An engine that counts in `store` by the time of `clock`.
    pub fn new(policy: Policy, store: Store, clock: Clock) -> Self {
        let _ = (policy, store, clock);
        Self {}
    }

    /// Decides and counts. Never fails: what cannot be counted is resolved by the policy.
    pub async fn decide(&self, request: &Request) -> Decision {
        let statuses = request
            .descriptors
            .iter()
            .map(|_| Status::UNMATCHED)
            .collect();
        Decision {
            code: Code::Ok,
            statuses,
            headers: Vec::new(),
            body: None,
            metadata: None,
        }
    }
}
