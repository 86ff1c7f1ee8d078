//! `weir check`: everything that is wrong with policies, without serving them.

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{CliError, DONE, FAILED};
use crate::policy::{self, Diagnostic, LoadOptions, Loaded, Severity};

/// The arguments of `weir check`.
#[derive(Args, Clone, Debug)]
pub(super) struct CheckArgs {
    /// Policy files, and folders of them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Take files of the same domain for one
    #[arg(long, env = "WEIR_MERGE_DOMAINS")]
    merge_domains: bool,
}

/// How much was found.
pub(super) struct Summary {
    errors: usize,
    warnings: usize,
    files: usize,
}

impl CheckArgs {
    fn load_options(&self) -> LoadOptions {
        LoadOptions {
            merge_domains: self.merge_domains,
        }
    }
}

pub(super) fn run(args: &CheckArgs) -> Result<ExitCode, CliError> {
    let loaded = policy::load(&args.paths, args.load_options()).map_err(CliError::new)?;
    let summary = Summary::of(&loaded);
    let written = report(&loaded.diagnostics, &summary, &mut io::stdout().lock());
    match written {
        // Whoever reads, such as `head`, has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written.map_err(CliError::new)?,
    }
    Ok(ExitCode::from(if summary.errors == 0 {
        DONE
    } else {
        FAILED
    }))
}

fn report(diagnostics: &[Diagnostic], summary: &Summary, out: &mut impl Write) -> io::Result<()> {
    for diagnostic in diagnostics {
        writeln!(out, "{diagnostic}")?;
    }
    writeln!(out, "{summary}")?;
    out.flush()
}

impl Summary {
    pub(super) fn of(loaded: &Loaded) -> Self {
        let count = |severity| {
            let of_it = |diagnostic: &&Diagnostic| diagnostic.severity == severity;
            loaded.diagnostics.iter().filter(of_it).count()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnostic(severity: Severity) -> Diagnostic {
        Diagnostic {
            severity,
            code: policy::Code::UnknownKey,
            file: "a.yaml".into(),
            place: None,
            path: String::new(),
            message: "no such key".to_owned(),
            hint: None,
        }
    }

    #[test]
    fn a_report_ends_with_a_count() {
        let loaded = Loaded {
            policy: None,
            diagnostics: vec![
                diagnostic(Severity::Error),
                diagnostic(Severity::Warning),
                diagnostic(Severity::Error),
            ],
            files: vec!["a.yaml".into(), "b.yaml".into(), "c.yaml".into()],
        };
        let mut out = Vec::new();
        report(&loaded.diagnostics, &Summary::of(&loaded), &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "a.yaml: error[unknown-key]: no such key\n\
             a.yaml: warning[unknown-key]: no such key\n\
             a.yaml: error[unknown-key]: no such key\n\
             2 errors, 1 warning in 3 files\n"
        );
    }
}
