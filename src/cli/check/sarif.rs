//! Diagnostics for code scanning: SARIF 2.1.0.
//! <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::excerpts_of;
use crate::policy::{Diagnostic, DiagnosticCode, Excerpt, LoadedPolicy, Severity};

pub(super) fn render(loaded: &LoadedPolicy) -> String {
    let excerpts = excerpts_of(loaded);
    let codes: BTreeSet<DiagnosticCode> =
        loaded.diagnostics.iter().map(|found| found.code).collect();
    let codes: Vec<DiagnosticCode> = codes.into_iter().collect();
    let results = loaded.diagnostics.iter().zip(&excerpts);
    let results = results.map(|(diagnostic, excerpt)| {
        let rule = codes.binary_search(&diagnostic.code).ok();
        result(diagnostic, excerpt.as_ref(), rule)
    });
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": env!("CARGO_PKG_NAME"),
                "version": env!("CARGO_PKG_VERSION"),
                "rules": codes.iter().map(rule).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results.collect::<Vec<_>>(),
        }],
    });
    format!("{document:#}\n")
}

fn rule(code: &DiagnosticCode) -> Value {
    json!({
        "id": code.as_str(),
        "shortDescription": {"text": code.meaning()},
        "defaultConfiguration": {"level": level(code.severity())},
    })
}

fn result(diagnostic: &Diagnostic, excerpt: Option<&Excerpt>, rule: Option<usize>) -> Value {
    let text = format!("{} ({})", diagnostic.message, diagnostic.help);
    let mut physical = json!({"artifactLocation": {"uri": uri(&diagnostic.file)}});
    if let Some(position) = diagnostic.position {
        physical["region"] = json!({"startLine": position.line, "startColumn": position.column});
        if let Some(excerpt) = excerpt {
            physical["region"]["endColumn"] = excerpt.end_column.into();
        }
    }
    let mut location = json!({"physicalLocation": physical});
    if !diagnostic.path.is_empty() {
        location["logicalLocations"] = json!([{"fullyQualifiedName": diagnostic.path}]);
    }
    json!({
        "ruleId": diagnostic.code.as_str(),
        "ruleIndex": rule,
        "level": level(diagnostic.severity),
        "message": {"text": text},
        "locations": [location],
    })
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// The path as a URI: relative if the path is.
fn uri(file: &Path) -> String {
    let mut uri = String::new();
    if file.is_absolute() {
        uri.push_str("file://");
    }
    for byte in file.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn a_path_becomes_a_uri() {
        assert_eq!(uri("a/b c.yaml".as_ref()), "a/b%20c.yaml");
        assert_eq!(uri("/a/é.yaml".as_ref()), "file:///a/%C3%A9.yaml");
    }
}
