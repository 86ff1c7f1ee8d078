//! `/api/assignments…`: shows and changes the assignments that were added.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use super::{AdminState, Peer, audit, json_response};
use crate::api::{
    AssignedClient, AssignmentAnswer, AssignmentList, AssignmentSet, ListedAssignment,
};
use crate::clock::Timestamp;
use crate::policy::{AddedAssignment, Assignment, AssignmentId, AssignmentOrigin, Policy};
use crate::server::assignments::AssignmentError;

/// The fewest digits of a SHA-256 that name an assignment.
const MIN_DIGITS: usize = 8;

/// Rows of a list that are compared with the policy.
const MAX_CHECKED: usize = 1_000;

pub(super) async fn list(State(state): State<Arc<AdminState>>) -> Response {
    let engine = &state.admin.engine;
    let (policy, now) = (engine.policy(), engine.now());
    let added = state.admin.assignments.list();
    let rows = added.iter().enumerate();
    let added = rows.map(|(at, row)| {
        let mut row = listed(row, now);
        if at < MAX_CHECKED {
            row.problem = problem(&added[at], &policy);
        }
        row
    });
    json_response(&AssignmentList {
        storage: state.admin.assignments.storage(),
        tables: policy.tables(),
        assignments: added.collect(),
    })
}

pub(super) async fn set(
    State(state): State<Arc<AdminState>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Bytes,
) -> Response {
    answer(set_one(&state, peer, &body).await)
}

pub(super) async fn show(
    State(state): State<Arc<AdminState>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Bytes,
) -> Response {
    answer(show_one(&state, peer, &body))
}

pub(super) async fn remove(
    State(state): State<Arc<AdminState>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Bytes,
) -> Response {
    answer(remove_one(&state, peer, &body).await)
}

/// A status and a reason.
type Rejected = (StatusCode, String);

fn answer(outcome: Result<AssignmentAnswer, Rejected>) -> Response {
    match outcome {
        Ok(answer) => json_response(&answer),
        Err((status, reason)) => (status, format!("{reason}\n")).into_response(),
    }
}

async fn set_one(
    state: &AdminState,
    peer: Peer,
    body: &[u8],
) -> Result<AssignmentAnswer, Rejected> {
    let asked: AssignmentSet = parse(body)?;
    let policy = state.admin.engine.policy();
    let row = AddedAssignment {
        id: id(&policy, &asked.client)?,
        fields: asked.fields,
    };
    let now = state.admin.engine.now();
    if row.fields.until.is_some_and(|until| until <= now) {
        return Err(bad("`until` is in the past; name a time to come"));
    }
    let changed = state.admin.assignments.set(row.clone()).await;
    changed.map_err(rejected)?;
    log(peer, "assign", "set", &row);
    Ok(AssignmentAnswer {
        outcome: Some("assigned".to_owned()),
        storage: state.admin.assignments.storage(),
        assignment: Some(listed(&row, now)),
    })
}

fn show_one(state: &AdminState, peer: Peer, body: &[u8]) -> Result<AssignmentAnswer, Rejected> {
    let asked: AssignedClient = parse(body)?;
    let engine = &state.admin.engine;
    let (policy, now) = (engine.policy(), engine.now());
    let id = added_id(state, &policy, &asked)?;
    let value = asked.value.as_deref().map(str::as_bytes);
    let found = policy.find_assignment(&id, value, now);
    let found = found.map_err(|unusable| bad(&unusable.to_string()))?;
    audit::log_assignment(peer, "assign show", "shown", &id);
    Ok(AssignmentAnswer {
        outcome: None,
        storage: state.admin.assignments.storage(),
        assignment: found.map(|found| in_force(&id, &found)),
    })
}

async fn remove_one(
    state: &AdminState,
    peer: Peer,
    body: &[u8],
) -> Result<AssignmentAnswer, Rejected> {
    let asked: AssignedClient = parse(body)?;
    let policy = state.admin.engine.policy();
    let id = added_id(state, &policy, &asked)?;
    let removed = state.admin.assignments.remove(&id).await;
    let Some(row) = removed.map_err(rejected)? else {
        let reason =
            "no assignment was added for this value; rows of a file are removed from the file";
        return Err((StatusCode::NOT_FOUND, reason.to_owned()));
    };
    log(peer, "assign remove", "removed", &row);
    Ok(AssignmentAnswer {
        outcome: Some("removed".to_owned()),
        storage: state.admin.assignments.storage(),
        assignment: Some(listed(&row, state.admin.engine.now())),
    })
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Rejected> {
    // The error of serde may quote a value.
    serde_json::from_slice(body).map_err(|error| {
        bad(&format!(
            "the body is not a valid assignment in JSON (line {}, column {})",
            error.line(),
            error.column()
        ))
    })
}

fn bad(reason: &str) -> Rejected {
    (StatusCode::BAD_REQUEST, reason.to_owned())
}

fn rejected(error: AssignmentError) -> Rejected {
    let status = match &error {
        AssignmentError::Unusable(_) | AssignmentError::TooMany => StatusCode::BAD_REQUEST,
        AssignmentError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        AssignmentError::File(_) | AssignmentError::NoThread => StatusCode::INTERNAL_SERVER_ERROR,
    };
    if let AssignmentError::Store(_) | AssignmentError::File(_) = &error {
        let cause = &error as &dyn std::error::Error;
        tracing::error!(error = cause, "an assignment cannot be stored");
    }
    (status, error.to_string())
}

/// The table that is meant: the only one, if none is named.
fn table(policy: &Policy, asked: &AssignedClient) -> Result<(String, String), Rejected> {
    let is_meant =
        |own: &str, asked: &Option<String>| asked.as_deref().is_none_or(|asked| asked == own);
    let tables = policy.tables();
    let mut meant = tables.iter().filter(|table| {
        is_meant(&table.domain, &asked.domain) && is_meant(&table.table, &asked.table)
    });
    match (meant.next(), meant.next(), &asked.domain, &asked.table) {
        (_, _, Some(domain), Some(table)) => Ok((domain.clone(), table.clone())),
        (Some(only), None, ..) => Ok((only.domain.clone(), only.table.clone())),
        (None, ..) if tables.is_empty() => Err(bad(
            "the policies have no table; write `assignments: NAME` on a descriptor",
        )),
        _ => {
            let names = tables
                .iter()
                .map(|table| format!("{} of {}", table.table, table.domain));
            let names = names.collect::<Vec<_>>().join(", ");
            Err(bad(&format!(
                "name the table and the domain; the tables are {names}"
            )))
        }
    }
}

fn id(policy: &Policy, asked: &AssignedClient) -> Result<AssignmentId, Rejected> {
    let (domain, table) = table(policy, asked)?;
    match (&asked.value, &asked.sha256) {
        (Some(value), None) if !value.is_empty() => {
            Ok(AssignmentId::of_value(&domain, &table, value.as_bytes()))
        }
        (None, Some(hex)) => AssignmentId::of_sha256(&domain, &table, hex)
            .ok_or_else(|| bad("`sha256` must be a SHA-256 in hex: 64 digits")),
        _ => Err(bad("name the client by `value` or by `sha256`")),
    }
}

/// The id of an assignment; the start of a SHA-256 is enough for one that was added.
fn added_id(
    state: &AdminState,
    policy: &Policy,
    asked: &AssignedClient,
) -> Result<AssignmentId, Rejected> {
    let digits = asked.sha256.as_deref().map(str::to_ascii_lowercase);
    let Some(digits) = digits.filter(|digits| (MIN_DIGITS..64).contains(&digits.len())) else {
        return id(policy, asked);
    };
    let (domain, table) = table(policy, asked)?;
    let rows = state.admin.assignments.list();
    let mut rows = rows.iter().filter(|row| {
        row.id.domain == domain && row.id.table == table && row.id.sha256.starts_with(&digits)
    });
    match (rows.next(), rows.next()) {
        (Some(only), None) => Ok(only.id.clone()),
        (None, _) => Err((
            StatusCode::NOT_FOUND,
            "no assignment was added for a value whose SHA-256 begins so".to_owned(),
        )),
        (Some(_), Some(_)) => Err(bad("several assignments begin so, write more digits")),
    }
}

/// Why a row has no effect by this policy.
fn problem(row: &AddedAssignment, policy: &Policy) -> Option<String> {
    let unusable = policy.check_assignment(row).err()?;
    Some(unusable.to_string())
}

fn listed(row: &AddedAssignment, now: Timestamp) -> ListedAssignment {
    ListedAssignment {
        domain: row.id.domain.clone(),
        table: row.id.table.clone(),
        client: row.id.short(),
        plan: row.fields.plan.clone(),
        rate_limit: row.fields.rate_limit.clone(),
        until: row.fields.until.map(Timestamp::to_rfc3339),
        has_ended: row.fields.until.is_some_and(|until| until <= now),
        note: row.fields.note.clone(),
        author: row.fields.author.clone(),
        file: None,
        line: None,
        problem: None,
    }
}

fn in_force(id: &AssignmentId, found: &Assignment<'_>) -> ListedAssignment {
    let (file, line) = match found.origin() {
        AssignmentOrigin::File(file, line) => (Some(file.to_path_buf()), Some(line)),
        AssignmentOrigin::Added => (None, None),
    };
    let plan = found.terms.plan.as_deref();
    ListedAssignment {
        domain: id.domain.clone(),
        table: id.table.clone(),
        client: id.short(),
        plan: plan.map(str::to_owned),
        rate_limit: plan.is_none().then(|| found.terms.limits.to_string()),
        until: found.until().map(Timestamp::to_rfc3339),
        has_ended: false,
        note: Some(found.note().to_owned()).filter(|note| !note.is_empty()),
        author: found.author().map(str::to_owned),
        file,
        line,
        problem: None,
    }
}

/// Logs a change: what was given, to whom by hash, by whom and until when. A note may name a client, so it is left out.
fn log(peer: Peer, action: &str, outcome: &str, row: &AddedAssignment) {
    let terms = row
        .fields
        .plan
        .as_deref()
        .or(row.fields.rate_limit.as_deref());
    let until = row.fields.until.map(Timestamp::to_rfc3339);
    let author = row.fields.author.as_ref();
    let author = author.map(|author| format!(" by {author}"));
    let outcome = format!(
        "{outcome} {} until {}{}",
        terms.unwrap_or_default(),
        until.as_deref().unwrap_or("further notice"),
        author.unwrap_or_default(),
    );
    audit::log_assignment(peer, action, &outcome, &row.id);
}
