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

/// The text of each block in that language; one that stands in a list loses its indentation.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}");
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(opening) = lines.find(|line| line.trim_start() == fence) {
        let indent = opening.len() - opening.trim_start().len();
        let inside = lines.by_ref().take_while(|line| line.trim_start() != "```");
        let block = inside.map(|line| format!("{}\n", line.get(indent..).unwrap_or_default()));
        blocks.push(block.collect());
    }
    blocks
}

#[test]
fn every_policy_in_the_documentation_loads_without_a_word() {
    let mut policies = 0;
    for file in markdown() {
        let text = std::fs::read_to_string(&file).unwrap();
        for block in blocks(&text, "yaml")
            .iter()
            .filter(|block| block.contains("domain:"))
        {
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

#[test]
fn the_readme_shows_what_check_says() {
    let readme = std::fs::read_to_string(markdown().remove(0)).unwrap();
    let shop = blocks(&readme, "yaml").remove(1);
    let misspelt = shop.replace("requests_per_unit: 600", "requets_per_unit: 600");
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("policies")).unwrap();
    std::fs::write(folder.path().join("policies/shop.yaml"), misspelt).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_weir"));
    command.current_dir(&folder).args(["check", "policies"]);
    let said = command.output().unwrap().stdout;
    assert_eq!(blocks(&readme, "text"), [String::from_utf8(said).unwrap()]);
}
