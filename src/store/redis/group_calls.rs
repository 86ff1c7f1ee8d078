//! Groups of hits that Redis decides: each is one call, and its outcomes are computed from the states in the reply.

use futures_util::future::join_all;
use smallvec::SmallVec;

use super::Redis;
use super::call::{CallReply, Delivery, ScriptCall};
use super::script::{self, StoredStates};
use super::slot_groups::{self, SlotGroup};
use crate::clock::Timestamp;
use crate::limit::{LeaseOutcome, States};
use crate::store::{Batch, BatchOutcome, NotCounted};

/// Redis did not answer in time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Undelivered {
    maybe_applied: bool,
}

impl Redis {
    /// Has Redis decide groups that share a request. Releases go first: they entitle refunds.
    pub(super) async fn hit_groups(
        &self,
        now: Timestamp,
        batch: &Batch<'_>,
        groups: SmallVec<[SlotGroup<'_>; 1]>,
        answer: &mut BatchOutcome,
    ) {
        let (first, mut then): (Vec<_>, Vec<_>) = groups.into_iter().partition(SlotGroup::releases);
        self.ask_all(now, &first, answer).await;
        let released = slot_groups::released(batch, &answer.outcomes);
        for group in &mut then {
            group.entitle_refunds(&released);
        }
        self.ask_all(now, &then, answer).await;
        if batch.is_joint() && batch.is_refused(&answer.outcomes) {
            self.release_granted(now, batch, answer);
        }
    }

    async fn ask_all(&self, now: Timestamp, groups: &[SlotGroup<'_>], answer: &mut BatchOutcome) {
        let replies = join_all(groups.iter().map(|group| self.ask(now, group))).await;
        for (group, reply) in groups.iter().zip(replies) {
            self.fill_in(answer, now, group, reply);
        }
    }

    /// Releases the slots that one group granted to a request that another group refuses.
    fn release_granted(&self, now: Timestamp, batch: &Batch<'_>, answer: &mut BatchOutcome) {
        for (hit, outcomes) in batch.hits.iter().zip(&mut answer.outcomes) {
            if outcomes.lease == LeaseOutcome::Granted
                && let Some(lease) = hit.lease
            {
                outcomes.lease = LeaseOutcome::None;
                self.release(now, lease, &[hit.key]);
            }
        }
    }

    /// Sends a group to Redis, after what is to be written for its counters.
    pub(super) async fn ask(
        &self,
        now: Timestamp,
        group: &SlotGroup<'_>,
    ) -> Result<CallReply, Undelivered> {
        let (firsts, at) = group.batch.by_counter();
        let store_now = self.shared.redis_time(now);
        let batch = script::encode(now, store_now, &group.batch, &at, firsts.len());
        let counters = firsts.iter().map(|hit| hit.key).collect();
        let (call, delivery) = ScriptCall::new(counters, batch);
        self.with_connection(|connection| {
            if connection.is_available() {
                let writes = firsts
                    .iter()
                    .filter_map(|hit| self.write_back.take(hit.key));
                writes.for_each(|write| connection.send(ScriptCall::write(write, None)));
            }
            connection.send(call);
        });
        // The connection sees to the deadline.
        match delivery.await {
            Ok(Delivery::Applied(reply)) => Ok(reply),
            Ok(Delivery::Unknown) => Err(Undelivered {
                maybe_applied: true,
            }),
            Err(_) => Err(Undelivered {
                maybe_applied: false,
            }),
        }
    }

    /// Repeats the steps of the script, and fills in their outcomes.
    pub(super) fn fill_in(
        &self,
        answer: &mut BatchOutcome,
        now: Timestamp,
        group: &SlotGroup<'_>,
        reply: Result<CallReply, Undelivered>,
    ) {
        let reply = match reply {
            Ok(reply) => reply,
            Err(Undelivered { maybe_applied }) => {
                let not_counted = group.indices.iter().map(|index| NotCounted {
                    index: *index,
                    maybe_applied,
                });
                answer.not_counted.extend(not_counted);
                return;
            }
        };
        let batch = &group.batch;
        let redis_time = self.shared.time_of_call(now, reply.server_now);
        let time = redis_time.timestamp();
        let (firsts, at) = batch.by_counter();
        let found = firsts.iter().zip(&reply.found);
        let mut states: SmallVec<[States; 4]> =
            found.map(|(hit, found)| found.states(hit.set)).collect();
        let outcomes = batch.apply(time, &at, &mut states);

        let is_usable = |counter: usize| match batch.is_joint() {
            true => reply.found.iter().all(StoredStates::is_usable),
            false => reply.found[counter].is_usable(),
        };
        for (nth, mut outcomes) in outcomes.into_iter().enumerate() {
            let (hit, index, counter) = (&batch.hits[nth], group.indices[nth], at[nth]);
            if !is_usable(counter) {
                answer.not_counted.push(NotCounted {
                    index,
                    maybe_applied: false,
                });
                continue;
            }
            self.write_back
                .learn(now, redis_time, hit, &states[counter], &outcomes);
            if outcomes.lease == LeaseOutcome::NotHeld {
                // It may have been granted while Redis was unavailable.
                let alone = Batch::of(*hit);
                outcomes.lease = self.fallback.hit(time, &alone).remove(0).lease;
            }
            answer.put(index, time, outcomes);
        }
    }
}
