//! `weir keys`: shows and changes the counters of one client in a running server.

use std::io::{self, BufRead};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use thiserror::Error;

use super::admin::{AdminArgs, wait_for};
use super::output::{Format, escape, print};
use super::pairs::{self, EntryArg};
use super::table::{Align, TextTable};
use super::{CliError, DONE};
use crate::api::Keys;
use crate::client::MediaType;
use crate::engine::{ExplainedDescriptor, ExplainedLimit, MatchResult};
use crate::policy::HIDDEN;
use crate::request::{Cost, Descriptor, Request};

/// The arguments of `weir keys`.
#[derive(Args, Clone, Debug)]
pub(super) struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum KeysCommand {
    /// Show the state of every limit, without counting
    Show(ClientArgs),
    /// Reset the counters
    Reset(ClientArgs),
    /// Give hits back
    Credit {
        /// Number of hits to give back
        #[arg(
            long,
            value_name = "N",
            value_parser = clap::value_parser!(u32).range(1..),
            help_heading = "Request"
        )]
        hits: u32,
        #[command(flatten)]
        client: ClientArgs,
    },
}

/// The client whose counters are meant.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Example: weir keys show --admin-token-file token --domain shop api_key=- < key\n\
                  A value of `-` is read from stdin, one line each, so that it does not appear in process lists."
)]
struct ClientArgs {
    /// Domain of the request
    #[arg(long, value_name = "NAME", help_heading = "Request")]
    domain: String,
    /// Entries of a descriptor, in order; a separate `+` starts the next descriptor
    #[arg(required = true, value_name = "KEY=VALUE", value_parser = pairs::entry_arg)]
    entries: Vec<EntryArg>,
    #[command(flatten)]
    admin: AdminArgs,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

/// A value of `-` without a line for it.
#[derive(Debug, Error)]
#[error(
    "stdin has no line for the value of {key}; a value of `-` is read from stdin, one line each"
)]
struct MissingLine {
    key: String,
}

pub(super) fn run(args: &KeysArgs) -> Result<ExitCode, CliError> {
    let (path, client, cost) = match &args.command {
        KeysCommand::Show(client) => ("/api/keys/show", client, Cost::Peek),
        KeysCommand::Reset(client) => ("/api/keys/reset", client, Cost::Peek),
        KeysCommand::Credit { hits, client } => ("/api/keys/credit", client, Cost::Hits(*hits)),
    };
    let request = client.request(cost)?;
    let admin = client.admin.client()?;
    let answer = wait_for(admin.post(path, &request, MediaType::Json))?;
    let keys: Keys = serde_json::from_str(&answer).map_err(CliError::new)?;
    match client.format {
        Format::Human => print(text(&keys))?,
        Format::Json => {
            let json = serde_json::to_string_pretty(&keys).map_err(CliError::new)?;
            print(json + "\n")?;
        }
    }
    Ok(ExitCode::from(DONE))
}

impl ClientArgs {
    fn request(&self, cost: Cost) -> Result<Request, CliError> {
        let mut lines = io::stdin().lock().lines();
        let mut descriptors = Vec::new();
        for mut entries in pairs::descriptors(&self.entries) {
            for entry in entries.iter_mut().filter(|entry| entry.value == "-") {
                let line = lines.next().transpose().map_err(CliError::new)?;
                let key = || String::from_utf8_lossy(&entry.key).into_owned();
                let line = line.ok_or_else(|| CliError::new(MissingLine { key: key() }))?;
                entry.value = line.into();
            }
            descriptors.push(Descriptor {
                entries,
                cost,
                limit: None,
            });
        }
        Ok(Request {
            domain: self.domain.clone().into(),
            descriptors,
        })
    }
}

/// For each descriptor the rule that it matches, and the state of each of its limits.
fn text(keys: &Keys) -> String {
    let mut parts: Vec<String> = keys
        .outcome
        .iter()
        .map(|done| format!("{done}\n"))
        .collect();
    parts.extend(keys.explanation.descriptors.iter().map(descriptor));
    parts.join("\n")
}

fn descriptor(descriptor: &ExplainedDescriptor) -> String {
    let entries = descriptor.entries.iter().map(|entry| {
        let value = entry.value.as_deref().unwrap_or(HIDDEN);
        format!("{}={}", escape(&entry.key), escape(value))
    });
    let entries: Vec<String> = entries.collect();
    let result = match descriptor.result {
        MatchResult::UnknownDomain => "no limit: the policy does not have this domain",
        MatchResult::NotFound => "no limit: no rule matches",
        MatchResult::NoRule => "no limit: the matching node has no rate_limit",
        MatchResult::Replaced => "not counted: another descriptor's rule replaces this one",
        MatchResult::Unlimited => "unlimited",
        MatchResult::Exempt => "exempt",
        MatchResult::Exempted => "not counted: another descriptor exempts the request",
        MatchResult::Override => "the limit in the request applies",
        MatchResult::Rule => "",
    };
    let place = descriptor.rule.as_ref().map(|rule| rule.to_string());
    let plan = plan(descriptor);
    let lines = [place.as_deref().unwrap_or_default(), &plan, result];
    let lines: Vec<&str> = lines.into_iter().filter(|line| !line.is_empty()).collect();
    let rule = lines.join("\n");
    let mut text = format!("{}\n{rule}\n", entries.join(" "));
    if !descriptor.limits.is_empty() {
        let mut table = TextTable::new([
            ("limit", Align::Left),
            ("allows", Align::Left),
            ("left", Align::Right),
            ("resets in", Align::Right),
            ("", Align::Left),
        ]);
        for limit in &descriptor.limits {
            table.row(row(limit));
        }
        text.push_str(&table.to_string());
    }
    text
}

/// The plan of the client, and who gave it one.
fn plan(descriptor: &ExplainedDescriptor) -> String {
    let of_rule = || descriptor.rule.as_ref()?.plan.clone();
    match &descriptor.assignment {
        Some(assignment) => format!("plan {assignment}"),
        None => of_rule().map_or_else(String::new, |plan| format!("plan {plan}")),
    }
}

fn row(limit: &ExplainedLimit) -> [String; 5] {
    let state = limit.state.as_ref();
    let notes = [
        (state.is_none(), "replaced"),
        (state.is_some_and(|state| state.over_limit), "over"),
        (state.is_some_and(|state| state.is_blocked), "blocked"),
        (limit.shadow_mode, "shadow"),
    ];
    let notes = notes.iter().filter(|(applies, _)| *applies);
    let notes: Vec<&str> = notes.map(|(_, note)| *note).collect();
    [
        limit.name.clone().unwrap_or_default(),
        limit.text.clone(),
        state.map_or_else(String::new, |state| state.available.to_string()),
        state.map_or_else(String::new, |state| format!("{}s", state.reset_after_secs)),
        notes.join(", "),
    ]
}
