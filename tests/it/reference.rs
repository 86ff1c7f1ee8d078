//! The pages of `docs/reference` on commands and diagnostics are generated from the program.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test --test it reference` writes them again.

use clap::{Arg, Command};
use weir::cli;
use weir::document::{DiagnosticCode, DocumentCode};
use weir::policy::PolicyCode;
use weir::scenario::ScenarioCode;

use crate::operations::{cell, hold};

/// The pages on commands, and the commands of each. The last one has all others.
const PAGES: [(&str, &[&str]); 3] = [
    (
        "docs/reference/commands-serve.md",
        &["serve", "ratelimit", "xds", "state", "completions"],
    ),
    (
        "docs/reference/commands-policies.md",
        &[
            "init", "import", "check", "schema", "test", "explain", "replay",
        ],
    ),
    ("docs/reference/commands-server.md", &[]),
];

/// The page that describes the command.
fn page_of(command: &str) -> &'static str {
    let page = PAGES.iter().find(|(_, names)| names.contains(&command));
    page.unwrap_or(&PAGES[PAGES.len() - 1]).0
}

/// The command line as it is built, so that the usage of a subcommand begins with `weir`.
fn weir() -> Command {
    let mut weir = cli::command();
    weir.build();
    weir
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    let subcommands = command.get_subcommands();
    subcommands.filter(|sub| sub.get_name() != "help" && !sub.is_hide_set())
}

/// A table of all commands, with links to their descriptions.
fn overview() -> String {
    let mut table = "| command | |\n|---|---|\n".to_owned();
    for command in visible(&weir()) {
        let name = command.get_name();
        let (page, _) = PAGES
            .iter()
            .find(|(page, _)| *page == page_of(name))
            .unwrap();
        let file = page.rsplit('/').next().unwrap();
        let about = cell(&command.get_about().unwrap().to_string());
        table.push_str(&format!(
            "| [`weir {name}`]({file}#weir-{name}) | {about} |\n"
        ));
    }
    table
}

/// The descriptions of the commands of a page.
fn descriptions(page: &str) -> String {
    let weir = weir();
    let commands = visible(&weir).filter(|command| page_of(command.get_name()) == page);
    commands.map(|command| description(command, 2)).collect()
}

/// A heading, what the command does, how it is called, and its arguments; then the same of its subcommands.
fn description(command: &Command, level: usize) -> String {
    let mut command = command.clone();
    let name = command.get_bin_name().unwrap().to_owned();
    let about = command.get_long_about().or(command.get_about()).unwrap();
    let mut text = format!(
        "\n{} {name}\n\n{}\n",
        "#".repeat(level),
        prose(&about.to_string())
    );
    if name == "weir serve" {
        return text + "\nIts flags have [a page of their own](flags.md).\n";
    }
    if !command.has_subcommands() {
        let usage = command.render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ");
        text.push_str(&format!("\n```text\n{usage}\n```\n"));
    }
    let arguments: Vec<String> = command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set() && argument.get_id() != "help")
        .map(argument)
        .collect();
    if !arguments.is_empty() {
        text.push_str("\n| argument | default | |\n|---|---|---|\n");
        text.push_str(&arguments.concat());
    }
    for subcommand in visible(&command) {
        text.push_str(&description(subcommand, level + 1));
    }
    text
}

/// Paragraphs of a help text, each on one line with a full stop.
fn prose(help: &str) -> String {
    let paragraphs = help.split("\n\n").map(|paragraph| {
        let paragraph = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
        match paragraph.ends_with('.') {
            true => paragraph,
            false => paragraph + ".",
        }
    });
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

/// A row of the table of arguments.
fn argument(argument: &Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    let value = match argument.get_action().takes_values() {
        true => names.first().map_or("", |name| name.as_str()),
        false => "",
    };
    let name = match argument.get_long() {
        Some(long) => format!("--{long} {value}"),
        None => value.to_owned(),
    };
    let defaults = argument.get_default_values().iter();
    let defaults: Vec<String> = defaults
        .filter(|_| argument.get_action().takes_values())
        .map(|value| format!("`{}`", value.display()))
        .collect();
    let mut help = cell(&argument.get_help().unwrap().to_string());
    let values = argument.get_possible_values();
    let values = values.iter().filter(|value| !value.is_hide_set());
    let values: Vec<String> = values
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if argument.get_action().takes_values() && !values.is_empty() {
        help.push_str(&format!(": {}", values.join(", ")));
    }
    if let Some(variable) = argument.get_env() {
        help.push_str(&format!("; also `{}`", variable.display()));
    }
    format!(
        "| `{}` | {} | {help} |\n",
        cell(name.trim()),
        defaults.join(", ")
    )
}

fn diagnostics(codes: impl Iterator<Item = DiagnosticCode>) -> String {
    let mut table = "| code | severity | | what to do |\n|---|---|---|---|\n".to_owned();
    for code in codes {
        let (name, severity) = (code.as_str(), code.severity());
        let (meaning, help) = (cell(code.meaning()), cell(code.help()));
        table.push_str(&format!("| `{name}` | {severity} | {meaning} | {help} |\n"));
    }
    table
}

#[test]
fn every_command_is_described() {
    hold("docs/reference/commands.md", "commands", &overview());
    for (page, _) in PAGES {
        hold(page, "commands", &format!("{}\n", descriptions(page)));
    }
}

#[test]
fn every_diagnostic_is_described() {
    let page = "docs/reference/errors.md";
    let documents = DocumentCode::ALL.iter().map(|code| code.code());
    let policies = PolicyCode::ALL.iter().map(|code| code.code());
    let scenarios = ScenarioCode::ALL.iter().map(|code| code.code());
    hold(page, "documents", &diagnostics(documents));
    hold(page, "policies", &diagnostics(policies));
    hold(page, "scenarios", &diagnostics(scenarios));
}
