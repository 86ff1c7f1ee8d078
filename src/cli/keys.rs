//! `weir keys`: how the counters of one client stand in a running server, and mending them.

use std::io::{self, BufRead};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::admin::{AdminArgs, wait_for};
use super::output::{Format, print};
use super::pairs::{self, EntryArg};
use super::table::{Align, TextTable};
use super::{CliError, DONE};
use crate::client::MediaType;
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
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        hits: u32,
        #[command(flatten)]
        client: ClientArgs,
    },
}

/// The client whose counters are meant.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Example: weir keys show --admin-token-file token shop api_key=- < key\n\
                  A value of `-` is read from stdin, one line each, so that it does not appear in process lists."
)]
struct ClientArgs {
    /// Domain of the request
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

pub(super) fn run(args: &KeysArgs) -> Result<ExitCode, CliError> {
    let (path, client, cost) = match &args.command {
        KeysCommand::Show(client) => ("/api/keys/show", client, Cost::Peek),
        KeysCommand::Reset(client) => ("/api/keys/reset", client, Cost::Peek),
        KeysCommand::Credit { hits, client } => ("/api/keys/credit", client, Cost::Hits(*hits)),
    };
    let request = client.request(cost)?;
    let admin = client.admin.client()?;
    let answer = wait_for(admin.post(path, &request, MediaType::Json))?;
    let answer: Value = serde_json::from_str(&answer).map_err(CliError::new)?;
    print(match client.format {
        Format::Human => text(&answer),
        Format::Json => format!("{answer:#}\n"),
    })?;
    Ok(ExitCode::from(DONE))
}

impl ClientArgs {
    fn request(&self, cost: Cost) -> Result<Request, CliError> {
        let mut lines = io::stdin().lock().lines();
        let mut descriptors = Vec::new();
        for mut entries in pairs::descriptors(&self.entries) {
            for entry in entries.iter_mut().filter(|entry| entry.value == "-") {
                let line = lines.next().transpose().map_err(CliError::new)?;
                let line =
                    line.ok_or_else(|| CliError::new("stdin has no line for a value of `-`"))?;
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

/// For each descriptor the rule that it meets, and how each of its limits stands.
fn text(answer: &Value) -> String {
    let mut text = String::new();
    let said = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if answer["outcome"] != "told" {
        text.push_str(&format!("{}\n\n", said(&answer["outcome"])));
    }
    for descriptor in answer["descriptors"].as_array().into_iter().flatten() {
        let entries = descriptor["entries"].as_array().into_iter().flatten();
        let entries: Vec<String> = entries
            .map(|entry| match entry["value"].as_str() {
                Some(value) => format!("{}={}", said(&entry["key"]), value.escape_debug()),
                None => format!("{}=***", said(&entry["key"])),
            })
            .collect();
        let rule = match descriptor["rule"]["path"].as_str() {
            Some(path) => path.to_owned(),
            None => format!("no rule: {}", said(&descriptor["result"])),
        };
        text.push_str(&format!("{}\n{rule}\n", entries.join(" ")));
        let mut table = TextTable::new([
            ("limit", Align::Left),
            ("allows", Align::Left),
            ("left", Align::Right),
            ("resets in", Align::Right),
            ("", Align::Left),
        ]);
        let limits = descriptor["limits"].as_array().into_iter().flatten();
        let mut is_empty = true;
        for limit in limits {
            is_empty = false;
            table.row(row(limit));
        }
        if !is_empty {
            text.push_str(&table.to_string());
        }
        text.push('\n');
    }
    text.pop();
    text
}

fn row(limit: &Value) -> [String; 5] {
    let said = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let state = &limit["state"];
    let notes = [
        (state["over_limit"] == true, "over"),
        (limit["shadow_mode"] == true, "shadow"),
    ];
    let notes: Vec<&str> = notes
        .iter()
        .filter_map(|(is, note)| is.then_some(*note))
        .collect();
    [
        said(&limit["name"]),
        said(&limit["text"]),
        said(&state["remaining"]),
        format!("{}s", said(&state["reset_after_secs"])),
        notes.join(", "),
    ]
}
