//! The sources of the crate: tokens without comments, text literals and tests, and the paths in them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::root;

/// A path in the crate, without `crate`: `["server", "grpc"]`.
pub(super) type ModulePath = Vec<String>;

/// A source file.
pub(super) struct Source {
    pub(super) file: PathBuf,
    pub(super) module: ModulePath,
    /// Without comments, text literals and tests.
    pub(super) text: String,
}

/// All files of `src` but those that are only compiled for tests.
pub(super) fn sources() -> Vec<Source> {
    let folder = root().join("src");
    let mut sources = Vec::new();
    for file in files(&folder, "rs") {
        let module = module(file.strip_prefix(&folder).unwrap());
        // `tests.rs` and what is below it is `#[cfg(test)]` where it is declared.
        if !module.contains(&"tests".to_owned()) {
            let text = fs::read_to_string(&file).unwrap();
            let file = file.strip_prefix(root()).unwrap().to_owned();
            sources.push(Source::new(file, module, &text));
        }
    }
    assert!(sources.len() > 20);
    sources
}

/// The files below a folder with that extension, sorted, without generated ones.
pub(crate) fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.ends_with("generated") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == extension) {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// `server/grpc.rs` is `server::grpc`; lib.rs is the root.
fn module(file: &Path) -> ModulePath {
    let path = file.with_extension("");
    let names = path.iter().map(|name| name.to_str().unwrap().to_owned());
    names
        .filter(|name| name != "lib" && name != "mod")
        .collect()
}

impl Source {
    pub(super) fn new(file: PathBuf, module: ModulePath, text: &str) -> Self {
        let text = without_tests(&without_prose(text));
        Self { file, module, text }
    }

    /// The paths in this crate that the source names: `crate::a::{b, c::D}` is `a::b` and `a::c::D`.
    pub(super) fn paths(&self) -> BTreeSet<ModulePath> {
        let mut paths = BTreeSet::new();
        let tokens = tokens(&self.text);
        for at in 0..tokens.len() {
            if let Some((start, prefix)) = self.anchor(&tokens, at) {
                tree(&tokens, start, &prefix, &mut |path, _| {
                    paths.insert(path);
                });
            }
        }
        paths
    }

    /// What the source imports by `use`: the name it has here, and its path in the crate.
    pub(super) fn imports(&self) -> Vec<(String, ModulePath)> {
        let mut imports = Vec::new();
        let tokens = tokens(&self.text);
        for at in 0..tokens.len() {
            if tokens[at] != "use" {
                continue;
            }
            let (start, prefix) = self
                .anchor(&tokens, at + 1)
                .unwrap_or((at + 1, self.module.clone()));
            tree(&tokens, start, &prefix, &mut |path, name| {
                imports.push((name, path));
            });
        }
        imports
    }

    /// If an absolute path begins at that token: where its first name is, and the module that the name is in.
    fn anchor(&self, tokens: &[&str], at: usize) -> Option<(usize, ModulePath)> {
        let is_root = tokens[at] == "crate" || (tokens[at] == "weir" && self.module == ["main"]);
        if is_root && tokens.get(at + 1) == Some(&"::") {
            return Some((at + 2, Vec::new()));
        }
        if tokens[at] != "super" || (at > 0 && tokens[at - 1] == "::") {
            return None;
        }
        let levels = tokens[at..]
            .chunks(2)
            .take_while(|pair| *pair == ["super", "::"])
            .count();
        // An inline module is one level below its file, but a path that leaves it is still named in full.
        let Some(depth) = self.module.len().checked_sub(levels) else {
            panic!(
                "{} reaches the root by super: write crate",
                self.file.display()
            );
        };
        Some((at + 2 * levels, self.module[..depth].to_vec()))
    }
}

/// Reads a path or a tree of paths from `at` on; passes each with its last name or alias on. Returns where it ends.
fn tree(
    tokens: &[&str],
    mut at: usize,
    prefix: &[String],
    found: &mut dyn FnMut(ModulePath, String),
) -> usize {
    let mut path = prefix.to_vec();
    loop {
        match tokens.get(at) {
            Some(&"{") => {
                at += 1;
                while tokens.get(at).is_some_and(|token| *token != "}") {
                    let next = tree(tokens, at, &path, found);
                    // A comma, or something that does not begin a path.
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
    let mut name = path.last().cloned().unwrap_or_default();
    if tokens.get(at) == Some(&"as") {
        tokens
            .get(at + 1)
            .copied()
            .unwrap_or_default()
            .clone_into(&mut name);
        at += 2;
    }
    if !path.is_empty() {
        found(path, name);
    }
    at
}

pub(super) fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Names, `::`, and every other character that is not a blank.
pub(super) fn tokens(text: &str) -> Vec<&str> {
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

/// The number of `#` of a raw string that begins at the start of `rest`.
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

/// The end of a character literal, or of the mark of a lifetime.
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
    let text = r##"
        use crate::a::{self, b::C as D, e::{F, g}}; // crate::comment
        /* crate::block */
        const TEXT: (&str, char, &'static str) = ("crate::\"text", '"', r#"crate::raw"#);
        fn run() -> crate::h::I<'static> { super::j::k() }
        #[cfg(test)]
        use crate::test::only;
        #[cfg(test)]
        mod tests { use crate::tests::{only}; }
        pub use child::Last;
    "##;
    let module = vec!["own".to_owned(), "part".to_owned()];
    let source = Source::new(PathBuf::new(), module, text);
    let paths: Vec<String> = source.paths().iter().map(|path| path.join("::")).collect();
    let expected = ["a", "a::b::C", "a::e::F", "a::e::g", "h::I", "own::j::k"];
    assert_eq!(paths, expected);
    let imports: Vec<String> = source
        .imports()
        .iter()
        .map(|(name, path)| format!("{name} = {}", path.join("::")))
        .collect();
    let expected = [
        "a = a",
        "D = a::b::C",
        "F = a::e::F",
        "g = a::e::g",
        "Last = own::part::child::Last",
    ];
    assert_eq!(imports, expected);
}
