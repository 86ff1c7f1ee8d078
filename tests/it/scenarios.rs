//! The scenarios of the shipped policies, and those that say what weir does.

use std::path::{Path, PathBuf};

use weir::scenario::{self, FileReport};

fn reports(folder: &str) -> Vec<FileReport> {
    files(&scenario::find(&[folder.into()]).unwrap())
}

fn files(files: &[PathBuf]) -> Vec<FileReport> {
    let report = |file: &PathBuf| {
        let loaded = scenario::load(file).unwrap();
        let run = |script| scenario::run(&script, |_| true).unwrap();
        FileReport {
            diagnostics: loaded.diagnostics,
            tests: loaded.test_file.map(run).unwrap_or_default(),
            file: file.clone(),
        }
    };
    files.iter().map(report).collect()
}

fn all_pass(reports: &[FileReport]) {
    let bad: String = reports
        .iter()
        .filter(|report| report.failed() > 0 || !report.diagnostics.is_empty())
        .map(ToString::to_string)
        .collect();
    assert!(bad.is_empty(), "{bad}");
}

#[test]
fn the_shipped_policies_keep_their_promises() {
    let reports = reports("config");
    let policies = std::fs::read_dir("config").unwrap();
    let names = policies.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let is_policy = |name: &String| name.ends_with(".yaml") && !name.ends_with(".test.yaml");
    let policies = names.filter(is_policy).count();
    assert_eq!(reports.len(), policies, "each policy has its scenarios");
    all_pass(&reports);
}

#[test]
fn weir_does_what_its_scenarios_say() {
    let reports = reports("tests/scenarios");
    assert!(reports.len() > 20);
    all_pass(&reports);
}

#[test]
fn failures_are_shown_side_by_side() {
    let folder = Path::new("tests/scenario_faults/failing");
    let reports = files(&[folder.join("failures.test.yaml")]);
    let shown: String = reports.iter().map(ToString::to_string).collect();
    let expected = std::fs::read_to_string(folder.join("failures.txt")).unwrap();
    assert_eq!(format!("{shown}1 passed, 6 failed\n"), expected);
    assert!(!shown.contains("secret-value"));
}

/// A file's lines say `# expect: LINE:COLUMN code` for each diagnostic, `-` for no place.
#[test]
fn bad_files_are_refused_for_what_they_expect() {
    let mut faults = Vec::new();
    for file in scenario::find(&["tests/scenario_faults/bad".into()]).unwrap() {
        let loaded = scenario::load(&file).unwrap();
        assert!(
            loaded.test_file.is_none(),
            "{} is not refused",
            file.display()
        );
        let found = loaded.diagnostics.iter().map(|found| {
            let place = found
                .position
                .map(|at| format!("{}:{}", at.line, at.column));
            format!("{} {}", place.as_deref().unwrap_or("-"), found.code)
        });
        let found: Vec<String> = found.collect();
        let text = std::fs::read_to_string(&file).unwrap();
        let expected = text
            .lines()
            .filter_map(|line| line.strip_prefix("# expect: "));
        let expected: Vec<&str> = expected.collect();
        if found != expected {
            faults.push(format!("{}: {found:#?}", file.display()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

#[test]
fn diagnostics_of_scenarios_have_help() {
    let said = |name: &str| {
        let file = Path::new("tests/scenario_faults/bad").join(name);
        let loaded = scenario::load(&file).unwrap();
        let said = loaded.diagnostics.iter().map(ToString::to_string);
        said.collect::<Vec<_>>().join("\n")
    };
    for (file, help) in [
        ("keys.test.yaml", "did you mean `policy`?"),
        ("keys.test.yaml", "it belongs in a step"),
        ("keys.test.yaml", "did you mean `ask`?"),
        (
            "keys.test.yaml",
            "  at tests[0].steps[2].expect.descriptors[0]\n",
        ),
        (
            "expectations.test.yaml",
            "put it in an element of `descriptors`",
        ),
        (
            "expectations.test.yaml",
            "write it as `30s`, `1m30s`, `250ms` or `2 days`",
        ),
        ("which-domain.test.yaml", "name it: `domain: NAME`"),
        ("no-policy.test.yaml", "name it: `policy: FILE.yaml`"),
    ] {
        let said = said(file);
        assert!(said.contains(help), "{help} is not in\n{said}");
    }
}

#[test]
fn junit_is_well_formed() {
    let mut reports = files(&[
        "tests/scenario_faults/failing/failures.test.yaml".into(),
        "tests/scenario_faults/bad/keys.test.yaml".into(),
    ]);
    reports[0].tests[0].name = "<&\"> \u{1}".to_owned();
    let xml = scenario::junit(&reports);
    assert!(xml.contains(r#"<testsuites name="weir test" tests="8" failures="6" errors="1">"#));
    assert!(
        xml.contains("name=\"&lt;&amp;&quot;&gt; \u{fffd}\""),
        "{xml}"
    );
    assert!(xml.contains("5 ok, 5 over_limit  4 ok, 6 over_limit"));
    let mut open = Vec::new();
    for tag in xml.split('<').skip(1) {
        let (tag, text) = tag.split_once('>').unwrap();
        assert!(!text.contains('>') && !tag.contains('\n'), "{tag}");
        let name = tag.split([' ', '/']).find(|name| !name.is_empty()).unwrap();
        match (tag.strip_prefix('/'), tag.strip_suffix('/')) {
            (Some(_), _) => assert_eq!(open.pop(), Some(name)),
            (None, Some(_)) => {}
            (None, None) if tag.starts_with('?') => {}
            (None, None) => open.push(name),
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn the_json_schema_describes_every_key() {
    let schema = scenario::json_schema();
    let definitions = schema["$defs"].as_object().unwrap();
    let names: Vec<&str> = definitions.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "test",
            "step",
            "unassign",
            "assign",
            "expect",
            "expected_status"
        ]
    );
    for level in definitions.values().chain([&schema]) {
        assert_eq!(level["additionalProperties"], false);
        for key in level["properties"].as_object().unwrap().values() {
            assert!(!key["description"].as_str().unwrap().is_empty());
        }
    }
    assert_eq!(schema["required"], serde_json::json!(["tests"]));
    assert_eq!(definitions["step"]["oneOf"].as_array().unwrap().len(), 6);
}
