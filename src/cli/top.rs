//! `weir top`: the clients and rules with the most hits and the most refused hits, live in a terminal.
//!
//! [`TopState`] is what is shown: it changes with every answer of the server and every key. `view` draws it, `plain`
//! prints it once, and `screen` is the terminal.

mod plain;
mod rank;
mod screen;
mod state;
mod view;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::admin::{AdminArgs, wait_for};
use super::output::print;
use super::{CliError, DONE};
use crate::api::{Overview, Top};
use crate::client::{AdminClient, AdminError};
use state::TopState;

/// The arguments of `weir top`.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Keys: Tab switches between clients and rules; r, h and n sort by refused hits, hits and name; \
                        / filters; arrows scroll; q quits."
)]
pub(super) struct TopArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// Show only this domain
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// Number of clients and of rules to print with --once
    #[arg(long, value_name = "N", default_value_t = 10)]
    count: usize,
    /// Refresh interval
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
    /// Print once and exit; the default when the output is not a terminal
    #[arg(long)]
    once: bool,
}

/// What the server says at one time.
#[derive(Debug)]
struct TopSnapshot {
    overview: Overview,
    /// The server shows its clients only with the token.
    clients: Result<Top, TopError>,
}

/// A list that cannot be had.
#[derive(Debug, Error)]
enum TopError {
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error(
        "the admin server's answer is not what this version of weir expects; use the server's version"
    )]
    Answer(#[from] serde_json::Error),
    #[error("the server has no domain `{name}`; it has {}", .domains.join(", "))]
    UnknownDomain { name: String, domains: Vec<String> },
    #[error(transparent)]
    Thread(io::Error),
    #[error("cannot use the terminal; print once instead, with --once")]
    Terminal(#[source] io::Error),
}

pub(super) fn run(args: &TopArgs) -> Result<ExitCode, CliError> {
    let admin = args.admin.client()?;
    let snapshot = wait_for(snapshot(&admin))?;
    has_domain(args.domain.as_deref(), &snapshot.overview).map_err(CliError::new)?;
    if args.once || !io::stdout().is_terminal() {
        let top = snapshot.clients.map_err(CliError::new)?;
        let domain = args.domain.as_deref();
        print(plain::text(&snapshot.overview, &top, domain, args.count))?;
        return Ok(ExitCode::from(DONE));
    }
    let state = TopState::new(snapshot, args.domain.clone());
    screen::run(state, admin, Duration::from_secs(args.interval)).map_err(CliError::new)?;
    Ok(ExitCode::from(DONE))
}

async fn snapshot(admin: &AdminClient) -> Result<TopSnapshot, TopError> {
    Ok(TopSnapshot {
        overview: get(admin, "/api/overview").await?,
        clients: get(admin, "/api/top").await,
    })
}

async fn get<T: DeserializeOwned>(admin: &AdminClient, path: &str) -> Result<T, TopError> {
    let json = admin.get(path).await?;
    Ok(serde_json::from_str(&json)?)
}

fn has_domain(name: Option<&str>, overview: &Overview) -> Result<(), TopError> {
    let mut domains = overview.domains.iter().map(|domain| &domain.name);
    match name {
        Some(name) if !domains.any(|known| known == name) => Err(TopError::UnknownDomain {
            name: name.to_owned(),
            domains: overview
                .domains
                .iter()
                .map(|domain| domain.name.clone())
                .collect(),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
