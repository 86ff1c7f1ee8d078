//! Calls become commands, and replies become answers.

use std::collections::HashMap;
use std::pin::Pin;

use crc16::{State, XMODEM};
use futures_util::future::join_all;
use redis::{Cmd, RedisError, Value, cmd};
use smallvec::SmallVec;

use super::connect::Link;
use super::lane::{Call, Taken};
use super::script::{self, Found, Reply};
use super::shared::Shared;

/// A command that is on its way.
pub(super) type Sent<'a> = Pin<Box<dyn Future<Output = Exchange> + Send + 'a>>;

/// What came of a command, as far as the connection is concerned.
pub(super) enum Exchange {
    /// It was answered.
    Answered,
    /// It was not, or not in time.
    Late,
    /// The connection is of no use any more.
    Broken(String),
}

/// A hit among calls: the call, and the hit in it.
type Place = (usize, usize);

/// Sends calls as one command, or in a cluster as one for each slot, and tells each what came of it.
pub(super) async fn exchange(shared: &Shared, link: Link, calls: Vec<Call>) -> Exchange {
    let groups = group(shared, &link, &calls);
    shared.count_round_trip();
    let sending = groups.into_iter().map(|places| {
        let (link, calls) = (link.clone(), &calls);
        async move {
            let reply = take(shared, link, calls, &places).await;
            (places, reply)
        }
    });
    let Ok(replies) = tokio::time::timeout(shared.deadline, join_all(sending)).await else {
        shared.trouble("Redis does not answer in time");
        return Exchange::Late;
    };
    let mut taken: Vec<Taken> = calls.iter().map(Taken::nothing).collect();
    let mut outcome = Exchange::Late;
    for (places, reply) in replies {
        match reply {
            Ok(reply) => {
                if !matches!(outcome, Exchange::Broken(_)) {
                    outcome = reply.verdict();
                }
                reply
                    .failure
                    .iter()
                    .for_each(|failure| shared.trouble(failure));
                reply.spread(&places, &mut taken);
            }
            Err(error) if error.is_unrecoverable_error() => {
                outcome = Exchange::Broken(error.to_string());
            }
            Err(error) => shared.trouble(&error.to_string()),
        }
    }
    for (call, taken) in calls.into_iter().zip(taken) {
        if let Some(answer) = call.answer {
            // Whoever asked may not wait any more.
            let _ = answer.send(taken);
        }
    }
    outcome
}

/// The hits that can travel in one command, in their order.
fn group(shared: &Shared, link: &Link, calls: &[Call]) -> Vec<Vec<Place>> {
    let places = calls
        .iter()
        .enumerate()
        .flat_map(|(at, call)| (0..call.keys.len()).map(move |hit| (at, hit)));
    if !link.has_slots() {
        return vec![places.collect()];
    }
    let mut by_slot = HashMap::<u16, Vec<Place>>::new();
    for (call, hit) in places {
        let slot = slot(shared.name(calls[call].keys[hit]).as_bytes());
        by_slot.entry(slot).or_default().push((call, hit));
    }
    by_slot.into_values().collect()
}

/// The slot of a key in a cluster: of what stands in its first braces, if anything does.
fn slot(key: &[u8]) -> u16 {
    const SLOTS: u16 = 16384;
    let tag = || {
        let open = key.iter().position(|byte| *byte == b'{')? + 1;
        let length = key[open..].iter().position(|byte| *byte == b'}')?;
        Some(&key[open..open + length]).filter(|tag| !tag.is_empty())
    };
    State::<XMODEM>::calculate(tag().unwrap_or(key)) % SLOTS
}

/// Has the script take hits; a server that does not know the script is told it.
async fn take(
    shared: &Shared,
    mut link: Link,
    calls: &[Call],
    places: &[Place],
) -> Result<Reply, RedisError> {
    let command = |name: &str, script: &str| {
        let mut command = cmd(name);
        command.arg(script).arg(places.len());
        for (call, hit) in places {
            command.arg(shared.name(calls[*call].keys[*hit]));
        }
        command.arg(&shared.header);
        for (call, hit) in places {
            command.arg(calls[*call].hit(*hit));
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
    Reply::read(reply?, places.len()).ok_or_else(unexpected)
}

async fn send(link: &mut Link, command: &Cmd) -> Result<Value, RedisError> {
    link.send(command).await?.extract_error()
}

impl Call {
    fn hit(&self, at: usize) -> &[u8] {
        let start = match at {
            0 => 0,
            _ => self.ends[at - 1],
        };
        &self.hits[start..self.ends[at]]
    }
}

impl Taken {
    fn nothing(call: &Call) -> Self {
        Self {
            server_now: None,
            found: SmallVec::from_elem(Found::NotCounted, call.keys.len()),
        }
    }
}

impl Reply {
    /// A server that is not the master any more is not to be asked again.
    fn verdict(&self) -> Exchange {
        match &self.failure {
            Some(failure) if failure.contains("READONLY") => Exchange::Broken(failure.clone()),
            _ => Exchange::Answered,
        }
    }

    fn spread(self, places: &[Place], taken: &mut [Taken]) {
        for ((call, hit), found) in places.iter().zip(self.found) {
            let taken = &mut taken[*call];
            taken.server_now = taken.server_now.max(Some(self.server_now));
            taken.found[*hit] = found;
        }
    }
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
