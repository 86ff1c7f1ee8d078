//! Policy files as data: what the good ones may say, and what the bad ones must.
//!
//! A file's first lines say `# expect: LINE:COLUMN code` for each diagnostic, `-` for no place.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use weir::policy::{Diagnostic, LoadOptions, Severity, load};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/policies")
        .join(folder);
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn expected(file: &Path) -> BTreeSet<String> {
    let bytes = std::fs::read(file).unwrap();
    String::from_utf8_lossy(&bytes)
        .lines()
        .filter_map(|line| line.strip_prefix("# expect: ").map(str::to_owned))
        .collect()
}

fn found(diagnostic: &Diagnostic) -> String {
    let place = diagnostic
        .place
        .map(|place| format!("{}:{}", place.line, place.column));
    format!("{} {}", place.as_deref().unwrap_or("-"), diagnostic.code)
}

/// What a file says that it should not, and the other way round; and whether it was refused.
fn compare(file: &Path) -> (Option<String>, bool) {
    let loaded = load(&[file.to_owned()], LoadOptions::default()).unwrap();
    let is_error = |found: &Diagnostic| found.severity == Severity::Error;
    let refused = loaded.diagnostics.iter().any(is_error);
    assert_eq!(loaded.policy.is_none(), refused);
    let got: BTreeSet<String> = loaded.diagnostics.iter().map(found).collect();
    let expected = expected(file);
    if got == expected && loaded.diagnostics.len() == expected.len() {
        return (None, refused);
    }
    let all: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
    let fault = format!(
        "{}\nexpected {expected:#?}, found:\n{}",
        file.display(),
        all.join("\n")
    );
    (Some(fault), refused)
}

#[test]
fn good_files_are_loaded_with_the_warnings_they_expect() {
    let mut faults = Vec::new();
    for file in files("good") {
        let (fault, refused) = compare(&file);
        assert!(!refused || fault.is_some(), "{} is refused", file.display());
        faults.extend(fault);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

#[test]
fn bad_files_are_refused_for_what_they_expect() {
    let mut faults = Vec::new();
    for file in files("bad") {
        let (fault, refused) = compare(&file);
        assert!(
            refused || fault.is_some(),
            "{} is not refused",
            file.display()
        );
        faults.extend(fault);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}
