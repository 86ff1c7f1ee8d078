//! `docs/architecture.md` says who may import whom; this holds the code to it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A row of a table of the document: what stands between backticks on the left and on the right.
struct Row {
    left: Vec<String>,
    right: Vec<String>,
    /// Only types whose names end in this may be taken.
    only_configs: bool,
}

/// A source file: its module's path, and its text without comments, text literals and tests.
struct Source {
    file: PathBuf,
    module: Vec<String>,
    text: String,
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
            let imports = crate_paths(source);
            assert!(imports.is_empty(), "{:?}: {imports:?}", source.file);
            continue;
        };
        for path in crate_paths(source) {
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
        for row in &rows {
            for name in &row.left {
                let home = row
                    .right
                    .iter()
                    .any(|home| starts_with(&source.module, home));
                if !home && names(&source.text, name) {
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
    let config = path.last().is_some_and(|name| name.ends_with("Config"));
    own || right && (!row.only_configs || config)
}

/// Whether a path begins with that module: `server::grpc` begins with `server`.
fn starts_with(path: &[String], module: &str) -> bool {
    let module: Vec<&str> = module.split("::").collect();
    path.len() >= module.len() && path.iter().zip(&module).all(|(have, want)| have == want)
}

/// The table of the document whose first heading is this.
fn table(heading: &str) -> Vec<Row> {
    let document = fs::read_to_string(Path::new(ROOT).join("docs/architecture.md")).unwrap();
    let start = format!("| {heading} |");
    let rows: Vec<Row> = document
        .lines()
        .skip_while(|line| !line.starts_with(&start))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
            let (left, right) = (quoted(cells[0]), quoted(cells[1]));
            let only_configs = right.contains(&"Config".to_owned());
            let right = right.into_iter().filter(|name| name != "Config").collect();
            Row {
                left,
                right,
                only_configs,
            }
        })
        .collect();
    assert!(!rows.is_empty(), "no table {heading:?}");
    rows
}

/// What stands between backticks.
fn quoted(cell: &str) -> Vec<String> {
    let between = |(index, part): (usize, &str)| (index % 2 == 1).then(|| part.to_owned());
    cell.split('`').enumerate().filter_map(between).collect()
}

fn sources() -> Vec<Source> {
    let root = Path::new(ROOT).join("src");
    let mut folders = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for file in fs::read_dir(folder).unwrap() {
            let file = file.unwrap().path();
            if file.is_dir() {
                folders.push(file);
            } else if file.extension().is_some_and(|extension| extension == "rs") {
                let module = module(file.strip_prefix(&root).unwrap());
                // `tests.rs` and what is below it is `#[cfg(test)]` where it is declared.
                if !module.contains(&"tests".to_owned()) {
                    let text = without_tests(&without_prose(&fs::read_to_string(&file).unwrap()));
                    sources.push(Source { file, module, text });
                }
            }
        }
    }
    assert!(sources.len() > 20);
    sources
}

/// `server/grpc.rs` is `server::grpc`; lib.rs is the root.
fn module(file: &Path) -> Vec<String> {
    let path = file.with_extension("");
    let names = path.iter().map(|name| name.to_str().unwrap().to_owned());
    names
        .filter(|name| name != "lib" && name != "mod")
        .collect()
}

/// The paths in this crate that a source names: `crate::a::{b, c::D}` is `a::b` and `a::c::D`.
fn crate_paths(source: &Source) -> BTreeSet<Vec<String>> {
    let mut paths = BTreeSet::new();
    let tokens = tokens(&source.text);
    let root = |token: &str| token == "crate" || (token == "weir" && source.module == ["main"]);
    for start in 0..tokens.len() {
        if root(tokens[start]) && tokens.get(start + 1) == Some(&"::") {
            collect(&tokens, start + 2, &[], &mut paths);
        }
        if tokens[start] == "super" && (start == 0 || tokens[start - 1] != "::") {
            let levels = tokens[start..]
                .chunks(2)
                .take_while(|pair| *pair == ["super", "::"])
                .count();
            // An inline module stands one lower than its file, but a path that leaves it is still named in full.
            let Some(depth) = source.module.len().checked_sub(levels) else {
                panic!("{:?} reaches the root by super: write crate", source.file);
            };
            let parent = &source.module[..depth];
            collect(&tokens, start + 2 * levels, parent, &mut paths);
        }
    }
    paths
}

/// Reads a path or a tree of paths from `at` on; returns where it ends.
fn collect(
    tokens: &[&str],
    mut at: usize,
    prefix: &[String],
    paths: &mut BTreeSet<Vec<String>>,
) -> usize {
    let mut path = prefix.to_vec();
    loop {
        match tokens.get(at) {
            Some(&"{") => {
                at += 1;
                while tokens.get(at).is_some_and(|token| *token != "}") {
                    let next = collect(tokens, at, &path, paths);
                    // A comma, or something that begins no path.
                    at = next.max(at + 1);
                    if tokens.get(at) == Some(&",") {
                        at += 1;
                    }
                }
                return at + 1;
            }
            Some(&"self" | &"*") => at += 1,
            Some(name) if is_name(name) => {
                path.push((*name).to_owned());
                at += 1;
            }
            _ => {}
        }
        if tokens.get(at) != Some(&"::") {
            break;
        }
        at += 1;
    }
    // `as name`, inside a group, is no path.
    if tokens.get(at) == Some(&"as") {
        at += 2;
    }
    if !path.is_empty() {
        paths.insert(path);
    }
    at
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Whether a text names that crate, as a path or in a `use`.
fn names(text: &str, name: &str) -> bool {
    let tokens = tokens(text);
    (0..tokens.len()).any(|at| {
        let begins = at == 0 || tokens[at - 1] != "::" || at == 1 || !is_name(tokens[at - 2]);
        let used = at > 0 && tokens[at - 1] == "use";
        tokens[at] == name && begins && (used || tokens.get(at + 1) == Some(&"::"))
    })
}

/// Names, `::`, and every other character that is no space.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if first.is_alphanumeric() || first == '_' {
            rest.find(|it: char| !it.is_alphanumeric() && it != '_')
                .unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    tokens
}

/// A source without comments, and with its text literals empty.
fn without_prose(source: &str) -> String {
    let mut out = String::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(hashes) = raw_string(rest) {
            let close = format!("\"{}", "#".repeat(hashes));
            let open = hashes + 2;
            rest[open..].find(&close).unwrap() + open + close.len()
        } else if first == '"' {
            string_end(rest)
        } else if first == '\'' {
            char_end(rest)
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        out.push(' ');
        rest = &rest[skipped..];
    }
    out
}

/// How many `#` a raw string has that begins here.
fn raw_string(rest: &str) -> Option<usize> {
    let hashes = rest.strip_prefix('r')?;
    let quote = hashes.trim_start_matches('#');
    quote.starts_with('"').then_some(hashes.len() - quote.len())
}

fn string_end(rest: &str) -> usize {
    let mut escaped = false;
    for (at, it) in rest.char_indices().skip(1) {
        match it {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// A character, or the mark of a lifetime.
fn char_end(rest: &str) -> usize {
    let mut characters = rest.char_indices().skip(1);
    match (characters.next(), characters.next()) {
        (Some((_, '\\')), Some((escaped, _))) => {
            let after = escaped + 1;
            rest[after..].find('\'').map_or(1, |end| after + end + 1)
        }
        (Some(_), Some((end, '\''))) => end + 1,
        _ => 1,
    }
}

/// A source without the items that are `#[cfg(test)]`.
fn without_tests(source: &str) -> String {
    let mut out = String::new();
    let mut rest = source;
    while let Some(start) = rest.find("#[cfg(test)]") {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let body = rest.find(['{', ';']).unwrap_or(rest.len());
        if rest[body..].starts_with('{') {
            let mut depth = 0;
            let end = rest[body..].find(|it| {
                depth += match it {
                    '{' => 1,
                    '}' => -1,
                    _ => 0,
                };
                depth == 0
            });
            rest = &rest[body + end.unwrap() + 1..];
        } else {
            rest = rest.get(body + 1..).unwrap_or_default();
        }
    }
    out.push_str(rest);
    out
}

#[test]
fn prose_and_tests_are_not_code() {
    let source = r##"
        use crate::a::{self, b::C as D, e::{F, g}}; // crate::comment
        /* crate::block */
        const TEXT: (&str, char, &'static str) = ("crate::\"text", '"', r#"crate::raw"#);
        fn run() -> crate::h::I<'static> { super::j::k() }
        #[cfg(test)]
        use crate::test::only;
        #[cfg(test)]
        mod tests { use crate::tests::{only}; }
        use crate::last;
    "##;
    let source = Source {
        file: PathBuf::new(),
        module: vec!["own".to_owned(), "part".to_owned()],
        text: without_tests(&without_prose(source)),
    };
    let paths: Vec<String> = crate_paths(&source)
        .iter()
        .map(|path| path.join("::"))
        .collect();
    let expected = [
        "a",
        "a::b::C",
        "a::e::F",
        "a::e::g",
        "h::I",
        "last",
        "own::j::k",
    ];
    assert_eq!(paths, expected);
}
