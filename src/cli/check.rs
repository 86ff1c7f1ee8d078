//! `weir check`: everything that is wrong with policies, without serving them.

mod human;
mod json;
mod sarif;

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use annotate_snippets::Renderer;
use clap::{Args, ValueEnum};

use super::{CliError, DONE, FAILED};
use crate::policy::{self, LoadOptions, Loaded, Severity};

/// The arguments of `weir check`.
#[derive(Args, Clone, Debug)]
pub(super) struct CheckArgs {
    /// Policy files, and folders of them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Merge files that define the same domain
    #[arg(long, env = "WEIR_MERGE_DOMAINS")]
    merge_domains: bool,

    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,

    /// Treat warnings as errors
    #[arg(long)]
    deny_warnings: bool,

    /// Colour output; auto uses colour on a terminal unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: Color,
}

/// How to say what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
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

/// How much was found.
pub(super) struct Summary {
    errors: usize,
    warnings: usize,
    files: usize,
}

pub(super) fn run(args: &CheckArgs) -> Result<ExitCode, CliError> {
    let options = LoadOptions {
        merge_domains: args.merge_domains,
        keep_texts: true,
    };
    let loaded = policy::load(&args.paths, options).map_err(CliError::new)?;
    let summary = Summary::of(&loaded);
    match args.write(&loaded, &summary, &mut io::stdout().lock()) {
        // Whoever reads, such as `head`, has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written.map_err(CliError::new)?,
    }
    let is_refused = summary.errors > 0 || (args.deny_warnings && summary.warnings > 0);
    Ok(ExitCode::from(if is_refused { FAILED } else { DONE }))
}

impl CheckArgs {
    fn write(&self, loaded: &Loaded, summary: &Summary, out: &mut impl Write) -> io::Result<()> {
        match self.format {
            Format::Human => human::write(loaded, summary, &self.color.renderer(), out)?,
            Format::Json => json::write(loaded, summary, out)?,
            Format::Sarif => sarif::write(loaded, out)?,
        }
        out.flush()
    }
}

impl Color {
    fn renderer(self) -> Renderer {
        let is_wanted = match self {
            Self::Always => true,
            Self::Never => false,
            // https://no-color.org
            Self::Auto => {
                let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                io::stdout().is_terminal() && !refused
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
    pub(super) fn of(loaded: &Loaded) -> Self {
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
