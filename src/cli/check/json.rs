//! Diagnostics for programs: one JSON document.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::Summary;
use super::human::shown;
use crate::policy::{Diagnostic, Excerpt, Loaded};

pub(super) fn write(loaded: &Loaded, summary: &Summary, out: &mut impl Write) -> io::Result<()> {
    let shown = shown(loaded);
    let diagnostics = loaded.diagnostics.iter().zip(&shown);
    let files = loaded.files.iter().map(|file| file.to_string_lossy());
    let document = json!({
        "errors": summary.errors,
        "warnings": summary.warnings,
        "files": files.collect::<Vec<_>>(),
        "diagnostics": diagnostics.map(object).collect::<Vec<_>>(),
    });
    writeln!(out, "{document:#}")
}

fn object((diagnostic, excerpt): (&Diagnostic, &Option<Excerpt>)) -> Value {
    json!({
        "severity": diagnostic.severity.to_string(),
        "code": diagnostic.code.as_str(),
        "file": diagnostic.file.to_string_lossy(),
        "line": diagnostic.place.map(|place| place.line),
        "column": diagnostic.place.map(|place| place.column),
        "end_column": excerpt.as_ref().map(|excerpt| excerpt.end_column),
        "path": diagnostic.path,
        "message": diagnostic.message,
        "hint": diagnostic.hint,
    })
}
