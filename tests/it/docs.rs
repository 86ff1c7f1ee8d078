//! The YAML that the documentation shows is loaded.

use std::path::{Path, PathBuf};

use weir::policy;

fn markdown() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![root.join("README.md")];
    for entry in std::fs::read_dir(root.join("docs")).unwrap() {
        let path = entry.unwrap().path();
        files.extend(
            path.extension()
                .is_some_and(|end| end == "md")
                .then_some(path),
        );
    }
    files
}

/// The text of each block in that language.
fn blocks<'a>(text: &'a str, language: &'a str) -> impl Iterator<Item = &'a str> {
    let fence = format!("```{language}\n");
    let starts: Vec<_> = text
        .match_indices(&fence)
        .map(|(at, fence)| at + fence.len())
        .collect();
    starts.into_iter().map(|start| {
        let end = text[start..].find("\n```").unwrap();
        &text[start..=start + end]
    })
}

#[test]
fn every_policy_in_the_documentation_loads_without_a_word() {
    let mut policies = 0;
    for file in markdown() {
        let text = std::fs::read_to_string(&file).unwrap();
        for block in blocks(&text, "yaml").filter(|block| block.contains("domain:")) {
            let loaded = policy::load_text(&file, block);
            assert!(
                loaded.diagnostics.is_empty(),
                "{}\n{block}",
                loaded.diagnostics[0]
            );
            policies += 1;
        }
    }
    assert!(policies >= 5, "only {policies} policies found");
}
