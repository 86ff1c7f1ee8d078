//! Calls become commands, and replies become answers.

use std::collections::HashMap;
use std::pin::Pin;
use std::time::Duration;

use crc16::{State, XMODEM};
use futures_util::future::join_all;
use redis::{Cmd, RedisError, Value, cmd};
use tokio::time::Instant;

use super::connect::Link;
use super::script::{self, Reply};
use super::shared::Shared;
use super::worker_connection::{Call, Taken};

/// A command that is on its way.
pub(super) type Sent<'a> = Pin<Box<dyn Future<Output = Exchange> + Send + 'a>>;

/// Counters that are settled in one command.
const SETTLED_AT_ONCE: usize = 128;

/// How many times as long as Redis took for that it has a rest.
const REST: u32 = 4;

/// The rest when some could not be settled.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) const LATE: &str = "Redis does not answer in time";

/// What came of a command, as far as the connection is concerned.
pub(super) enum Exchange {
    /// It was answered.
    Answered,
    /// It was not, or not in time.
    Late,
    /// The connection is of no use any more.
    Broken(String),
}

/// Sends calls as one command, or in a cluster as one for each slot, and tells each what came of it.
pub(super) async fn exchange(shared: &Shared, link: Link, calls: Vec<Call>) -> Exchange {
    let groups = group(shared, &link, calls);
    shared.count_round_trip();
    let sending = groups.into_iter().map(|calls| {
        let link = link.clone();
        async move { answer(shared, link, calls).await }
    });
    let Ok(outcomes) = tokio::time::timeout(shared.deadline, join_all(sending)).await else {
        shared.trouble(LATE);
        return Exchange::Late;
    };
    // A cluster of which a part is gone is of use for the others.
    let worst = |one, other| match (one, other) {
        (Exchange::Broken(reason), _) | (_, Exchange::Broken(reason)) => Exchange::Broken(reason),
        (Exchange::Answered, _) | (_, Exchange::Answered) => Exchange::Answered,
        (Exchange::Late, Exchange::Late) => Exchange::Late,
    };
    outcomes
        .into_iter()
        .reduce(worst)
        .unwrap_or(Exchange::Answered)
}

/// The calls that can travel in one command, in their order.
fn group(shared: &Shared, link: &Link, calls: Vec<Call>) -> Vec<Vec<Call>> {
    if !link.has_slots() {
        return vec![calls];
    }
    let mut by_slot = HashMap::<u16, Vec<Call>>::new();
    for call in calls {
        let slot = call.counters.first().map_or(0, |key| shared.slot(*key));
        by_slot.entry(slot).or_default().push(call);
    }
    by_slot.into_values().collect()
}

/// Adds in Redis some of what is owed, once something is and nobody else of this store does so; then rests, so that others
/// are served.
pub(super) async fn settle(shared: &Shared, link: Link) -> Exchange {
    let _turn = shared.owed.turn().await;
    let owing = shared.owed.some(SETTLED_AT_ONCE).await;
    let returned = shared.owed.returned();
    let calls = owing.into_iter().map(Call::settling);
    let started = Instant::now();
    let exchange = exchange(shared, link, calls.collect()).await;
    if let Exchange::Answered = exchange {
        let pause = match shared.owed.returned() == returned {
            true => started.elapsed() * REST,
            false => PAUSE,
        };
        tokio::time::sleep(pause).await;
    }
    exchange
}

/// Has the script take calls, and tells each what came of it.
async fn answer(shared: &Shared, link: Link, mut calls: Vec<Call>) -> Exchange {
    let is_alone = !link.has_slots();
    for call in &mut calls {
        call.sent(true);
    }
    let taken = take(shared, link, &calls).await;
    if taken.as_ref().is_err_and(|error| error.code().is_some()) {
        // A server that says why not has not.
        for call in &mut calls {
            call.sent(false);
        }
    }
    let mut reply = match taken {
        Ok(reply) => reply,
        // The connections of a cluster are made anew one by one, by the client.
        Err(error) if is_alone && error.is_unrecoverable_error() => {
            return Exchange::Broken(error.to_string());
        }
        Err(error) => {
            shared.trouble(&error.to_string());
            return Exchange::Late;
        }
    };
    for call in calls {
        let found = reply.found.drain(..call.counters.len()).collect();
        let taken = Taken {
            server_now: reply.server_now,
            found,
        };
        call.taken(taken);
    }
    match reply.failure {
        // A server that is not the master any more is not to be asked again.
        Some(failure) if failure.contains("READONLY") => Exchange::Broken(failure),
        Some(failure) => {
            shared.trouble(&failure);
            Exchange::Answered
        }
        None => {
            shared.all_well();
            Exchange::Answered
        }
    }
}

/// The slot of a key in a cluster: of what stands in its first braces, if anything does.
pub(super) fn slot(key: &[u8]) -> u16 {
    const SLOTS: u16 = 16384;
    let tag = || {
        let open = key.iter().position(|byte| *byte == b'{')? + 1;
        let length = key[open..].iter().position(|byte| *byte == b'}')?;
        Some(&key[open..open + length]).filter(|tag| !tag.is_empty())
    };
    State::<XMODEM>::calculate(tag().unwrap_or(key)) % SLOTS
}

/// Has the script take calls; a server that does not know the script is told it.
async fn take(shared: &Shared, mut link: Link, calls: &[Call]) -> Result<Reply, RedisError> {
    let counters = calls.iter().map(|call| call.counters.len()).sum();
    let command = |name: &str, script: &str| {
        let mut command = cmd(name);
        command.arg(script).arg(counters);
        for key in calls.iter().flat_map(|call| &call.counters) {
            command.arg(shared.name(*key));
        }
        command.arg(&shared.header);
        for call in calls {
            command.arg(&call.batch);
        }
        command
    };
    let mut reply = send(&mut link, &command("EVALSHA", &shared.script_sha)).await;
    if reply
        .as_ref()
        .is_err_and(|error| error.code() == Some("NOSCRIPT"))
    {
        reply = send(&mut link, &command("EVAL", script::SOURCE)).await;
    }
    let unexpected = || {
        let kind = redis::ErrorKind::UnexpectedReturnType;
        RedisError::from((kind, "the script was answered with something else"))
    };
    Reply::read(reply?, counters).ok_or_else(unexpected)
}

async fn send(link: &mut Link, command: &Cmd) -> Result<Value, RedisError> {
    link.send(command).await?.extract_error()
}

#[cfg(test)]
mod tests {
    use super::slot;

    #[test]
    fn a_slot_is_that_of_the_cluster_specification() {
        assert_eq!(slot(b"123456789"), 0x31c3);
        assert_eq!(slot(b"foo{}{bar}"), slot(b"foo{}{bar}"));
        assert_eq!(slot(b"{weir}:1:a"), slot(b"weir"));
        assert_ne!(slot(b"foo{}{bar}"), slot(b"bar"));
    }
}
