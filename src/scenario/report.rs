//! The results of tests, and their text form.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::policy::{Diagnostic, Position};

/// The results of one file.
#[derive(Clone, Debug)]
pub struct FileReport {
    /// The file.
    pub file: PathBuf,
    /// Errors in the file or in its policies; if there are any, no test was run.
    pub diagnostics: Vec<Diagnostic>,
    /// One per test that was run.
    pub tests: Vec<TestReport>,
}

/// The result of one test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestReport {
    /// The name of the test.
    pub name: String,
    /// The position of the test in the file.
    pub position: Position,
    /// The first failure; `None` if the test passed.
    pub failure: Option<Failure>,
    /// Steps that may pass for another reason than was meant.
    pub warnings: Vec<Diagnostic>,
}

/// The step in which a test failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The position of the step in the file.
    pub position: Position,
    /// The request as text, without hidden values.
    pub request: String,
    /// The number of the call that failed, from 1.
    pub call: u32,
    /// The number of calls that the step makes.
    pub calls: u32,
    /// The time of the call on the test's clock, in RFC 3339.
    pub at: String,
    /// At least one difference.
    pub differences: Vec<Difference>,
}

/// A property of an answer that is not as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The property, such as `remaining`.
    pub what: String,
    /// The expected value.
    pub expected: String,
    /// The actual value.
    pub got: String,
}

/// The longest value that is shown side by side with the expected one, in characters.
const MAX_SIDE_BY_SIDE: usize = 40;

impl FileReport {
    /// The number of tests that failed.
    pub fn failed(&self) -> usize {
        self.tests
            .iter()
            .filter(|test| test.failure.is_some())
            .count()
    }

    /// The warnings of all tests.
    pub fn warnings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.tests.iter().flat_map(|test| &test.warnings)
    }
}

impl Failure {
    /// The request, the call and the time in one line.
    pub fn head(&self) -> String {
        let call = match self.calls {
            1 => String::new(),
            calls => format!(", call {} of {calls}", self.call),
        };
        format!("ask {}{call}, at {}", self.request, self.at)
    }

    /// Expected and actual values, side by side or, if they are long, one below the other.
    pub fn table(&self) -> String {
        let width = |text: &str| text.chars().count();
        let is_wide = |difference: &&Difference| {
            let values = [&difference.expected, &difference.got];
            values
                .iter()
                .any(|text| width(text) > MAX_SIDE_BY_SIDE || text.contains('\n'))
        };
        let (wide, narrow): (Vec<_>, Vec<_>) = self.differences.iter().partition(is_wide);
        let mut text = String::new();
        if !narrow.is_empty() {
            let first = narrow.iter().map(|row| width(&row.what)).max().unwrap_or(0);
            let second = narrow
                .iter()
                .map(|row| width(&row.expected))
                .max()
                .unwrap_or(0);
            let second = second.max("expected".len());
            let mut line = |what: &str, expected: &str, got: &str| {
                text.push_str(&format!("{what:first$}  {expected:second$}  {got}\n"));
            };
            line("", "expected", "got");
            for row in narrow {
                line(&row.what, &row.expected, &row.got);
            }
        }
        for row in wide {
            let (what, expected, got) = (&row.what, &row.expected, &row.got);
            text.push_str(&format!(
                "{what}\n  expected  {expected}\n  got       {got}\n"
            ));
        }
        text
    }

    /// `FILE:LINE:COLUMN`.
    pub fn position(&self, file: &Path) -> String {
        format!(
            "{}:{}:{}",
            file.display(),
            self.position.line,
            self.position.column
        )
    }
}

impl fmt::Display for FileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        if !self.diagnostics.is_empty() {
            writeln!(f, "{file}: could not be run")?;
            for diagnostic in &self.diagnostics {
                writeln!(f, "{diagnostic}")?;
            }
            return Ok(());
        }
        let (ran, failed) = (self.tests.len(), self.failed());
        match failed {
            0 => writeln!(f, "{file}: {ran} passed")?,
            _ => writeln!(f, "{file}: {} passed, {failed} failed", ran - failed)?,
        }
        for warning in self.warnings() {
            writeln!(f, "{warning}")?;
        }
        for test in &self.tests {
            let Some(failure) = &test.failure else {
                continue;
            };
            writeln!(f, "\n{}: {}", failure.position(&self.file), test.name)?;
            writeln!(f, "  {}", failure.head())?;
            for line in failure.table().lines() {
                writeln!(f, "    {}", line.trim_end())?;
            }
        }
        if failed > 0 {
            writeln!(f)?;
        }
        Ok(())
    }
}
