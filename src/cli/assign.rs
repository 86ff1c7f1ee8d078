//! `weir assign`: gives one client other limits in a running server.

use std::io::{self, BufRead};
use std::process::ExitCode;

use clap::{ArgGroup, Args, Subcommand};
use thiserror::Error;

use super::admin::{AdminArgs, wait_for};
use super::output::{Format, escape, print};
use super::table::{Align, TextTable};
use super::{CliError, DONE};
use crate::api::{
    AssignedClient, AssignmentAnswer, AssignmentList, AssignmentSet, ListedAssignment,
};
use crate::clock::{Clock, Timestamp};
use crate::policy::AssignmentFields;
use crate::scenario::parse_duration;

/// The arguments of `weir assign`.
#[derive(Args, Clone, Debug)]
pub(super) struct AssignArgs {
    #[command(subcommand)]
    command: AssignCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum AssignCommand {
    /// Give a client another plan or other limits
    Set(Box<SetArgs>),
    /// List the assignments that were added, and the tables
    List(ListArgs),
    /// Show what is assigned to a client
    Show(AssignedClientArgs),
    /// Remove an assignment that was added
    Remove(AssignedClientArgs),
}

/// What to give to whom.
#[derive(Args, Clone, Debug)]
#[command(
    group = ArgGroup::new("terms").required(true).args(["plan", "limit"]),
    after_help = "Example: weir assign set --plan scale --until 7d --note \"launch, ticket 4711\" - < key\n\
                  A value of `-` is read from stdin, so that it does not appear in process lists."
)]
struct SetArgs {
    /// Plan to give
    #[arg(long, value_name = "NAME")]
    plan: Option<String>,
    /// Limits to give: "1200 per minute" changes the limit with this window; or a `rate_limit` as in a policy
    #[arg(long, value_name = "LIMIT")]
    limit: Option<String>,
    /// When it ends: RFC 3339, or a time from now such as 7d or 12h
    #[arg(long, value_name = "TIME", value_parser = until)]
    until: Option<Timestamp>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Who
    #[arg(long, value_name = "NAME", env = "USER")]
    author: Option<String>,
    #[command(flatten)]
    client: AssignedClientArgs,
}

/// The client.
#[derive(Args, Clone, Debug)]
#[command(group = ArgGroup::new("client").required(true).args(["value", "sha256"]))]
struct AssignedClientArgs {
    /// Value of the client; `-` reads it from stdin
    #[arg(value_name = "VALUE")]
    value: Option<String>,
    /// SHA-256 of the value, in hex; to show or remove, 8 digits are enough
    #[arg(long, value_name = "HEX")]
    sha256: Option<String>,
    /// Domain of the table; needed if several have tables
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// Table of assignments; needed if there are several
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
    #[command(flatten)]
    answer: AnswerArgs,
}

#[derive(Args, Clone, Debug)]
struct ListArgs {
    #[command(flatten)]
    answer: AnswerArgs,
}

/// Whom to ask, and how to print the answer.
#[derive(Args, Clone, Debug)]
struct AnswerArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

/// The text is not a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("write it as 2027-01-31T00:00:00Z, or as a time from now such as 7d or 12h")]
struct InvalidUntil;

/// A value of `-`, and nothing on stdin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("stdin has no line for the value; a value of `-` is read from stdin")]
struct MissingValue;

pub(super) fn run(args: &AssignArgs) -> Result<ExitCode, CliError> {
    match &args.command {
        AssignCommand::Set(args) => {
            let asked = AssignmentSet {
                client: args.client.client()?,
                fields: AssignmentFields {
                    plan: args.plan.clone(),
                    rate_limit: args.limit.clone(),
                    until: args.until,
                    note: args.note.clone(),
                    author: args.author.clone(),
                },
            };
            let body = serde_json::to_string(&asked).map_err(CliError::new)?;
            args.client.answer.ask("/api/assignments/set", body)?;
        }
        AssignCommand::Show(client) => client.ask("/api/assignments/show")?,
        AssignCommand::Remove(client) => client.ask("/api/assignments/remove")?,
        AssignCommand::List(args) => {
            let admin = args.answer.admin.client()?;
            let answer = wait_for(admin.get("/api/assignments"))?;
            let list: AssignmentList = serde_json::from_str(&answer).map_err(CliError::new)?;
            args.answer.print(&list, text_of_list)?;
        }
    }
    Ok(ExitCode::from(DONE))
}

impl AssignedClientArgs {
    fn client(&self) -> Result<AssignedClient, CliError> {
        let value = match self.value.as_deref() {
            Some("-") => {
                let line = io::stdin().lock().lines().next().transpose();
                let line = line.map_err(CliError::new)?;
                Some(line.ok_or_else(|| CliError::new(MissingValue))?)
            }
            value => value.map(str::to_owned),
        };
        Ok(AssignedClient {
            domain: self.domain.clone(),
            table: self.table.clone(),
            value,
            sha256: self.sha256.clone(),
        })
    }

    fn ask(&self, path: &str) -> Result<(), CliError> {
        let body = serde_json::to_string(&self.client()?).map_err(CliError::new)?;
        self.answer.ask(path, body)
    }
}

impl AnswerArgs {
    fn ask(&self, path: &str, body: String) -> Result<(), CliError> {
        let admin = self.admin.client()?;
        let answer = wait_for(admin.post_json(path, body))?;
        let answer: AssignmentAnswer = serde_json::from_str(&answer).map_err(CliError::new)?;
        self.print(&answer, text)
    }

    fn print<T: serde::Serialize>(
        &self,
        answer: &T,
        text: impl Fn(&T) -> String,
    ) -> Result<(), CliError> {
        match self.format {
            Format::Human => print(text(answer)),
            Format::Json => {
                let json = serde_json::to_string_pretty(answer).map_err(CliError::new)?;
                print(json + "\n")
            }
        }
    }
}

/// Parses a time, or a time from now.
fn until(text: &str) -> Result<Timestamp, InvalidUntil> {
    let from_now = || Some(Clock::System.now().plus(parse_duration(text)?));
    let at = Timestamp::from_rfc3339(text);
    at.or_else(from_now).ok_or(InvalidUntil)
}

/// What was done, and the assignment.
fn text(answer: &AssignmentAnswer) -> String {
    let Some(assignment) = &answer.assignment else {
        return "nothing is assigned to this value: the plan or the limits of the policy apply\n"
            .to_owned();
    };
    let mut text = String::new();
    if let Some(outcome) = &answer.outcome {
        text = format!("{outcome}, {}\n", answer.storage.describe());
    }
    for (name, value) in [
        (
            "table",
            Some(format!("{} of {}", assignment.table, assignment.domain)),
        ),
        ("client", Some(assignment.client.clone())),
        ("plan", assignment.plan.clone()),
        ("limits", assignment.rate_limit.clone()),
        ("until", assignment.until.clone()),
        ("note", assignment.note.clone()),
        ("author", assignment.author.clone()),
        ("from", place(assignment)),
        ("problem", assignment.problem.clone()),
    ] {
        if let Some(value) = value {
            text.push_str(&format!("{name:8} {}\n", escape(&value)));
        }
    }
    text
}

fn place(assignment: &ListedAssignment) -> Option<String> {
    let (file, line) = (assignment.file.as_ref()?, assignment.line?);
    Some(format!("{}:{line}", file.display()))
}

fn text_of_list(list: &AssignmentList) -> String {
    let mut tables = TextTable::new([
        ("table", Align::Left),
        ("domain", Align::Left),
        ("rows in files", Align::Right),
    ]);
    for table in &list.tables {
        tables.row([
            table.table.clone(),
            table.domain.clone(),
            table.rows.to_string(),
        ]);
    }
    let mut added = TextTable::new([
        ("client", Align::Left),
        ("table", Align::Left),
        ("plan or limits", Align::Left),
        ("until", Align::Left),
        ("author", Align::Left),
        ("note", Align::Left),
    ]);
    for assignment in &list.assignments {
        let terms = assignment.plan.as_ref().or(assignment.rate_limit.as_ref());
        let until = match (&assignment.until, assignment.has_ended) {
            (Some(until), true) => format!("{until}, ended"),
            (until, _) => until.clone().unwrap_or_default(),
        };
        let problem = assignment.problem.as_ref();
        let problem = problem.map(|problem| format!("no effect: {problem}"));
        added.row([
            assignment.client.clone(),
            assignment.table.clone(),
            terms.cloned().unwrap_or_default(),
            until,
            assignment.author.clone().unwrap_or_default(),
            problem
                .or_else(|| assignment.note.clone())
                .unwrap_or_default(),
        ]);
    }
    let added = match list.assignments.is_empty() {
        true => "no assignment was added\n".to_owned(),
        false => format!("{added}added assignments are {}\n", list.storage.describe()),
    };
    format!("{tables}\n{added}")
}
