//! Diagnostics as one JSON document.

use serde_json::{Value, json};

use super::{Summary, excerpts_of};
use crate::policy::{Diagnostic, Excerpt, LoadedPolicy};

pub(super) fn render(loaded: &LoadedPolicy, summary: &Summary) -> String {
    let excerpts = excerpts_of(loaded);
    let diagnostics = loaded.diagnostics.iter().zip(&excerpts);
    let files = loaded.files.iter().map(|file| file.to_string_lossy());
    let document = json!({
        "errors": summary.errors,
        "warnings": summary.warnings,
        "files": files.collect::<Vec<_>>(),
        "diagnostics": diagnostics.map(object).collect::<Vec<_>>(),
    });
    format!("{document:#}\n")
}

fn object((diagnostic, excerpt): (&Diagnostic, &Option<Excerpt>)) -> Value {
    json!({
        "severity": diagnostic.severity.to_string(),
        "code": diagnostic.code.as_str(),
        "file": diagnostic.file.to_string_lossy(),
        "line": diagnostic.position.map(|position| position.line),
        "column": diagnostic.position.map(|position| position.column),
        "end_column": excerpt.as_ref().map(|excerpt| excerpt.end_column),
        "path": diagnostic.path,
        "message": diagnostic.message,
        "help": diagnostic.help,
    })
}
