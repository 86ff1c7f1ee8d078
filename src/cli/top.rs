//! `weir top`: who asks most and who is refused most, live in a terminal.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::admin::{AdminArgs, wait_for};
use super::output::print;
use super::table::{Align, TextTable};
use super::{CliError, DONE};
use crate::client::{AdminClient, AdminError};

/// Another screen, which goes away in the end; the cursor to its beginning, and nothing behind what is written.
const ENTER: &str = "\x1b[?1049h";
const LEAVE: &str = "\x1b[?1049l";
const BEGIN: &str = "\x1b[H\x1b[J";

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
        print(wait_for(look(args, &admin))?)?;
        return Ok(ExitCode::from(DONE));
    }
    let shown = wait_for(async {
        write(ENTER);
        let watched = tokio::select! {
            failed = watch(args, &admin) => failed,
            _ = tokio::signal::ctrl_c() => Ok(()),
        };
        write(LEAVE);
        watched
    });
    shown.map(|()| ExitCode::from(DONE))
}

/// Looks again and again, until that fails.
async fn watch(args: &TopArgs, admin: &AdminClient) -> Result<(), AdminError> {
    loop {
        let text = look(args, admin).await?;
        write(&format!("{BEGIN}{text}\nCtrl-C ends\n"));
        tokio::time::sleep(Duration::from_secs(args.interval)).await;
    }
}

fn write(text: &str) {
    let mut out = io::stdout().lock();
    // A terminal that is gone ends the process.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

async fn look(args: &TopArgs, admin: &AdminClient) -> Result<String, AdminError> {
    let overview = json(&admin.get("/api/overview").await?);
    let top = json(&admin.get("/api/top").await?);
    Ok(text(args, &overview, &top))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

fn text(args: &TopArgs, overview: &Value, top: &Value) -> String {
    let store = &overview["store"];
    let mut text = format!(
        "weir {}, {}, policy {}, {} counters\n\n",
        said(&overview["version"]),
        said(&overview["stage"]),
        said(&overview["generation"]),
        said(&store["counters"]),
    );
    let is_wanted = |domain: &&Value| {
        let asked = args.domain.as_deref();
        asked.is_none_or(|asked| domain["name"] == asked)
    };
    let domains = |of: &Value| -> Vec<Value> {
        let domains = of["domains"].as_array().into_iter().flatten();
        domains.filter(is_wanted).cloned().collect()
    };
    text.push_str(&rates(&domains(overview), &overview["step_secs"]));
    for domain in domains(top) {
        let name = said(&domain["name"]);
        for (kind, title) in [("refused", "most refused"), ("requested", "most hits")] {
            let hitters = domain[kind].as_array().map_or(&[][..], Vec::as_slice);
            if hitters.is_empty() {
                continue;
            }
            let hitters = &hitters[..hitters.len().min(args.count)];
            text.push_str(&format!("\n{name}, {title}:\n{}", table(hitters)));
        }
    }
    text
}

/// Calls a second in each domain, in the last step.
fn rates(domains: &[Value], step_secs: &Value) -> String {
    let mut table = TextTable::new([
        ("domain", Align::Left),
        ("ok/s", Align::Right),
        ("over/s", Align::Right),
        ("shadow/s", Align::Right),
    ]);
    let step_secs = step_secs.as_f64().unwrap_or(1.0);
    for domain in domains {
        let last = domain["steps"].as_array().and_then(|steps| steps.last());
        let rate = |at: usize| {
            let count = last.and_then(|step| step[at].as_f64()).unwrap_or(0.0);
            format!("{:.1}", count / step_secs)
        };
        table.row([said(&domain["name"]), rate(0), rate(2), rate(3)]);
    }
    table.to_string()
}

fn table(hitters: &[Value]) -> String {
    let mut table = TextTable::new([
        ("hits", Align::Right),
        ("client", Align::Left),
        ("rule", Align::Left),
    ]);
    for hitter in hitters {
        table.row([
            said(&hitter["hits"]),
            said(&hitter["client"]),
            said(&hitter["rule"]),
        ]);
    }
    table.to_string()
}

fn said(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
