//! The operations of an OpenAPI document, as path patterns.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

/// Why a document has no operations to take.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenApiError {
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    #[error("not an OpenAPI document in YAML or JSON")]
    Malformed(#[from] serde_yaml::Error),
    #[error("the document has no `paths` with operations")]
    Empty,
}

/// The parts of a document that are read.
#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    #[expect(
        clippy::zero_sized_map_values,
        reason = "serde reads a set from a list only, and these are mappings"
    )]
    paths: BTreeMap<String, BTreeMap<String, IgnoredAny>>,
    /// OpenAPI 3: addresses, which may end in a path.
    #[serde(default)]
    servers: Vec<ServerEntry>,
    /// OpenAPI 2.
    #[serde(default, rename = "basePath")]
    base_path: String,
}

#[derive(Deserialize)]
struct ServerEntry {
    url: String,
}

/// The methods that a document can describe; other keys of a path are not operations.
const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

/// Patterns such as `GET|HEAD /orders/{id}`, and the paths that no pattern can express.
pub(super) fn operations(file: &Path) -> Result<(Vec<String>, Vec<String>), OpenApiError> {
    from_text(&fs::read_to_string(file)?)
}

fn from_text(text: &str) -> Result<(Vec<String>, Vec<String>), OpenApiError> {
    let document: Document = serde_yaml::from_str(text)?;
    let prefix = prefix(&document);
    let (mut patterns, mut left_out) = (Vec::new(), Vec::new());
    for (path, item) in &document.paths {
        let Some(path) = pattern(&format!("{prefix}{path}")) else {
            left_out.push(path.clone());
            continue;
        };
        let has_head = item.contains_key("head");
        for method in METHODS.iter().filter(|method| item.contains_key(**method)) {
            // HEAD does the work of a GET, and counts as one.
            let methods = match *method {
                "get" if !has_head => "GET|HEAD".to_owned(),
                other => other.to_ascii_uppercase(),
            };
            patterns.push(format!("{methods} {path}"));
        }
    }
    match patterns.is_empty() && left_out.is_empty() {
        true => Err(OpenApiError::Empty),
        false => Ok((patterns, left_out)),
    }
}

/// The path before all paths of the document.
fn prefix(document: &Document) -> String {
    let server = document.servers.first().map(|server| server.url.as_str());
    let path = match server {
        None => document.base_path.as_str(),
        Some(url) => match url.split_once("://") {
            None => url,
            Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
        },
    };
    let path = path.trim_end_matches('/');
    match path.starts_with('/') && !path.contains('{') {
        true => path.to_owned(),
        false => String::new(),
    }
}

/// The path as a pattern; `None` if a parameter is only a part of a segment, or the path has characters that need quotes.
fn pattern(path: &str) -> Option<String> {
    if !path.starts_with('/')
        || path.contains(['"', '\\', '?', '*', ' '])
        || path.contains(char::is_control)
    {
        return None;
    }
    let path = path.trim_end_matches('/');
    let mut names: Vec<String> = Vec::new();
    let mut segments = Vec::new();
    for segment in path.split('/').skip(1) {
        let inner = segment
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        let Some(inner) = inner else {
            if segment.is_empty() || segment.contains(['{', '}']) {
                return None;
            }
            segments.push(segment.to_owned());
            continue;
        };
        if inner.is_empty() || inner.contains(['{', '}']) {
            return None;
        }
        let letter = |letter: char| match letter.is_ascii_alphanumeric() || "_-".contains(letter) {
            true => letter,
            false => '_',
        };
        let mut name: String = inner.chars().map(letter).collect();
        // `method` has a meaning of its own, and each name occurs once.
        while name == "method" || names.contains(&name) {
            name.push('_');
        }
        segments.push(format!("{{{name}}}"));
        names.push(name);
    }
    Some(format!("/{}", segments.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_methods_become_patterns() {
        let (patterns, left_out) = from_text(
            "openapi: 3.1.0
servers: [{url: https://api.example.com/v1/}]
paths:
  /orders:
    summary: Orders
    get: {responses: {}}
    post: {responses: {}}
  /orders/{order.id}/items/{method}:
    get: {}
    head: {}
  /files/{name}.json:
    get: {}
",
        )
        .unwrap();
        assert_eq!(
            patterns,
            [
                "GET|HEAD /v1/orders",
                "POST /v1/orders",
                "GET /v1/orders/{order_id}/items/{method_}",
                "HEAD /v1/orders/{order_id}/items/{method_}",
            ]
        );
        assert_eq!(left_out, ["/files/{name}.json"]);
    }

    #[test]
    fn json_and_older_documents_are_read() {
        let (patterns, _) =
            from_text(r#"{"swagger": "2.0", "basePath": "/api", "paths": {"/": {"delete": {}}}}"#)
                .unwrap();
        assert_eq!(patterns, ["DELETE /api"]);
        let (patterns, _) = from_text("paths: {/: {get: {}}}").unwrap();
        assert_eq!(patterns, ["GET|HEAD /"]);
    }

    #[test]
    fn other_texts_are_rejected() {
        for text in [
            "",
            "[]",
            "a: b",
            "paths: {}",
            "paths: [",
            "paths: {/a: {x-note: 1}}",
        ] {
            assert!(from_text(text).is_err(), "{text}");
        }
    }
}
