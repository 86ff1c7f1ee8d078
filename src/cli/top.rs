//! `weir top`: the clients with the most hits and the most refused hits, live in a terminal.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::de::DeserializeOwned;

use super::admin::{AdminArgs, wait_for};
use super::output::{escape, print};
use super::table::{Align, TextTable};
use super::{CliError, DONE};
use crate::api::{DomainOverview, Overview, Top};
use crate::client::AdminClient;
use crate::telemetry::HeavyHitter;

/// Terminal sequences: enter and leave the alternate screen; move to its start and clear it.
const ENTER_SCREEN: &str = "\x1b[?1049h";
const LEAVE_SCREEN: &str = "\x1b[?1049l";
const CLEAR_SCREEN: &str = "\x1b[H\x1b[J";

/// The arguments of `weir top`.
#[derive(Args, Clone, Debug)]
pub(super) struct TopArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// Show only this domain
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// Number of clients in each list
    #[arg(long, value_name = "N", default_value_t = 10)]
    count: usize,
    /// Refresh interval
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    interval: u64,
    /// Print once and exit; the default when the output is not a terminal
    #[arg(long)]
    once: bool,
}

pub(super) fn run(args: &TopArgs) -> Result<ExitCode, CliError> {
    let admin = args.admin.client()?;
    if args.once || !io::stdout().is_terminal() {
        print(wait_for(fetch(args, &admin))?)?;
        return Ok(ExitCode::from(DONE));
    }
    let shown = wait_for(async {
        write(ENTER_SCREEN);
        let watched = tokio::select! {
            failed = watch(args, &admin) => failed,
            _ = tokio::signal::ctrl_c() => Ok(()),
        };
        write(LEAVE_SCREEN);
        watched
    });
    shown.map(|()| ExitCode::from(DONE))
}

/// Refreshes the screen until the server cannot be reached.
async fn watch(args: &TopArgs, admin: &AdminClient) -> Result<(), CliError> {
    loop {
        let text = fetch(args, admin).await?;
        write(&format!("{CLEAR_SCREEN}{text}\nPress Ctrl-C to quit\n"));
        tokio::time::sleep(Duration::from_secs(args.interval)).await;
    }
}

fn write(text: &str) {
    let mut out = io::stdout().lock();
    // If the terminal is gone, a signal ends the process.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

async fn fetch(args: &TopArgs, admin: &AdminClient) -> Result<String, CliError> {
    let overview = get(admin, "/api/overview").await?;
    let top = get(admin, "/api/top").await?;
    Ok(text(args, &overview, &top))
}

async fn get<T: DeserializeOwned>(admin: &AdminClient, path: &str) -> Result<T, CliError> {
    let json = admin.get(path).await.map_err(CliError::new)?;
    serde_json::from_str(&json).map_err(CliError::new)
}

fn text(args: &TopArgs, overview: &Overview, top: &Top) -> String {
    let status = &overview.status;
    let mut text = format!(
        "weir {}, {}, policy {}, {} counters\n\n",
        overview.version,
        status.stage.as_str(),
        status.generation,
        status.store.counters,
    );
    let is_shown = |name: &str| args.domain.as_deref().is_none_or(|only| only == name);
    let domains = overview.domains.iter();
    let domains = domains.filter(|domain| is_shown(&domain.name));
    text.push_str(&rates(domains, overview.step_secs));
    for domain in top.domains.iter().filter(|domain| is_shown(&domain.name)) {
        for (title, hitters) in [
            ("most refused", &domain.clients.refused),
            ("most hits", &domain.clients.requested),
        ] {
            if !hitters.is_empty() {
                let hitters = &hitters[..hitters.len().min(args.count)];
                let table = table(hitters);
                text.push_str(&format!("\n{}, {title}:\n{table}", domain.name));
            }
        }
    }
    text
}

/// Requests per second of each domain, in the last step.
fn rates<'d>(domains: impl Iterator<Item = &'d DomainOverview>, step_secs: f64) -> String {
    let mut table = TextTable::new([
        ("domain", Align::Left),
        ("ok/s", Align::Right),
        ("over/s", Align::Right),
        ("shadow/s", Align::Right),
    ]);
    let rate = |count: u32| format!("{:.1}", f64::from(count) / step_secs);
    for domain in domains {
        let last = domain.steps.last().copied().unwrap_or_default();
        table.row([
            domain.name.clone(),
            rate(last.ok),
            rate(last.over),
            rate(last.shadow),
        ]);
    }
    table.to_string()
}

fn table(hitters: &[HeavyHitter]) -> String {
    let mut table = TextTable::new([
        ("hits", Align::Right),
        ("client", Align::Left),
        ("rule", Align::Left),
    ]);
    for hitter in hitters {
        table.row([
            hitter.hits.to_string(),
            escape(&hitter.client),
            escape(&hitter.rule),
        ]);
    }
    table.to_string()
}
