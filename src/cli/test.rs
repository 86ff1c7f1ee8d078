//! `weir test`: runs policy tests in virtual time.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use regex_lite::Regex;

use super::output::print;
use super::{CliError, DONE, FAILED, UNUSABLE};
use crate::scenario::{self, FileReport, junit};

/// The arguments of `weir test`.
#[derive(Args, Clone, Debug)]
pub(super) struct TestArgs {
    /// Scenario files and folders of them (`*.test.yaml`)
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Run only the tests whose name matches
    #[arg(long, value_name = "REGEX")]
    run: Option<Regex>,
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

pub(super) fn run(args: &TestArgs) -> Result<ExitCode, CliError> {
    let files = scenario::find(&args.paths).map_err(CliError::new)?;
    if files.is_empty() {
        return Err(CliError::new(
            "no scenario files found: their names end in `.test.yaml`",
        ));
    }
    let mut reports = Vec::with_capacity(files.len());
    for file in files {
        reports.push(report(file, args.run.as_ref())?);
    }
    let broken = reports
        .iter()
        .filter(|report| !report.diagnostics.is_empty())
        .count();
    let ran: usize = reports.iter().map(|report| report.tests.len()).sum();
    let failed: usize = reports.iter().map(FileReport::failed).sum();
    if ran == 0 && broken == 0 {
        return Err(CliError::new("no test name matches `--run`"));
    }
    let written = match args.format {
        TestFormat::Human => {
            let files: String = reports.iter().map(ToString::to_string).collect();
            format!("{files}{}\n", summary(ran, failed, broken))
        }
        TestFormat::Junit => junit(&reports),
    };
    print(written)?;
    Ok(ExitCode::from(match (broken, failed) {
        (0, 0) => DONE,
        (0, _) => FAILED,
        _ => UNUSABLE,
    }))
}

fn report(file: PathBuf, name: Option<&Regex>) -> Result<FileReport, CliError> {
    let loaded = scenario::load(&file).map_err(CliError::new)?;
    let is_selected = |test: &str| name.is_none_or(|name| name.is_match(test));
    let tests = match &loaded.test_file {
        Some(script) => scenario::run(script, is_selected).map_err(CliError::new)?,
        None => Vec::new(),
    };
    Ok(FileReport {
        file,
        diagnostics: loaded.diagnostics,
        tests,
    })
}

fn summary(ran: usize, failed: usize, broken: usize) -> String {
    let mut summary = format!("{} passed, {failed} failed", ran - failed);
    match broken {
        0 => {}
        1 => summary.push_str("; 1 file could not be run"),
        many => summary.push_str(&format!("; {many} files could not be run")),
    }
    summary
}
