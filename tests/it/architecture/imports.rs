//! `docs/architecture.md` has tables of who may import whom; the code must match them.

use std::fs;

use super::root;
use super::source::{is_name, sources, tokens};

/// A row of a table: the names between backticks in its left and in its right cell.
struct Row {
    left: Vec<String>,
    right: Vec<String>,
}

#[test]
fn modules_import_only_what_the_document_allows() {
    let rows = table("module");
    let sources = sources();
    let mut wrong = Vec::new();
    for source in &sources {
        let row = rows
            .iter()
            .filter(|row| starts_with(&source.module, &row.left[0]))
            .max_by_key(|row| row.left[0].len());
        let Some(row) = row else {
            // lib.rs has no row and imports nothing.
            let imports = source.paths();
            assert!(imports.is_empty(), "{:?}: {imports:?}", source.file);
            continue;
        };
        for path in source.paths() {
            if !allowed(row, &path) {
                wrong.push(format!("{}: {}", source.file.display(), path.join("::")));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "not allowed by docs/architecture.md:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_module_has_a_row() {
    let rows = table("module");
    for source in sources().iter().filter(|source| !source.module.is_empty()) {
        let covered = rows
            .iter()
            .any(|row| starts_with(&source.module, &row.left[0]));
        assert!(covered, "{} is in no row", source.module.join("::"));
    }
}

#[test]
fn crates_are_named_only_at_home() {
    let rows = table("crate");
    assert!(rows.len() >= 5);
    let mut wrong = Vec::new();
    for source in sources() {
        if source
            .module
            .first()
            .is_some_and(|module| module == "proto")
        {
            continue;
        }
        let tokens = tokens(&source.text);
        for row in &rows {
            for name in &row.left {
                let home = row
                    .right
                    .iter()
                    .any(|home| starts_with(&source.module, home));
                if !home && names(&tokens, name) {
                    wrong.push(format!("{}: {name}", source.file.display()));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "not allowed by docs/architecture.md:\n{}",
        wrong.join("\n")
    );
}

fn allowed(row: &Row, path: &[String]) -> bool {
    let own = starts_with(path, &row.left[0]);
    let right = row.right.iter().any(|module| starts_with(path, module));
    own || right
}

/// Whether a path begins with that module: `server::grpc` begins with `server`.
fn starts_with(path: &[String], module: &str) -> bool {
    let module: Vec<&str> = module.split("::").collect();
    path.len() >= module.len() && path.iter().zip(&module).all(|(have, want)| have == want)
}

/// The table of the document whose first heading is this.
fn table(heading: &str) -> Vec<Row> {
    let document = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let start = format!("| {heading} |");
    let rows: Vec<Row> = document
        .lines()
        .skip_while(|line| !line.starts_with(&start))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
            Row {
                left: quoted(cells[0]),
                right: quoted(cells[1]),
            }
        })
        .collect();
    assert!(!rows.is_empty(), "no table {heading:?}");
    rows
}

/// The names between backticks.
fn quoted(cell: &str) -> Vec<String> {
    let between = |(index, part): (usize, &str)| (index % 2 == 1).then(|| part.to_owned());
    cell.split('`').enumerate().filter_map(between).collect()
}

/// Whether a source names that crate, as a path or in a `use`.
fn names(tokens: &[&str], name: &str) -> bool {
    (0..tokens.len()).any(|at| {
        let begins = at == 0 || tokens[at - 1] != "::" || at == 1 || !is_name(tokens[at - 2]);
        let used = at > 0 && tokens[at - 1] == "use";
        tokens[at] == name && begins && (used || tokens.get(at + 1) == Some(&"::"))
    })
}
