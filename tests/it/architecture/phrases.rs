//! Plain English: phrases that are rejected in code, comments, messages and documents.
//!
//! Compared without regard to case, word by word, also across the lines of a paragraph or of a comment.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use super::root;
use super::source::files;

/// A rejected phrase, what to write instead, and the words around it that make it acceptable.
struct Phrase {
    words: &'static str,
    instead: &'static str,
    unless_before: &'static [&'static str],
    unless_after: &'static [&'static str],
}

const fn phrase(words: &'static str, instead: &'static str) -> Phrase {
    Phrase {
        words,
        instead,
        unless_before: &[],
        unless_after: &[],
    }
}

const REJECTED: &[Phrase] = &[
    Phrase {
        words: "is no",
        instead: "is not a",
        unless_before: &["there"],
        unless_after: &["longer", "more", "less", "other", "such"],
    },
    Phrase {
        words: "are no",
        instead: "are not",
        unless_before: &["there"],
        unless_after: &["longer", "more", "less", "other", "such"],
    },
    phrase("no number", "not a number"),
    phrase("no utf", "invalid UTF-8"),
    phrase("no text in", "invalid"),
    phrase("weirs", "instances"),
    Phrase {
        words: "a weir",
        instead: "an instance",
        unless_before: &[],
        unless_after: &["process", "server", "policy", "instance", "binary"],
    },
    phrase("reckon", "count"),
    phrase("reckons", "counts"),
    phrase("reckoned", "counted"),
    phrase("anew", "again"),
    phrase("manieth", "which"),
    phrase("for want of", "because there is not"),
    phrase("nobody's", "belongs to none"),
    phrase("whoever", "a caller that, a developer who"),
    phrase("so many", "N, or that many"),
    phrase("so often", "that many times"),
    phrase("so long", "for N seconds, or as long as"),
    phrase("told", "reported, returned, given"),
    phrase("tell", "report, return"),
    phrase("tells", "reports, returns"),
    Phrase {
        words: "stands",
        instead: "is",
        unless_before: &[],
        unless_after: &["for"],
    },
    phrase("goes on", "continues"),
    phrase("go on", "continue"),
    phrase("there is no end", "endless"),
    phrase("thus", "so"),
    phrase("meanwhile", "in the meantime, or name the time"),
    phrase("the how", "how it is done"),
    phrase("makes no sense", "is invalid, is contradictory"),
    phrase("make no sense", "be invalid, be contradictory"),
    phrase("comes to", "is, reaches"),
    phrase("brought along", "included"),
    phrase("mend", "fix"),
    phrase("mends", "fixes"),
    phrase("mended", "fixed"),
    phrase("taken for", "treated as"),
    phrase("in doubt", "if unsure"),
    phrase("to be had", "available"),
    phrase("is said", "is reported"),
    phrase("are said", "are reported"),
    phrase("was said", "was reported"),
    phrase("said of", "reported for"),
    phrase("as of then", "at that time"),
    phrase("be it", "whether"),
];

#[test]
fn no_rejected_phrases() {
    let mut report = Vec::new();
    for file in documents() {
        let name = file.strip_prefix(root()).unwrap().display();
        let text = fs::read_to_string(&file).unwrap();
        for (line, Phrase { words, instead, .. }) in rejected(&text) {
            report.push(format!("{name}:{line}: \"{words}\"; write: {instead}"));
        }
    }
    let count = report.len();
    assert!(
        report.is_empty(),
        "{count} rejected phrases:\n{}",
        report.join("\n")
    );
}

/// All files with English in them.
fn documents() -> Vec<PathBuf> {
    let mut documents = vec![
        root().join("README.md"),
        root().join("CONTRIBUTING.md"),
        root().join("SECURITY.md"),
        root().join("CHANGELOG.md"),
        root().join("Cargo.toml"),
        root().join("build.rs"),
        root().join("clippy.toml"),
        root().join("deny.toml"),
    ];
    for folder in [
        "src", "tests", "bench", "codegen", "fuzz", "harness", "docs", "examples", "config",
        "deploy",
    ] {
        for extension in [
            "rs", "md", "toml", "yaml", "lua", "html", "js", "snap", "json",
        ] {
            documents.extend(files(&root().join(folder), extension));
        }
    }
    // This file.
    documents.retain(|file| !file.ends_with(file!()));
    documents
}

/// The rejected phrases of a text, and the lines on which they begin.
fn rejected(text: &str) -> Vec<(usize, &'static Phrase)> {
    let words = words(text);
    let word = |at: usize| words.get(at).map_or("", |(_, word)| word.as_str());
    let mut found = Vec::new();
    for (at, (line, first)) in words.iter().enumerate() {
        for &phrase in by_first_word(first) {
            let mut rest = phrase.words.split(' ').skip(1).zip(at + 1..);
            let length = phrase.words.split(' ').count();
            let before = at.checked_sub(1).map_or("", word);
            if rest.all(|(expected, at)| word(at) == expected)
                && !phrase.unless_before.contains(&before)
                && !phrase.unless_after.contains(&word(at + length))
            {
                found.push((*line, phrase));
            }
        }
    }
    found
}

fn by_first_word(word: &str) -> &'static [&'static Phrase] {
    static PHRASES: LazyLock<HashMap<&str, Vec<&'static Phrase>>> = LazyLock::new(|| {
        let mut phrases: HashMap<&str, Vec<&'static Phrase>> = HashMap::new();
        for phrase in REJECTED {
            let first = phrase.words.split(' ').next().unwrap_or_default();
            phrases.entry(first).or_default().push(phrase);
        }
        phrases
    });
    PHRASES.get(word).map_or(&[], Vec::as_slice)
}

/// Words in lower case, each with its line. What separates sentences and clauses is a word, too: no phrase contains it.
fn words(text: &str) -> Vec<(usize, String)> {
    let mut words = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line
            .trim_start()
            .trim_start_matches(['/', '!', '#', '-', '*', '>']);
        let mut rest = line;
        while let Some(first) = rest.chars().next() {
            let is_part = |it: char| it.is_alphanumeric() || it == '_' || it == '\'';
            let length = if is_part(first) {
                rest.find(|it| !is_part(it)).unwrap_or(rest.len())
            } else {
                first.len_utf8()
            };
            if !first.is_whitespace() {
                words.push((number + 1, rest[..length].to_lowercase()));
            }
            rest = &rest[length..];
        }
        if line.is_empty() {
            words.push((number + 1, "\n".to_owned()));
        }
    }
    words
}

#[test]
fn phrases_are_found_across_lines() {
    let found = |text: &str| -> Vec<(usize, &str)> {
        let found = rejected(text).into_iter();
        found.map(|(line, phrase)| (line, phrase.words)).collect()
    };
    assert_eq!(found("/// So\n/// many."), [(1, "so many")]);
    assert_eq!(found("It\nis NO Limit"), [(2, "is no")]);
    assert_eq!(found("There is no limit, it is no longer so. Many!"), []);
    assert_eq!(found("let is_no = told_by;"), []);
}
