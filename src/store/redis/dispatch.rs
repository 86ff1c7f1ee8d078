//! Calls become commands, and replies are passed on to the calls.

use std::collections::HashMap;
use std::pin::pin;

use futures_util::future::join_all;
use redis::{Cmd, RedisError, Value, cmd};
use smallvec::SmallVec;
use tokio::time::{Instant, timeout_at};

use super::call::{CallReply, ScriptCall};
use super::connect::{CommandOutcome, RedisConnection};
use super::script::{self, ScriptReply};
use super::server_error::script_error;
use super::shared::Shared;
use crate::store::{CounterKey, StoreError};

/// Sends calls to one node, as one command, or in a cluster as one per hash slot.
pub(super) async fn dispatch(
    shared: &Shared,
    connection: RedisConnection,
    calls: Vec<ScriptCall>,
) -> CommandOutcome {
    let commands = group(shared, &connection, calls);
    shared.count_round_trip();
    let sending = commands
        .into_iter()
        .map(|calls| send(shared, connection.clone(), calls));
    let Ok(outcomes) = tokio::time::timeout(shared.deadline, join_all(sending)).await else {
        shared.report_failure(StoreError::Timeout);
        return CommandOutcome::Failed;
    };
    // One answered command shows that the node is alive.
    let combine = |one, other| match (one, other) {
        (CommandOutcome::Broken(error), _) | (_, CommandOutcome::Broken(error)) => {
            CommandOutcome::Broken(error)
        }
        (CommandOutcome::Ok, _) | (_, CommandOutcome::Ok) => CommandOutcome::Ok,
        (CommandOutcome::Failed, CommandOutcome::Failed) => CommandOutcome::Failed,
    };
    let outcome = outcomes.into_iter().reduce(combine);
    outcome.unwrap_or(CommandOutcome::Ok)
}

/// The calls that can share a command, in their order.
fn group(
    shared: &Shared,
    connection: &RedisConnection,
    calls: Vec<ScriptCall>,
) -> Vec<Vec<ScriptCall>> {
    if !connection.is_cluster() {
        return vec![calls];
    }
    let mut by_slot = HashMap::<u16, Vec<ScriptCall>>::new();
    for call in calls {
        let slot = call
            .counters
            .first()
            .map_or(0, |key| shared.hash_slot(*key));
        by_slot.entry(slot).or_default().push(call);
    }
    by_slot.into_values().collect()
}

/// Runs the script for calls that share a command.
async fn send(
    shared: &Shared,
    connection: RedisConnection,
    mut calls: Vec<ScriptCall>,
) -> CommandOutcome {
    let is_cluster = connection.is_cluster();
    for call in &mut calls {
        call.set_sent(true);
    }
    let result = run_script(shared, connection, &mut calls).await;
    if result.as_ref().is_err_and(|error| error.code().is_some()) {
        // Redis replied with an error, so the script did not run.
        for call in &mut calls {
            call.set_sent(false);
        }
    }
    let reply = match result {
        Ok(reply) => reply,
        Err(error) => {
            let is_unrecoverable = error.is_unrecoverable_error();
            let error = StoreError::from(error);
            // The client reconnects to single nodes of a cluster by itself.
            if !is_cluster && (is_unrecoverable || error.is_rejection()) {
                return CommandOutcome::Broken(error);
            }
            shared.report_failure(error);
            return CommandOutcome::Failed;
        }
    };
    let mut found = reply.found.into_iter();
    for call in calls {
        let found: SmallVec<_> = found.by_ref().take(call.counters.len()).collect();
        let server_now = reply.server_now;
        call.complete(CallReply { server_now, found });
    }
    match reply.failure.as_deref().map(script_error) {
        None => shared.report_answer(reply.has_written),
        // The connection leads to a server that is not the master any more, or that never counts.
        Some(error) if error.is_rejection() && !(is_cluster && error != StoreError::ReadOnly) => {
            return CommandOutcome::Broken(error);
        }
        Some(error) if error.is_rejection() => {
            shared.report_failure(error);
            return CommandOutcome::Failed;
        }
        Some(error) => shared.report_failure(error),
    }
    CommandOutcome::Ok
}

/// Counts a hit at a reserved counter. That a server answers does not show that it counts.
pub(super) async fn prove(
    shared: &Shared,
    connection: RedisConnection,
    counter: CounterKey,
) -> Result<(), StoreError> {
    let mut calls = [ScriptCall::without_reply(counter, script::encode_probe())];
    let proving = run_script(shared, connection, &mut calls);
    let reply = tokio::time::timeout(shared.patience(), proving).await;
    let reply = reply.map_err(|_| StoreError::Timeout)??;
    match reply.failure {
        None => Ok(()),
        Some(message) => Err(script_error(&message)),
    }
}

/// Runs the script by its hash, or by its source if the server does not have it.
async fn run_script(
    shared: &Shared,
    mut connection: RedisConnection,
    calls: &mut [ScriptCall],
) -> Result<ScriptReply, RedisError> {
    let by_hash = command(shared, "EVALSHA", &shared.script_sha, calls);
    let mut reply = reply_to(&by_hash, &mut connection, calls).await;
    let error = reply.as_ref().err();
    if error.is_some_and(|error| error.code() == Some("NOSCRIPT")) {
        let by_source = command(shared, "EVAL", script::SOURCE, calls);
        reply = reply_to(&by_source, &mut connection, calls).await;
    }
    let unexpected = || {
        let kind = redis::ErrorKind::UnexpectedReturnType;
        RedisError::from((kind, "unexpected reply to the script"))
    };
    ScriptReply::decode(reply?, counters_of(calls)).ok_or_else(unexpected)
}

fn counters_of(calls: &[ScriptCall]) -> usize {
    calls.iter().map(|call| call.counters.len()).sum()
}

fn command(shared: &Shared, name: &str, script: &str, calls: &[ScriptCall]) -> Cmd {
    let mut command = cmd(name);
    command.arg(script).arg(counters_of(calls));
    for key in calls.iter().flat_map(|call| &call.counters) {
        command.arg(shared.name(*key));
    }
    command.arg(&shared.header);
    for call in calls {
        command.arg(&call.batch);
    }
    command
}

/// The reply to a command. Who waits for a call of it learns at its deadline that none has come.
async fn reply_to(
    command: &Cmd,
    connection: &mut RedisConnection,
    calls: &mut [ScriptCall],
) -> Result<Value, RedisError> {
    let mut reply = pin!(connection.send(command));
    // They came in the order of their deadlines.
    while let Some(deadline) = calls.iter().find_map(ScriptCall::deadline) {
        if let Ok(reply) = timeout_at(deadline, &mut reply).await {
            return reply;
        }
        let now = Instant::now();
        for call in calls.iter_mut() {
            call.expire(now);
        }
    }
    reply.await
}
