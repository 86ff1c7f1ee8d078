//! Policy files that must load, and policy files that must be rejected with certain diagnostics.
//!
//! The first lines of a good file are `# expect: LINE:COLUMN code` for each diagnostic; `-` means without a position.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

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
        .position
        .map(|at| format!("{}:{}", at.line, at.column));
    format!("{} {}", place.as_deref().unwrap_or("-"), diagnostic.code)
}

/// The difference between expected and actual diagnostics, and whether the file was rejected.
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

/// The output of `weir check` for a fixture; a folder whose name begins with `merged` is one domain.
fn check(fixture: &Path) -> (String, Option<i32>) {
    let name = fixture.file_name().unwrap().to_str().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policies/bad"))
        .env_remove("WEIR_MERGE_DOMAINS")
        .args(["check", "--color=never"])
        .args(name.starts_with("merged").then_some("--merge-domains"))
        .arg(name);
    let output = command.output().unwrap();
    (
        String::from_utf8(output.stdout).unwrap(),
        output.status.code(),
    )
}

/// Each has one fault, and a snapshot of the output beside it. `UPDATE_SNAPSHOTS=1` writes the snapshots.
#[test]
fn bad_files_are_rejected_as_in_their_snapshots() {
    let is_fixture = |file: &PathBuf| file.extension().is_none_or(|end| end != "snap");
    let update = std::env::var_os("UPDATE_SNAPSHOTS").is_some();
    let mut faults = Vec::new();
    for fixture in files("bad").into_iter().filter(is_fixture) {
        let (said, code) = check(&fixture);
        assert_eq!(code, Some(1), "{}: {said}", fixture.display());
        let findings = said.matches("error[").count() + said.matches("warning[").count();
        assert_eq!(said.matches("= help: ").count(), findings, "{said}");
        let snapshot = fixture.with_extension("snap");
        if update {
            std::fs::write(&snapshot, &said).unwrap();
        }
        let expected = std::fs::read_to_string(&snapshot).unwrap_or_default();
        if said != expected {
            let snapshot = snapshot.display();
            faults.push(format!("{snapshot}\n{expected}\nfound:\n{said}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

fn check_with(flags: &[&str], fixture: &str) -> (String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_weir"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policies"))
        .arg("check")
        .args(flags)
        .arg(fixture)
        .output()
        .unwrap();
    (
        String::from_utf8(output.stdout).unwrap(),
        output.status.code(),
    )
}

#[test]
fn denied_warnings_are_errors() {
    assert_eq!(check_with(&[], "good/warnings.yaml").1, Some(0));
    let denied = &["--deny-warnings"][..];
    assert_eq!(check_with(denied, "good/warnings.yaml").1, Some(1));
    assert_eq!(check_with(denied, "good/everything.yaml").1, Some(0));
}

#[test]
fn diagnostics_as_json() {
    let (said, code) = check_with(
        &["--format=json"],
        "bad/reference-misspelled-limit-key.yaml",
    );
    assert_eq!(code, Some(1));
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let expected = serde_json::json!({
        "errors": 1,
        "warnings": 0,
        "files": ["bad/reference-misspelled-limit-key.yaml"],
        "diagnostics": [{
            "severity": "error",
            "code": "unknown-key",
            "file": "bad/reference-misspelled-limit-key.yaml",
            "line": 4,
            "column": 30,
            "end_column": 47,
            "path": "descriptors[0].rate_limit",
            "message": "unknown key `requests_per_unti`",
            "help": "did you mean `requests_per_unit`?",
        }],
    });
    assert_eq!(said, expected);
}

#[test]
fn diagnostics_as_sarif() {
    let (said, code) = check_with(&["--format=sarif"], "good/warnings.yaml");
    assert_eq!(code, Some(0));
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["version"], "2.1.0");
    let run = &said["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let results = run["results"].as_array().unwrap();
    assert!(rules.len() > 5 && results.len() > rules.len());
    for result in results {
        let rule = &rules[result["ruleIndex"].as_u64().unwrap() as usize];
        assert_eq!(rule["id"], result["ruleId"]);
        assert_eq!(rule["defaultConfiguration"]["level"], result["level"]);
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "good/warnings.yaml");
        assert!(place["region"]["endColumn"].as_u64() > place["region"]["startColumn"].as_u64());
    }
}

#[test]
fn a_folder_without_policies_fails() {
    let folder = tempfile::tempdir().unwrap();
    let (said, code) = check_with(&[], folder.path().to_str().unwrap());
    assert!(said.contains("warning[empty-folder]"), "{said}");
    assert_eq!(code, Some(1));
}

/// Which takes time that grows with their number, not with its square.
#[test]
fn ten_thousand_files_are_loaded_from_a_folder_and_one_by_one() {
    const FILES: usize = 10_000;
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<PathBuf> = (0..FILES)
        .map(|number| folder.path().join(format!("{number:05}.yaml")))
        .collect();
    for (number, path) in names.iter().enumerate() {
        let limit = "rate_limit: {unit: hour, requests_per_unit: 1}";
        let text = format!("domain: d{number}\ndescriptors:\n  - {{key: k, {limit}}}\n");
        std::fs::write(path, text).unwrap();
    }
    for paths in [&[folder.path().to_owned()][..], &names] {
        let loaded = load(paths, LoadOptions::default()).unwrap();
        assert_eq!(loaded.diagnostics.len(), 0);
        assert_eq!(loaded.files, names);
        let policy = loaded.policy.unwrap();
        assert_eq!((policy.domain_count(), policy.rule_count()), (FILES, FILES));
    }
}
