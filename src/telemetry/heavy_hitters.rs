//! Heavy hitters: who asks most, and who is refused most.
//!
//! Each thread keeps the top of what it sees by itself, in a fixed number of places (the "space-saving" algorithm of
//! Metwally, Agrawal and El Abbadi, 2005): whoever is not in takes the place of the least, with its count as the
//! possible error. Who reads adds up the threads.

pub(super) mod client_label;
mod windows;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use parking_lot::Mutex;

pub use windows::HeavyHitter;

use crate::clock::Timestamp;
use crate::engine::DescriptorResult;
use crate::request::Descriptor;
use windows::{MOST_DOMAINS, Windows};

/// All threads' heavy hitters.
#[derive(Debug, Default)]
pub struct HeavyHitters {
    /// One hash for all threads, so that their hitters can be added up; nobody can choose values that meet in it.
    hash: RandomState,
    threads: Mutex<Vec<Arc<Mutex<ThreadHitters>>>>,
}

/// What one thread has seen, by the domain's number.
type ThreadHitters = HashMap<u32, DomainHitters>;

#[derive(Debug, Default)]
struct DomainHitters {
    asked: Windows,
    refused: Windows,
}

/// The heavy hitters of a domain, the heaviest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopClients {
    /// By the hits that they asked for.
    pub asked: Vec<HeavyHitter>,
    /// By the hits that were refused.
    pub refused: Vec<HeavyHitter>,
    /// Since when it was counted.
    pub since: Timestamp,
}

/// Where one thread notes what it sees.
#[derive(Clone, Debug)]
pub(super) struct HitterRecorder {
    hash: RandomState,
    seen: Arc<Mutex<ThreadHitters>>,
}

/// Hits that are to be noted.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientHits {
    pub(super) asked: u64,
    pub(super) refused: u64,
}

impl HeavyHitters {
    /// A thread more.
    pub(super) fn notes(&self) -> HitterRecorder {
        let notes = HitterRecorder {
            hash: self.hash.clone(),
            seen: Arc::default(),
        };
        self.threads.lock().push(Arc::clone(&notes.seen));
        notes
    }

    /// The heaviest of the domain with that number, over all threads.
    pub(super) fn top(&self, domain: u32, now: Timestamp) -> TopClients {
        let mut asked = HashMap::new();
        let mut refused = HashMap::new();
        for thread in self.threads.lock().iter() {
            if let Some(seen) = thread.lock().get(&domain) {
                seen.asked.add_to(&mut asked, now);
                seen.refused.add_to(&mut refused, now);
            }
        }
        TopClients {
            asked: windows::heaviest(asked),
            refused: windows::heaviest(refused),
            since: windows::since(now),
        }
    }
}

impl HitterRecorder {
    /// What tells a descriptor from all others.
    pub(super) fn hash(&self, descriptor: &Descriptor) -> u64 {
        let entries = descriptor.entries.iter();
        entries.fold(0, |hash, entry| {
            self.hash.hash_one((hash, &entry.key, &entry.value))
        })
    }

    /// HitterRecorder what a descriptor has met.
    pub(super) fn note(
        &self,
        domain: u32,
        met: &DescriptorResult<'_>,
        descriptor: &Descriptor,
        hits: ClientHits,
    ) {
        let hash = self.hash(descriptor);
        let mut seen = self.seen.lock();
        if seen.len() >= MOST_DOMAINS && !seen.contains_key(&domain) {
            return;
        }
        let of_domain = seen.entry(domain).or_default();
        let name = || client_label::label(met, descriptor, hash);
        for (windows, hits) in [
            (&mut of_domain.asked, hits.asked),
            (&mut of_domain.refused, hits.refused),
        ] {
            if hits > 0 {
                windows.add(met.now, hash, hits, name);
            }
        }
    }
}
