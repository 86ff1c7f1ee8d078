//! `weir test`: runs policy tests in virtual time.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use regex_lite::Regex;

use super::output::print;
use super::{CliError, DONE, FAILED, UNUSABLE};
use crate::policy::LoadError;
use crate::scenario::{self, FileReport, junit};
use crate::store::RngError;

/// The arguments of `weir test`.
#[derive(Args, Clone, Debug)]
pub(super) struct TestArgs {
    /// Scenario files and folders of them (`*.test.yaml`)
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Run only the tests whose name matches
    #[arg(long, value_name = "REGEX")]
    run: Option<Regex>,
    /// Treat warnings as failures
    #[arg(long)]
    deny_warnings: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t = TestFormat::Human)]
    format: TestFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TestFormat {
    /// Failures, with expected and actual values side by side, and a summary
    #[value(alias = "text")]
    Human,
    /// JUnit XML
    Junit,
}

/// Why no test was run.
#[derive(Debug, thiserror::Error)]
enum TestError {
    #[error("no scenario files found: their names end in `.test.yaml`")]
    NoFiles,
    #[error("no test name matches `--run`")]
    NoMatch,
    #[error(transparent)]
    Unreadable(#[from] LoadError),
    #[error(transparent)]
    Rng(#[from] RngError),
}

pub(super) fn run(args: &TestArgs) -> Result<ExitCode, CliError> {
    let reports = reports(args).map_err(CliError::new)?;
    let broken = reports
        .iter()
        .filter(|report| !report.diagnostics.is_empty())
        .count();
    let ran: usize = reports.iter().map(|report| report.tests.len()).sum();
    let failed: usize = reports.iter().map(FileReport::failed).sum();
    let warnings = reports.iter().flat_map(FileReport::warnings).count();
    if ran == 0 && broken == 0 {
        return Err(CliError::new(TestError::NoMatch));
    }
    let written = match args.format {
        TestFormat::Human => {
            let files: String = reports.iter().map(ToString::to_string).collect();
            format!("{files}{}\n", summary(ran, failed, warnings, broken))
        }
        TestFormat::Junit => junit(&reports),
    };
    print(written)?;
    let is_failed = failed > 0 || (args.deny_warnings && warnings > 0);
    Ok(ExitCode::from(match (broken, is_failed) {
        (0, false) => DONE,
        (0, true) => FAILED,
        _ => UNUSABLE,
    }))
}

fn reports(args: &TestArgs) -> Result<Vec<FileReport>, TestError> {
    let files = scenario::find(&args.paths)?;
    if files.is_empty() {
        return Err(TestError::NoFiles);
    }
    let name = args.run.as_ref();
    files.into_iter().map(|file| report(file, name)).collect()
}

fn report(file: PathBuf, name: Option<&Regex>) -> Result<FileReport, TestError> {
    let loaded = scenario::load(&file)?;
    let is_selected = |test: &str| name.is_none_or(|name| name.is_match(test));
    let tests = match &loaded.test_file {
        Some(script) => scenario::run(script, is_selected)?,
        None => Vec::new(),
    };
    Ok(FileReport {
        file,
        diagnostics: loaded.diagnostics,
        tests,
    })
}

fn summary(ran: usize, failed: usize, warnings: usize, broken: usize) -> String {
    let mut summary = format!("{} passed, {failed} failed", ran - failed);
    match warnings {
        0 => {}
        1 => summary.push_str(", 1 warning"),
        many => summary.push_str(&format!(", {many} warnings")),
    }
    match broken {
        0 => {}
        1 => summary.push_str("; 1 file could not be run"),
        many => summary.push_str(&format!("; {many} files could not be run")),
    }
    summary
}
