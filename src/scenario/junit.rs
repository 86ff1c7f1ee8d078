//! The results of tests as JUnit XML, for CI systems.

use std::fmt::Write as _;

use super::report::{FileReport, TestReport};

/// Formats all reports as one document. A file that could not be run is a test case with an error.
pub fn junit(reports: &[FileReport]) -> String {
    let mut suites = String::new();
    let (mut tests, mut failed, mut broken) = (0, 0, 0);
    for report in reports {
        let errors = usize::from(!report.diagnostics.is_empty());
        let ran = report.tests.len() + errors;
        let name = escape_xml(&report.file.display().to_string());
        let failures = report.failed();
        let head = format!("name=\"{name}\" tests=\"{ran}\" failures=\"{failures}\"");
        let cases: String = report
            .tests
            .iter()
            .map(|test| case(report, test, &name))
            .collect();
        let error = match errors {
            0 => String::new(),
            _ => error_case(report, &name),
        };
        // Writing to a String is infallible.
        let _ = writeln!(
            suites,
            "  <testsuite {head} errors=\"{errors}\">\n{cases}{error}{}  </testsuite>",
            warnings(report)
        );
        tests += ran;
        failed += failures;
        broken += errors;
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites name=\"weir test\" tests=\"{tests}\" failures=\"{failed}\" errors=\"{broken}\">\n\
         {suites}</testsuites>\n"
    )
}

fn case(report: &FileReport, test: &TestReport, file: &str) -> String {
    let (name, line) = (escape_xml(&test.name), test.position.line);
    let head = format!(
        "    <testcase classname=\"{file}\" name=\"{name}\" file=\"{file}\" line=\"{line}\""
    );
    let Some(failure) = &test.failure else {
        return format!("{head}/>\n");
    };
    let message = escape_xml(&failure.head());
    let text = escape_xml(&format!(
        "{}\n{}",
        failure.position(&report.file),
        failure.table()
    ));
    format!("{head}>\n      <failure message=\"{message}\">{text}</failure>\n    </testcase>\n")
}

/// JUnit has no element for warnings.
fn warnings(report: &FileReport) -> String {
    let all: Vec<String> = report.warnings().map(ToString::to_string).collect();
    match all.is_empty() {
        true => String::new(),
        false => format!(
            "    <system-err>{}</system-err>\n",
            escape_xml(&all.join("\n"))
        ),
    }
}

fn error_case(report: &FileReport, file: &str) -> String {
    let all: Vec<String> = report.diagnostics.iter().map(ToString::to_string).collect();
    let text = escape_xml(&all.join("\n"));
    format!(
        "    <testcase classname=\"{file}\" name=\"{file}\" file=\"{file}\">\n      \
         <error message=\"could not be run\">{text}</error>\n    </testcase>\n"
    )
}

/// Escapes text for an attribute or an element; characters that XML does not allow become U+FFFD.
fn escape_xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push('\n'),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {
                escaped.push('\u{fffd}');
            }
            c => escaped.push(c),
        }
    }
    escaped
}
