//! The YAML that the documentation shows is loaded.

use std::path::{Path, PathBuf};

use weir::policy;
use weir::scenario::{self, FileReport};

fn markdown() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![root.join("README.md")];
    files.extend(crate::architecture::files(&root.join("docs"), "md"));
    files
}

/// The book has each page of `docs` once, so none is written that no reader finds.
#[test]
fn every_page_is_in_the_table_of_contents_once() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let summary = std::fs::read_to_string(docs.join("SUMMARY.md")).unwrap();
    let links = summary.split("](").skip(1);
    let links = links.map(|rest| rest.split(')').next().unwrap());
    let mut listed: Vec<PathBuf> = links
        .filter(|link| !link.is_empty())
        .map(|link| docs.join(link))
        .collect();
    listed.sort();
    let mut pages = crate::architecture::files(&docs, "md");
    pages.retain(|page| !page.ends_with("SUMMARY.md"));
    pages.sort();
    assert_eq!(listed, pages);
}

/// The text of each block in that language; one in a list loses its indentation.
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

fn is_scenario(block: &str) -> bool {
    block.lines().any(|line| line == "tests:") || block.starts_with("- ")
}

/// What `weir test` says of a scenario beside the policy of `docs/testing-policies.md`.
fn tested(scenario: &str) -> String {
    let (policy, _) = example();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.test.yaml");
    std::fs::write(folder.path().join("shop.yaml"), policy).unwrap();
    std::fs::write(&file, scenario).unwrap();
    let loaded = scenario::load(&file).unwrap();
    let run = |script| scenario::run(&script, |_| true).unwrap();
    let report = FileReport {
        file: "shop.test.yaml".into(),
        diagnostics: loaded.diagnostics,
        tests: loaded.test_file.map(run).unwrap_or_default(),
    };
    report.to_string()
}

/// The policy and the scenarios that the page on testing begins with.
fn example() -> (String, String) {
    let blocks = blocks(&testing(), "yaml");
    (blocks[0].clone(), blocks[1].clone())
}

fn testing() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/testing-policies.md");
    std::fs::read_to_string(page).unwrap()
}

#[test]
fn every_scenario_in_the_documentation_passes() {
    let mut scenarios = 0;
    for file in markdown() {
        let text = std::fs::read_to_string(&file).unwrap();
        let blocks = blocks(&text, "yaml");
        for block in blocks.iter().filter(|block| is_scenario(block)) {
            // Steps alone are those of a test.
            let steps = block.lines().map(|line| format!("      {line}\n"));
            let whole = match block.starts_with("- ") {
                true => format!(
                    "tests:\n  - name: steps\n    steps:\n{}",
                    steps.collect::<String>()
                ),
                false => block.clone(),
            };
            let said = tested(&whole);
            assert!(said.ends_with(" passed\n"), "{}\n{said}", file.display());
            scenarios += 1;
        }
    }
    assert!(scenarios >= 3, "only {scenarios} scenarios found");
}

#[test]
fn the_documentation_shows_how_scenarios_pass_and_fail() {
    let (_, scenarios) = example();
    let page = testing();
    assert!(page.contains(&format!("\n{}3 passed, 0 failed\n", tested(&scenarios))));
    let wrong = scenarios.replace("{ok: 600, over_limit: 1}", "{ok: 500, over_limit: 101}");
    let shown = blocks(&page, "text").remove(0);
    let said = tested(&wrong);
    assert!(said.contains(&shown), "{said}");
}

/// A policy of a page, with the tables of the page next to it.
fn load_with_tables(policy: &str, tables: &[String]) -> policy::LoadedPolicy {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("page.yaml"), policy).unwrap();
    if policy.contains("assignments: customers") {
        for table in tables {
            let file = folder.path().join("customers.assignments.csv");
            std::fs::write(file, table).unwrap();
        }
    }
    policy::load(&[folder.path().to_owned()], policy::LoadOptions::default()).unwrap()
}

#[test]
fn every_policy_in_the_documentation_loads_without_a_word() {
    let mut policies = 0;
    for file in markdown() {
        let text = std::fs::read_to_string(&file).unwrap();
        for block in blocks(&text, "yaml")
            .iter()
            .filter(|block| block.contains("domain:") && !is_scenario(block))
        {
            let loaded = load_with_tables(block, &blocks(&text, "csv"));
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
fn every_shipped_policy_is_presented() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/shipped-policies.md")).unwrap();
    for file in crate::architecture::files(&root.join("config"), "yaml") {
        let name = file.file_name().unwrap().to_str().unwrap();
        let row = format!("| [{name}](../config/{name}) | ");
        assert!(name.ends_with(".test.yaml") || page.contains(&row), "{row}");
    }
}

/// Longer pages are split by subject. What is generated, between two marks, is looked up and not read.
#[test]
fn a_page_can_be_read_in_one_go() {
    for file in markdown() {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut written = 0;
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            written += 1;
            let mark = line
                .strip_prefix("<!-- ")
                .and_then(|rest| rest.strip_suffix(" -->"));
            if let Some(mark) = mark.filter(|mark| !mark.starts_with('/')) {
                let end = format!("<!-- /{mark} -->");
                lines.by_ref().find(|line| *line == end);
            }
        }
        assert!(written <= 250, "{}: {written} lines", file.display());
    }
}

/// What the pages on the policy language show of Envoy is a part of a bootstrap that tests run.
#[test]
fn the_envoy_configurations_that_are_shown_are_run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let plain = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    let examples = std::fs::read_dir(root.join("examples/envoy")).unwrap();
    let examples = examples.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
    let examples: Vec<String> = examples.map(|example| plain(&example)).collect();
    let pages = crate::architecture::files(&root.join("docs/policy"), "md");
    let pages = pages
        .iter()
        .map(|page| std::fs::read_to_string(page).unwrap());
    let shown: Vec<String> = pages.flat_map(|page| blocks(&page, "yml")).collect();
    assert_eq!(shown.len(), 4);
    for block in shown {
        let block = plain(&block);
        let is_there = examples.iter().any(|example| example.contains(&block));
        assert!(is_there, "in no example:\n{block}");
    }
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

#[test]
fn every_promise_of_the_wire_has_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/http2.md")).unwrap();
    let (_, rest) = page.split_once("<!-- tests -->").unwrap();
    let (table, _) = rest.split_once("<!-- /tests -->").unwrap();
    let code: String = ["src", "tests", "fuzz/tests"]
        .iter()
        .flat_map(|folder| crate::architecture::files(&root.join(folder), "rs"))
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();
    for row in table.lines().filter(|row| row.starts_with("| ")).skip(1) {
        let tests = row.rsplit_once(" | ").unwrap().1;
        let names: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "{row}");
        for name in names {
            assert!(code.contains(&format!("fn {name}(")), "no test {name}");
        }
    }
}
