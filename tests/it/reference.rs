//! The pages on commands and diagnostics are generated from the program; others are compared with it.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test --test it reference` writes them again.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use clap::{Arg, Command};
use serde_json::Value;
use weir::cli;
use weir::document::{DiagnosticCode, DocumentCode};
use weir::policy::{self, PolicyCode};
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

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The keys in the first column of the table that follows the line.
fn listed<'a>(page: &'a str, line: &str) -> BTreeSet<&'a str> {
    let (_, rest) = page.split_once(&format!("\n{line}\n\n| key |")).unwrap();
    let rows = rest.lines().skip(2).take_while(|row| row.starts_with("| "));
    rows.flat_map(|row| {
        row.split(" | ")
            .next()
            .unwrap()
            .split('`')
            .skip(1)
            .step_by(2)
    })
    .collect()
}

#[test]
fn every_key_of_the_policy_language_is_described() {
    let schema = policy::json_schema();
    let page = read("docs/policy.md");
    let levels: [(&str, &Value); 6] = [
        ("## The file", &schema),
        ("Keys of a descriptor:", &schema["$defs"]["descriptor"]),
        ("A limit:", &schema["$defs"]["listed_limit"]),
        ("A [plan](policy/plans.md):", &schema["$defs"]["plan"]),
        (
            "A [response](policy/responses.md):",
            &schema["$defs"]["response"],
        ),
        ("Its `over_limit`:", &schema["$defs"]["over_limit"]),
    ];
    for (line, level) in levels {
        let keys = level["properties"].as_object().unwrap().keys();
        let keys: BTreeSet<&str> = keys.map(String::as_str).collect();
        assert_eq!(listed(&page, line), keys, "{line}");
    }
}

/// Messages and examples point to pages that exist.
#[test]
fn every_page_that_is_named_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names = 0;
    for folder in ["src", "config", "deploy", "examples", "bench", "tests"] {
        for end in ["rs", "yaml", "csv"] {
            for file in crate::architecture::files(&root.join(folder), end) {
                let text = fs::read_to_string(&file).unwrap();
                for (start, _) in text.match_indices("docs/") {
                    let is_name =
                        |letter: char| letter.is_ascii_alphanumeric() || "/-_.".contains(letter);
                    let name = text[start..]
                        .split(|letter| !is_name(letter))
                        .next()
                        .unwrap();
                    if let Some((stem, _)) = name.split_once(".md") {
                        let page = format!("{stem}.md");
                        assert!(root.join(&page).is_file(), "{}: {page}", file.display());
                        names += 1;
                    }
                }
            }
        }
    }
    assert!(names > 20, "only {names} names");
}

/// The page on compatibility names the versions that tests run with.
#[test]
fn the_versions_that_are_tested_are_listed() {
    let page = read("docs/reference/compatibility.md");
    let programs = read("harness/src/program.rs");
    for program in [
        "ENVOY",
        "ENVOY_GATEWAY",
        "GRPCURL",
        "GRPCIO",
        "GRPC_JS",
        "H2SPEC",
        "KUBERNETES",
        "RATELIMIT",
    ] {
        let opening = format!("const {program}_VERSION: &str = \"");
        let (_, version) = programs.split_once(&opening).unwrap();
        let version = version
            .split(['"', '+'])
            .next()
            .unwrap()
            .trim_start_matches('v');
        // A state without a release is known by its commit.
        let version = version.rsplit('-').next().unwrap();
        assert!(page.contains(version), "{program} {version}");
    }
    let manifest = read("Cargo.toml");
    let (_, rust) = manifest.split_once("rust-version = \"").unwrap();
    let rust = rust.split('"').next().unwrap();
    assert!(page.contains(&format!("| {rust} or later |")), "{rust}");
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
