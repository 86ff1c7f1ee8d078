//! The scenarios of the shipped policies, and those that say what weir does.

use std::path::{Path, PathBuf};

use weir::scenario::{self, FileReport};

fn reports(folder: &str) -> Vec<FileReport> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = scenario::find(&[folder]).unwrap();
    let report = |file: PathBuf| {
        let loaded = scenario::load(&file).unwrap();
        let run = |script| scenario::run(&script, |_| true).unwrap();
        FileReport {
            diagnostics: loaded.diagnostics,
            tests: loaded.script.map(run).unwrap_or_default(),
            file,
        }
    };
    files.into_iter().map(report).collect()
}

fn all_pass(reports: &[FileReport]) {
    let bad: String = reports
        .iter()
        .filter(|report| report.failed() > 0 || !report.diagnostics.is_empty())
        .map(ToString::to_string)
        .collect();
    assert!(bad.is_empty(), "{bad}");
}

#[test]
fn the_shipped_policies_keep_their_promises() {
    all_pass(&reports("config"));
}
