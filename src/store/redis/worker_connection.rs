//! A worker's own way to Redis: a connection that is driven on the worker's runtime, and made anew when it breaks.
//!
//! Calls that wait when a command can be sent travel together in it, and nobody waits for others to come: while
//! commands are on their way the next calls gather. A lane that gets no answers in time closes, like a circuit breaker:
//! calls are then turned away at once, and it opens again when a connection answers in time.

use std::mem;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use smallvec::SmallVec;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;

use super::connect::Link;
use super::dispatch::{Exchange, Sent, exchange, settle};
use super::local_cache::Near;
use super::script::Found;
use super::shared::Shared;
use super::write_back::{Owed, Owing};
use crate::clock::Timestamp;
use crate::store::CounterKey;

/// The most calls that travel in one command; more would keep Redis from its other clients.
const MAX_CALLS: usize = 128;

/// The most commands on their way: Redis has the next when it is done with one. Two were not faster, and no sooner answered.
const MAX_SENT: usize = 4;

/// A lane closes when so many commands in a row were not answered in time.
const MAX_LATE: u32 = 3;

/// … and one to a cluster when so many were not: a part of it may be gone, and the others still count.
const MAX_LATE_OF_CLUSTER: u32 = 24;

/// How often to see whether what all have in common still stands, and whether Redis is there.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// The pauses between attempts to connect, doubled from the first to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// The worker's end of a lane.
#[derive(Debug)]
pub(super) struct Lane {
    calls: UnboundedSender<Call>,
    standing: Arc<Standing>,
}

/// A batch that the script is to take.
#[derive(Debug)]
pub(super) struct Call {
    /// Its counters; in a cluster all of one slot.
    pub(super) counters: SmallVec<[CounterKey; 2]>,
    /// As the script reads it.
    pub(super) batch: Vec<u8>,
    /// Who is to know what came of it.
    told: Told,
    /// Whether it may have been taken, although nobody has said so.
    is_sent: bool,
}

/// Who is to know what came of a call.
#[derive(Debug)]
enum Told {
    /// Nobody: it is only to be taken.
    Nobody,
    /// Who waits for it.
    Caller(oneshot::Sender<Fate>),
    /// What is owed until it was taken; boxed, for it is rare and larger than all the rest.
    Owing(Box<Owing>),
}

/// What came of a call; a call that was not sent ends without.
#[derive(Debug)]
pub(super) enum Fate {
    Taken(Taken),
    /// It was sent, and nobody has said whether it was taken.
    Unknown,
}

impl Call {
    /// A batch at those counters, and what comes of it.
    pub(super) fn asking(
        counters: SmallVec<[CounterKey; 2]>,
        batch: Vec<u8>,
    ) -> (Self, oneshot::Receiver<Fate>) {
        let (answer, fate) = oneshot::channel();
        let call = Self {
            counters,
            batch,
            told: Told::Caller(answer),
            is_sent: false,
        };
        (call, fate)
    }

    /// A batch at one counter, for whose outcome nobody waits.
    pub(super) fn unanswered(counter: CounterKey, batch: Vec<u8>) -> Self {
        Self {
            counters: SmallVec::from_buf_and_len([counter; 2], 1),
            batch,
            told: Told::Nobody,
            is_sent: false,
        }
    }

    /// Adds in Redis what is owed.
    pub(super) fn settling(owing: Owing) -> Self {
        let mut call = Self::unanswered(owing.key(), owing.encoded());
        call.told = Told::Owing(Box::new(owing));
        call
    }

    /// It is on its way, or surely was not taken.
    pub(super) fn sent(&mut self, is_sent: bool) {
        self.is_sent = is_sent;
    }

    /// It was taken.
    pub(super) fn taken(mut self, taken: Taken) {
        match mem::replace(&mut self.told, Told::Nobody) {
            Told::Nobody => {}
            // Whoever asked may not wait any more.
            Told::Caller(answer) => drop(answer.send(Fate::Taken(taken))),
            Told::Owing(owing) if taken.found.iter().all(Found::is_usable) => owing.settled(),
            Told::Owing(owing) => drop(owing),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        match mem::replace(&mut self.told, Told::Nobody) {
            Told::Caller(answer) if self.is_sent => drop(answer.send(Fate::Unknown)),
            Told::Owing(owing) if self.is_sent => owing.in_doubt(),
            Told::Nobody | Told::Caller(_) | Told::Owing(_) => {}
        }
    }
}

/// What came of a call.
#[derive(Debug)]
pub(super) struct Taken {
    /// What time it was in Redis.
    pub(super) server_now: Timestamp,
    /// What the script found, one per counter.
    pub(super) found: SmallVec<[Found; 2]>,
}

/// Whether calls are taken.
#[derive(Debug)]
struct Standing(AtomicU8);

impl Standing {
    /// They are: either there is a connection, or one may be there in time.
    const OPEN: u8 = 0;
    const CLOSED: u8 = 1;

    fn is_open(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::OPEN
    }

    fn set(&self, standing: u8) {
        self.0.store(standing, Ordering::Relaxed);
    }
}

impl Lane {
    /// Starts a lane on the runtime of the caller.
    pub(super) fn start(shared: Arc<Shared>) -> Self {
        let (sender, calls) = mpsc::unbounded_channel();
        let standing = Arc::new(Standing(AtomicU8::new(Standing::OPEN)));
        let driver = Driver {
            shared,
            calls,
            standing: Arc::clone(&standing),
        };
        tokio::spawn(driver.run());
        Self {
            calls: sender,
            standing,
        }
    }

    /// Whether the runtime that it was started on is gone.
    pub(super) fn is_gone(&self) -> bool {
        self.calls.is_closed()
    }

    /// Takes what `near` owes to what is `owed`, again and again until `near` or the lane is gone.
    pub(super) fn sweep_every(&self, period: Duration, near: Weak<Near>, owed: Arc<Owed>) {
        let calls = self.calls.downgrade();
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(period);
            loop {
                ticks.tick().await;
                let (Some(near), Some(_)) = (near.upgrade(), calls.upgrade()) else {
                    return;
                };
                for (key, debit) in near.sweep() {
                    owed.keep(key, debit);
                }
            }
        });
    }

    /// Whether it takes calls.
    pub(super) fn is_open(&self) -> bool {
        self.standing.is_open()
    }

    /// Takes a call, unless the lane is closed. A call that fails is dropped.
    pub(super) fn take(&self, call: Call) {
        if self.standing.is_open() {
            // A lane that is gone answers nobody, which is what a call that is dropped says.
            let _ = self.calls.send(call);
        }
    }
}

struct Driver {
    shared: Arc<Shared>,
    calls: UnboundedReceiver<Call>,
    standing: Arc<Standing>,
}

/// Why a lane no longer serves.
enum End {
    /// Nobody has calls any more.
    NotNeeded,
    /// The connection broke.
    Broken(String),
    /// Too few answers came in time.
    Late,
}

impl Driver {
    async fn run(mut self) {
        let mut pauses = Pauses::new();
        loop {
            match self.open().await {
                Ok(link) => {
                    self.standing.set(Standing::OPEN);
                    self.shared.opened();
                    pauses = Pauses::new();
                    let end = self.serve(link).await;
                    self.shared.closed();
                    match end {
                        End::NotNeeded => return,
                        // Another connection may be there in time for those who come now.
                        End::Broken(reason) => {
                            self.shared.trouble(&reason);
                            continue;
                        }
                        End::Late => {
                            self.standing.set(Standing::CLOSED);
                            self.shared.trouble("Redis does not answer in time");
                        }
                    }
                }
                Err(reason) => {
                    self.standing.set(Standing::CLOSED);
                    self.shared.trouble(&reason);
                }
            }
            if self.turn_away_for(pauses.next()).await.is_err() {
                return;
            }
        }
    }

    /// Connects. Calls may wait for it, but not longer than for an answer.
    async fn open(&self) -> Result<Link, String> {
        let opening = self.shared.open();
        tokio::pin!(opening);
        match tokio::time::timeout(self.shared.deadline, &mut opening).await {
            Ok(opened) => opened,
            Err(_) => {
                self.standing.set(Standing::CLOSED);
                opening.await
            }
        }
    }

    /// Turns calls away that came before the lane was closed. An error says that nobody has calls any more.
    async fn turn_away_for(&mut self, pause: Duration) -> Result<(), ()> {
        let pause = tokio::time::sleep(pause);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => return Ok(()),
                call = self.calls.recv() => drop(call.ok_or(())?),
            }
        }
    }

    async fn serve(&mut self, link: Link) -> End {
        let shared = &self.shared;
        let mut sent = FuturesUnordered::<Sent<'_>>::new();
        let mut beats = tokio::time::interval(HEARTBEAT);
        beats.reset();
        let mut late = 0;
        let max_late = match link.has_slots() {
            true => MAX_LATE_OF_CLUSTER,
            false => MAX_LATE,
        };
        let mut waiting = Vec::new();
        let settling = settle(shared, link.clone());
        tokio::pin!(settling);
        loop {
            let answer = tokio::select! {
                biased;
                Some(answer) = sent.next() => answer,
                answer = &mut settling => {
                    settling.set(settle(shared, link.clone()));
                    answer
                }
                taken = self.calls.recv_many(&mut waiting, MAX_CALLS), if sent.len() < MAX_SENT => {
                    if taken == 0 {
                        return End::NotNeeded;
                    }
                    let calls = mem::take(&mut waiting);
                    sent.push(Box::pin(exchange(shared, link.clone(), calls)));
                    continue;
                }
                _ = beats.tick() => {
                    sent.push(Box::pin(shared.beat(link.clone())));
                    continue;
                }
            };
            match answer {
                Exchange::Answered => late = 0,
                Exchange::Late => {
                    late += 1;
                    if late == max_late {
                        return End::Late;
                    }
                }
                Exchange::Broken(reason) => return End::Broken(reason),
            }
        }
    }
}

/// Pauses that grow, each between a half and the whole of its length: so that many do not come at once.
struct Pauses(Duration);

impl Pauses {
    fn new() -> Self {
        Self(PAUSES.0)
    }

    fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(PAUSES.1);
        let mut byte = [0; 1];
        // Without randomness all come at once, which is no reason not to come.
        let _ = getrandom::fill(&mut byte);
        pause.mul_f64(0.5 + f64::from(byte[0]) / 510.0)
    }
}
