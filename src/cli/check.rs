//! `weir check`: reports every problem of policy files, without serving them.

mod human;
mod json;
mod sarif;

use std::collections::HashMap;
use std::fmt;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use annotate_snippets::Renderer;
use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};

use super::output::print;
use super::{CliError, DONE, FAILED};
use crate::clock::Clock;
use crate::policy::{
    self, Diagnostic, Excerpt, LoadOptions, LoadedPolicy, Position, SecretKeys, Severity, excerpts,
};

/// The arguments of `weir check`.
#[derive(Args, Clone, Debug)]
pub(super) struct CheckArgs {
    /// Policy files, and folders of them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Merge files that define the same domain
    #[arg(long, env = "WEIR_MERGE_DOMAINS", value_parser = BoolishValueParser::new())]
    merge_domains: bool,

    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: CheckFormat,

    /// Treat warnings as errors
    #[arg(long)]
    deny_warnings: bool,

    /// Colour output; auto uses colour on a terminal unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: Color,
}

/// How diagnostics are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CheckFormat {
    /// Text
    Human,
    /// One JSON document
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
}

/// Whether to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

/// The number of diagnostics.
pub(super) struct Summary {
    errors: usize,
    warnings: usize,
    files: usize,
}

pub(super) fn run(args: &CheckArgs) -> Result<ExitCode, CliError> {
    let options = LoadOptions {
        merge_domains: args.merge_domains,
        keep_texts: true,
        now: Some(Clock::System.now()),
        ..LoadOptions::default()
    };
    let loaded = policy::load(&args.paths, options).map_err(CliError::new)?;
    let summary = Summary::new(&loaded);
    print(args.render(&loaded, &summary))?;
    // A wrong path must not pass: nothing was checked.
    let is_rejected =
        summary.files == 0 || summary.errors > 0 || (args.deny_warnings && summary.warnings > 0);
    Ok(ExitCode::from(if is_rejected { FAILED } else { DONE }))
}

impl CheckArgs {
    fn render(&self, loaded: &LoadedPolicy, summary: &Summary) -> String {
        match self.format {
            CheckFormat::Human => human::render(loaded, summary, &self.color.renderer()),
            CheckFormat::Json => json::render(loaded, summary),
            CheckFormat::Sarif => sarif::render(loaded),
        }
    }
}

impl Color {
    fn renderer(self) -> Renderer {
        let is_wanted = match self {
            Self::Always => true,
            Self::Never => false,
            // https://no-color.org
            Self::Auto => {
                let is_disabled =
                    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                io::stdout().is_terminal() && !is_disabled
            }
        };
        if is_wanted {
            Renderer::styled()
        } else {
            Renderer::plain()
        }
    }
}

impl Summary {
    pub(super) fn new(loaded: &LoadedPolicy) -> Self {
        let count = |severity| {
            let found = loaded.diagnostics.iter();
            found.filter(|found| found.severity == severity).count()
        };
        Self {
            errors: count(Severity::Error),
            warnings: count(Severity::Warning),
            files: loaded.files.len(),
        }
    }
}

/// The excerpt of each diagnostic: its line, if it has one.
fn excerpts_of(loaded: &LoadedPolicy) -> Vec<Option<Excerpt>> {
    let mut positions: HashMap<&Path, Vec<Position>> = HashMap::new();
    for diagnostic in &loaded.diagnostics {
        let of_file = positions.entry(&diagnostic.file).or_default();
        of_file.extend(diagnostic.position);
    }
    // A domain may be in several files, and what is secret in a file that cannot be read is not known.
    let secrets = match loaded.texts.len() < loaded.files.len() {
        true => SecretKeys::All,
        false => SecretKeys::of(loaded.texts.values().map(String::as_str)),
    };
    let found = positions.into_iter().map(|(file, positions)| {
        let text = loaded.texts.get(file).map_or("", String::as_str);
        (file, excerpts(text, &positions, &secrets).into_iter())
    });
    let mut found: HashMap<&Path, _> = found.collect();
    let next = |diagnostic: &Diagnostic| {
        diagnostic.position?;
        found.get_mut(&*diagnostic.file)?.next()?
    };
    loaded.diagnostics.iter().map(next).collect()
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count| if count == 1 { "" } else { "s" };
        let Self {
            errors,
            warnings,
            files,
        } = *self;
        write!(
            f,
            "{errors} error{}, {warnings} warning{} in {files} file{}",
            plural(errors),
            plural(warnings),
            plural(files)
        )
    }
}
