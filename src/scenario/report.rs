//! What came of the tests, for people.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::policy::{Diagnostic, Position};

/// What came of one file.
#[derive(Clone, Debug)]
pub struct FileReport {
    /// The file.
    pub file: PathBuf,
    /// Why it could not be run; empty if it was.
    pub diagnostics: Vec<Diagnostic>,
    /// One per test that was run.
    pub tests: Vec<TestReport>,
}

/// What came of one test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestReport {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub position: Position,
    /// None if it passed.
    pub failure: Option<Failure>,
}

/// The step in which a test failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Where the step stands.
    pub position: Position,
    /// The request, without the values of secret keys.
    pub asked: String,
    /// The how manieth of how many alike it was.
    pub time: (u32, u32),
    /// When it was asked, in the test's time.
    pub at: String,
    /// At least one.
    pub differences: Vec<Difference>,
}

/// Something that is not as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What, such as `remaining`.
    pub what: String,
    /// What the test says.
    pub expected: String,
    /// What it is.
    pub got: String,
}

/// Longer values stand below each other, not side by side.
const SIDE_BY_SIDE: usize = 40;

impl FileReport {
    /// How many tests failed.
    pub fn failed(&self) -> usize {
        self.tests
            .iter()
            .filter(|test| test.failure.is_some())
            .count()
    }
}

impl Failure {
    /// In one line: what was asked, how often, when.
    pub fn head(&self) -> String {
        let nth = match self.time {
            (_, 1) => String::new(),
            (nth, of) => format!(", time {nth} of {of}"),
        };
        format!("ask {}{nth}, at {}", self.asked, self.at)
    }

    /// Side by side, or one below the other where that is too wide.
    pub fn table(&self) -> String {
        let width = |text: &str| text.chars().count();
        let is_wide = |difference: &&Difference| {
            let values = [&difference.expected, &difference.got];
            values
                .iter()
                .any(|text| width(text) > SIDE_BY_SIDE || text.contains('\n'))
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
