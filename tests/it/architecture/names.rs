//! Every type name is unique, and few items are visible in the whole crate.

use std::collections::BTreeMap;

use super::source::{Source, is_name, sources, tokens};

/// The most items of a module that may be `pub(crate)`; of other modules, none may be.
const CRATE_VISIBLE: &[(&str, usize)] = &[
    ("backoff", 5),
    ("document", 2),
    ("error_text", 1),
    ("host_lookup", 2),
    ("limit", 12),
    ("pem", 9),
    ("policy", 121),
    ("regular_file", 4),
    ("server", 2),
    ("threads", 3),
];

#[test]
fn every_type_name_is_unique() {
    let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources() {
        // What stands for a module that a build leaves out has its names.
        let name = source.module.last().map_or("", String::as_str);
        if name.starts_with("without_") {
            continue;
        }
        for name in type_names(&source) {
            let file = source.file.display().to_string();
            files.entry(name).or_default().push(file);
        }
    }
    files.retain(|_, files| files.len() > 1);
    let shared: Vec<String> = files
        .iter()
        .map(|(name, files)| format!("{name}: {}", files.join(", ")))
        .collect();
    assert!(
        shared.is_empty(),
        "names of several types:\n{}",
        shared.join("\n")
    );
}

#[test]
fn few_items_are_visible_in_the_whole_crate() {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for source in sources() {
        let Some(module) = source.module.first() else {
            continue;
        };
        let tokens = tokens(&source.text);
        let visible = tokens
            .windows(4)
            .filter(|four| *four == ["pub", "(", "crate", ")"]);
        *counts.entry(module.clone()).or_default() += visible.count();
    }
    for (module, count) in counts {
        let bound = CRATE_VISIBLE.iter().find(|(name, _)| *name == module);
        let bound = bound.map_or(0, |(_, bound)| *bound);
        assert!(
            count <= bound,
            "{count} items of {module} are pub(crate), at most {bound} may be"
        );
    }
}

/// The types that a source defines; types of traits and of their implementations have no name of their own.
fn type_names(source: &Source) -> Vec<String> {
    let tokens = tokens(&source.text);
    let mut names = Vec::new();
    // For each open brace: whether it is the body of an `impl` or of a trait.
    let mut blocks: Vec<bool> = Vec::new();
    let mut is_body_of_impl = false;
    for (at, &token) in tokens.iter().enumerate() {
        let begins_item = at == 0
            || matches!(
                tokens[at - 1],
                ";" | "}" | "{" | ")" | "]" | "pub" | "unsafe"
            );
        match token {
            "{" => {
                blocks.push(is_body_of_impl);
                is_body_of_impl = false;
            }
            "}" => drop(blocks.pop()),
            ";" => is_body_of_impl = false,
            "impl" if begins_item => is_body_of_impl = true,
            "struct" | "enum" | "union" | "trait" | "type" if begins_item => {
                let named = tokens.get(at + 1).filter(|name| is_name(name));
                let is_associated = blocks.last() == Some(&true);
                if !is_associated {
                    names.extend(named.map(|&name| name.to_owned()));
                }
                is_body_of_impl |= token == "trait";
            }
            _ => {}
        }
    }
    names
}

#[test]
fn associated_types_have_no_names_of_their_own() {
    let text = "pub struct A { b: B } impl Iterator for A { type Item = B; fn f() { struct Inner; } } \
                pub(crate) trait T { type Of; } #[derive(Debug)] enum E { V } type Alias = E; fn g() -> impl Fn() {}";
    let source = Source::new("a.rs".into(), vec!["a".to_owned()], text);
    assert_eq!(type_names(&source), ["A", "Inner", "T", "E", "Alias"]);
}
