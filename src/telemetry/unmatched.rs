//! What is not limited: requests of domains that no policy defines, and descriptors that match no
//! rule. Their keys are shown, never a value.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::sparse_log::SparseLog;
use super::windows::{self, Windows};
use crate::clock::Timestamp;
use crate::engine::DescriptorResult;
use crate::policy::{Policy, printable};
use crate::request::{Descriptor, Request};

/// Keys of one descriptor that are shown.
const MAX_KEYS: usize = 16;

/// Seconds between two lines of one unknown domain.
const DOMAIN_INTERVAL_SECS: u64 = 60;

/// Seconds between two lines of the same keys: many a descriptor matches no rule on purpose.
const KEYS_INTERVAL_SECS: u64 = 3_600;

/// A domain that no policy defines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct UnknownDomain {
    /// Its name.
    pub name: Box<str>,
    /// Its requests in the last 5 to 10 minutes.
    pub requests: u64,
}

/// Descriptors with the same keys that match no rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct UnmatchedDescriptors {
    /// The domain, which a policy defines.
    pub domain: Box<str>,
    /// The keys of the entries, in the order of the request; at most 16 of them.
    pub keys: Vec<Box<str>>,
    /// How many of them there were in the last 5 to 10 minutes. Above 1,000 requests per second and
    /// worker, one in 64 is counted and weighted accordingly.
    pub descriptors: u64,
}

/// What no thread has matched.
#[derive(Debug)]
pub(super) struct UnmatchedTraffic {
    shared: Arc<UnmatchedLogs>,
    threads: Mutex<Vec<Arc<Mutex<ThreadUnmatched>>>>,
}

/// What all threads share.
#[derive(Debug)]
struct UnmatchedLogs {
    /// Its key is random, so nobody can choose names that collide.
    hash: RandomState,
    domains: SparseLog,
    descriptors: SparseLog,
}

/// What one thread has not matched.
#[derive(Debug, Default)]
struct ThreadUnmatched {
    domains: Windows<Box<str>>,
    descriptors: Windows<KeyPath>,
}

/// The keys of a descriptor, and its domain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct KeyPath {
    domain: Arc<str>,
    keys: Vec<Box<str>>,
}

/// Records what one thread does not match.
#[derive(Clone, Debug)]
pub(super) struct UnmatchedRecorder {
    shared: Arc<UnmatchedLogs>,
    unmatched: Arc<Mutex<ThreadUnmatched>>,
}

impl Default for UnmatchedTraffic {
    fn default() -> Self {
        Self {
            shared: Arc::new(UnmatchedLogs {
                hash: RandomState::new(),
                domains: SparseLog::new(DOMAIN_INTERVAL_SECS),
                descriptors: SparseLog::new(KEYS_INTERVAL_SECS),
            }),
            threads: Mutex::default(),
        }
    }
}

impl UnmatchedTraffic {
    /// A recorder for another thread.
    pub(super) fn recorder(&self) -> UnmatchedRecorder {
        let recorder = UnmatchedRecorder {
            shared: Arc::clone(&self.shared),
            unmatched: Arc::default(),
        };
        self.threads.lock().push(Arc::clone(&recorder.unmatched));
        recorder
    }

    /// The domains with the most requests that `policy` does not define, the most frequent first.
    pub(super) fn domains(&self, policy: &Policy, now: Timestamp) -> Vec<UnknownDomain> {
        let mut sums = HashMap::new();
        for thread in self.threads.lock().iter() {
            thread.lock().domains.add_to(&mut sums, now);
        }
        sums.retain(|_, entry| policy.domain(entry.value.as_bytes()).is_none());
        let domains = windows::heaviest(sums).into_iter();
        domains
            .map(|entry| UnknownDomain {
                name: entry.value,
                requests: entry.count,
            })
            .collect()
    }

    /// The keys of the descriptors that match no rule, the most frequent first.
    pub(super) fn descriptors(&self, policy: &Policy, now: Timestamp) -> Vec<UnmatchedDescriptors> {
        let mut sums = HashMap::new();
        for thread in self.threads.lock().iter() {
            thread.lock().descriptors.add_to(&mut sums, now);
        }
        sums.retain(|_, entry| policy.domain(entry.value.domain.as_bytes()).is_some());
        let descriptors = windows::heaviest(sums).into_iter();
        descriptors
            .map(|entry| UnmatchedDescriptors {
                domain: entry.value.domain.as_ref().into(),
                keys: entry.value.keys,
                descriptors: entry.count,
            })
            .collect()
    }
}

impl UnmatchedRecorder {
    /// Records a request of an unknown domain, and logs the domain at most once a minute.
    pub(super) fn record_domain(&self, request: &Request, now: Timestamp) {
        let UnmatchedLogs { hash, domains, .. } = &*self.shared;
        let subject = hash.hash_one(&request.domain);
        let name = || Box::from(printable(&request.domain));
        let mut unmatched = self.unmatched.lock();
        unmatched.domains.add(now, subject, 1, name);
        drop(unmatched);
        if domains.is_due(subject, now) {
            tracing::warn!(
                domain = &*name(),
                "request for an unknown domain, nothing is limited; compare the domain of Envoy with the policies"
            );
        }
    }

    /// Records a descriptor that represents as many as `weight`, and logs its keys at most once an hour.
    pub(super) fn record_descriptor(
        &self,
        result: &DescriptorResult<'_>,
        descriptor: &Descriptor,
        weight: u64,
    ) {
        let Some(domain) = result.domain else { return };
        let UnmatchedLogs {
            hash, descriptors, ..
        } = &*self.shared;
        let keys = || descriptor.entries.iter().map(|entry| &entry.key);
        let subject = keys().fold(hash.hash_one(&*domain.name), |subject, key| {
            hash.hash_one((subject, key))
        });
        let path = || KeyPath {
            domain: Arc::clone(&domain.name),
            keys: keys()
                .take(MAX_KEYS)
                .map(|key| printable(key).into())
                .collect(),
        };
        let mut unmatched = self.unmatched.lock();
        unmatched.descriptors.add(result.now, subject, weight, path);
        drop(unmatched);
        if descriptors.is_due(subject, result.now) {
            let KeyPath { domain, keys } = path();
            tracing::info!(
                domain = &*domain,
                keys = keys.join(", "),
                "descriptor matches no rule and is not limited; weir explain shows why"
            );
        }
    }
}
