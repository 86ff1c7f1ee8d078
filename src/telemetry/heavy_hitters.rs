//! Heavy hitters: the clients with the most hits, and with the most refused hits.
//!
//! Each thread counts the clients that it sees in a [`crate::top_k::TopK`] per domain, so recording
//! takes an uncontended lock. [`HeavyHitters::top`] sums the threads.

pub(super) mod client_label;

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::windows::{self, Windows};
use crate::clock::Timestamp;
use crate::engine::DescriptorResult;
use crate::request::Descriptor;
use crate::top_k::TopEntry;
use client_label::ClientLabel;

/// Domains that one thread keeps clients of.
const MAX_DOMAINS: usize = 256;

/// The heavy hitters of all threads.
#[derive(Debug, Default)]
pub struct HeavyHitters {
    /// Shared by all threads, so that their clients can be summed; its key is random, so nobody can
    /// choose values that collide.
    hash: RandomState,
    threads: Mutex<Vec<Arc<Mutex<ThreadHitters>>>>,
}

/// The clients of one thread, by the number of the domain.
type ThreadHitters = HashMap<u32, DomainHitters>;

#[derive(Debug, Default)]
struct DomainHitters {
    requested: Windows<ClientLabel>,
    refused: Windows<ClientLabel>,
}

/// A client with many hits, or with many refused ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HeavyHitter {
    /// The descriptor that was sent, with the values of secret keys masked.
    pub client: Box<str>,
    /// The rule that it matched last; empty if none.
    pub rule: Box<str>,
    /// Hits, never too few.
    pub hits: u64,
    /// By how much `hits` may be too high.
    pub overcount: u64,
}

/// The heavy hitters of a domain, the heaviest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TopClients {
    /// By the hits that they requested.
    pub requested: Vec<HeavyHitter>,
    /// By the hits that were refused.
    pub refused: Vec<HeavyHitter>,
    /// The beginning of the time that is counted: 5 to 10 minutes ago.
    #[serde(rename = "since_micros")]
    pub since: Timestamp,
}

/// Records the clients that one thread sees.
#[derive(Clone, Debug)]
pub(super) struct HitterRecorder {
    hash: RandomState,
    clients: Arc<Mutex<ThreadHitters>>,
}

/// Hits of a client, weighted if they are a sample.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientHits {
    pub(super) requested: u64,
    pub(super) refused: u64,
}

impl HeavyHitters {
    /// A recorder for another thread.
    pub(super) fn recorder(&self) -> HitterRecorder {
        let recorder = HitterRecorder {
            hash: self.hash.clone(),
            clients: Arc::default(),
        };
        self.threads.lock().push(Arc::clone(&recorder.clients));
        recorder
    }

    /// Forgets the clients of domains, whose numbers may be given to other ones.
    pub(super) fn forget(&self, domains: &HashSet<u32>) {
        for thread in self.threads.lock().iter() {
            thread.lock().retain(|domain, _| !domains.contains(domain));
        }
    }

    /// The heavy hitters of the domain with that number, over all threads.
    pub(super) fn top(&self, domain: u32, now: Timestamp) -> TopClients {
        let mut requested = HashMap::new();
        let mut refused = HashMap::new();
        for thread in self.threads.lock().iter() {
            if let Some(clients) = thread.lock().get(&domain) {
                clients.requested.add_to(&mut requested, now);
                clients.refused.add_to(&mut refused, now);
            }
        }
        TopClients {
            requested: heaviest(requested),
            refused: heaviest(refused),
            since: windows::since(now),
        }
    }
}

fn heaviest(sums: HashMap<u64, TopEntry<ClientLabel>>) -> Vec<HeavyHitter> {
    let hitters = windows::heaviest(sums).into_iter();
    hitters
        .map(|entry| HeavyHitter {
            client: entry.value.client,
            rule: entry.value.rule,
            hits: entry.count,
            overcount: entry.overcount,
        })
        .collect()
}

impl HitterRecorder {
    /// The hash that identifies a client in this process.
    pub(super) fn hash(&self, descriptor: &Descriptor) -> u64 {
        let entries = descriptor.entries.iter();
        entries.fold(0, |hash, entry| {
            self.hash.hash_one((hash, &entry.key, &entry.value))
        })
    }

    /// Counts the hits of a descriptor in the domain with that number.
    pub(super) fn record(
        &self,
        domain: u32,
        result: &DescriptorResult<'_>,
        descriptor: &Descriptor,
        hits: ClientHits,
    ) {
        let hash = self.hash(descriptor);
        let mut clients = self.clients.lock();
        if clients.len() >= MAX_DOMAINS && !clients.contains_key(&domain) {
            return;
        }
        let domain = clients.entry(domain).or_default();
        let label = || ClientLabel::new(result, descriptor, hash);
        if hits.requested > 0 {
            domain
                .requested
                .add(result.now, hash, hits.requested, label);
        }
        if hits.refused > 0 {
            domain.refused.add(result.now, hash, hits.refused, label);
        }
    }
}
