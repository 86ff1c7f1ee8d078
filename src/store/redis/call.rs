//! A call of the script on its way to Redis, and who receives the reply.
//!
//! A call that is dropped reports this: a waiter learns whether Redis may have applied it, and a
//! write-back becomes pending again.

use std::convert::Infallible;
use std::mem;

use smallvec::SmallVec;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::script::StoredStates;
use super::time::RedisTime;
use super::write_back::InFlight;
use crate::store::CounterKey;

/// A batch for the script.
#[derive(Debug)]
pub(super) struct ScriptCall {
    /// Its counters; in a cluster all of one hash slot.
    pub(super) counters: SmallVec<[CounterKey; 2]>,
    /// As the script reads it.
    pub(super) batch: Vec<u8>,
    reply_to: ReplyTo,
    /// Whether Redis may have applied it although no answer has come.
    is_sent: bool,
    /// How long its waiter waits; `None` until the connection has it.
    deadline: Option<Instant>,
}

/// Who receives the reply.
#[derive(Debug)]
enum ReplyTo {
    Nobody,
    Waiter(oneshot::Sender<Delivery>),
    /// The write, and what keeps its flush from being complete. Boxed, because it is rare and
    /// larger than the rest.
    WriteBack(Box<InFlight>, Option<FlushGuard>),
}

/// A flush is complete when all guards are dropped.
pub(super) type FlushGuard = mpsc::Sender<Infallible>;

/// What happened to a call. A call that was never sent is dropped without one.
#[derive(Debug)]
pub(super) enum Delivery {
    Applied(CallReply),
    /// It was sent, and whether Redis has applied it is unknown.
    Unknown,
}

/// The part of the script's reply that belongs to one call.
#[derive(Debug)]
pub(super) struct CallReply {
    /// The clock of the server.
    pub(super) server_now: RedisTime,
    /// What the script found, per counter.
    pub(super) found: SmallVec<[StoredStates; 2]>,
}

impl ScriptCall {
    /// A batch whose reply is waited for.
    pub(super) fn new(
        counters: SmallVec<[CounterKey; 2]>,
        batch: Vec<u8>,
    ) -> (Self, oneshot::Receiver<Delivery>) {
        let (sender, delivery) = oneshot::channel();
        let call = Self {
            counters,
            batch,
            reply_to: ReplyTo::Waiter(sender),
            is_sent: false,
            deadline: None,
        };
        (call, delivery)
    }

    /// A batch at one counter whose reply is ignored.
    pub(super) fn without_reply(counter: CounterKey, batch: Vec<u8>) -> Self {
        Self {
            counters: SmallVec::from_buf_and_len([counter; 2], 1),
            batch,
            reply_to: ReplyTo::Nobody,
            is_sent: false,
            deadline: None,
        }
    }

    /// A write-back.
    pub(super) fn write(mut write: InFlight, guard: Option<FlushGuard>) -> Self {
        let mut call = Self::without_reply(write.key(), write.take_batch());
        call.reply_to = ReplyTo::WriteBack(Box::new(write), guard);
        call
    }

    /// Records whether Redis may have got it.
    pub(super) fn set_sent(&mut self, is_sent: bool) {
        self.is_sent = is_sent;
    }

    pub(super) fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
    }

    /// Until when somebody waits for the reply. One timer watches over all calls of a command: one for
    /// each call would cost a twentieth of its processor time.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.reply_to {
            ReplyTo::Waiter(_) => self.deadline,
            ReplyTo::Nobody | ReplyTo::WriteBack(..) => None,
        }
    }

    /// Reports to a waiter whose deadline has passed that there was no reply in time.
    pub(super) fn expire(&mut self, now: Instant) {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.give_up();
        }
    }

    /// Passes the reply on.
    pub(super) fn complete(mut self, reply: CallReply) {
        match mem::replace(&mut self.reply_to, ReplyTo::Nobody) {
            ReplyTo::Nobody => {}
            // The waiter may have given up.
            ReplyTo::Waiter(waiter) => drop(waiter.send(Delivery::Applied(reply))),
            ReplyTo::WriteBack(write, _guard) => match &*reply.found {
                [found] if found.is_usable() => write.applied(found),
                _ => drop(write),
            },
        }
    }

    fn give_up(&mut self) {
        match mem::replace(&mut self.reply_to, ReplyTo::Nobody) {
            ReplyTo::Waiter(waiter) if self.is_sent => drop(waiter.send(Delivery::Unknown)),
            ReplyTo::WriteBack(write, _guard) if self.is_sent => write.maybe_applied(),
            ReplyTo::Nobody | ReplyTo::Waiter(_) | ReplyTo::WriteBack(..) => {}
        }
    }
}

impl Drop for ScriptCall {
    fn drop(&mut self) {
        self.give_up();
    }
}
